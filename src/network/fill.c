/* SPDX-License-Identifier: Apache-2.0 */
/* See fill.h. Runs in the runtime process. */
#include "network/fill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"

#define HTTPS (NETWORK_TCP + 443)

static int full(struct err *e, int r, const char *what, size_t n, uint32_t done)
{
	if (r == -ENOSPC || r == -E2BIG)
		return err_set(e, ERR_POLICY, ENOSPC,
			       "network: %zu %s are too many: the kernel's map is full after %u",
			       n, what, done);
	return err_errno(e, r, "network: cannot set %s %u of %zu", what, done + 1, n);
}

static int fill_v4(const struct network_tables *t, int map, struct err *e)
{
	size_t n = t->v4.n;
	_free_ struct network_prefix4 *keys = calloc(n ? n : 1, sizeof(*keys));
	_free_ struct network_entry *values = calloc(n ? n : 1, sizeof(*values));
	uint32_t done;
	int r;

	if (!keys || !values)
		return err_oom(e);
	for (size_t i = 0; i < n; i++) {
		keys[i].prefix_len = t->v4.v[i].prefix_len;
		memcpy(keys[i].address, t->v4.v[i].address, sizeof(keys[i].address));
		values[i] = t->v4.v[i].entry;
	}
	r = kbpf_map_fill(map, keys, sizeof(*keys), values, sizeof(*values), (uint32_t)n,
			  &done);
	return r < 0 ? full(e, r, "prefixes of IPv4", n, done) : 0;
}

static int fill_v6(const struct network_tables *t, int map, struct err *e)
{
	size_t n = t->v6.n;
	_free_ struct network_prefix6 *keys = calloc(n ? n : 1, sizeof(*keys));
	_free_ struct network_entry *values = calloc(n ? n : 1, sizeof(*values));
	uint32_t done;
	int r;

	if (!keys || !values)
		return err_oom(e);
	for (size_t i = 0; i < n; i++) {
		keys[i].prefix_len = t->v6.v[i].prefix_len;
		memcpy(keys[i].address, t->v6.v[i].address, sizeof(keys[i].address));
		values[i] = t->v6.v[i].entry;
	}
	r = kbpf_map_fill(map, keys, sizeof(*keys), values, sizeof(*values), (uint32_t)n,
			  &done);
	return r < 0 ? full(e, r, "prefixes of IPv6", n, done) : 0;
}

static int fill_ranges(const struct network_tables *t, int map, struct err *e)
{
	size_t n = t->ranges.n;
	_free_ uint32_t *keys = calloc(n ? n : 1, sizeof(*keys));
	uint32_t done;
	int r;

	if (!keys)
		return err_oom(e);
	for (size_t i = 0; i < n; i++)
		keys[i] = (uint32_t)i;
	r = kbpf_map_fill(map, keys, sizeof(*keys), t->ranges.v, sizeof(*t->ranges.v),
			  (uint32_t)n, &done);
	return r < 0 ? full(e, r, "ranges of ports", n, done) : 0;
}

/* Whether the name may be spoken to on port 443. */
static bool has_https(const struct network_table_name *name)
{
	for (size_t i = 0; i < name->ranges.n; i++)
		if (name->ranges.v[i].lo <= HTTPS && HTTPS <= name->ranges.v[i].hi)
			return true;
	return false;
}

static int set_tls_name(int map, const char *domain, char end, uint32_t rule, struct err *e)
{
	struct network_tls_name key = {};
	size_t n = strlen(domain);
	uint32_t found;
	int r;

	if (n + 1 > NETWORK_TLS_NAME_MAX)
		return err_set(e, ERR_POLICY, ENAMETOOLONG,
			       "network: the name '%s' is too long", domain);
	for (size_t i = 0; i < n; i++)
		key.reversed[i] = (uint8_t)domain[n - 1 - i];
	key.reversed[n] = (uint8_t)end;
	key.prefix_len = (uint32_t)(n + 1) * 8;
	/* A block of it, or of a name above it, wins. */
	if (rule != NETWORK_RULE_NAME && kbpf_map_lookup(map, &key, &found) == 0 &&
	    found == NETWORK_RULE_NAME)
		return 0;
	r = kbpf_map_update(map, &key, &rule, BPF_ANY);
	return r < 0 ? err_errno(e, r, "network: cannot set the name '%s'", domain) : 0;
}

