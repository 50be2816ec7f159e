/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * System calls: which ones there are events for, by number, and their arguments. Calls of another
 * ABI of the same machine (32-bit programs, int 0x80) have their own numbers. Part of audit.bpf.c.
 */
#ifndef PURPLE_BPF_AUDIT_CALLS_H
#define PURPLE_BPF_AUDIT_CALLS_H

#include <asm/unistd.h>
#include <linux/audit.h>

#include "audit/maps.h"

enum call_kind {
	CALL_OTHER,
	CALL_OPEN,	  /* path, flags */
	CALL_CREAT,	  /* path */
	CALL_OPENAT,	  /* folder, path, flags */
	CALL_OPENAT2,	  /* folder, path, struct open_how */
	CALL_OPEN_HANDLE, /* -, -, flags */
	CALL_REMOVE,	  /* path */
	CALL_REMOVE_AT,	  /* folder, path */
	CALL_RENAME,	  /* path, path */
	CALL_RENAME_AT,	  /* folder, path, folder, path */
	CALL_SOCKET,	  /* told by the programs at the cgroup */
	CALL_SET_ID,
	CALL_SET_FS_ID,
	CALL_UNSHARE,
	CALL_SETNS,
	CALL_CLONE,
	CALL_CLONE3,
	CALL_FORK,
};

#define IS_FILE(kind) ((kind) >= CALL_OPEN && (kind) <= CALL_RENAME_AT)

struct call {
	__u32 number;
	__u32 arch;
	bool foreign; /* of the other ABI */
	__u8 kind;
	__u64 arguments[6];
};

static const volatile __u8 native_kinds[TRACE_CALLS] = {
#ifdef __NR_open
	[__NR_open] = CALL_OPEN,
	[__NR_creat] = CALL_CREAT,
	[__NR_unlink] = CALL_REMOVE,
	[__NR_rmdir] = CALL_REMOVE,
	[__NR_rename] = CALL_RENAME,
	[__NR_fork] = CALL_FORK,
	[__NR_vfork] = CALL_FORK,
#endif
	[__NR_openat] = CALL_OPENAT,
	[__NR_openat2] = CALL_OPENAT2,
	[__NR_open_by_handle_at] = CALL_OPEN_HANDLE,
	[__NR_unlinkat] = CALL_REMOVE_AT,
	[__NR_renameat] = CALL_RENAME_AT,
	[__NR_renameat2] = CALL_RENAME_AT,
	[__NR_connect] = CALL_SOCKET,
	[__NR_bind] = CALL_SOCKET,
	[__NR_sendto] = CALL_SOCKET,
	[__NR_sendmsg] = CALL_SOCKET,
	[__NR_sendmmsg] = CALL_SOCKET,
	[__NR_setuid] = CALL_SET_ID,
	[__NR_setgid] = CALL_SET_ID,
	[__NR_setreuid] = CALL_SET_ID,
	[__NR_setregid] = CALL_SET_ID,
	[__NR_setresuid] = CALL_SET_ID,
	[__NR_setresgid] = CALL_SET_ID,
	[__NR_setgroups] = CALL_SET_ID,
	[__NR_capset] = CALL_SET_ID,
	[__NR_setfsuid] = CALL_SET_FS_ID,
	[__NR_setfsgid] = CALL_SET_FS_ID,
	[__NR_unshare] = CALL_UNSHARE,
	[__NR_setns] = CALL_SETNS,
	[__NR_clone] = CALL_CLONE,
	[__NR_clone3] = CALL_CLONE3,
};

