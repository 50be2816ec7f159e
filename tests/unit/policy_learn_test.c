/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_learn_...(): what holds while it is learnt, and the policy for what was seen: it is never
 * looser than what held, and has nothing that was not used.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the ones above */
#include <cmocka.h>

#include "base/fd.h"
#include "policy/diff.h"
#include "policy/learn.h"
#include "policy/learn_paths.h"

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	struct err e;

	if (policy_parse(text, strlen(text), "t.yaml", &p, &e) < 0)
		fail_msg("%s\n%s", e.msg, text);
	return p;
}

static struct policy *parse_buf(const struct buf *text)
{
	assert_false(text->failed);
	return parse(text->s);
}

/* --- paths --- */

static void assert_paths(const char *dir, const char *const *opened, const char *wanted)
{
	_strv_free_ struct strv l = {}, found = {};
	_buf_free_ struct buf text = {};

	for (; *opened; opened++)
		assert_int_equal(strv_add(&l, *opened), 0);
	assert_int_equal(paths_generalize(dir, &l, &found), 0);
	buf_adds(&text, "");
	for (size_t i = 0; i < found.n; i++)
		buf_addf(&text, "%s%s", i ? " " : "", found.v[i]);
	assert_string_equal(text.s, wanted);
}

#define OPENED(...)                             \
	(const char *const[])                   \
	{                                       \
		__VA_ARGS__ __VA_OPT__(, ) NULL \
	}

static void paths_are_generalized(void **state)
{
	assert_paths("/p", OPENED(), "");
	assert_paths("/p", OPENED("/q/x", "/pp"), "");
	assert_paths("/p", OPENED("/p/a/b/c"), "/p/a/b/c");
	assert_paths("/p", OPENED("/p/a", "/p/a", "/p/b/c"), "/p/a /p/b/c");
	/* A directory that was listed, and one with more than a few files. */
	assert_paths("/p", OPENED("/p/src", "/p/src/a", "/p/x"), "/p/src /p/x");
	assert_paths("/p", OPENED("/p/s/1", "/p/s/2", "/p/s/3", "/p/s/4", "/p/x/1"),
		     "/p/s /p/x/1");
	assert_paths("/p", OPENED("/p/s/1", "/p/s-/2"), "/p/s-/2 /p/s/1");
	assert_paths("/p", OPENED("/p/1/a", "/p/2/a", "/p/3/a", "/p/4/a"), "/p");
	assert_paths("/p", OPENED("/p"), "/p");
	assert_paths("/", OPENED("/a/b", "/c"), "/a/b /c");
}

static void secrets_are_known_by_their_names(void **state)
{
	assert_non_null(policy_path_is_sensitive("/home/u/.ssh/config"));
	assert_non_null(policy_path_is_sensitive("/home/u/.aws/credentials"));
	assert_non_null(policy_path_is_sensitive("/srv/app/.env"));
	assert_non_null(policy_path_is_sensitive("/srv/app/server.key"));
	assert_non_null(policy_path_is_sensitive("/etc/shadow"));
	assert_null(policy_path_is_sensitive("/home/u/project/main.c"));
	assert_null(policy_path_is_sensitive("/usr/share/monkey"));
	assert_null(policy_path_is_sensitive("/home/u/tokenizer.py"));
}

/* --- while it is learnt --- */

static void assert_change(const struct policy *a, const struct policy *b,
			  enum policy_change c, const char *key, bool wanted)
{
	policy_differences l = {};
	bool found = false;
	struct err e;

	if (policy_diff(a, b, &l, &e) < 0)
		fail_msg("%s", e.msg);
	for (size_t i = 0; i < l.n; i++)
		found |= l.v[i].change == c && strstr(l.v[i].key, key);
	if (found != wanted)
		fail_msg("%s %s: %s", policy_change_name(c), key,
			 wanted ? "missing" : "unexpected");
	policy_differences_clear(&l);
}

