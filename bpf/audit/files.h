/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Files that are opened, removed, renamed or changed otherwise; mounts. Which arguments of a call
 * are its paths stands in call_shapes. Part of audit.bpf.c.
 */
#ifndef PURPLE_BPF_AUDIT_FILES_H
#define PURPLE_BPF_AUDIT_FILES_H

#include "audit/calls.h"
#include "audit/path.h"

/* Not in UAPI headers, or in those of one kind alone. */
#define AT_FDCWD -100
#define O_CREAT 0100
#define O_CREAT_FLAGS 01101 /* of creat(): O_CREAT | O_WRONLY | O_TRUNC */
#define FMODE_CREATED (1u << 20)
#define AF_UNIX 1
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SYS_BIND 2 /* of socketcall() */
#define SYS_CONNECT 3

static __always_inline struct file *file_of(int fd)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files, *file = NULL;

	if (!table || fd < 0 || (__u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file;
}

/* What the kernel has opened. */
static __noinline int add_opened(struct draft *d, int fd)
{
	struct file *file = file_of(fd);
	struct dentry *dentry;
	struct path path = {};

	/* Another thread may have closed it. */
	if (!file) {
		d->head.flags |= TRACE_UNREAD;
		return 0;
	}
	path.mnt = BPF_CORE_READ(file, f_path.mnt);
	dentry = BPF_CORE_READ(file, f_path.dentry);
	if (dentry && !BPF_CORE_READ(dentry, d_hash.pprev) &&
	    BPF_CORE_READ(dentry, d_parent) != dentry)
		d->head.flags |= TRACE_DELETED;
	d->head.flags |= TRACE_RESOLVED;
	if (d->head.type == TRACE_OPEN) {
		if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
			d->head.flags |= TRACE_CREATED;
		d->file.mode = BPF_CORE_READ(file, f_inode, i_mode);
	}
	d->file.lengths[TRACE_PATH] = add_path(d, path.mnt, dentry);
	return 0;
}

/* A path as the process said it, and where it starts from if that matters. */
static __noinline int add_said(struct draft *d, __u32 which, int folder, const void *said)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct vfsmount *mount = NULL;
	struct dentry *dentry = NULL;
	struct file *file;
	char first = 0;

	which &= 2;
	bpf_probe_read_user(&first, 1, said);
	d->file.lengths[which] = 0;
	if (first != '/') {
		if (folder == AT_FDCWD) {
			struct fs_struct *fs = task->fs;

			mount = BPF_CORE_READ(fs, pwd.mnt);
			dentry = BPF_CORE_READ(fs, pwd.dentry);
		} else {
			file = file_of(folder);
			if (file) {
				mount = BPF_CORE_READ(file, f_path.mnt);
				dentry = BPF_CORE_READ(file, f_path.dentry);
			}
		}
		d->file.lengths[which] = add_path(d, mount, dentry);
	}
	d->file.lengths[which + 1] = add_user_string(d, said);
	return 0;
}

/* Descriptor, address and length of connect() or bind(); those of socketcall() lie in memory. */
static __always_inline void socket_arguments(const struct call *call, __u64 ret[3])
{
	__u32 from[3] = {};

	__builtin_memcpy(ret, call->arguments, 3 * sizeof(*ret));
	if (!call->is_socketcall)
		return;
	if (bpf_probe_read_user(from, sizeof(from), (const void *)call->arguments[1]) < 0)
		from[0] = -1;
	for (int i = 0; i < 3; i++)
		ret[i] = from[i];
}

static __always_inline __u16 family_said(__u64 address)
{
	__u16 family = 0;

	bpf_probe_read_user(&family, sizeof(family), (const void *)address);
	return family;
}

/*
 * Of which kind a call that connects or binds is. The kernel's word comes first: the address, which
 * a thread may have overwritten, can but add to it. If the descriptor is no socket any more, though
 * the call was done, it is told rather than not.
 */
static __noinline int settle_socket(struct call *call, long result)
{
	struct file *file;
	struct socket *socket;
	__u64 arguments[3];

	if (call->kind == CALL_SOCKETCALL) {
		call->kind = call->arguments[0] == SYS_BIND    ? CALL_BIND :
			     call->arguments[0] == SYS_CONNECT ? CALL_CONNECT :
								 CALL_SOCKET;
		call->is_socketcall = true;
	}
	if (call->kind == CALL_SOCKET)
		return 0;
	socket_arguments(call, arguments);
	if (family_said(arguments[1]) == AF_UNIX)
		return 0;
	file = file_of(arguments[0]);
	if (file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == S_IFSOCK) {
		socket = BPF_CORE_READ(file, private_data);
		if (BPF_CORE_READ(socket, sk, __sk_common.skc_family) != AF_UNIX)
			call->kind = CALL_SOCKET;
	} else if (result < 0) {
		call->kind = CALL_SOCKET;
	}
	return 0;
}

