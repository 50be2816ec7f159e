/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_names.h. Runs in purple-dns. Names and prefixes are looked for by bisection. */
#include "network/dns_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BITS 128

struct prefix {
	struct network_address address;
	unsigned int len;
	bool denied;
};

struct dns_names {
	const struct dns_name **names; /* by domain */
	size_t name_count;
	struct prefix *prefixes; /* by length, then address */
	size_t prefix_count;
	size_t by_len[ADDRESS_BITS + 2]; /* where those of a length begin */
};

bool dns_name_is_plain(const char *name)
{
	size_t label = 0, n = 0;

	for (; name[n]; n++) {
		char c = name[n];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
			   c == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0 && n <= DNS_NAME_MAX;
}

bool dns_name_is_in(const char *name, const char *domain)
{
	size_t n = strlen(name), d = strlen(domain);

	if (n < d || strcmp(name + n - d, domain) != 0)
		return false;
	return n == d || name[n - d - 1] == '.';
}

static int by_domain(const void *a, const void *b)
{
	const struct dns_name *const *x = a, *const *y = b;

	return strcmp((*x)->domain, (*y)->domain);
}

static int by_prefix(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(&x->address, &y->address, sizeof(x->address));
}

static void mask(struct network_address *a, unsigned int len)
{
	for (unsigned int i = len / 8; i < sizeof(a->bytes); i++)
		a->bytes[i] &= i == len / 8 ? (uint8_t)(0xff00U >> (len % 8)) : 0;
}

static int add_prefixes(struct dns_names *n, const struct strv *l, bool denied,
			struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		struct prefix *p = &n->prefixes[n->prefix_count];

		if (dns_address_parse(l->v[i], &p->address, &p->len) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no prefix", l->v[i]);
		mask(&p->address, p->len);
		p->denied = denied;
		n->prefix_count++;
	}
	return 0;
}

static int make_prefixes(struct dns_names *n, const struct dns_config *c, struct err *e)
{
	size_t count = c->denied_prefixes.n + c->open_prefixes.n, at = 0;
	int r;

	n->prefixes = calloc(count + 1, sizeof(*n->prefixes));
	if (!n->prefixes)
		return err_oom(e);
	r = add_prefixes(n, &c->denied_prefixes, true, e);
	if (r == 0)
		r = add_prefixes(n, &c->open_prefixes, false, e);
	if (r < 0)
		return r;
	qsort(n->prefixes, n->prefix_count, sizeof(*n->prefixes), by_prefix);
	for (unsigned int len = 0; len <= ADDRESS_BITS + 1; len++) {
		while (at < n->prefix_count && n->prefixes[at].len < len)
			at++;
		n->by_len[len] = at;
	}
	return 0;
}

int dns_names_make(const struct dns_config *c, struct dns_names **ret, struct err *e)
{
	struct dns_names *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_oom(e);
	n->names = calloc(c->names.n + 1, sizeof(*n->names));
	r = n->names ? make_prefixes(n, c, e) : err_oom(e);
	if (r < 0) {
		dns_names_free(n);
		return r;
	}
	for (size_t i = 0; i < c->names.n; i++)
		n->names[n->name_count++] = &c->names.v[i];
	qsort(n->names, n->name_count, sizeof(struct dns_name *), by_domain);
	*ret = n;
	return 0;
}

void dns_names_free(struct dns_names *n)
{
	if (!n)
		return;
	free(n->names);
	free(n->prefixes);
	free(n);
}

/* Where names with this domain begin: there can be an exact one, a wildcard, and blocks. */
static size_t first_of(const struct dns_names *n, const char *domain)
{
	size_t lo = 0, hi = n->name_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(n->names[mid]->domain, domain) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Ranges that another one holds already say nothing new. */
static void add_range(struct dns_verdict *v, const struct dns_range *r)
{
	for (size_t i = 0; i < v->range_count; i++)
		if (v->ranges[i].lo <= r->lo && r->hi <= v->ranges[i].hi)
			return;
	if (v->range_count == NETWORK_NAME_SLOTS) {
		v->cut = true;
		return;
	}
	v->ranges[v->range_count++] = (struct network_range){
		.lo = r->lo, .hi = r->hi, .rule = r->rule, .verdict = r->verdict
	};
}

static void set_verdict(struct dns_verdict *v, enum network_verdict verdict, uint32_t rule)
{
	v->verdict = verdict;
	v->rule = rule;
}

/* A blocked name is denied unless all that blocks it is of policies that only record. */
static void apply_block(struct dns_verdict *v, const struct dns_name *x)
{
	bool audit = x->ranges.n > 0;

	for (size_t i = 0; i < x->ranges.n; i++)
		audit = audit && x->ranges.v[i].verdict == NETWORK_AUDIT;
	if (v->blocked && v->verdict == NETWORK_DENY)
		return;
	v->blocked = true;
	set_verdict(v, audit ? NETWORK_AUDIT : NETWORK_DENY, x->rule);
}

static void apply_allow(struct dns_verdict *v, const struct dns_name *x)
{
	bool audit = false;

	for (size_t i = 0; i < x->ranges.n; i++) {
		const struct dns_range *r = &x->ranges.v[i];

		audit = audit || r->verdict == NETWORK_AUDIT;
		if (r->verdict != NETWORK_ALLOW)
			continue;
		add_range(v, r);
		if (!v->blocked && v->verdict != NETWORK_ALLOW)
			set_verdict(v, NETWORK_ALLOW, r->rule);
	}
	if (v->blocked || v->verdict == NETWORK_ALLOW || v->verdict == NETWORK_AUDIT)
		return;
	/* Listed with no port that all policies allow: denied, by this rule. */
	if (audit || v->verdict == NETWORK_NONE)
		set_verdict(v, audit ? NETWORK_AUDIT : NETWORK_DENY, x->rule);
}

void dns_names_find(const struct dns_names *n, const char *name, struct dns_verdict *ret)
{
	bool exact = true;

	*ret = (struct dns_verdict){ .verdict = NETWORK_NONE, .rule = NETWORK_RULE_NONE };
	/* The name itself, then its parents, up to the last label. */
	for (const char *domain = name; domain; exact = false) {
		for (size_t i = first_of(n, domain);
		     i < n->name_count && strcmp(n->names[i]->domain, domain) == 0; i++) {
			const struct dns_name *x = n->names[i];

			if (x->blocked)
				apply_block(ret, x);
			else if (x->wildcard != exact)
				apply_allow(ret, x);
		}
		domain = strchr(domain, '.');
		if (domain)
			domain++;
	}
	if (ret->verdict == NETWORK_DENY)
		ret->range_count = 0;
}

static const struct prefix *find_prefix(const struct dns_names *n,
					const struct network_address *a, unsigned int len)
{
	size_t count = n->by_len[len + 1] - n->by_len[len];
	struct prefix key = { .address = *a, .len = len };

	if (count == 0)
		return NULL;
	mask(&key.address, len);
	return bsearch(&key, n->prefixes + n->by_len[len], count, sizeof(key), by_prefix);
}

bool dns_names_may_point_to(const struct dns_names *n, const struct network_address *a)
{
	/* ::/0 and 0.0.0.0/0 are two: a prefix of IPv6 says nothing of IPv4. */
	unsigned int shortest = dns_address_is_ipv4(a) ? 96 : 0;

	for (unsigned int len = ADDRESS_BITS + 1; len-- > shortest;) {
		const struct prefix *p = find_prefix(n, a, len);

		if (p)
			return !p->denied;
	}
	return true;
}
