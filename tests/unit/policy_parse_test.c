/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language: every key with good values and bad ones, and the exact place and text of
 * each message. The bad ones are in data/policy-bad.txt; a key of the language that has no bad
 * value there fails the test.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the four above */
#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "policy/language.h"
#include "policy/policy.h"

/* A file of the source tree: `make check` says where it is. */
static char *source_path(const char *path)
{
	const char *top = getenv("srcdir");
	char *r = str_printf("%s/%s", top ? top : ".", path);

	assert_non_null(r);
	return r;
}

static char *read_source(const char *path)
{
	_free_ char *full = source_path(path);
	struct err e = { 0 };
	char *text = NULL;

	if (fs_read(AT_FDCWD, full, 1 << 20, &text, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	return text;
}

static struct policy *parse_ok(const char *text)
{
	struct policy *p = NULL;
	struct err e = { 0 };

	if (policy_parse(text, strlen(text), "f.yaml", &p, &e) < 0)
		fail_msg("%s\n%s", text, e.msg);
	return p;
}

static void expect_refused(const char *text, size_t len, const char *want)
{
	struct policy *p = NULL;
	struct err e = { 0 };
	int r = policy_parse(text, len, "f.yaml", &p, &e);

	if (r == 0)
		fail_msg("accepted, and should be refused with: %s\n%.400s", want, text);
	assert_null(p);
	assert_int_equal(r, -e.code);
	assert_int_equal(e.kind, ERR_POLICY);
	if (!streq(e.msg, want))
		fail_msg("policy:\n%.400s\nexpected: %s\nfound:    %s", text, want, e.msg);
}

/* Calls `visit` for each case of data/policy-bad.txt. */
static size_t each_bad_case(void (*visit)(const char *text, const char *message, void *arg),
			    void *arg)
{
	_free_ char *all = read_source("tests/unit/data/policy-bad.txt");
	char *at = strstr(all, "\n=== "), *text, *next;
	size_t n = 0;

	for (; at; at = next, n++) {
		text = strchr(at + 1, '\n');
		assert_non_null(text);
		*text++ = '\0';
		next = strstr(text, "\n=== ");
		if (next)
			*next = '\0';
		visit(text, at + strlen("\n=== "), arg);
	}
	return n;
}

static void visit_refused(const char *text, const char *message, void *arg)
{
	expect_refused(text, strlen(text), message);
}

static void test_bad_values(void **state)
{
	assert_true(each_bad_case(visit_refused, NULL) > 300);
}

static void visit_collect(const char *text, const char *message, void *arg)
{
	assert_int_equal(strv_add(arg, message), 0);
}

static void check_covered(const struct policy_key *keys, const char *prefix,
			  const struct strv *messages)
{
	for (; keys->name; keys++) {
		_free_ char *path = str_printf("%s%s%s", prefix, *prefix ? "." : "",
					       keys->name);
		_free_ char *fault = str_printf(": %s: ", path);
		_free_ char *empty = str_printf(": %s is empty", path);
		bool found = false;
		size_t i;

		for (i = 0; i < messages->n && !found; i++)
			found = strstr(messages->v[i], fault) ||
				strstr(messages->v[i], empty);
		if (!found)
			fail_msg("data/policy-bad.txt has no bad value of %s", path);
		if (keys->keys)
			check_covered(keys->keys, path, messages);
	}
}

static void test_every_key_has_bad_values(void **state)
{
	_strv_free_ struct strv messages = { 0 };

	each_bad_case(visit_collect, &messages);
	check_covered(policy_language.keys, "", &messages);
}

static void test_bad_documents(void **state)
{
	char deep[400] = "name: x\nfilesystem: ";
	_free_ char *large = calloc(1, POLICY_FILE_MAX + 2);
	_buf_free_ struct buf b = { 0 };
	size_t len = strlen(deep), i;

	expect_refused("", 0, "policy f.yaml:1:1: the file is empty");
	expect_refused("name: x\n\tdescription: y\n", 24,
		       "policy f.yaml:2:1: not YAML: found a tab character that violates "
		       "indentation (while scanning a plain scalar)");
	expect_refused("name: x\ndescription: \x01\n", 23,
		       "policy f.yaml:2:14: not YAML: control characters are not allowed");
	expect_refused("name: x\n\0", 9,
		       "policy f.yaml:2:1: not YAML: control characters are not "
		       "allowed");
	expect_refused("name: x\ndescription: \xc3\xa4\xff\n", 25,
		       "policy f.yaml:2:15: not YAML: invalid leading UTF-8 octet");
	expect_refused("\xff\xfen\0a\0", 6,
		       "policy f.yaml:1:1: not YAML: invalid leading UTF-8 octet");
	for (i = 0; i < 100; i++)
		deep[len++] = '[';
	expect_refused(deep, len, "policy f.yaml:2:28: nested more than 16 deep");
	assert_non_null(large);
	memset(large, '#', POLICY_FILE_MAX + 1);
	expect_refused(large, POLICY_FILE_MAX + 1,
		       "policy f.yaml:1:1: the file is larger than 8 MiB");
	buf_adds(&b, "name: x\nsyscalls:\n  allow: [");
	for (i = 0; i < 4097; i++)
		buf_adds(&b, "read, ");
	buf_adds(&b, "]\n");
	expect_refused(b.s, b.len,
		       "policy f.yaml:3:10: syscalls.allow has more than 4096 entries");
	b.len = 0;
	buf_adds(&b, "name: x\nsyscalls:\n  allow: [");
	for (i = 0; i < 270000; i++)
		buf_adds(&b, "a, ");
	buf_adds(&b, "]\n");
	expect_refused(b.s, b.len, "policy f.yaml:3:786422: more than 262144 values");
	b.len = 0;
	buf_adds(&b, "name: x\nnetwork:\n  blocked_ips: [");
	for (i = 0; i < 100001; i++)
		buf_addf(&b, "1.%zu.%zu.%zu, ", i >> 16, i >> 8 & 255, i & 255);
	buf_adds(&b, "]\n");
	expect_refused(b.s, b.len,
		       "policy f.yaml:3:16: network.blocked_ips has more than 100000 entries");
}

static void check_pos(struct policy_pos pos, int line, int column)
{
	assert_int_equal(pos.line, line);
	assert_int_equal(pos.column, column);
}

static void check_names(const policy_names *l, const char *want)
{
	_buf_free_ struct buf b = { 0 };
	size_t i;

	for (i = 0; i < l->n; i++) {
		assert_true(l->v[i].pos.line > 0);
		buf_addf(&b, "%s%s", i ? " " : "", l->v[i].name);
	}
	assert_string_equal(b.s ? b.s : "", want);
}

static void check_rule(const struct policy_net_rule *r, const char *address,
		       unsigned int len, const char *domain, bool wildcard,
		       unsigned int lo, unsigned int hi, unsigned int protocol)
{
	char shown[INET6_ADDRSTRLEN];

	assert_int_equal(r->has_address, address != NULL);
	if (address) {
		assert_non_null(inet_ntop(r->family, r->address, shown, sizeof(shown)));
		assert_string_equal(shown, address);
		assert_int_equal(r->prefix_len, len);
	}
	assert_true(streq_null(r->domain, domain));
	assert_int_equal(r->wildcard, wildcard);
	assert_int_equal(r->port_lo, lo);
	assert_int_equal(r->port_hi, hi);
	assert_int_equal(r->protocol, protocol);
	assert_non_null(r->text);
}

static void check_readme_rules(const struct policy *p)
{
	const struct policy_net_rule *r = p->network.allow_outgoing.v;

	assert_int_equal(p->network.allow_outgoing.n, 9);
	check_rule(&r[0], NULL, 0, NULL, false, 443, 443, 0);
	check_rule(&r[1], NULL, 0, NULL, false, 8000, 8010, IPPROTO_TCP);
	check_rule(&r[2], "10.0.0.0", 8, NULL, false, 443, 443, 0);
	check_rule(&r[3], "2001:db8::", 32, NULL, false, 443, 443, 0);
	check_rule(&r[4], "2001:db8::1", 128, NULL, false, 0, 0, 0);
	check_rule(&r[5], "1.2.3.4", 32, NULL, false, 0, 0, 0);
	check_rule(&r[6], NULL, 0, "api.example.com", false, 0, 0, 0);
	check_rule(&r[7], NULL, 0, "example.com", true, 443, 443, IPPROTO_UDP);
	check_rule(&r[8], "10.1.0.0", 16, NULL, false, 0, 0, IPPROTO_UDP);
	assert_string_equal(r[6].text, "API.Example.com.");
	assert_int_equal(p->network.blocked_ips.n, 3);
	check_rule(&p->network.blocked_ips.v[0], "169.254.169.254", 32, NULL, false, 0, 0,
		   0);
	check_rule(&p->network.blocked_ips.v[1], "fd00::", 8, NULL, false, 0, 0, 0);
	check_names(&p->network.blocked_domains, "evil.example bad.example");
	assert_int_equal(p->network.allow_incoming.n, 2);
	check_rule(&p->network.allow_incoming.v[0], NULL, 0, NULL, false, 8080, 8080, 0);
	check_rule(&p->network.allow_incoming.v[1], NULL, 0, NULL, false, 9000, 9010,
		   IPPROTO_UDP);
	check_names(&p->network.dns_servers, "9.9.9.9 2620:fe::fe");
	assert_false(p->network.isolated);
}

static void check_readme_system(const struct policy *p)
{
	const struct policy_path *imm = p->filesystem.immutable_paths.v;
	const struct policy_syscall_rule *rule = p->syscalls.advanced_rules.v;

	assert_int_equal(p->filesystem.immutable_paths.n, 4);
	assert_string_equal(imm[1].host_path, "/opt/data/set");
	assert_string_equal(imm[1].sandbox_path, "/data");
	assert_null(imm[2].host_path);
	assert_string_equal(imm[2].sandbox_path, "/etc");
	assert_string_equal(imm[3].sandbox_path, "/bin");
	check_pos(imm[1].pos, 10, 7);
	check_names(&p->filesystem.scratch_paths, "/tmp /workspace");
	assert_string_equal(p->filesystem.output_paths.v[0].host_path, "/srv/output");
	assert_string_equal(p->filesystem.output_paths.v[0].sandbox_path, "/output");
	assert_string_equal(p->filesystem.working_dir, "/workspace");
	check_pos(p->filesystem.working_dir_pos, 18, 3);
	assert_true(p->syscalls.default_deny);
	assert_true(p->syscalls.kill_on_violation);
	assert_int_equal(p->syscalls.allow.n, 10);
	check_names(&p->syscalls.deny, "ptrace mount");
	assert_int_equal(p->syscalls.advanced_rules.n, 3);
	assert_string_equal(rule[0].syscall, "socket");
	assert_int_equal(rule[0].action, POLICY_DENY);
	assert_int_equal(rule[0].conditions.v[0].op, POLICY_OP_NEQ);
	assert_int_equal(rule[1].action, POLICY_KILL);
	assert_int_equal(rule[1].conditions.v[0].arg, 2);
	assert_int_equal(rule[1].conditions.v[0].op, POLICY_OP_MASKED_EQ);
	assert_int_equal(rule[1].conditions.v[0].value, 6);
	assert_int_equal(rule[1].conditions.v[0].mask, 6);
	assert_int_equal(rule[2].action, POLICY_LOG);
	assert_int_equal(rule[2].conditions.n, 0);
	assert_int_equal(p->resources.cpu_millis, 500);
	assert_int_equal(p->resources.memory_bytes, 512 << 20);
	assert_int_equal(p->resources.pids_limit, 100);
	assert_int_equal(p->resources.block_io_bps, 50 << 20);
	assert_int_equal(p->resources.timeout_seconds, 3600);
	check_names(&p->capabilities.add, "CAP_NET_BIND_SERVICE CAP_CHOWN");
	check_names(&p->capabilities.drop, "ALL");
}

static void check_readme_ai(const struct policy *p)
{
	const struct policy_provider *v = p->ai_policy.llm_apis.providers.v;

	assert_true(p->audit.enabled);
	assert_string_equal(p->audit.log_path, "/var/log/purple/readme.jsonl");
	assert_int_equal(p->audit.detail_level.n, 8);
	assert_int_equal(p->audit.max_log_size, 50 << 20);
	assert_int_equal(p->audit.keep_logs, 5);
	assert_int_equal(p->audit.on_log_failure, POLICY_LOG_CONTINUE);
	assert_int_equal(p->audit.alert.command.n, 2);
	assert_string_equal(p->audit.alert.command.v[1], "on call");
	assert_string_equal(p->audit.alert.webhook,
			    "https://hooks.example.com/services/T0?sig=x");
	assert_true(p->ai_policy.budget.has_max_tokens);
	assert_int_equal(p->ai_policy.budget.max_tokens, 100000);
	assert_true(p->ai_policy.budget.has_max_cost);
	assert_int_equal(p->ai_policy.budget.max_cost_picodollars, 5000000000000);
	assert_int_equal(p->ai_policy.budget.on_exceeded, POLICY_EXCEEDED_FREEZE);
	assert_string_equal(p->ai_policy.budget.scope, "team:research");
	assert_string_equal(p->ai_policy.budget.period, "month");
	assert_int_equal(p->ai_policy.budget.alert_at.n, 3);
	assert_int_equal(p->ai_policy.budget.alert_at.v[2], 95);
	assert_int_equal(p->ai_policy.rate_limits.requests_per_minute, 60);
	assert_int_equal(p->ai_policy.rate_limits.tokens_per_minute, 90000);
	assert_int_equal(p->ai_policy.llm_apis.providers.n, 2);
	assert_string_equal(v[0].name, "openai");
	assert_string_equal(v[0].endpoints.v[1], "https://eu.api.openai.com/v1");
	assert_string_equal(v[0].models.v[1], "gpt-4o-*");
	assert_string_equal(v[0].format, "openai");
	assert_string_equal(v[0].api_key_env, "OPENAI_API_KEY");
	assert_string_equal(v[0].prices, "/etc/purple/prices.json");
	assert_string_equal(v[1].api_key_file, "/etc/purple/keys/anthropic");
	assert_false(p->ai_policy.llm_apis.block_unknown);
	assert_true(p->ai_policy.monitoring.log_prompts);
	assert_false(p->ai_policy.monitoring.log_responses);
	assert_true(p->ai_policy.monitoring.log_tokens && p->ai_policy.monitoring.log_costs);
	assert_true(p->ai_policy.security.sensitive_data_scanning);
	assert_true(p->ai_policy.security.prompt_injection_detection);
	assert_true(p->ebpf_monitoring.enabled && p->ebpf_monitoring.trace_syscalls &&
		    p->ebpf_monitoring.trace_files && p->ebpf_monitoring.trace_network);
}

/* A policy with every key of the language; the list of keys comes from the table. */
static void check_named(const struct policy_key *keys, const char *text)
{
	for (; keys->name; keys++) {
		_free_ char *key = str_printf("%s:", keys->name);

		if (!strstr(text, key))
			fail_msg("data/readme-policy.yaml does not use '%s'", keys->name);
		if (keys->keys)
			check_named(keys->keys, text);
	}
}

static void test_complete_policy(void **state)
{
	_free_ char *text = read_source("tests/unit/data/readme-policy.yaml");
	_policy_free_ struct policy *p = parse_ok(text);

	check_named(policy_language.keys, text);
	assert_string_equal(p->file, "f.yaml");
	assert_string_equal(p->name, "readme-policy");
	assert_string_equal(p->description, "A policy that uses every key of the language");
	assert_int_equal(p->enforcement, POLICY_ENFORCE);
	check_pos(p->filesystem.pos, 6, 1);
	check_pos(p->resources.memory_pos, 42, 3);
	check_pos(p->ai_policy.budget.pos, 81, 3);
	check_readme_system(p);
	check_readme_rules(p);
	check_readme_ai(p);
}

static void test_defaults(void **state)
{
	_policy_free_ struct policy *p = parse_ok("name: x\n");
	_policy_free_ struct policy *q = parse_ok(
		"{\"name\": \"x\", \"audit\": {}, \"network\": {}, "
		"\"ebpf_monitoring\": {}, \"ai_policy\": {}, "
		"\"capabilities\": {}, \"syscalls\": {}}");

	assert_null(p->description);
	assert_int_equal(p->network.pos.line, 0);
	assert_int_equal(p->resources.memory_pos.line, 0);
	assert_true(p->network.isolated && q->network.isolated);
	assert_true(p->capabilities.default_drop && q->capabilities.default_drop);
	assert_false(p->syscalls.default_deny || p->syscalls.kill_on_violation);
	assert_false(p->audit.enabled || p->ebpf_monitoring.enabled);
	assert_true(q->audit.enabled && q->ebpf_monitoring.enabled);
	assert_true(p->ai_policy.llm_apis.block_unknown &&
		    q->ai_policy.llm_apis.block_unknown);
	assert_false(q->ai_policy.monitoring.log_prompts ||
		     q->ai_policy.monitoring.log_responses);
	assert_int_equal(q->ai_policy.budget.on_exceeded, POLICY_EXCEEDED_STOP);
	assert_string_equal(q->ai_policy.budget.scope, "session");
	assert_int_equal(q->network.pos.line, 1);
}

struct number {
	const char *key, *text;
	size_t offset;
	uint64_t want;
};

#define RES(member) offsetof(struct policy, resources.member)

static void test_good_numbers(void **state)
{
	static const struct number numbers[] = {
		{ "memory_limit_bytes", "1048576", RES(memory_bytes), 1048576 },
		{ "memory_limit_bytes", "\"1048576\"", RES(memory_bytes), 1048576 },
		{ "memory_limit_bytes", "1M", RES(memory_bytes), 1 << 20 },
		{ "memory_limit_bytes", "1024k", RES(memory_bytes), 1 << 20 },
		{ "memory_limit_bytes", "512MB", RES(memory_bytes), 512 << 20 },
		{ "memory_limit_bytes", "\"2GiB\"", RES(memory_bytes), 2ull << 30 },
		{ "memory_limit_bytes", "1.5G", RES(memory_bytes), 3ull << 29 },
		{ "memory_limit_bytes", "4194304T", RES(memory_bytes), 1ull << 62 },
		{ "block_io_limit", "50MBps", RES(block_io_bps), 50 << 20 },
		{ "block_io_limit", "\"1.5GB/s\"", RES(block_io_bps), 3ull << 29 },
		{ "block_io_limit", "1KiBps", RES(block_io_bps), 1024 },
		{ "block_io_limit", "2048", RES(block_io_bps), 2048 },
		{ "block_io_limit", "2048Bps", RES(block_io_bps), 2048 },
		{ "cpu_shares", "0.01", RES(cpu_millis), 10 },
		{ "cpu_shares", "0.125", RES(cpu_millis), 125 },
		{ "cpu_shares", "2", RES(cpu_millis), 2000 },
		{ "cpu_shares", "2.0", RES(cpu_millis), 2000 },
		{ "cpu_shares", "1024", RES(cpu_millis), 1024000 },
		{ "pids_limit", "1", RES(pids_limit), 1 },
		{ "pids_limit", "4194304", RES(pids_limit), 4194304 },
		{ "session_timeout_seconds", "1", RES(timeout_seconds), 1 },
		{ "session_timeout_seconds", "31536000", RES(timeout_seconds), 31536000 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		_free_ char *text = str_printf("name: x\nresources:\n  %s: %s\n",
					       numbers[i].key, numbers[i].text);
		_policy_free_ struct policy *p = parse_ok(text);

		if (*(uint64_t *)((char *)p + numbers[i].offset) != numbers[i].want)
			fail_msg("%s", text);
	}
}

static void test_good_money(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} sums[] = {
		{ "\"$5.00\"", 5000000000000 },
		{ "5", 5000000000000 },
		{ "5.00", 5000000000000 },
		{ "$0.000000000001", 1 },
		{ "0", 0 },
		{ "9223372.036854775807", INT64_MAX },
		{ "'$0.25'", 250000000000 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sums); i++) {
		_free_ char *text =
			str_printf("name: x\nai_policy:\n  budget:\n    max_cost: %s\n",
				   sums[i].text);
		_policy_free_ struct policy *p = parse_ok(text);

		assert_true(p->ai_policy.budget.has_max_cost);
		assert_false(p->ai_policy.budget.has_max_tokens);
		if (p->ai_policy.budget.max_cost_picodollars != sums[i].want)
			fail_msg("%s", text);
	}
}

static void test_good_conditions(void **state)
{
	static const char *const ops[] = { "eq", "neq", "lt", "lte", "gt", "gte" };
	static const struct {
		const char *text;
		uint64_t want;
	} values[] = {
		{ "0", 0 },	     { "10", 10 },
		{ "0x1F", 31 },	     { "0o17", 15 },
		{ "\"0xff\"", 255 }, { "18446744073709551615", UINT64_MAX },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (k = 0; k < ARRAY_SIZE(values); k++) {
			_free_ char *text =
				str_printf("name: x\nsyscalls:\n  advanced_rules:\n  - syscall: read\n"
					   "    action: allow\n    conditions:\n"
					   "      - {arg: %zu, op: %s, value: %s}\n",
					   k, ops[i], values[k].text);
			_policy_free_ struct policy *p = parse_ok(text);
			const struct policy_condition *c =
				p->syscalls.advanced_rules.v[0].conditions.v;

			assert_int_equal(c->arg, k);
			assert_int_equal(c->op, POLICY_OP_EQ + i);
			assert_true(c->value == values[k].want);
		}
	}
}

static void test_good_texts(void **state)
{
	static const char *const good[] = {
		"name: a",
		"name: x\ndescription: |\n  two\n  lines",
		"name: x\nenforcement: audit",
		"name: 'x' # comment",
		"--- # a document may be marked\nname: x\n...",
		"\xef\xbb\xbfname: x",
		"name: x\nnetwork: {isolated: TRUE}",
		"name: x\nnetwork: {isolated: true, blocked_ips: [1.2.3.4], dns_servers: [9.9.9.9]}",
		"name: x\nnetwork: {isolated: true, allow_outgoing: []}",
		"name: x\nnetwork: {allow_outgoing: []}",
		"name: x\nnetwork: {isolated: False}",
		"name: x\nnetwork: {allow_outgoing: [0.0.0.0/0, '::/0', localhost, xn--bcher-kva.example]}",
		"name: x\nfilesystem: {immutable_paths: [{sandbox_path: /}]}",
		"name: x\nfilesystem: {immutable_paths: [{host_path: /, sandbox_path: /}]}",
		"name: x\nfilesystem: {immutable_paths: [{host_path: /proc, sandbox_path: /hostproc}]}",
		"name: x\nfilesystem: {immutable_paths: [{host_path: /a}], scratch_paths: [/a/b]}",
		"name: x\nfilesystem: {immutable_paths: [{host_path: /a..b/...}]}",
		"name: x\nfilesystem: {scratch_paths: [/devices, /system]}",
		"name: x\ncapabilities: {add: [net_raw, Cap_Kill], drop: [all, CAP_SYS_ADMIN]}",
		"name: x\nsyscalls: {allow: [socketcall], deny: []}",
		"name: x\nai_policy: {llm_apis: {providers: [{name: OpenAI}]}}",
		"name: x\nai_policy: {llm_apis: {providers: [{name: a, endpoints: ['10.0.0.1:8080', "
		"'[::1]:80', localhost, 'http://localhost:11434/v1', '*.openai.azure.com']}]}}",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		_policy_free_ struct policy *p = parse_ok(good[i]);

		assert_non_null(p);
	}
}

static void test_isolated_follows_rules(void **state)
{
	_policy_free_ struct policy *p =
		parse_ok("name: x\nnetwork: {blocked_domains: [a.example]}");
	_policy_free_ struct policy *q =
		parse_ok("name: x\nnetwork: {dns_servers: [9.9.9.9]}");

	assert_false(p->network.isolated);
	assert_true(q->network.isolated);
}

static void test_enforceable(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", NULL },
		{ "network: {isolated: false}", NULL },
		{ "network: {isolated: true, blocked_ips: [1.2.3.4], blocked_domains: [a.b]}",
		  NULL },
		{ "audit: {enabled: false, log_path: /x}", NULL },
		{ "ebpf_monitoring: {enabled: false, trace_files: true}", NULL },
		{ "ai_policy: {monitoring: {log_prompts: false}, security: {}}", NULL },
		{ "resources: {session_timeout_seconds: 5, block_io_limit: 1MBps}", NULL },
		{ "enforcement: audit", "2:1: enforcement: audit needs the network filter" },
		{ "network: {allow_outgoing: [443]}",
		  "2:28: network.allow_outgoing needs the network filter" },
		{ "network: {allow_incoming: [443]}",
		  "2:28: network.allow_incoming needs the network filter" },
		{ "network: {blocked_ips: [1.2.3.4]}",
		  "2:25: network.blocked_ips needs the network filter" },
		{ "network: {blocked_domains: [a.b]}",
		  "2:29: network.blocked_domains needs the network filter" },
		{ "network: {isolated: false, dns_servers: [9.9.9.9]}",
		  "2:42: network.dns_servers needs the network filter" },
		{ "audit: {}", "2:1: audit needs purple-monitor" },
		{ "audit: {log_path: /x, enabled: true}",
		  "2:23: audit needs purple-monitor" },
		{ "ebpf_monitoring: {}", "2:1: ebpf_monitoring needs purple-monitor" },
		{ "ai_policy: {budget: {max_tokens: 1}}",
		  "2:13: ai_policy.budget needs the LLM gateway" },
		{ "ai_policy: {rate_limits: {tokens_per_minute: 1}}",
		  "2:13: ai_policy.rate_limits needs the LLM gateway" },
		{ "ai_policy: {llm_apis: {}}",
		  "2:13: ai_policy.llm_apis needs the LLM gateway" },
		{ "ai_policy: {monitoring: {log_prompts: true}}",
		  "2:13: ai_policy.monitoring.log_prompts needs the LLM gateway" },
		{ "ai_policy: {monitoring: {log_responses: true}}",
		  "2:13: ai_policy.monitoring.log_responses needs the LLM gateway" },
		{ "ai_policy: {monitoring: {log_tokens: true}}",
		  "2:13: ai_policy.monitoring.log_tokens needs the LLM gateway" },
		{ "ai_policy: {monitoring: {log_costs: true}}",
		  "2:13: ai_policy.monitoring.log_costs needs the LLM gateway" },
		{ "ai_policy: {security: {sensitive_data_scanning: true}}",
		  "2:13: ai_policy.security.sensitive_data_scanning needs the LLM gateway" },
		{ "ai_policy: {security: {prompt_injection_detection: true}}",
		  "2:13: ai_policy.security.prompt_injection_detection needs the LLM gateway" },
		/* The first of several, in the order of the file. */
		{ "audit: {}\nnetwork: {allow_outgoing: [443]}",
		  "2:1: audit needs purple-monitor" },
		{ "network: {allow_outgoing: [443]}\naudit: {}",
		  "2:28: network.allow_outgoing needs the network filter" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *text = str_printf("name: x\n%s\n", cases[i].text);
		_policy_free_ struct policy *p = parse_ok(text);
		_free_ char *want = NULL;
		struct err e = { 0 };
		int r = policy_check_enforceable(p, false, &e);

		if (!cases[i].want) {
			if (r < 0)
				fail_msg("%s", e.msg);
			continue;
		}
		want = str_printf("policy f.yaml:%s, which %s", cases[i].want,
				  str_has_suffix(cases[i].want, "the network filter") ?
					  "Purple's own runtime has as root, and others by "
					  "purple-network-hook" :
					  "only Purple's own runtime starts, as root");
		assert_int_equal(r, -ENOTSUP);
		assert_int_equal(e.kind, ERR_UNSUPPORTED);
		assert_string_equal(e.msg, want);
	}
}

/* What is traced has to go somewhere. */
static void test_traces_need_a_log(void **state)
{
	_policy_free_ struct policy
		*silent = parse_ok("name: x\nebpf_monitoring: {}\n"),
		*lost = parse_ok("name: x\nebpf_monitoring: {trace_files: true}\n"),
		*off = parse_ok("name: x\naudit: {enabled: false}\n"
				"ebpf_monitoring: {trace_network: true}\n"),
		*good = parse_ok("name: x\naudit: {}\n"
				 "ebpf_monitoring: {trace_files: true}\n");
	struct err e = { 0 };

	assert_int_equal(policy_check_enforceable(silent, POLICY_HAS_ALL, &e), 0);
	assert_int_equal(policy_check_enforceable(good, POLICY_HAS_ALL, &e), 0);
	assert_int_equal(policy_check_enforceable(off, POLICY_HAS_ALL, &e), -EINVAL);
	assert_int_equal(policy_check_enforceable(lost, POLICY_HAS_ALL, &e), -EINVAL);
	assert_string_equal(e.msg,
			    "policy f.yaml:2:1: ebpf_monitoring: what is traced goes to the "
			    "log of audit, which is not enabled: add 'audit: { enabled: "
			    "true }'");
}

static void test_lint(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "filesystem: {scratch_paths: [/t]}",
		  "2:30: filesystem.scratch_paths: without" },
		{ "filesystem: {output_paths: [{host_path: /etc}]}",
		  "2:29: filesystem.output_paths: the agent can change the host's '/etc'" },
		{ "filesystem: {immutable_paths: [{host_path: /, sandbox_path: /}]}",
		  "2:32: filesystem.immutable_paths: the agent can read all" },
		{ "filesystem: {working_dir: /w}",
		  "2:14: filesystem.working_dir: '/w' is below none" },
		{ "syscalls: {allow: [ptrace]}",
		  "2:20: syscalls.allow: 'ptrace' is dangerous" },
		{ "syscalls: {allow: [dup], deny: [dup]}",
		  "2:20: syscalls.allow: 'dup' is in deny too" },
		{ "syscalls: {deny: [dup, dup]}",
		  "2:24: syscalls.deny: 'dup' is there already (line 2)" },
		{ "syscalls: {default_deny: true}",
		  "2:1: syscalls.default_deny: 'execve' is not" },
		{ "syscalls: {default_deny: true}",
		  "2:1: syscalls.default_deny: 'mmap' is not" },
		{ "syscalls: {advanced_rules: [{syscall: bpf, action: allow}]}",
		  "2:29: syscalls.advanced_rules: 'bpf' is dangerous" },
		{ "syscalls: {advanced_rules: [{syscall: dup, action: deny, conditions: [{arg: 0, op: "
		  "masked_eq, value: 3, mask: 1}]}]}",
		  "2:29: syscalls.advanced_rules: value 0x3 has bits outside mask 0x1" },
		{ "syscalls: {advanced_rules: [{syscall: dup, action: allow, conditions: [{arg: 0, op: "
		  "eq, value: 3}]}]}",
		  "2:29: syscalls.advanced_rules: the default profile allows every 'dup'" },
		{ "capabilities: {add: [SYS_ADMIN]}",
		  "2:22: capabilities.add: 'CAP_SYS_ADMIN' is danger" },
		{ "capabilities: {add: [KILL], drop: [ALL]}",
		  "2:22: capabilities.add: 'CAP_KILL' is dropped too" },
		{ "capabilities: {add: [KILL], default_drop: false}",
		  "2:22: capabilities.add: without default_drop: true" },
		{ "network: {allow_outgoing: [intranet]}",
		  "2:28: network.allow_outgoing: 'intranet' has a single label: what" },
		{ "network: {allow_outgoing: ['*.com']}",
		  "2:28: network.allow_outgoing: '*.com' has a single label: this allows" },
		{ "network: {allow_outgoing: ['0.0.0.0/0:443']}",
		  "2:28: network.allow_outgoing: '0.0.0.0/0:443' is every address" },
		{ "network: {blocked_domains: [com]}",
		  "2:29: network.blocked_domains: 'com' has a" },
		{ "network: {isolated: true, blocked_ips: [1.2.3.4]}",
		  "2:1: network: isolated lets" },
		{ "network: {isolated: false}", "2:1: network: without allow_outgoing" },
		{ "ai_policy: {budget: {max_tokens: 1, period: day}}",
		  "2:13: ai_policy.budget: 'period' with scope session" },
		{ "ai_policy: {llm_apis: {block_unknown: false}}",
		  "2:13: ai_policy.llm_apis: with block_unknown: false" },
		{ "ai_policy: {monitoring: {log_prompts: true}}",
		  "2:13: ai_policy.monitoring: what" },
		{ "", "1:1: name: 'x' is not the name of the file" },
	};
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *text = str_printf("name: x\n%s\n", cases[i].text);
		_free_ char *want = str_printf("policy f.yaml:%s", cases[i].want);
		_policy_free_ struct policy *p = parse_ok(text);
		_strv_free_ struct strv warnings = { 0 };
		struct err e = { 0 };
		bool found = false;

		assert_int_equal(policy_lint(p, &warnings, &e), 0);
		for (k = 0; k < warnings.n; k++)
			found = found || str_has_prefix(warnings.v[k], want);
		if (!found)
			fail_msg("no warning '%s' for:\n%s", want, text);
	}
}

