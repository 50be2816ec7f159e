/* SPDX-License-Identifier: Apache-2.0 */
/* A gateway's configuration for tests: three policies, one of each scope and each action. */
#ifndef PURPLE_TESTS_GATEWAY_BUILD_H
#define PURPLE_TESTS_GATEWAY_BUILD_H

#include <stdlib.h>
#include <string.h>

#include "gateway/config.h"

enum { BUILD_STOP, BUILD_DENY, BUILD_FREEZE };

static inline struct gateway_policy *build_policy(struct gateway_config *c, const char *name,
						  enum gateway_exceeded action,
						  enum ledger_scope scope, uint32_t line)
{
	struct gateway_policy *p = list_add(&c->policies);

	p->name = strdup(name);
	p->file = strdup("/etc/purple/policies/p.yaml");
	p->on_exceeded = action;
	p->scope = scope;
	p->budget_line = line;
	p->rates_line = line + 1;
	p->apis_line = line + 2;
	return p;
}

static inline void build_config(struct gateway_config *c)
{
	*c = (struct gateway_config){};
	c->container = strdup("c1");
	c->session = strdup("c1@2026-11-22T10:00:00Z");
	build_policy(c, "stops", GATEWAY_STOP, LEDGER_SESSION, 10);
	build_policy(c, "denies", GATEWAY_DENY, LEDGER_POLICY, 20);
	build_policy(c, "freezes", GATEWAY_FREEZE, LEDGER_TEAM, 30)->team =
		strdup("research");
	c->policies.v[BUILD_DENY].period = LEDGER_DAY;
}

#endif
