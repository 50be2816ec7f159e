/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random rules of the network: their tables against the reading of network_naive.h, the shape
 * that the kernel needs, and their way through a container's state folder. Needs no privileges.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "network/reserved.h"
#include "network/rules_json.h"
#include "network_build.h"
#include "network_naive.h"
#include "network_random.h"
#include "policy_build.h"

#define SEED UINT64_C(20261122)
#define CASES 1500

static void check_target(const network_policies *l,
			 const struct network_surroundings *around,
			 const struct network_tables *t, const struct naive_target *to,
			 unsigned int number)
{
	uint8_t address[16] = { [10] = 0xff, 0xff };
	struct network_answer a;
	struct naive_target behind;
	enum network_verdict want;
	bool loopback;
	char shown[64];
	uint32_t rule;

	/* As the wire has it, an IPv4 address. */
	if (!to->v4 && network_is_mapped(to->address))
		return;
	memcpy(address + (to->v4 ? 12 : 0), to->address, to->v4 ? 4 : 16);
	a = network_decide_address(t, address, to->port);
	/* All of it but the engine's resolver. */
	loopback = network_is_loopback(address) &&
		   memcmp(address + 10, "\xff\xff\x7f\0\0\x0b", 6) != 0;
	want = loopback && around->own_namespace ? NETWORK_ALLOW : naive_all(l, around, to);
	inet_ntop(to->v4 ? AF_INET : AF_INET6, to->address, shown, sizeof(shown));
	if (a.verdict != want)
		fail_msg("case %u: %s port %x: found %d, expected %d", number, shown,
			 to->port, a.verdict, want);
	if (l->n != 1 || (loopback && around->own_namespace))
		return;
	/* Of one policy, also the rule; of all that denies a NAT64 name, any. */
	if (want != NETWORK_ALLOW && naive_translated(to, &behind))
		return;
	if (naive_policy(&l->v[0], around, to, &rule) == NETWORK_NONE)
		rule = NETWORK_RULE_NONE;
	if (a.rule != rule)
		fail_msg("case %u: %s port %x: found rule %x, expected %x", number, shown,
			 to->port, a.rule, rule);
}

static void test_random_addresses(void **state)
{
	struct network_host_address hosts[] = {
		{ { [10] = 0xff, 0xff, 5, 5, 5, 5 }, 128 },
		{ { 0x20, 0x01, 0x0d, 0xb8, 0, 1 }, 64 },
	};
	unsigned int i, k;

	random_state = SEED;
	for (i = 0; i < CASES; i++) {
		struct network_surroundings around = { .own_namespace = random_one_in(2) };
		network_policies l = { 0 };
		struct network_tables t = { 0 };

		around.host_addresses.v = hosts;
		around.host_addresses.n = random_below(3);
		random_policies(&l, false);
		compile(&l, &around, &t);
		for (k = 0; k < 300; k++) {
			struct naive_target to;

			random_target(&to);
			check_target(&l, &around, &t, &to, i);
		}
		network_tables_clear(&t);
		network_policies_clear(&l);
	}
}

static void check_random_names(const network_policies *l, const struct network_tables *t,
			       unsigned int number)
{
	static const char *const names[] = { "a.example", "b.a.example",   "example",
					     "c.test",	  "x.b.a.example", "d.c.test",
					     "b.example", "other.org",	   "ca.example" };
	static const uint16_t ports[] = { 22, 80, 443, 444, 9999 };
	size_t i, k, p;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		for (k = 0; k < 2 * ARRAY_SIZE(ports); k++) {
			uint32_t port = ports[k / 2] + (k % 2 ? NETWORK_UDP : NETWORK_TCP);
			bool allowed = true, found;

			for (p = 0; p < l->n; p++)
				allowed = allowed &&
					  !naive_name_blocked(&l->v[p], names[i]) &&
					  naive_name_allowed(&l->v[p], names[i], port);
			found = network_decide_name(t, names[i], port).verdict ==
				NETWORK_ALLOW;
			if (found != allowed)
				fail_msg("case %u: %s port %x: found %d", number,
					 names[i], port, found);
		}
	}
}

