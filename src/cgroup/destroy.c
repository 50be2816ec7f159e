/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing a group with all below it. Runs in the runtime process, after the container's
 * processes were killed: the kernel refuses to remove a group until the last has gone, which may
 * take a moment.
 *
 * A container may have made sub-groups of any depth, so the walk goes up and down with a single
 * descriptor instead of one for each level.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cgroup/internal.h"
#include "cgroup/systemd.h"

#define BUSY_TIMEOUT_MS 5000
#define BACKOFF_MAX_MS 100
#define OWN_PARENT "/purple"

/* Name of the first sub-directory: 1, or 0 when there is none. */
static int first_child(int fd, char *name, size_t size, struct err *e)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;

	if (!dir) {
		int code = errno;

		if (copy >= 0)
			close(copy);
		if (code == ENOENT || code == ENODEV)
			return 0;
		return err_errno(e, code, "cannot read a cgroup directory");
	}
	while ((d = readdir(dir))) {
		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		snprintf(name, size, "%s", d->d_name);
		return 1;
	}
	return 0;
}

static int open_dir(int at, const char *name, int *ret, struct err *e)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "cannot open cgroup '%s'", name);
	*ret = fd;
	return 0;
}

/* Removes one empty directory, waiting while the kernel calls it busy. */
static int remove_dir(int at, const char *name, int64_t deadline)
{
	unsigned int wait = 1;

	while (unlinkat(at, name, AT_REMOVEDIR) < 0) {
		if (errno == ENOENT || errno == ENODEV)
			return 0;
		if (errno != EBUSY || clock_ms(CLOCK_MONOTONIC) >= deadline)
			return -errno;
		cgroup_sleep_ms(wait);
		wait = wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
	}
	return 0;
}

/* Removes all sub-groups of the group that `*fd` is open on. */
static int remove_below(int *fd, int64_t deadline, struct err *e)
{
	char name[NAME_MAX + 1], below[NAME_MAX + 1];
	unsigned int depth = 0;

	for (;;) {
		_close_ int next = -1;
		int r = first_child(*fd, name, sizeof(name), e);

		if (r < 0 || (r == 0 && depth == 0))
			return r;
		if (r == 0) { /* this level is done: up */
			r = open_dir(*fd, "..", &next, e);
			depth--;
		} else {
			r = open_dir(*fd, name, &next, e);
			if (r == -ENOENT)
				continue;
			if (r == 0)
				r = first_child(next, below, sizeof(below), e);
			if (r == 0) {
				r = remove_dir(*fd, name, deadline);
				if (r < 0)
					return err_errno(e, r,
							 "cannot remove sub-group '%s'",
							 name);
				continue;
			}
			depth++;
		}
		if (r < 0)
			return r;
		close(*fd);
		*fd = take_fd(&next);
	}
}

static int destroy_dir(const char *dir, int64_t deadline, struct err *e)
{
	_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cgroup_pid_list pids = {};
	struct err ignored;
	int r, holder = 0;

	if (fd < 0)
		return errno == ENOENT || errno == ENODEV ?
			       0 :
			       err_sys(e, "cannot open cgroup '%s'", dir);
	/* The common case is one call: no sub-groups, no processes. */
	if (rmdir(dir) == 0)
		return 0;
	r = remove_below(&fd, deadline, e);
	if (r < 0)
		return err_wrap(e, "cannot remove cgroup '%s'", dir);
	r = remove_dir(AT_FDCWD, dir, deadline);
	if (r == -EBUSY) {
		if (cgroup_dir_pids(dir, &pids, &ignored) == 0 && pids.n)
			holder = pids.v[0];
		free(pids.v);
	}
	if (holder)
		return err_errno(e, r,
				 "cannot remove cgroup '%s': process %d is still in it",
				 dir, holder);
	return r < 0 ? err_errno(e, r, "cannot remove cgroup '%s'", dir) : 0;
}

/* Removes /purple and groups between it and this one, as far as they are empty. */
static void remove_own_parents(const struct cgroup *cg, const char *dir)
{
	_free_ char *up = NULL;
	size_t mount;

	if (!str_has_prefix(cg->path, OWN_PARENT "/") || !str_has_suffix(dir, cg->path))
		return;
	mount = strlen(dir) - strlen(cg->path);
	up = strdup(dir);
	while (up) {
		char *slash = strrchr(up, '/');

		if (!slash || (size_t)(slash - up) <= mount)
			return;
		*slash = '\0';
		if (rmdir(up) < 0 && errno != ENOENT)
			return; /* other containers are there */
	}
}

int cgroup_destroy(const struct cgroup *cg, struct err *e)
{
	int64_t deadline = clock_ms(CLOCK_MONOTONIC) + BUSY_TIMEOUT_MS;
	int first = 0;

	/* systemd removes what it made itself, and forgets the unit. */
	if (cg->unit)
		first = cgroup_unit_stop(cg, e);
	/* All hierarchies are tried even when one fails, so that least is left behind. */
	for (size_t i = 0; i <= cg->v1.n; i++) {
		const char *dir = i < cg->v1.n ? cg->v1.v[i] : cg->unified;
		struct err later;
		int r;

		if (!dir)
			continue;
		r = destroy_dir(dir, deadline, first < 0 ? &later : e);
		if (r == 0)
			remove_own_parents(cg, dir);
		else if (first == 0)
			first = r;
	}
	return first;
}
