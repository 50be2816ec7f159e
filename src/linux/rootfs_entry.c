/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of `mounts`: checked and opened in the runtime, mounted in init. A bind source is a
 * path of the host and is opened there; a destination is a path of the container and is resolved
 * inside its root, once, to a descriptor.
 */
#include "linux/rootfs_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "linux/idmap.h"
#include "linux/lsm.h"
#include "linux/mount.h"
#include "linux/paths.h"
#include "linux/tmpcopyup.h"

/* Of the top directory of any procfs. */
#define PROC_ROOT_INO 1

/* Files of procfs that may be covered: they show the container its own limits (lxcfs), and no
 * security decision reads them. Everything else below /proc is refused. */
static const char *const proc_files[] = {
	"/proc/cpuinfo",
	"/proc/diskstats",
	"/proc/meminfo",
	"/proc/stat",
	"/proc/swaps",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/slabinfo",
	"/proc/net/dev",
	"/proc/sys/kernel/ns_last_pid",
	"/proc/sys/crypto/fips_enabled",
};

static bool is_allowed_in_proc(const char *dest)
{
	for (size_t i = 0; i < ARRAY_SIZE(proc_files); i++)
		if (streq(dest, proc_files[i]))
			return true;
	return false;
}

static bool has_type(const struct oci_mount *m, const struct mount_options *o,
		     const char *type)
{
	return !o->is_bind && m->type && streq(m->type, type);
}

static bool is_cgroup(const struct oci_mount *m, const struct mount_options *o)
{
	return has_type(m, o, "cgroup") || has_type(m, o, "cgroup2");
}

int rootfs_entry_check(const struct oci_mount *m, const struct mount_options *o,
		       struct err *e)
{
	_free_ char *dest = m->destination ? fs_clean_path(m->destination) : NULL;

	if (!m->destination || !*m->destination)
		return err_set(e, ERR_CONFIG, EINVAL, "a mount has no destination");
	if (!dest)
		return err_oom(e);
	if (streq(dest, "/"))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "mount at '%s': the destination is the root itself",
			       m->destination);
	if (o->is_remount)
		return 0;
	if (o->is_bind && (!m->source || !*m->source))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "mount at '%s': a bind needs a source", m->destination);
	if (!o->is_bind && (!m->type || !*m->type || streq(m->type, "none")))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "mount at '%s': neither a type nor option 'bind' is given",
			       m->destination);
	if (str_has_prefix(dest, "/proc/") && !is_allowed_in_proc(dest))
		return err_set(e, ERR_CONFIG, EPERM,
			       "mount at '%s': mounts below /proc are refused, since they can "
			       "hide what the kernel says",
			       m->destination);
	if (streq(dest, "/proc") && !o->is_bind && !streq(m->type, "proc"))
		return err_set(e, ERR_CONFIG, EPERM,
			       "mount at '%s': only procfs may be mounted there, not '%s'",
			       m->destination, m->type);
	return 0;
}

/* ---- The source of a bind ---- */

static bool last_is_shared(const struct mount_options *o)
{
	return o->propagation.n && o->propagation.v[o->propagation.n - 1].type == MS_SHARED;
}

/*
 * A copy of the host's mount would pass on what is mounted in it. It becomes a slave, except where
 * both the mount and the root ask to be shared: then mounts made in the container are meant to
 * reach the host (a storage driver in a container).
 */
static int cut_propagation(const struct oci_spec *s, const struct mount_options *o, int tree)
{
	const char *rp = s->linux_->rootfs_propagation;
	bool wanted = rp && (streq(rp, "shared") || streq(rp, "rshared")) &&
		      last_is_shared(o);

	return wanted ? 0 : mount_set_propagation(tree, MS_SLAVE, true);
}

static int open_source(const struct oci_mount *m, const struct rootfs_mount *rm)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC };

	if (m->plain_source)
		how.resolve = RESOLVE_NO_SYMLINKS;
	return (int)syscall(SYS_openat2, AT_FDCWD, rm->source, &how, sizeof(how));
}

static int source_error(const struct oci_mount *m, const struct rootfs_mount *rm,
			struct err *e)
{
	if (errno == ELOOP && m->plain_source)
		return err_set(e, ERR_CONFIG, ELOOP,
			       "the way to the source '%s' has a symbolic link that is not "
			       "followed: name the directory that it leads to",
			       rm->source);
	if (errno == ENOENT)
		return err_set(e, ERR_CONFIG, ENOENT, "the source '%s' does not exist",
			       rm->source);
	return err_sys(e, "cannot open the source '%s'", rm->source);
}

