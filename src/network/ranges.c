// SPDX-License-Identifier: Apache-2.0
/* Sets of ports: see ranges.h. Pure. */
#include "network/ranges.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/fd.h"

#define PORT_MAX 65535u
#define PORT_QUIC 443u

int network_ranges_append(network_ranges *l, const struct network_range *range)
{
	struct network_range *last = l->n ? &l->v[l->n - 1] : NULL;
	struct network_range *slot;

	if (last && last->hi + 1 == range->lo && last->rule == range->rule &&
	    last->verdict == range->verdict) {
		last->hi = range->hi;
		return 0;
	}
	slot = list_add(l);
	if (!slot)
		return -ENOMEM;
	*slot = *range;
	return 0;
}

static int add(network_ranges *l, uint32_t lo, uint32_t hi, uint32_t rule)
{
	struct network_range *slot = list_add(l);

	if (!slot)
		return -ENOMEM;
	*slot = (struct network_range){ lo, hi, rule, NETWORK_ALLOW };
	return 0;
}

int network_ranges_add_rule(const struct network_rule *rule, uint32_t number,
			    bool by_name, network_ranges *ret)
{
	uint32_t lo = rule->port_lo, hi = rule->port_lo ? rule->port_hi : PORT_MAX;
	uint32_t quic = NETWORK_UDP + PORT_QUIC;
	int r = 0;

	if (rule->protocol != IPPROTO_UDP)
		r = add(ret, NETWORK_TCP + lo, NETWORK_TCP + hi, number);
	if (r < 0 || rule->protocol == IPPROTO_TCP)
		return r;
	lo += NETWORK_UDP;
	hi += NETWORK_UDP;
	if (!by_name || rule->protocol == IPPROTO_UDP || quic < lo || quic > hi)
		return add(ret, lo, hi, number);
	if (lo < quic)
		r = add(ret, lo, quic - 1, number);
	return r == 0 && quic < hi ? add(ret, quic + 1, hi, number) : r;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* All bounds of the layers, each once, ascending. Returns how many. */
static size_t collect_bounds(const network_ranges *layers, uint32_t *at)
{
	size_t i, n = 0, kept = 0;

	for (i = 0; i < layers->n; i++) {
		at[n++] = layers->v[i].lo;
		at[n++] = layers->v[i].hi + 1;
	}
	qsort(at, n, sizeof(*at), compare_numbers);
	for (i = 1; i < n; i++)
		if (at[i] != at[kept])
			at[++kept] = at[i];
	return kept + 1;
}

static size_t find_bound(const uint32_t *at, size_t n, uint32_t value)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (at[mid] < value)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The first piece from `i` on that has no owner; what was passed is skipped the next time. */
static uint32_t first_free(uint32_t *next, uint32_t i)
{
	uint32_t found = i;

	while (next[found] != found)
		found = next[found];
	while (next[i] != found) {
		uint32_t step = next[i];

		next[i] = found;
		i = step;
	}
	return found;
}

/*
 * Between two neighbouring bounds one layer decides: the first that holds the piece. Each piece is
 * given away once, so that a thousand layers cost no more than their bounds.
 */
int network_ranges_flatten(const network_ranges *layers, network_ranges *ret)
{
	_free_ uint32_t *at = NULL, *next = NULL, *owner = NULL;
	size_t n, i;
	int r = 0;

	if (layers->n <= 1)
		return layers->n ? network_ranges_append(ret, &layers->v[0]) : 0;
	at = calloc(2 * layers->n, sizeof(*at));
	if (!at)
		return -ENOMEM;
	n = collect_bounds(layers, at);
	next = calloc(n, sizeof(*next));
	owner = calloc(n, sizeof(*owner));
	if (!next || !owner)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		next[i] = (uint32_t)i;
	for (i = 0; i < layers->n; i++) {
		size_t end = find_bound(at, n, layers->v[i].hi + 1);
		uint32_t k = first_free(next, (uint32_t)find_bound(at, n, layers->v[i].lo));

		for (; k < end; k = first_free(next, k)) {
			owner[k] = (uint32_t)i + 1;
			next[k] = k + 1;
		}
	}
	for (i = 0; r == 0 && i + 1 < n; i++) {
		struct network_range piece;

		if (!owner[i])
			continue;
		piece = layers->v[owner[i] - 1];
		piece.lo = at[i];
		piece.hi = at[i + 1] - 1;
		r = network_ranges_append(ret, &piece);
	}
	return r;
}

int network_ranges_intersect(const network_ranges *a, const network_ranges *b,
			     network_ranges *ret)
{
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && i < a->n && k < b->n) {
		struct network_range piece = a->v[i];

		if (piece.lo < b->v[k].lo)
			piece.lo = b->v[k].lo;
		if (piece.hi > b->v[k].hi)
			piece.hi = b->v[k].hi;
		if (piece.lo <= piece.hi)
			r = network_ranges_append(ret, &piece);
		if (a->v[i].hi < b->v[k].hi)
			i++;
		else
			k++;
	}
	return r;
}

const struct network_range *network_ranges_find(const struct network_range *v, size_t n,
						uint32_t port)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (port < v[mid].lo)
			hi = mid;
		else if (port > v[mid].hi)
			lo = mid + 1;
		else
			return &v[mid];
	}
	return NULL;
}