/* The shipped policies: all can be read, and these hold now. */
static void test_shipped_policies(void **state)
{
	static const char *const enforceable[] = { "secure-agent", "code-analyst",
						   "simple-ai-test", "cicd-worker",
						   "honeypot" };
	_free_ char *dir = source_path("policies");
	_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0, held = 0, i;

	assert_non_null(d);
	while ((entry = readdir(d))) {
		_free_ char *path = str_printf("%s/%s", dir, entry->d_name);
		_policy_free_ struct policy *p = NULL;
		_strv_free_ struct strv warnings = { 0 };
		struct err e = { 0 };

		if (!str_has_suffix(entry->d_name, ".yaml"))
			continue;
		n++;
		if (policy_load(path, &p, &e) < 0)
			fail_msg("%s", e.msg);
		assert_non_null(p->description);
		if (policy_check_enforceable(p, POLICY_HAS_ALL, &e) < 0)
			fail_msg("%s", e.msg);
		assert_int_equal(policy_lint(p, &warnings, &e), 0);
		/* It has no resources on purpose. */
		if (warnings.n != (streq(p->name, "simple-ai-test") ? 1 : 0))
			fail_msg("%s", warnings.n ? warnings.v[0] : path);
		for (i = 0; i < ARRAY_SIZE(enforceable); i++) {
			if (!streq(p->name, enforceable[i]))
				continue;
			held++;
			if (policy_check_enforceable(p, false, &e) < 0)
				fail_msg("%s", e.msg);
		}
	}
	assert_int_equal(n, 11);
	assert_int_equal(held, ARRAY_SIZE(enforceable));
}

