/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_learn.h. Runs in purple-dns. An entry is read, changed and written back: nobody else
 * writes, and the kernel puts a new value in an old one's place as a whole.
 */
#include "network/dns_learn.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"

/* What an entry is remembered by: to take it out when it has expired. */
struct known {
	struct network_address address;
	uint64_t expires; /* 0: the place is free */
	bool blocked;
};

/* An open hash table with twice as many places as the map has. */
struct dns_map {
	int fd;
	uint32_t mask;
	uint32_t count, max;
	uint64_t next_sweep;
	struct known known[];
};

uint64_t dns_now(void)
{
	return clock_s(CLOCK_BOOTTIME);
}

uint64_t dns_now_ms(void)
{
	return (uint64_t)clock_ms(CLOCK_BOOTTIME);
}

/* --- slots --- */

static bool is_free(const struct network_name_slot *s, uint64_t now)
{
	return s->lo > s->hi || (s->expires <= now && !(s->flags & NETWORK_NAME_KEPT));
}

static bool is_blocked(const struct network_name_slot *s)
{
	return s->flags & NETWORK_NAME_BLOCKED;
}

/*
 * Whether `old` and `new` say the same, but for the time. Blocks by two rules do not: a reload may
 * take one rule away.
 */
static bool is_same(const struct network_name_slot *old, const struct network_name_slot *new)
{
	return is_blocked(old) == is_blocked(new) && old->lo == new->lo &&
	       old->hi == new->hi && old->rule == new->rule;
}

int dns_slots_merge(struct network_name *n, const struct network_name_slot *slot,
		    uint64_t now)
{
	struct network_name_slot *free_slot = NULL, *soonest = NULL, *block = NULL;

	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		struct network_name_slot *s = &n->slots[i];

		/* Zeroed memory is a slot for port 0 that has expired. */
		if (is_free(s, now)) {
			*s = (struct network_name_slot){ .lo = 1, .hi = 0 };
			if (!free_slot)
				free_slot = s;
		} else if (is_same(s, slot)) {
			if (s->expires < slot->expires)
				s->expires = slot->expires;
			s->flags |= slot->flags & NETWORK_NAME_KEPT;
			return 0;
		} else if (is_blocked(s)) {
			block = s;
		} else if (!soonest || s->expires < soonest->expires) {
			soonest = s;
		}
	}
	if (free_slot) {
		*free_slot = *slot;
		return 0;
	}
	if (soonest) {
		*soonest = *slot;
	} else if (is_blocked(slot)) {
		/* All are blocks: another one says the same. */
		if (block->expires < slot->expires)
			block->expires = slot->expires;
		return 0;
	}
	return -ENOSPC;
}

/* --- the map --- */

static int map_call(int cmd, int fd, const void *key, void *value)
{
	union bpf_attr attr = {};

	attr.map_fd = (uint32_t)fd;
	attr.key = (uint64_t)(uintptr_t)key;
	attr.value = (uint64_t)(uintptr_t)value; /* next_key is the same member */
	return syscall(SYS_bpf, cmd, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int dns_map_probe(int fd)
{
	struct network_address none = {};
	struct network_name value;
	int r = map_call(BPF_MAP_LOOKUP_ELEM, fd, &none, &value);

	return r == -ENOENT ? 0 : r;
}

static uint32_t hash(const struct network_address *a)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < sizeof(a->bytes); i++)
		h = (h ^ a->bytes[i]) * 16777619U;
	return h ^ h >> 15;
}

/* Its place, or the free one where it would stand. There is always a free one. */
static struct known *place_of(struct dns_map *m, const struct network_address *a)
{
	uint32_t i = hash(a) & m->mask;

	while (m->known[i].expires && memcmp(&m->known[i].address, a, sizeof(*a)) != 0)
		i = (i + 1) & m->mask;
	return &m->known[i];
}

/* Those behind it in its chain move up. */
static void forget(struct dns_map *m, struct known *k)
{
	uint32_t gap = (uint32_t)(k - m->known), i = gap;

	m->count--;
	for (;;) {
		uint32_t home;

		i = (i + 1) & m->mask;
		if (!m->known[i].expires)
			break;
		home = hash(&m->known[i].address) & m->mask;
		if (((i - home) & m->mask) >= ((i - gap) & m->mask)) {
			m->known[gap] = m->known[i];
			gap = i;
		}
	}
	m->known[gap].expires = 0;
}

static uint64_t last_expiry(const struct network_name *n)
{
	uint64_t last = 1;

	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *s = &n->slots[i];

		if (s->lo > s->hi)
			continue;
		if (s->flags & NETWORK_NAME_KEPT)
			return UINT64_MAX;
		if (s->expires > last)
			last = s->expires;
	}
	return last;
}

