/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside a container's root. Runs in init, mostly, with CAP_SYS_ADMIN in its mount
 * namespace, while an attacker may control the tree (an image, a volume that another container
 * changes right now). Each lookup is one openat2(2) with RESOLVE_IN_ROOT, and what it found is
 * used by descriptor. Mustn't: put a path together and give it to a call that looks it up again.
 */
#include "linux/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"

/* Links followed while a missing directory is made: the kernel's own limit. */
#define LINKS_MAX 40
/* A rename elsewhere makes the kernel give up a scoped lookup with EAGAIN: tried again. */
#define RETRIES 128

int rootfs_openat2(int root_fd, const char *path, uint64_t flags, mode_t mode,
		   uint64_t resolve)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve,
	};
	int fd = -EAGAIN;

	for (int i = 0; i < RETRIES && (fd == -EAGAIN || fd == -EINTR); i++) {
		fd = syscall(SYS_openat2, root_fd, *path ? path : "/", &how, sizeof(how));
		if (fd < 0)
			fd = -errno;
	}
	return fd;
}

int rootfs_open(int root_fd, const char *path, int flags, struct err *e)
{
	int fd = rootfs_openat2(root_fd, path, flags, 0, 0);

	if (fd < 0)
		return err_errno(e, fd, "cannot open '%s' in the root file system", path);
	return fd;
}

static int mkdir_p(int root_fd, const char *path, unsigned int links, struct err *e);

/* `name` in the directory `prefix` is a symbolic link to nowhere: its target is made. */
static int mkdir_link_target(int root_fd, int dir_fd, const char *prefix,
			     const char *name, unsigned int links, struct err *e)
{
	_free_ char *target = NULL, *path = NULL;
	_close_ int fd = -1;
	int r;

	r = fs_readlink(dir_fd, name, &target);
	if (r < 0)
		return err_errno(e, r, "cannot make directory '%s%s'", prefix, name);
	if (links >= LINKS_MAX)
		return err_errno(e, ELOOP, "cannot make directory '%s%s'", prefix, name);
	path = target[0] == '/' ? strdup(target) : str_printf("%s%s", prefix, target);
	if (!path)
		return err_oom(e);
	fd = mkdir_p(root_fd, path, links + 1, e);
	return fd < 0 ? fd : 0;
}

/* Makes one component below an opened parent. Someone else may be faster: fine. */
static int make_component(int root_fd, int dir_fd, const char *prefix, const char *name,
			  unsigned int links, struct err *e)
{
	struct stat st;

	if (mkdirat(dir_fd, name, 0755) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(e, "cannot make directory '%s%s' in the root file system",
			       prefix, name);
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode))
		return 0;
	return mkdir_link_target(root_fd, dir_fd, prefix, name, links, e);
}

static int open_dir(int root_fd, const char *path)
{
	return rootfs_openat2(root_fd, path, O_PATH | O_DIRECTORY, 0, 0);
}

/* Goes down component by component; each prefix is resolved anew by the kernel from the root, so
 * links and `..` mean what they mean inside the container. */
static int mkdir_p(int root_fd, const char *path, unsigned int links, struct err *e)
{
	_free_ char *p = strdup(path);
	_close_ int cur = -1;
	size_t i = 0;
	int fd, r;

	if (!p)
		return err_oom(e);
	fd = open_dir(root_fd, path);
	if (fd != -ENOENT)
		goto out;
	cur = open_dir(root_fd, "/");
	while (cur >= 0 && p[i]) {
		_free_ char *prefix = NULL;
		char cut;
		size_t start;

		while (p[i] == '/')
			i++;
		start = i;
		i += strcspn(p + i, "/");
		if (i == start)
			break;
		cut = p[i];
		p[i] = '\0';
		fd = open_dir(root_fd, p);
		if (fd == -ENOENT) {
			prefix = strndup(p, start);
			if (!prefix)
				return err_oom(e);
			r = make_component(root_fd, cur, prefix, p + start, links, e);
			if (r < 0)
				return r;
			fd = open_dir(root_fd, p);
		}
		p[i] = cut;
		fd_close(&cur);
		cur = fd;
	}
	fd = take_fd(&cur);
out:
	if (fd < 0)
		return err_errno(e, fd, "cannot open directory '%s' in the root file system",
				 path);
	return fd;
}

int rootfs_mkdir_p(int root_fd, const char *path, struct err *e)
{
	return mkdir_p(root_fd, path, 0, e);
}

int rootfs_open_parent(int root_fd, const char *path, const char **ret_name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	_free_ char *dir = NULL;
	int fd;

	if (!*name || streq(name, ".") || streq(name, ".."))
		return err_set(e, ERR_CONFIG, EINVAL, "path '%s' does not name a file",
			       path);
	dir = strndup(path, name - path);
	if (!dir)
		return err_oom(e);
	fd = rootfs_mkdir_p(root_fd, *dir ? dir : "/", e);
	if (fd >= 0)
		*ret_name = name;
	return fd;
}

static int make_file(int root_fd, const char *path, unsigned int links, struct err *e);

/* As mkdir_link_target(), for a file: images have /etc/resolv.conf point into an empty /run. */
static int make_link_target(int root_fd, int dir_fd, const char *path, const char *name,
			    unsigned int links, struct err *e)
{
	_free_ char *target = NULL, *next = NULL;
	int r;

	r = fs_readlink(dir_fd, name, &target);
	if (r == 0 && links >= LINKS_MAX)
		r = -ELOOP;
	if (r < 0)
		return err_errno(e, r, "cannot create '%s' in the root file system", path);
	next = target[0] == '/' ? strdup(target) :
				  str_printf("%.*s%s", (int)(name - path), path, target);
	return next ? make_file(root_fd, next, links + 1, e) : err_oom(e);
}

static int make_file(int root_fd, const char *path, unsigned int links, struct err *e)
{
	_close_ int dir = -1, made = -1;
	const char *name;
	int fd;

	fd = rootfs_openat2(root_fd, path, O_PATH, 0, 0);
	if (fd == -ENOENT) {
		dir = rootfs_open_parent(root_fd, path, &name, e);
		if (dir < 0)
			return dir;
		/* O_EXCL does not follow a link: what is made is made here. */
		made = openat(dir, name,
			      O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (made < 0 && errno != EEXIST)
			return err_sys(e, "cannot create '%s' in the root file system",
				       path);
		fd = rootfs_openat2(root_fd, path, O_PATH, 0, 0);
		if (fd == -ENOENT)
			return make_link_target(root_fd, dir, path, name, links, e);
	}
	if (fd < 0)
		return err_errno(e, fd, "cannot open '%s' in the root file system", path);
	return fd;
}

int rootfs_make_file(int root_fd, const char *path, struct err *e)
{
	return make_file(root_fd, path, 0, e);
}

int rootfs_mount_id(int fd, uint64_t *ret, struct err *e)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, "cannot tell which mount a file is in");
	if (!(stx.stx_mask & STATX_MNT_ID))
		return err_set(e, ERR_KERNEL, ENOTSUP,
			       "the kernel does not tell which mount a file is in");
	*ret = stx.stx_mnt_id;
	return 0;
}
