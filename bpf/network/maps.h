/* SPDX-License-Identifier: Apache-2.0 */
/* The maps, and what is remembered of sockets and packets. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_MAPS_H
#define PURPLE_BPF_NETWORK_MAPS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "network/socket.h"
#include "network_filter.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct network_config);
} storage SEC(".maps");

/* The maps of a container, by config.key. What they are like: see the first one of each. */
struct inner_trie4 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, NETWORK_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct network_prefix4));
	__uint(value_size, sizeof(struct network_entry));
};
struct inner_trie6 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, NETWORK_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct network_prefix6));
	__uint(value_size, sizeof(struct network_entry));
};
struct inner_ranges {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NETWORK_SPARE_RANGES);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct network_range));
};
struct inner_names {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETWORK_NAMES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct network_address));
	__uint(value_size, sizeof(struct network_name));
};
struct inner_tls_names {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, NETWORK_PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(struct network_tls_name));
	__uint(value_size, sizeof(__u32));
};
struct inner_hits {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NETWORK_SPARE_HITS);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct network_hits));
};
struct inner_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NETWORK_RING_SIZE);
};

#define MAPS_BY_KEY(name, inner)                         \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); \
		__uint(max_entries, NETWORK_KEYS_MAX);   \
		__type(key, __u64);                      \
		__array(values, struct inner);           \
	} name SEC(".maps")

MAPS_BY_KEY(tries4, inner_trie4);
MAPS_BY_KEY(tries6, inner_trie6);
MAPS_BY_KEY(ranges, inner_ranges);
MAPS_BY_KEY(names, inner_names);
MAPS_BY_KEY(tls_names, inner_tls_names);
MAPS_BY_KEY(hits, inner_hits);
MAPS_BY_KEY(rings, inner_ring);

/* For the devices: struct network_wire says by what. The wire says which container. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETWORK_KEYS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct network_wire);
} wires SEC(".maps");
/*
 * The network namespace in which devices are known by their index: that of who loaded this. 0: none
 * is. Its index is a device's own for as long as the namespace lives, and cookies are never used again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} home SEC(".maps");
/* Configurations by key; never changed, only taken away. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETWORK_KEYS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct network_config);
} configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_state);
} sockets SEC(".maps");

/* Ports in host byte order; both 0: fragments without ports. */
struct flow {
	__u64 key;
	__u8 address[16];
	__u16 remote, local;
	__u32 protocol;
};
struct note {
	__u64 time;
	__u32 incoming; /* it came in through an open port */
	__u32 reserved;
};
/* How long a UDP port that is open answers after it has heard from somebody. */
#define ANSWER_TIME (180 * 1000000000ull)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct flow);
	__type(value, struct note);
} passed SEC(".maps");

/* Denials of the last second, alike ones counted. */
struct alike {
	__u64 key;
	__u8 address[16];
	__u32 port, rule, hook, protocol;
	__u32 local, reserved;
};
struct counted {
	__u64 time;
	__u32 count, reserved;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct alike);
	__type(value, struct counted);
} recent SEC(".maps");

/*
 * Targets that address rules have allowed lately, NETWORK_ALLOWED of each processor, one in a line
 * of its cache (an array that can be mapped begins with a page). Of one key they never change; what
 * names or the forwarder's port had a part in is not here. `turn` is odd while it is written: a
 * program that another one interrupts meanwhile, or that it was written under, knows nothing.
 * Who loads this says for how many processors; others look the rules up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, NETWORK_ALLOWED);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct network_allowed);
} allowed SEC(".maps");

struct scratch {
	__u8 name[NETWORK_TLS_NAME_MAX + 4];
	struct network_tls_name key;
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

#endif
