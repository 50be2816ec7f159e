/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing a process into its group. Runs in the runtime, and, for the v1 hierarchies, in the
 * container's first process or that of an exec: see struct cgroup_doors.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

static int enter_failed(const char *dir, int r, struct err *e)
{
	if (r == -ENOENT || r == -ENODEV)
		return err_set(e, ERR_STATE, ESTALE, "cgroup '%s' is gone", dir);
	if (r == -EBUSY)
		return err_set(e, ERR_KERNEL, EBUSY,
			       "cannot enter cgroup '%s': it passes controllers on to sub-groups, and "
			       "then the kernel lets no process be in it",
			       dir);
	if (r == -EOPNOTSUPP)
		return err_set(e, ERR_KERNEL, EOPNOTSUPP,
			       "cannot enter cgroup '%s': it is threaded, or a group above it is",
			       dir);
	return err_errno(e, r, "cannot move the process into cgroup '%s'", dir);
}

static int enter_dir(const char *dir, pid_t pid, struct err *e)
{
	char text[32];
	int r;

	snprintf(text, sizeof(text), "%d", (int)pid);
	r = cgroup_write(dir, "cgroup.procs", text);
	return r < 0 ? enter_failed(dir, r, e) : 0;
}

/* Controllers that are mounted together have one directory. */
static bool is_first_with_dir(const struct strmap *v1, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (streq(v1->v[i], v1->v[at]))
			return false;
	return true;
}

int cgroup_enter_unified(const struct cgroup *cg, pid_t pid, struct err *e)
{
	int r = cg->unified ? enter_dir(cg->unified, pid, e) : 0;

	/* From outside of the user's own groups, such as a login session. */
	if ((r == -EACCES || r == -EPERM) && cg->unit && cg->user_manager)
		r = cgroup_unit_enter(cg, pid, e);
	return r;
}

int cgroup_enter(const struct cgroup *cg, pid_t pid, bool skip_unified, struct err *e)
{
	/* cgroup2 first: it has the rules that make this fail, and then nothing has moved. */
	int r = skip_unified ? 0 : cgroup_enter_unified(cg, pid, e);

	for (size_t i = 0; r == 0 && i < cg->v1.n; i++)
		if (is_first_with_dir(&cg->v1, i))
			r = enter_dir(cg->v1.v[i], pid, e);
	return r;
}

int cgroup_doors_open(const struct cgroup *cg, struct cgroup_doors *ret, struct err *e)
{
	struct cgroup_doors d = {};

	for (size_t i = 0; i < cg->v1.n; i++) {
		_free_ char *path = NULL;
		int fd;

		if (!is_first_with_dir(&cg->v1, i))
			continue;
		path = fs_join(cg->v1.v[i], "tasks");
		fd = !path || d.n == CGROUP_DOORS_MAX ? -1 :
							open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0) {
			int r = !path ? err_oom(e) :
				d.n == CGROUP_DOORS_MAX ?
					enter_failed(cg->v1.v[i], -E2BIG, e) :
					enter_failed(cg->v1.v[i], -errno, e);

			cgroup_doors_close(&d);
			return r;
		}
		d.v[d.n++] = (struct cgroup_door){ .fd = fd, .dir = cg->v1.v[i] };
	}
	*ret = d;
	return 0;
}

int cgroup_doors_enter(struct cgroup_doors *d, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n; i++)
		if (write(d->v[i].fd, "0", 1) < 0)
			r = enter_failed(d->v[i].dir, -errno, e);
	cgroup_doors_close(d);
	return r;
}

void cgroup_doors_close(struct cgroup_doors *d)
{
	for (size_t i = 0; i < d->n; i++)
		close(d->v[i].fd);
	d->n = 0;
}
