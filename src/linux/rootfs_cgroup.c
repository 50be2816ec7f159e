/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of type cgroup and cgroup2. Runs in init, with the host's tree still as "/".
 *
 * What the container sees is its own groups only: with a cgroup namespace a new mount of each
 * hierarchy, which the kernel roots at the namespace; without one (or where the kernel refuses: a
 * user namespace that does not own the cgroup namespace) a bind of the group's directory. On a v1
 * or hybrid host that is a tmpfs with one directory for each hierarchy, named as on the host, and
 * links for controllers that share one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "linux/mount.h"
#include "linux/paths.h"
#include "linux/rootfs_entry.h"

#define CGROUP_HOST "/sys/fs/cgroup"

static int attach(int tree, int target, struct err *e)
{
	int r = mount_attach(tree, target);

	return r < 0 ? err_errno(e, r, "cannot attach the mount") : 0;
}

/* Binds a directory of the host's cgroup tree. */
static int bind_group(const char *dir, const struct rootfs_mount *rm, int target,
		      struct err *e)
{
	const struct mount_attrs a = mount_flat_attrs(&rm->o);
	_close_ int fd = -1, tree = -1;
	int r;

	if (rm->o.data.n || rm->o.sb_flags.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "option '%s' is for a cgroup file system of the container's own, "
			       "which it does not get here",
			       rm->o.data.n ? rm->o.data.v[0] : rm->o.sb_flags.v[0]);
	fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open cgroup '%s'", dir);
	tree = mount_clone(fd, true);
	r = tree < 0 ? tree : mount_set_propagation(tree, MS_SLAVE, true);
	if (r == 0)
		r = mount_set_attrs(tree, &a, true);
	if (r < 0)
		return err_errno(e, r, "cannot bind cgroup '%s'", dir);
	return attach(tree, target, e);
}

static int mount_unified(const struct rootfs_mount *rm,
			 const struct rootfs_cgroup_view *cg, int target, struct err *e)
{
	const struct mount_new n = {
		.type = "cgroup2",
		.source = "cgroup",
		.flags = &rm->o.sb_flags,
		.data = &rm->o.data,
		.attrs = mount_flat_attrs(&rm->o).set,
	};
	_close_ int tree = -1;

	if (cg->new_cgroupns) {
		tree = mount_new(&n, e);
		if (tree >= 0)
			return attach(tree, target, e);
		if (!cg->unified || (e->code != EPERM && e->code != EBUSY))
			return tree;
	}
	if (!cg->unified)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "the container has no cgroup of the unified hierarchy");
	return bind_group(cg->unified, rm, target, e);
}

/* "/sys/fs/cgroup/cpu,cpuacct/foo" -> "cpu,cpuacct"; elsewhere the key itself is the name. */
static char *hierarchy_name(const char *key, const char *dir)
{
	const char *p = dir + strlen(CGROUP_HOST) + 1;

	if (str_has_prefix(dir, CGROUP_HOST "/") && *p)
		return strndup(p, strcspn(p, "/"));
	return strdup(str_has_prefix(key, "name=") ? key + 5 : key);
}

