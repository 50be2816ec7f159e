/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the processes of containers do. Loaded once per boot by purple-network-load, when the first
 * container is traced; started, stopped and shared by all containers through src/audit/trace.c.
 * audit.h says what is told, and how a process's container is found.
 *
 * Theory of operation. There are three places to look from:
 *  - trace_fork, trace_exec, trace_exit: where processes are made, start another program, and end.
 *    They run for those of the whole host, which is not to be measured beside the rest of it;
 *  - trace_return: the end of every system call of the host, while a container wants it (files,
 *    denials, privileges, counts). A process in no container has to be let go quickly: most calls
 *    are by their number and result, before anybody asks whose they are;
 *  - trace_connect4 and so on: at the container's own cgroup, after the network filter's programs,
 *    whose verdict they see.
 * Nothing here can deny anything, or wait. The path of a file that was opened is taken from the
 * file; what a process said about others (a path that could not be opened, the arguments of
 * execve()) is read from its memory afterwards: a thread of it may have changed it meanwhile.
 *
 * A call that seccomp denied looks like any other one that failed: its return is seen, its result
 * may be any error. trace_group.denied has the profile's word on it. To see that its entry was
 * not traced would tell as well, but makes the host's system calls twice as dear.
 *
 * Not seen: what io_uring does, which under every policy nobody can set up (policy/merge_network.c);
 * opens by the kernel for a process; times of files, and their flags (ioctl(FS_IOC_SETFLAGS),
 * file_setattr()); what is written, and to which place of a file; listen() and accept(), and
 * datagrams of Unix sockets that are not connected; a Unix socket's connect() or bind() when other
 * threads put both another socket in place of the descriptor and another address into memory
 * before it returns; namespaces of a clone() whose tracer changes the number before it returns (the
 * child is told); what succeeds of x32 by its own numbers, 512 to 547.
 *
 * The least kernel is 5.17: bpf_loop().
 */
#include <asm/errno.h>

#include "audit/files.h"
#include "audit/privileges.h"
#include "audit/processes.h"
#include "audit/sockets.h"

#define MAX_ERRNO 4095
#define COUNT_TRIES 16 /* places in `counts` where a call of a process may stand */

static __always_inline bool has_call(const struct trace_calls *calls, __u32 number)
{
	return number < TRACE_CALLS &&
	       (calls->bits[(number / 64) & (TRACE_CALLS / 64 - 1)] >> (number % 64)) & 1;
}

static __always_inline bool is_failure(long result)
{
	return result < 0 && result >= -MAX_ERRNO;
}

static __always_inline bool wants_counts(void)
{
	const struct trace_control *c = get_control();

	return c && (c->wants & TRACE_COUNTS);
}

static __always_inline bool is_refusal(long result)
{
	return result == -EPERM || result == -EACCES;
}

/* Whether a call that failed was refused, and by whom, as far as no other event tells it. */
static __always_inline bool was_denied(const struct trace_group *group,
				       const struct call *call, long result,
				       enum trace_denier *ret)
{
	bool refused = is_refusal(result);

	*ret = TRACE_BY_KERNEL;
	if (call->foreign || (call->number & X32_BIT) || call->number >= TRACE_CALLS) {
		*ret = TRACE_BY_EITHER;
		return refused;
	}
	if (has_call(&group->denied, call->number)) {
		*ret = TRACE_BY_SECCOMP;
		return true;
	}
	if (has_call(&group->denied_some, call->number)) {
		*ret = TRACE_BY_EITHER;
		return refused || result == -ENOSYS;
	}
	return refused && call->kind != CALL_SOCKET && !IS_FILE(call->kind);
}

/* What was refused is told with its path to those, too, who want denials alone. */
static __always_inline bool wants_file(const struct trace_group *group,
				       const struct call *call, long result)
{
	if (IS_MOUNT(call->kind))
		return result >= 0 && (group->wants & TRACE_PRIVILEGES);
	if (!IS_FILE(call->kind))
		return false;
	return (group->wants & TRACE_FILES) || ((group->wants & TRACE_DENIALS) &&
						(is_refusal(result) || result == -EROFS));
}

static __noinline int tell_denied(const struct trace_group *group,
				  const struct call *call, long result, __u32 denier)
{
	struct trace_stats *s = stats_of(group);
	struct trace_denied d = {};

	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_DENIED], 1);
	d.count = due(group, call->number, (__u64)call->arch << 32 | (__u32)-result);
	if (!d.count) {
		__sync_fetch_and_add(&s->merged[TRACE_DENIED], 1);
		return 0;
	}
	fill_head(&d.head, group, TRACE_DENIED);
	__builtin_memcpy(d.arguments, call->arguments, sizeof(d.arguments));
	d.call = call->number;
	d.arch = call->arch;
	d.error = -result;
	d.denier = denier;
	send(group, s, &d.head, TRACE_DENIED, sizeof(d));
	return 0;
}

