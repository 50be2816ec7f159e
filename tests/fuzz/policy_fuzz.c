/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the policy language: reads the input as a policy, and lints and checks
 * what is accepted. Besides memory errors it looks for broken promises: an error without a
 * message of the agreed form, a policy without a name, a path that is not absolute.
 * runs: 20000
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_accepted(const struct policy *p)
{
	_strv_free_ struct strv warnings = { 0 };
	struct err e = { 0 };
	size_t i;

	require(p->name && *p->name && strlen(p->name) <= 64);
	for (i = 0; i < p->filesystem.immutable_paths.n; i++)
		require(p->filesystem.immutable_paths.v[i].sandbox_path[0] == '/');
	for (i = 0; i < p->filesystem.output_paths.n; i++) {
		require(p->filesystem.output_paths.v[i].host_path[0] == '/');
		require(p->filesystem.output_paths.v[i].sandbox_path[1] != '\0');
	}
	for (i = 0; i < p->network.allow_outgoing.n; i++) {
		const struct policy_net_rule *rule = &p->network.allow_outgoing.v[i];

		require(rule->has_address || rule->domain || rule->port_lo);
		require(rule->port_lo <= rule->port_hi);
	}
	require(!(p->network.isolated && p->network.allow_outgoing.n));
	require(policy_lint(p, &warnings, &e) == 0);
	if (policy_check_enforceable(p, true, &e) < 0)
		require(strncmp(e.msg, "policy fuzz:", 12) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_policy_free_ struct policy *p = NULL;
	struct err e = { 0 };
	const char *c;

	if (policy_parse((const char *)data, size, "fuzz", &p, &e) == 0) {
		check_accepted(p);
		return 0;
	}
	require(!p && e.code > 0);
	require(strncmp(e.msg, "policy fuzz:", 12) == 0);
	for (c = e.msg; *c; c++)
		require((unsigned char)*c >= ' ' && *c != 0x7f);
	return 0;
}
