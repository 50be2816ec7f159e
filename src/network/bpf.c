/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See bpf.h. Runs in the runtime and in purple-network-load; needs CAP_BPF and CAP_NET_ADMIN (or
 * CAP_SYS_ADMIN) in the host's user namespace.
 */
#include "network/bpf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static uint64_t pointer(const void *p)
{
	return (uintptr_t)p;
}

int kbpf_map_create(const struct kbpf_map_shape *shape, const char *name)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = shape->type;
	attr.key_size = shape->key_size;
	attr.value_size = shape->value_size;
	attr.max_entries = shape->max_entries;
	attr.map_flags = shape->flags;
	snprintf(attr.map_name, sizeof(attr.map_name), "%s", name);
	return sys_bpf(BPF_MAP_CREATE, &attr);
}

static int element(int cmd, int map, const void *key, const void *value, uint64_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = (uint32_t)map;
	attr.key = pointer(key);
	attr.value = pointer(value);
	attr.flags = flags;
	return sys_bpf(cmd, &attr);
}

int kbpf_map_update(int map, const void *key, const void *value, uint64_t flags)
{
	return element(BPF_MAP_UPDATE_ELEM, map, key, value, flags);
}

int kbpf_map_lookup(int map, const void *key, void *ret_value)
{
	return element(BPF_MAP_LOOKUP_ELEM, map, key, ret_value, 0);
}

int kbpf_map_delete(int map, const void *key)
{
	return element(BPF_MAP_DELETE_ELEM, map, key, NULL, 0);
}

int kbpf_map_next(int map, const void *key, void *ret_next)
{
	return element(BPF_MAP_GET_NEXT_KEY, map, key, ret_next, 0);
}

int kbpf_map_fill(int map, const void *keys, size_t key_size, const void *values,
		  size_t value_size, uint32_t n, uint32_t *ret_done)
{
	union bpf_attr attr;
	uint32_t done = 0;
	int r;

	*ret_done = 0;
	if (n == 0)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.batch.map_fd = (uint32_t)map;
	attr.batch.keys = pointer(keys);
	attr.batch.values = pointer(values);
	attr.batch.count = n;
	r = sys_bpf(BPF_MAP_UPDATE_BATCH, &attr);
	if (r == 0) {
		*ret_done = n;
		return 0;
	}
	/* No batches for this type of map, or a fault: one by one says at which one. */
	for (done = 0; done < n; done++) {
		r = kbpf_map_update(map, (const char *)keys + done * key_size,
				    (const char *)values + done * value_size, BPF_ANY);
		if (r < 0)
			break;
	}
	*ret_done = done;
	return done == n ? 0 : r;
}

int kbpf_get(const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = pointer(path);
	return sys_bpf(BPF_OBJ_GET, &attr);
}

int kbpf_pin(int fd, const char *path)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.pathname = pointer(path);
	attr.bpf_fd = (uint32_t)fd;
	return sys_bpf(BPF_OBJ_PIN, &attr);
}

int kbpf_info(int fd, void *info, uint32_t size)
{
	union bpf_attr attr;

	memset(info, 0, size);
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (uint32_t)fd;
	attr.info.info_len = size;
	attr.info.info = pointer(info);
	return sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
}

int kbpf_link_create(int program, int target, enum bpf_attach_type type)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = (uint32_t)program;
	attr.link_create.target_fd = (uint32_t)target;
	attr.link_create.attach_type = type;
	return sys_bpf(BPF_LINK_CREATE, &attr);
}

int kbpf_trace_attach(int program)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.prog_fd = (uint32_t)program;
	return sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
}

int kbpf_run(int program, uint32_t *ret_value)
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	r = sys_bpf(BPF_PROG_TEST_RUN, &attr);
	if (r == 0)
		*ret_value = attr.test.retval;
	return r;
}

int kbpf_link_detach(int link)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.link_detach.link_fd = (uint32_t)link;
	return sys_bpf(BPF_LINK_DETACH, &attr);
}

int kbpf_attach(int program, int target, uint32_t type, uint32_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)target;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = type;
	attr.attach_flags = flags;
	return sys_bpf(BPF_PROG_ATTACH, &attr);
}

int kbpf_detach(int program, int target, uint32_t type)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)target;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = type;
	return sys_bpf(BPF_PROG_DETACH, &attr);
}

int kbpf_query(int target, uint32_t type, uint32_t ret[static KBPF_ATTACHED_MAX])
{
	union bpf_attr attr;
	int r;

	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)target;
	attr.query.attach_type = type;
	attr.query.prog_ids = pointer(ret);
	attr.query.prog_cnt = KBPF_ATTACHED_MAX;
	r = sys_bpf(BPF_PROG_QUERY, &attr);
	if (r < 0)
		return r;
	return attr.query.prog_cnt < KBPF_ATTACHED_MAX ? (int)attr.query.prog_cnt :
							 KBPF_ATTACHED_MAX;
}

int kbpf_get_program(uint32_t id)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_id = id;
	return sys_bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

int kbpf_is_attached(int cgroup, enum bpf_attach_type type, uint32_t program_id)
{
	uint32_t ids[KBPF_ATTACHED_MAX] = {};
	int n = kbpf_query(cgroup, type, ids);

	for (int i = 0; i < n; i++)
		if (ids[i] == program_id)
			return 1;
	return n < 0 ? n : 0;
}
