// SPDX-License-Identifier: Apache-2.0
/*
 * Where one policy lets an agent talk to and the other does not. Both are compiled as for the
 * kernel. Verdicts change at the borders of the tables' prefixes and port ranges alone, so one
 * address and one port of each piece between borders stand for all of it: nothing is left out.
 * Pure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "policy/diff_parts.h"
#include "policy/network.h"

#define QUESTIONS_MAX 20000000u /* pieces of addresses and names, times those of ports */

/* A name that no rule has. */
#define OTHER "any-other-name."
#define OTHER_TOP "invalid"

struct address {
	uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct side {
	const struct policy *p;
	network_policies policies;
	struct network_tables tables;
};

struct pieces {
	LIST_OF(struct address) addresses; /* the first of each piece */
	struct strv names;
	LIST_OF(uint32_t) ports; /* likewise */
};

/* All that two rules, one of each policy, decide differently. */
struct group {
	enum policy_change change;
	uint32_t rules[2];
	unsigned int open[2]; /* enum opening */
	struct buf example;
	bool has_more;
};
typedef LIST_OF(struct group) groups;

static void pieces_clear(struct pieces *x)
{
	free(x->addresses.v);
	strv_free(&x->names);
	free(x->ports.v);
}

static int side_make(const struct policy *p, struct side *ret, struct err *e)
{
	const struct network_surroundings around = { .own_namespace = true };
	int r;

	ret->p = p;
	r = policy_network_add(p, &ret->policies, e);
	return r < 0 ? r : network_compile(&ret->policies, &around, &ret->tables, e);
}

static void side_clear(struct side *s)
{
	network_tables_clear(&s->tables);
	network_policies_clear(&s->policies);
}

/* --- the pieces --- */

static int add_address(struct pieces *x, const uint8_t *address, bool v4)
{
	struct address *a = list_add(&x->addresses);

	if (!a)
		return -ENOMEM;
	*a = (struct address){};
	if (v4)
		a->bytes[10] = a->bytes[11] = 0xff;
	memcpy(a->bytes + (v4 ? 12 : 0), address, v4 ? 4 : 16);
	return 0;
}

/* The first address, and the one behind the last; there is none behind the last of all. */
static int add_prefix(struct pieces *x, const struct network_table_entry *entry, bool v4)
{
	uint8_t after[16];
	unsigned int bits = entry->prefix_len, i = bits;
	int r = add_address(x, entry->address, v4);

	memcpy(after, entry->address, sizeof(after));
	while (i-- > 0) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		after[i / 8] ^= bit;
		if (after[i / 8] & bit)
			return r < 0 ? r : add_address(x, after, v4);
	}
	return r;
}

static int add_port(struct pieces *x, uint32_t port)
{
	uint32_t *p;

	if (port >= NETWORK_PORTS_END)
		return 0;
	p = list_add(&x->ports);
	if (!p)
		return -ENOMEM;
	*p = port;
	return 0;
}

static int add_range(struct pieces *x, const struct network_range *range)
{
	int r = 0;

	if (range->lo <= range->hi) {
		r = add_port(x, range->lo);
		if (r == 0)
			r = add_port(x, range->hi + 1);
	}
	return r;
}

static int add_entries(struct pieces *x, const network_entries *l, bool v4)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		r = add_prefix(x, &l->v[i], v4);
		if (r == 0)
			r = add_range(x, &l->v[i].entry.first);
	}
	return r;
}

/* A name of a table, one below it that no table has, and their ports. */
static int add_name(struct pieces *x, const struct network_table_name *name)
{
	int r = 0;

	if (!name->wildcard && strv_add(&x->names, name->domain) < 0)
		return -ENOMEM;
	if (strv_addf(&x->names, OTHER "%s", name->domain) < 0)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < name->ranges.n; i++)
		r = add_range(x, &name->ranges.v[i]);
	return r;
}

static int add_side(struct pieces *x, const struct network_tables *t)
{
	int r = add_entries(x, &t->v4, true);

	if (r == 0)
		r = add_entries(x, &t->v6, false);
	for (size_t i = 0; r == 0 && i < t->ranges.n; i++)
		r = add_range(x, &t->ranges.v[i]);
	for (size_t i = 0; r == 0 && i < t->names.n; i++)
		r = add_name(x, &t->names.v[i]);
	return r;
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct address));
}