#if defined(__TARGET_ARCH_x86)
/* As in asm/unistd_32.h. */
static const volatile __u8 foreign_kinds[TRACE_CALLS] = {
	[2] = CALL_FORK,	  /* fork */
	[5] = CALL_OPEN,	  /* open */
	[8] = CALL_CREAT,	  /* creat */
	[10] = CALL_REMOVE,	  /* unlink */
	[23] = CALL_SET_ID,	  /* setuid */
	[38] = CALL_RENAME,	  /* rename */
	[40] = CALL_REMOVE,	  /* rmdir */
	[46] = CALL_SET_ID,	  /* setgid */
	[70] = CALL_SET_ID,	  /* setreuid */
	[71] = CALL_SET_ID,	  /* setregid */
	[81] = CALL_SET_ID,	  /* setgroups */
	[102] = CALL_SOCKET,	  /* socketcall */
	[120] = CALL_CLONE,	  /* clone */
	[138] = CALL_SET_FS_ID,	  /* setfsuid */
	[139] = CALL_SET_FS_ID,	  /* setfsgid */
	[164] = CALL_SET_ID,	  /* setresuid */
	[170] = CALL_SET_ID,	  /* setresgid */
	[185] = CALL_SET_ID,	  /* capset */
	[190] = CALL_FORK,	  /* vfork */
	[203] = CALL_SET_ID,	  /* setreuid32 */
	[204] = CALL_SET_ID,	  /* setregid32 */
	[206] = CALL_SET_ID,	  /* setgroups32 */
	[208] = CALL_SET_ID,	  /* setresuid32 */
	[210] = CALL_SET_ID,	  /* setresgid32 */
	[213] = CALL_SET_ID,	  /* setuid32 */
	[214] = CALL_SET_ID,	  /* setgid32 */
	[215] = CALL_SET_FS_ID,	  /* setfsuid32 */
	[216] = CALL_SET_FS_ID,	  /* setfsgid32 */
	[295] = CALL_OPENAT,	  /* openat */
	[301] = CALL_REMOVE_AT,	  /* unlinkat */
	[302] = CALL_RENAME_AT,	  /* renameat */
	[310] = CALL_UNSHARE,	  /* unshare */
	[342] = CALL_OPEN_HANDLE, /* open_by_handle_at */
	[345] = CALL_SOCKET,	  /* sendmmsg */
	[346] = CALL_SETNS,	  /* setns */
	[353] = CALL_RENAME_AT,	  /* renameat2 */
	[361] = CALL_SOCKET,	  /* bind */
	[362] = CALL_SOCKET,	  /* connect */
	[369] = CALL_SOCKET,	  /* sendto */
	[370] = CALL_SOCKET,	  /* sendmsg */
	[435] = CALL_CLONE3,	  /* clone3 */
	[437] = CALL_OPENAT2,	  /* openat2 */
};

#define TS_COMPAT 2 /* in thread_info.status: the call came by int 0x80 or the like */
#define X32_BIT 0x40000000u

static __always_inline void number_of(const struct pt_regs *regs, struct call *ret)
{
	struct task_struct *task = bpf_get_current_task_btf();

	ret->number = regs->orig_ax;
	ret->foreign = task->thread_info.status & TS_COMPAT;
	ret->arch = ret->foreign ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64;
	if (ret->foreign)
		ret->kind = foreign_kinds[ret->number & (TRACE_CALLS - 1)];
	else
		/* The numbers of x32 are those of 64 bits, but for a few from 512 on. */
		ret->kind = native_kinds[ret->number & (TRACE_CALLS - 1)];
	if ((ret->number & ~X32_BIT) >= TRACE_CALLS)
		ret->kind = CALL_OTHER;
}

static __always_inline void arguments_of(const struct pt_regs *regs, struct call *ret)
{
	if (ret->foreign) {
		ret->arguments[0] = (__u32)regs->bx;
		ret->arguments[1] = (__u32)regs->cx;
		ret->arguments[2] = (__u32)regs->dx;
		ret->arguments[3] = (__u32)regs->si;
		ret->arguments[4] = (__u32)regs->di;
		ret->arguments[5] = (__u32)regs->bp;
		return;
	}
	ret->arguments[0] = regs->di;
	ret->arguments[1] = regs->si;
	ret->arguments[2] = regs->dx;
	ret->arguments[3] = regs->r10;
	ret->arguments[4] = regs->r8;
	ret->arguments[5] = regs->r9;
}
#elif defined(__TARGET_ARCH_arm64)
/* 32-bit programs: counted and told when denied, but not their files. */
#define TIF_32BIT (1ul << 22)
#define X32_BIT 0

static __always_inline void number_of(const struct pt_regs *regs, struct call *ret)
{
	struct task_struct *task = bpf_get_current_task_btf();

	ret->number = regs->syscallno;
	ret->foreign = task->thread_info.flags & TIF_32BIT;
	ret->arch = ret->foreign ? AUDIT_ARCH_ARM : AUDIT_ARCH_AARCH64;
	ret->kind = ret->foreign || ret->number >= TRACE_CALLS ?
			    CALL_OTHER :
			    native_kinds[ret->number & (TRACE_CALLS - 1)];
}

static __always_inline void arguments_of(const struct pt_regs *regs, struct call *ret)
{
	ret->arguments[0] = regs->orig_x0;
	ret->arguments[1] = regs->regs[1];
	ret->arguments[2] = regs->regs[2];
	ret->arguments[3] = regs->regs[3];
	ret->arguments[4] = regs->regs[4];
	ret->arguments[5] = regs->regs[5];
}
#else
#error "no system calls of this processor are known here"
#endif

#endif
