/* SPDX-License-Identifier: Apache-2.0 */
/* HOST:PORT[/udp] on a command line: one place and one port of it. */
#ifndef PURPLE_CMD_PURPLE_TARGET_H
#define PURPLE_CMD_PURPLE_TARGET_H

#include "base/err.h"
#include "policy/policy.h"

struct target {
	struct policy_net_rule to; /* a whole address or a name, and one port */
	uint32_t port;		   /* as in network_range */
	char shown[300];	   /* for messages */
};

/* ERR_USAGE where it is not that. */
int target_read(const char *text, struct target *ret, struct err *e);
void target_clear(struct target *t);

/* IPv4 as ::ffff:a.b.c.d. */
void target_address(const struct target *t, uint8_t ret[16]);
bool target_is_loopback(const struct target *t);

#endif