static int by_port(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Once each, in order. */
static void sort_pieces(struct pieces *x)
{
	size_t n = 0;

	qsort(x->addresses.v, x->addresses.n, sizeof(*x->addresses.v), by_address);
	for (size_t i = 0; i < x->addresses.n; i++)
		if (!n || by_address(&x->addresses.v[i], &x->addresses.v[n - 1]) != 0)
			x->addresses.v[n++] = x->addresses.v[i];
	x->addresses.n = n;
	qsort(x->ports.v, x->ports.n, sizeof(*x->ports.v), by_port);
	n = 0;
	for (size_t i = 0; i < x->ports.n; i++)
		if (!n || x->ports.v[i] != x->ports.v[n - 1])
			x->ports.v[n++] = x->ports.v[i];
	x->ports.n = n;
	strv_sort(&x->names);
}

static int make_pieces(const struct side s[2], struct pieces *ret)
{
	static const uint8_t first4[4] = { 1 }, first6[16] = { 0x20 };
	int r = add_address(ret, first4, true);

	/* One that the tables do not know: what holds for all others. */
	if (r == 0)
		r = add_address(ret, first6, false);
	if (r == 0 && strv_add(&ret->names, OTHER OTHER_TOP) < 0)
		r = -ENOMEM;
	if (r == 0)
		r = add_port(ret, NETWORK_TCP);
	if (r == 0)
		r = add_port(ret, NETWORK_UDP);
	for (int k = 0; r == 0 && k < 2; k++)
		r = add_side(ret, &s[k].tables);
	if (r == 0)
		sort_pieces(ret);
	return r;
}

/* --- the questions --- */

/* How far something is open, in order. */
enum opening {
	OPEN_NOT,
	OPEN_BY_NAME, /* no rule for addresses speaks of it, and a name that is allowed may lead there */
	OPEN_WIDE,
};

static bool has_name_for(const struct network_tables *t, uint32_t port)
{
	for (size_t i = 0; i < t->names.n; i++) {
		const struct network_table_name *name = &t->names.v[i];

		for (size_t k = 0; !name->blocked && k < name->ranges.n; k++)
			if (port >= name->ranges.v[k].lo && port <= name->ranges.v[k].hi)
				return true;
	}
	return false;
}

static enum opening opening_of(const struct side *s, const struct network_answer *a,
			       bool is_address, uint32_t port)
{
	if (a->verdict != NETWORK_DENY)
		return OPEN_WIDE;
	return is_address && a->rule == NETWORK_RULE_NONE && has_name_for(&s->tables, port) ?
		       OPEN_BY_NAME :
		       OPEN_NOT;
}

static void write_example(struct buf *out, const struct address *a, const char *name,
			  uint32_t port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];
	bool v4;

	if (a) {
		v4 = memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
		inet_ntop(v4 ? AF_INET : AF_INET6, a->bytes + (v4 ? 12 : 0), text,
			  sizeof(text));
		name = text;
	}
	if (streq(name, OTHER OTHER_TOP))
		buf_adds(out, "any other name");
	else if (str_has_prefix(name, OTHER))
		buf_addf(out, "*.%s", name + strlen(OTHER));
	else
		buf_adds(out, name);
	buf_addf(out, " port %u/%s", port % NETWORK_UDP, port < NETWORK_UDP ? "tcp" : "udp");
}

static int note(groups *l, const struct side s[2], const struct network_answer answers[2],
		const struct address *a, const char *name, uint32_t port)
{
	const enum opening open[] = { opening_of(&s[0], &answers[0], a, port),
				      opening_of(&s[1], &answers[1], a, port) };
	enum policy_change c = open[1] > open[0] ? POLICY_LOOSER : POLICY_STRICTER;
	struct group *g;

	if (open[0] == open[1])
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		g = &l->v[i];
		if (g->change == c && g->rules[0] == answers[0].rule &&
		    g->rules[1] == answers[1].rule) {
			g->has_more = true;
			return 0;
		}
	}
	g = list_add(l);
	if (!g)
		return -ENOMEM;
	*g = (struct group){ .change = c,
			     .rules = { answers[0].rule, answers[1].rule },
			     .open = { open[0], open[1] } };
	write_example(&g->example, a, name, port);
	return g->example.failed ? -ENOMEM : 0;
}

static int ask_all(const struct side s[2], const struct pieces *x, groups *l)
{
	int r = 0;

	for (size_t i = 0; i < x->ports.n; i++) {
		uint32_t port = x->ports.v[i];

		for (size_t k = 0; r == 0 && k < x->addresses.n; k++) {
			const struct address *a = &x->addresses.v[k];
			const struct network_answer both[2] = {
				network_decide_address(&s[0].tables, a->bytes, port),
				network_decide_address(&s[1].tables, a->bytes, port)
			};

			r = note(l, s, both, a, NULL, port);
		}
		for (size_t k = 0; r == 0 && k < x->names.n; k++) {
			const struct network_answer both[2] = {
				network_decide_name(&s[0].tables, x->names.v[k], port),
				network_decide_name(&s[1].tables, x->names.v[k], port)
			};

			r = note(l, s, both, NULL, x->names.v[k], port);
		}
	}
	return r;
}

/* --- what came of it --- */

static void write_rule(struct buf *out, const struct side *s, uint32_t rule,
		       unsigned int open)
{
	if (open == OPEN_BY_NAME) {
		buf_adds(out, "allowed where a name that is allowed leads there");
		return;
	}
	buf_adds(out, open == OPEN_WIDE ? "allowed" : "denied");
	if (rule < s->tables.rules.n)
		buf_addf(out, " by %s (%s)", s->tables.rules.v[rule]->text,
			 s->tables.rules.v[rule]->place);
	else if (rule == NETWORK_RULE_RESERVED)
		buf_adds(out, " as a reserved address");
	else
		buf_adds(out, ": no rule speaks of it");
}