static void test_random_names(void **state)
{
	unsigned int i;

	random_state = SEED + 1;
	for (i = 0; i < CASES; i++) {
		network_policies l = { 0 };
		struct network_tables t = { 0 };

		random_policies(&l, true);
		compile(&l, &own_namespace, &t);
		check_random_names(&l, &t, i);
		network_tables_clear(&t);
		network_policies_clear(&l);
	}
}

/* What the kernel needs of every table. */
static void check_ranges(const struct network_range *v, size_t n, const char *what)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (v[i].lo > v[i].hi || v[i].hi >= NETWORK_PORTS_END)
			fail_msg("%s: range %x-%x", what, v[i].lo, v[i].hi);
		if (i && v[i].lo <= v[i - 1].hi)
			fail_msg("%s: ranges are not ascending", what);
	}
}

static void check_entries(const struct network_tables *t, const network_entries *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct network_table_entry *x = &l->v[i];
		const struct network_range *more = t->ranges.v + x->entry.more;

		assert_true(x->entry.more + x->entry.more_count <= t->ranges.n);
		if (x->entry.more_count) {
			check_ranges(&x->entry.first, 1, "first");
			check_ranges(more, x->entry.more_count, "more");
			assert_true(x->entry.first.hi < more[0].lo);
		}
		if (!i)
			continue;
		assert_true(memcmp(x[-1].address, x->address, 16) < 0 ||
			    (memcmp(x[-1].address, x->address, 16) == 0 &&
			     x[-1].prefix_len < x->prefix_len));
	}
}

static void test_shape(void **state)
{
	unsigned int i;
	size_t k;

	random_state = SEED + 2;
	for (i = 0; i < CASES; i++) {
		network_policies l = { 0 };
		struct network_tables t = { 0 };

		random_policies(&l, random_one_in(2));
		compile(&l, &own_namespace, &t);
		check_entries(&t, &t.v4);
		check_entries(&t, &t.v6);
		for (k = 0; k < t.names.n; k++) {
			assert_true(t.names.v[k].ranges.n > 0);
			check_ranges(t.names.v[k].ranges.v, t.names.v[k].ranges.n, "name");
		}
		network_tables_clear(&t);
		network_policies_clear(&l);
	}
}

/* --- the state folder --- */

static void assert_same_text(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a)
		assert_string_equal(a, b);
}

static void assert_same_rules(const network_policies *a, const network_policies *b)
{
	size_t i, k;

	assert_int_equal(a->n, b->n);
	for (i = 0; i < a->n; i++) {
		assert_string_equal(a->v[i].name, b->v[i].name);
		assert_int_equal(a->v[i].audit, b->v[i].audit);
		assert_int_equal(a->v[i].isolated, b->v[i].isolated);
		assert_int_equal(a->v[i].rules.n, b->v[i].rules.n);
		assert_int_equal(a->v[i].dns_servers.n, b->v[i].dns_servers.n);
		for (k = 0; k < a->v[i].dns_servers.n; k++)
			assert_string_equal(a->v[i].dns_servers.v[k],
					    b->v[i].dns_servers.v[k]);
		for (k = 0; k < a->v[i].rules.n; k++) {
			const struct network_rule *x = &a->v[i].rules.v[k],
						  *y = &b->v[i].rules.v[k];

			assert_int_equal(x->kind, y->kind);
			assert_same_text(x->text, y->text);
			assert_same_text(x->place, y->place);
			assert_same_text(x->domain, y->domain);
			assert_int_equal(x->has_address, y->has_address);
			assert_int_equal(x->family, y->family);
			assert_memory_equal(x->address, y->address, 16);
			assert_int_equal(x->prefix_len, y->prefix_len);
			assert_int_equal(x->wildcard, y->wildcard);
			assert_int_equal(x->port_lo, y->port_lo);
			assert_int_equal(x->port_hi, y->port_hi);
			assert_int_equal(x->protocol, y->protocol);
		}
	}
}

