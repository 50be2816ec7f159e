/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_diff(): what is said of two policies, and that nothing is left out: where random rules for
 * the network decide differently about a random address, a difference of that kind is named. And
 * policy_write(): what it writes means the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four above */
#include <cmocka.h>

#include "base/fd.h"
#include "policy/diff.h"
#include "policy/network.h"

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	struct err e;

	if (policy_parse(text, strlen(text), "t.yaml", &p, &e) < 0)
		fail_msg("%s\n%s", e.msg, text);
	return p;
}

static void diff(const char *first, const char *second, policy_differences *ret)
{
	_policy_free_ struct policy *a = parse(first), *b = parse(second);
	struct err e;

	if (policy_diff(a, b, ret, &e) < 0)
		fail_msg("%s", e.msg);
}

/* All differences as "change key: first -> second;", and the reverse question has the reverse answer. */
static void assert_diff(const char *first, const char *second, const char *wanted)
{
	_buf_free_ struct buf text = {};
	policy_differences l = {}, back = {};

	diff(first, second, &l);
	diff(second, first, &back);
	buf_adds(&text, "");
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&text, "%s%s %s: %s -> %s", i ? "; " : "",
			 policy_change_name(l.v[i].change), l.v[i].key, l.v[i].first,
			 l.v[i].second);
	assert_false(text.failed);
	assert_string_equal(text.s, wanted);
	assert_int_equal(back.n, l.n);
	for (size_t i = 0; i < l.n; i++) {
		bool found = false;

		for (size_t k = 0; k < back.n; k++)
			found |= back.v[k].change ==
				 (l.v[i].change == POLICY_OTHER	   ? POLICY_OTHER :
				  l.v[i].change == POLICY_STRICTER ? POLICY_LOOSER :
								     POLICY_STRICTER);
		assert_true(found);
	}
	policy_differences_clear(&l);
	policy_differences_clear(&back);
}

#define POLICY "name: t\n"

static void plain_values(void **state)
{
	assert_diff(POLICY, POLICY, "");
	assert_diff("name: a\ndescription: one\n", "name: b\n", "");
	assert_diff(POLICY "resources: { pids_limit: 10 }\n",
		    POLICY "resources: { pids_limit: 20, memory_limit_bytes: 1M }\n",
		    "stricter resources.memory_limit_bytes: no limit -> 1048576; "
		    "looser resources.pids_limit: 10 -> 20");
	assert_diff(POLICY, POLICY "capabilities: { add: [CAP_CHOWN] }\n",
		    "looser capabilities:  -> CAP_CHOWN");
	assert_diff(POLICY,
		    POLICY "capabilities: { default_drop: false, drop: [CAP_CHOWN] }\n",
		    "looser capabilities:  -> all others");
	assert_diff(POLICY
		    "filesystem: { output_paths: [{ host_path: /a, sandbox_path: /b }] }\n",
		    POLICY, "stricter filesystem.output_paths: /a at /b -> ");
	assert_diff(POLICY "enforcement: audit\nnetwork: { blocked_ips: [192.0.2.1] }\n",
		    POLICY "network: { blocked_ips: [192.0.2.1] }\n",
		    "stricter enforcement: audit -> enforce; "
		    "stricter network: 192.0.2.1 port 0/tcp and more: allowed by 192.0.2.1 "
		    "(t.yaml:3:26) -> denied by 192.0.2.1 (t.yaml:2:26); "
		    "stricter network.allow_incoming: 0-65535/tcp, 0-65535/udp -> ");
}

static void system_calls_by_what_they_mean(void **state)
{
	/* Written in another way, and the same. */
	assert_diff(POLICY "syscalls: { default_deny: true, allow: [read, write] }\n",
		    POLICY "syscalls: { default_deny: true, allow: [write, read, read] }\n",
		    "");
	assert_diff(POLICY "syscalls: { deny: [ptrace] }\n",
		    POLICY "syscalls: { deny: [ptrace, kill] }\n",
		    "stricter syscalls: kill: allowed -> denied, or with fewer arguments");
	/* Fewer arguments. */
	assert_diff(POLICY "syscalls: { default_deny: true, allow: [socket] }\n",
		    POLICY
		    "syscalls: { default_deny: true, advanced_rules: [{ syscall: socket, action: "
		    "allow, conditions: [{ arg: 0, op: eq, value: 1 }] }] }\n",
		    "stricter syscalls: socket: allowed -> denied, or with fewer arguments");
	assert_diff(POLICY
		    "syscalls: { default_deny: true, advanced_rules: [{ syscall: socket, action: "
		    "allow, conditions: [{ arg: 0, op: lt, value: 3 }] }] }\n",
		    POLICY
		    "syscalls: { default_deny: true, advanced_rules: [{ syscall: socket, action: "
		    "allow, conditions: [{ arg: 0, op: lte, value: 2 }] }] }\n",
		    "");
	assert_diff(POLICY
		    "syscalls: { default_deny: true, advanced_rules: [{ syscall: socket, action: "
		    "allow, conditions: [{ arg: 0, op: eq, value: 1 }] }] }\n",
		    POLICY
		    "syscalls: { default_deny: true, advanced_rules: [{ syscall: socket, action: "
		    "allow, conditions: [{ arg: 0, op: eq, value: 2 }] }] }\n",
		    "other syscalls: socket: some arguments -> other arguments");
	assert_diff(POLICY, POLICY "syscalls: { on_violation: kill }\n",
		    "stricter syscalls.on_violation: deny -> kill");
}

