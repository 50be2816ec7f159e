/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Masked and read-only paths. Runs in init before pivot_root, while the host's /dev/null is in
 * reach. Every path is resolved inside the root without magic links and then used by descriptor,
 * and what covers it is verified, so a link that changes meanwhile cannot redirect a mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "linux/dev.h"
#include "linux/mount.h"
#include "linux/paths.h"
#include "linux/rootfs_entry.h"

/* Missing is fine: there is nothing to hide then. Returns -ENOENT without a message. */
static int open_target(int root_fd, const char *path, struct err *e)
{
	int fd = rootfs_openat2(root_fd, path, O_PATH, 0, 0);

	if (fd == -ENOENT || fd == -ENOTDIR)
		return -ENOENT;
	return fd < 0 ? err_errno(e, fd, "cannot open '%s'", path) : fd;
}

static int mask_dir(int target, const char *label, struct err *e)
{
	struct strv data = { 0 };
	const struct mount_new n = {
		.type = "tmpfs",
		.data = &data,
		.label = label,
		.attrs = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			 MOUNT_ATTR_NOEXEC,
	};
	_close_ int tree = -1;
	int r;

	if (strv_add(&data, "nr_blocks=1") < 0 || strv_add(&data, "nr_inodes=1") < 0) {
		strv_free(&data);
		return err_oom(e);
	}
	tree = mount_new(&n, e);
	strv_free(&data);
	if (tree < 0)
		return tree;
	r = mount_attach(tree, target);
	return r < 0 ? err_errno(e, r, "cannot mount an empty directory") : 0;
}

/* Read-only, which devices do not mind: the file is the host's, and root of a container without a
 * user namespace owns it, but may not change its mode or owner through this mount. */
static int mask_file(int target, int null_fd, struct err *e)
{
	const struct mount_attrs ro = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NOEXEC };
	_close_ int tree = mount_clone(null_fd, false);
	int r = tree < 0 ? tree : mount_set_attrs(tree, &ro, false);

	if (r == 0)
		r = mount_attach(tree, target);
	return r < 0 ? err_errno(e, r, "cannot bind /dev/null") : 0;
}

static int mask_path(struct rootfs *r, const char *path, int null_fd, const char *label,
		     struct err *e)
{
	_close_ int target = -1;
	struct stat st;

	target = open_target(r->root_fd, path, e);
	if (target == -ENOENT)
		return 0;
	if (target < 0)
		return target;
	if (fstat(target, &st) < 0)
		return err_sys(e, "cannot examine");
	return S_ISDIR(st.st_mode) ? mask_dir(target, label, e) :
				     mask_file(target, null_fd, e);
}

static int readonly_path(struct rootfs *r, const char *path, struct err *e)
{
	const struct mount_attrs ro = { .set = MOUNT_ATTR_RDONLY };
	_close_ int target = -1, tree = -1;
	int n;

	target = open_target(r->root_fd, path, e);
	if (target == -ENOENT)
		return 0;
	if (target < 0)
		return target;
	tree = mount_clone(target, true);
	n = tree < 0 ? tree : mount_set_attrs(tree, &ro, true);
	if (n == 0)
		n = mount_attach(tree, target);
	return n < 0 ? err_errno(e, n, "cannot bind it on itself") : 0;
}

int rootfs_mask(struct rootfs *r, const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	_close_ int null_fd = -1;
	int n;

	/* Read-only first: a masked path below a read-only one stays masked. */
	for (size_t i = 0; i < l->readonly_paths.n; i++) {
		n = readonly_path(r, l->readonly_paths.v[i], e);
		if (n < 0)
			return err_wrap(e, "cannot make '%s' read-only",
					l->readonly_paths.v[i]);
	}
	if (!l->masked_paths.n)
		return 0;
	null_fd = dev_open_null(e);
	if (null_fd < 0)
		return null_fd;
	for (size_t i = 0; i < l->masked_paths.n; i++) {
		n = mask_path(r, l->masked_paths.v[i], null_fd, l->mount_label, e);
		if (n < 0)
			return err_wrap(e, "cannot mask '%s'", l->masked_paths.v[i]);
	}
	return 0;
}