/* Such a socket's path, which need not end with a NUL, or its name behind one. */
static __always_inline void add_socket_path(struct draft *d)
{
	const char *said = (const char *)d->arguments[1] + sizeof(__u16);
	__u32 room = d->arguments[2] - sizeof(__u16);
	char first = 0;

	if (family_said(d->arguments[1]) != AF_UNIX) {
		d->head.flags |= TRACE_UNREAD;
		return;
	}
	/* One without a name. */
	if ((__u32)d->arguments[2] <= sizeof(__u16))
		return;
	bpf_probe_read_user(&first, 1, said);
	if (!first) {
		d->file.lengths[TRACE_NEW_PATH] = add_user_bytes(d, said + 1, room - 1);
		return;
	}
	add_said(d, TRACE_BASE, AT_FDCWD, said);
	if (d->file.lengths[TRACE_PATH] > room) {
		d->used -= d->file.lengths[TRACE_PATH] - room;
		d->file.lengths[TRACE_PATH] = room;
	}
}

static __always_inline __u32 open_flags_of(const struct draft *d, __u32 kind)
{
	__u64 how = 0;

	switch (kind) {
	case CALL_OPEN:
		return d->arguments[1];
	case CALL_CREAT:
		return O_CREAT_FLAGS;
	case CALL_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (const void *)d->arguments[2]);
		return how;
	default:
		return d->arguments[2];
	}
}

/* An argument, counted from 1. */
static __always_inline __u64 argument(const struct draft *d, __u32 which)
{
	return d->arguments[(which - 1) & (DRAFT_ARGUMENTS - 1)];
}

static __always_inline void add_argument_path(struct draft *d, __u32 which, __u32 folder,
					      __u32 path)
{
	const void *said = (const void *)argument(d, path);

	/* What is mounted may come from nowhere. */
	if (path && said)
		add_said(d, which, folder ? (int)argument(d, folder) : AT_FDCWD, said);
}

static __always_inline void write_paths(struct draft *d, __u32 kind, long result)
{
	const volatile struct call_shape *shape = &call_shapes[kind & (SHAPES - 1)];

	if (d->head.type == TRACE_OPEN && result >= 0)
		add_opened(d, result);
	else if (shape->file)
		add_opened(d, argument(d, shape->file));
	else if (kind == CALL_CONNECT || kind == CALL_BIND)
		add_socket_path(d);
	else if (!shape->path)
		d->head.flags |= TRACE_UNREAD;
	else
		add_argument_path(d, TRACE_BASE, shape->folder, shape->path);
	add_argument_path(d, TRACE_NEW_BASE, shape->new_folder, shape->new_path);
	if (shape->text)
		d->file.lengths[TRACE_NEW_PATH] =
			add_user_string(d, (const void *)argument(d, shape->text));
}

static __always_inline void write_file_event(struct draft *d,
					     const struct trace_group *group,
					     const struct call *call, long result)
{
	const volatile struct call_shape *shape = &call_shapes[call->kind & (SHAPES - 1)];

	fill_head(&d->head, group, shape->type);
	__builtin_memcpy(d->arguments, call->arguments, sizeof(call->arguments));
	if (call->is_socketcall)
		socket_arguments(call, d->arguments);
	d->file.call = call->number;
	d->file.arch = call->arch;
	d->file.result = result < 0 ? result : 0;
	d->file.open_flags = 0;
	d->file.mode = 0;
	d->file.change = shape->change;
	__builtin_memset(d->file.lengths, 0, sizeof(d->file.lengths));
	if (shape->type == TRACE_OPEN)
		d->file.open_flags = open_flags_of(d, call->kind);
	if (shape->mode)
		d->file.mode = argument(d, shape->mode);
	if (shape->owner) {
		d->file.owner = argument(d, shape->owner);
		d->file.owner_group = argument(d, shape->owner + 1);
	}
	write_paths(d, call->kind, result);
}

static __always_inline __u32 draft_size(const struct draft *d)
{
	return sizeof(struct trace_file) + (d->used & (TEXTS * TRACE_TEXT_MAX - 1));
}

static __noinline int tell_file(const struct trace_group *group, const struct call *call,
				long result)
{
	__u32 type = call_shapes[call->kind & (SHAPES - 1)].type;
	struct trace_stats *s = stats_of(group);
	struct draft *d;

	if (!s || type >= TRACE_TYPES)
		return 0;
	__sync_fetch_and_add(&s->seen[type], 1);
	d = take_draft();
	if (!d) {
		__sync_fetch_and_add(&s->lost[type], 1);
		return 0;
	}
	write_file_event(d, group, call, result);
	send(group, s, &d->head, type, draft_size(d));
	release_draft(d);
	return 0;
}

#endif
