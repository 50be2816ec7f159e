/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a group in every hierarchy, entering it, opening it. Runs in the runtime process; needs
 * write rights on the cgroup mounts.
 *
 * A v1 cpuset takes no process before its cpus and mems are set, so every level gets its
 * parent's. In cgroup2 a controller works in a group only when every ancestor passes it on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

/* Another container's end may remove /purple between two of our steps. */
#define MKDIR_TRIES 20

/* A group being made. */
struct making {
	struct strv made; /* directories to remove again on failure */
	unsigned int needs;
	bool v2_limits; /* enable controllers of the cgroup2 mount */
	pid_t holder;	/* may be in a group that was there before; 0: nobody may */
};

static void unmake(struct making *m)
{
	while (m->made.n > 0) {
		rmdir(m->made.v[m->made.n - 1]);
		strv_remove(&m->made, m->made.n - 1);
	}
	strv_free(&m->made);
}
#define _unmake_ __attribute__((cleanup(unmake)))

/* Root of the host, not of a user namespace. */
bool cgroup_is_privileged(void)
{
	_free_ char *text = NULL;
	unsigned int inside, outside, count;
	struct err e;

	if (geteuid() != 0)
		return false;
	if (fs_read(AT_FDCWD, "/proc/self/uid_map", 1 << 16, &text, NULL, &e) < 0)
		return true; /* a kernel without user namespaces */
	return sscanf(text, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 &&
	       outside == 0 && count == UINT32_MAX;
}

static bool is_denied(int code)
{
	return code == -EACCES || code == -EPERM || code == -EROFS;
}

/* --- cgroup2 --- */

static int pass_on(const char *dir, const char *controller, struct err *e)
{
	_free_ char *text = NULL;
	char value[64];
	int r;

	if (cgroup_read(dir, "cgroup.subtree_control", &text) == 0 &&
	    cgroup_has_word(text, controller))
		return 0;
	snprintf(value, sizeof(value), "+%s", controller);
	r = cgroup_write(dir, "cgroup.subtree_control", value);
	if (r == 0)
		return 0;
	if (r == -ENOENT)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the %s controller is not in '%s/cgroup.controllers'",
			       controller, dir);
	if (r == -EBUSY)
		return err_set(e, ERR_KERNEL, EBUSY,
			       "cannot enable the %s controller: group '%s' holds processes itself, and "
			       "then the kernel passes no controllers on to its sub-groups (choose another "
			       "parent group)",
			       controller, dir);
	if (r == -EOPNOTSUPP)
		return err_set(e, ERR_KERNEL, EOPNOTSUPP,
			       "cannot enable the %s controller: group '%s' is threaded",
			       controller, dir);
	return err_errno(e, r,
			 "cannot enable the %s controller: write '%s' to "
			 "'%s/cgroup.subtree_control'",
			 controller, value, dir);
}

/* What a level of the cgroup2 mount passes on: what limits need, and what figures are made of. */
static int pass_on_all(const struct making *m, const char *dir, struct err *e)
{
	const unsigned int wanted = CGROUP_NEEDS_MEMORY | CGROUP_NEEDS_CPU |
				    CGROUP_NEEDS_PIDS | CGROUP_NEEDS_IO;
	_free_ char *has = NULL;
	struct err ignored;
	int r;

	r = cgroup_read(dir, "cgroup.controllers", &has);
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/cgroup.controllers'", dir);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		const char *name = cgroup_controller_names[i];

		/* A needed one that is not there at all: cgroup_apply() names the limit. */
		if (!cgroup_has_word(has, name))
			continue;
		if (m->needs & 1u << i) {
			r = pass_on(dir, name, e);
			if (r < 0)
				return r;
		} else if (wanted & 1u << i) {
			pass_on(dir, name, &ignored);
		}
	}
	return 0;
}

