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
	/* files: see call_shapes */
	CALL_OPEN,
	CALL_CREAT,
	CALL_OPENAT,
	CALL_OPENAT2,
	CALL_OPEN_HANDLE,
	CALL_REMOVE,
	CALL_REMOVE_AT,
	CALL_RENAME,
	CALL_RENAME_AT,
	CALL_LINK,
	CALL_LINK_AT,
	CALL_SYMLINK,
	CALL_SYMLINK_AT,
	CALL_TRUNCATE,
	CALL_FTRUNCATE,
	CALL_MKDIR,
	CALL_MKDIR_AT,
	CALL_MKNOD,
	CALL_MKNOD_AT,
	CALL_CHMOD,
	CALL_FCHMOD,
	CALL_CHMOD_AT,
	CALL_CHOWN,
	CALL_FCHOWN,
	CALL_CHOWN_AT,
	CALL_SETXATTR,
	CALL_FSETXATTR,
	CALL_SETXATTR_AT,
	CALL_REMOVEXATTR,
	CALL_FREMOVEXATTR,
	CALL_REMOVEXATTR_AT,
	CALL_CONNECT, /* of Unix sockets; of others CALL_SOCKET */
	CALL_BIND,    /* likewise */
	/* mounts: likewise */
	CALL_CHROOT, /* and umount() */
	CALL_PIVOT_ROOT,
	CALL_MOUNT,
	CALL_MOVE_MOUNT,
	CALL_SOCKET,	 /* told by the programs at the cgroup */
	CALL_SOCKETCALL, /* one of those three */
	/* privileges */
	CALL_SET_ID,
	CALL_SET_FS_ID,
	CALL_POWER, /* over other processes, or the kernel */
	CALL_UNSHARE,
	CALL_SETNS,
	CALL_CLONE,
	CALL_CLONE3,
	CALL_FORK,
	CALL_KINDS,
};

#define IS_FILE(kind) ((kind) >= CALL_OPEN && (kind) <= CALL_BIND)
#define IS_MOUNT(kind) ((kind) >= CALL_CHROOT && (kind) <= CALL_MOVE_MOUNT)

/*
 * Which event tells a call with paths, and where these are: arguments, counted from 1; 0: none.
 * A path starts from the folder of a descriptor, if there is one.
 */
struct call_shape {
	__u8 type, change;
	__u8 folder, path, new_folder, new_path;
	__u8 file; /* a descriptor */
	__u8 text, mode, owner;
};

