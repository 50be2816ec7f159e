/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Calls that change what a process may do. Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_PRIVILEGES_H
#define PURPLE_BPF_AUDIT_PRIVILEGES_H

#include <linux/sched.h>

#include "audit/calls.h"
#include "audit/send.h"

/* Without CLONE_NEWTIME, which to clone() is a part of the signal. */
#define NAMESPACES                                                                     \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

static __always_inline __u64 capabilities(const struct capabilities *from)
{
	__u64 ret = 0;

	bpf_probe_read_kernel(&ret, sizeof(ret), from);
	return ret;
}

static __always_inline __u64 effective_capabilities(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return capabilities(&task->cred->cap_effective);
}

static __always_inline __u64 permitted_capabilities(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return capabilities(&task->cred->cap_permitted);
}

static __always_inline __u64 namespaces_of(const struct call *call)
{
	__u64 flags = 0;

	switch (call->kind) {
	case CALL_UNSHARE:
		return call->arguments[0] & (NAMESPACES | CLONE_NEWTIME);
	case CALL_SETNS:
		return call->arguments[1] & (NAMESPACES | CLONE_NEWTIME);
	case CALL_CLONE:
		return call->arguments[0] & NAMESPACES;
	case CALL_CLONE3:
		bpf_probe_read_user(&flags, sizeof(flags), (const void *)call->arguments[0]);
		return flags & (NAMESPACES | CLONE_NEWTIME);
	default:
		return 0;
	}
}

static __noinline int tell_privilege(const struct trace_group *group, const struct call *call)
{
	__u64 namespaces = namespaces_of(call), what = call->arguments[0];
	struct trace_privilege p = {};
	struct trace_stats *s;

	/* Threads and plain children; to ask for the id that there is. */
	if (!namespaces && call->kind >= CALL_UNSHARE && call->kind != CALL_SETNS)
		return 0;
	if (call->kind == CALL_SET_FS_ID && (__u32)call->arguments[0] == 0xffffffff)
		return 0;
	s = stats_of(group);
	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_PRIVILEGE], 1);
	if (call->kind == CALL_CLONE3)
		what = namespaces;
	/* Apart from what was denied of the same number. */
	p.count = due(group, call->number | 1u << 31, (__u64)call->arch << 32 ^ what);
	if (!p.count) {
		__sync_fetch_and_add(&s->merged[TRACE_PRIVILEGE], 1);
		return 0;
	}
	fill_head(&p.head, group, TRACE_PRIVILEGE);
	__builtin_memcpy(p.arguments, call->arguments, sizeof(p.arguments));
	p.call = call->number;
	p.arch = call->arch;
	p.effective = effective_capabilities();
	p.permitted = permitted_capabilities();
	p.namespaces = namespaces;
	send(group, s, &p.head, TRACE_PRIVILEGE, sizeof(p));
	return 0;
}

#endif
