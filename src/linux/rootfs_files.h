/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of Purple's own in a container: a directory of the host that it sees at one place,
 * read-only, and files of that directory over files of the image. What they cover can be copied into
 * them first; and what the runtime knows only later it can write into them when the container sees
 * them already.
 */
#ifndef PURPLE_LINUX_ROOTFS_FILES_H
#define PURPLE_LINUX_ROOTFS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "linux/rootfs.h"

enum rootfs_cover_when {
	ROOTFS_COVER_EXISTING, /* a regular file stands there that everybody may read */
	ROOTFS_COVER_ALWAYS, /* the file is made where nothing is; a directory is an error */
	/* Nothing stands there, and the file can be made; or an empty one does, which the last
	 * container over this root has left. */
	ROOTFS_COVER_ABSENT,
};

struct rootfs_cover {
	const char *file;  /* in the directory */
	const char *place; /* absolute, in the container */
	enum rootfs_cover_when when;
	/* Where the bytes of what is covered go, at the end; of several covers with the same one, the
	 * first that finds something. -1: nowhere. */
	int copy_fd;
};

/* What is copied of a file of the image is at most so long. */
#define ROOTFS_COPY_MAX ((size_t)16 << 20)

struct rootfs_files {
	int tree_fd; /* rootfs_files_open(); -1: there is nothing of all this */
	const char *place;
	struct rootfs_cover *covers;
	size_t n;
};

/*
 * The directory `fd` as a detached, read-only mount, nosuid, nodev and noexec, of which nothing
 * comes back to the host. Runs in the runtime, with CAP_SYS_ADMIN over its mount namespace. Returns
 * the descriptor.
 */
int rootfs_files_open(int fd, struct err *e);

/*
 * Copies, and mounts. Runs in init, after all other mounts and the hooks that may change them,
 * before rootfs_enter(). The image's bytes are not looked at.
 */
int rootfs_files_mount(const struct rootfs *r, struct rootfs_files *o, struct err *e);

#endif
