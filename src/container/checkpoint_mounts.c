/* SPDX-License-Identifier: Apache-2.0 */
/* See checkpoint_mounts.h. Runs in the runtime; restore_mount_points() in a child of it. */
#include "container/checkpoint_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "linux/mount.h"
#include "linux/mount_options.h"
#include "linux/paths.h"

#define MOUNTINFO_MAX (16 * 1024 * 1024)
#define KEY_MASK "purple:mask"
#define KEY_GROUP "purple:cgroup:"

void mounts_seen_clear(struct mounts_seen *m)
{
	free(m->v.v);
	free(m->text);
}

static bool read_line(char *line, struct mount_seen *ret)
{
	char *tail = strstr(line, " - "), *save = NULL, *end;
	char *field = strtok_r(line, " ", &save);

	if (!tail || !field)
		return false;
	ret->id = strtoull(field, &end, 10);
	for (int i = 1; i <= 3 && field; i++)
		field = strtok_r(NULL, " ", &save);
	ret->root = field;
	ret->point = field ? strtok_r(NULL, " ", &save) : NULL;
	ret->options = ret->point ? strtok_r(NULL, " ", &save) : NULL;
	ret->type = strtok_r(tail + 3, " ", &save);
	if (*end || !ret->options || !ret->type)
		return false;
	str_unescape_octal(ret->root);
	str_unescape_octal(ret->point);
	return true;
}

int mounts_see(const struct container *c, struct mounts_seen *ret, struct err *e)
{
	char path[64], *save = NULL;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", c->st.pid);
	r = fs_read(AT_FDCWD, path, MOUNTINFO_MAX, &ret->text, NULL, e);
	if (r < 0)
		return r;
	for (char *line = strtok_r(ret->text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount_seen *m = list_add(&ret->v);

		if (!m)
			return err_oom(e);
		if (!read_line(line, m))
			return err_set(e, ERR_INTERNAL, EINVAL, "%s: a bad line", path);
	}
	return 0;
}

const struct mount_seen *mounts_find(const struct mounts_seen *m, uint64_t id)
{
	for (size_t i = 0; i < m->v.n; i++)
		if (m->v.v[i].id == id)
			return &m->v.v[i];
	return NULL;
}

static bool is_file(int fd, const char *of_host)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(of_host, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/*
 * The mount that has its root at this path of the container; NULL: there is none, or no more. Who may
 * rename the folders above mount points in the container could lead the path to another mount: unless
 * `source` is NULL, it must be of that file of the host.
 */
static int mount_at(const struct mounts_seen *m, int root_fd, const char *path,
		    const char *source, const struct mount_seen **ret, struct err *e)
{
	_close_ int fd = rootfs_openat2(root_fd, path, O_PATH, 0, 0);
	struct statx stx;

	*ret = NULL;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return err_errno(e, fd, "cannot open '%s' of the container", path);
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0)
		return err_sys(e, "cannot examine '%s' of the container", path);
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT))
		return 0;
	if (source && !is_file(fd, source))
		return err_set(e, ERR_STATE, EBUSY,
			       "'%s' of the container is no longer what was mounted there",
			       path);
	*ret = mounts_find(m, stx.stx_mnt_id);
	return 0;
}

static int add_mount(struct strv *external, const char *from, const char *to, struct err *e)
{
	return strv_addf(external, "mnt[%s]:%s", from, to) < 0 ? err_oom(e) : 0;
}

static int is_bind(const struct oci_mount *m, bool *ret, bool *ret_idmap, struct err *e)
{
	struct mount_options o;
	int r = mount_options_parse(m, &o, e);

	if (r < 0)
		return r;
	*ret = o.is_bind && !o.is_remount;
	*ret_idmap = o.idmap;
	mount_options_free(&o);
	return 0;
}

