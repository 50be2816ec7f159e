/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: rules of the network from a policy's text, and their tables. */
#ifndef PURPLE_TESTS_NETWORK_BUILD_H
#define PURPLE_TESTS_NETWORK_BUILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fd.h"
#include "network/rules.h"
#include "policy/network.h"

static const struct network_surroundings own_namespace = { .own_namespace = true };

static inline void add_policy(network_policies *l, const char *network)
{
	_free_ char *text = str_printf("name: x\nnetwork: {%s}\n", network);
	_policy_free_ struct policy *p = NULL;
	struct err e = { 0 };

	if (policy_parse(text, strlen(text), "f.yaml", &p, &e) < 0 ||
	    policy_network_add(p, l, &e) < 0)
		fail_msg("%s: %s", network, e.msg);
}

static inline void compile(const network_policies *l,
			   const struct network_surroundings *around,
			   struct network_tables *t)
{
	struct err e = { 0 };

	if (network_compile(l, around, t, &e) < 0)
		fail_msg("%s", e.msg);
}

#endif
