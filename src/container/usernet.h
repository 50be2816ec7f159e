/* SPDX-License-Identifier: Apache-2.0 */
/* A way out for a network namespace that no engine plugs anything into: pasta(1), of passt. */
#ifndef PURPLE_CONTAINER_USERNET_H
#define PURPLE_CONTAINER_USERNET_H

#include "base/err.h"
#include "container/state.h"

/* Whether the program is there: what to install otherwise is in the error. */
int usernet_check(struct err *e);

/*
 * Gives the network namespace of process `pid` a device that user-mode translation stands behind,
 * with the host's addresses and routes, no ports forwarded either way, and no way to the host's
 * loopback. Notes it in c->st, and binds the namespace to a file, which pasta watches.
 */
int usernet_start(struct container *c, pid_t pid, struct err *e);

/* Ends it; nothing where there is none. */
void usernet_stop(struct container *c);

#endif
