/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-alert from the inside: takes the violations of one container (audit/alert.h), and runs the
 * command and calls the webhook of each policy that names them. At most one run and one call of each
 * at a time; what comes meanwhile is merged.
 */
#ifndef PURPLE_GATEWAY_COURIER_H
#define PURPLE_GATEWAY_COURIER_H

#include "audit/config.h"
#include "base/err.h"

struct courier;

/* `config` is kept. Starts who runs the commands. Runs in: purple-alert, as root, with one thread. */
int courier_make(struct audit_config *config, int sock, struct courier **ret, struct err *e);
/* Gives up what gateway/gateway_jail.h says. */
int courier_enter_jail(struct courier *c, struct err *e);
/* Until nobody can send any more and all is given, or COURIER_END_MS after that. */
#define COURIER_END_MS 60000
int courier_run(struct courier *c, struct err *e);

#endif
