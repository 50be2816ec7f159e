/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside a container's root, which the container controls: opened by descriptor, resolved by
 * the kernel with that root as "/", never looked up twice by name. */
#ifndef PURPLE_LINUX_PATHS_H
#define PURPLE_LINUX_PATHS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Opens `path` with root_fd as its root: `..` and absolute symbolic links cannot leave it, magic
 * links of procfs are refused. `flags` of open(2); O_CLOEXEC is added. Returns the descriptor or
 * -errno. -ENOENT and the like are told in e too.
 */
int rootfs_open(int root_fd, const char *path, int flags, struct err *e);

/* As rootfs_open() with further RESOLVE_* flags and a mode for O_CREAT; returns the descriptor or
 * -errno and has no message. */
int rootfs_openat2(int root_fd, const char *path, uint64_t flags, mode_t mode,
		   uint64_t resolve);

/*
 * The directory `path` under root_fd, made with its parents (0755) where missing, as an O_PATH
 * descriptor. The target of a dangling symbolic link is made inside the root.
 */
int rootfs_mkdir_p(int root_fd, const char *path, struct err *e);

/* The file `path`, made empty (0644) with its parents where missing, as an O_PATH descriptor.
 * Whatever exists there already is returned as it is. */
int rootfs_make_file(int root_fd, const char *path, struct err *e);

/*
 * The directory that holds the last component of `path` (made where missing, as an O_PATH
 * descriptor), and that component, a pointer into `path`. A path that ends in "..", or has no
 * component, is an error.
 */
int rootfs_open_parent(int root_fd, const char *path, const char **ret_name, struct err *e);

/* The id of the mount that `fd` is in: that of /proc/self/mountinfo. */
int rootfs_mount_id(int fd, uint64_t *ret, struct err *e);

#endif