/* Id mapping and attributes, while nobody can reach the tree. */
static int set_up_tree(int tree, const struct rootfs_mount *rm, struct err *e)
{
	struct mount_options o = rm->o; /* borrowed */
	int r;

	if (rm->late_ro)
		o.top.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;

	if (rm->idmap_fd >= 0) {
		r = idmap_apply(tree, rm->idmap_fd, rm->o.idmap_recursive);
		if (r == -EINVAL)
			return err_set(e, ERR_UNSUPPORTED, EINVAL,
				       "cannot map its ids: the file system does not support "
				       "id-mapped mounts, or is mapped already");
		if (r < 0)
			return err_errno(e, r, "cannot map its ids");
	}
	r = mount_apply_options(tree, &o);
	if (r == -EPERM)
		return err_errno(e, r,
				 "cannot set its options (a user namespace cannot take back "
				 "ro, nosuid, nodev, noexec or an atime option of the host)");
	return r < 0 ? err_errno(e, r, "cannot set its options") : 0;
}

/*
 * A read-only bind of /sys is meant for all of it: `ro` alone leaves the mounts below writable, and
 * with them the groups of an ordinary user, whose owner the container's root is (CVE-2023-25809).
 */
static int protect_below_sys(int tree, const struct rootfs_mount *rm, struct err *e)
{
	const struct mount_attrs ro = { .set = MOUNT_ATTR_RDONLY };
	int r;

	if (!(mount_flat_attrs(&rm->o).set & MOUNT_ATTR_RDONLY))
		return 0;
	r = mount_set_attrs(tree, &ro, true);
	return r < 0 ? err_errno(e, r, "cannot make what is below it read-only") : 0;
}

int rootfs_entry_open(const struct oci_spec *s, const struct oci_mount *m,
		      struct rootfs_mount *rm, struct err *e)
{
	_close_ int fd = -1, tree = -1;
	struct statfs sfs;
	struct stat st;
	int r;

	fd = open_source(m, rm);
	if (fd < 0)
		return source_error(m, rm, e);
	if (fstat(fd, &st) < 0 || fstatfs(fd, &sfs) < 0)
		return err_sys(e, "cannot examine the source '%s'", rm->source);
	rm->is_dir = S_ISDIR(st.st_mode);
	/* A tree would turn read-only together with what was mounted in it meanwhile. */
	rm->late_ro = m->late_ro && rm->is_dir && !rm->o.recursive;
	rm->is_procfs = sfs.f_type == PROC_SUPER_MAGIC && st.st_ino == PROC_ROOT_INO;
	tree = mount_clone(fd, rm->o.recursive);
	if (tree < 0)
		return err_errno(e, tree, "cannot bind the source '%s'", rm->source);
	r = cut_propagation(s, &rm->o, tree);
	if (r < 0)
		return err_errno(e, r, "cannot make the source '%s' a slave", rm->source);
	r = set_up_tree(tree, rm, e);
	if (r == 0 && sfs.f_type == SYSFS_MAGIC)
		r = protect_below_sys(tree, rm, e);
	if (r < 0)
		return r;
	rm->tree_fd = take_fd(&tree);
	return 0;
}

/* ---- The destination ---- */

