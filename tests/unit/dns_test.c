/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder of names without its messages: configuration, names, prefixes, slots of the map. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "network/dns_config.h"
#include "network/dns_learn.h"
#include "network/dns_names.h"

#define ALL (NETWORK_PORTS_END - 1)

/* --- tables, as the compiler of rules would make them --- */

static void add_range(struct network_table_name *n, uint32_t lo, uint32_t hi,
		      uint32_t rule, uint32_t verdict)
{
	struct network_range *r = list_add(&n->ranges);

	assert_non_null(r);
	*r = (struct network_range){ lo, hi, rule, verdict };
}

static struct network_table_name *add_name(struct network_tables *t, const char *name,
					   uint32_t rule)
{
	struct network_table_name *n = list_add(&t->names);

	assert_non_null(n);
	n->wildcard = str_has_prefix(name, "*.");
	n->blocked = name[0] == '!';
	n->domain = strdup(name + (n->wildcard ? 2 : n->blocked ? 1 : 0));
	n->rule = rule;
	return n;
}

static void allow(struct network_tables *t, const char *name, uint32_t lo, uint32_t hi,
		  uint32_t rule)
{
	add_range(add_name(t, name, rule), lo, hi, rule, NETWORK_ALLOW);
}

static void add_prefix(struct network_tables *t, const char *prefix,
		       const struct network_range *ranges, size_t n)
{
	struct network_table_entry *x;
	struct network_address a;
	unsigned int len = 0;
	bool v4 = !strchr(prefix, ':');

	assert_int_equal(dns_address_parse(prefix, &a, &len), 0);
	if (v4)
		x = list_add(&t->v4);
	else
		x = list_add(&t->v6);
	assert_non_null(x);
	memcpy(x->address, a.bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
	x->prefix_len = (uint8_t)(len - (v4 ? 96 : 0));
	x->entry.first = ranges[0];
	x->entry.more = (uint32_t)t->ranges.n;
	x->entry.more_count = (uint32_t)n - 1;
	for (size_t i = 1; i < n; i++) {
		struct network_range *r = list_add(&t->ranges);

		assert_non_null(r);
		*r = ranges[i];
	}
}

static void deny_all(struct network_tables *t, const char *prefix)
{
	const struct network_range all = { 0, ALL, 1, NETWORK_DENY };

	add_prefix(t, prefix, &all, 1);
}

static void tables_free(struct network_tables *t)
{
	for (size_t i = 0; i < t->names.n; i++) {
		free(t->names.v[i].domain);
		free(t->names.v[i].ranges.v);
	}
	free(t->names.v);
	free(t->v4.v);
	free(t->v6.v);
	free(t->ranges.v);
	strv_free(&t->dns_servers);
	*t = (struct network_tables){};
}

/* The configuration and the view of it. */
struct view {
	struct network_tables t;
	struct dns_config c;
	struct dns_names *n;
};

static void view_make(struct view *v)
{
	struct strv none = {};
	struct err e = {};

	if (dns_config_make(&v->t, &none, &v->c, &e) < 0 ||
	    dns_names_make(&v->c, &v->n, &e) < 0)
		fail_msg("%s", e.msg);
}

static void view_free(struct view *v)
{
	dns_names_free(v->n);
	dns_config_clear(&v->c);
	tables_free(&v->t);
}

/* --- configuration --- */

static int config_fd(const char *text)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void test_config_round_trip(void **state)
{
	struct view v = {};
	struct dns_config read = {};
	_buf_free_ struct buf a = {}, b = {};
	struct err e = {};
	_close_ int fd = -1;

	allow(&v.t, "api.example.com", 443, 443, 3);
	add_range(&v.t.names.v[0], NETWORK_UDP + 53, NETWORK_UDP + 53, 4, NETWORK_ALLOW);
	allow(&v.t, "*.example.org", 0, ALL, 5);
	add_name(&v.t, "!bad.example", 6);
	deny_all(&v.t, "10.0.0.0/8");
	deny_all(&v.t, "fc00::/7");
	strv_add(&v.t.dns_servers, "192.0.2.53");
	strv_add(&v.t.dns_servers, "2001:db8::53");
	v.t.config.flags = NETWORK_BLOCKS_NAMES;
	v.t.config.fallback = NETWORK_AUDIT;
	view_make(&v);
	v.c.ipv4 = v.c.ipv6 = v.c.events = v.c.detached = true;
	assert_int_equal(json_write(&dns_config_type, &v.c, false, &a, &e), 0);
	fd = config_fd(a.s);
	if (dns_config_read(fd, &read, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(json_write(&dns_config_type, &read, false, &b, &e), 0);
	assert_string_equal(a.s, b.s);
	assert_int_equal(read.names.n, 3);
	assert_string_equal(read.names.v[0].domain, "api.example.com");
	assert_int_equal(read.names.v[0].ranges.v[1].lo, NETWORK_UDP + 53);
	assert_true(read.names.v[1].wildcard && !read.names.v[1].blocked);
	assert_true(read.names.v[2].blocked && read.learn_blocked);
	assert_true(read.allow_unlisted && read.audit_unlisted);
	assert_int_equal(read.upstreams.n, 2);
	assert_true(strv_contains(&read.denied_prefixes, "10.0.0.0/8"));
	assert_true(strv_contains(&read.denied_prefixes, "fc00::/7"));
	dns_config_clear(&read);
	view_free(&v);
}

static void test_config_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "", "" },
		{ "{", "" },
		{ "[]", "expected an object" },
		{ "{\"upstreams\":[\"192.0.2.1\"]}", "no sockets" },
		{ "{\"ipv4\":true}", "upstream" },
		{ "{\"ipv4\":true,\"upstreams\":[\"example.com\"]}", "no address" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1/32\"]}", "no address" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],\"names\":[{}]}",
		  "required" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],"
		  "\"names\":[{\"domain\":\"Upper.example\"}]}",
		  "no name" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],"
		  "\"names\":[{\"domain\":\"a..b\"}]}",
		  "no name" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],\"names\":[{\"domain\":\"a.b\","
		  "\"ranges\":[{\"lo\":2,\"hi\":1,\"rule\":0,\"verdict\":1}]}]}",
		  "ports" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],\"names\":[{\"domain\":\"a.b\","
		  "\"ranges\":[{\"lo\":0,\"hi\":131072,\"rule\":0,\"verdict\":1}]}]}",
		  "ports" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],"
		  "\"deniedPrefixes\":[\"10.0.0.0/33\"]}",
		  "no address" },
		{ "{\"ipv4\":true,\"upstreams\":[\"192.0.2.1\"],\"openPrefixes\":[\"x\"]}",
		  "no address" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_close_ int fd = config_fd(bad[i][0]);
		struct dns_config c = {};
		struct err e = {};

		if (dns_config_read(fd, &c, &e) >= 0)
			fail_msg("taken: %s", bad[i][0]);
		if (!strstr(e.msg, bad[i][1]))
			fail_msg("'%s' does not say '%s'", e.msg, bad[i][1]);
	}
}

