/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a container.
 *
 * Theory of operation. Three parties meet here: the host, whose paths are trusted and whose mounts
 * must not change; the runtime, which has the host's privileges; and the container's tree, which
 * an image or a volume fills and which may change while we work. So:
 *
 * 1. rootfs_prepare(), in the runtime: root.path and every bind source are opened with the host's
 *    names and privileges, and copied into detached mount trees (open_tree). The copies become
 *    slaves, so nothing mounted in the container reaches the host, and get all their attributes
 *    (read-only, nosuid, id mapping ...) here, while nobody can see them. An ordinary user has no
 *    right to do this; then init does the same in its user namespace.
 * 2. rootfs_mount(), in init, in its new mount namespace: the copy of the host's tree becomes a
 *    slave too; the root is attached over root.path, so that hooks find the container there; then
 *    the entries of `mounts`, in order. A destination is looked up once, by the kernel, with the
 *    container's root as "/" (paths.c), and the mount is attached to that descriptor. Then /dev.
 * 3. rootfs_enter(), in init: masks, pivot_root, the host's tree is gone. Read-only comes last.
 *
 * Nothing is mounted by a string path inside the container, and no path is looked up twice: a
 * symbolic link can lead a mount to another place inside the root, never out of it, and never
 * between a check and its use. What stands at /proc and /dev/null is verified.
 *
 * Should: have CAP_SYS_ADMIN over the mount namespace. Mustn't: run anything of the container.
 */
#include "linux/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "linux/dev.h"
#include "linux/idmap.h"
#include "linux/mount.h"
#include "linux/paths.h"
#include "linux/proc.h"
#include "linux/rootfs_entry.h"

/* ---- Checks ---- */

static int check_paths(const struct strv *l, const char *what, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		_free_ char *p = fs_clean_path(l->v[i]);

		if (!p)
			return err_oom(e);
		if (l->v[i][0] != '/' || streq(p, "/"))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: '%s' must be an absolute path below the root",
				       what, l->v[i]);
	}
	return 0;
}

static int check_mount(const struct oci_spec *s, const struct oci_mount *m, struct err *e)
{
	struct mount_options o = { 0 };
	bool own;
	int r;

	r = mount_options_parse(m, &o, e);
	if (r < 0)
		return r;
	r = rootfs_entry_check(m, &o, e);
	own = m->uid_mappings.n || (s->linux_->uid_mappings.n && s->linux_->gid_mappings.n);
	if (r == 0 && o.idmap && !own)
		r = err_set(e, ERR_CONFIG, EINVAL,
			    "mount at '%s': option 'idmap' needs uidMappings and gidMappings, of "
			    "the mount or of the container",
			    m->destination);
	mount_options_free(&o);
	return r;
}

int rootfs_check(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	struct mount_propagation p;
	int r;

	if (!s->root || !s->root->path || !*s->root->path)
		return err_set(e, ERR_CONFIG, EINVAL, "root.path is missing");
	if (!oci_spec_namespace(s, "mount"))
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "a container without a mount namespace of its own is not supported: "
			       "linux.namespaces must have one of type 'mount'");
	if (l->rootfs_propagation && *l->rootfs_propagation &&
	    mount_propagation_parse(l->rootfs_propagation, &p) < 0)
		return err_set(e, ERR_CONFIG, EINVAL, "unknown linux.rootfsPropagation '%s'",
			       l->rootfs_propagation);
	for (size_t i = 0; i < s->mounts.n; i++) {
		r = check_mount(s, &s->mounts.v[i], e);
		if (r < 0)
			return r;
	}
	r = check_paths(&l->masked_paths, "linux.maskedPaths", e);
	if (r == 0)
		r = check_paths(&l->readonly_paths, "linux.readonlyPaths", e);
	return r < 0 ? r : dev_check(s, e);
}

/* ---- In the runtime ---- */