static bool same_file(int root_fd, const char *path, const struct stat *st)
{
	_close_ int fd = rootfs_openat2(root_fd, path, O_PATH, 0, RESOLVE_NO_SYMLINKS);
	struct stat other;

	return fd >= 0 && fstat(fd, &other) == 0 && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

/* The rules about / and /proc, again, for where the destination really leads: a link of the image may
 * have taken it there. */
static int check_target(struct rootfs *r, const struct oci_mount *m,
			const struct rootfs_mount *rm, const char *dest, int target,
			struct err *e)
{
	bool is_proc = has_type(m, &rm->o, "proc") || (rm->o.is_bind && rm->is_procfs);
	struct statfs sfs;
	struct stat st;

	if (fstatfs(target, &sfs) < 0 || fstat(target, &st) < 0)
		return err_sys(e, "cannot examine the destination");
	if (streq(dest, "/proc") || same_file(r->root_fd, "/proc", &st)) {
		if (is_proc)
			return 0;
		return err_set(e, ERR_CONFIG, EPERM, "only procfs may be mounted on /proc");
	}
	if (same_file(r->root_fd, "/", &st))
		return err_set(e, ERR_CONFIG, EPERM,
			       "the destination leads to the root itself");
	if (sfs.f_type == PROC_SUPER_MAGIC && !is_allowed_in_proc(dest))
		return err_set(e, ERR_CONFIG, EPERM, "the destination leads into a procfs");
	return 0;
}

/* proc and sysfs go on ordinary directories: were /proc a link, later work on /proc would be work
 * on what the image chose. */
static int open_plain_dir(int root_fd, const char *dest, struct err *e)
{
	_close_ int made = -1;
	int fd;

	fd = rootfs_openat2(root_fd, dest, O_PATH | O_DIRECTORY, 0, RESOLVE_NO_SYMLINKS);
	if (fd == -ENOENT) {
		made = rootfs_mkdir_p(root_fd, dest, e);
		if (made < 0)
			return made;
		fd = rootfs_openat2(root_fd, dest, O_PATH | O_DIRECTORY, 0,
				    RESOLVE_NO_SYMLINKS);
	}
	if (fd == -ELOOP)
		return err_set(e, ERR_CONFIG, ELOOP,
			       "it must be mounted on an ordinary directory, and a symbolic link "
			       "is in the way");
	return fd < 0 ? err_errno(e, fd, "cannot open the destination") : fd;
}

static int open_destination(struct rootfs *r, const struct oci_mount *m,
			    const struct rootfs_mount *rm, const char *dest, struct err *e)
{
	_close_ int fd = -1;
	int n;

	if (has_type(m, &rm->o, "proc") || has_type(m, &rm->o, "sysfs") ||
	    streq(dest, "/proc"))
		fd = open_plain_dir(r->root_fd, dest, e);
	else if (rm->o.is_bind && !rm->is_dir)
		fd = rootfs_make_file(r->root_fd, dest, e);
	else
		fd = rootfs_mkdir_p(r->root_fd, dest, e);
	if (fd < 0)
		return fd;
	n = check_target(r, m, rm, dest, fd, e);
	return n < 0 ? n : take_fd(&fd);
}

/* ---- Mounting ---- */

static int attach(int tree, int target, struct err *e)
{
	struct stat a, b;
	int r;

	if (fstat(tree, &a) < 0 || fstat(target, &b) < 0)
		return err_sys(e, "cannot examine source and destination");
	/* The kernel's word for it is EINVAL or ENOTDIR, as it comes. */
	if (S_ISDIR(a.st_mode) != S_ISDIR(b.st_mode))
		return err_set(e, ERR_CONFIG, ENOTDIR,
			       "the destination is a %s, the source is not",
			       S_ISDIR(b.st_mode) ? "directory" : "file");
	r = mount_attach(tree, target);
	return r < 0 ? err_errno(e, r, "cannot attach the mount") : 0;
}

static int set_propagation(int fd, const struct mount_options *o, struct err *e)
{
	for (size_t i = 0; i < o->propagation.n; i++) {
		const struct mount_propagation *p = &o->propagation.v[i];
		int r = mount_set_propagation(fd, p->type, p->recursive);

		if (r < 0)
			return err_errno(e, r, "cannot set its propagation");
	}
	return 0;
}

static int add_late_ro(struct rootfs *r, int tree, struct err *e)
{
	int *slot, fd = fcntl(tree, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return err_sys(e, "cannot keep the mount's descriptor");
	slot = list_add(&r->late_ro);
	if (!slot) {
		close(fd);
		return err_oom(e);
	}
	*slot = fd;
	return 0;
}

static int mount_bind(struct rootfs *rootfs, struct rootfs_mount *rm, int target,
		      struct err *e)
{
	int r;

	r = attach(rm->tree_fd, target, e);
	if (r == 0)
		r = set_propagation(rm->tree_fd, &rm->o, e);
	if (r == 0 && rm->late_ro)
		r = add_late_ro(rootfs, rm->tree_fd, e);
	fd_close(&rm->tree_fd);
	return r;
}

static int remount(const struct rootfs_mount *rm, int target, struct err *e)
{
	const struct mount_options *o = &rm->o;
	int r;

	if (!o->is_bind && (o->sb_flags.n || o->data.n)) {
		r = mount_reconfigure(target, &o->sb_flags, &o->data, e);
		if (r < 0)
			return r;
	}
	r = mount_apply_options(target, o);
	if (r == -EINVAL)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "cannot remount: nothing is mounted there");
	if (r < 0)
		return err_errno(e, r, "cannot remount");
	return set_propagation(target, o, e);
}

static bool has_data(const struct mount_options *o, const char *key)
{
	for (size_t i = 0; i < o->data.n; i++)
		if (str_has_prefix(o->data.v[i], key))
			return true;
	return false;
}

/*
 * Content and mode of a new tmpfs. Without mode= it gets the mode of the directory that it covers:
 * /tmp stays 1777. What the options say about its top directory wins over what tmpcopyup finds.
 */
static int fill_tmpfs(int tree, int target, const struct mount_options *o, struct err *e)
{
	_close_ int fd = -1;
	struct stat now, below;
	mode_t mode;
	int r;

	fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &now) < 0 || fstat(target, &below) < 0)
		return err_sys(e, "cannot examine the new tmpfs");
	if (o->tmpcopyup) {
		r = tmpcopyup_copy(target, fd, e);
		if (r < 0)
			return r;
		if (fchown(fd, has_data(o, "uid=") ? now.st_uid : (uid_t)-1,
			   has_data(o, "gid=") ? now.st_gid : (gid_t)-1) < 0)
			return err_sys(e, "cannot set the owner of the new tmpfs");
	}
	mode = has_data(o, "mode=") ? now.st_mode : below.st_mode;
	if (fchmod(fd, mode & 07777) < 0)
		return err_sys(e, "cannot set the mode of the new tmpfs");
	return 0;
}

