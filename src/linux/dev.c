/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of a container. Runs in init, in its mount namespace, before pivot_root (the console:
 * after). Should: have CAP_MKNOD in the initial user namespace; otherwise nodes of the host are
 * bound, after a check that they are the device they are taken for. Mustn't: follow a symbolic
 * link at a device's own name.
 */
#include "linux/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "linux/mount.h"
#include "linux/paths.h"

/* runtime-spec, "Default Devices". console and ptmx are not nodes. */
static const struct {
	const char *path;
	unsigned int major, minor;
} default_devices[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

/* runtime-spec, "Dev symbolic links", and ptmx. */
static const struct {
	const char *path, *target;
	const char *only_if; /* a file of the host, or NULL */
} links[] = {
	{ "/dev/fd", "/proc/self/fd", NULL },
	{ "/dev/stdin", "/proc/self/fd/0", NULL },
	{ "/dev/stdout", "/proc/self/fd/1", NULL },
	{ "/dev/stderr", "/proc/self/fd/2", NULL },
	{ "/dev/core", "/proc/kcore", "/proc/kcore" },
};

struct node {
	const char *path;
	mode_t type; /* S_IFCHR, S_IFBLK, S_IFIFO */
	dev_t rdev;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

static mode_t node_type(const char *type)
{
	switch (type && type[0] && !type[1] ? type[0] : 0) {
	case 'c':
	case 'u':
		return S_IFCHR;
	case 'b':
		return S_IFBLK;
	case 'p':
		return S_IFIFO;
	}
	return 0;
}

int dev_check(const struct oci_spec *s, struct err *e)
{
	for (size_t i = 0; i < s->linux_->devices.n; i++) {
		const struct oci_device *d = &s->linux_->devices.v[i];
		mode_t type = node_type(d->type);

		if (!d->path || d->path[0] != '/')
			return err_set(e, ERR_CONFIG, EINVAL,
				       "device '%s': the path must be absolute",
				       d->path ? d->path : "");
		if (!type)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "device '%s': unknown type '%s' (c, b, u or p)",
				       d->path, d->type ? d->type : "");
		if (type == S_IFIFO)
			continue;
		if (!d->major.set || !d->minor.set || d->major.value < 0 ||
		    d->minor.value < 0 || d->major.value > 0xfff || d->minor.value > 0xfffff)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "device '%s': major and minor must be given, within 0 to "
				       "4095 and 0 to 1048575",
				       d->path);
	}
	return 0;
}

static bool is_node(const struct stat *st, const struct node *n)
{
	return (st->st_mode & S_IFMT) == n->type &&
	       (n->type == S_IFIFO || st->st_rdev == n->rdev);
}

/* Binds the host's node of the same path on a file made for it. */
static int bind_node(int dir_fd, const char *name, const struct node *n, struct err *e)
{
	_close_ int host = -1, tree = -1, made = -1, target = -1;
	struct stat st;
	int r;

	host = open(n->path, O_PATH | O_CLOEXEC);
	if (host < 0 || fstat(host, &st) < 0)
		return err_sys(e, "cannot make device '%s', nor bind the host's", n->path);
	if (!is_node(&st, n))
		return err_set(e, ERR_CONFIG, EPERM,
			       "cannot make device '%s': mknod is not permitted here, and the "
			       "host's %s is another device",
			       n->path, n->path);
	tree = mount_clone(host, false);
	if (tree < 0)
		return err_errno(e, tree, "cannot bind the host's device '%s'", n->path);
	made = openat(dir_fd, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
		      0644);
	if (made < 0)
		return err_sys(e, "cannot make device '%s'", n->path);
	target = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot make device '%s'", n->path);
	r = mount_attach(tree, target);
	return r < 0 ? err_errno(e, r, "cannot bind the host's device '%s'", n->path) : 0;
}

/* A node is there already. The one asked for is fine, anything else an error (runtime-spec). */
static int check_existing(int dir_fd, const char *name, const struct node *n, struct err *e)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(e, "cannot examine device '%s'", n->path);
	if (!is_node(&st, n))
		return err_set(e, ERR_CONFIG, EEXIST,
			       "cannot make device '%s': another file is there", n->path);
	return 0;
}

