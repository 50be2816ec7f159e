/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules say of an address, a name, a port. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_RULES_H
#define PURPLE_BPF_NETWORK_RULES_H

#include <linux/in.h>

#include "network/maps.h"

/* Not in UAPI headers. */
#define AF_INET 2
#define AF_INET6 10

#define NANOSECONDS 1000000000ull
#define RANGES_DEPTH 20 /* halvings: more ranges than there can be */

/* The other end of a call or packet. It is on the stack, which is read and written at multiples of
 * the size alone. */
struct target {
	__u8 address[16] __attribute__((aligned(8))); /* IPv4 as ::ffff:a.b.c.d */
	__u32 port;				      /* as in struct network_range */
	__u32 is_v4;
	__u32 local;	/* likewise, where it is known */
	__u32 protocol; /* of the IP header, for events */
	__u32 hook;
};

/* A verdict in one register. */
#define VERDICT(what, rule, named) ((__u64)(rule) << 32 | (__u64)(named) << 8 | (what))
/* Beside it: an address rule's, or the fallback's; as long as the key holds, it does. */
#define VERDICT_STEADY ((__u64)1 << 16)
#define VERDICT_WHAT(v) ((__u8)(v))
#define VERDICT_NAMED(v) ((__u8)((v) >> 8))
#define VERDICT_RULE(v) ((__u32)((v) >> 32))

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline void copy_address(__u8 *to, const __u8 *from)
{
	((__u64 *)to)[0] = ((const __u64 *)from)[0];
	((__u64 *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline void set_v4(__u8 *to, __u32 address)
{
	((__u64 *)to)[0] = 0;
	((__u32 *)to)[2] = bpf_htonl(0xffff);
	((__u32 *)to)[3] = address;
}

static __always_inline __u32 v4_of(const __u8 *address)
{
	return ((const __u32 *)address)[3];
}

static __always_inline bool is_mapped(const __u8 *address)
{
	return ((const __u64 *)address)[0] == 0 &&
	       ((const __u32 *)address)[2] == bpf_htonl(0xffff);
}

static __always_inline bool is_v6_loopback(const __u8 *address)
{
	return ((const __u64 *)address)[0] == 0 && ((const __u32 *)address)[2] == 0 &&
	       ((const __u32 *)address)[3] == bpf_htonl(1);
}

/* Also the unspecified addresses, which the kernel takes for the loopback ones. */
static __always_inline bool is_loopback(const struct target *t)
{
	if (t->is_v4)
		return (v4_of(t->address) & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000) ||
		       v4_of(t->address) == 0;
	return is_v6_loopback(t->address) || (((const __u64 *)t->address)[0] == 0 &&
					      ((const __u64 *)t->address)[1] == 0);
}

/* Nobody but the container's own processes is behind it. */
static __always_inline bool is_own_loopback(const struct network_config *config,
					    const struct target *t)
{
	return (config->flags & NETWORK_OWN_LOOPBACK) && is_loopback(t) &&
	       !(t->is_v4 && v4_of(t->address) == bpf_htonl(NETWORK_ENGINE_RESOLVER));
}

static __always_inline bool is_dns(__u32 port)
{
	port &= 0xffff;
	return port == 53 || port == 853 || port == 5353;
}

/*
 * The verdict of the range of `ranges` that holds the port; `otherwise` when none does. A range
 * that is missing denies.
 */
static __noinline __u64 search_ranges(const struct network_config *config, __u32 first,
				      __u32 count, __u32 port, __u64 otherwise)
{
	__u64 key = config->key;
	void *map = bpf_map_lookup_elem(&ranges, &key);

	if (!map)
		return VERDICT(NETWORK_DENY, NETWORK_RULE_NONE, 0);
	for (int i = 0; i < RANGES_DEPTH; i++) {
		const struct network_range *range;
		__u32 half = count / 2, index = first + half;

		if (count == 0)
			return otherwise;
		range = bpf_map_lookup_elem(map, &index);
		if (!range)
			break;
		if (port < range->lo) {
			count = half;
		} else if (port > range->hi) {
			first = index + 1;
			count -= half + 1;
		} else {
			return VERDICT(range->verdict & 0xff, range->rule, 0);
		}
	}
	return VERDICT(NETWORK_DENY, NETWORK_RULE_NONE, 0);
}

/* Of a key whose maps are gone (a group that is used again), nothing is known: *ret_missing. */
static __always_inline const struct network_entry *
longest_match(const struct network_config *config, const struct target *t, bool *ret_missing)
{
	__u64 key = config->key;
	void *map;

	if (t->is_v4) {
		struct network_prefix4 prefix = { .prefix_len = 32 };

		*(__u32 *)prefix.address = v4_of(t->address);
		map = bpf_map_lookup_elem(&tries4, &key);
		*ret_missing = !map;
		return map ? bpf_map_lookup_elem(map, &prefix) : NULL;
	} else {
		struct network_prefix6 prefix = { .prefix_len = 128 };

		__builtin_memcpy(prefix.address, t->address, 16);
		map = bpf_map_lookup_elem(&tries6, &key);
		*ret_missing = !map;
		return map ? bpf_map_lookup_elem(map, &prefix) : NULL;
	}
}

static __always_inline __u64 address_verdict(const struct network_config *config,
					     const struct target *t)
{
	const __u64 none = VERDICT(NETWORK_NONE, NETWORK_RULE_NONE, 0);
	const struct network_entry *entry;
	bool is_missing = true;

	entry = longest_match(config, t, &is_missing);
	if (is_missing)
		return VERDICT(NETWORK_DENY, NETWORK_RULE_NONE, 0);
	if (!entry)
		return none;
	if (entry->first.lo <= t->port && t->port <= entry->first.hi)
		return VERDICT(entry->first.verdict & 0xff, entry->first.rule, 0);
	if (!entry->more_count)
		return none;
	return search_ranges(config, entry->more, entry->more_count, t->port, none);
}

/* What names say of an address; with `remembered` an entry that has expired still allows. */
static __always_inline __u64 name_verdict(const struct network_config *config,
					  const struct target *t, bool remembered)
{
	__u64 now = bpf_ktime_get_boot_ns() / NANOSECONDS, key = config->key;
	__u64 v = VERDICT(NETWORK_NONE, NETWORK_RULE_NONE, 0);
	void *map = bpf_map_lookup_elem(&names, &key);
	const struct network_name *name;

	if (!map)
		return VERDICT(NETWORK_DENY, NETWORK_RULE_NONE, 0);
	name = bpf_map_lookup_elem(map, t->address);
	if (!name)
		return v;
	for (int i = 0; i < NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *slot = &name->slots[i];

		if (t->port < slot->lo || t->port > slot->hi)
			continue;
		if (slot->flags & NETWORK_NAME_BLOCKED) {
			if (slot->expires > now)
				return VERDICT(NETWORK_DENY, slot->rule, 0);
		} else if (slot->expires > now || remembered) {
			v = VERDICT(NETWORK_ALLOW, slot->rule, 1);
		}
	}
	return v;
}

/* The two directions between the compiler and an interrupt: no load or store goes past it. */
#define BARRIER() __asm__ volatile("" : : : "memory")

static __always_inline struct network_allowed *allowed_at(__u32 mixed)
{
	__u32 index = bpf_get_smp_processor_id() << NETWORK_ALLOWED_BITS |
		      mixed * 0x9e3779b1 >> (32 - NETWORK_ALLOWED_BITS);

	return bpf_map_lookup_elem(&allowed, &index);
}

static __always_inline struct network_allowed *allowed_slot(__u64 key,
							    const struct target *t)
{
	const __u32 *a = (const __u32 *)t->address;

	return allowed_at((__u32)key ^ a[0] ^ a[1] ^ a[3] ^ t->port);
}

/* is_known_allowed() of an IPv4 address, all in registers: what knows it; NULL: nothing does. */
static __always_inline struct network_allowed *known_v4(__u64 key, __u32 address, __u32 port)
{
	struct network_allowed *ret = allowed_at((__u32)key ^ address ^ port);
	const volatile struct network_allowed *a = ret;
	const volatile __u32 *at;
	__u32 turn;

	if (!a || !key)
		return NULL;
	turn = a->turn;
	at = (const volatile __u32 *)a->address;
	BARRIER();
	if ((turn & 1) || a->key != key || a->port != port || at[3] != address ||
	    at[2] != bpf_htonl(0xffff) || *(const volatile __u64 *)at != 0)
		return NULL;
	BARRIER();
	return a->turn == turn ? ret : NULL;
}

/* Whether the rules of a key are known to allow the target; else they are to be asked. */
static __always_inline bool is_known_allowed(__u64 key, const struct target *t,
					     __u32 *ret_rule)
{
	const volatile struct network_allowed *a = allowed_slot(key, t);
	__u32 turn;

	if (!a || !key)
		return false;
	turn = a->turn;
	BARRIER();
	if ((turn & 1) || a->key != key || a->port != t->port ||
	    !same_address((const __u8 *)a->address, t->address))
		return false;
	*ret_rule = a->rule;
	BARRIER();
	return a->turn == turn;
}

static __always_inline struct network_hits *hits_at(__u64 key, __u32 index)
{
	void *map = bpf_map_lookup_elem(&hits, &key);

	return map ? bpf_map_lookup_elem(map, &index) : NULL;
}

static __noinline void count_allowed_at(__u64 key, __u32 index, __u64 n)
{
	struct network_hits *h = hits_at(key, index);

	if (h)
		__sync_fetch_and_add(&h->allowed, n);
}

static __noinline void note_allowed(const struct network_config *config,
				    const struct target *t, __u32 rule)
{
	struct network_allowed *a = allowed_slot(config->key, t);
	__u32 turn;
	__u64 n;

	if (!a)
		return;
	/* Of two that interrupt each other one alone writes: a mix of both was allowed to nobody. */
	turn = *(volatile __u32 *)&a->turn;
	if ((turn & 1) || __sync_val_compare_and_swap(&a->turn, turn, turn + 1) != turn)
		return;
	BARRIER();
	n = a->hits;
	if (n) {
		__sync_fetch_and_add(&a->hits, -n);
		count_allowed_at(a->key, a->index, n);
	}
	a->key = config->key;
	a->port = t->port;
	copy_address(a->address, t->address);
	a->rule = rule;
	a->index = NETWORK_HITS_INDEX(rule, config->rules);
	/* Other processors read it (network/hits.c): a store alone keeps no order on some. */
	__sync_val_compare_and_swap(&a->turn, turn + 1, turn + 2);
}

/* decide(), from the rules themselves. */
static __noinline __u64 decide_by_rules(const struct network_config *config,
					const struct target *t, bool remembered)
{
	bool by_names = config->flags & (NETWORK_USES_NAMES | NETWORK_BLOCKS_NAMES);
	__u64 v, named;

	if (!config->key)
		return VERDICT(NETWORK_DENY, NETWORK_RULE_NONE, 0);
	if (config->flags & NETWORK_REDIRECT_DNS) {
		/* In the host's network namespace its loopback is not free: the forwarder is. */
		if (config->dns_port && (t->port & 0xffff) == config->dns_port &&
		    (t->is_v4 ? v4_of(t->address) == bpf_htonl(INADDR_LOOPBACK) :
				is_v6_loopback(t->address)))
			return VERDICT(NETWORK_ALLOW, NETWORK_RULE_NONE, 0);
		if (is_dns(t->port))
			return VERDICT(NETWORK_DENY, NETWORK_RULE_PROTOCOL, 0);
	}
	v = address_verdict(config, t);
	if (VERDICT_WHAT(v) == NETWORK_DENY)
		return v;
	if (VERDICT_WHAT(v) == NETWORK_ALLOW && !(config->flags & NETWORK_BLOCKS_NAMES))
		return v | VERDICT_STEADY;
	if ((VERDICT_WHAT(v) == NETWORK_NONE && (config->flags & NETWORK_USES_NAMES)) ||
	    (config->flags & NETWORK_BLOCKS_NAMES)) {
		named = name_verdict(config, t, remembered);
		if (VERDICT_WHAT(named) == NETWORK_DENY ||
		    (VERDICT_WHAT(v) == NETWORK_NONE && VERDICT_WHAT(named) == NETWORK_ALLOW))
			return named;
	}
	if (VERDICT_WHAT(v) == NETWORK_ALLOW || VERDICT_WHAT(v) == NETWORK_AUDIT)
		return v;
	if (config->fallback == NETWORK_ALLOW || config->fallback == NETWORK_AUDIT)
		return VERDICT(config->fallback, config->fallback_rule, 0) |
		       (by_names ? 0 : VERDICT_STEADY);
	return VERDICT(NETWORK_DENY, config->fallback_rule, 0);
}

/*
 * The verdict for a target: never NETWORK_NONE. `remembered`: the socket was allowed to talk to it
 * by name.
 */
static __always_inline __u64 decide(const struct network_config *config,
				    const struct target *t, bool remembered)
{
	__u32 rule = 0;
	__u64 v;

	if (is_known_allowed(config->key, t, &rule))
		return VERDICT(NETWORK_ALLOW, rule, 0);
	v = decide_by_rules(config, t, remembered);
	/* With the loopback's addresses it matters where a packet goes. */
	if (VERDICT_WHAT(v) == NETWORK_ALLOW && (v & VERDICT_STEADY) && !is_loopback(t))
		note_allowed(config, t, VERDICT_RULE(v));
	return v;
}

/* Whether others may reach a local port; NETWORK_AUDIT: so to say. */
static __always_inline __u64 decide_incoming(const struct network_config *config, __u32 port)
{
	const __u64 no = VERDICT(NETWORK_DENY, NETWORK_RULE_INCOMING, 0);

	if (!config->key)
		return no;
	if (config->flags & NETWORK_ANY_INCOMING)
		return config->fallback == NETWORK_ALLOW ||
				       config->fallback == NETWORK_AUDIT ?
			       VERDICT(config->fallback, config->fallback_rule, 0) :
			       no;
	if (!config->incoming_count)
		return no;
	return search_ranges(config, config->incoming, config->incoming_count, port, no);
}

/* Whether a rule that somebody wrote blocks the address, and not only what is reserved. */
static __noinline bool is_blocked(const struct network_config *config,
				  const struct target *t)
{
	__u64 v = address_verdict(config, t);

	if (VERDICT_WHAT(v) == NETWORK_DENY && VERDICT_RULE(v) < config->rules)
		return true;
	if (!(config->flags & NETWORK_BLOCKS_NAMES))
		return false;
	v = name_verdict(config, t, false);
	return VERDICT_WHAT(v) == NETWORK_DENY;
}

/* Whether a UDP port is open and heard from there lately: it may answer. */
static __noinline bool was_heard(const struct network_config *config,
				 const struct target *t, __u32 local_port)
{
	struct flow flow = { .key = config->key, .protocol = IPPROTO_UDP };
	const struct note *note;

	if (!config->key)
		return false;
	flow.remote = t->port & 0xffff;
	flow.local = local_port & 0xffff;
	copy_address(flow.address, t->address);
	note = bpf_map_lookup_elem(&passed, &flow);
	if (!note || !note->incoming || bpf_ktime_get_boot_ns() - note->time > ANSWER_TIME)
		return false;
	return VERDICT_WHAT(decide_incoming(config, local_port)) != NETWORK_DENY &&
	       !is_blocked(config, t);
}

/*
 * The memory of a socket, for one filter. Where groups with filters stand one below the other, all
 * of them see it: what another one allowed says nothing here.
 */
static __always_inline struct socket_state *own_state(const struct network_config *config,
						      struct socket_state *state)
{
	if (state && state->cgroup != config->cgroup) {
		state->cgroup = config->cgroup;
		state->key = 0;
		state->incoming = 0;
		state->named = 0;
		state->tls = TLS_UNKNOWN;
	}
	return state;
}

static __always_inline bool is_target(const struct socket_state *state,
				      const struct target *t)
{
	return state->port == t->port && same_address(state->address, t->address);
}

/* Whether what a socket was allowed still holds. Addresses of blocked names come at any time. */
static __always_inline bool is_current(const struct network_config *config,
				       const struct socket_state *state)
{
	return config->key && state->key == config->key &&
	       !(config->flags & NETWORK_BLOCKS_NAMES);
}

#endif