static int add_group(policy_differences *ret, const struct side s[2], const struct group *g)
{
	_buf_free_ struct buf key = {}, first = {}, second = {};

	buf_addf(&key, "network: %s%s", g->example.s, g->has_more ? " and more" : "");
	write_rule(&first, &s[0], g->rules[0], g->open[0]);
	write_rule(&second, &s[1], g->rules[1], g->open[1]);
	if (key.failed || first.failed || second.failed)
		return -ENOMEM;
	return diff_add(ret, g->change, key.s, first.s, second.s);
}

static int compare_outgoing(const struct side s[2], policy_differences *ret, struct err *e)
{
	__attribute__((cleanup(pieces_clear))) struct pieces x = {};
	groups l = {};
	int r = make_pieces(s, &x);

	if (r == 0 &&
	    (x.addresses.n + x.names.n) * (unsigned long long)x.ports.n > QUESTIONS_MAX)
		return err_set(e, ERR_POLICY, E2BIG,
			       "network: the rules are too many to be compared (%zu "
			       "addresses and names, %zu ports)",
			       x.addresses.n + x.names.n, x.ports.n);
	if (r == 0)
		r = ask_all(s, &x, &l);
	for (size_t i = 0; i < l.n; i++) {
		if (r == 0)
			r = add_group(ret, s, &l.v[i]);
		buf_free(&l.v[i].example);
	}
	free(l.v);
	return r < 0 ? err_oom(e) : 0;
}

/* --- ports that others may reach --- */

static bool may_come_in(const struct network_tables *t, uint32_t port)
{
	if (t->config.flags & NETWORK_ANY_INCOMING)
		return t->config.fallback != NETWORK_DENY;
	for (uint32_t i = 0; i < t->config.incoming_count; i++) {
		const struct network_range *range = &t->ranges.v[t->config.incoming + i];

		if (port >= range->lo && port <= range->hi)
			return range->verdict != NETWORK_DENY;
	}
	return false;
}

static int compare_incoming(const struct side s[2], policy_differences *ret, struct err *e)
{
	__attribute__((cleanup(pieces_clear))) struct pieces x = {};
	_buf_free_ struct buf lost = {}, won = {};
	int r = make_pieces(s, &x);

	for (size_t i = 0; r == 0 && i < x.ports.n; i++) {
		uint32_t port = x.ports.v[i], last = NETWORK_PORTS_END - 1;
		bool first = may_come_in(&s[0].tables, port),
		     second = may_come_in(&s[1].tables, port);
		struct buf *out = second ? &won : &lost;

		if (first == second)
			continue;
		if (i + 1 < x.ports.n)
			last = x.ports.v[i + 1] - 1;
		buf_addf(out, "%s%u", out->len ? ", " : "", port % NETWORK_UDP);
		if (last > port)
			buf_addf(out, "-%u", last % NETWORK_UDP);
		buf_addf(out, "/%s", port < NETWORK_UDP ? "tcp" : "udp");
	}
	if (lost.failed || won.failed)
		r = -ENOMEM;
	if (r == 0 && lost.len)
		r = diff_add(ret, POLICY_STRICTER, "network.allow_incoming", lost.s, "");
	if (r == 0 && won.len)
		r = diff_add(ret, POLICY_LOOSER, "network.allow_incoming", "", won.s);
	return r < 0 ? err_oom(e) : 0;
}

static int compare_resolvers(const struct side s[2], policy_differences *ret, struct err *e)
{
	return diff_add_lists(ret, POLICY_OTHER, "network.dns_servers",
			      &s[0].tables.dns_servers, &s[1].tables.dns_servers) < 0 ?
		       err_oom(e) :
		       0;
}

static int compare_rules(const struct policy *a, const struct policy *b,
			 policy_differences *ret, struct err *e)
{
	struct side s[2] = {};
	int r = side_make(a, &s[0], e);

	if (r == 0)
		r = side_make(b, &s[1], e);
	if (r == 0)
		r = compare_outgoing(s, ret, e);
	if (r == 0)
		r = compare_incoming(s, ret, e);
	if (r == 0)
		r = compare_resolvers(s, ret, e);
	side_clear(&s[0]);
	side_clear(&s[1]);
	return r;
}

int diff_network(const struct policy *a, const struct policy *b, policy_differences *ret,
		 struct err *e)
{
	const bool isolated[] = { a->network.isolated, b->network.isolated };

	if (isolated[0] && isolated[1])
		return 0;
	if (isolated[0] == isolated[1])
		return compare_rules(a, b, ret, e);
	return diff_add(ret, isolated[1] ? POLICY_STRICTER : POLICY_LOOSER,
			"network.isolated", isolated[0] ? "true" : "false",
			isolated[1] ? "true" : "false") < 0 ?
		       err_oom(e) :
		       0;
}
