/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf(2), as far as the network filter and tracing (audit/trace.h) need it, without libbpf: the
 * runtime is a small static program. All return 0 (or a descriptor) or -errno.
 */
#ifndef PURPLE_NETWORK_BPF_H
#define PURPLE_NETWORK_BPF_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#define KBPF_ATTACHED_MAX 64

struct kbpf_map_shape {
	uint32_t type, key_size, value_size, max_entries, flags;
};

int kbpf_map_create(const struct kbpf_map_shape *shape, const char *name);
int kbpf_map_update(int map, const void *key, const void *value, uint64_t flags);
int kbpf_map_lookup(int map, const void *key, void *ret_value);
int kbpf_map_delete(int map, const void *key);
/* `key` NULL: the first one. -ENOENT at the end. */
int kbpf_map_next(int map, const void *key, void *ret_next);
/*
 * Sets `n` elements; in one call where the kernel can. -errno, and *ret_done of them are set.
 */
int kbpf_map_fill(int map, const void *keys, size_t key_size, const void *values,
		  size_t value_size, uint32_t n, uint32_t *ret_done);

int kbpf_get(const char *path);
int kbpf_pin(int fd, const char *path);
int kbpf_info(int fd, void *info, uint32_t size);
int kbpf_link_create(int program, int target, enum bpf_attach_type type);
/* Of a program that names its tracepoint itself, by BTF. */
int kbpf_trace_attach(int program);
/* Runs a program for raw tracepoints once, in this process. */
int kbpf_run(int program, uint32_t *ret_value);
/* At once; without it, a link that is let go of is taken away a while later. */
int kbpf_link_detach(int link);
/* Whether the program with this id is attached to the cgroup: 1 or 0. */
int kbpf_is_attached(int cgroup, enum bpf_attach_type type, uint32_t program_id);

/* Without a link. `target` is a descriptor, or of a device the index. */
int kbpf_attach(int program, int target, uint32_t type, uint32_t flags);
int kbpf_detach(int program, int target, uint32_t type);
/* Ids of the programs there, in their order; how many, at most KBPF_ATTACHED_MAX. */
int kbpf_query(int target, uint32_t type, uint32_t ret[static KBPF_ATTACHED_MAX]);
int kbpf_get_program(uint32_t id);

#endif