#define SHAPES 64
_Static_assert(CALL_KINDS <= SHAPES, "a mask");
static const volatile struct call_shape call_shapes[SHAPES] = {
	[CALL_OPEN] = { TRACE_OPEN, .path = 1 },
	[CALL_CREAT] = { TRACE_OPEN, .path = 1 },
	[CALL_OPENAT] = { TRACE_OPEN, .folder = 1, .path = 2 },
	[CALL_OPENAT2] = { TRACE_OPEN, .folder = 1, .path = 2 },
	[CALL_OPEN_HANDLE] = { .type = TRACE_OPEN },
	[CALL_REMOVE] = { TRACE_REMOVE, .path = 1 },
	[CALL_REMOVE_AT] = { TRACE_REMOVE, .folder = 1, .path = 2 },
	[CALL_RENAME] = { TRACE_RENAME, .path = 1, .new_path = 2 },
	[CALL_RENAME_AT] = { TRACE_RENAME, .folder = 1, .path = 2, .new_folder = 3,
			     .new_path = 4 },
	[CALL_LINK] = { TRACE_CHANGE, TRACE_LINK, .path = 1, .new_path = 2 },
	[CALL_LINK_AT] = { TRACE_CHANGE, TRACE_LINK, .folder = 1, .path = 2,
			   .new_folder = 3, .new_path = 4 },
	[CALL_SYMLINK] = { TRACE_CHANGE, TRACE_SYMLINK, .path = 2, .text = 1 },
	[CALL_SYMLINK_AT] = { TRACE_CHANGE, TRACE_SYMLINK, .folder = 2, .path = 3,
			      .text = 1 },
	[CALL_TRUNCATE] = { TRACE_CHANGE, TRACE_TRUNCATE, .path = 1 },
	[CALL_FTRUNCATE] = { TRACE_CHANGE, TRACE_TRUNCATE, .file = 1 },
	[CALL_MKDIR] = { TRACE_CHANGE, TRACE_MKDIR, .path = 1, .mode = 2 },
	[CALL_MKDIR_AT] = { TRACE_CHANGE, TRACE_MKDIR, .folder = 1, .path = 2, .mode = 3 },
	[CALL_MKNOD] = { TRACE_CHANGE, TRACE_MKNOD, .path = 1, .mode = 2 },
	[CALL_MKNOD_AT] = { TRACE_CHANGE, TRACE_MKNOD, .folder = 1, .path = 2, .mode = 3 },
	[CALL_CHMOD] = { TRACE_CHANGE, TRACE_CHMOD, .path = 1, .mode = 2 },
	[CALL_FCHMOD] = { TRACE_CHANGE, TRACE_CHMOD, .file = 1, .mode = 2 },
	[CALL_CHMOD_AT] = { TRACE_CHANGE, TRACE_CHMOD, .folder = 1, .path = 2, .mode = 3 },
	[CALL_CHOWN] = { TRACE_CHANGE, TRACE_CHOWN, .path = 1, .owner = 2 },
	[CALL_FCHOWN] = { TRACE_CHANGE, TRACE_CHOWN, .file = 1, .owner = 2 },
	[CALL_CHOWN_AT] = { TRACE_CHANGE, TRACE_CHOWN, .folder = 1, .path = 2, .owner = 3 },
	[CALL_SETXATTR] = { TRACE_CHANGE, TRACE_SETXATTR, .path = 1, .text = 2 },
	[CALL_FSETXATTR] = { TRACE_CHANGE, TRACE_SETXATTR, .file = 1, .text = 2 },
	[CALL_SETXATTR_AT] = { TRACE_CHANGE, TRACE_SETXATTR, .folder = 1, .path = 2,
			       .text = 4 },
	[CALL_REMOVEXATTR] = { TRACE_CHANGE, TRACE_REMOVEXATTR, .path = 1, .text = 2 },
	[CALL_FREMOVEXATTR] = { TRACE_CHANGE, TRACE_REMOVEXATTR, .file = 1, .text = 2 },
	[CALL_REMOVEXATTR_AT] = { TRACE_CHANGE, TRACE_REMOVEXATTR, .folder = 1, .path = 2,
				  .text = 4 },
	[CALL_CONNECT] = { .type = TRACE_CHANGE, .change = TRACE_UNIX_CONNECT },
	[CALL_BIND] = { .type = TRACE_CHANGE, .change = TRACE_UNIX_BIND },
	[CALL_CHROOT] = { TRACE_MOUNT, .path = 1 },
	[CALL_PIVOT_ROOT] = { TRACE_MOUNT, .path = 1, .new_path = 2 },
	[CALL_MOUNT] = { TRACE_MOUNT, .path = 1, .new_path = 2 },
	[CALL_MOVE_MOUNT] = { TRACE_MOUNT, .folder = 1, .path = 2, .new_folder = 3,
			      .new_path = 4 },
};

struct call {
	__u32 number;
	__u32 arch;
	bool foreign; /* of the other ABI */
	bool is_socketcall;
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
	[__NR_link] = CALL_LINK,
	[__NR_symlink] = CALL_SYMLINK,
	[__NR_mkdir] = CALL_MKDIR,
	[__NR_mknod] = CALL_MKNOD,
	[__NR_chmod] = CALL_CHMOD,
	[__NR_chown] = CALL_CHOWN,
	[__NR_lchown] = CALL_CHOWN,
	[__NR_fork] = CALL_FORK,
	[__NR_vfork] = CALL_FORK,
#endif
	[__NR_openat] = CALL_OPENAT,
	[__NR_openat2] = CALL_OPENAT2,
	[__NR_open_by_handle_at] = CALL_OPEN_HANDLE,
	[__NR_unlinkat] = CALL_REMOVE_AT,
	[__NR_renameat] = CALL_RENAME_AT,
	[__NR_renameat2] = CALL_RENAME_AT,
	[__NR_linkat] = CALL_LINK_AT,
	[__NR_symlinkat] = CALL_SYMLINK_AT,
	[__NR_truncate] = CALL_TRUNCATE,
	[__NR_ftruncate] = CALL_FTRUNCATE,
	[__NR_mkdirat] = CALL_MKDIR_AT,
	[__NR_mknodat] = CALL_MKNOD_AT,
	[__NR_fchmod] = CALL_FCHMOD,
	[__NR_fchmodat] = CALL_CHMOD_AT,
	[452] = CALL_CHMOD_AT, /* fchmodat2, as all from 424 on of one number everywhere */
	[__NR_fchown] = CALL_FCHOWN,
	[__NR_fchownat] = CALL_CHOWN_AT,
	[__NR_setxattr] = CALL_SETXATTR,
	[__NR_lsetxattr] = CALL_SETXATTR,
	[__NR_fsetxattr] = CALL_FSETXATTR,
	[463] = CALL_SETXATTR_AT, /* setxattrat */
	[__NR_removexattr] = CALL_REMOVEXATTR,
	[__NR_lremovexattr] = CALL_REMOVEXATTR,
	[__NR_fremovexattr] = CALL_FREMOVEXATTR,
	[466] = CALL_REMOVEXATTR_AT, /* removexattrat */
	[__NR_chroot] = CALL_CHROOT,
	[__NR_umount2] = CALL_CHROOT,
	[__NR_pivot_root] = CALL_PIVOT_ROOT,
	[__NR_mount] = CALL_MOUNT,
	[__NR_move_mount] = CALL_MOVE_MOUNT,
	[__NR_connect] = CALL_CONNECT,
	[__NR_bind] = CALL_BIND,
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
	[__NR_ptrace] = CALL_POWER,
	[__NR_process_vm_readv] = CALL_POWER,
	[__NR_process_vm_writev] = CALL_POWER,
	[__NR_bpf] = CALL_POWER,
	[__NR_init_module] = CALL_POWER,
	[__NR_finit_module] = CALL_POWER,
	[__NR_delete_module] = CALL_POWER,
	[__NR_kexec_load] = CALL_POWER,
	[__NR_kexec_file_load] = CALL_POWER,
	[__NR_fsmount] = CALL_POWER,
	[438] = CALL_POWER, /* pidfd_getfd */
	[__NR_mount_setattr] = CALL_POWER,
	[__NR_unshare] = CALL_UNSHARE,
	[__NR_setns] = CALL_SETNS,
	[__NR_clone] = CALL_CLONE,
	[__NR_clone3] = CALL_CLONE3,
};

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000u
#else
#define X32_BIT 0
#endif
#define NO_NUMBER 0xffffffffu /* the end of a signal handler */

