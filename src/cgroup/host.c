/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cgroup hierarchies this host mounts, where, and where the caller is in them. Reads
 * /proc/self/mountinfo and /proc/self/cgroup in the runtime process; needs no privileges.
 *
 * A mount belongs to the line of /proc/self/cgroup whose controllers are among its superblock
 * options. In a container without a cgroup namespace a mount shows only a part of its hierarchy
 * (mountinfo's root field): the caller's own path is then taken relative to that part.
 */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* Hosts with many containers have long mount tables. */
#define MOUNTINFO_MAX (64 << 20)
#define MAIN_MOUNT "/sys/fs/cgroup"

struct cgroup_line {
	struct strv controllers; /* empty: cgroup2 */
	char *path;
};
typedef LIST_OF(struct cgroup_line) cgroup_lines;

/* The fields of a mountinfo line that matter here. */
struct mount_line {
	char *root, *mount, *fstype, *options;
};

static void lines_free(cgroup_lines *l)
{
	for (size_t i = 0; i < l->n; i++) {
		strv_free(&l->v[i].controllers);
		free(l->v[i].path);
	}
	free(l->v);
}
#define _lines_free_ __attribute__((cleanup(lines_free)))

/* "12:cpu,cpuacct:/a/b" */
static int parse_cgroup_line(char *line, struct cgroup_line *ret)
{
	char *names, *path, *name, *save = NULL;

	names = strchr(line, ':');
	path = names ? strchr(names + 1, ':') : NULL;
	if (!path || path[1] != '/')
		return -EINVAL;
	names++;
	*path++ = '\0';
	ret->path = strdup(path);
	if (!ret->path)
		return -ENOMEM;
	for (name = strtok_r(names, ",", &save); name; name = strtok_r(NULL, ",", &save))
		if (strv_add(&ret->controllers, name) < 0)
			return -ENOMEM;
	return 0;
}

static int parse_self_cgroup(const char *text, cgroup_lines *ret, struct err *e)
{
	_free_ char *copy = strdup(text);
	char *line, *save = NULL;

	if (!copy)
		return err_oom(e);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct cgroup_line *l = list_add(ret);
		int r = l ? parse_cgroup_line(line, l) : -ENOMEM;

		if (r == -ENOMEM)
			return err_oom(e);
		if (r < 0)
			return err_set(e, ERR_KERNEL, EINVAL,
				       "/proc/self/cgroup: bad line '%s'", line);
	}
	return 0;
}

/* Cuts a line up in place; false when it is none of mountinfo's. */
static bool split_mount_line(char *line, struct mount_line *ret)
{
	char *tail = strstr(line, " - "), *save = NULL;
	char *field = strtok_r(line, " ", &save);

	if (!tail)
		return false;
	for (int i = 0; field; i++, field = strtok_r(NULL, " ", &save)) {
		if (i == 3)
			ret->root = field;
		if (i == 4) {
			ret->mount = field;
			break;
		}
	}
	if (!field)
		return false;
	ret->fstype = strtok_r(tail + 3, " ", &save);
	if (!ret->fstype || !strtok_r(NULL, " ", &save))
		return false;
	ret->options = strtok_r(NULL, " ", &save);
	if (!ret->options)
		return false;
	str_unescape_octal(ret->root);
	str_unescape_octal(ret->mount);
	return ret->mount[0] == '/';
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = options; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, name, len) == 0 && (p[len] == ',' || p[len] == '\0'))
			return true;
	return false;
}

static const struct cgroup_line *find_line(const cgroup_lines *lines,
					   const struct mount_line *m)
{
	bool v2 = streq(m->fstype, "cgroup2");

	for (size_t i = 0; i < lines->n; i++) {
		const struct cgroup_line *l = &lines->v[i];

		if (v2 ? l->controllers.n == 0 :
			 l->controllers.n > 0 && has_option(m->options, l->controllers.v[0]))
			return l;
	}
	return NULL;
}

