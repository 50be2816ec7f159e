/* SPDX-License-Identifier: Apache-2.0 */
/* See rules.h. Runs in purple-monitor. */
#include "audit/rules.h"

#include "network/rules_json.h"

int audit_rules_parse(const char *text, size_t len, uint32_t generation,
		      struct audit_rules *ret, struct err *e)
{
	struct audit_rules l = { .generation = generation };
	int r = network_policies_read(text, len, "rules", &l.policies, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.policies.n; i++) {
		const struct network_policy *p = &l.policies.v[i];

		for (size_t k = 0; k < p->rules.n; k++) {
			struct audit_rule *slot = list_add(&l.rules);

			if (!slot) {
				audit_rules_clear(&l);
				return err_oom(e);
			}
			*slot = (struct audit_rule){ &p->rules.v[k], p };
		}
	}
	*ret = l;
	return 0;
}

void audit_rules_clear(struct audit_rules *r)
{
	free(r->rules.v);
	network_policies_clear(&r->policies);
	*r = (struct audit_rules){};
}

const struct audit_rule *audit_rules_find(const struct audit_rules *r, uint32_t number)
{
	return r && number < r->rules.n ? &r->rules.v[number] : NULL;
}

const char *audit_rule_special(uint32_t number)
{
	switch (number) {
	case NETWORK_RULE_NONE:
		return "no rule";
	case NETWORK_RULE_RESERVED:
		return "reserved addresses";
	case NETWORK_RULE_PROTOCOL:
		return "other protocols, raw sockets, DNS elsewhere";
	case NETWORK_RULE_NAME:
		return "TLS without an allowed name";
	case NETWORK_RULE_INCOMING:
		return "ports that are not open";
	default:
		return NULL;
	}
}
