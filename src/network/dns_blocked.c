/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_blocked.h. Runs in purple-dns. */
#include "network/dns_blocked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX (DNS_BLOCKED_LISTED_MAX + DNS_BLOCKED_ASKED_MAX)
#define PAUSE_MS (1000 / DNS_BLOCKED_PER_SECOND)

/* One name and type that is asked for again and again. */
struct item {
	struct dns_blocked *all;
	char name[DNS_NAME_MAX + 1];
	uint16_t type;
	uint32_t rule;
	uint64_t due; /* milliseconds */
	bool under_way;
};

struct dns_blocked {
	const struct dns_names *names;
	struct dns_lookups *lookups;
	struct dns_map *map;
	size_t listed, count; /* items: those of the policy, and all; two for each name */
	size_t next_asked;    /* the place for the next name that is asked for */
	unsigned int under_way;
	uint64_t next_start;
	struct item items[2 * NAMES_MAX];
};

static void set_name(struct dns_blocked *b, size_t at, const char *name, uint32_t rule)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA };

	for (size_t i = 0; i < 2; i++) {
		struct item *x = &b->items[at + i];

		*x = (struct item){ .all = b, .type = types[i], .rule = rule };
		snprintf(x->name, sizeof(x->name), "%s", name);
	}
}

int dns_blocked_make(const struct dns_config *c, const struct dns_names *names,
		     struct dns_lookups *lookups, struct dns_map *map,
		     struct dns_blocked **ret, struct err *e)
{
	struct dns_blocked *b = calloc(1, sizeof(*b));

	if (!b)
		return err_oom(e);
	b->names = names;
	b->lookups = lookups;
	b->map = map;
	for (size_t i = 0; i < c->names.n; i++) {
		const struct dns_name *x = &c->names.v[i];
		struct dns_verdict v;

		dns_names_find(names, x->domain, &v);
		if (!x->blocked || v.verdict != NETWORK_DENY ||
		    b->count == 2 * DNS_BLOCKED_LISTED_MAX)
			continue;
		set_name(b, b->count, x->domain, x->rule);
		b->count += 2;
	}
	b->listed = b->next_asked = b->count;
	*ret = b;
	return 0;
}

void dns_blocked_free(struct dns_blocked *b)
{
	free(b);
}

void dns_blocked_want(struct dns_blocked *b, const char *name, uint32_t rule)
{
	for (size_t i = 0; i < b->count; i += 2)
		if (streq(b->items[i].name, name))
			return;
	/* The oldest one makes room, unless its answer is still awaited. */
	if (b->items[b->next_asked].under_way || b->items[b->next_asked + 1].under_way)
		return;
	set_name(b, b->next_asked, name, rule);
	b->next_asked += 2;
	if (b->count < b->next_asked)
		b->count = b->next_asked;
	if (b->next_asked == b->listed + 2 * (size_t)DNS_BLOCKED_ASKED_MAX)
		b->next_asked = b->listed;
}

static uint64_t clamp_ttl(uint32_t ttl)
{
	return ttl < DNS_TTL_MIN ? DNS_TTL_MIN : ttl > DNS_TTL_MAX ? DNS_TTL_MAX : ttl;
}

static void on_done(void *arg, enum dns_found found, const struct dns_answer *a)
{
	struct item *x = arg;
	struct dns_blocked *b = x->all;
	uint64_t life = found == DNS_FOUND ? clamp_ttl(a->ttl) : DNS_TTL_MIN;
	/* It lives on while it is asked for again. */
	struct network_name_slot slot = { .lo = 0,
					  .hi = NETWORK_PORTS_END - 1,
					  .rule = x->rule,
					  .flags = NETWORK_NAME_BLOCKED,
					  .expires = dns_now() + 2 * life + DNS_TTL_GRACE };

	x->under_way = false;
	b->under_way--;
	x->due = dns_now_ms() + life * 1000;
	for (size_t i = 0; found == DNS_FOUND && i < a->address_count; i++) {
		unsigned int lost;
		struct err e;

		/* Block lists are often answered with 0.0.0.0: what is denied anyway needs no
		 * entry, and the container's own loopback is not to be taken from it. */
		if (!dns_names_may_point_to(b->names, &a->addresses[i]))
			continue;
		/* Full of blocks: tried again when the name is due. */
		if (dns_map_learn(b->map, &a->addresses[i], &slot, 1, &lost, &e) < 0)
			x->due = dns_now_ms() + DNS_TTL_MIN * 1000;
	}
}

uint64_t dns_blocked_tick(struct dns_blocked *b, uint64_t now_ms, uint64_t limit)
{
	for (size_t i = 0; i < b->count; i++) {
		struct item *x = &b->items[i];

		if (x->under_way)
			continue;
		if (x->due <= now_ms && b->next_start <= now_ms &&
		    b->under_way < DNS_BLOCKED_UNDER_WAY_MAX &&
		    dns_lookup_start(b->lookups, x->name, x->type, on_done, x) == 0) {
			x->under_way = true;
			b->under_way++;
			b->next_start = now_ms + PAUSE_MS;
			continue;
		}
		/* Where all are busy, an answer wakes the loop. */
		if (x->due <= now_ms)
			limit = b->next_start > now_ms && b->next_start < limit ?
					b->next_start :
					limit;
		else if (x->due < limit)
			limit = x->due;
	}
	return limit;
}