int cgroup_v2_enable(const struct cgroup *cg, const char *controller, struct err *e)
{
	_free_ char *dir = strdup(cg->unified);
	size_t all = strlen(cg->unified), below = strlen(cg->path), at;
	int r;

	if (!dir)
		return err_oom(e);
	/* From the mount point to the group's parent. */
	at = str_has_suffix(cg->unified, cg->path) ? all - below : all;
	for (char *slash = dir + at; slash && *slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = pass_on(dir, controller, e);
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- v1 cpuset --- */

static int inherit_file(const char *dir, const char *parent, const char *file, struct err *e)
{
	_free_ char *value = NULL, *from = NULL;
	int r;

	r = cgroup_read(dir, file, &value);
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", dir, file);
	if (value[strspn(value, " \n")])
		return 0;
	r = cgroup_read(parent, file, &from);
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/%s'", parent, file);
	from[strcspn(from, "\n")] = '\0';
	r = cgroup_write(dir, file, from);
	return r < 0 ? err_errno(e, r, "cannot write '%s' to '%s/%s'", from, dir, file) : 0;
}

static int inherit_cpuset(const char *dir, const char *parent, struct err *e)
{
	int r = inherit_file(dir, parent, "cpuset.cpus", e);

	return r < 0 ? r : inherit_file(dir, parent, "cpuset.mems", e);
}

/* --- directories --- */

static int make_level(struct making *m, const struct cgroup_hierarchy *h,
		      const char *parent, const char *dir, struct err *e)
{
	bool v2 = h->controllers.n == 0;
	struct stat st;
	int r;

	if (v2 && m->v2_limits) {
		r = pass_on_all(m, parent, e);
		if (r < 0)
			return r;
	}
	if (mkdir(dir, 0755) == 0) {
		if (strv_add(&m->made, dir) < 0) {
			rmdir(dir);
			return err_oom(e);
		}
	} else if (errno != EEXIST) {
		return err_sys(e, "cannot make cgroup '%s'", dir);
	} else if (stat(dir, &st) < 0) {
		/* Removed in between: the caller begins again. */
		return err_sys(e, "cannot make cgroup '%s'", dir);
	} else if (!S_ISDIR(st.st_mode)) {
		return err_set(e, ERR_CONFIG, ENOTDIR,
			       "linux.cgroupsPath: '%s' is a control file", dir);
	}
	return strv_contains(&h->controllers, "cpuset") ? inherit_cpuset(dir, parent, e) :
							  0;
}

static int make_levels(struct making *m, const struct cgroup_hierarchy *h,
		       const char *rel, char **ret, struct err *e)
{
	_free_ char *dir = str_printf("%s%s", streq(h->mount, "/") ? "" : h->mount, rel);
	_free_ char *parent = strdup(h->mount);
	int r;

	if (!dir || !parent)
		return err_oom(e);
	for (char *slash = strchr(dir + strlen(h->mount) + 1, '/');;
	     slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		r = make_level(m, h, parent, dir, e);
		if (r < 0)
			return r;
		if (!slash)
			break;
		free(parent);
		parent = strdup(dir);
		if (!parent)
			return err_oom(e);
		*slash = '/';
	}
	*ret = take_ptr(&dir);
	return 0;
}

/* A group that was there before must be nobody's: empty but for the holder, and not frozen. */
static int check_unused(const struct cgroup *cg, pid_t holder, const char *dir,
			struct err *e)
{
	cgroup_pid_list pids = {};
	uint64_t frozen = 0;
	pid_t first = 0;
	int r;

	r = cgroup_dir_pids(dir, &pids, e);
	for (size_t i = 0; r == 0 && first == 0 && i < pids.n; i++)
		if (pids.v[i] != holder)
			first = pids.v[i];
	free(pids.v);
	if (r < 0)
		return r;
	if (first)
		return err_set(e, ERR_STATE, EBUSY,
			       "cgroup '%s' is in use: process %d is in it", dir,
			       (int)first);
	if (cg->unified && streq(dir, cg->unified) &&
	    cgroup_read_u64(dir, "cgroup.freeze", &frozen) == 0 && frozen)
		return err_set(e, ERR_STATE, EBUSY,
			       "cgroup '%s' is there already and frozen", dir);
	return 0;
}

/* In a threaded part of the tree a group takes no processes of other parts. */
static int check_type(const char *dir, struct err *e)
{
	_free_ char *type = NULL;

	if (cgroup_read(dir, "cgroup.type", &type) < 0)
		return 0;
	if (!cgroup_has_word(type, "domain"))
		return err_set(e, ERR_STATE, EOPNOTSUPP, "cgroup '%s' is threaded", dir);
	if (cgroup_has_word(type, "invalid"))
		return err_set(e, ERR_STATE, EOPNOTSUPP,
			       "cgroup '%s' can take no processes: a group above it is threaded",
			       dir);
	return 0;
}

static int check_v1_thawed(const struct cgroup *cg, struct err *e)
{
	const char *dir = strmap_get(&cg->v1, "freezer");
	_free_ char *state = NULL;

	if (dir && cgroup_read(dir, "freezer.state", &state) == 0 &&
	    !cgroup_has_word(state, "THAWED"))
		return err_set(e, ERR_STATE, EBUSY,
			       "cgroup '%s' is there already and frozen", dir);
	return 0;
}

/* Makes the group in one hierarchy and notes it in `cg`. */
static int make_in(struct making *m, const struct cgroup_hierarchy *h, const char *path,
		   bool own, struct cgroup *cg, struct err *e)
{
	_free_ char *rel = own && !streq(h->own, "/") ? str_printf("%s%s", h->own, path) :
							strdup(path);
	_free_ char *dir = NULL;
	int r = -ENOENT;

	if (!rel)
		return err_oom(e);
	for (int i = 0; (r == -ENOENT || r == -ENODEV) && i < MKDIR_TRIES; i++)
		r = make_levels(m, h, rel, &dir, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < h->controllers.n; i++)
		if (strmap_set(&cg->v1, h->controllers.v[i], dir) < 0)
			return err_oom(e);
	/* The cgroup2 path is the one to show; else that of the last v1 hierarchy. */
	if (!cg->unified) {
		free(cg->path);
		cg->path = take_ptr(&rel);
		if (h->controllers.n == 0)
			cg->unified = strdup(dir);
	}
	if (!cg->path || (h->controllers.n == 0 && !cg->unified))
		return err_oom(e);
	if (m->made.n == 0 || !streq(m->made.v[m->made.n - 1], dir))
		r = check_unused(cg, m->holder, dir, e);
	return r == 0 && h->controllers.n == 0 ? check_type(dir, e) : r;
}

/*
 * Makes the group everywhere. Where `lenient`, hierarchies in which the caller has no rights are
 * left out, and `denied` keeps the first refusal.
 */
static int make_everywhere(struct making *m, const struct cgroup_host *h,
			   const char *path, bool own, bool lenient, struct cgroup *cg,
			   struct err *denied, struct err *e)
{
	for (size_t i = 0; i <= h->v1.n; i++) {
		const struct cgroup_hierarchy *at = i < h->v1.n ? &h->v1.v[i] : &h->unified;
		size_t before = m->made.n;
		int r;

		if (!at->mount)
			continue;
		r = make_in(m, at, path, own, cg, e);
		if (r == 0)
			continue;
		if (!lenient || !is_denied(r))
			return r;
		if (denied->kind == ERR_NONE)
			*denied = *e;
		while (m->made.n > before) {
			rmdir(m->made.v[m->made.n - 1]);
			strv_remove(&m->made, m->made.n - 1);
		}
	}
	return 0;
}

/* No group could be made: fine only for a caller that asked for nothing. */
static int go_without(const char *cgroups_path, const struct cgroup_host *h,
		      const struct making *m, const struct err *denied, struct err *e)
{
	if (!(cgroups_path && *cgroups_path) && m->needs == 0)
		return 0;
	if (denied->kind != ERR_NONE)
		*e = *denied;
	else
		err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "no cgroup file system is mounted");
	if (h->mode != CGROUP_NONE)
		return err_wrap(e, "%s",
				m->needs ? "linux.resources asks for limits, which need a "
					   "cgroup (run as root, or with --systemd-cgroup "
					   "where the user has a systemd)" :
					   "linux.cgroupsPath");
	return err_wrap(e, "%s", m->needs ? "linux.resources" : "linux.cgroupsPath");
}

int cgroup_check_disabled(const struct oci_resources *r, struct err *e)
{
	if (cgroup_needs(r) == 0)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "linux.resources asks for limits, which need a cgroup, but cgroups are "
		       "switched off (--cgroup-manager disabled; podman: --cgroups=disabled)");
}