/* Why proc, sysfs, mqueue or devpts was refused: the kernel's EPERM alone says little. */
static int explain(struct rootfs *r, const struct oci_mount *m, struct err *e)
{
	const char *why = NULL;

	if (e->code == EPERM && streq(m->type, "proc"))
		why = "the pid namespace is not the container's own, or parts of this host's /proc "
		      "are masked";
	else if (e->code == EPERM && streq(m->type, "sysfs"))
		why = "the network namespace is not the container's own, or parts of this host's "
		      "/sys are masked; a mount with option 'ro' would get the host's";
	else if (e->code == EPERM && streq(m->type, "mqueue"))
		why = "the ipc namespace is not the container's own";
	else if (e->code == EINVAL && streq(m->type, "devpts") && r->has_userns)
		why = "its gid= or uid= may not be mapped in the user namespace";
	if (!why)
		return -e->code;
	return err_set(e, e->kind, e->code, "%.1000s (%s)", strdupa(e->msg), why);
}

/* The host's /sys, which a user namespace without a network namespace of its own can have only as
 * a copy. Read-only, and so asked for. */
static int clone_host_sys(struct err *e)
{
	const struct mount_attrs a = {
		.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
		       MOUNT_ATTR_NOEXEC,
	};
	_close_ int fd = -1, tree = -1;
	int r;

	fd = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree = fd < 0 ? -errno : mount_clone(fd, true);
	r = tree < 0 ? tree : mount_set_propagation(tree, MS_SLAVE, true);
	if (r == 0)
		r = mount_set_attrs(tree, &a, true);
	return r < 0 ? err_errno(e, r, "cannot bind the host's /sys") : take_fd(&tree);
}

/* Read-only comes last for a tmpfs, which other mounts and devices still need directories in, for
 * an mqueue, which gets a label, and for whatever is /dev; for bind mounts see oci_mount.late_ro. */
static bool is_late_ro(const struct oci_mount *m, const char *dest, uint64_t attrs)
{
	return (attrs & MOUNT_ATTR_RDONLY) &&
	       (streq(m->type, "tmpfs") || streq(m->type, "mqueue") || streq(dest, "/dev"));
}

/* A file system on a device is read-only as a whole, not only in this mount; for those that live
 * in memory this would change others' mounts of the same. */
static bool is_shared_instance(const char *type)
{
	static const char *const types[] = { "proc",	  "sysfs",	"tmpfs",
					     "devpts",	  "mqueue",	"debugfs",
					     "tracefs",	  "securityfs", "bpf",
					     "ramfs",	  "devtmpfs",	"configfs",
					     "hugetlbfs", "fuse" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(type, types[i]))
			return true;
	return false;
}

/* An mqueue is there with its ipc namespace, before it is mounted: too late for a context. Its
 * directory gets the label. */
static bool is_labelled(const char *type)
{
	return !streq(type, "proc") && !streq(type, "sysfs") && !streq(type, "mqueue");
}

