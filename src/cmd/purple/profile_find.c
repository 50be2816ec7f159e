/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles by name: those of the caller's own folder, then the machine's. Who runs `purple` is
 * the authority over the sandbox, so an own profile needs nobody's leave; the administrator's
 * default_policy holds besides in any case. Runs in purple, reads files only.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/purple.h"
#include "linux/ns.h"
#include "policy/find.h"

bool is_host_root(void)
{
	return geteuid() == 0 && !userns_is_nested();
}

int profile_own_dir(char **ret, struct err *e)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

	if (is_host_root())
		*ret = strdup(policy_default_dirs.admin_dir);
	else if (config && config[0] == '/')
		*ret = fs_join(config, "purple/policies");
	else if (home && home[0] == '/')
		*ret = fs_join(home, ".config/purple/policies");
	else
		return err_set(e, ERR_USAGE, ENOENT,
			       "this user's own profiles cannot be found: set HOME or XDG_CONFIG_HOME");
	return *ret ? 0 : err_oom(e);
}

/* The caller's own folder as if it were the only one. -ENOENT: the caller has none. */
static int own_dirs(char **ret_dir, struct policy_dirs *ret, struct err *e)
{
	int r;

	if (is_host_root())
		return -ENOENT;
	r = profile_own_dir(ret_dir, e);
	if (r < 0)
		return r;
	*ret = (struct policy_dirs){ .settings = policy_default_dirs.settings,
				     .admin_dir = *ret_dir,
				     .system_dir = *ret_dir };
	return 0;
}

int profile_find(const char *name, char **ret_path, struct err *e)
{
	_free_ char *dir = NULL, *path = NULL;
	struct policy_dirs own;
	struct stat st;
	int r;

	r = own_dirs(&dir, &own, e);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && policy_name_is_valid(name)) {
		path = str_printf("%s/%s.yaml", dir, name);
		if (!path)
			return err_oom(e);
		if (lstat(path, &st) == 0) {
			*ret_path = take_ptr(&path);
			return 0;
		}
	}
	r = policy_find(&policy_default_dirs, name, ret_path, e);
	return r < 0 && path ? err_wrap(e, "there is no '%s'", path) : r;
}

static bool is_path(const char *profile)
{
	return strchr(profile, '/') || str_has_suffix(profile, ".yaml");
}

int profile_resolve(const char *profile, char **ret_path, struct err *e)
{
	if (!is_path(profile))
		return profile_find(profile, ret_path, e);
	*ret_path = strdup(profile);
	return *ret_path ? 0 : err_oom(e);
}

const char *profile_where(const char *path)
{
	if (str_has_prefix(path, policy_default_dirs.admin_dir))
		return "admin";
	return str_has_prefix(path, policy_default_dirs.system_dir) ? "system" : "user";
}

/* Merges two sorted lists; of two with the same name the first list's stays. */
static int merge_lists(struct strv *names, struct strv *paths,
		       const struct strv *more_names, const struct strv *more_paths)
{
	_strv_free_ struct strv n = {}, p = {};
	size_t i = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < names->n || k < more_names->n)) {
		int c = i == names->n	   ? 1 :
			k == more_names->n ? -1 :
					     strcmp(names->v[i], more_names->v[k]);

		r |= strv_add(&n, c <= 0 ? names->v[i] : more_names->v[k]);
		r |= strv_add(&p, c <= 0 ? paths->v[i] : more_paths->v[k]);
		i += c <= 0;
		k += c >= 0;
	}
	if (r < 0)
		return -ENOMEM;
	strv_free(names);
	strv_free(paths);
	*names = n;
	*paths = p;
	n = p = (struct strv){};
	return 0;
}

int profile_list(struct strv *ret_names, struct strv *ret_paths, struct err *e)
{
	_strv_free_ struct strv names = {}, paths = {}, more_names = {}, more_paths = {};
	_free_ char *dir = NULL;
	struct policy_dirs own;
	int r;

	r = own_dirs(&dir, &own, e);
	if (r == 0)
		r = policy_list(&own, &names, &paths, e);
	else if (r != -ENOMEM)
		r = 0; /* no folder of its own */
	if (r == 0)
		r = policy_list(&policy_default_dirs, &more_names, &more_paths, e);
	if (r == 0 && merge_lists(&names, &paths, &more_names, &more_paths) < 0)
		r = err_oom(e);
	if (r < 0)
		return r;
	*ret_names = names;
	*ret_paths = paths;
	names = paths = (struct strv){};
	return 0;
}
