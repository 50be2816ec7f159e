// SPDX-License-Identifier: Apache-2.0
/*
 * From rules with names to the table of names. Pure.
 *
 * A pattern is a name ("a.b") or all names below one ("*.b"). The table has one entry for each
 * pattern of any policy, with all that holds for the names that it fits best: of each policy the
 * union of its patterns that fit too (all of them are above it), and over the policies what all
 * of them allow. Of a policy beside others its rules for every address count as well: "443" in
 * the administrator's policy and "api.example.com:443" in the second one come to the latter.
 *
 * What a policy that only records says of names matters where no other policy has an allow list:
 * the table says then what is not recorded.
 */
#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "network/compile_parts.h"

/* A rule for a name, of one policy. */
struct pattern {
	const char *domain;
	bool wildcard;
	uint32_t rule;
};

struct patterns {
	LIST_OF(struct pattern) l; /* by compare_patterns() */
	const struct compile_policy *policy;
};

static int compare_patterns(const void *a, const void *b)
{
	const struct pattern *x = a, *y = b;
	int r = strcmp(x->domain, y->domain);

	if (r == 0)
		r = x->wildcard - y->wildcard;
	return r ? r : (x->rule < y->rule ? -1 : x->rule > y->rule);
}

static bool is_same(const struct pattern *a, const struct pattern *b)
{
	return a->wildcard == b->wildcard && streq(a->domain, b->domain);
}

static int patterns_fill(struct patterns *p, enum network_rule_kind kind)
{
	const struct network_policy *from = p->policy->policy;
	size_t i;

	for (i = 0; i < from->rules.n; i++) {
		const struct network_rule *rule = &from->rules.v[i];
		struct pattern *slot;

		if (!rule->domain || rule->kind != kind)
			continue;
		slot = list_add(&p->l);
		if (!slot)
			return -ENOMEM;
		*slot = (struct pattern){ rule->domain,
					  kind == NETWORK_ALLOW_OUTGOING && rule->wildcard,
					  p->policy->first_rule + (uint32_t)i };
	}
	if (p->l.n)
		qsort(p->l.v, p->l.n, sizeof(*p->l.v), compare_patterns);
	return 0;
}