static void host_upstreams(const char *text, struct strv *ret, struct err *e)
{
	char path[] = "/tmp/purple-resolv-XXXXXX";
	_close_ int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	dns_config_host_upstreams(path, ret, e);
	unlink(path);
}

static void test_host_upstreams(void **state)
{
	struct strv l = {};
	struct err e = {};

	host_upstreams("# nameserver 1.1.1.1\nsearch lan\nnameserver 192.0.2.1\n"
		       "nameserver\t2001:db8::1  # here\nnameserver fe80::1%eth0\n"
		       "nameservers 192.0.2.9\nnameserver\n",
		       &l, &e);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0], "192.0.2.1");
	assert_string_equal(l.v[1], "2001:db8::1");
	strv_free(&l);
	l = (struct strv){};
	host_upstreams("options edns0\n", &l, &e);
	assert_int_equal(l.n, 0);
	assert_non_null(strstr(e.msg, "dns_servers"));
}

/* --- addresses and prefixes --- */

static bool may(const struct view *v, const char *address)
{
	struct network_address a;

	assert_int_equal(dns_address_parse(address, &a, NULL), 0);
	return dns_names_may_point_to(v->n, &a);
}

static void test_addresses(void **state)
{
	struct network_address a;
	char text[64];
	unsigned int len = 0;

	assert_int_equal(dns_address_parse("192.0.2.1", &a, NULL), 0);
	assert_true(dns_address_is_ipv4(&a));
	assert_string_equal(dns_address_text(&a, text, sizeof(text)), "192.0.2.1");
	assert_int_equal(dns_address_parse("10.0.0.0/8", &a, &len), 0);
	assert_int_equal(len, 104);
	assert_int_equal(dns_address_parse("2001:db8::/32", &a, &len), 0);
	assert_int_equal(len, 32);
	assert_int_equal(dns_address_parse("2001:db8::1", &a, &len), 0);
	assert_int_equal(len, 128);
	assert_int_equal(dns_address_parse("10.0.0.0/33", &a, &len), -EINVAL);
	assert_int_equal(dns_address_parse("10.0.0.0/8", &a, NULL), -EINVAL);
	assert_int_equal(dns_address_parse("10.0.0.0/", &a, &len), -EINVAL);
	assert_int_equal(dns_address_parse("0x7f.1", &a, NULL), -EINVAL);
	assert_int_equal(dns_address_parse("", &a, NULL), -EINVAL);
}

