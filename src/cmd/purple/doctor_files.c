/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: settings, policies, and the programs that Purple works with. Reads only. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/doctor.h"
#include "policy/find.h"

#define DROP_IN "containers/containers.conf.d/50-purple.conf"
#define DROP_IN_MAX 65536

static void check_settings(struct doctor *d)
{
	const struct doctor_subject s = { "settings", "default_policy, selectable", true };
	const char *path = policy_default_dirs.settings;
	__attribute__((cleanup(policy_settings_clear))) struct policy_settings settings = {};
	_free_ char *found = NULL;
	struct err e;

	if (policy_settings_load(path, &settings, &e) < 0) {
		doctor_bad(d, &s, DOCTOR_BROKEN,
			   "correct the file: nothing starts until then", "%s", e.msg);
		return;
	}
	if (settings.default_policy &&
	    policy_find(&policy_default_dirs, settings.default_policy, &found, &e) < 0) {
		doctor_bad(d, &s, DOCTOR_BROKEN,
			   "name another default_policy, or install that one",
			   "%s: default_policy: %s", path, e.msg);
		return;
	}
	doctor_ok(d, &s, "%s: default policy: %s",
		  access(path, F_OK) == 0 ? path : "none installed",
		  settings.default_policy ? settings.default_policy : "none");
}

/* Who may write a folder of policies, or one above it, decides what they say. */
static bool is_safe(const char *dir, char **ret_why)
{
	_free_ char *path = strdup(dir);
	struct stat st;

	while (path && path[0]) {
		if (stat(path, &st) < 0 && errno == ENOENT) {
			/* Nobody but its parent's owner can make it. */
		} else if (st.st_uid != 0) {
			*ret_why = str_printf("'%s' belongs to user %u", path,
					      (unsigned int)st.st_uid);
			return false;
		} else if (st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX)) {
			*ret_why = str_printf("'%s' may be written by everybody", path);
			return false;
		}
		*strrchr(path, '/') = '\0';
	}
	return true;
}

static void check_folders(struct doctor *d)
{
	const struct doctor_subject s = { "policy folders", "policies by name", true };
	const char *const dirs[] = { policy_default_dirs.admin_dir,
				     policy_default_dirs.system_dir };

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_free_ char *why = NULL;

		if (is_safe(dirs[i], &why))
			continue;
		doctor_bad(d, &s, DOCTOR_BROKEN, "chown root it, and chmod o-w it", "%s",
			   why ? why : "");
		return;
	}
	doctor_ok(d, &s, "%s and %s can be written by root alone", dirs[0], dirs[1]);
}

static void check_each_policy(struct doctor *d)
{
	const struct doctor_subject s = { "policies", "policies by name", true };
	const struct doctor_subject none = { "policies", "policies by name", false };
	_strv_free_ struct strv names = {}, paths = {};
	size_t bad = 0;
	struct err e;

	if (policy_list(&policy_default_dirs, &names, &paths, &e) < 0) {
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		_policy_free_ struct policy *p = NULL;

		if (policy_load_installed(paths.v[i], &p, &e) == 0)
			continue;
		doctor_bad(d, &s, DOCTOR_BROKEN, "correct or remove the file", "%s", e.msg);
		bad++;
	}
	if (names.n == 0)
		doctor_bad(d, &none, DOCTOR_MISSING,
			   "install Purple with its policies (make install)",
			   "no policy is installed");
	else if (bad == 0)
		doctor_ok(d, &s, "%zu are installed and can be read", names.n);
}

void doctor_check_policies(struct doctor *d)
{
	check_settings(d);
	check_folders(d);
	check_each_policy(d);
}

/* A program of $PATH. */
static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	for (size_t n; path && *path; path += n + (path[n] == ':')) {
		_free_ char *file = NULL;

		n = strcspn(path, ":");
		file = str_printf("%.*s/%s", (int)n, path, name);
		if (n && file && access(file, X_OK) == 0)
			return take_ptr(&file);
	}
	return NULL;
}

static void check_pasta(struct doctor *d)
{
	const struct doctor_subject s = { "pasta",
					  "network.isolated: false in 'purple run'", false };
	_free_ char *path = find_program("pasta");

	if (path)
		doctor_ok(d, &s, "%s", path);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "install the package passt",
			   "it is not in PATH");
}

/* The program that the drop-in names: purple = ["PATH"]. */
static char *drop_in_program(const char *text)
{
	const char *line = text, *from, *to;

	for (; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!str_has_prefix(line, "purple"))
			continue;
		from = strchr(line, '"');
		to = from ? strchr(from + 1, '"') : NULL;
		if (to)
			return strndup(from + 1, (size_t)(to - from - 1));
	}
	return NULL;
}

static void check_podman(struct doctor *d)
{
	const struct doctor_subject s = { "podman", "podman --runtime purple", false };
	static const char *const dirs[] = { SYSCONFDIR, DATADIR };
	_free_ char *podman = find_program("podman");
	struct err unused;

	if (!podman) {
		doctor_bad(d, &s, DOCTOR_MISSING, "install the package podman",
			   "it is not in PATH");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_free_ char *path = str_printf("%s/" DROP_IN, dirs[i]), *text = NULL,
			    *program = NULL;

		if (!path || fs_read(AT_FDCWD, path, DROP_IN_MAX, &text, NULL, &unused) < 0)
			continue;
		program = drop_in_program(text);
		if (program && access(program, X_OK) == 0)
			doctor_ok(d, &s, "%s knows %s", path, program);
		else
			doctor_bad(d, &s, DOCTOR_BROKEN,
				   "install Purple again, or correct the file",
				   "%s names '%s', which cannot be executed", path,
				   program ? program : "no program");
		return;
	}
	doctor_bad(d, &s, DOCTOR_MISSING,
		   "make install, which puts 50-purple.conf into containers.conf.d",
		   "%s/" DROP_IN " is not there", SYSCONFDIR);
}

void doctor_check_programs(struct doctor *d)
{
	check_pasta(d);
	check_podman(d);
}
