/* SPDX-License-Identifier: Apache-2.0 */
/* Files and directories of the host: see fs.h. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/str.h"

int fs_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
	    struct err *e)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	r = fd_read_all(fd, max, ret, ret_len, e);
	return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

static bool is_nameless_pipe(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

int fs_read_document(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
		     struct err *e)
{
	_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot stat '%s'", path);
	if (!S_ISREG(st.st_mode) && !is_nameless_pipe(fd))
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is not a regular file", path);
	if (fcntl(fd, F_SETFL, 0) < 0)
		return err_sys(e, "cannot read '%s'", path);
	r = fd_read_all(fd, max, ret, ret_len, e);
	return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}

int fs_write_existing(int dirfd, const char *path, const char *data)
{
	_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(data);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do
		n = write(fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* For a file that is there: ext4 has the contents on the disk before it renames over one, which
 * takes far longer than the rest; not so when both change places. */
static int exchange(int dirfd, const char *tmp, const char *path)
{
	if (renameat2(dirfd, tmp, dirfd, path, RENAME_EXCHANGE) < 0)
		return -errno;
	unlinkat(dirfd, tmp, 0);
	return 0;
}

static int write_atomic(int dirfd, const char *path, const void *data, size_t len,
			mode_t mode, bool own, struct err *e)
{
	_free_ char *tmp = str_printf("%s.tmp.%d", path, (int)getpid());
	_close_ int fd = -1;
	struct stat st;
	int r;

	if (!tmp)
		return err_oom(e);
	/* Renaming over /dev/null would be the end of it. */
	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISLNK(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(e, ERR_KERNEL, EEXIST, "'%s' is not a regular file", path);
	/* One that a killed process with our pid left behind. */
	unlinkat(dirfd, tmp, 0);
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "cannot create '%s'", tmp);
	r = fd_write_all(fd, data, len);
	if (r == 0 && own && exchange(dirfd, tmp, path) == 0)
		return 0;
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	unlinkat(dirfd, tmp, 0);
	return err_errno(e, r, "cannot write '%s'", path);
}

int fs_write_atomic(int dirfd, const char *path, const void *data, size_t len,
		    mode_t mode, struct err *e)
{
	return write_atomic(dirfd, path, data, len, mode, false, e);
}

int fs_write_own(int dirfd, const char *path, const void *data, size_t len, mode_t mode,
		 struct err *e)
{
	return write_atomic(dirfd, path, data, len, mode, true, e);
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	_free_ char *copy = strdup(path);

	if (!copy)
		return err_oom(e);
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(e, "cannot make directory '%s'", copy);
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/* Opens the directory `name` of *dir, made if it is missing, in place of *dir. */
static int descend(int *dir, const char *name, mode_t mode)
{
	int fd;

	if (mkdirat(*dir, name, mode) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(*dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	fd_close(dir);
	*dir = fd;
	return 0;
}

int fs_mkdir_p_plain(const char *path, mode_t mode, struct err *e)
{
	_free_ char *copy = strdup(path);
	_close_ int dir = open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *name;
	int r = 0;

	if (!copy)
		return err_oom(e);
	if (dir < 0)
		return err_sys(e, "cannot open the directory that '%s' begins with", path);
	name = strtok_r(copy, "/", &save);
	for (; r == 0 && name; name = strtok_r(NULL, "/", &save)) {
		r = descend(&dir, name, mode);
		if (r < 0)
			return err_errno(e, r,
					 "cannot make directory '%s', at '%s' (a symbolic "
					 "link is not followed here)",
					 path, name);
	}
	return 0;
}

/* Removes what is below fd; takes fd over. Directories on another device are not entered. */
static int remove_below(int fd, dev_t dev, struct err *e)
{
	_closedir_ DIR *dir = fdopendir(fd);
	struct dirent *d;

	if (!dir) {
		close(fd);
		return err_sys(e, "cannot read directory");
	}
	while ((errno = 0, d = readdir(dir))) {
		struct stat st;
		int sub, r;

		if (streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (unlinkat(dirfd(dir), d->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return err_sys(e, "cannot remove '%s'", d->d_name);
		sub = openat(dirfd(dir), d->d_name,
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0)
			return err_sys(e, "cannot open '%s'", d->d_name);
		if (fstat(sub, &st) < 0 || st.st_dev != dev) {
			close(sub);
			return err_set(e, ERR_KERNEL, EBUSY, "'%s' is a mount point",
				       d->d_name);
		}
		r = remove_below(sub, dev, e);
		if (r < 0)
			return err_wrap(e, "'%s'", d->d_name);
		if (unlinkat(dirfd(dir), d->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			return err_sys(e, "cannot remove directory '%s'", d->d_name);
	}
	return errno ? err_sys(e, "cannot read directory") : 0;
}

int fs_remove_tree(int dirfd, const char *path, struct err *e)
{
	struct stat st;
	int fd, r;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (fstat(fd, &st) < 0) {
		close(fd);
		return err_sys(e, "cannot stat '%s'", path);
	}
	r = remove_below(fd, st.st_dev, e);
	if (r < 0)
		return err_wrap(e, "cannot remove '%s'", path);
	if (unlinkat(dirfd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, "cannot remove '%s'", path);
	return 0;
}

int fs_readlink(int dirfd, const char *path, char **ret)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, path, target, sizeof(target) - 1);
	char *copy;

	if (n < 0)
		return -errno;
	target[n] = '\0';
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

int fs_realpath(const char *path, char **ret, struct err *e)
{
	char *p = realpath(path, NULL);

	if (!p)
		return err_sys(e, "cannot resolve '%s'", path);
	*ret = p;
	return 0;
}

char *fs_join(const char *a, const char *b)
{
	size_t la = strlen(a);

	while (la > 0 && a[la - 1] == '/')
		la--;
	while (*b == '/')
		b++;
	return str_printf("%.*s/%s", (int)la, a, b);
}

char *fs_from(const char *dir, const char *path)
{
	return path[0] == '/' ? strdup(path) : fs_join(dir, path);
}

char *fs_clean_path(const char *path)
{
	size_t out = 0, len = strlen(path);
	char *clean = malloc(len + 2);

	if (!clean)
		return NULL;
	for (const char *p = path; *p;) {
		size_t n;

		while (*p == '/')
			p++;
		n = strcspn(p, "/");
		if (n == 0 || (n == 1 && p[0] == '.')) {
			/* nothing to add */
		} else if (n == 2 && p[0] == '.' && p[1] == '.') {
			while (out > 0 && clean[--out] != '/')
				;
		} else {
			clean[out++] = '/';
			memcpy(clean + out, p, n);
			out += n;
		}
		p += n;
	}
	if (out == 0)
		clean[out++] = '/';
	clean[out] = '\0';
	return clean;
}