static void test_load_faults(void **state)
{
	struct policy *p = NULL;
	struct err e = { 0 };

	assert_int_equal(policy_load("/nonexistent/x.yaml", &p, &e), -ENOENT);
	assert_int_equal(e.kind, ERR_POLICY);
	/* Engines take "no such file" and "not found" for other things. */
	assert_string_equal(e.msg, "policy /nonexistent/x.yaml: the file does not exist");
	assert_true(policy_load("/dev/null", &p, &e) < 0);
	assert_string_equal(e.msg, "policy /dev/null: not a regular file");
	assert_true(policy_load("/", &p, &e) < 0);
	assert_string_equal(e.msg, "policy /: not a regular file");
	assert_null(p);
}

/* A message is one line whatever the file says: it goes into logs. */
static void test_messages_are_clean(void **state)
{
	static const char *const texts[] = {
		"\"a\\nb\\x1b[31m\\u0085\": 1",
		"name: \"x\\ny\"",
		"name: x\nsyscalls: {allow: [\"re\\nad\"]}",
		"name: x\nnetwork: {allow_outgoing: [\"a\\n.b\"]}",
		"name: x\nfilesystem: {scratch_paths: [\"a\\r\\nb\"]}",
		"name: x\nenforcement: \"\\e\\n\"",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		struct policy *p = NULL;
		struct err e = { 0 };
		const char *c;

		assert_true(policy_parse(texts[i], strlen(texts[i]), "f.yaml", &p, &e) < 0);
		for (c = e.msg; *c; c++)
			assert_true((unsigned char)*c >= ' ' && (unsigned char)*c < 0x7f);
	}
}