/* There are four thousand million numbers that a process may try: one place for all. */
static __always_inline void fold_number(struct call *call)
{
	if ((call->number & ~X32_BIT) < TRACE_CALLS || call->number == NO_NUMBER)
		return;
	call->number = TRACE_CALL_UNKNOWN;
	call->kind = CALL_OTHER;
}

#if defined(__TARGET_ARCH_x86)
/* As in asm/unistd_32.h. */
static const volatile __u8 foreign_kinds[TRACE_CALLS] = {
	[2] = CALL_FORK,	     /* fork */
	[5] = CALL_OPEN,	     /* open */
	[8] = CALL_CREAT,	     /* creat */
	[9] = CALL_LINK,	     /* link */
	[10] = CALL_REMOVE,	     /* unlink */
	[14] = CALL_MKNOD,	     /* mknod */
	[15] = CALL_CHMOD,	     /* chmod */
	[16] = CALL_CHOWN,	     /* lchown */
	[21] = CALL_MOUNT,	     /* mount */
	[22] = CALL_CHROOT,	     /* umount */
	[23] = CALL_SET_ID,	     /* setuid */
	[26] = CALL_POWER,	     /* ptrace */
	[38] = CALL_RENAME,	     /* rename */
	[39] = CALL_MKDIR,	     /* mkdir */
	[40] = CALL_REMOVE,	     /* rmdir */
	[46] = CALL_SET_ID,	     /* setgid */
	[52] = CALL_CHROOT,	     /* umount2 */
	[61] = CALL_CHROOT,	     /* chroot */
	[70] = CALL_SET_ID,	     /* setreuid */
	[71] = CALL_SET_ID,	     /* setregid */
	[81] = CALL_SET_ID,	     /* setgroups */
	[83] = CALL_SYMLINK,	     /* symlink */
	[92] = CALL_TRUNCATE,	     /* truncate */
	[93] = CALL_FTRUNCATE,	     /* ftruncate */
	[94] = CALL_FCHMOD,	     /* fchmod */
	[95] = CALL_FCHOWN,	     /* fchown */
	[102] = CALL_SOCKETCALL,     /* socketcall */
	[120] = CALL_CLONE,	     /* clone */
	[128] = CALL_POWER,	     /* init_module */
	[129] = CALL_POWER,	     /* delete_module */
	[138] = CALL_SET_FS_ID,	     /* setfsuid */
	[139] = CALL_SET_FS_ID,	     /* setfsgid */
	[164] = CALL_SET_ID,	     /* setresuid */
	[170] = CALL_SET_ID,	     /* setresgid */
	[182] = CALL_CHOWN,	     /* chown */
	[185] = CALL_SET_ID,	     /* capset */
	[190] = CALL_FORK,	     /* vfork */
	[193] = CALL_TRUNCATE,	     /* truncate64 */
	[194] = CALL_FTRUNCATE,	     /* ftruncate64 */
	[198] = CALL_CHOWN,	     /* lchown32 */
	[203] = CALL_SET_ID,	     /* setreuid32 */
	[204] = CALL_SET_ID,	     /* setregid32 */
	[206] = CALL_SET_ID,	     /* setgroups32 */
	[207] = CALL_FCHOWN,	     /* fchown32 */
	[208] = CALL_SET_ID,	     /* setresuid32 */
	[210] = CALL_SET_ID,	     /* setresgid32 */
	[212] = CALL_CHOWN,	     /* chown32 */
	[213] = CALL_SET_ID,	     /* setuid32 */
	[214] = CALL_SET_ID,	     /* setgid32 */
	[215] = CALL_SET_FS_ID,	     /* setfsuid32 */
	[216] = CALL_SET_FS_ID,	     /* setfsgid32 */
	[217] = CALL_PIVOT_ROOT,     /* pivot_root */
	[226] = CALL_SETXATTR,	     /* setxattr */
	[227] = CALL_SETXATTR,	     /* lsetxattr */
	[228] = CALL_FSETXATTR,	     /* fsetxattr */
	[235] = CALL_REMOVEXATTR,    /* removexattr */
	[236] = CALL_REMOVEXATTR,    /* lremovexattr */
	[237] = CALL_FREMOVEXATTR,   /* fremovexattr */
	[283] = CALL_POWER,	     /* kexec_load */
	[295] = CALL_OPENAT,	     /* openat */
	[296] = CALL_MKDIR_AT,	     /* mkdirat */
	[297] = CALL_MKNOD_AT,	     /* mknodat */
	[298] = CALL_CHOWN_AT,	     /* fchownat */
	[301] = CALL_REMOVE_AT,	     /* unlinkat */
	[302] = CALL_RENAME_AT,	     /* renameat */
	[303] = CALL_LINK_AT,	     /* linkat */
	[304] = CALL_SYMLINK_AT,     /* symlinkat */
	[306] = CALL_CHMOD_AT,	     /* fchmodat */
	[310] = CALL_UNSHARE,	     /* unshare */
	[342] = CALL_OPEN_HANDLE,    /* open_by_handle_at */
	[345] = CALL_SOCKET,	     /* sendmmsg */
	[346] = CALL_SETNS,	     /* setns */
	[347] = CALL_POWER,	     /* process_vm_readv */
	[348] = CALL_POWER,	     /* process_vm_writev */
	[350] = CALL_POWER,	     /* finit_module */
	[353] = CALL_RENAME_AT,	     /* renameat2 */
	[357] = CALL_POWER,	     /* bpf */
	[361] = CALL_BIND,	     /* bind */
	[362] = CALL_CONNECT,	     /* connect */
	[369] = CALL_SOCKET,	     /* sendto */
	[370] = CALL_SOCKET,	     /* sendmsg */
	[429] = CALL_MOVE_MOUNT,     /* move_mount */
	[432] = CALL_POWER,	     /* fsmount */
	[435] = CALL_CLONE3,	     /* clone3 */
	[437] = CALL_OPENAT2,	     /* openat2 */
	[438] = CALL_POWER,	     /* pidfd_getfd */
	[442] = CALL_POWER,	     /* mount_setattr */
	[452] = CALL_CHMOD_AT,	     /* fchmodat2 */
	[463] = CALL_SETXATTR_AT,    /* setxattrat */
	[466] = CALL_REMOVEXATTR_AT, /* removexattrat */
};

