/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hearing of a group that is out of memory. With cgroup v1 the kernel kills one process and no
 * setting makes it kill the group, as memory.oom.group does in v2: there it matters to whoever
 * stands in front of a container. `events` tells of it on any host. Runs in these processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* The kernel's interface of cgroup v1: "EVENTFD FD-OF-FILE" (admin-guide/cgroup-v1/memory, 10). */
int cgroup_watch_oom(const struct cgroup *cg, int *ret_fd, struct err *e)
{
	const char *dir = strmap_get(&cg->v1, "memory");
	_close_ int event = -1, control = -1;
	_free_ char *path = NULL;
	char text[32];
	int r;

	*ret_fd = -1;
	if (!dir)
		return 0;
	path = fs_join(dir, "memory.oom_control");
	if (!path)
		return err_oom(e);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return err_sys(e, "cannot make an event descriptor");
	control = open(path, O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return err_sys(e, "cannot open '%s'", path);
	snprintf(text, sizeof(text), "%d %d", event, control);
	r = cgroup_write(dir, "cgroup.event_control", text);
	if (r < 0)
		return err_errno(e, r, "cannot watch '%s'", path);
	*ret_fd = take_fd(&event);
	return 0;
}

static uint64_t count_kills(const char *dir)
{
	uint64_t n = 0;

	return cgroup_read_key(dir, "memory.events", "oom_kill", &n) == 0 ? n : 0;
}

static int watch_v2(struct cgroup_oom_watch *w, struct err *e)
{
	_free_ char *path = fs_join(w->dir, "memory.events");
	_close_ int fd = -1;

	if (!path)
		return err_oom(e);
	/* The root of the hierarchy has none. */
	if (access(path, F_OK) < 0)
		return 0;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return err_sys(e, "cannot watch '%s'", path);
	w->kills = count_kills(w->dir);
	w->fd = take_fd(&fd);
	return 0;
}

int cgroup_oom_watch_open(const struct cgroup *cg, struct cgroup_oom_watch *ret,
			  struct err *e)
{
	_cgroup_oom_watch_close_ struct cgroup_oom_watch w = CGROUP_OOM_WATCH_EMPTY;
	const char *dir = cgroup_find(cg, "memory", &w.v2);
	int r;

	if (dir) {
		w.dir = strdup(dir);
		if (!w.dir)
			return err_oom(e);
		r = w.v2 ? watch_v2(&w, e) : cgroup_watch_oom(cg, &w.fd, e);
		if (r < 0)
			return r;
	}
	*ret = w;
	w = (struct cgroup_oom_watch)CGROUP_OOM_WATCH_EMPTY;
	return 0;
}

bool cgroup_oom_watch_take(struct cgroup_oom_watch *w)
{
	char events[4096] __attribute__((aligned(8)));
	uint64_t before = w->kills;

	if (read(w->fd, events, sizeof(events)) <= 0)
		return false;
	/* The removal of the group is an event as well. */
	if (!w->v2)
		return cgroup_has_file(w->dir, "memory.oom_control");
	w->kills = count_kills(w->dir);
	return w->kills > before;
}

void cgroup_oom_watch_close(struct cgroup_oom_watch *w)
{
	fd_close(&w->fd);
	free(w->dir);
	*w = (struct cgroup_oom_watch)CGROUP_OOM_WATCH_EMPTY;
}