static void test_round_trip(void **state)
{
	network_policies l = { 0 }, back = { 0 };
	unsigned int i;
	struct err e;

	random_state = SEED + 3;
	add_policy(&l, "allow_outgoing: ['*.a.example:443/udp', '[2001:db8::/32]:1-65535', 443/tcp],"
		       "blocked_ips: [10.0.0.0/8], blocked_domains: [b.example],"
		       "allow_incoming: [80-90], dns_servers: [9.9.9.9, '2620:fe::fe']");
	for (i = 0; i < 200; i++) {
		_buf_free_ struct buf b = { 0 };

		l.v[0].isolated = i % 2;
		if (network_policies_write(&l, &b, &e) < 0 ||
		    network_policies_read(b.s, b.len, "network.json", &back, &e) < 0)
			fail_msg("%s", e.msg);
		assert_same_rules(&l, &back);
		network_policies_clear(&l);
		network_policies_clear(&back);
		random_policies(&l, random_one_in(2));
	}
	network_policies_clear(&l);
}

static void test_state_folder(void **state)
{
	char dir[] = "/tmp/purple-network-test.XXXXXX";
	network_policies l = { 0 }, back = { 0 };
	struct network_tables t = { 0 };
	struct err e = { 0 };
	int fd;

	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(network_policies_load(fd, &back, &e), -ENOENT);
	/* Nobody compiles what is not there to tables that let all pass. */
	assert_int_equal(network_compile(&back, &own_namespace, &t, &e), -EINVAL);
	add_policy(&l, "allow_outgoing: [443]");
	assert_int_equal(network_policies_save(fd, &l, &e), 0);
	assert_int_equal(network_policies_save(fd, &l, &e), 0);
	assert_int_equal(network_policies_load(fd, &back, &e), 0);
	assert_same_rules(&l, &back);
	network_policies_clear(&l);
	network_policies_clear(&back);
	close(fd);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
}

static void test_bad_json(void **state)
{
	static const struct {
		const char *rule, *want;
	} cases[] = {
		{ "\"kind\": \"deny\"", "wrong kind" },
		{ "\"kind\": \"allow\", \"prefix\": \"10.0.0.0\"", "wrong prefix" },
		{ "\"kind\": \"allow\", \"prefix\": \"10.0.0.0/33\"", "wrong prefix" },
		{ "\"kind\": \"allow\", \"prefix\": \"10.0.0.1/8\"", "wrong prefix" },
		{ "\"kind\": \"allow\", \"prefix\": \"x/8\"", "wrong prefix" },
		{ "\"kind\": \"allow\", \"prefix\": \"::/0\", \"domain\": \"a\"",
		  "wrong prefix" },
		{ "\"kind\": \"allow\", \"firstPort\": 80", "wrong port" },
		{ "\"kind\": \"allow\", \"firstPort\": 0, \"lastPort\": 80", "wrong port" },
		{ "\"kind\": \"allow\", \"firstPort\": 81, \"lastPort\": 80", "wrong port" },
		{ "\"kind\": \"allow\", \"firstPort\": 1, \"lastPort\": 65536",
		  "wrong port" },
		{ "\"kind\": \"allow\", \"protocol\": \"icmp\"", "wrong protocol" },
		{ "\"prefix\": \"::/0\"", "kind" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		_free_ char *text =
			str_printf("{\"policies\": [{\"name\": \"x\", \"rules\": [{"
				   "\"text\": \"t\", \"place\": \"p\", %s}]}]}",
				   cases[i].rule);
		network_policies l = { 0 };
		struct err e = { 0 };

		assert_true(network_policies_read(text, strlen(text), "network.json", &l,
						  &e) < 0);
		assert_int_equal(e.kind, ERR_CONFIG);
		if (!strstr(e.msg, cases[i].want))
			fail_msg("%s: '%s'", cases[i].rule, e.msg);
		assert_int_equal(l.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_addresses),
		cmocka_unit_test(test_random_names),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_state_folder),
		cmocka_unit_test(test_bad_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