static void networks_by_what_they_mean(void **state)
{
	assert_diff(POLICY, POLICY "network: { isolated: false }\n",
		    "looser network.isolated: true -> false");
	/* Two halves are the whole. */
	assert_diff(POLICY "network: { allow_outgoing: ['192.0.2.0/24:443/tcp'] }\n",
		    POLICY
		    "network: { allow_outgoing: ['192.0.2.0/25:443/tcp', '192.0.2.128/25:443/tcp'] }\n",
		    "");
	assert_diff(POLICY "network: { allow_outgoing: ['192.0.2.0/24:443/tcp'] }\n",
		    POLICY
		    "network: { allow_outgoing: ['192.0.2.0/24:443/tcp'], blocked_ips: [192.0.2.7] }\n",
		    "stricter network: 192.0.2.7 port 443/tcp: allowed by 192.0.2.0/24:443/tcp "
		    "(t.yaml:2:29) -> denied by 192.0.2.7 (t.yaml:2:68)");
	/* A block beats a name that leads there. */
	assert_diff(POLICY
		    "network: { allow_outgoing: ['*.example.com:443/tcp'], blocked_ips: "
		    "[203.0.113.0/24] }\n",
		    POLICY "network: { allow_outgoing: ['*.example.com:443/tcp'] }\n",
		    "looser network: 203.0.113.0 port 443/tcp: denied by 203.0.113.0/24 "
		    "(t.yaml:2:69) -> allowed where a name that is allowed leads there");
	assert_diff(POLICY "network: { allow_outgoing: ['api.example.com:443/tcp'] }\n",
		    POLICY "network: { allow_outgoing: ['*.example.com:443/tcp'] }\n",
		    "looser network: *.api.example.com port 443/tcp and more: denied: no rule "
		    "speaks of it -> allowed by *.example.com:443/tcp (t.yaml:2:29)");
}

#define LLM(text) POLICY "ai_policy: { llm_apis: { " text " } }\n"
#define OPENAI(more) LLM("providers: [{ name: openai, api_key_env: K" more " }]")

static void models_and_providers(void **state)
{
	/* A pattern stands for its models. */
	assert_diff(OPENAI(", models: [gpt-4o, 'gpt-*']"), OPENAI(", models: ['gpt-*']"),
		    "");
	assert_diff(OPENAI(", models: ['gpt-*']"), OPENAI(", models: [gpt-4o]"),
		    "stricter ai_policy.llm_apis.providers: openai: models: gpt-* -> ");
	assert_diff(OPENAI(", prices: /etc/prices.json"), OPENAI(""),
		    "other ai_policy.llm_apis.providers: openai: prices: /etc/prices.json -> ");
	/* One that is not listed may be called then, with any model. */
	assert_diff(LLM("block_unknown: false, providers: [{ name: a, endpoints: [a.test], format: openai, "
			"api_key_env: K }, { name: openai, models: [gpt-4o], api_key_env: K }]"),
		    LLM("block_unknown: false, providers: [{ name: a, endpoints: [a.test], format: openai, "
			"api_key_env: K }]"),
		    "other ai_policy.llm_apis.providers: openai -> ");
}