/* root.path as a detached slave tree. Also runs in init, for an ordinary user. */
static int open_root(struct rootfs *r, struct err *e)
{
	_close_ int fd = -1, tree = -1;
	int n;

	fd = open(r->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open the root file system '%s'", r->path);
	tree = mount_clone(fd, true);
	if (tree < 0)
		return err_errno(e, tree, "cannot bind the root file system '%s'", r->path);
	n = mount_set_propagation(tree, MS_SLAVE, true);
	if (n < 0)
		return err_errno(e, n, "cannot make the root file system a slave");
	r->root_fd = take_fd(&tree);
	return 0;
}

static int prepare_entry(struct rootfs *r, const struct oci_spec *s,
			 const struct oci_mount *m, const char *bundle, bool privileged,
			 struct err *e)
{
	struct rootfs_mount *rm = list_add(&r->mounts);
	bool own = m->uid_mappings.n;
	int n;

	if (!rm)
		return err_oom(e);
	rm->tree_fd = -1;
	rm->idmap_fd = -1;
	n = mount_options_parse(m, &rm->o, e);
	if (n == 0)
		n = rootfs_entry_check(m, &rm->o, e);
	if (n < 0 || rm->o.is_remount)
		return n;
	if (rm->o.idmap) {
		n = idmap_open(own ? &m->uid_mappings : &s->linux_->uid_mappings,
			       own ? &m->gid_mappings : &s->linux_->gid_mappings, e);
		if (n < 0)
			return err_wrap(e, "cannot mount at '%s'", m->destination);
		rm->idmap_fd = n;
	}
	if (!rm->o.is_bind)
		return 0;
	rm->source = fs_from(bundle, m->source);
	if (!rm->source)
		return err_oom(e);
	if (!privileged)
		return 0;
	n = rootfs_entry_open(s, m, rm, e);
	return n < 0 ? err_wrap(e, "cannot mount '%s' at '%s'", rm->source, m->destination) :
		       0;
}

/* Whether /dev as a whole comes from elsewhere. */
static bool has_dev_bind(const struct oci_spec *s, const struct rootfs *r)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		_free_ char *dest = fs_clean_path(s->mounts.v[i].destination);

		if (dest && streq(dest, "/dev") && r->mounts.v[i].o.is_bind &&
		    !r->mounts.v[i].o.is_remount)
			return true;
	}
	return false;
}

static int prepare(const struct oci_spec *s, const char *bundle, struct rootfs *r,
		   struct err *e)
{
	_free_ char *path = NULL;
	bool privileged;
	int n;

	path = fs_from(bundle, s->root->path);
	if (!path)
		return err_oom(e);
	n = fs_realpath(path, &r->path, e);
	if (n < 0)
		return err_wrap(e, "root file system '%s'", path);
	if (streq(r->path, "/"))
		return err_set(e, ERR_CONFIG, EINVAL, "root.path is the host's own root");
	r->has_userns = oci_spec_namespace(s, "user");
	n = open_root(r, e);
	privileged = n == 0;
	if (n < 0 && n != -EPERM)
		return n;
	for (size_t i = 0; i < s->mounts.n; i++) {
		n = prepare_entry(r, s, &s->mounts.v[i], bundle, privileged, e);
		if (n < 0)
			return n;
	}
	r->dev_is_bind = has_dev_bind(s, r);
	return 0;
}

int rootfs_prepare(const struct oci_spec *s, const char *bundle, struct rootfs *ret,
		   struct err *e)
{
	struct rootfs r = { .prepared = true, .root_fd = -1, .proc_fd = -1 };
	int n;

	n = rootfs_check(s, e);
	if (n == 0)
		n = prepare(s, bundle, &r, e);
	if (n < 0) {
		rootfs_clear(&r);
		return n;
	}
	*ret = r;
	return 0;
}

void rootfs_clear(struct rootfs *r)
{
	if (!r->prepared)
		return;
	for (size_t i = 0; i < r->mounts.n; i++) {
		struct rootfs_mount *rm = &r->mounts.v[i];

		fd_close(&rm->tree_fd);
		fd_close(&rm->idmap_fd);
		free(rm->source);
		mount_options_free(&rm->o);
	}
	for (size_t i = 0; i < r->late_ro.n; i++)
		fd_close(&r->late_ro.v[i]);
	free(r->mounts.v);
	free(r->late_ro.v);
	free(r->own.v);
	free(r->path);
	fd_close(&r->root_fd);
	fd_close(&r->proc_fd);
	*r = (struct rootfs){ 0 };
}

/* ---- In init, before pivot_root ---- */

/*
 * What linux.rootfsPropagation asks for, as far as it can be had before pivot_root(2), which does
 * not take a shared root: below a shared root the mounts are shared now, the root itself later.
 * Done before the entries of `mounts`, whose own propagation options win.
 */