static void what_the_base_protects_stays(void **state)
{
	static const char text[] =
		"name: base\n"
		"syscalls: { default_deny: true, allow: [read], deny: [kill] }\n"
		"network: { allow_outgoing: ['10.1.0.0/16:443'], blocked_ips: [192.0.2.0/24] }\n"
		"resources: { pids_limit: 9 }\n";
	_policy_free_ struct policy *base = parse(text), *p = parse(text), *again = NULL;
	_buf_free_ struct buf out = {};
	struct err e;

	assert_int_equal(policy_learn_begin(p, true, &e), 0);
	assert_int_equal(policy_write(p, NULL, &out), 0);
	again = parse_buf(&out);
	assert_change(base, again, POLICY_LOOSER, "syscalls: ", true);
	assert_change(base, again, POLICY_LOOSER, "network: ", true);
	assert_change(base, again, POLICY_LOOSER, "resources", false);
	assert_change(base, again, POLICY_OTHER, "filesystem", false);
	assert_true(again->audit.enabled && again->ebpf_monitoring.trace_syscalls);
	assert_non_null(strstr(out.s, "- \"192.0.2.0/24\""));
	assert_non_null(strstr(out.s, "- \"192.168.0.0/16\""));
	/* The base speaks of a part of it: the rest stays closed. */
	assert_null(strstr(out.s, "10.0.0.0/8"));
	assert_non_null(strstr(out.s, "- \"10.128.0.0/9\""));
	assert_non_null(strstr(out.s, "- \"10.0.0.0/16\""));
	assert_null(strstr(out.s, "\"10.1.0.0/16\""));
	assert_non_null(strstr(out.s, "- \"kill\""));
}

/* --- the result --- */

static void see_host(struct policy_seen *s, const char *name, const char *address,
		     uint16_t port)
{
	struct policy_seen_host h = { .family = AF_INET,
				      .port = port,
				      .protocol = IPPROTO_TCP };
	_free_ char *copy = name ? strdup(name) : NULL;

	h.name = copy;
	assert_int_equal(inet_pton(AF_INET, address, h.address), 1);
	assert_int_equal(policy_seen_add_host(s, &h, false), 0);
}

static void see(struct strv *l, const char *const *texts)
{
	for (; *texts; texts++)
		assert_int_equal(strv_add(l, *texts), 0);
}

static void learn(const char *text, const struct policy_seen *seen,
		  struct policy_learned *l, struct buf *out)
{
	_policy_free_ struct policy *base = parse(text), *loose = parse(text),
				    *again = NULL;
	struct err e;