#define TS_COMPAT 2 /* in thread_info.status: the call came by int 0x80 or the like */

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
	fold_number(ret);
}

/* Whether it is a call without events of its own, whichever ABI it is of. */
static __always_inline bool is_dull(const struct pt_regs *regs)
{
	__u32 number = regs->orig_ax;

	return number < TRACE_CALLS && !native_kinds[number] && !foreign_kinds[number];
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

/* Whether seccomp killed it for the call: its result is put back to what was there before. */
static __always_inline bool is_rolled_back(const struct pt_regs *regs)
{
	return regs->ax == regs->orig_ax;
}
#elif defined(__TARGET_ARCH_arm64)
/* 32-bit programs: counted and told when denied, but not their files. */
#define TIF_32BIT (1ul << 22)

static __always_inline void number_of(const struct pt_regs *regs, struct call *ret)
{
	struct task_struct *task = bpf_get_current_task_btf();

	ret->number = regs->syscallno;
	ret->foreign = task->thread_info.flags & TIF_32BIT;
	ret->arch = ret->foreign ? AUDIT_ARCH_ARM : AUDIT_ARCH_AARCH64;
	ret->kind = ret->foreign ? CALL_OTHER :
				   native_kinds[ret->number & (TRACE_CALLS - 1)];
	fold_number(ret);
}

static __always_inline bool is_dull(const struct pt_regs *regs)
{
	__u32 number = regs->syscallno;

	return number < TRACE_CALLS && !native_kinds[number];
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

static __always_inline bool is_rolled_back(const struct pt_regs *regs)
{
	return regs->regs[0] == regs->orig_x0;
}
#else
#error "no system calls of this processor are known here"
#endif

#endif
