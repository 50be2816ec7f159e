/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a container: sources opened by the runtime, mounts made by init, then
 * pivot_root and masks. rootfs.c opens with the theory of operation.
 */
#ifndef PURPLE_LINUX_ROOTFS_H
#define PURPLE_LINUX_ROOTFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "linux/mount_options.h"
#include "oci/spec.h"

/* One entry of `mounts`, parsed, with what the parent opened for it. */
struct rootfs_mount {
	struct mount_options o;
	int tree_fd; /* the detached tree of a bind source; -1: init opens `source` by path */
	char *source;	/* absolute host path of a bind source */
	int idmap_fd;	/* the user namespace of an id-mapped mount, or -1 */
	bool is_dir;	/* of a bind source */
	bool late_ro;	/* a bind mount that turns read-only at the end */
	bool is_procfs; /* the bind source is the root of a procfs */
};

/* What the parent (runtime, host namespaces, full privileges) prepares before clone():
 * descriptors that the child inherits. */
struct rootfs {
	bool prepared; /* rootfs_prepare() filled this in: what rootfs_clear() may close */
	char *path;    /* root.path, absolute, on the host */
	int root_fd; /* the root's own mount: detached until rootfs_mount() attaches it */
	int proc_fd; /* a procfs that nobody can cover, for sysctl_apply() and proc_write() */
	bool has_userns;
	bool is_over_root; /* attached over "/", since init has no way to root.path */
	bool dev_is_bind; /* the host's /dev or a volume stands at /dev: nothing is made there */
	LIST_OF(struct rootfs_mount) mounts; /* one for each of spec->mounts, in order */
	LIST_OF(uint64_t) own; /* ids of mounts in which devices may be made: see dev.h */
	LIST_OF(int) late_ro; /* mounts that turn read-only at the end of rootfs_enter() */
};

enum rootfs_cgroup_mode {
	ROOTFS_CGROUP_NONE,   /* the container has no group of its own */
	ROOTFS_CGROUP_V2,     /* unified only */
	ROOTFS_CGROUP_HYBRID, /* v1 controllers, and a unified hierarchy beside them */
	ROOTFS_CGROUP_V1,
};

/* What a mount of type cgroup shows: filled by container/, owned by it. */
struct rootfs_cgroup_view {
	enum rootfs_cgroup_mode mode;
	const char *unified; /* absolute host directory of the container's v2 group, or NULL */
	/*
	 * v1: "memory", "cpu", "cpuacct" (or "cpu,cpuacct"), "name=systemd" -> absolute host
	 * directory of the container's group in that hierarchy.
	 */
	struct strmap v1;
	bool new_cgroupns; /* init is in a cgroup namespace of its own, rooted at these groups */
	bool denied; /* NONE since the caller may make no group: it may change none either */
};

/*
 * Pure checks of root, mounts, devices, masked and read-only paths and propagation: options that
 * do not exist or contradict each other, destinations that are refused. Needs no privileges.
 */
int rootfs_check(const struct oci_spec *s, struct err *e);

/*
 * Opens the root and every bind source, as detached mount trees with all their attributes.
 * `bundle` is what relative paths are relative to. Runs in the runtime, before clone(). Should:
 * have CAP_SYS_ADMIN over its mount namespace; without it (an ordinary user) init opens the
 * sources by path. *ret is overwritten; rootfs_clear() frees it.
 */
int rootfs_prepare(const struct oci_spec *s, const char *bundle, struct rootfs *ret,
		   struct err *e);

/*
 * Makes all mounts, in the spec's order, then devices and links in /dev. Runs in init, in its new
 * mount (and user, pid, network, ipc, cgroup) namespaces, with CAP_SYS_ADMIN there, with
 * the host's tree still as its root. `cg` may be NULL when no mount has the type cgroup.
 */
int rootfs_mount(struct rootfs *r, const struct oci_spec *s,
		 const struct rootfs_cgroup_view *cg, struct err *e);

/* Notes that devices may be made in the mount that `fd` is in. Runs in init. */
int rootfs_add_own(struct rootfs *r, int fd, struct err *e);

/*
 * Masks, read-only paths, pivot_root (no_pivot: move and chroot), propagation of the new root,
 * read-only root. Runs in init, after the createContainer hooks. The current directory is `/`
 * afterwards.
 */
int rootfs_enter(struct rootfs *r, const struct oci_spec *s, bool no_pivot, struct err *e);

/* Closes and frees everything; a zeroed struct is fine. */
void rootfs_clear(struct rootfs *r);

/*
 * Binds the terminal on /dev/console. `pty_fd` is the slave side, of the container's own devpts.
 * Runs in init, after rootfs_enter(); also when /dev is read-only by then.
 */
int rootfs_bind_console(struct rootfs *r, int pty_fd, struct err *e);

#endif
