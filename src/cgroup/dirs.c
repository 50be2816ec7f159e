// SPDX-License-Identifier: Apache-2.0
/* Directories of a group for a process that reads its figures later. Runs in the runtime. */
#include <errno.h>
#include <fcntl.h>

#include "base/fd.h"
#include "cgroup/internal.h"

static int open_dir(const char *path, int *ret, struct err *e)
{
	if (!path)
		return 0;
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "cannot open '%s'", path) : 0;
}

int cgroup_dirs_open(const struct cgroup *cg, struct cgroup_dirs *ret, struct err *e)
{
	int r = open_dir(cg->unified, &ret->unified, e);

	if (r == 0)
		r = open_dir(strmap_get(&cg->v1, "memory"), &ret->memory, e);
	if (r == 0)
		r = open_dir(strmap_get(&cg->v1, "pids"), &ret->pids, e);
	if (r == 0)
		r = open_dir(strmap_get(&cg->v1, "cpu"), &ret->cpu, e);
	if (r == 0)
		r = open_dir(strmap_get(&cg->v1, "cpuacct"), &ret->cpuacct, e);
	return r;
}

void cgroup_dirs_close(struct cgroup_dirs *d)
{
	fd_close(&d->unified);
	fd_close(&d->memory);
	fd_close(&d->pids);
	fd_close(&d->cpu);
	fd_close(&d->cpuacct);
}
