/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The alerts of budgets: what the gateway tells who runs the command (audit/alerter.h), which are
 * numbers alone, and the event that these stand for.
 */
#ifndef PURPLE_GATEWAY_ALERT_H
#define PURPLE_GATEWAY_ALERT_H

#include <stdint.h>

#include "base/err.h"
#include "gateway/config.h"
#include "gateway/events.h"

struct gateway_alert {
	uint32_t type; /* GATEWAY_BUDGET_ALERT, GATEWAY_BUDGET_EXCEEDED, GATEWAY_BUDGET_LIFTED */
	uint32_t policy; /* its index */
	uint32_t percent;
	uint32_t limited; /* 1: tokens, 2: cost */
	int64_t tokens, tokens_limit, cost, cost_limit;
};

/* As alerter_start() and alerter_tell(). */
int gateway_alert_start(const struct gateway_config *c, int *ret_fd, struct err *e);
int gateway_alert_tell(int fd, const struct gateway_event *x);

/* The event that a message stands for. False: it is none. Pure. */
bool gateway_alert_event(const struct gateway_config *c, const struct gateway_alert *m,
			 struct gateway_event *ret);

#endif
