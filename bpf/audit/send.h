/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Finding the container, and giving an event to its ring. Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_SEND_H
#define PURPLE_BPF_AUDIT_SEND_H

#include "audit/maps.h"

#define SECOND 1000000000ull
#define PF_FORKNOEXEC 0x40 /* in task_struct.flags */

static __always_inline const struct trace_control *get_control(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/*
 * The container that the current process is in. Containers are looked for at the levels where there
 * are any: what it costs does not grow with their number, nor with how deep a process has nested
 * its own groups.
 */
static __always_inline struct trace_group *find_group(const struct trace_control *c)
{
	for (int i = 0; i < TRACE_LEVEL_MAX; i++) {
		__u32 level = c->levels[i];
		struct trace_group *group;
		__u64 id;

		if (!level)
			break;
		id = bpf_get_current_ancestor_cgroup_id((int)level);
		if (!id)
			continue;
		group = bpf_map_lookup_elem(&groups, &id);
		if (group)
			return group;
	}
	return NULL;
}

static __always_inline struct trace_stats *stats_of(const struct trace_group *group)
{
	__u64 key = group->key;
	void *map = bpf_map_lookup_elem(&stats, &key);
	__u32 zero = 0;

	return map ? bpf_map_lookup_elem(map, &zero) : NULL;
}

/* The number of the process in the pid namespace at `level`, and which namespace that is. */
static __always_inline __u32 number_at(const struct pid *pid, __u32 level,
				       const void **ret_ns)
{
	const void *first = &pid->numbers[0];
	__u32 deepest = BPF_CORE_READ(pid, level);
	int nr = 0;

	if (level == TRACE_INNERMOST)
		level = deepest;
	if (level > deepest || level > 32)
		return 0;
	first += level * bpf_core_type_size(struct upid);
	bpf_probe_read_kernel(&nr, sizeof(nr),
			      first + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(ret_ns, sizeof(*ret_ns),
			      first + bpf_core_field_offset(struct upid, ns));
	return nr;
}

static __always_inline void say_numbers(struct trace_head *h,
					const struct task_struct *leader,
					const struct task_struct *parent, __u32 level)
{
	const struct pid *pid = BPF_CORE_READ(leader, thread_pid);
	const void *ns = NULL, *parent_ns = NULL;
	__u32 number;

	h->pid_inside = 0;
	h->parent_inside = 0;
	if (!pid)
		return;
	if (level == TRACE_INNERMOST)
		level = BPF_CORE_READ(pid, level);
	h->pid_inside = number_at(pid, level, &ns);
	pid = BPF_CORE_READ(parent, thread_pid);
	if (!pid)
		return;
	number = number_at(pid, level, &parent_ns);
	if (ns == parent_ns)
		h->parent_inside = number;
}

/* The file that the process runs from. Without memory, at its end, none. */
static __always_inline struct inode *own_inode(struct task_struct *task)
{
	return BPF_CORE_READ(task, mm, exe_file, f_inode);
}

/* See TRACE_SETUP. */
static __always_inline bool is_setting_up(const struct trace_group *group)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode;

	if (group->is_set_up || !(task->flags & PF_FORKNOEXEC))
		return false;
	inode = own_inode(task);
	return inode && BPF_CORE_READ(inode, i_ino) == group->inode &&
	       BPF_CORE_READ(inode, i_sb, s_dev) == group->device;
}

static __always_inline void fill_head(struct trace_head *h,
				      const struct trace_group *group, enum trace_type type)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct task_struct *parent = task->real_parent;
	const struct cred *cred = task->cred;

	h->type = type;
	h->flags = is_setting_up(group) ? TRACE_SETUP : 0;
	h->time = bpf_ktime_get_boot_ns();
	h->started = leader->start_boottime;
	h->cgroup = bpf_get_current_cgroup_id();
	h->pid = task->tgid;
	h->thread = task->pid;
	h->parent = parent->tgid;
	h->uid = cred->uid.val;
	h->euid = cred->euid.val;
	h->gid = cred->gid.val;
	h->egid = cred->egid.val;
	h->reserved = 0;
	say_numbers(h, leader, parent, group->pid_level);
	bpf_get_current_comm(h->comm, sizeof(h->comm));
}

static __always_inline bool is_bulk(enum trace_type type)
{
	return type >= TRACE_OPEN;
}

/*
 * The reader of a ring is asleep: after the event is there, since it looks once more after it has
 * said that it goes to sleep. A record that is thrown away wakes it.
 */
static __always_inline void wake_reader(__u32 *waiting, void *ring)
{
	void *nothing;

	if (!*waiting || __sync_val_compare_and_swap(waiting, 1, 0) != 1)
		return;
	nothing = bpf_ringbuf_reserve(ring, 8, 0);
	if (nothing)
		bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

/* See TRACE_URGENT_SIZE. */
static __always_inline bool has_room(const struct trace_head *h, enum trace_type type,
				     __u64 filled)
{
	if (is_bulk(type) || type == TRACE_EXEC ||
	    (type == TRACE_EXIT && !(h->flags & TRACE_THREAD)))
		return true;
	if (type == TRACE_PRIVILEGE || type == TRACE_MOUNT)
		return filled < TRACE_URGENT_SIZE / 4 * 3;
	return filled < TRACE_URGENT_SIZE / 2;
}

static __always_inline bool is_half_full(const struct trace_group *group)
{
	__u64 key = group->key;
	void *ring = bpf_map_lookup_elem(&rings, &key);

	return ring && bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) >= TRACE_URGENT_SIZE / 2;
}

/* h->number and h->size are set here. */
static __always_inline void send(const struct trace_group *group, struct trace_stats *s,
				 struct trace_head *h, enum trace_type type, __u32 size)
{
	bool bulk = is_bulk(type);
	__u64 key = group->key | (bulk ? TRACE_KEY_BULK : 0), filled, flags;
	__u64 part = (bulk ? TRACE_BULK_SIZE : TRACE_URGENT_SIZE) / 8;
	void *ring = bpf_map_lookup_elem(&rings, &key);

	h->size = size;
	h->number = __sync_fetch_and_add(&s->numbers[bulk], 1);
	filled = ring ? bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) : 0;
	flags = filled / part == (filled + size + 8) / part ? BPF_RB_NO_WAKEUP :
							      BPF_RB_FORCE_WAKEUP;
	if (!ring || !has_room(h, type, filled) ||
	    bpf_ringbuf_output(ring, h, size, flags) < 0) {
		__sync_fetch_and_add(&s->lost[type], 1);
		return;
	}
	__sync_fetch_and_add(&s->sent[type], 1);
	wake_reader(&s->waiting[bulk], ring);
}

/* How many alike events the one to be written stands for; 0: none is due. */
static __always_inline __u64 due(const struct trace_group *group, __u32 call, __u64 what)
{
	struct alike alike = { .key = group->key,
			       .pid = bpf_get_current_pid_tgid() >> 32,
			       .call = call,
			       .what = what };
	struct counted *seen, first = { .time = bpf_ktime_get_boot_ns() };
	__u64 count;

	/* Its events are nobody's: none may stand for others. */
	if (is_setting_up(group))
		return 1;
	seen = bpf_map_lookup_elem(&recent, &alike);
	if (!seen) {
		bpf_map_update_elem(&recent, &alike, &first, BPF_ANY);
		return 1;
	}
	__sync_fetch_and_add(&seen->count, 1);
	if (first.time - seen->time < SECOND)
		return 0;
	count = seen->count;
	seen->time = first.time;
	seen->count = 0;
	return count;
}

#endif
