/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of procfs. Runs in init and in the runtime. A container may have put something else where
 * procfs is expected, or covered a part of it, to turn our write into one of its own choice: so
 * nothing here goes by the path /proc where the kernel offers better, and each file is opened
 * without leaving the verified mount.
 */
#include "linux/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fd.h"

#define PROC_ROOT_INO 1

/* A new instance, attached nowhere. */
static int open_detached(void)
{
	_close_ int ctx = -1;
	int fd;

	ctx = fsopen("proc", FSOPEN_CLOEXEC);
	if (ctx < 0)
		return -errno;
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = fsmount(ctx, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? -errno : fd;
}

static int check_root(int fd)
{
	struct statfs sfs;
	struct stat st;

	if (fstatfs(fd, &sfs) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return sfs.f_type == PROC_SUPER_MAGIC && st.st_ino == PROC_ROOT_INO ? 0 : -ENOTSUP;
}

int proc_open(struct err *e)
{
	_close_ int fd = -1;
	int r;

	fd = open_detached();
	if (fd < 0) {
		fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "cannot open /proc");
	}
	r = check_root(fd);
	if (r == -ENOTSUP)
		return err_set(e, ERR_KERNEL, ENOTSUP,
			       "what is mounted at /proc is not procfs");
	if (r < 0)
		return err_errno(e, r, "cannot examine /proc");
	return take_fd(&fd);
}

int proc_open_file(int proc_fd, const char *path, int flags, struct err *e)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
	};
	int fd = -1;

	do {
		fd = syscall(SYS_openat2, proc_fd, path, &how, sizeof(how));
	} while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd < 0 && errno == EXDEV)
		return err_set(e, ERR_KERNEL, EXDEV,
			       "cannot open /proc/%s: another mount covers it", path);
	if (fd < 0)
		return err_sys(e, "cannot open /proc/%s", path);
	return fd;
}

int proc_write(int proc_fd, const char *path, const char *value, struct err *e)
{
	_close_ int fd = -1;
	size_t len = strlen(value);
	ssize_t n;

	fd = proc_open_file(proc_fd, path, O_WRONLY, e);
	if (fd < 0)
		return fd;
	n = write(fd, value, len);
	if (n < 0)
		return err_sys(e, "cannot write '%s' to /proc/%s", value, path);
	if ((size_t)n != len)
		return err_errno(e, EIO, "cannot write '%s' to /proc/%s", value, path);
	return 0;
}
