/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for the policy language: reads the input as a policy, and lints and checks
 * what is accepted. Besides memory errors it looks for broken promises: an error without a
 * message of the agreed form, a policy without a name, a path that is not absolute.
 * runs: 20000
 */
#include <stdlib.h>
#include <string.h>

#include "network/rules_json.h"
#include "policy/network.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* The tables of what is accepted: they can be made, hold, and come back from the state folder. */
static void check_network(const struct policy *p)
{
	static const uint8_t metadata[16] = { [10] = 0xff, 0xff, 169, 254, 169, 254 };
	const struct network_surroundings around = { .own_namespace = true };
	network_policies l = { 0 }, back = { 0 };
	struct network_tables t = { 0 };
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t i;

	require(policy_network_add(p, &l, &e) == 0);
	require(network_policies_write(&l, &b, &e) == 0);
	require(network_policies_read(b.s, b.len, "fuzz", &back, &e) == 0);
	require(back.v[0].rules.n == l.v[0].rules.n);
	if (network_compile(&back, &around, &t, &e) == 0) {
		bool named = false;

		for (i = 0; i < p->network.allow_outgoing.n; i++)
			named |= p->network.allow_outgoing.v[i].prefix_len == 32;
		if (!named)
			require(network_decide_address(&t, metadata, 80).verdict !=
				NETWORK_ALLOW);
	} else {
		require(e.kind == ERR_POLICY);
	}
	network_tables_clear(&t);
	network_policies_clear(&l);
	network_policies_clear(&back);
	buf_free(&b);
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
	check_network(p);
	if (policy_check_enforceable(p, POLICY_HAS_FILTER | POLICY_HAS_GATEWAY, &e) < 0)
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