static int new_tree(struct rootfs *r, const struct oci_spec *s, const struct oci_mount *m,
		    const struct mount_options *o, uint64_t attrs, struct err *e)
{
	_strv_free_ struct strv flags = { 0 };
	struct mount_new n = {
		.type = m->type,
		.source = m->source,
		.flags = &flags,
		.data = &o->data,
		.label = is_labelled(m->type) ? s->linux_->mount_label : NULL,
		.attrs = attrs,
	};
	int fd;

	if (strv_copy(&o->sb_flags, &flags) < 0)
		return err_oom(e);
	if ((attrs & MOUNT_ATTR_RDONLY) && !is_shared_instance(m->type) &&
	    strv_add(&flags, "ro") < 0)
		return err_oom(e);
	fd = mount_new(&n, e);
	if (fd >= 0)
		return fd;
	if (e->code == EPERM && streq(m->type, "sysfs") && r->has_userns &&
	    (attrs & MOUNT_ATTR_RDONLY))
		return clone_host_sys(e);
	return explain(r, m, e);
}

static int mount_file_system(struct rootfs *r, const struct oci_spec *s,
			     const struct oci_mount *m, struct rootfs_mount *rm,
			     const char *dest, int target, struct err *e)
{
	uint64_t attrs = mount_flat_attrs(&rm->o).set;
	bool late = is_late_ro(m, dest, attrs);
	_close_ int tree = -1;
	int n = 0;

	if (late)
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	tree = new_tree(r, s, m, &rm->o, attrs, e);
	if (tree < 0)
		return tree;
	if (streq(m->type, "tmpfs"))
		n = fill_tmpfs(tree, target, &rm->o, e);
	else if (streq(m->type, "mqueue"))
		n = lsm_label_dir(tree, s->linux_->mount_label, e);
	if (n == 0 && rm->idmap_fd >= 0) {
		n = idmap_apply(tree, rm->idmap_fd, rm->o.idmap_recursive);
		if (n < 0)
			n = err_errno(e, n, "cannot map its ids");
	}
	if (n == 0)
		n = attach(tree, target, e);
	/* Other file systems may be the host's by another name: an overlay, a disk. */
	if (n == 0 && (streq(dest, "/dev") || streq(m->type, "tmpfs")))
		n = rootfs_add_own(r, tree, e);
	if (n == 0)
		n = set_propagation(tree, &rm->o, e);
	if (n == 0 && late)
		n = add_late_ro(r, tree, e);
	return n;
}

static int mount_cgroup(struct rootfs *r, const struct oci_spec *s,
			const struct oci_mount *m, struct rootfs_mount *rm,
			const struct rootfs_cgroup_view *cg, const char *dest, int target,
			struct err *e)
{
	_close_ int top = -1;
	int n;

	n = rootfs_cgroup_mount(s, m, rm, cg, target, e);
	if (n < 0 || !rm->o.propagation.n)
		return n;
	/* The same lookup now leads to the new mount. */
	top = rootfs_open(r->root_fd, dest, O_PATH | O_DIRECTORY, e);
	return top < 0 ? top : set_propagation(top, &rm->o, e);
}

static int entry_mount(struct rootfs *r, const struct oci_spec *s,
		       const struct oci_mount *m, struct rootfs_mount *rm,
		       const struct rootfs_cgroup_view *cg, struct err *e)
{
	_free_ char *dest = fs_clean_path(m->destination);
	_close_ int target = -1;
	int n;

	if (!dest)
		return err_oom(e);
	if (rm->o.is_remount) {
		target = rootfs_open(r->root_fd, dest, O_PATH, e);
		return target < 0 ? target : remount(rm, target, e);
	}
	if (rm->o.is_bind && rm->tree_fd < 0) {
		n = rootfs_entry_open(s, m, rm, e);
		if (n < 0)
			return n;
	}
	target = open_destination(r, m, rm, dest, e);
	if (target < 0)
		return target;
	if (rm->o.is_bind)
		return mount_bind(r, rm, target, e);
	if (is_cgroup(m, &rm->o))
		return mount_cgroup(r, s, m, rm, cg, dest, target, e);
	return mount_file_system(r, s, m, rm, dest, target, e);
}

int rootfs_entry_mount(struct rootfs *r, const struct oci_spec *s, size_t i,
		       const struct rootfs_cgroup_view *cg, struct err *e)
{
	const struct oci_mount *m = &s->mounts.v[i];
	struct rootfs_mount *rm = &r->mounts.v[i];
	const char *what = rm->o.is_bind ? rm->source : m->type;
	int n = entry_mount(r, s, m, rm, cg, e);

	return n < 0 ? err_wrap(e, "cannot mount '%s' at '%s'", what ? what : "",
				m->destination) :
		       0;
}