/* The host, and what of its cgroup2 mount is needed. */
static int making_begin(struct making *m, const struct oci_resources *r,
			struct cgroup_host *host, struct err *e)
{
	int res = cgroup_host_detect(host, e);

	if (res < 0)
		return err_wrap(e, "cannot find the cgroup file systems");
	m->needs = cgroup_needs(r);
	m->v2_limits = host->unified.mount != NULL;
	/* On a hybrid host only what v1 does not have is enabled in the group beside. */
	for (int i = 0; host->mode == CGROUP_HYBRID && i < CGROUP_CONTROLLERS; i++)
		for (size_t k = 0; k < host->v1.n; k++)
			if (strv_contains(&host->v1.v[k].controllers,
					  cgroup_v1_name(cgroup_controller_names[i])))
				m->needs &= ~(1u << i);
	return 0;
}

static enum cgroup_mode mode_of(const struct cgroup *cg)
{
	return cg->v1.n == 0 ? CGROUP_V2 : cg->unified ? CGROUP_HYBRID : CGROUP_V1;
}

/* The last look at a group that was made; from then on it is the caller's. */
static int keep_made(struct making *m, struct cgroup *cg, struct cgroup *ret, struct err *e)
{
	int r = check_v1_thawed(cg, e);

	if (r < 0)
		return r;
	cg->mode = mode_of(cg);
	strv_free(&m->made);
	*ret = *cg;
	*cg = (struct cgroup){};
	return 0;
}

