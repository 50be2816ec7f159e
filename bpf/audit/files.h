/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Opened, removed and renamed files. Part of audit.bpf.c. */
#ifndef PURPLE_BPF_AUDIT_FILES_H
#define PURPLE_BPF_AUDIT_FILES_H

#include "audit/calls.h"
#include "audit/path.h"

/* Not in UAPI headers, or in those of one kind alone. */
#define AT_FDCWD -100
#define O_CREAT 0100
#define O_CREAT_FLAGS 01101 /* of creat(): O_CREAT | O_WRONLY | O_TRUNC */
#define FMODE_CREATED (1u << 20)

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
static __always_inline __u16 add_opened(struct draft *d, int fd)
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
	if (BPF_CORE_READ(file, f_mode) & FMODE_CREATED)
		d->head.flags |= TRACE_CREATED;
	if (dentry && !BPF_CORE_READ(dentry, d_hash.pprev) &&
	    BPF_CORE_READ(dentry, d_parent) != dentry)
		d->head.flags |= TRACE_DELETED;
	d->head.flags |= TRACE_RESOLVED;
	d->file.mode = BPF_CORE_READ(file, f_inode, i_mode);
	return add_path(d, path.mnt, dentry);
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

static __always_inline int folder_of(const struct call *call)
{
	switch (call->kind) {
	case CALL_OPENAT:
	case CALL_OPENAT2:
	case CALL_REMOVE_AT:
	case CALL_RENAME_AT:
		return call->arguments[0];
	default:
		return AT_FDCWD;
	}
}

static __always_inline const void *path_of(const struct call *call)
{
	switch (call->kind) {
	case CALL_OPENAT:
	case CALL_OPENAT2:
	case CALL_REMOVE_AT:
	case CALL_RENAME_AT:
		return (const void *)call->arguments[1];
	default:
		return (const void *)call->arguments[0];
	}
}

static __always_inline __u32 open_flags_of(const struct call *call)
{
	__u64 how = 0;

	switch (call->kind) {
	case CALL_OPEN:
		return call->arguments[1];
	case CALL_CREAT:
		return O_CREAT_FLAGS;
	case CALL_OPENAT2:
		bpf_probe_read_user(&how, sizeof(how), (const void *)call->arguments[2]);
		return how;
	default:
		return call->arguments[2];
	}
}

static __always_inline void add_new_path(struct draft *d, const struct call *call)
{
	if (call->kind == CALL_RENAME)
		add_said(d, TRACE_NEW_BASE, AT_FDCWD, (const void *)call->arguments[1]);
	else
		add_said(d, TRACE_NEW_BASE, call->arguments[2],
			 (const void *)call->arguments[3]);
}

static __always_inline void write_file_event(struct draft *d,
					     const struct trace_group *group,
					     const struct call *call, long result,
					     enum trace_type type)
{
	fill_head(&d->head, group, type);
	d->file.call = call->number;
	d->file.arch = call->arch;
	d->file.result = result < 0 ? result : 0;
	d->file.open_flags = type == TRACE_OPEN ? open_flags_of(call) : 0;
	d->file.mode = 0;
	d->file.reserved = 0;
	__builtin_memset(d->file.lengths, 0, sizeof(d->file.lengths));
	if (type == TRACE_OPEN && result >= 0)
		d->file.lengths[TRACE_PATH] = add_opened(d, result);
	else if (call->kind == CALL_OPEN_HANDLE)
		d->head.flags |= TRACE_UNREAD;
	else
		add_said(d, TRACE_BASE, folder_of(call), path_of(call));
	if (type == TRACE_RENAME)
		add_new_path(d, call);
}

static __always_inline __u32 draft_size(const struct draft *d)
{
	return sizeof(struct trace_file) + (d->used & (TEXTS * TRACE_TEXT_MAX - 1));
}

static __noinline int tell_open(const struct trace_group *group, const struct call *call,
				long result)
{
	struct trace_stats *s = stats_of(group);
	struct draft *d;

	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_OPEN], 1);
	d = take_draft();
	if (!d) {
		__sync_fetch_and_add(&s->lost[TRACE_OPEN], 1);
		return 0;
	}
	write_file_event(d, group, call, result, TRACE_OPEN);
	send(group, s, &d->head, TRACE_OPEN, draft_size(d));
	release_draft(d);
	return 0;
}

static __noinline int tell_remove(const struct trace_group *group,
				  const struct call *call, long result)
{
	struct trace_stats *s = stats_of(group);
	struct draft *d;

	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_REMOVE], 1);
	d = take_draft();
	if (!d) {
		__sync_fetch_and_add(&s->lost[TRACE_REMOVE], 1);
		return 0;
	}
	write_file_event(d, group, call, result, TRACE_REMOVE);
	send(group, s, &d->head, TRACE_REMOVE, draft_size(d));
	release_draft(d);
	return 0;
}

static __noinline int tell_rename(const struct trace_group *group,
				  const struct call *call, long result)
{
	struct trace_stats *s = stats_of(group);
	struct draft *d;

	if (!s)
		return 0;
	__sync_fetch_and_add(&s->seen[TRACE_RENAME], 1);
	d = take_draft();
	if (!d) {
		__sync_fetch_and_add(&s->lost[TRACE_RENAME], 1);
		return 0;
	}
	write_file_event(d, group, call, result, TRACE_RENAME);
	send(group, s, &d->head, TRACE_RENAME, draft_size(d));
	release_draft(d);
	return 0;
}

static __always_inline void tell_file(const struct trace_group *group,
				      const struct call *call, long result)
{
	if (call->kind <= CALL_OPEN_HANDLE)
		tell_open(group, call, result);
	else if (call->kind <= CALL_REMOVE_AT)
		tell_remove(group, call, result);
	else
		tell_rename(group, call, result);
}

#endif