/* Adds the ports of all rules for one pattern. */
static int add_layers(const struct compile *c, const struct patterns *p,
		      const char *domain, bool wildcard, network_ranges *layers)
{
	struct pattern key = { domain, wildcard, 0 };
	size_t lo = 0, hi = p->l.n;
	int r = 0;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare_patterns(&p->l.v[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; r == 0 && lo < p->l.n && is_same(&p->l.v[lo], &key); lo++) {
		uint32_t rule = p->l.v[lo].rule;

		r = network_ranges_add_rule(c->t->rules.v[rule], rule, true, layers);
	}
	return r;
}

/* What a policy allows of the names that fit `key` best. `alone`: no other policy has a say.
 * *ret_named: rules for names are among what allows it. */
static int allowed_by(const struct compile *c, const struct patterns *p,
		      const struct pattern *key, bool alone, network_ranges *ret,
		      bool *ret_named)
{
	network_ranges layers = { 0 };
	const char *domain = key->domain;
	size_t i;
	int r = 0;

	if (!key->wildcard) {
		r = add_layers(c, p, domain, false, &layers);
		domain = strchr(domain, '.');
		domain = domain ? domain + 1 : NULL;
	}
	while (r == 0 && domain) {
		r = add_layers(c, p, domain, true, &layers);
		domain = strchr(domain, '.');
		domain = domain ? domain + 1 : NULL;
	}
	*ret_named = layers.n != 0;
	for (i = 0; r == 0 && !alone && i < p->policy->everywhere.n; i++) {
		struct network_range *slot = list_add(&layers);

		if (!slot)
			r = -ENOMEM;
		else
			*slot = p->policy->everywhere.v[i];
	}
	if (r == 0)
		r = network_ranges_flatten(&layers, ret);
	free(layers.v);
	return r;
}

/* What is told as the rule is the first one for a name. */
static int allowed_by_all(const struct compile *c, const struct patterns *v, size_t n,
			  const struct pattern *key, network_ranges *ret)
{
	bool named;
	size_t i;
	int r = allowed_by(c, &v[0], key, n == 1, ret, &named);

	for (i = 1; r == 0 && i < n && ret->n; i++) {
		network_ranges other = { 0 }, both = { 0 };
		bool other_named;

		r = allowed_by(c, &v[i], key, false, &other, &other_named);
		if (r == 0 && other_named && !named)
			r = network_ranges_intersect(&other, ret, &both);
		else if (r == 0)
			r = network_ranges_intersect(ret, &other, &both);
		named |= other_named;
		free(other.v);
		free(ret->v);
		*ret = both;
	}
	return r;
}

static int add_name(struct compile *c, const struct pattern *key, bool blocked,
		    network_ranges *ranges)
{
	struct network_table_name *slot = list_add(&c->t->names);

	if (!slot)
		return -ENOMEM;
	slot->domain = strdup(key->domain);
	slot->wildcard = key->wildcard;
	slot->blocked = blocked;
	slot->rule = blocked ? key->rule : ranges->v[0].rule;
	slot->ranges = *ranges;
	*ranges = (network_ranges){ 0 };
	return slot->domain ? 0 : -ENOMEM;
}

static int add_allowed(struct compile *c, const struct patterns *v, size_t n,
		       const struct pattern *key)
{
	network_ranges ranges = { 0 };
	int r = allowed_by_all(c, v, n, key, &ranges);

	if (r == 0 && ranges.n)
		r = add_name(c, key, false, &ranges);
	free(ranges.v);
	return r;
}

/* All patterns of `v`, each once, in order: into `ret`. */
static int patterns_join(const struct patterns *v, size_t n, struct patterns *ret)
{
	size_t i, k, kept = 0;

	for (i = 0; i < n; i++) {
		for (k = 0; k < v[i].l.n; k++) {
			struct pattern *slot = list_add(&ret->l);

			if (!slot)
				return -ENOMEM;
			*slot = v[i].l.v[k];
		}
	}
	if (!ret->l.n)
		return 0;
	qsort(ret->l.v, ret->l.n, sizeof(*ret->l.v), compare_patterns);
	for (i = 1; i < ret->l.n; i++)
		if (!is_same(&ret->l.v[i], &ret->l.v[kept]))
			ret->l.v[++kept] = ret->l.v[i];
	ret->l.n = kept + 1;
	return 0;
}

static bool policy_counts(const struct compile *c, const struct compile_policy *p,
			  enum network_rule_kind kind)
{
	if (kind == NETWORK_BLOCK_OUTGOING)
		return !p->policy->audit;
	return p->listed && (!c->enforcing_listed || !p->policy->audit);
}

/* The policies whose rules of a kind count, with their patterns: *ret is an array of *ret_n. */
static int collect(struct compile *c, enum network_rule_kind kind, struct patterns **ret,
		   size_t *ret_n)
{
	size_t i, n = 0;
	int r = 0;

	*ret = calloc(c->n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (i = 0; r == 0 && i < c->n; i++) {
		if (!policy_counts(c, &c->v[i], kind))
			continue;
		(*ret)[n].policy = &c->v[i];
		r = patterns_fill(&(*ret)[n++], kind);
	}
	*ret_n = n;
	return r;
}

static void patterns_clear(struct patterns *v, size_t n)
{
	size_t i;

	for (i = 0; v && i < n; i++)
		free(v[i].l.v);
	free(v);
}

static int compile_kind(struct compile *c, enum network_rule_kind kind)
{
	const struct network_range all = { .hi = NETWORK_PORTS_END - 1,
					   .verdict = NETWORK_DENY };
	struct patterns *v = NULL, keys = { 0 };
	size_t i, n = 0;
	int r = collect(c, kind, &v, &n);

	if (r == 0)
		r = patterns_join(v, n, &keys);
	for (i = 0; r == 0 && i < keys.l.n; i++) {
		network_ranges ranges = { 0 };
		struct network_range range = all;

		if (kind == NETWORK_ALLOW_OUTGOING) {
			r = add_allowed(c, v, n, &keys.l.v[i]);
			continue;
		}
		range.rule = keys.l.v[i].rule;
		r = network_ranges_append(&ranges, &range);
		if (r == 0)
			r = add_name(c, &keys.l.v[i], true, &ranges);
		free(ranges.v);
	}
	patterns_clear(v, n);
	free(keys.l.v);
	return r;
}

/* The order of network_table_name: by domain, a block first, then the name, then those below it. */
static int compare_names(const void *a, const void *b)
{
	const struct network_table_name *x = a, *y = b;
	int r = strcmp(x->domain, y->domain);

	if (r == 0)
		r = y->blocked - x->blocked;
	return r ? r : x->wildcard - y->wildcard;
}

int compile_names(struct compile *c)
{
	int r = compile_kind(c, NETWORK_BLOCK_OUTGOING);

	if (r == 0)
		r = compile_kind(c, NETWORK_ALLOW_OUTGOING);
	if (r == 0 && c->t->names.n)
		qsort(c->t->names.v, c->t->names.n, sizeof(*c->t->names.v), compare_names);
	return r;
}
