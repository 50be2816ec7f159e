/* SPDX-License-Identifier: Apache-2.0 */
/* Where a container's group is: the rules for linux.cgroupsPath. Pure; and the state table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* "machine.slice:libpod:ID" */
static bool is_systemd_form(const char *path)
{
	const char *colon = strchr(path, ':');

	if (path[0] == '/' || !colon)
		return false;
	colon = strchr(colon + 1, ':');
	return colon && !strchr(colon + 1, ':') && !strchr(path, '/');
}

static int check_path(const char *path, struct err *e)
{
	if (is_systemd_form(path))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "linux.cgroupsPath '%s': the form slice:prefix:name is systemd's and needs "
			       "--systemd-cgroup (or let the engine use cgroupfs)",
			       path);
	if (strchr(path, '\n'))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.cgroupsPath: a newline in the path");
	for (const char *p = path; *p; p += strcspn(p, "/")) {
		size_t n;

		p += strspn(p, "/");
		n = strcspn(p, "/");
		if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "linux.cgroupsPath '%s': '.' and '..' are not allowed",
				       path);
	}
	return 0;
}

int cgroup_path_choose(const char *cgroups_path, const char *id, bool privileged,
		       bool *ret_own, char **ret, struct err *e)
{
	_free_ char *joined = NULL;
	bool given = cgroups_path && *cgroups_path;
	bool own = !privileged && (!given || cgroups_path[0] != '/');
	char *path;
	int r;

	if (given) {
		r = check_path(cgroups_path, e);
		if (r < 0)
			return r;
	}
	if (given)
		joined = cgroups_path[0] == '/' || own ?
				 str_printf("/%s", cgroups_path) :
				 str_printf("/purple/%s", cgroups_path);
	else
		joined = str_printf("/purple-%s", id);
	path = joined ? fs_clean_path(joined) : NULL;
	if (!path)
		return err_oom(e);
	if (streq(path, "/")) {
		free(path);
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.cgroupsPath '%s': a container cannot have the root group",
			       cgroups_path);
	}
	*ret_own = own;
	*ret = path;
	return 0;
}

static const struct json_field cgroup_fields[] = {
	JSON_F(cgroup, mode, "mode", JSON_U32),
	JSON_F(cgroup, path, "path", JSON_STR),
	JSON_F(cgroup, v1, "v1", JSON_STRMAP),
	JSON_F(cgroup, unified, "unified", JSON_STR),
	JSON_F(cgroup, unit, "unit", JSON_STR),
	JSON_F(cgroup, user_manager, "userManager", JSON_BOOL),
	JSON_F(cgroup, devices_by_bpf, "devicesByBpf", JSON_BOOL),
	{},
};
_Static_assert(sizeof(enum cgroup_mode) == sizeof(uint32_t),
	       "mode is kept as a 32-bit number");

const struct json_type cgroup_type = { sizeof(struct cgroup), cgroup_fields };

static int check_directory(const char *dir, struct err *e)
{
	_free_ char *clean = fs_clean_path(dir);

	if (!clean)
		return err_oom(e);
	if (!streq(clean, dir) || streq(dir, "/"))
		return err_set(e, ERR_STATE, EINVAL,
			       "cgroup: '%s' is no group's directory", dir);
	return 0;
}

/* It is stopped one day, and what the group's files say is told of it. */
static int check_unit(const struct cgroup *cg, struct err *e)
{
	if (!str_has_suffix(cg->unit, ".scope") && !str_has_suffix(cg->unit, ".slice"))
		return err_set(e, ERR_STATE, EINVAL,
			       "cgroup.unit: '%s' is no container's", cg->unit);
	if (cg->mode == CGROUP_NONE || (cg->mode == CGROUP_V2 && !cg->unified))
		return err_set(e, ERR_STATE, EINVAL,
			       "cgroup.unit: there is no group for it");
	return 0;
}

int cgroup_check(const struct cgroup *cg, struct err *e)
{
	int r = 0;

	if (cg->mode > CGROUP_V2)
		return err_set(e, ERR_STATE, EINVAL, "cgroup.mode: %u is unknown", cg->mode);
	if (cg->mode != CGROUP_NONE && !cg->path)
		return err_set(e, ERR_STATE, EINVAL, "cgroup.path: is missing");
	if (cg->unit)
		r = check_unit(cg, e);
	for (size_t i = 0; r == 0 && i < cg->v1.n; i++)
		r = check_directory(cg->v1.v[i], e);
	return r == 0 && cg->unified ? check_directory(cg->unified, e) : r;
}

void cgroup_clear(struct cgroup *cg)
{
	json_clear(&cgroup_type, cg);
}