static bool has_block(const struct network_name *n)
{
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		if (n->slots[i].lo <= n->slots[i].hi && is_blocked(&n->slots[i]))
			return true;
	return false;
}

static int remember(struct dns_map *m, const struct network_address *a,
		    const struct network_name *value)
{
	struct known *k = place_of(m, a);

	if (!k->expires) {
		if (m->count >= m->max)
			return -E2BIG;
		m->count++;
		k->address = *a;
	}
	k->expires = last_expiry(value);
	k->blocked = has_block(value);
	return 0;
}

/* What another forwarder of this container has left there. */
static int count_in(struct dns_map *m, struct err *e)
{
	struct network_address key, next;
	struct network_name value;
	const void *at = NULL;
	int r;

	while ((r = map_call(BPF_MAP_GET_NEXT_KEY, m->fd, at, &next)) == 0) {
		key = next;
		at = &key;
		r = map_call(BPF_MAP_LOOKUP_ELEM, m->fd, &key, &value);
		if (r == 0)
			r = remember(m, &key, &value);
		if (r < 0 && r != -ENOENT)
			break;
	}
	return r == -ENOENT ? 0 :
			      err_errno(e, r, "cannot read the container's map of names");
}

int dns_map_open(int fd, struct dns_map **ret, struct err *e)
{
	struct bpf_map_info info = {};
	union bpf_attr attr = {};
	struct dns_map *m;
	uint32_t size = 16;
	int r;

	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uint64_t)(uintptr_t)&info;
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)) < 0)
		return err_sys(e, "cannot look at the container's map of names");
	if (info.type != BPF_MAP_TYPE_HASH ||
	    info.key_size != sizeof(struct network_address) ||
	    info.value_size != sizeof(struct network_name) || info.max_entries > 1U << 20)
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "the map of names is of another kind: type %u, %u byte keys, "
			       "%u byte values, %u entries",
			       info.type, info.key_size, info.value_size, info.max_entries);
	while (size < info.max_entries * 2)
		size *= 2;
	m = calloc(1, sizeof(*m) + size * sizeof(m->known[0]));
	if (!m)
		return err_oom(e);
	m->fd = fd;
	m->mask = size - 1;
	m->max = info.max_entries;
	r = count_in(m, e);
	if (r < 0) {
		dns_map_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void dns_map_close(struct dns_map *m)
{
	free(m);
}

static void sweep_before(struct dns_map *m, uint64_t now)
{
	for (uint32_t i = 0; i <= m->mask;) {
		struct known *k = &m->known[i];
		int r;

		if (!k->expires || k->expires > now) {
			i++;
			continue;
		}
		r = map_call(BPF_MAP_DELETE_ELEM, m->fd, &k->address, NULL);
		if (r < 0 && r != -ENOENT) {
			i++; /* the next sweep takes it */
			continue;
		}
		/* Another one may have moved to this place: looked at again. */
		forget(m, k);
	}
}

void dns_map_sweep(struct dns_map *m)
{
	uint64_t now = dns_now();

	if (now < m->next_sweep)
		return;
	m->next_sweep = now + DNS_TTL_MIN;
	sweep_before(m, now);
}

/*
 * Room for one more where all are live: the one that would expire first goes, and the name needs
 * to be asked for again. A block stays: without it more would be allowed.
 */
static bool evict(struct dns_map *m)
{
	struct known *first = NULL;

	for (uint32_t i = 0; i <= m->mask; i++) {
		struct known *k = &m->known[i];

		if (k->expires && !k->blocked && (!first || k->expires < first->expires))
			first = k;
	}
	if (!first || map_call(BPF_MAP_DELETE_ELEM, m->fd, &first->address, NULL) < 0)
		return false;
	forget(m, first);
	return true;
}

int dns_map_learn(struct dns_map *m, const struct network_address *a,
		  const struct network_name_slot *slots, size_t n, unsigned int *ret_lost,
		  struct err *e)
{
	uint64_t now = dns_now();
	struct network_name value = {};
	unsigned int lost = 0;
	int r = map_call(BPF_MAP_LOOKUP_ELEM, m->fd, a, &value);

	if (r < 0 && r != -ENOENT)
		return err_errno(e, r, "cannot read the container's map of names");
	for (size_t i = 0; i < n; i++)
		if (dns_slots_merge(&value, &slots[i], now) < 0)
			lost++;
	if (m->count >= m->max && !place_of(m, a)->expires) {
		sweep_before(m, now);
		if (m->count >= m->max && evict(m))
			lost++;
	}
	r = remember(m, a, &value);
	if (r == 0)
		r = map_call(BPF_MAP_UPDATE_ELEM, m->fd, a, &value);
	if (r < 0)
		return err_errno(e, r, "cannot write the container's map of names");
	*ret_lost = lost;
	return 0;
}
