/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/network: what the parts of compile.c share. */
#ifndef PURPLE_NETWORK_COMPILE_PARTS_H
#define PURPLE_NETWORK_COMPILE_PARTS_H

#include "network/ranges.h"
#include "network/rules.h"

/* What a policy is, as far as the whole matters. */
struct compile_policy {
	const struct network_policy *policy;
	uint32_t first_rule; /* number of its first one */
	bool listed;	     /* has an allow list: what it does not name is denied */
	bool translated;     /* IPv4 addresses are reachable by their NAT64 names too */
	network_ranges everywhere; /* what its rules without address and name allow */
};

struct compile {
	const network_policies *policies;
	const struct network_surroundings *around;
	struct compile_policy *v; /* one for each of the policies */
	size_t n;
	bool enforcing_listed, audit_listed; /* any policy of that kind */
	struct network_tables *t;
	struct err *e;
};

/* compile_prefixes.c: fills t->v4, t->v6 and t->ranges. */
int compile_prefixes(struct compile *c);
/* compile_names.c: fills t->names. */
int compile_names(struct compile *c);

/* The message names the rule. Returns -E2BIG. */
int compile_fail_ranges(struct compile *c, uint32_t rule);

#endif