static void test_prefixes(void **state)
{
	const struct network_range some[] = { { 0, 442, 1, NETWORK_DENY },
					      { 443, 443, 2, NETWORK_ALLOW },
					      { 444, ALL, 1, NETWORK_DENY } };
	const struct network_range gap[] = { { 0, 442, 1, NETWORK_DENY },
					     { 444, ALL, 1, NETWORK_DENY } };
	const struct network_range whole[] = { { 0, 442, 1, NETWORK_DENY },
					       { 443, ALL, 2, NETWORK_DENY } };
	const struct network_range open = { 0, ALL, 3, NETWORK_ALLOW };
	struct view v = {};

	deny_all(&v.t, "10.0.0.0/8");
	add_prefix(&v.t, "10.1.0.0/16", some, 3);
	add_prefix(&v.t, "10.2.0.0/16", gap, 2);
	add_prefix(&v.t, "10.3.0.0/16", whole, 2);
	add_prefix(&v.t, "10.1.2.3/32", whole, 2);
	add_prefix(&v.t, "0.0.0.0/0", &open, 1);
	add_prefix(&v.t, "::/0", &open, 1);
	deny_all(&v.t, "2001:db8:dead::/48");
	view_make(&v);
	assert_false(may(&v, "10.0.0.1"));
	assert_true(may(&v, "10.1.0.1"));
	assert_true(may(&v, "10.2.0.1"));
	assert_false(may(&v, "10.3.0.1"));
	assert_false(may(&v, "10.1.2.3"));
	assert_true(may(&v, "192.0.2.1"));
	assert_true(may(&v, "2001:db8::1"));
	assert_false(may(&v, "2001:db8:dead:beef::1"));
	/* Never, though the table's shorter prefix is open. */
	assert_false(may(&v, "127.0.0.1"));
	assert_false(may(&v, "127.255.255.254"));
	assert_false(may(&v, "0.0.0.0"));
	assert_false(may(&v, "169.254.169.254"));
	assert_false(may(&v, "224.0.0.1"));
	assert_false(may(&v, "255.255.255.255"));
	assert_false(may(&v, "::1"));
	assert_false(may(&v, "::"));
	assert_false(may(&v, "fe80::1"));
	assert_false(may(&v, "ff02::1"));
	assert_false(may(&v, "fd00:ec2::254"));
	view_free(&v);
}

/* A rule for exactly such a range, or for one inside of it, lifts it. */
static void test_prefixes_lifted(void **state)
{
	const struct network_range open = { 0, ALL, 3, NETWORK_ALLOW };
	struct view v = {};

	add_prefix(&v.t, "127.0.0.0/8", &open, 1);
	add_prefix(&v.t, "169.254.169.254/32", &open, 1);
	add_prefix(&v.t, "::1/128", &open, 1);
	view_make(&v);
	assert_true(may(&v, "127.0.0.1"));
	assert_true(may(&v, "169.254.169.254"));
	assert_false(may(&v, "169.254.169.253"));
	assert_true(may(&v, "::1"));
	assert_false(may(&v, "::2"));
	view_free(&v);
}