static int set_owner(int dir_fd, const char *name, const struct node *n, struct err *e)
{
	_close_ int fd = -1;
	struct stat st;

	if (n->uid == 0 && n->gid == 0)
		return 0;
	fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open device '%s'", n->path);
	if (!is_node(&st, n))
		return err_errno(e, EAGAIN, "device '%s' was replaced", n->path);
	if (fchownat(fd, "", n->uid, n->gid, AT_EMPTY_PATH) < 0)
		return err_sys(e, "cannot give device '%s' to %u:%u", n->path, n->uid,
			       n->gid);
	return 0;
}

/* 1: files may be made in the directory `dir`, 0: it is not the container's own. */
static int is_own(const struct dev_place *p, int dir, struct err *e)
{
	uint64_t id;
	int r = rootfs_mount_id(dir, &id, e);

	for (size_t i = 0; r == 0 && i < p->n_own; i++)
		if (p->own[i] == id)
			return 1;
	return r;
}

static int not_own(const char *path, struct err *e)
{
	return err_set(e, ERR_CONFIG, EPERM,
		       "cannot make '%s': its directory belongs to a mount of the host, where "
		       "nothing is made",
		       path);
}

static int make_node(const struct dev_place *p, const struct node *n, struct err *e)
{
	_close_ int dir = -1;
	const char *name;
	mode_t mask;
	int r;

	dir = rootfs_open_parent(p->root_fd, n->path, &name, e);
	if (dir < 0)
		return dir;
	r = is_own(p, dir, e);
	if (r < 0)
		return r;
	if (r == 0)
		return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ?
			       check_existing(dir, name, n, e) :
			       not_own(n->path, e);
	/* The mode is the spec's, whatever the umask. */
	mask = umask(0);
	r = mknodat(dir, name, n->type | n->mode, n->rdev) < 0 ? -errno : 0;
	umask(mask);
	if (r == 0)
		return set_owner(dir, name, n, e);
	if (r == -EEXIST || r == -EROFS)
		return check_existing(dir, name, n, e);
	if (r == -EPERM && n->type != S_IFIFO) {
		/* Without CAP_MKNOD the kernel does not get as far as EEXIST. */
		if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return check_existing(dir, name, n, e);
		return bind_node(dir, name, n, e);
	}
	return err_errno(e, r, "cannot make device '%s'", n->path);
}