/* The caller's path below a mount that shows the hierarchy from `root` on. */
static char *own_below(const char *path, const char *root)
{
	size_t len = strlen(root);

	if (str_has_prefix(path, "/.."))
		return strdup("/"); /* outside of the cgroup namespace */
	if (len <= 1)
		return strdup(path);
	if (strncmp(path, root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
		return strdup("/");
	return strdup(path[len] ? path + len : "/");
}

/* A later mount may hide this one: then what is there is something else. */
static bool is_visible(const struct mount_line *m)
{
	struct statfs st;
	long magic = streq(m->fstype, "cgroup2") ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC;

	return statfs(m->mount, &st) == 0 && (long)st.f_type == magic;
}

static void hierarchy_clear(struct cgroup_hierarchy *h)
{
	strv_free(&h->controllers);
	free(h->mount);
	free(h->own);
	*h = (struct cgroup_hierarchy){};
}

static int set_hierarchy(struct cgroup_hierarchy *h, const struct mount_line *m,
			 const struct cgroup_line *l)
{
	hierarchy_clear(h);
	h->mount = strdup(m->mount);
	h->own = own_below(l->path, m->root);
	if (!h->mount || !h->own)
		return -ENOMEM;
	return strv_copy(&l->controllers, &h->controllers);
}

/* Of several mounts of a hierarchy the first below /sys/fs/cgroup is taken, else the first. */
static bool is_better(const struct mount_line *m, const struct cgroup_hierarchy *known)
{
	return !known->mount || (str_has_prefix(m->mount, MAIN_MOUNT) &&
				 !str_has_prefix(known->mount, MAIN_MOUNT));
}

static int add_mount(struct cgroup_host *h, const struct mount_line *m,
		     const struct cgroup_line *l)
{
	struct cgroup_hierarchy *at = NULL;

	if (l->controllers.n == 0)
		at = &h->unified;
	for (size_t i = 0; !at && i < h->v1.n; i++)
		if (strv_contains(&h->v1.v[i].controllers, l->controllers.v[0]))
			at = &h->v1.v[i];
	if (!at)
		at = list_add(&h->v1);
	if (!at)
		return -ENOMEM;
	return is_better(m, at) ? set_hierarchy(at, m, l) : 0;
}

static void set_mode(struct cgroup_host *h)
{
	/* A v1 mount somewhere beside a full cgroup2 host (net_cls for a VPN) changes nothing. */
	if (h->unified.mount && streq(h->unified.mount, MAIN_MOUNT)) {
		for (size_t i = 0; i < h->v1.n; i++)
			hierarchy_clear(&h->v1.v[i]);
		h->v1.n = 0;
	}
	if (h->unified.mount)
		h->mode = h->v1.n ? CGROUP_HYBRID : CGROUP_V2;
	else
		h->mode = h->v1.n ? CGROUP_V1 : CGROUP_NONE;
}

static int parse_host(const char *mountinfo, const char *self_cgroup, bool visible_only,
		      struct cgroup_host *ret, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	_lines_free_ cgroup_lines lines = {};
	_free_ char *copy = strdup(mountinfo);
	char *line, *save = NULL;
	int r;

	if (!copy)
		return err_oom(e);
	r = parse_self_cgroup(self_cgroup, &lines, e);
	if (r < 0)
		return r;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_line m = {};
		const struct cgroup_line *l;

		if (!split_mount_line(line, &m))
			continue;
		if (!streq(m.fstype, "cgroup") && !streq(m.fstype, "cgroup2"))
			continue;
		l = find_line(&lines, &m);
		if (!l || (visible_only && !is_visible(&m)))
			continue;
		if (add_mount(&h, &m, l) < 0)
			return err_oom(e);
	}
	set_mode(&h);
	*ret = h;
	h = (struct cgroup_host){};
	return 0;
}

int cgroup_host_parse(const char *mountinfo, const char *self_cgroup,
		      struct cgroup_host *ret, struct err *e)
{
	return parse_host(mountinfo, self_cgroup, false, ret, e);
}

int cgroup_host_detect(struct cgroup_host *ret, struct err *e)
{
	_free_ char *mountinfo = NULL, *self_cgroup = NULL;
	int r;

	r = fs_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mountinfo, NULL, e);
	if (r < 0)
		return r;
	r = fs_read(AT_FDCWD, "/proc/self/cgroup", MOUNTINFO_MAX, &self_cgroup, NULL, e);
	if (r == -ENOENT) /* a kernel without cgroups */
		self_cgroup = strdup("");
	else if (r < 0)
		return r;
	if (!self_cgroup)
		return err_oom(e);
	return parse_host(mountinfo, self_cgroup, true, ret, e);
}

void cgroup_host_clear(struct cgroup_host *h)
{
	for (size_t i = 0; i < h->v1.n; i++)
		hierarchy_clear(&h->v1.v[i]);
	free(h->v1.v);
	hierarchy_clear(&h->unified);
	*h = (struct cgroup_host){};
}

bool cgroup_host_has(const struct cgroup_host *h, const char *controller)
{
	_free_ char *text = NULL;
	const char *v1_name = cgroup_v1_name(controller);

	for (size_t i = 0; i < h->v1.n; i++)
		if (strv_contains(&h->v1.v[i].controllers, v1_name))
			return true;
	if (!h->unified.mount)
		return false;
	/* Not controllers of v2, but things that every group there can do. */
	if (streq(controller, "freezer") || streq(controller, "devices"))
		return true;
	return cgroup_read(h->unified.mount, "cgroup.controllers", &text) == 0 &&
	       cgroup_has_word(text, controller);
}

const char *cgroup_mode_name(enum cgroup_mode m)
{
	static const char *const names[] = {
		[CGROUP_NONE] = "none",
		[CGROUP_V1] = "v1",
		[CGROUP_HYBRID] = "hybrid",
		[CGROUP_V2] = "v2",
	};

	return m < ARRAY_SIZE(names) ? names[m] : "unknown";
}
