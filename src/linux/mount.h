/* SPDX-License-Identifier: Apache-2.0 */
/* The fd-based mount calls of Linux 5.15, with the kernel's own words in the errors. */
#ifndef PURPLE_LINUX_MOUNT_H
#define PURPLE_LINUX_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "linux/mount_options.h"

/* A detached copy of the mount that `fd` is on, from that file or directory down, with the mounts
 * below it when `recursive`. Returns the descriptor or -errno. */
int mount_clone(int fd, bool recursive);

/* Attaches a detached mount (or moves an attached one). 0 or -errno. */
int mount_attach(int tree_fd, int target_fd);

/* mount_setattr(2). 0 or -errno. */
int mount_set_attrs(int fd, const struct mount_attrs *a, bool recursive);
int mount_set_propagation(int fd, uint64_t type, bool recursive);

/* First the attributes of the tree, then those of the mount itself. */
int mount_apply_options(int fd, const struct mount_options *o);

/* Top and recursive attributes in one, for a mount that has nothing below it. */
struct mount_attrs mount_flat_attrs(const struct mount_options *o);

struct mount_new {
	const char *type;
	const char *source;	  /* NULL: the type */
	const struct strv *flags; /* parameters without a value; may be NULL */
	const struct strv *data;  /* "key=value" or "key"; may be NULL */
	const char *label;	  /* SELinux context, or NULL */
	uint64_t attrs;		  /* MOUNT_ATTR_* */
};

/* A new mount of a file system, detached. Returns the descriptor. */
int mount_new(const struct mount_new *n, struct err *e);

/* Changes parameters of the file system that `fd` is the mount of. */
int mount_reconfigure(int fd, const struct strv *flags, const struct strv *data,
		      struct err *e);

#endif