static int fill_tls_names(const struct network_tables *t, int map, struct err *e)
{
	int r = 0;

	/* Blocked ones first: the others are held against them. */
	for (size_t i = 0; r == 0 && i < t->names.n; i++) {
		const struct network_table_name *name = &t->names.v[i];

		if (!name->blocked)
			continue;
		r = set_tls_name(map, name->domain, '\0', NETWORK_RULE_NAME, e);
		if (r == 0)
			r = set_tls_name(map, name->domain, '.', NETWORK_RULE_NAME, e);
	}
	for (size_t i = 0; r == 0 && i < t->names.n; i++) {
		const struct network_table_name *name = &t->names.v[i];

		if (!name->blocked && has_https(name))
			r = set_tls_name(map, name->domain, name->wildcard ? '.' : '\0',
					 name->rule, e);
	}
	return r;
}

int network_fill(const struct network_tables *tables, const int maps[NETWORK_MAPS],
		 struct err *e)
{
	int r = fill_v4(tables, maps[NETWORK_MAP_TRIES4], e);

	if (r == 0)
		r = fill_v6(tables, maps[NETWORK_MAP_TRIES6], e);
	if (r == 0)
		r = fill_ranges(tables, maps[NETWORK_MAP_RANGES], e);
	if (r == 0 && (tables->config.flags & NETWORK_CHECK_TLS))
		r = fill_tls_names(tables, maps[NETWORK_MAP_TLS_NAMES], e);
	return r;
}

static const struct network_table_name *find_same(const struct network_tables *t,
						  const struct network_table_name *name)
{
	for (size_t i = 0; i < t->names.n; i++) {
		const struct network_table_name *other = &t->names.v[i];

		if (streq(other->domain, name->domain) &&
		    other->wildcard == name->wildcard && other->blocked == name->blocked)
			return other;
	}
	return NULL;
}

/* Whether the forwarder could have learned the slot from a name of this entry. */
static bool could_be_of(const struct network_table_name *name,
			const struct network_name_slot *slot)
{
	if (name->blocked != !!(slot->flags & NETWORK_NAME_BLOCKED))
		return false;
	if (name->blocked)
		return name->rule == slot->rule;
	for (size_t i = 0; i < name->ranges.n; i++) {
		const struct network_range *range = &name->ranges.v[i];

		if (range->rule == slot->rule && range->lo <= slot->lo &&
		    slot->hi <= range->hi)
			return true;
	}
	return false;
}

static bool all_allow(const struct network_tables *now, const struct network_tables *tables,
		      const struct network_name_slot *slot, uint32_t lo, uint32_t hi)
{
	for (size_t i = 0; i < now->names.n; i++) {
		const struct network_table_name *name = &now->names.v[i];
		bool covered = false;

		if (!could_be_of(name, slot))
			continue;
		name = find_same(tables, name);
		for (size_t k = 0; name && k < name->ranges.n && !covered; k++)
			covered = name->ranges.v[k].lo <= lo && hi <= name->ranges.v[k].hi;
		if (!covered)
			return false;
	}
	return true;
}

static const struct network_table_name *first_of(const struct network_tables *now,
						 const struct network_name_slot *slot)
{
	for (size_t i = 0; i < now->names.n; i++)
		if (could_be_of(&now->names.v[i], slot))
			return &now->names.v[i];
	return NULL;
}

/*
 * One slot of before as slots of the new rules: as many as there is room for. A rule may stand for
 * names of several entries ("*.b" also for "a.b"); what was asked for is not known any more, so
 * all of them have to allow it.
 */