static void what_is_recorded(void **state)
{
	assert_diff(POLICY "audit: { on_log_failure: continue }\n",
		    POLICY "audit: { keep_logs: 3 }\n",
		    "other audit.keep_logs: 10 -> 3; "
		    "stricter audit.on_log_failure: continue -> stop");
	assert_diff(POLICY "audit: { keep_logs: 3 }\n", POLICY "audit: { keep_logs: all }\n",
		    "other audit.keep_logs: 3 -> all");
	assert_diff(POLICY "audit: { alert: { command: [/a, b] } }\n",
		    POLICY "audit: { alert: { webhook: \"https://c.test/d\" } }\n",
		    "other audit.alert.command: /a, b -> ; "
		    "other audit.alert.webhook:  -> https://c.test/d");
	assert_diff(POLICY "ebpf_monitoring: { trace_files: true }\n",
		    POLICY "ebpf_monitoring: { trace_network: true }\n",
		    "looser ebpf_monitoring.trace_files: true -> false; "
		    "stricter ebpf_monitoring.trace_network: false -> true");
}

/* --- nothing is left out --- */

static uint32_t seed;

static uint32_t number(uint32_t end)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % end;
}

/* A few addresses, so that rules meet. */
static void write_rules(struct buf *out, bool ports)
{
	uint32_t n = 1 + number(4);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t len = 24 + number(9);
		uint32_t last = number(256) & (0xff00 >> (len - 24));

		buf_addf(out, "%s'192.0.2.%u/%u", i ? ", " : "", last & 0xff, len);
		if (ports && number(2)) {
			uint32_t lo = 1 + number(6);

			buf_addf(out, ":%u-%u", lo, lo + number(4));
			if (number(2))
				buf_adds(out, number(2) ? "/udp" : "/tcp");
		}
		buf_adds(out, "'");
	}
}

static void write_policy(struct buf *out)
{
	buf_adds(out, POLICY "network: { isolated: false");
	if (number(3)) {
		buf_adds(out, ", allow_outgoing: [");
		write_rules(out, true);
		buf_adds(out, "]");
	}
	if (number(2)) {
		buf_adds(out, ", blocked_ips: [");
		write_rules(out, false);
		buf_adds(out, "]");
	}
	buf_adds(out, "}\n");
}

struct side {
	network_policies policies;
	struct network_tables tables;
};

static void compile(const char *text, struct side *ret)
{
	const struct network_surroundings around = { .own_namespace = true };
	_policy_free_ struct policy *p = parse(text);
	struct err e;

	*ret = (struct side){};
	assert_int_equal(policy_network_add(p, &ret->policies, &e), 0);
	assert_int_equal(network_compile(&ret->policies, &around, &ret->tables, &e), 0);
}

static void side_clear(struct side *s)
{
	network_tables_clear(&s->tables);
	network_policies_clear(&s->policies);
}

static void check_pair(const char *first, const char *second)
{
	bool said[3] = {}, seen[3] = {};
	policy_differences l = {};
	struct side a, b;

	diff(first, second, &l);
	for (size_t i = 0; i < l.n; i++)
		said[l.v[i].change] = true;
	compile(first, &a);
	compile(second, &b);
	for (uint32_t last = 0; last < 256; last++) {
		const uint8_t address[16] = { [10] = 0xff, 0xff, 192, 0, 2, (uint8_t)last };

		for (uint32_t port = 0; port < 24; port++) {
			uint32_t p = port % 12 + (port < 12 ? 0 : NETWORK_UDP);
			bool x = network_decide_address(&a.tables, address, p).verdict !=
				 NETWORK_DENY,
			     y = network_decide_address(&b.tables, address, p).verdict !=
				 NETWORK_DENY;

			if (x != y)
				seen[y ? POLICY_LOOSER : POLICY_STRICTER] = true;
		}
	}
	if (seen[POLICY_LOOSER] && !said[POLICY_LOOSER])
		fail_msg("not named as looser:\n%s%s", first, second);
	if (seen[POLICY_STRICTER] && !said[POLICY_STRICTER])
		fail_msg("not named as stricter:\n%s%s", first, second);
	side_clear(&a);
	side_clear(&b);
	policy_differences_clear(&l);
}

static void no_difference_is_left_out(void **state)
{
	for (uint32_t i = 0; i < 300; i++) {
		_buf_free_ struct buf first = {}, second = {};

		seed = i;
		write_policy(&first);
		write_policy(&second);
		assert_false(first.failed || second.failed);
		check_pair(first.s, second.s);
	}
}

/* --- written and read again --- */

static void assert_same_again(const char *text)
{
	_policy_free_ struct policy *p = parse(text), *again = NULL;
	_buf_free_ struct buf out = {};
	policy_differences l = {};
	struct err e;

	assert_int_equal(policy_write(p, NULL, &out), 0);
	if (policy_parse(out.s, out.len, "again.yaml", &again, &e) < 0)
		fail_msg("%s\n%s", e.msg, out.s);
	assert_int_equal(policy_diff(p, again, &l, &e), 0);
	if (l.n)
		fail_msg("%s: %s -> %s\n%s", l.v[0].key, l.v[0].first, l.v[0].second, out.s);
	policy_differences_clear(&l);
}

