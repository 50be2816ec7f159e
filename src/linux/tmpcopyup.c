/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmpcopyup: directories, files, links, fifos, sockets and devices with their modes, owners, times
 * and extended attributes. Runs in init, before the tmpfs is attached. Everything goes by
 * descriptor of the directory and one name, without following links: the source is the image's.
 */
#include "linux/tmpcopyup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"

#define DEPTH_MAX 256
#define XATTR_LIST_MAX_BYTES 65536
#define COPY_CHUNK (1 << 20)

static int copy_dir(int from, int to, uint64_t mnt, unsigned int depth, struct err *e);

/* One attribute. A file system that cannot hold it (user.* on an old tmpfs) does without, and so
 * does a user namespace that may not write it. */
static int copy_xattr(int from, int to, const char *name, struct err *e)
{
	_free_ char *value = NULL;
	ssize_t n = fgetxattr(from, name, NULL, 0);

	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP ?
			       0 :
			       err_sys(e, "cannot read attribute '%s'", name);
	value = malloc(n + 1);
	if (!value)
		return err_oom(e);
	n = fgetxattr(from, name, value, n);
	if (n < 0 || fsetxattr(to, name, value, n, 0) < 0) {
		if (errno == ENODATA || errno == ENOTSUP || errno == EPERM)
			return 0;
		return err_sys(e, "cannot copy attribute '%s'", name);
	}
	return 0;
}

static int copy_xattrs(int from, int to, struct err *e)
{
	_free_ char *names = NULL;
	ssize_t n = flistxattr(from, NULL, 0);
	int r = 0;

	if (n < 0)
		return errno == ENOTSUP ? 0 : err_sys(e, "cannot list attributes");
	if (n == 0)
		return 0;
	names = malloc(XATTR_LIST_MAX_BYTES);
	if (!names)
		return err_oom(e);
	n = flistxattr(from, names, XATTR_LIST_MAX_BYTES);
	if (n < 0)
		return err_sys(e, "cannot list attributes");
	for (char *p = names; r == 0 && p < names + n; p += strlen(p) + 1)
		r = copy_xattr(from, to, p, e);
	return r;
}

/* Owner before mode and attributes: a change of owner drops set-user-id bits and capabilities. */
static int copy_metadata(int from, int to, const struct stat *st, struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return err_sys(e, "cannot set owner %u:%u", st->st_uid, st->st_gid);
	r = copy_xattrs(from, to, e);
	if (r < 0)
		return r;
	if (fchmod(to, st->st_mode & 07777) < 0)
		return err_sys(e, "cannot set mode");
	return futimens(to, times) < 0 ? err_sys(e, "cannot set times") : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, struct err *e)
{
	_close_ int from = -1, to = -1;
	struct stat st;
	ssize_t n;

	/* Opening must not hang or have effects if it is no longer a file. */
	from = openat(from_dir, name,
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(e, "cannot open");
	if (!S_ISREG(st.st_mode))
		return err_errno(e, EAGAIN, "changes while it is copied");
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (to < 0)
		return err_sys(e, "cannot create");
	while ((n = sendfile(to, from, NULL, COPY_CHUNK)) != 0) {
		if (n < 0 && errno != EINTR)
			return err_sys(e, "cannot copy");
	}
	return copy_metadata(from, to, &st, e);
}

static int copy_link(int from_dir, int to_dir, const char *name, struct err *e)
{
	_free_ char *target = NULL;
	int r = fs_readlink(from_dir, name, &target);

	if (r < 0)
		return err_errno(e, r, "cannot read the link");
	return symlinkat(target, to_dir, name) < 0 ? err_sys(e, "cannot create") : 0;
}

static int copy_subdir(int from_dir, int to_dir, const char *name, uint64_t mnt,
		       unsigned int depth, struct err *e)
{
	_close_ int from = -1, to = -1;
	struct stat st;

	from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (from < 0 || fstat(from, &st) < 0)
		return err_sys(e, "cannot open");
	if (mkdirat(to_dir, name, 0700) < 0)
		return err_sys(e, "cannot create");
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return err_sys(e, "cannot open the copy");
	return copy_dir(from, to, mnt, depth + 1, e);
}

/* Fifos, sockets, devices, and for links what can be set on one. */
static int copy_special_metadata(int to_dir, const char *name, const struct stat *st,
				 struct err *e)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot set owner %u:%u", st->st_uid, st->st_gid);
	/* The tmpfs is not attached: the name is still what was made a moment ago. */
	if (!S_ISLNK(st->st_mode) && fchmodat(to_dir, name, st->st_mode & 07777, 0) < 0)
		return err_sys(e, "cannot set mode");
	if (utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot set times");
	return 0;
}

static int copy_entry(int from, int to, const char *name, uint64_t mnt,
		      unsigned int depth, struct err *e)
{
	struct statx stx;
	struct stat st;
	int r = 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    statx(from, name, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &stx) < 0)
		return errno == ENOENT ? 0 : err_sys(e, "cannot examine");
	if (stx.stx_mnt_id != mnt)
		return 0;
	if (S_ISDIR(st.st_mode))
		return copy_subdir(from, to, name, mnt, depth, e);
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, e);
	if (S_ISLNK(st.st_mode))
		r = copy_link(from, to, name, e);
	else if (mknodat(to, name, st.st_mode & (S_IFMT | 0700), st.st_rdev) < 0)
		r = err_sys(e, "cannot create");
	return r < 0 ? r : copy_special_metadata(to, name, &st, e);
}

/* Content first: writing into a directory would change its times, and its mode may forbid it. */
static int copy_dir(int from, int to, uint64_t mnt, unsigned int depth, struct err *e)
{
	_closedir_ DIR *d = NULL;
	_close_ int again = -1;
	struct dirent *de;
	struct stat st;
	int r;

	if (depth > DEPTH_MAX)
		return err_errno(e, ELOOP, "directories are nested too deeply");
	again = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (again < 0 || fstat(again, &st) < 0)
		return err_sys(e, "cannot open");
	d = fdopendir(again);
	if (!d)
		return err_sys(e, "cannot read");
	take_fd(&again);
	while ((errno = 0, de = readdir(d))) {
		if (streq(de->d_name, ".") || streq(de->d_name, ".."))
			continue;
		r = copy_entry(from, to, de->d_name, mnt, depth, e);
		if (r < 0)
			return err_wrap(e, "%s", de->d_name);
	}
	if (errno)
		return err_sys(e, "cannot read");
	return copy_metadata(dirfd(d), to, &st, e);
}

int tmpcopyup_copy(int from_fd, int to_fd, struct err *e)
{
	_close_ int from = -1, to = -1;
	struct statx stx;
	int r;

	from = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0 || to < 0 || statx(from, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, "tmpcopyup: cannot open the directory");
	r = copy_dir(from, to, stx.stx_mnt_id, 0, e);
	return r < 0 ? err_wrap(e, "tmpcopyup") : 0;
}
