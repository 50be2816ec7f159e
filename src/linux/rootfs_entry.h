/* SPDX-License-Identifier: Apache-2.0 */
/* One entry of `mounts`: its source and its mount. Internal to rootfs.c and the files beside it. */
#ifndef PURPLE_LINUX_ROOTFS_ENTRY_H
#define PURPLE_LINUX_ROOTFS_ENTRY_H

#include "linux/rootfs.h"

/* What holds for any entry before anything is opened: destination, type, source. Pure. */
int rootfs_entry_check(const struct oci_mount *m, const struct mount_options *o,
		       struct err *e);

/*
 * Opens the source of a bind and gives the detached tree its attributes. -EPERM in e->code from
 * open_tree(2) means that the caller has no privileges over its mount namespace.
 */
int rootfs_entry_open(const struct oci_spec *s, const struct oci_mount *m,
		      struct rootfs_mount *rm, struct err *e);

/* Mounts entry i. Runs in init. */
int rootfs_entry_mount(struct rootfs *r, const struct oci_spec *s, size_t i,
		       const struct rootfs_cgroup_view *cg, struct err *e);

/* A mount of type cgroup or cgroup2 at target_fd. Runs in init. */
int rootfs_cgroup_mount(const struct oci_spec *s, const struct oci_mount *m,
			const struct rootfs_mount *rm,
			const struct rootfs_cgroup_view *cg, int target_fd, struct err *e);

/* linux.maskedPaths and linux.readonlyPaths under r->root_fd. Runs in init, before pivot_root. */
int rootfs_mask(struct rootfs *r, const struct oci_spec *s, struct err *e);

#endif