static int set_root_propagation(int root_fd, const char *name, struct err *e)
{
	struct mount_propagation p;
	int r = 0;

	if (!name || !*name)
		return 0;
	if (mount_propagation_parse(name, &p) < 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "unknown linux.rootfsPropagation '%s'", name);
	if (p.type != MS_SHARED || p.recursive)
		r = mount_set_propagation(root_fd, p.type, p.recursive);
	if (r == 0 && p.type == MS_SHARED)
		r = mount_set_propagation(root_fd, MS_PRIVATE, false);
	return r < 0 ? err_errno(e, r, "cannot set rootfsPropagation '%s'", name) : 0;
}

static int share_root(int root_fd, const char *name, struct err *e)
{
	struct mount_propagation p;
	int r;

	if (!name || mount_propagation_parse(name, &p) < 0 || p.type != MS_SHARED)
		return 0;
	r = mount_set_propagation(root_fd, MS_SHARED, false);
	return r < 0 ? err_errno(e, r, "cannot set rootfsPropagation '%s'", name) : 0;
}

/*
 * Attaches the root over root.path, where hooks look for it. A user namespace may have no way to
 * that path (a bundle in a directory of mode 0700): then over "/", which serves pivot_root as well.
 */
static int attach_root(struct rootfs *r, struct err *e)
{
	_close_ int target = -1;
	struct stat a, b;
	int n;

	target = open(r->path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0 && errno == EACCES) {
		target = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
		r->is_over_root = true;
	} else if (target >= 0) {
		if (fstat(target, &a) < 0 || fstat(r->root_fd, &b) < 0)
			return err_sys(e, "cannot examine '%s'", r->path);
		if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
			return err_errno(e, ESTALE,
					 "the root file system '%s' was replaced", r->path);
	}
	if (target < 0)
		return err_sys(e, "cannot open the root file system '%s'", r->path);
	n = mount_attach(r->root_fd, target);
	return n < 0 ? err_errno(e, n, "cannot mount the root file system '%s'", r->path) :
		       0;
}

static int cut_off_host(struct err *e)
{
	_close_ int fd = -1;
	int r;

	fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open /");
	r = mount_set_propagation(fd, MS_SLAVE, true);
	return r < 0 ? err_errno(e, r,
				 "cannot make the mount namespace a slave of the host's") :
		       0;
}

int rootfs_add_own(struct rootfs *r, int fd, struct err *e)
{
	uint64_t id, *slot;
	int n = rootfs_mount_id(fd, &id, e);

	if (n < 0)
		return n;
	slot = list_add(&r->own);
	if (!slot)
		return err_oom(e);
	*slot = id;
	return 0;
}

static struct dev_place device_place(const struct rootfs *r)
{
	return (struct dev_place){
		.root_fd = r->root_fd,
		.own = r->own.v,
		.n_own = r->own.n,
	};
}

static int make_devices(struct rootfs *r, const struct oci_spec *s, struct err *e)
{
	const struct dev_place p = device_place(r);
	int n = dev_make_all(&p, s, r->dev_is_bind, e);

	if (n == 0 && s->process && s->process->terminal && !r->dev_is_bind)
		n = dev_make_console(&p, e);
	return n;
}

int rootfs_mount(struct rootfs *r, const struct oci_spec *s,
		 const struct rootfs_cgroup_view *cg, struct err *e)
{
	int n;

	n = cut_off_host(e);
	if (n == 0 && r->root_fd < 0)
		n = open_root(r, e);
	if (n == 0)
		n = set_root_propagation(r->root_fd, s->linux_->rootfs_propagation, e);
	if (n == 0)
		n = attach_root(r, e);
	if (n == 0)
		n = rootfs_add_own(r, r->root_fd, e);
	if (n < 0)
		return n;
	r->proc_fd = proc_open(e);
	if (r->proc_fd < 0)
		return r->proc_fd;
	for (size_t i = 0; i < s->mounts.n; i++) {
		n = rootfs_entry_mount(r, s, i, cg, e);
		if (n < 0)
			return n;
	}
	return make_devices(r, s, e);
}

/* ---- In init, the last steps ---- */

/*
 * The old root is put on top of the new one ("."), and taken off there: needs no directory for it
 * inside the container.
 */