/* Both generated texts name every key; schema_check.sh reads them as what they are. */
static void check_generated(const struct policy_key *keys, const char *prefix,
			    const char *schema, const char *page)
{
	for (; keys->name; keys++) {
		_free_ char *path = str_printf("%s%s%s", prefix, *prefix ? "." : "",
					       keys->name);
		_free_ char *member = str_printf("\"%s\": {", keys->name);
		_free_ char *item = str_printf(".B %s", path);
		_free_ char *section = str_printf(".SS %s\n", path);

		assert_non_null(strstr(schema, member));
		if (!strstr(page, item) && !strstr(page, section))
			fail_msg("the man page does not have %s", path);
		if (keys->keys)
			check_generated(keys->keys, path, schema, page);
	}
}

static void test_generated(void **state)
{
	_buf_free_ struct buf schema = { 0 }, page = { 0 };

	assert_int_equal(policy_write_json_schema(&schema), 0);
	assert_int_equal(policy_write_man_page(&page), 0);
	check_generated(policy_language.keys, "", schema.s, page.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_values),
		cmocka_unit_test(test_every_key_has_bad_values),
		cmocka_unit_test(test_bad_documents),
		cmocka_unit_test(test_complete_policy),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_good_numbers),
		cmocka_unit_test(test_good_money),
		cmocka_unit_test(test_good_conditions),
		cmocka_unit_test(test_good_texts),
		cmocka_unit_test(test_isolated_follows_rules),
		cmocka_unit_test(test_enforceable),
		cmocka_unit_test(test_traces_need_a_log),
		cmocka_unit_test(test_lint),
		cmocka_unit_test(test_shipped_policies),
		cmocka_unit_test(test_load_faults),
		cmocka_unit_test(test_messages_are_clean),
		cmocka_unit_test(test_generated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
