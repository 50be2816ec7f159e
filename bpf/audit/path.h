/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Events with texts, and paths of files as the current process sees them: from the file up to the
 * root of the process. No lock is held: who renames folders meanwhile gets a path of before, of
 * after, or a mixture. Part of audit.bpf.c.
 */
#ifndef PURPLE_BPF_AUDIT_PATH_H
#define PURPLE_BPF_AUDIT_PATH_H

#include "audit/send.h"

#define TEXTS 4
#define STEPS_MAX 512 /* folders and mounts up to the root */
#define NAME_ROOM 256
#define DRAFT_ARGUMENTS 8

/* An event with texts is put together here, by one program at a time: `busy`. */
struct draft {
	__u32 busy;
	__u32 used; /* of `text` */
	union {
		struct trace_head head;
		struct trace_exec exec;
		struct trace_file file;
	};
	char text[TEXTS * TRACE_TEXT_MAX + TRACE_TEXT_MAX];
	__u64 arguments[DRAFT_ARGUMENTS]; /* of the call; the last ones are none */
	/* A path, from its end on; the last part is room for what the verifier thinks possible. */
	char path[TRACE_TEXT_MAX + NAME_ROOM];
};
_Static_assert(sizeof(struct trace_exec) == sizeof(struct trace_file),
	       "texts follow either at once");
_Static_assert(sizeof(struct draft) <= 32768, "the most that a map has for each processor");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

static __always_inline struct draft *get_draft(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drafts, &zero);
}

/* NULL: another one that was interrupted has it. */
static __always_inline struct draft *take_draft(void)
{
	struct draft *d = get_draft();

	if (!d || __sync_val_compare_and_swap(&d->busy, 0, 1) != 0)
		return NULL;
	d->used = 0;
	return d;
}

static __always_inline void release_draft(struct draft *d)
{
	__sync_lock_test_and_set(&d->busy, 0);
}

static __always_inline char *text_end(struct draft *d)
{
	return d->text + (d->used & (TEXTS * TRACE_TEXT_MAX - 1));
}

/* A string of the process's memory; its length. */
static __always_inline __u16 add_user_string(struct draft *d, const void *from)
{
	long n = bpf_probe_read_user_str(text_end(d), TRACE_TEXT_MAX, from);

	if (n <= 0) {
		d->head.flags |= TRACE_UNREAD;
		return 0;
	}
	n--;
	if (n == TRACE_TEXT_MAX - 1)
		d->head.flags |= TRACE_CUT;
	d->used += n;
	return n;
}

static __always_inline __u16 add_kernel_string(struct draft *d, const void *from)
{
	long n = bpf_probe_read_kernel_str(text_end(d), TRACE_TEXT_MAX, from);

	if (n <= 0)
		return 0;
	n--;
	if (n == TRACE_TEXT_MAX - 1)
		d->head.flags |= TRACE_CUT;
	d->used += n;
	return n;
}

/* Memory of the process as it is. */
static __always_inline __u16 add_user_bytes(struct draft *d, const void *from, __u64 size)
{
	__u32 n = size;

	if (size > TRACE_TEXT_MAX - 1) {
		d->head.flags |= TRACE_CUT;
		n = TRACE_TEXT_MAX - 1;
	}
	n &= TRACE_TEXT_MAX - 1;
	if (bpf_probe_read_user(text_end(d), n, from) < 0) {
		d->head.flags |= TRACE_UNREAD;
		return 0;
	}
	d->used += n;
	return n;
}

struct walk {
	struct dentry *dentry, *root_dentry;
	struct vfsmount *mount, *root_mount;
	struct dentry *mount_root; /* of `mount` */
	__u32 at;		   /* where the path begins in draft.path, so far */
	__u32 flags;
};

static __always_inline void enter_mount(struct walk *w, struct vfsmount *mount)
{
	w->mount = mount;
	w->mount_root = BPF_CORE_READ(mount, mnt_root);
}

/* From the root of a mount to where it is mounted; false: nowhere. */
static __always_inline bool leave_mount(struct walk *w)
{
	struct vfsmount *at = w->mount;
	struct mount *mount = (void *)at - bpf_core_field_offset(struct mount, mnt);
	struct mount *parent = BPF_CORE_READ(mount, mnt_parent);

	if (!parent || parent == mount)
		return false;
	w->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
	enter_mount(w, (void *)parent + bpf_core_field_offset(struct mount, mnt));
	return true;
}

static __always_inline bool add_name(struct walk *w, struct dentry *dentry, bool slash)
{
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	__u32 n = BPF_CORE_READ(dentry, d_name.len) & (NAME_ROOM - 1), at = w->at;
	struct draft *d = get_draft();

	if (!d || n + 1 > at) {
		w->flags |= TRACE_CUT;
		return false;
	}
	at -= n;
	bpf_probe_read_kernel(&d->path[at & (TRACE_TEXT_MAX - 1)], n, name);
	if (slash) {
		at--;
		d->path[at & (TRACE_TEXT_MAX - 1)] = '/';
	}
	w->at = at;
	return true;
}

/* One name or one mount. 1: the end. */
static long step(__u32 index, struct walk *w)
{
	struct dentry *dentry = w->dentry, *parent;

	if (dentry == w->root_dentry && w->mount == w->root_mount)
		return 1;
	if (dentry == w->mount_root) {
		if (leave_mount(w))
			return 0;
		w->flags |= TRACE_OUTSIDE;
		return 1;
	}
	parent = BPF_CORE_READ(dentry, d_parent);
	/* What has a name and no folder, as memfd. */
	if (!parent || parent == dentry) {
		w->flags |= TRACE_OUTSIDE;
		add_name(w, dentry, false);
		return 1;
	}
	if (!add_name(w, dentry, true))
		return 1;
	w->dentry = parent;
	if (index == STEPS_MAX - 1)
		w->flags |= TRACE_CUT;
	return 0;
}

/* Adds the path as a text; its length. */
static __always_inline __u16 add_path(struct draft *d, struct vfsmount *mount,
				      struct dentry *dentry)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct fs_struct *fs = task->fs;
	struct walk w = { .dentry = dentry, .at = TRACE_TEXT_MAX - 1 };
	__u32 n;

	if (!fs || !dentry) {
		d->head.flags |= TRACE_UNREAD;
		return 0;
	}
	w.root_dentry = fs->root.dentry;
	w.root_mount = fs->root.mnt;
	enter_mount(&w, mount);
	bpf_loop(STEPS_MAX, step, &w, 0);
	d->head.flags |= w.flags;
	n = (TRACE_TEXT_MAX - 1 - w.at) & (TRACE_TEXT_MAX - 1);
	/* The root itself. */
	if (n == 0) {
		n = 1;
		w.at = TRACE_TEXT_MAX - 2;
		d->path[TRACE_TEXT_MAX - 2] = '/';
	}
	bpf_probe_read_kernel(text_end(d), n, &d->path[w.at & (TRACE_TEXT_MAX - 1)]);
	d->used += n;
	return n;
}

#endif