static int pivot(int root_fd, struct err *e)
{
	_close_ int old = -1;
	int r;

	old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return err_sys(e, "cannot open /");
	if (fchdir(root_fd) < 0)
		return err_sys(e, "cannot change to the root file system");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return errno == EINVAL ?
			       err_set(e, ERR_KERNEL, EINVAL,
				       "pivot_root: %s (a host that runs from an initial ramdisk needs "
				       "--no-pivot)",
				       strerror(EINVAL)) :
			       err_sys(e, "pivot_root");
	if (fchdir(old) < 0)
		return err_sys(e, "cannot change to the old root");
	/* Nothing of the unmounting may reach the host. */
	r = mount_set_propagation(old, MS_SLAVE, true);
	if (r < 0)
		return err_errno(e, r, "cannot make the old root a slave");
	if (umount2(".", MNT_DETACH) < 0)
		return err_sys(e, "cannot unmount the old root");
	if (chdir("/") < 0)
		return err_sys(e, "cannot change to /");
	return 0;
}

/* Takes one full procfs or sysfs of the host away, or covers it where it is locked. */
static int hide_mount(const char *point, struct err *e)
{
	if (umount2(point, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == ENOENT)
		return 0;
	if (errno != EINVAL && errno != EPERM)
		return err_sys(e, "cannot unmount the host's '%s'", point);
	if (mount("tmpfs", point, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		return err_sys(e, "cannot cover the host's '%s'", point);
	return 0;
}

/*
 * chroot(2) leaves the host's tree in the mount namespace, and with a full procfs or sysfs in it
 * the kernel would let a user namespace in the container mount new ones without our masks.
 */
static int hide_host_mounts(const struct rootfs *r, struct err *e)
{
	_free_ char *all = NULL;
	_close_ int fd = -1;
	char *line, *save = NULL;
	size_t len = strlen(r->path);
	int n;

	fd = proc_open_file(r->proc_fd, "self/mountinfo", O_RDONLY, e);
	if (fd < 0)
		return fd;
	n = fd_read_all(fd, 16 << 20, &all, NULL, e);
	if (n < 0)
		return n;
	for (line = strtok_r(all, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		_free_ char *point = NULL;
		char *type = strstr(line, " - ");

		if (!type || (!str_has_prefix(type + 3, "proc ") &&
			      !str_has_prefix(type + 3, "sysfs ")))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %ms", &point) != 1)
			return err_set(e, ERR_INTERNAL, EINVAL,
				       "mountinfo: bad line '%s'", line);
		str_unescape_octal(point);
		if (str_has_prefix(point, r->path) && (point[len] == '/' || !point[len]))
			continue;
		n = hide_mount(point, e);
		if (n < 0)
			return n;
	}
	return 0;
}

/* For a host that runs from an initial ramdisk, whose root cannot be pivoted away from. */
static int move_root(struct rootfs *r, struct err *e)
{
	_close_ int top = -1;
	int n;

	n = hide_host_mounts(r, e);
	if (n < 0)
		return n;
	top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (top < 0)
		return err_sys(e, "cannot open /");
	n = r->is_over_root ? 0 : mount_attach(r->root_fd, top);
	if (n < 0)
		return err_errno(e, n, "cannot move the root file system to /");
	if (fchdir(r->root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_sys(e, "cannot change the root to the root file system");
	return 0;
}

static int set_late_ro(struct rootfs *r, const struct oci_spec *s, struct err *e)
{
	const struct mount_attrs ro = { .set = MOUNT_ATTR_RDONLY };

	for (size_t i = 0; i < r->late_ro.n; i++) {
		int n = mount_set_attrs(r->late_ro.v[i], &ro, false);

		if (n < 0)
			return err_errno(e, n, "cannot make a mount read-only");
		fd_close(&r->late_ro.v[i]);
	}
	r->late_ro.n = 0;
	free(take_ptr(&r->late_ro.v));
	if (s->root->readonly) {
		int n = mount_set_attrs(r->root_fd, &ro, false);

		if (n < 0)
			return err_errno(e, n, "cannot make the root file system read-only");
	}
	return 0;
}

int rootfs_enter(struct rootfs *r, const struct oci_spec *s, bool no_pivot, struct err *e)
{
	int n;

	n = rootfs_mask(r, s, e);
	if (n == 0)
		n = no_pivot ? move_root(r, e) : pivot(r->root_fd, e);
	if (n == 0)
		n = share_root(r->root_fd, s->linux_->rootfs_propagation, e);
	return n < 0 ? n : set_late_ro(r, s, e);
}

int rootfs_bind_console(struct rootfs *r, int pty_fd, struct err *e)
{
	const struct dev_place p = device_place(r);

	return dev_bind_console(&p, pty_fd, e);
}