/* The controllers of one hierarchy, as parameters of a v1 mount: all keys with the same group. */
static int hierarchy_params(const struct strmap *v1, const char *dir, struct strv *ret)
{
	for (size_t i = 0; i < v1->n; i++) {
		const char *k = v1->k[i];

		if (!streq(v1->v[i], dir))
			continue;
		if (str_has_prefix(k, "name=")) {
			if (strv_add(ret, "none") < 0 || strv_add(ret, k) < 0)
				return -ENOMEM;
			continue;
		}
		for (size_t n; *k; k += n + (k[n] == ',')) {
			n = strcspn(k, ",");
			if (strv_addf(ret, "%.*s", (int)n, k) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int mount_hierarchy(const struct rootfs_mount *rm,
			   const struct rootfs_cgroup_view *cg, const char *dir,
			   int target, struct err *e)
{
	_strv_free_ struct strv params = { 0 };
	const struct mount_new n = {
		.type = "cgroup",
		.data = &params,
		.attrs = mount_flat_attrs(&rm->o).set,
	};
	_close_ int tree = -1;

	if (cg->new_cgroupns) {
		if (hierarchy_params(&cg->v1, dir, &params) < 0)
			return err_oom(e);
		tree = mount_new(&n, e);
		if (tree >= 0)
			return attach(tree, target, e);
		if (e->code != EPERM && e->code != EBUSY)
			return tree;
	}
	return bind_group(dir, rm, target, e);
}

/* Links for the controllers that `key` names where the hierarchy's directory is called otherwise:
 * cpu -> cpu,cpuacct. */
static int link_controllers(int top, const char *key, const char *name, struct err *e)
{
	if (str_has_prefix(key, "name="))
		return 0;
	for (size_t n; *key; key += n + (key[n] == ',')) {
		_free_ char *one = NULL;

		n = strcspn(key, ",");
		one = strndup(key, n);
		if (!one)
			return err_oom(e);
		if (streq(one, name))
			continue;
		if (symlinkat(name, top, one) < 0 && errno != EEXIST)
			return err_sys(e, "cannot make link '%s'", one);
	}
	return 0;
}

static int add_hierarchy(int top, const struct rootfs_mount *rm,
			 const struct rootfs_cgroup_view *cg, const char *key,
			 const char *dir, struct err *e)
{
	_free_ char *name = hierarchy_name(key, dir);
	_close_ int target = -1;
	int r;

	if (!name)
		return err_oom(e);
	if (mkdirat(top, name, 0755) < 0) {
		/* Two controllers of one hierarchy: mounted with the first. */
		if (errno != EEXIST)
			return err_sys(e, "cannot make directory '%s'", name);
		return link_controllers(top, key, name, e);
	}
	target = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return err_sys(e, "cannot open directory '%s'", name);
	r = streq(key, "unified") ? mount_unified(rm, cg, target, e) :
				    mount_hierarchy(rm, cg, dir, target, e);
	if (r < 0)
		return err_wrap(e, "hierarchy '%s'", name);
	return link_controllers(top, key, name, e);
}

static int mount_v1(const struct rootfs_mount *rm, const struct rootfs_cgroup_view *cg,
		    int target, const char *label, struct err *e)
{
	const struct mount_attrs a = mount_flat_attrs(&rm->o);
	_strv_free_ struct strv data = { 0 };
	const struct mount_new n = {
		.type = "tmpfs",
		.data = &data,
		.label = label,
		.attrs = a.set & ~(uint64_t)MOUNT_ATTR_RDONLY,
	};
	const struct mount_attrs ro = { .set = a.set & MOUNT_ATTR_RDONLY };
	_close_ int top = -1;
	int r;

	if (rm->o.data.n || rm->o.sb_flags.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "option '%s' is not known for the cgroup hierarchies of version 1",
			       rm->o.data.n ? rm->o.data.v[0] : rm->o.sb_flags.v[0]);
	if (strv_add(&data, "mode=755") < 0)
		return err_oom(e);
	top = mount_new(&n, e);
	if (top < 0)
		return top;
	r = attach(top, target, e);
	for (size_t i = 0; r == 0 && i < cg->v1.n; i++)
		r = add_hierarchy(top, rm, cg, cg->v1.k[i], cg->v1.v[i], e);
	if (r == 0 && cg->unified)
		r = add_hierarchy(top, rm, cg, "unified", cg->unified, e);
	if (r < 0)
		return r;
	r = mount_set_attrs(top, &ro, false);
	return r < 0 ? err_errno(e, r, "cannot set its options") : 0;
}

/* No group of its own: the container may look at the host's, if that is what it asks for, and
 * change what its caller, an ordinary user, may: nothing. */
static int mount_host(const struct rootfs_mount *rm, const struct rootfs_cgroup_view *cg,
		      int target, struct err *e)
{
	if (!(cg && cg->denied) && !(mount_flat_attrs(&rm->o).set & MOUNT_ATTR_RDONLY))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "the container has no cgroup of its own, so the mount must have "
			       "option 'ro'");
	return bind_group(CGROUP_HOST, rm, target, e);
}

int rootfs_cgroup_mount(const struct oci_spec *s, const struct oci_mount *m,
			const struct rootfs_mount *rm,
			const struct rootfs_cgroup_view *cg, int target_fd, struct err *e)
{
	if (!cg || cg->mode == ROOTFS_CGROUP_NONE)
		return mount_host(rm, cg, target_fd, e);
	if (cg->mode == ROOTFS_CGROUP_V2 || streq(m->type, "cgroup2"))
		return mount_unified(rm, cg, target_fd, e);
	return mount_v1(rm, cg, target_fd, s->linux_->mount_label, e);
}