static int add_binds(const struct mounts_seen *m, int root_fd, const struct container *c,
		     const struct oci_spec *s, struct strv *external, struct err *e)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const char *path = s->mounts.v[i].destination;
		const struct mount_seen *at;
		_free_ char *source = NULL;
		bool bind, idmap;
		int r = is_bind(&s->mounts.v[i], &bind, &idmap, e);

		if (r == 0 && idmap)
			r = err_set(e, ERR_UNSUPPORTED, ENOTSUP,
				    "'%s' is an id-mapped mount, which CRIU does not know",
				    path);
		if (r < 0)
			return r;
		if (!bind)
			continue;
		source = fs_from(c->st.bundle, s->mounts.v[i].source);
		if (!source)
			return err_oom(e);
		r = mount_at(m, root_fd, path, source, &at, e);
		if (r == 0 && at)
			r = add_mount(external, at->point, path, e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Files are masked by the host's null device, directories by a file system of their own. */
static int add_masks(const struct mounts_seen *m, int root_fd, const struct oci_spec *s,
		     struct strv *external, struct err *e)
{
	const struct strv *masked = &s->linux_->masked_paths;

	for (size_t i = 0; i < masked->n; i++) {
		const struct mount_seen *at;
		int r = mount_at(m, root_fd, masked->v[i], NULL, &at, e);

		if (r == 0 && at && !streq(at->root, "/"))
			r = add_mount(external, at->point, KEY_MASK, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_same_file(int root_fd, const char *path, const char *of_host)
{
	_close_ int fd = rootfs_openat2(root_fd, path, O_PATH, 0, 0);

	return fd >= 0 && is_file(fd, of_host);
}

/* Without a namespace of its own the container sees its groups by binds of them. */
static int add_groups(const struct mounts_seen *m, int root_fd, const struct container *c,
		      struct strv *external, struct err *e)
{
	const struct cgroup *cg = c->st.cgroup;

	for (size_t i = 0; cg && i < m->v.n; i++) {
		const struct mount_seen *at = &m->v.v[i];
		_free_ char *key = NULL;
		int r;

		if (streq(at->type, "cgroup2") && cg->unified &&
		    is_same_file(root_fd, at->point, cg->unified))
			key = strdup(KEY_GROUP);
		for (size_t j = 0; !key && streq(at->type, "cgroup") && j < cg->v1.n; j++)
			if (is_same_file(root_fd, at->point, cg->v1.v[j]))
				key = str_printf(KEY_GROUP "%s", cg->v1.k[j]);
		if (!key)
			continue;
		r = add_mount(external, at->point, key, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int checkpoint_mounts(const struct container *c, const struct oci_spec *s,
		      const struct mounts_seen *m, struct strv *external, struct err *e)
{
	_close_ int root_fd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/root", c->st.pid);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	r = add_binds(m, root_fd, c, s, external, e);
	if (r == 0)
		r = add_masks(m, root_fd, s, external, e);
	if (r == 0 && !oci_spec_namespace(s, "cgroup"))
		r = add_groups(m, root_fd, c, external, e);
	return r;
}

int restore_mounts(const struct container *c, const struct oci_spec *s,
		   struct strv *external, struct err *e)
{
	const struct cgroup *cg = c->st.cgroup;
	int r = add_mount(external, KEY_MASK, "/dev/null", e);

	for (size_t i = 0; r == 0 && i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];
		_free_ char *source = NULL;
		bool bind, idmap;

		r = is_bind(m, &bind, &idmap, e);
		if (r < 0 || !bind)
			continue;
		source = fs_from(c->st.bundle, m->source);
		r = source ? add_mount(external, m->destination, source, e) : err_oom(e);
	}
	if (r == 0 && cg && cg->unified)
		r = add_mount(external, KEY_GROUP, cg->unified, e);
	for (size_t i = 0; r == 0 && cg && i < cg->v1.n; i++) {
		_free_ char *key = str_printf(KEY_GROUP "%s", cg->v1.k[i]);

		r = key ? add_mount(external, key, cg->v1.v[i], e) : err_oom(e);
	}
	return r;
}

/* What is below another mount is there: CRIU brings back what a tmpfs held, and a volume has it. */
static bool is_below_another(const struct oci_spec *s, size_t at)
{
	const char *path = s->mounts.v[at].destination;

	for (size_t i = 0; i < at; i++) {
		const char *other = s->mounts.v[i].destination;
		size_t len = strlen(other);

		if (len > 1 && str_has_prefix(path, other) && path[len] == '/')
			return true;
	}
	return false;
}

int restore_mount_points(int root_fd, const struct container *c, const struct oci_spec *s,
			 struct err *e)
{
	for (size_t i = 0; i < s->mounts.n; i++) {
		const struct oci_mount *m = &s->mounts.v[i];
		_close_ int fd = -1;
		_free_ char *source = NULL;
		bool bind, idmap;
		struct stat st;
		int r = is_bind(m, &bind, &idmap, e);

		if (r < 0)
			return r;
		if (is_below_another(s, i))
			continue;
		source = bind ? fs_from(c->st.bundle, m->source) : NULL;
		fd = source && stat(source, &st) == 0 && !S_ISDIR(st.st_mode) ?
			     rootfs_make_file(root_fd, m->destination, e) :
			     rootfs_mkdir_p(root_fd, m->destination, e);
		if (fd < 0)
			return fd;
	}
	return 0;
}

static uint64_t attributes_of(char *options)
{
	static const struct {
		const char *word;
		uint64_t attribute;
	} known[] = {
		{ "ro", MOUNT_ATTR_RDONLY },
		{ "nosuid", MOUNT_ATTR_NOSUID },
		{ "nodev", MOUNT_ATTR_NODEV },
		{ "noexec", MOUNT_ATTR_NOEXEC },
		{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW },
	};
	uint64_t set = 0;
	char *save = NULL;

	for (char *word = strtok_r(options, ",", &save); word;
	     word = strtok_r(NULL, ",", &save))
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (streq(word, known[i].word))
				set |= known[i].attribute;
	return set;
}

int restore_attributes(const struct checkpoint_image *image, struct err *e)
{
	_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return err_sys(e, "cannot open '/' of the container");
	for (size_t i = 0; i < image->mounts.n; i++) {
		const struct checkpoint_mount *m = &image->mounts.v[i];
		const struct mount_attrs a = { .set = attributes_of(m->options) };
		_close_ int fd = rootfs_openat2(root_fd, m->path, O_PATH, 0, 0);
		int r = fd < 0 ? fd : mount_set_attrs(fd, &a, false);

		if (r < 0)
			return err_errno(e, r, "cannot restore the mount '%s'", m->path);
	}
	return 0;
}
