/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-gateway gives up before it reads from a socket; base/jail.h says why in this order. */
#ifndef PURPLE_GATEWAY_JAIL_H
#define PURPLE_GATEWAY_JAIL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Whom it becomes, if there is such a user; else nobody. */
#define GATEWAY_USER "purple-gateway"

struct gateway_jail {
	const uint16_t *ports; /* of providers: no other is connected to, where Landlock can hold that */
	size_t ports_n;
	const char *ca_file; /* NULL: the host's */
};

/* Before threads, libraries that may start some, and large allocations. Runs as its caller. */
int gateway_jail_prepare(struct err *e);

/*
 * User, capabilities, limits, Landlock, seccomp. As an ordinary user, it is that user's process that
 * is held. Should: be called with one thread, all that needs privileges being open.
 */
int gateway_jail_enter(const struct gateway_jail *j, struct err *e);

#endif
