// SPDX-License-Identifier: Apache-2.0
/* What rules and tables own: see rules.h. Pure. */
#include "network/rules.h"

static void rule_clear(struct network_rule *rule)
{
	free(rule->text);
	free(rule->place);
	free(rule->domain);
}

void network_policies_clear(network_policies *p)
{
	size_t i, k;

	for (i = 0; i < p->n; i++) {
		struct network_policy *x = &p->v[i];

		for (k = 0; k < x->rules.n; k++)
			rule_clear(&x->rules.v[k]);
		free(x->rules.v);
		free(x->name);
		strv_free(&x->dns_servers);
	}
	free(p->v);
	p->v = NULL;
	p->n = 0;
}

void network_tables_clear(struct network_tables *t)
{
	size_t i;

	for (i = 0; i < t->names.n; i++) {
		free(t->names.v[i].domain);
		free(t->names.v[i].ranges.v);
	}
	free(t->names.v);
	free(t->v4.v);
	free(t->v6.v);
	free(t->ranges.v);
	free(t->rules.v);
	strv_free(&t->dns_servers);
	*t = (struct network_tables){ 0 };
}