/* --- names --- */

static void test_plain_names(void **state)
{
	char label63[200], long_name[300] = "";

	memset(label63, 'a', 63);
	label63[63] = '\0';
	assert_true(dns_name_is_plain("a"));
	assert_true(dns_name_is_plain("api.example.com"));
	assert_true(dns_name_is_plain("_acme-challenge.xn--bcher-kva.example"));
	assert_true(dns_name_is_plain(label63));
	strcat(label63, "a");
	assert_false(dns_name_is_plain(label63));
	assert_false(dns_name_is_plain(""));
	assert_false(dns_name_is_plain("."));
	assert_false(dns_name_is_plain("a."));
	assert_false(dns_name_is_plain(".a"));
	assert_false(dns_name_is_plain("a..b"));
	assert_false(dns_name_is_plain("A.b"));
	assert_false(dns_name_is_plain("*.b"));
	assert_false(dns_name_is_plain("a b"));
	assert_false(dns_name_is_plain("a\\.b"));
	assert_false(dns_name_is_plain("b\xc3\xbc"));
	for (int i = 0; i < 126; i++)
		strcat(long_name, "a.");
	strcat(long_name, "a");
	assert_true(dns_name_is_plain(long_name));
	strcat(long_name, "b");
	assert_false(dns_name_is_plain(long_name));

	assert_true(dns_name_is_in("a.example.org", "example.org"));
	assert_true(dns_name_is_in("example.org", "example.org"));
	assert_false(dns_name_is_in("badexample.org", "example.org"));
	assert_false(dns_name_is_in("org", "example.org"));
}

static struct dns_verdict find(const struct view *v, const char *name)
{
	struct dns_verdict r;

	dns_names_find(v->n, name, &r);
	return r;
}

static void test_names(void **state)
{
	struct view v = {};
	struct dns_verdict r;

	allow(&v.t, "api.example.com", 443, 443, 1);
	allow(&v.t, "*.example.org", 80, 80, 2);
	allow(&v.t, "www.example.org", 443, 443, 3);
	add_name(&v.t, "!bad.example.org", 4);
	add_name(&v.t, "nothing.example.com", 5);
	view_make(&v);

	r = find(&v, "api.example.com");
	assert_int_equal(r.verdict, NETWORK_ALLOW);
	assert_int_equal(r.rule, 1);
	assert_int_equal(r.range_count, 1);
	assert_int_equal(r.ranges[0].lo, 443);
	/* Neither its parent, nor what is below it, nor what ends like it. */
	assert_int_equal(find(&v, "example.com").verdict, NETWORK_NONE);
	assert_int_equal(find(&v, "x.api.example.com").verdict, NETWORK_NONE);
	assert_int_equal(find(&v, "evilapi.example.com").verdict, NETWORK_NONE);
	assert_int_equal(find(&v, "api.example.com.evil").verdict, NETWORK_NONE);
	assert_int_equal(find(&v, "com").verdict, NETWORK_NONE);
	/* A wildcard: below it at any depth, not itself. */
	assert_int_equal(find(&v, "a.example.org").verdict, NETWORK_ALLOW);
	assert_int_equal(find(&v, "a.b.c.example.org").rule, 2);
	assert_int_equal(find(&v, "example.org").verdict, NETWORK_NONE);
	assert_int_equal(find(&v, "aexample.org").verdict, NETWORK_NONE);
	/* Both rules allow. */
	r = find(&v, "www.example.org");
	assert_int_equal(r.verdict, NETWORK_ALLOW);
	assert_int_equal(r.range_count, 2);
	/* A block beats the wildcard around it, and holds below. */
	r = find(&v, "bad.example.org");
	assert_int_equal(r.verdict, NETWORK_DENY);
	assert_true(r.blocked);
	assert_int_equal(r.rule, 4);
	assert_int_equal(r.range_count, 0);
	assert_true(find(&v, "deep.down.bad.example.org").blocked);
	assert_false(find(&v, "notbad.example.org").blocked);
	/* Listed, and no policy leaves it a port. */
	r = find(&v, "nothing.example.com");
	assert_int_equal(r.verdict, NETWORK_DENY);
	assert_false(r.blocked);
	view_free(&v);
}

