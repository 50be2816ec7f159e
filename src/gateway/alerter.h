/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs the administrator's alert command: a process that stays what the gateway was started as
 * (root), and is told numbers alone. Only there where a command is configured.
 */
#ifndef PURPLE_GATEWAY_ALERTER_H
#define PURPLE_GATEWAY_ALERTER_H

#include <stdint.h>

#include "base/err.h"
#include "gateway/config.h"
#include "gateway/events.h"

/* The command gets so long, and is killed then. */
#define ALERT_SECONDS 30

struct alert_message {
	uint32_t type; /* GATEWAY_BUDGET_ALERT, GATEWAY_BUDGET_EXCEEDED, GATEWAY_BUDGET_LIFTED */
	uint32_t policy; /* its index */
	uint32_t percent;
	uint32_t limited; /* 1: tokens, 2: cost */
	int64_t tokens, tokens_limit, cost, cost_limit;
};
struct alert_reply {
	int32_t status; /* of the command, as from waitpid(); -ETIMEDOUT; -errno: not started */
};

/*
 * Starts it; *ret_fd is a SOCK_SEQPACKET, non-blocking, for messages and replies. When that is
 * closed it still runs what was told before. Runs in: purple-gateway, as warden_start().
 */
int alerter_start(const struct gateway_config *c, int *ret_fd, struct err *e);
/* 0 or -errno. Does not wait. */
int alerter_tell(int fd, const struct gateway_event *x);

/* --- pure --- */

/* The event that a message stands for. False: it is none. */
bool alert_event(const struct gateway_config *c, const struct alert_message *m,
		 struct gateway_event *ret);
/* What a reply means, for people; NULL: all is well. `size` of 128 is enough. */
const char *alert_reply_text(const struct alert_reply *r, char *text, size_t size);

#endif
