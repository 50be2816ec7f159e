/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure parts of a reload: in which sections two versions of a policy differ, and what was
 * learned under the old rules says under the new ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the four above */
#include <cmocka.h>

#include "base/fd.h"
#include "network/fill.h"
#include "policy/network.h"
#include "policy/plan.h"
#include "policy/policy.h"

static struct policy *parse(const char *text)
{
	struct policy *p = NULL;
	struct err e;

	if (policy_parse(text, strlen(text), "t.yaml", &p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

/* The sections in which they differ, as "a,b". */
static void assert_differ(const char *before, const char *now, const char *wanted)
{
	_policy_free_ struct policy *a = parse(before), *b = parse(now);
	_strv_free_ struct strv names = {};
	_buf_free_ struct buf text = {};

	assert_int_equal(policy_sections_compare(&a->sections, &b->sections, &names), 0);
	buf_adds(&text, "");
	for (size_t i = 0; i < names.n; i++)
		buf_addf(&text, "%s%s", i ? "," : "", names.v[i]);
	assert_string_equal(text.s ? text.s : "", wanted);
}

static void sections_that_differ_are_named(void **state)
{
	static const char base[] = "name: t\n"
				   "resources: { pids_limit: 10, memory_limit_bytes: 512M }\n"
				   "syscalls: { deny: [bpf, mount] }\n";

	assert_differ(base, base, "");
	/* The order of keys, places, comments, how a text is written. */
	assert_differ(base,
		      "# other\nname: 't'\nsyscalls:\n  deny:\n    - \"bpf\"\n    - mount\n"
		      "resources:\n  memory_limit_bytes: '512M'\n  pids_limit: 10\n",
		      "");
	assert_differ(base,
		      "name: u\ndescription: x\nenforcement: audit\n"
		      "network: { blocked_ips: [192.0.2.1] }\n"
		      "resources: { pids_limit: 10, memory_limit_bytes: 512M }\n"
		      "syscalls: { deny: [bpf, mount] }\n",
		      "");
	assert_differ(base,
		      "name: t\nresources: { pids_limit: 11, memory_limit_bytes: 512M }\n",
		      "resources,syscalls");
	assert_differ(base,
		      "name: t\nresources: { pids_limit: 10, memory_limit_bytes: 512M }\n"
		      "syscalls: { deny: [mount, bpf] }\naudit: { enabled: false }\n",
		      "syscalls,audit");
	/* A value does not become another key's. */
	assert_differ("name: t\nresources: { pids_limit: 10, cpu_shares: 20 }\n",
		      "name: t\nresources: { pids_limit: 20, cpu_shares: 10 }\n",
		      "resources");
}

struct rules {
	network_policies policies;
	struct network_tables tables;
};

static void compile(const char *lists, struct rules *ret)
{
	const struct network_surroundings around = { .own_namespace = true };
	_free_ char *text = str_printf("name: t\nnetwork: { %s }\n", lists);
	_policy_free_ struct policy *p = parse(text);
	struct err e;

	*ret = (struct rules){};
	if (policy_network_add(p, &ret->policies, &e) < 0 ||
	    network_compile(&ret->policies, &around, &ret->tables, &e) < 0)
		fail_msg("%s", e.msg);
}

static void clear(struct rules *r)
{
	network_tables_clear(&r->tables);
	network_policies_clear(&r->policies);
}

/* A slot that was learned by rule `rule`: its ports and rule afterwards, "lo-hi:rule ...". */
static void assert_becomes(const char *before, const char *after,
			   struct network_name_slot slot, const char *wanted)
{
	struct network_name old = {}, new = {};
	_buf_free_ struct buf text = {};
	struct rules a, b;
	size_t n;

	compile(before, &a);
	compile(after, &b);
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		old.slots[i] = (struct network_name_slot){ .lo = 1 };
	old.slots[3] = slot;
	n = network_fill_translate(&a.tables, &b.tables, &old, &new);
	buf_adds(&text, "");
	for (size_t i = 0; i < n; i++) {
		buf_addf(&text, "%s%u-%u:%u", i ? " " : "", new.slots[i].lo,
			 new.slots[i].hi, new.slots[i].rule);
		assert_int_equal(new.slots[i].expires, slot.expires);
		assert_int_equal(new.slots[i].flags, slot.flags);
	}
	for (size_t i = n; i < NETWORK_NAME_SLOTS; i++)
		assert_true(new.slots[i].lo > new.slots[i].hi);
	assert_string_equal(text.s ? text.s : "", wanted);
	clear(&a);
	clear(&b);
}

static void what_was_learned_holds_as_far_as_the_new_rules_say(void **state)
{
	static const char one[] = "allow_outgoing: ['a.test:80/tcp']";
	const struct network_name_slot first = { 80, 80, 0, 0, 1000 };

	assert_becomes(one, one, first, "80-80:0");
	assert_becomes(one, "allow_outgoing: ['192.0.2.1:1', 'a.test:80/tcp']", first,
		       "80-80:1");
	assert_becomes(one, "allow_outgoing: ['b.test:80/tcp']", first, "");
	assert_becomes(one, "allow_outgoing: ['a.test:81/tcp']", first, "");
	assert_becomes(one, "allow_outgoing: ['a.test:70-90/tcp']", first, "80-80:0");
	assert_becomes("allow_outgoing: ['a.test:70-90/tcp']",
		       "allow_outgoing: ['a.test:80-100/tcp']",
		       (struct network_name_slot){ 70, 90, 0, 0, 7 }, "80-90:0");
	assert_becomes(one, "allow_outgoing: ['a.test:80/tcp'], blocked_domains: [x.test]",
		       first, "80-80:0");
}

/* Two lines of one name: the second one's ports were forgotten once. */
static void each_line_of_a_name_counts(void **state)
{
	static const char two[] = "allow_outgoing: ['a.test:80/tcp', 'a.test:90/tcp']";

	assert_becomes(two, two, (struct network_name_slot){ 80, 80, 0, 0, 5 }, "80-80:0");
	assert_becomes(two, two, (struct network_name_slot){ 90, 90, 1, 0, 5 }, "90-90:1");
	assert_becomes(two, "allow_outgoing: ['a.test:90/tcp']",
		       (struct network_name_slot){ 90, 90, 1, 0, 5 }, "90-90:0");
	assert_becomes(two, "allow_outgoing: ['a.test:90/tcp']",
		       (struct network_name_slot){ 80, 80, 0, 0, 5 }, "");
}

/* Which of the names that a rule stands for was asked for is not known any more. */
static void what_could_be_of_a_name_that_is_gone_is_not_kept(void **state)
{
	static const char both[] = "allow_outgoing: ['*.test:80/tcp', 'a.test:90/tcp']";
	const struct network_name_slot slot = { 80, 80, 0, 0, 5 };

	assert_becomes(both, both, slot, "80-80:0");
	assert_becomes(both, "allow_outgoing: ['a.test:90/tcp']", slot, "");
}

static void blocks_stay_blocks(void **state)
{
	static const char block[] = "isolated: false, blocked_domains: [evil.test]";
	const struct network_name_slot slot = { 0, NETWORK_PORTS_END - 1, 0,
						NETWORK_NAME_BLOCKED, 5 };

	assert_becomes(block, "isolated: false, blocked_domains: [x.test, evil.test]",
		       slot, "0-131071:1");
	assert_becomes(block, "isolated: false, blocked_domains: [x.test]", slot, "");
	assert_becomes(block, "allow_outgoing: [evil.test]", slot, "");
}

/* What one slot becomes does not crowd a block out. */
static void blocks_have_a_place_before_all_else(void **state)
{
	struct network_name old = {}, new = {};
	struct rules a, b;

	compile("allow_outgoing: ['a.test:1-100/tcp'], blocked_domains: [evil.test]", &a);
	compile("allow_outgoing: ['a.test:1/tcp', 'a.test:3/tcp', 'a.test:5/tcp',"
		" 'a.test:7/tcp', 'a.test:9/tcp', 'a.test:11/tcp', 'a.test:13/tcp',"
		" 'a.test:15/tcp', 'a.test:17/tcp'], blocked_domains: [evil.test]",
		&b);
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		old.slots[i] = (struct network_name_slot){ .lo = 1 };
	old.slots[0] = (struct network_name_slot){ 1, 100, 0, 0, 5 };
	old.slots[1] = (struct network_name_slot){ 0, NETWORK_PORTS_END - 1, 1,
						   NETWORK_NAME_BLOCKED, 5 };
	assert_int_equal(network_fill_translate(&a.tables, &b.tables, &old, &new),
			 NETWORK_NAME_SLOTS);
	assert_int_equal(new.slots[0].flags, NETWORK_NAME_BLOCKED);
	assert_int_equal(new.slots[0].rule, 9);
	clear(&a);
	clear(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_that_differ_are_named),
		cmocka_unit_test(what_was_learned_holds_as_far_as_the_new_rules_say),
		cmocka_unit_test(each_line_of_a_name_counts),
		cmocka_unit_test(what_could_be_of_a_name_that_is_gone_is_not_kept),
		cmocka_unit_test(blocks_stay_blocks),
		cmocka_unit_test(blocks_have_a_place_before_all_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
