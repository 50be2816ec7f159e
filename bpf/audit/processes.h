/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Start and end of programs. Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_PROCESSES_H
#define PURPLE_BPF_AUDIT_PROCESSES_H

#include <asm/errno.h>

#include "audit/calls.h"
#include "audit/files.h"
#include "audit/privileges.h"

#define SIGSYS 31
#define SIGNAL_GROUP_EXIT 4 /* in signal_struct.flags */

static __always_inline void write_exec_event(struct draft *d,
					     const struct trace_group *group,
					     const struct linux_binprm *bprm)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file *file = bprm->file;
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	unsigned long start = task->mm->arg_start, end = task->mm->arg_end;

	fill_head(&d->head, group, TRACE_EXEC);
	if (BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec))
		d->head.flags |= TRACE_RAISED;
	if (dentry && !BPF_CORE_READ(dentry, d_hash.pprev) &&
	    BPF_CORE_READ(dentry, d_parent) != dentry)
		d->head.flags |= TRACE_DELETED;
	d->exec.effective = effective_capabilities();
	d->exec.permitted = permitted_capabilities();
	d->exec.arguments = bprm->argc;
	__builtin_memset(d->exec.reserved, 0, sizeof(d->exec.reserved));
	d->exec.lengths[TRACE_EXECUTABLE] = add_path(d, BPF_CORE_READ(file, f_path.mnt),
						     dentry);
	d->exec.lengths[TRACE_CALLED] = add_kernel_string(d, bprm->filename);
	d->exec.lengths[TRACE_ARGUMENTS] = 0;
	if (end > start && is_half_full(group))
		d->head.flags |= TRACE_CUT;
	else
		d->exec.lengths[TRACE_ARGUMENTS] =
			add_user_bytes(d, (const void *)start,
				       end > start ? end - start : 0);
}

static __always_inline int tell_exec(const struct linux_binprm *bprm)
{
	const struct trace_control *c = get_control();
	struct trace_group *group = c ? find_group(c) : NULL;
	struct trace_stats *s;
	struct draft *d;

	if (!group)
		return 0;
	group->is_set_up = 1;
	if (!(group->wants & TRACE_PROCESSES) &&
	    (!(group->wants & TRACE_PRIVILEGES) ||
	     !BPF_CORE_READ_BITFIELD_PROBED(bprm, secureexec)))
		return 0;
	s = stats_of(group);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_EXEC], 1);
	d = take_draft();
	if (!d) {
		__sync_fetch_and_add(&s->lost[TRACE_EXEC], 1);
		return 0;
	}
	write_exec_event(d, group, bprm);
	send(group, s, &d->head, TRACE_EXEC, draft_size(d));
	release_draft(d);
	return 0;
}

/* A child, by the process that makes it; threads are none. */
static __always_inline int tell_fork(const struct task_struct *child)
{
	const struct trace_control *c = get_control();
	struct trace_group *group = c ? find_group(c) : NULL;
	struct trace_head h = {};
	struct trace_stats *s;

	if (!group || !(group->wants & TRACE_PROCESSES) || child->pid != child->tgid)
		return 0;
	s = stats_of(group);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_FORK], 1);
	fill_head(&h, group, TRACE_FORK);
	h.started = child->start_boottime;
	h.pid = child->pid;
	h.thread = child->pid;
	h.parent = child->real_parent->tgid;
	say_numbers(&h, child, child->real_parent, group->pid_level);
	send(group, s, &h, TRACE_FORK, sizeof(h));
	return 0;
}

/* Of the threads that end, one is to be told of: the last one. */
static __always_inline bool is_last(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ended key = { .pid = task->tgid,
			     .started = task->group_leader->start_boottime };
	__u32 one = 1;
	int r;

	if (task->signal->live.counter != 0)
		return false;
	/* Before Linux 6.4 the upper half of what this returns is not set. */
	r = bpf_map_update_elem(&gone, &key, &one, BPF_NOEXIST);
	return r != -EEXIST;
}

static __always_inline void say_times(struct trace_exit *x)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct signal_struct *signal = task->signal;

	x->user_ns = signal->utime + task->utime;
	x->system_ns = signal->stime + task->stime;
	if (leader->pid != task->pid) {
		x->user_ns += leader->utime;
		x->system_ns += leader->stime;
	}
}

/*
 * The call that seccomp killed a thread for, or its process: that is remembered until the last
 * thread ends. Others may send the signal, too.
 */
static __always_inline void find_kill(bool last, struct kill *ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct pt_regs *regs = (const struct pt_regs *)bpf_task_pt_regs(task);
	bool is_whole = task->signal->flags & SIGNAL_GROUP_EXIT;
	struct ended key = { .pid = task->tgid,
			     .started = task->group_leader->start_boottime };
	struct kill *found;
	struct call call;

	if (!is_whole || is_rolled_back(regs)) {
		number_of(regs, &call);
		ret->call = call.number;
		ret->arch = call.arch;
		if (is_whole && !last)
			bpf_map_update_elem(&kills, &key, ret, BPF_ANY);
		return;
	}
	found = last ? bpf_map_lookup_elem(&kills, &key) : NULL;
	if (found)
		*ret = *found;
}

static __always_inline int tell_exit(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	const struct trace_control *c = get_control();
	struct trace_group *group = c ? find_group(c) : NULL;
	struct trace_exit x = {};
	struct trace_stats *s;
	struct kill call = { .call = TRACE_NO_CALL };
	int status;
	bool last;

	if (!group || !(group->wants & (TRACE_PROCESSES | TRACE_DENIALS)))
		return 0;
	last = is_last();
	status = task->exit_code;
	if (last && (task->signal->flags & SIGNAL_GROUP_EXIT))
		status = task->signal->group_exit_code;
	if ((status & 0x7f) != SIGSYS && (!last || !(group->wants & TRACE_PROCESSES)))
		return 0;
	if ((status & 0x7f) == SIGSYS)
		find_kill(last, &call);
	/* The threads of a process that was killed as a whole. */
	if (!last && (task->signal->flags & SIGNAL_GROUP_EXIT))
		return 0;
	s = stats_of(group);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_EXIT], 1);
	fill_head(&x.head, group, TRACE_EXIT);
	if (!last)
		x.head.flags |= TRACE_THREAD;
	x.code = (status >> 8) & 0xff;
	x.signal = status & 0x7f;
	x.call = call.call;
	x.arch = call.arch;
	say_times(&x);
	send(group, s, &x.head, TRACE_EXIT, sizeof(x));
	return 0;
}

#endif
