/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control files: reading, writing, and where a controller's files are. Runs in the runtime
 * process with whatever rights it has on the cgroup mounts.
 */
#include "cgroup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"

/* memory.stat, io.stat and cgroup.procs of a large group are the longest. */
#define CONTROL_FILE_MAX (16 << 20)

int cgroup_write(const char *dir, const char *file, const char *value)
{
	_free_ char *path = fs_join(dir, file);

	return path ? fs_write_existing(AT_FDCWD, path, value) : -ENOMEM;
}

int cgroup_read(const char *dir, const char *file, char **ret)
{
	_free_ char *path = fs_join(dir, file);
	struct err e;

	return path ? fs_read(AT_FDCWD, path, CONTROL_FILE_MAX, ret, NULL, &e) : -ENOMEM;
}

int cgroup_read_u64(const char *dir, const char *file, uint64_t *ret)
{
	_free_ char *text = NULL;
	int r = cgroup_read(dir, file, &text);

	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	if (streq(text, "max")) {
		*ret = CGROUP_UNLIMITED;
		return 0;
	}
	return num_u64(text, ret);
}

int cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t *ret)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	size_t len = strlen(key);
	int r = cgroup_read(dir, file, &text);

	if (r < 0)
		return r;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return num_u64(line + len + 1, ret);
	return -ENODATA;
}

bool cgroup_has_file(const char *dir, const char *file)
{
	_free_ char *path = fs_join(dir, file);

	return path && access(path, F_OK) == 0;
}

bool cgroup_has_word(const char *text, const char *word)
{
	size_t len = strlen(word), n;

	while (*text) {
		text += strspn(text, " \n");
		n = strcspn(text, " \n");
		if (n == len && len > 0 && memcmp(text, word, len) == 0)
			return true;
		text += n;
	}
	return false;
}

int cgroup_set_failed(const char *field, const char *dir, const char *file,
		      const char *value, int code, struct err *e)
{
	/* Not as "No such file": engines take these words for a missing command. */
	if (code == -ENOENT)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set %s: this kernel offers no '%s/%s'", field, dir,
			       file);
	return err_errno(e, code, "cannot set %s: write '%s' to '%s/%s'", field, value,
			 dir, file);
}

int cgroup_set(const char *field, const char *dir, const char *file, const char *value,
	       struct err *e)
{
	int r = cgroup_write(dir, file, value);

	return r < 0 ? cgroup_set_failed(field, dir, file, value, r, e) : 0;
}

int cgroup_set_i64(const char *field, const char *dir, const char *file, int64_t value,
		   struct err *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return cgroup_set(field, dir, file, text, e);
}

int cgroup_set_max(const char *field, const char *dir, const char *file, int64_t value,
		   struct err *e)
{
	if (value < 0)
		return cgroup_set(field, dir, file, "max", e);
	return cgroup_set_i64(field, dir, file, value, e);
}

const char *cgroup_v1_name(const char *controller)
{
	return streq(controller, "io") ? "blkio" : controller;
}

/* Whether the group's own files of a v2 controller are there. */
static bool has_v2_controller(const struct cgroup *cg, const char *controller)
{
	_free_ char *text = NULL;

	return cg->unified && cgroup_read(cg->unified, "cgroup.controllers", &text) == 0 &&
	       cgroup_has_word(text, controller);
}

const char *cgroup_find(const struct cgroup *cg, const char *controller, bool *ret_v2)
{
	const char *dir = strmap_get(&cg->v1, cgroup_v1_name(controller));

	if (!dir && has_v2_controller(cg, controller)) {
		*ret_v2 = true;
		return cg->unified;
	}
	*ret_v2 = false;
	return dir;
}

int cgroup_place(const struct cgroup *cg, const char *controller, const char *field,
		 struct cgroup_place *ret, struct err *e)
{
	bool v2 = false;
	const char *dir = cgroup_find(cg, controller, &v2);
	int r;

	if (!dir && cg->unified) {
		r = cgroup_v2_enable(cg, controller, e);
		if (r < 0)
			return err_wrap(e, "cannot set %s", field);
		dir = cgroup_find(cg, controller, &v2);
	}
	if (!dir && cg->mode == CGROUP_NONE)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set %s: this caller has no rights on any cgroup (run as root, or "
			       "with --systemd-cgroup where the user has a systemd)",
			       field);
	if (!dir)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "cannot set %s: the %s controller is not available to cgroup '%s' "
			       "(%s host)",
			       field, controller, cg->path, cgroup_mode_name(cg->mode));
	ret->dir = dir;
	ret->v2 = v2;
	return 0;
}

void cgroup_sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}
