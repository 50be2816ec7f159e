/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The maps. Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_MAPS_H
#define PURPLE_BPF_AUDIT_MAPS_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "audit.h"
#include "audit/vmlinux.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_control);
} control SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_self);
} self SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TRACE_GROUPS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct trace_group);
} groups SEC(".maps");

/* The maps of a container, by trace_group.key; two each in `rings`. */
struct inner_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACE_URGENT_SIZE);
};
struct inner_stats {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct trace_stats));
};
struct inner_counts {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRACE_COUNTS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct trace_count));
};

#define MAPS_BY_KEY(name, inner, entries)                \
	struct {                                         \
		__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); \
		__uint(max_entries, entries);            \
		__type(key, __u64);                      \
		__array(values, struct inner);           \
	} name SEC(".maps")

MAPS_BY_KEY(rings, inner_ring, 2 * TRACE_GROUPS_MAX);
MAPS_BY_KEY(stats, inner_stats, TRACE_GROUPS_MAX);
MAPS_BY_KEY(counts, inner_counts, TRACE_GROUPS_MAX);

/* What has had an event within the last second: alike ones are counted. */
struct alike {
	__u64 key;
	__u32 pid, call;
	__u64 what;
};
struct counted {
	__u64 time;
	__u64 count;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct alike);
	__type(value, struct counted);
} recent SEC(".maps");

/* Processes whose last thread is on its way out: two that end at a time both take themselves for it. */
struct ended {
	__u32 pid, reserved;
	__u64 started;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ended);
	__type(value, __u32);
} gone SEC(".maps");

/* Processes that seccomp kills, by a thread that is not the last one: the call. */
struct kill {
	__u32 call, arch;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ended);
	__type(value, struct kill);
} kills SEC(".maps");

/* Where processes have sent datagrams without connect(). */
struct destination {
	__u64 key;
	__u8 address[16];
	__u32 pid;
	__u16 port, verdict;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct destination);
	__type(value, __u32);
} destinations SEC(".maps");

#endif
