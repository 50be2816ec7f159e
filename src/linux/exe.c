/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See exe.h. A container's process can make the runtime execute in its namespaces (a program that
 * is a script with the interpreter /proc/self/exe), keep a descriptor on it, and write to it when
 * the runtime is gone. Neither a read-only mount nor a sealed memory file can be opened for
 * writing by any path, so the process that enters a container always runs from one of the two.
 * Runs in the runtime, before anything else, with the caller's privileges.
 */
#include "linux/exe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static bool is_protected(int fd)
{
	struct statvfs st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals >= 0 && (seals & SEALS) == SEALS)
		return true;
	return fstatvfs(fd, &st) == 0 && (st.f_flag & ST_RDONLY);
}

/* A descriptor to the same file behind a detached read-only mount, or -errno. */
static int open_read_only_mount(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY,
				   .propagation = MS_PRIVATE };
	_close_ int fd = -1;

	fd = open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return take_fd(&fd);
}

static int open_sealed_copy(int exe)
{
	_close_ int fd = memfd_create("purple-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	off_t left;
	struct stat st;

	if (fd < 0 || fstat(exe, &st) < 0)
		return -errno;
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(fd, exe, NULL, (size_t)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		left -= n;
	}
	if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	return take_fd(&fd);
}

int exe_protect(char *const argv[], struct err *e)
{
	_close_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), fd = -1;

	if (exe < 0)
		return err_sys(e, "cannot open /proc/self/exe");
	if (is_protected(exe))
		return 0;
	fd = open_read_only_mount();
	if (fd < 0)
		fd = open_sealed_copy(exe);
	if (fd < 0)
		return err_errno(e, fd, "cannot make a protected copy of the runtime");
	if (!is_protected(fd))
		return err_set(e, ERR_INTERNAL, EIO,
			       "the copy of the runtime is not protected");
	fexecve(fd, argv, environ);
	return err_sys(e, "cannot execute the protected copy of the runtime");
}
