/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group of cgroup2 for a container of another runtime, which may have made none: on hybrid hosts
 * runtimes for cgroup v1 leave the container in the engine's. Runs in purple-network-hook, as root
 * of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

#define PROC_FILE_MAX (1 << 20)
#define CHILD_PREFIX "purple-"

/* The path in the line "0::PATH" of a process; it is part of `text`. */
static char *find_unified(char *text)
{
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (str_has_prefix(line, "0::/"))
			return line + strlen("0::");
	return NULL;
}

int cgroup_find_unified(pid_t pid, char **ret_mount, char **ret_dir, struct err *e)
{
	_cgroup_host_clear_ struct cgroup_host host = {};
	_free_ char *text = NULL, *dir = NULL;
	char file[64];
	const char *path;
	int r = cgroup_host_detect(&host, e);

	if (r < 0)
		return r;
	if (!host.unified.mount)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "no cgroup2 is mounted here (a host with cgroup v1 alone has none)");
	snprintf(file, sizeof(file), "/proc/%d/cgroup", (int)pid);
	r = fs_read(AT_FDCWD, file, PROC_FILE_MAX, &text, NULL, e);
	if (r < 0)
		return r;
	path = find_unified(text);
	if (!path || str_has_prefix(path, "/.."))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the container's group of cgroup2 is out of sight");
	dir = streq(path, "/") ? strdup(host.unified.mount) :
				 str_printf("%s%s", host.unified.mount, path);
	if (!dir)
		return err_oom(e);
	*ret_dir = take_ptr(&dir);
	*ret_mount = take_ptr(&host.unified.mount);
	return 0;
}

int cgroup_holds_only(const char *dir, pid_t pid, bool *ret, struct err *e)
{
	cgroup_pid_list pids = {};
	int r = cgroup_dir_pids(dir, &pids, e);

	*ret = r == 0 && pids.n == 1 && pids.v[0] == pid;
	free(pids.v);
	return r;
}

int cgroup_make_child(const char *mount, const char *dir, const char *id,
		      struct cgroup *ret, struct err *e)
{
	struct cgroup cg = { .mode = CGROUP_V2 };

	cg.unified = str_printf("%s/" CHILD_PREFIX "%s", dir, id);
	cg.path = cg.unified ? strdup(cg.unified + strlen(mount)) : NULL;
	if (!cg.path) {
		cgroup_clear(&cg);
		return err_oom(e);
	}
	if (mkdir(cg.unified, 0755) < 0) {
		err_sys(e, "cannot make the group '%s'", cg.unified);
		cgroup_clear(&cg);
		return -e->code;
	}
	*ret = cg;
	return 0;
}