static const char full[] =
	"name: full\n"
	"description: \"all: of it # and 'more'\"\n"
	"filesystem:\n"
	"  immutable_paths: [{ host_path: /usr }, { host_path: /a b, sandbox_path: /c }]\n"
	"  scratch_paths: [/tmp]\n"
	"  output_paths: [{ host_path: /out, sandbox_path: /o }]\n"
	"  working_dir: /tmp\n"
	"syscalls:\n"
	"  default_deny: true\n"
	"  on_violation: kill\n"
	"  allow: [read, write]\n"
	"  deny: [ptrace]\n"
	"  advanced_rules:\n"
	"    - { syscall: socket, action: allow, conditions: [{ arg: 0, op: eq, value: 0 }] }\n"
	"    - { syscall: prctl, action: log, conditions: [{ arg: 1, op: masked_eq, value: 1, mask: 3 }] }\n"
	"resources: { cpu_shares: 1.5, memory_limit_bytes: 512M, pids_limit: 7, block_io_limit: 50MBps,\n"
	"  session_timeout_seconds: 61 }\n"
	"capabilities: { default_drop: false, drop: [CAP_CHOWN] }\n"
	"network:\n"
	"  allow_outgoing: ['10.0.0.0/8:443', '*.example.com:8000-8010/udp', 443]\n"
	"  blocked_ips: ['10.1.0.0/16']\n"
	"  blocked_domains: [example.org]\n"
	"  allow_incoming: [8080]\n"
	"  dns_servers: [192.0.2.53]\n"
	"ai_policy:\n"
	"  budget: { max_tokens: 9, max_cost: $5.25, on_exceeded: deny, scope: 'team:red', period: day, "
	"alert_at: [50, 90] }\n"
	"  rate_limits: { requests_per_minute: 10 }\n"
	"  llm_apis:\n"
	"    block_unknown: false\n"
	"    providers: [{ name: openai, endpoints: [api.openai.com], models: [gpt-4o], format: openai, "
	"api_key_env: K }]\n"
	"  monitoring: { log_prompts: true }\n"
	"  security: { sensitive_data_scanning: true }\n";

static void what_is_written_means_the_same(void **state)
{
	assert_same_again(POLICY);
	assert_same_again(full);
	assert_same_again(POLICY "network: { isolated: false }\nenforcement: audit\n");
	for (uint32_t i = 0; i < 100; i++) {
		_buf_free_ struct buf text = {};

		seed = i;
		write_policy(&text);
		assert_same_again(text.s);
	}
}

static void notes_stand_behind_their_values(void **state)
{
	_policy_free_ struct policy *p = parse(
		POLICY "network: { allow_outgoing: ['192.0.2.1:1', '192.0.2.2:2'] }\n"
		       "filesystem: { immutable_paths: [{ host_path: /root }] }\n"
		       "resources: { pids_limit: 8 }\n");
	struct policy_note v[] = { { "network.allow_outgoing", "192.0.2.2:2", "why" },
				   { "filesystem.immutable_paths", "/root", "sensitive" },
				   { "resources.pids_limit", NULL, "seen: 4" } };
	const policy_notes notes = { .v = v, .n = ARRAY_SIZE(v) };
	_buf_free_ struct buf out = {};

	assert_int_equal(policy_write(p, &notes, &out), 0);
	assert_string_equal(out.s, "name: \"t\"\n"
				   "filesystem:\n"
				   "  immutable_paths:\n"
				   "    - # sensitive\n"
				   "      host_path: \"/root\"\n"
				   "      sandbox_path: \"/root\"\n"
				   "resources:\n"
				   "  pids_limit: 8 # seen: 4\n"
				   "network:\n"
				   "  isolated: false\n"
				   "  allow_outgoing:\n"
				   "    - \"192.0.2.1:1\"\n"
				   "    - \"192.0.2.2:2\" # why\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values),
		cmocka_unit_test(system_calls_by_what_they_mean),
		cmocka_unit_test(networks_by_what_they_mean),
		cmocka_unit_test(models_and_providers),
		cmocka_unit_test(what_is_recorded),
		cmocka_unit_test(no_difference_is_left_out),
		cmocka_unit_test(what_is_written_means_the_same),
		cmocka_unit_test(notes_stand_behind_their_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