/* A place is taken for good, until the reader frees it. */
static __noinline int count(const struct trace_group *group, const struct call *call,
			    long result)
{
	__u64 key = group->key, what;
	void *map = bpf_map_lookup_elem(&counts, &key);
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct trace_stats *s;

	if (!map || is_setting_up(group))
		return 0;
	what = TRACE_COUNT_OF(pid, call->number | (call->foreign ? TRACE_COUNT_FOREIGN : 0));
	for (int i = 0; i < COUNT_TRIES; i++) {
		__u32 at = (__u32)(what * 0x9e3779b97f4a7c15ull >> 40) + i;
		struct trace_count *c;
		__u64 before;

		at &= TRACE_COUNTS_MAX - 1;
		c = bpf_map_lookup_elem(map, &at);
		if (!c)
			return 0;
		before = c->what;
		if (before == 0)
			before = __sync_val_compare_and_swap(&c->what, 0, what);
		if (before != 0 && before != what)
			continue;
		__sync_fetch_and_add(&c->calls, 1);
		if (result < 0)
			__sync_fetch_and_add(&c->failed, 1);
		return 0;
	}
	s = stats_of(group);
	if (s)
		__sync_fetch_and_add(&s->uncounted, 1);
	return 0;
}

static __noinline int tell_return(const struct pt_regs *regs, long result)
{
	bool failed = is_failure(result);
	const struct trace_control *c = get_control();
	struct trace_group *group;
	enum trace_denier denier;
	struct call call = {};

	group = c ? find_group(c) : NULL;
	if (!group)
		return 0;
	number_of(regs, &call);
	/* The end of a signal handler: its result is whatever was interrupted. */
	if (call.number == NO_NUMBER)
		return 0;
	/* A child that has just been made returns from the call of its parent. */
	if (call.kind >= CALL_CLONE && result == 0)
		return 0;
	if (group->wants & TRACE_COUNTS)
		count(group, &call, failed ? result : 0);
	if (call.kind == CALL_OTHER && !failed)
		return 0;
	arguments_of(regs, &call);
	if (call.kind == CALL_CONNECT || call.kind == CALL_BIND ||
	    call.kind == CALL_SOCKETCALL)
		settle_socket(&call, result);
	if (wants_file(group, &call, result))
		tell_file(group, &call, result);
	if (failed) {
		if ((group->wants & TRACE_DENIALS) &&
		    was_denied(group, &call, result, &denier))
			tell_denied(group, &call, result, denier);
		return 0;
	}
	if (call.kind >= CALL_SET_ID && (group->wants & TRACE_PRIVILEGES))
		tell_privilege(group, &call);
	return 0;
}

/* Nearly all calls of the host end here: nothing else is done for them. */
SEC("tp_btf/sys_exit")
int trace_return(unsigned long long *ctx)
{
	const struct pt_regs *regs = (const struct pt_regs *)ctx[0];
	long result = (long)ctx[1];

	if (is_failure(result) || !is_dull(regs) || wants_counts())
		tell_return(regs, result);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int trace_fork(unsigned long long *ctx)
{
	return tell_fork((const struct task_struct *)ctx[1]);
}

SEC("tp_btf/sched_process_exec")
int trace_exec(unsigned long long *ctx)
{
	return tell_exec((const struct linux_binprm *)ctx[2]);
}

SEC("tp_btf/sched_process_exit")
int trace_exit(unsigned long long *ctx)
{
	return tell_exit();
}

SEC("cgroup/connect4")
int trace_connect4(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_CONNECT, false);
}

SEC("cgroup/connect6")
int trace_connect6(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_CONNECT, true);
}

SEC("cgroup/sendmsg4")
int trace_sendmsg4(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_SEND, false);
}

SEC("cgroup/sendmsg6")
int trace_sendmsg6(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_SEND, true);
}

SEC("cgroup/bind4")
int trace_bind4(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_BIND, false);
}

SEC("cgroup/bind6")
int trace_bind6(struct bpf_sock_addr *ctx)
{
	return tell_socket(ctx, TRACE_CALL_BIND, true);
}

/*
 * Never attached: run by the runtime in itself, to learn what nothing else says: how deep its group
 * lies, in a cgroup namespace too, and which file the kernel has it run from.
 */
SEC("raw_tp/sys_exit")
int trace_look(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct inode *inode = own_inode(task);
	__u32 zero = 0;
	struct trace_self *s = bpf_map_lookup_elem(&self, &zero);

	if (!s)
		return 0;
	s->level = task->cgroups->dfl_cgrp->level;
	s->inode = BPF_CORE_READ(inode, i_ino);
	s->device = BPF_CORE_READ(inode, i_sb, s_dev);
	return 1;
}

char trace_license[] SEC("license") = "GPL";