static void copy_slot(const struct network_tables *now, const struct network_tables *tables,
		      const struct network_name_slot *slot, struct network_name *ret,
		      size_t *n)
{
	const struct network_table_name *name = first_of(now, slot);

	if (name)
		name = find_same(tables, name);
	if (!name)
		return;
	for (size_t i = 0; i < name->ranges.n && *n < NETWORK_NAME_SLOTS; i++) {
		const struct network_range *range = &name->ranges.v[i];
		uint32_t lo = range->lo > slot->lo ? range->lo : slot->lo;
		uint32_t hi = range->hi < slot->hi ? range->hi : slot->hi;

		if (lo > hi || (!name->blocked && !all_allow(now, tables, slot, lo, hi)))
			continue;
		ret->slots[*n] = *slot;
		ret->slots[*n].lo = lo;
		ret->slots[*n].hi = hi;
		ret->slots[(*n)++].rule = name->blocked ? name->rule : range->rule;
	}
}

size_t network_fill_translate(const struct network_tables *now,
			      const struct network_tables *tables,
			      const struct network_name *old, struct network_name *ret)
{
	size_t n = 0;

	/* Blocks first: one slot may become many, and there may not be room for all. */
	for (size_t i = 0; i < 2 * (size_t)NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *slot = &old->slots[i % NETWORK_NAME_SLOTS];
		bool blocked = slot->flags & NETWORK_NAME_BLOCKED;

		if (slot->lo <= slot->hi && blocked == (i < NETWORK_NAME_SLOTS))
			copy_slot(now, tables, slot, ret, &n);
	}
	for (size_t i = n; i < NETWORK_NAME_SLOTS; i++)
		ret->slots[i] = (struct network_name_slot){ .lo = 1 };
	return n;
}

/* The slot that says what `slot` does, for as long. */
static struct network_name_slot *find_slot(struct network_name *n,
					   const struct network_name_slot *slot)
{
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		struct network_name_slot *s = &n->slots[i];

		if (s->lo == slot->lo && s->hi == slot->hi && s->rule == slot->rule &&
		    (s->flags & NETWORK_NAME_BLOCKED) ==
			    (slot->flags & NETWORK_NAME_BLOCKED) &&
		    s->expires >= slot->expires)
			return s;
	}
	return NULL;
}

/* Zeroed memory is a slot for port 0 that has expired. */
static bool is_free(const struct network_name_slot *s)
{
	return s->lo > s->hi || s->expires == 0;
}

bool network_name_has(const struct network_name *whole, const struct network_name *part)
{
	struct network_name n = *whole;

	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *slot = &part->slots[i], *s;

		if (is_free(slot))
			continue;
		s = find_slot(&n, slot);
		if (!s || (slot->flags & ~s->flags))
			return false;
	}
	return true;
}

void network_name_add(struct network_name *whole, const struct network_name *part)
{
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *slot = &part->slots[i];
		struct network_name_slot *s = is_free(slot) ? NULL : find_slot(whole, slot);

		if (s)
			s->flags |= slot->flags;
		for (size_t k = 0; !s && !is_free(slot) && k < NETWORK_NAME_SLOTS; k++) {
			if (!is_free(&whole->slots[k]))
				continue;
			s = &whole->slots[k];
			*s = *slot;
		}
	}
}

/* Who still talks to addresses of answers that have expired is told by his socket. */
static void leave_out_old(struct network_name *n, uint64_t now)
{
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		n->slots[i].flags &= ~NETWORK_NAME_KEPT;
		if (n->slots[i].expires <= now)
			n->slots[i] = (struct network_name_slot){ .lo = 1 };
	}
}

int network_fill_learned(const struct network_tables *now,
			 const struct network_tables *tables, int from,
			 int (*add)(const struct network_address *address,
				    const struct network_name *name, void *arg,
				    struct err *e),
			 void *arg, struct err *e)
{
	struct network_address key, next;
	const struct network_address *at = NULL;
	uint64_t seconds = clock_s(CLOCK_BOOTTIME);

	/* The forwarder may still write: what a list that changes leaves out is asked for again. */
	for (size_t i = 0; i < NETWORK_NAMES_MAX && kbpf_map_next(from, at, &next) == 0;
	     i++) {
		struct network_name old, name = {};
		int r;

		key = next;
		at = &key;
		if (kbpf_map_lookup(from, &key, &old) < 0)
			continue;
		leave_out_old(&old, seconds);
		if (network_fill_translate(now, tables, &old, &name) == 0)
			continue;
		r = add(&key, &name, arg, e);
		if (r < 0)
			return r;
	}
	return 0;
}
