// SPDX-License-Identifier: Apache-2.0
/*
 * See rootfs_files.h. The tree belongs to the image, or to somebody who changes it right now: each
 * place is looked up once, as in rootfs.c, and what was found there is used by descriptor.
 *
 * Init reads with all privileges, and what it copies everybody in the container can read: so it reads
 * only what everybody could read anyway. A link in the image could lead to a secret of root's, or to
 * a file of procfs that says more to who has more privileges. Such files are not covered either: a
 * mount over a file of procfs would change what others find there. Devices and pipes are not opened:
 * they would wait, or do something.
 */
#include "linux/rootfs_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "linux/mount.h"
#include "linux/paths.h"

int rootfs_files_open(int fd, struct err *e)
{
	const struct mount_attrs attrs = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						  MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	_close_ int tree = mount_clone(fd, false);
	int r = tree < 0 ? tree : mount_set_propagation(tree, MS_PRIVATE, false);

	if (r == 0)
		r = mount_set_attrs(tree, &attrs, false);
	return r < 0 ? err_errno(e, r, "cannot bind a directory of the state folder") :
		       take_fd(&tree);
}

/* --- in init --- */

/* The path of what a descriptor is of, as procfs says it. -errno. */
static int path_of(const struct rootfs *r, int fd, char *buf, size_t size)
{
	char name[64];
	ssize_t n;

	snprintf(name, sizeof(name), "self/fd/%d", fd);
	n = readlinkat(r->proc_fd, name, buf, size - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return (size_t)n < size - 1 ? 0 : -ENAMETOOLONG;
}

static bool all_may_pass(const struct rootfs *r, const char *dir)
{
	_close_ int fd = rootfs_openat2(r->root_fd, dir, O_PATH | O_DIRECTORY, 0,
					RESOLVE_NO_SYMLINKS);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_mode & S_IXOTH;
}

/*
 * Whether everybody in the container may read it: it, and the directories down to it. Not found out by
 * becoming nobody for a moment: that makes a process dumpable, and takes its death signal.
 */
static bool is_public(const struct rootfs *r, int fd, const struct stat *st)
{
	char root[PATH_MAX], path[PATH_MAX], *p;
	size_t n;

	if (!(st->st_mode & S_IROTH) || path_of(r, r->root_fd, root, sizeof(root)) < 0 ||
	    path_of(r, fd, path, sizeof(path)) < 0)
		return false;
	n = streq(root, "/") ? 0 : strlen(root);
	if (strncmp(path, root, n) != 0 || path[n] != '/' || !all_may_pass(r, "/"))
		return false;
	for (p = strchr(path + n + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (!all_may_pass(r, path + n))
			return false;
		*p = '/';
	}
	return true;
}

/* `place` as an O_PATH descriptor; -ENOENT where nothing is. */
static int find(const struct rootfs *r, const struct rootfs_cover *c, struct stat *st,
		struct err *e)
{
	_close_ int fd = rootfs_openat2(r->root_fd, c->place, O_PATH, 0, 0);

	/* A file where its directory should be is nothing, too. */
	if (fd == -ENOTDIR || fd == -ELOOP)
		return -ENOENT;
	if (fd < 0 && fd != -ENOENT)
		return err_errno(e, fd, "cannot open '%s' in the root file system",
				 c->place);
	if (fd >= 0 && fstat(fd, st) < 0)
		return err_sys(e, "cannot look at '%s'", c->place);
	return fd < 0 ? fd : take_fd(&fd);
}

static int read_and_write(int from, int to, const char *place, struct err *e)
{
	static char buf[65536];
	size_t all = 0;
	char last = '\n';

	for (;;) {
		ssize_t n = read(from, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read '%s'", place);
		if (n == 0)
			break;
		all += (size_t)n;
		if (all > ROOTFS_COPY_MAX)
			return err_set(e, ERR_CONFIG, EFBIG,
				       "'%s' in the root file system is longer than %zu MiB",
				       place, ROOTFS_COPY_MAX >> 20);
		if (fd_write_all(to, buf, (size_t)n) < 0)
			return err_sys(e, "cannot copy '%s'", place);
		last = buf[n - 1];
	}
	if (last != '\n' && fd_write_all(to, "\n", 1) < 0)
		return err_sys(e, "cannot copy '%s'", place);
	return 0;
}

static int copy_to(const struct rootfs *r, int fd, const struct rootfs_cover *c,
		   struct err *e)
{
	char path[64];
	_close_ int from = -1;

	snprintf(path, sizeof(path), "self/fd/%d", fd);
	from = openat(r->proc_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (from < 0)
		return err_sys(e, "cannot open '%s' in the root file system", c->place);
	return read_and_write(from, c->copy_fd, c->place, e);
}

static void copied(struct rootfs_files *o, int copy_fd)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->covers[i].copy_fd == copy_fd)
			o->covers[i].copy_fd = -1;
}

static int cover(const struct rootfs *r, const struct rootfs_files *o,
		 const struct rootfs_cover *c, int found, struct err *e)
{
	_close_ int made = -1, file = -1, tree = -1;
	int n;

	if (found < 0) {
		made = rootfs_make_file(r->root_fd, c->place, e);
		/* What is only a convenience is not worth failing for. */
		if (made < 0)
			return c->when == ROOTFS_COVER_ABSENT ? 0 : made;
	}
	file = openat(o->tree_fd, c->file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0)
		return err_sys(e, "cannot open '%s' of the state folder", c->file);
	tree = mount_clone(file, false);
	if (tree < 0)
		return err_errno(e, tree, "cannot bind '%s'", c->file);
	n = mount_attach(tree, found < 0 ? made : found);
	return n < 0 ? err_errno(e, n, "cannot mount over '%s' in the root file system",
				 c->place) :
		       0;
}

static bool is_ours(const struct rootfs_files *o, const struct rootfs_cover *c,
		    const struct stat *st)
{
	struct stat own;

	return fstatat(o->tree_fd, c->file, &own, AT_SYMLINK_NOFOLLOW) == 0 &&
	       own.st_dev == st->st_dev && own.st_ino == st->st_ino;
}

/* Of a file system whose files are not files, but the kernel's answers. */
static int is_of_kernel(int fd, const char *place, bool *ret, struct err *e)
{
	static const unsigned long magics[] = {
		PROC_SUPER_MAGIC,     SYSFS_MAGIC,    CGROUP_SUPER_MAGIC,
		CGROUP2_SUPER_MAGIC,  DEBUGFS_MAGIC,  TRACEFS_MAGIC,
		SECURITYFS_MAGIC,     BPF_FS_MAGIC,   SELINUX_MAGIC,
		SMACK_MAGIC,	      EFIVARFS_MAGIC, PSTOREFS_MAGIC,
		RDTGROUP_SUPER_MAGIC,
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return err_sys(e, "cannot look at '%s'", place);
	*ret = false;
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
		*ret |= (unsigned long)fs.f_type == magics[i];
	return 0;
}

static int refuse(const struct rootfs_cover *c, struct err *e)
{
	if (c->when != ROOTFS_COVER_ALWAYS)
		return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "'%s' in the root file system is no regular file", c->place);
}

static int take_place(const struct rootfs *r, struct rootfs_files *o, size_t i,
		      struct err *e)
{
	struct rootfs_cover *c = &o->covers[i];
	struct stat st = {};
	_close_ int found = find(r, c, &st, e);
	bool is_kernels = false, for_all;
	int n = 0;

	if (found < 0 && found != -ENOENT)
		return found;
	if (found < 0)
		return c->when == ROOTFS_COVER_EXISTING ? 0 : cover(r, o, c, found, e);
	n = is_of_kernel(found, c->place, &is_kernels, e);
	if (n < 0)
		return n;
	if (is_kernels || !S_ISREG(st.st_mode))
		return refuse(c, e);
	for_all = is_public(r, found, &st);
	/* A link to a place that is covered already. */
	if (is_ours(o, c, &st) || (c->when == ROOTFS_COVER_ABSENT && st.st_size > 0) ||
	    (c->when == ROOTFS_COVER_EXISTING && !for_all))
		return 0;
	if (c->copy_fd >= 0 && for_all) {
		n = copy_to(r, found, c, e);
		copied(o, c->copy_fd);
	}
	return n < 0 ? n : cover(r, o, c, found, e);
}

/* `place` as an O_PATH descriptor, where a mount changes nothing but what is seen there. */
static int open_place(const struct rootfs *r, const char *place, struct err *e)
{
	_close_ int fd = rootfs_mkdir_p(r->root_fd, place, e);
	bool is_kernels = false;
	int n = fd < 0 ? fd : is_of_kernel(fd, place, &is_kernels, e);

	if (n == 0 && is_kernels)
		n = err_set(e, ERR_CONFIG, EINVAL,
			    "'%s' in the root file system leads to one of the kernel's",
			    place);
	return n < 0 ? err_wrap(e,
				"no place for Purple's files at '%s' (a tmpfs at its directory "
				"makes one)",
				place) :
		       take_fd(&fd);
}

int rootfs_files_mount(const struct rootfs *r, struct rootfs_files *o, struct err *e)
{
	_close_ int target = -1;
	int n;

	if (o->tree_fd < 0)
		return 0;
	target = open_place(r, o->place, e);
	if (target < 0)
		return target;
	n = mount_attach(o->tree_fd, target);
	if (n < 0)
		return err_errno(e, n, "cannot mount '%s' in the root file system",
				 o->place);
	for (size_t i = 0; n == 0 && i < o->n; i++)
		n = take_place(r, o, i, e);
	return n;
}