/* Names that no rule lists: what holds for every address, or for what no rule speaks of. */
static void test_names_unlisted(void **state)
{
	const struct network_range some[] = { { 0, 79, 1, NETWORK_DENY },
					      { 80, 80, 2, NETWORK_AUDIT },
					      { 443, 443, 3, NETWORK_ALLOW } };
	static const struct {
		const char *prefix;
		size_t ranges;
		uint32_t fallback;
		bool allow, audit;
		uint32_t rule;
	} cases[] = {
		{ NULL, 0, NETWORK_DENY, false, false, NETWORK_RULE_NONE },
		{ NULL, 0, NETWORK_ALLOW, true, false, NETWORK_RULE_NONE },
		{ NULL, 0, NETWORK_AUDIT, true, true, NETWORK_RULE_NONE },
		{ "0.0.0.0/0", 1, NETWORK_DENY, false, false, NETWORK_RULE_NONE },
		{ "0.0.0.0/0", 2, NETWORK_DENY, true, true, 2 },
		{ "0.0.0.0/0", 3, NETWORK_DENY, true, false, 3 },
		{ "::/0", 3, NETWORK_DENY, true, false, 3 },
		{ "0.0.0.0/1", 3, NETWORK_DENY, false, false, NETWORK_RULE_NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct view v = { .t.config.fallback = cases[i].fallback };

		if (cases[i].prefix)
			add_prefix(&v.t, cases[i].prefix, some, cases[i].ranges);
		view_make(&v);
		assert_int_equal(v.c.allow_unlisted, cases[i].allow);
		assert_int_equal(v.c.audit_unlisted, cases[i].audit);
		assert_int_equal(v.c.unlisted_rule, cases[i].rule);
		view_free(&v);
	}
}

static void test_names_audit(void **state)
{
	struct view v = {};
	struct dns_verdict r;

	add_range(add_name(&v.t, "!seen.example", 1), 0, ALL, 1, NETWORK_AUDIT);
	add_range(add_name(&v.t, "!both.example", 2), 0, ALL, 2, NETWORK_AUDIT);
	add_range(add_name(&v.t, "!both.example", 3), 0, ALL, 3, NETWORK_DENY);
	add_range(add_name(&v.t, "ports.example", 4), 0, 442, 4, NETWORK_AUDIT);
	add_range(&v.t.names.v[3], 443, 443, 5, NETWORK_ALLOW);
	allow(&v.t, "seen.example", 80, 80, 6);
	view_make(&v);
	r = find(&v, "seen.example");
	assert_int_equal(r.verdict, NETWORK_AUDIT);
	assert_true(r.blocked);
	assert_int_equal(r.range_count, 1);
	assert_int_equal(find(&v, "both.example").verdict, NETWORK_DENY);
	r = find(&v, "ports.example");
	assert_int_equal(r.verdict, NETWORK_ALLOW);
	assert_int_equal(r.range_count, 1);
	assert_int_equal(r.ranges[0].rule, 5);
	view_free(&v);
}

static void test_names_many_ranges(void **state)
{
	struct view v = {};
	struct dns_verdict r;

	add_name(&v.t, "many.example", 1);
	for (uint32_t i = 0; i < 20; i++)
		add_range(&v.t.names.v[0], i * 2, i * 2, 1, NETWORK_ALLOW);
	allow(&v.t, "one.example", 443, 443, 1);
	allow(&v.t, "*.example", 0, ALL, 2);
	view_make(&v);
	r = find(&v, "many.example");
	assert_int_equal(r.range_count, NETWORK_NAME_SLOTS);
	assert_true(r.cut);
	assert_false(find(&v, "one.example").cut);
	view_free(&v);
}

/* --- slots --- */

static struct network_name_slot slot(uint32_t lo, uint32_t hi, uint32_t rule,
				     uint64_t expires)
{
	return (struct network_name_slot){ lo, hi, rule, 0, expires };
}

static size_t live(const struct network_name *n, uint64_t now)
{
	size_t count = 0;

	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		count += n->slots[i].lo <= n->slots[i].hi && n->slots[i].expires > now;
	return count;
}

static void test_slots_merge(void **state)
{
	struct network_name n = {};
	struct network_name_slot a = slot(443, 443, 1, 100), b = slot(80, 80, 2, 90);

	assert_int_equal(dns_slots_merge(&n, &a, 10), 0);
	assert_int_equal(live(&n, 10), 1);
	/* What is not in use says so, and does not allow port 0. */
	assert_true(n.slots[1].lo > n.slots[1].hi);
	/* The same again lives longer, and never shorter. */
	a.expires = 200;
	assert_int_equal(dns_slots_merge(&n, &a, 20), 0);
	a.expires = 150;
	assert_int_equal(dns_slots_merge(&n, &a, 20), 0);
	assert_int_equal(live(&n, 20), 1);
	assert_int_equal(n.slots[0].expires, 200);
	/* Another rule or range has its own life. */
	assert_int_equal(dns_slots_merge(&n, &b, 20), 0);
	assert_int_equal(live(&n, 20), 2);
	a.rule = 3;
	assert_int_equal(dns_slots_merge(&n, &a, 20), 0);
	assert_int_equal(live(&n, 20), 3);
	/* What has expired makes room. */
	b = slot(22, 22, 4, 500);
	assert_int_equal(dns_slots_merge(&n, &b, 95), 0);
	assert_int_equal(live(&n, 95), 3);
}

/* When the block of a rule expires; 0: there is none. */
static uint64_t blocked_until(const struct network_name *n, uint32_t rule)
{
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		if ((n->slots[i].flags & NETWORK_NAME_BLOCKED) && n->slots[i].rule == rule)
			return n->slots[i].expires;
	return 0;
}

static void test_slots_full(void **state)
{
	struct network_name n = {};
	struct network_name_slot s, block = slot(0, ALL, 9, 50);

	for (uint32_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		s = slot(i, i, i, 100 + i);
		assert_int_equal(dns_slots_merge(&n, &s, 10), 0);
	}
	/* The one that would expire first goes, and that is told. */
	s = slot(1000, 1000, 20, 300);
	assert_int_equal(dns_slots_merge(&n, &s, 10), -ENOSPC);
	assert_int_equal(n.slots[0].lo, 1000);
	assert_int_equal(live(&n, 10), NETWORK_NAME_SLOTS);
	/* A block has a place always, and keeps it. */
	block.flags = NETWORK_NAME_BLOCKED;
	assert_int_equal(dns_slots_merge(&n, &block, 10), -ENOSPC);
	block.expires = 60;
	assert_int_equal(dns_slots_merge(&n, &block, 10), 0);
	for (uint32_t i = 0; i < 20; i++) {
		s = slot(2000 + i, 2000 + i, 30, 1000);
		dns_slots_merge(&n, &s, 10);
	}
	assert_int_equal(blocked_until(&n, 9), 60);
	/* A reload may take one rule away: the other one's block is still there. */
	for (uint32_t rule = 10; rule < 9 + NETWORK_NAME_SLOTS; rule++) {
		block.rule = rule;
		assert_int_equal(dns_slots_merge(&n, &block, 10), -ENOSPC);
		assert_int_equal(blocked_until(&n, rule), 60);
	}
	assert_int_equal(blocked_until(&n, 9), 60);
	/* More of them than there are places: it is denied as long as the last one says. */
	block.rule = 100;
	block.expires = 500;
	assert_int_equal(dns_slots_merge(&n, &block, 10), 0);
	assert_int_equal(live(&n, 400), 1);
	assert_int_equal(dns_slots_merge(&n, &s, 10), -ENOSPC);
	assert_int_equal(live(&n, 400), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config_round_trip),
		cmocka_unit_test(test_config_refused),
		cmocka_unit_test(test_host_upstreams),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_prefixes_lifted),
		cmocka_unit_test(test_plain_names),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_unlisted),
		cmocka_unit_test(test_names_audit),
		cmocka_unit_test(test_names_many_ranges),
		cmocka_unit_test(test_slots_merge),
		cmocka_unit_test(test_slots_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