int cgroup_create(const char *cgroups_path, const char *id, const struct oci_resources *r,
		  struct cgroup *ret, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host host = {};
	_cgroup_clear_ struct cgroup cg = {};
	_unmake_ struct making m = {};
	_free_ char *path = NULL;
	struct err denied = {};
	bool own = false, privileged = cgroup_is_privileged();
	int res;

	res = cgroup_path_choose(cgroups_path, id, privileged, &own, &path, e);
	if (res == 0)
		res = making_begin(&m, r, &host, e);
	if (res < 0)
		return res;
	res = make_everywhere(&m, &host, path, own, !privileged, &cg, &denied, e);
	if (res < 0)
		return res;
	if (!cg.unified && cg.v1.n == 0) {
		m.needs = cgroup_needs(r);
		res = go_without(cgroups_path, &host, &m, &denied, e);
		if (res < 0)
			return res;
		*ret = (struct cgroup){ .mode = CGROUP_NONE };
		return 0;
	}
	return keep_made(&m, &cg, ret, e);
}

/* systemd shows its group as processes see it, and must have put the holder there. */
static int check_holder(const struct cgroup *cg, pid_t holder, struct err *e)
{
	const char *dir = cg->unified ? cg->unified : strmap_get(&cg->v1, "name=systemd");
	cgroup_pid_list pids = {};
	bool found = false;
	int r;

	if (!dir)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "systemd's cgroup hierarchy is not mounted");
	r = cgroup_dir_pids(dir, &pids, e);
	for (size_t i = 0; r == 0 && i < pids.n; i++)
		found = found || pids.v[i] == holder;
	free(pids.v);
	if (r == 0 && !found)
		r = err_set(e, ERR_KERNEL, ENOENT,
			    "systemd did not put the container's first process into '%s'",
			    dir);
	return r;
}

int cgroup_create_around(const char *path, const struct oci_resources *r, pid_t holder,
			 struct cgroup *ret, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host host = {};
	_cgroup_clear_ struct cgroup cg = {};
	_unmake_ struct making m = { .holder = holder };
	struct err denied = {};
	int res;

	if (path[0] != '/' || path[1] == '\0')
		return err_set(e, ERR_KERNEL, EINVAL, "systemd made no group for the unit");
	res = making_begin(&m, r, &host, e);
	if (res == 0)
		res = make_everywhere(&m, &host, path, false, !cgroup_is_privileged(),
				      &cg, &denied, e);
	if (res == 0 && !cg.unified && cg.v1.n == 0) {
		*e = denied;
		res = denied.kind != ERR_NONE ?
			      -denied.code :
			      err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
				      "no cgroup file system is mounted");
	}
	if (res == 0 && holder)
		res = check_holder(&cg, holder, e);
	return res < 0 ? res : keep_made(&m, &cg, ret, e);
}

int cgroup_open(const struct cgroup *cg, int *ret_fd, struct err *e)
{
	int fd = -1;

	if (cg->unified) {
		fd = open(cg->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, "cannot open cgroup '%s'", cg->unified);
	}
	*ret_fd = fd;
	return 0;
}
