/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a container by their numbers, for events. Pure. */
#ifndef PURPLE_AUDIT_RULES_H
#define PURPLE_AUDIT_RULES_H

#include <stdint.h>

#include "base/err.h"
#include "network/rules.h"

struct audit_rule {
	const struct network_rule *rule;
	const struct network_policy *policy;
};

struct audit_rules {
	uint32_t generation;
	network_policies policies;
	LIST_OF(struct audit_rule) rules; /* by number, as network_compile() gives them */
};

/* From a document of network/rules_json.h. */
int audit_rules_parse(const char *text, size_t len, uint32_t generation,
		      struct audit_rules *ret, struct err *e);
void audit_rules_clear(struct audit_rules *r);

/* NULL: one of NETWORK_RULE_..., or no such number. */
const struct audit_rule *audit_rules_find(const struct audit_rules *r, uint32_t number);
/* What stands for a rule that is in no policy; NULL: none of NETWORK_RULE_... */
const char *audit_rule_special(uint32_t number);

#endif