	assert_int_equal(policy_learn_begin(loose, true, &e), 0);
	if (policy_learn_result(base, loose, seen, "new", true, l, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(policy_write(base, &l->notes, out), 0);
	again = parse_buf(out);
	/* Never looser than what held while it was learnt. */
	assert_change(loose, again, POLICY_LOOSER, "syscalls:", false);
	assert_change(loose, again, POLICY_LOOSER, "network: ", false);
	assert_change(loose, again, POLICY_LOOSER, "resources", false);
	assert_change(loose, again, POLICY_LOOSER, "capabilities", false);
}

static const char base_text[] =
	"name: base\n"
	"filesystem:\n"
	"  immutable_paths: [{ host_path: /usr }, { host_path: /home/u/p, sandbox_path: /p }, { host_path: /srv }]\n"
	"  output_paths: [{ host_path: /out, sandbox_path: /o }, { host_path: /old, sandbox_path: /old }]\n"
	"  scratch_paths: [/tmp, /work]\n"
	"  working_dir: /work\n"
	"resources: { memory_limit_bytes: 64M, pids_limit: 100 }\n"
	"network: { isolated: true }\n"
	"ai_policy:\n"
	"  budget: { max_cost: '$1.00' }\n"
	"  llm_apis:\n"
	"    providers: [{ name: openai, api_key_env: A }, { name: anthropic, api_key_env: B }]\n";

static void what_was_seen_is_what_is_allowed(void **state)
{
	struct policy_seen s = { .memory_peak = 30 << 20,
				 .pids_peak = 3,
				 .seconds = 50,
				 .tokens = 100,
				 .cost = 700000000000 };
	struct policy_learned l = {};
	_buf_free_ struct buf out = {};

	see(&s.calls, OPENED("read", "write", "socket", "mount", "clone3"));
	see(&s.read, OPENED("/usr/lib/x.so", "/p/a.py", "/p/.env", "/o/old"));
	see(&s.written, OPENED("/o/result", "/work/x"));
	see_host(&s, "api.example.com", "198.51.100.1", 443);
	see_host(&s, "api.example.com", "198.51.100.2", 443);
	see_host(&s, NULL, "203.0.113.5", 8080);
	see_host(&s, NULL, "127.0.0.1", 80);
	assert_int_equal(policy_seen_add_model(&s, "openai", "gpt-4o-mini"), 0);
	learn(base_text, &s, &l, &out);
	/* Programs as a whole, files one by one, with their place on the host; nothing that was not used. */
	assert_non_null(strstr(out.s, "host_path: \"/usr\""));
	assert_non_null(
		strstr(out.s,
		       "host_path: \"/home/u/p/a.py\"\n      sandbox_path: \"/p/a.py\""));
	assert_non_null(
		strstr(out.s, "- # may hold keys\n      host_path: \"/home/u/p/.env\""));
	assert_null(strstr(out.s, "/srv"));
	assert_null(strstr(out.s, "/old\""));
	assert_null(strstr(out.s, "\"/tmp\""));
	assert_non_null(strstr(out.s, "working_dir: \"/work\""));
	assert_non_null(strstr(out.s, "host_path: \"/out\""));
	/* Calls: some of them in the default profile's forms alone; what was denied is not learnt. */
	assert_non_null(strstr(out.s, "default_deny: true"));
	assert_non_null(strstr(out.s, "- \"read\""));
	assert_null(strstr(out.s, "- \"socket\""));
	assert_non_null(strstr(out.s, "syscall: \"socket\""));
	assert_null(strstr(out.s, "mount"));
	assert_null(strstr(out.s, "clone3"));
	/* Hosts by name, once; addresses are told. */
	assert_non_null(strstr(out.s, "- \"api.example.com:443/tcp\"\n"));
	assert_non_null(
		strstr(out.s, "- \"203.0.113.5:8080/tcp\" # an address without a name"));
	assert_null(strstr(out.s, "127.0.0.1"));
	/* Limits with headroom, at most the base's. */
	assert_non_null(strstr(out.s, "memory_limit_bytes: \"46M\""));
	assert_non_null(strstr(out.s, "pids_limit: 16 # seen: 3"));
	assert_non_null(strstr(out.s, "session_timeout_seconds: 150"));
	/* LLM calls. */
	assert_non_null(strstr(out.s, "max_tokens: 200"));
	assert_non_null(strstr(out.s, "max_cost: \"$1.00\""));
	assert_non_null(strstr(out.s, "- \"gpt-4o-mini\""));
	assert_null(strstr(out.s, "anthropic"));
	assert_int_equal(l.sensitive.n, 2);
	policy_learned_clear(&l);
	policy_seen_clear(&s);
}

static void ports_are_opened_by_the_base_alone(void **state)
{
	static const char text[] =
		"name: base\nenforcement: audit\n"
		"network: { blocked_ips: [192.0.2.9], allow_incoming: [8080, 9090] }\n";
	struct policy_seen_host h = { .family = AF_INET,
				      .port = 8080,
				      .protocol = IPPROTO_TCP };
	struct policy_seen s = {};
	struct policy_learned l = {};
	_buf_free_ struct buf out = {};

	see_host(&s, "api.example.com", "198.51.100.1", 443);
	assert_int_equal(policy_seen_add_host(&s, &h, true), 0);
	h.port = 22;
	assert_int_equal(policy_seen_add_host(&s, &h, true), 0);
	learn(text, &s, &l, &out);
	assert_non_null(strstr(out.s, "- \"8080\""));
	assert_null(strstr(out.s, "9090"));
	assert_null(strstr(out.s, "22"));
	assert_null(strstr(out.s, "enforcement"));
	assert_int_equal(l.sensitive.n, 1);
	policy_learned_clear(&l);
	policy_seen_clear(&s);
}

static void without_the_network_its_rules_stay(void **state)
{
	static const char text[] =
		"name: base\nnetwork: { allow_outgoing: ['192.0.2.0/24:443'] }\n";
	_policy_free_ struct policy *base = parse(text), *before = parse(text),
				    *loose = parse(text);
	struct policy_seen s = {};
	struct policy_learned l = {};
	struct err e;

	assert_int_equal(policy_learn_begin(loose, false, &e), 0);
	assert_change(before, loose, POLICY_LOOSER, "network", false);
	assert_int_equal(policy_learn_result(base, loose, &s, "new", false, &l, &e), 0);
	assert_change(before, base, POLICY_STRICTER, "network", false);
	assert_change(before, base, POLICY_LOOSER, "network", false);
	policy_learned_clear(&l);
}

static void who_did_nothing_gets_nothing(void **state)
{
	struct policy_seen s = {};
	struct policy_learned l = {};
	_buf_free_ struct buf out = {};

	see(&s.calls, OPENED("exit_group"));
	see(&s.read, OPENED("/usr/bin/true"));
	learn(base_text, &s, &l, &out);
	assert_non_null(strstr(out.s, "isolated: true"));
	assert_null(strstr(out.s, "ai_policy"));
	assert_null(strstr(out.s, "output_paths"));
	assert_null(strstr(out.s, "home"));
	policy_learned_clear(&l);
	policy_seen_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_are_generalized),
		cmocka_unit_test(secrets_are_known_by_their_names),
		cmocka_unit_test(what_the_base_protects_stays),
		cmocka_unit_test(what_was_seen_is_what_is_allowed),
		cmocka_unit_test(ports_are_opened_by_the_base_alone),
		cmocka_unit_test(without_the_network_its_rules_stay),
		cmocka_unit_test(who_did_nothing_gets_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