/* /dev is the host's: the device has to be there as it is. */
static int require_node(int root_fd, const struct node *n, struct err *e)
{
	_close_ int fd = -1;
	struct stat st;

	fd = rootfs_open(root_fd, n->path, O_PATH, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(e, "cannot examine device '%s'", n->path);
	if (!is_node(&st, n))
		return err_set(e, ERR_CONFIG, EEXIST,
			       "device '%s': the /dev mounted into the container has another file "
			       "there",
			       n->path);
	return 0;
}

static int make_spec_devices(const struct dev_place *p, const struct oci_spec *s,
			     bool dev_is_bind, struct err *e)
{
	for (size_t i = 0; i < s->linux_->devices.n; i++) {
		const struct oci_device *d = &s->linux_->devices.v[i];
		_free_ char *path = fs_clean_path(d->path);
		struct node n = {
			.path = path,
			.type = node_type(d->type),
			.mode = (d->file_mode.set ? d->file_mode.value : 0666) & 07777,
			.uid = d->uid.set ? d->uid.value : 0,
			.gid = d->gid.set ? d->gid.value : 0,
		};
		int r;

		if (!path)
			return err_oom(e);
		if (n.type != S_IFIFO)
			n.rdev = makedev(d->major.value, d->minor.value);
		if (dev_is_bind && str_has_prefix(path, "/dev/"))
			r = require_node(p->root_fd, &n, e);
		else
			r = make_node(p, &n, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Whether the config mounts something at this very path: then that is what it gets. */
static bool is_mounted_over(const struct oci_spec *s, const char *path)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		_free_ char *p = fs_clean_path(s->mounts.v[i].destination);

		if (p && streq(p, path))
			return true;
	}
	return false;
}

static int make_link(const struct dev_place *p, const char *path, const char *target,
		     struct err *e)
{
	_close_ int dir = -1;
	const char *name;
	int r;

	dir = rootfs_open_parent(p->root_fd, path, &name, e);
	if (dir < 0)
		return dir;
	/* What the image or a mount has there stays, as in the spec's own wording ("if ... after
	 * processing mounts" there is none). */
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = is_own(p, dir, e);
	if (r <= 0)
		return r < 0 ? r : not_own(path, e);
	if (symlinkat(target, dir, name) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make link '%s'", path);
	return 0;
}

/* /dev/ptmx must be the container's own: a node of the image would be the host's (spec). */
static int make_ptmx(const struct dev_place *p, const struct oci_spec *s, struct err *e)
{
	static const char target[] = "pts/ptmx";
	_free_ char *now = NULL;
	_close_ int dir = -1;
	const char *name;
	int r;

	if (is_mounted_over(s, "/dev/ptmx"))
		return 0;
	dir = rootfs_open_parent(p->root_fd, "/dev/ptmx", &name, e);
	if (dir < 0)
		return dir;
	if (fs_readlink(dir, name, &now) == 0 && streq(now, target))
		return 0;
	r = is_own(p, dir, e);
	if (r <= 0)
		return r < 0 ? r : not_own("/dev/ptmx", e);
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, "cannot replace '/dev/ptmx'");
	if (symlinkat(target, dir, name) < 0)
		return err_sys(e, "cannot make link '/dev/ptmx'");
	return 0;
}

static int make_defaults(const struct dev_place *p, const struct oci_spec *s, struct err *e)
{
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
		struct node n = {
			.path = default_devices[i].path,
			.type = S_IFCHR,
			.rdev = makedev(default_devices[i].major, default_devices[i].minor),
			.mode = 0666,
		};

		if (is_mounted_over(s, n.path))
			continue;
		r = make_node(p, &n, e);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (links[i].only_if && access(links[i].only_if, F_OK) < 0)
			continue;
		r = make_link(p, links[i].path, links[i].target, e);
		if (r < 0)
			return r;
	}
	return make_ptmx(p, s, e);
}

int dev_make_all(const struct dev_place *p, const struct oci_spec *s, bool dev_is_bind,
		 struct err *e)
{
	int r = make_spec_devices(p, s, dev_is_bind, e);

	return r < 0 || dev_is_bind ? r : make_defaults(p, s, e);
}

/* The file at /dev/console itself, never what a link there points to. */
static int open_console(const struct dev_place *p, struct err *e)
{
	_close_ int dir = -1, made = -1, fd = -1;
	const char *name;
	struct stat st;
	int r;

	dir = rootfs_open_parent(p->root_fd, "/dev/console", &name, e);
	if (dir < 0)
		return dir;
	fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = is_own(p, dir, e);
		if (r <= 0)
			return r < 0 ? r : not_own("/dev/console", e);
		made = openat(dir, name,
			      O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (made < 0)
			return err_sys(e, "cannot make /dev/console");
		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open /dev/console");
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "/dev/console of the container is a %s, not a file",
			       S_ISDIR(st.st_mode) ? "directory" : "symbolic link");
	return take_fd(&fd);
}

int dev_make_console(const struct dev_place *p, struct err *e)
{
	_close_ int fd = open_console(p, e);

	return fd < 0 ? fd : 0;
}

int dev_bind_console(const struct dev_place *p, int pty_fd, struct err *e)
{
	_close_ int target = -1, tree = -1;
	struct stat st;
	int r;

	if (fstat(pty_fd, &st) < 0)
		return err_sys(e, "cannot examine the terminal");
	if (!S_ISCHR(st.st_mode))
		return err_set(e, ERR_INTERNAL, ENOTTY, "the terminal is not a device");
	target = open_console(p, e);
	if (target < 0)
		return target;
	tree = mount_clone(pty_fd, false);
	if (tree < 0)
		return err_errno(e, tree, "cannot bind the terminal on /dev/console");
	r = mount_attach(tree, target);
	return r < 0 ? err_errno(e, r, "cannot bind the terminal on /dev/console") : 0;
}

int dev_open_null(struct err *e)
{
	_close_ int fd = -1;
	struct stat st;

	fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, "cannot open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_KERNEL, ENODEV, "/dev/null is not the null device");
	return take_fd(&fd);
}
