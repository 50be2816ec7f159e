/* SPDX-License-Identifier: Apache-2.0 */
/* run: create, start and, in the foreground, wait and clean up. Runs in the runtime. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "container/alerts.h"
#include "container/budget.h"
#include "container/console.h"
#include "container/container.h"
#include "container/end.h"
#include "container/monitor.h"
#include "container/notify.h"
#include "container/run.h"
#include "container/supervise.h"

static int make_console_pair(int ret[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) < 0)
		return err_sys(e, "cannot make a console socket");
	return 0;
}

static void remove_failed(const struct container_create_request *rq)
{
	struct err unused;

	container_delete(rq->root, rq->id, true, &unused);
}

/* On hosts where the kernel does not do it (v1), supervise_wait() kills what is out of memory. */
static int watch_oom(const struct container_create_request *rq, struct container *c,
		     struct supervise *s, struct err *e)
{
	int r;

	r = container_open(rq->root, rq->id, false, c, e);
	if (r < 0)
		return r;
	s->container = c;
	s->monitor_fd = monitor_watch(c);
	if (!s->kill_on_oom || !c->st.cgroup)
		return 0;
	s->cgroup = c->st.cgroup;
	return cgroup_watch_oom(s->cgroup, &s->oom_fd, e);
}

static int watch_budget(const struct container_create_request *rq, struct supervise *s,
			struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	if (!s->budget)
		return 0;
	r = container_open(rq->root, rq->id, false, &c, e);
	return r < 0 ? r : budget_watch_open(s->budget, &c, e);
}

/* Before the group is gone with its figures. */
static void note_oom(struct supervise *s)
{
	_cgroup_stats_clear_ struct cgroup_stats stats = {};
	struct err unused;

	if (s->cgroup && cgroup_stats(s->cgroup, &stats, &unused) == 0)
		s->oom_killed |= stats.oom_kills > 0;
	s->cgroup = NULL;
}

/* How the program ended; what was done to it was noted when it was done. */
static void note_end(struct supervise *s, int status)
{
	char by[64], *now = container_end_time();
	struct container_end x = { .reason = (char *)END_EXITED,
				   .ended = now,
				   .status = { true, status } };

	/* Its init exits with that, as shells do. */
	if (status > 128 && status <= 128 + SIGRTMAX)
		x.reason = (char *)END_SIGNALED;
	if (s->killed_by) {
		snprintf(by, sizeof(by), "SIG%s to purple run", sigabbrev_np(s->killed_by));
		x.reason = (char *)END_STOPPED;
		x.by = by;
	}
	container_end_note(s->container, &x);
	free(now);
}

static int open_notify(const struct container_create_request *rq, struct notify *n,
		       struct supervise *s, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	int r;

	if (!rq->notify_socket)
		return 0;
	r = container_open(rq->root, rq->id, false, &c, e);
	if (r == 0)
		r = notify_open(rq->notify_socket, &c, n, e);
	s->notify = n;
	return r;
}

int container_run_supervised(struct container_create_request *rq, struct supervise *s,
			     bool keep, int *ret_status, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	_notify_close_ struct notify notify = NOTIFY_EMPTY;
	_close_ int ours = -1, theirs = -1;
	int fds[2], master = -1, r;
	struct err unused;
	pid_t pid = 0;

	if (!rq->console_socket) {
		r = make_console_pair(fds, e);
		if (r < 0)
			return r;
		ours = fds[0];
		theirs = rq->console_fd = fds[1];
	}
	r = container_create(rq, &pid, e);
	rq->console_fd = -1;
	fd_close(&theirs);
	if (r < 0)
		return r;
	/* Without a terminal nothing was sent, and all other ends are closed. */
	if (ours >= 0 && console_receive(ours, &master, &unused) == 0)
		r = supervise_terminal(s, master, e);
	if (r == 0)
		r = watch_oom(rq, &c, s, e);
	if (r == 0)
		r = watch_budget(rq, s, e);
	if (r == 0 && s->alerts)
		r = alerts_open(s->alerts, s->container, e);
	if (r == 0)
		r = open_notify(rq, &notify, s, e);
	if (r == 0)
		r = container_start(rq->root, rq->id, NULL, e);
	if (r < 0) {
		supervise_end(s);
		s->container = NULL;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		remove_failed(rq);
		return r;
	}
	r = supervise_wait(s, pid, ret_status, e);
	s->notify = NULL;
	supervise_end(s);
	note_oom(s);
	/* Before the folder is gone: the end may have come before its reason was read. */
	if (s->budget)
		budget_watch_take(s->budget);
	if (r == 0)
		note_end(s, *ret_status);
	s->container = NULL;
	if (r < 0 || keep)
		return r;
	r = s->record ? container_delete_recorded(rq->root, rq->id, true, s->record, e) :
			container_delete(rq->root, rq->id, true, e);
	/* What its monitor told last: the file is open still. */
	if (s->alerts)
		supervise_tell_alerts(s);
	return r;
}

static int run_detached(const struct container_create_request *rq, struct err *e)
{
	pid_t pid;
	int r;

	r = container_create(rq, &pid, e);
	if (r < 0)
		return r;
	r = container_start(rq->root, rq->id, rq->notify_socket, e);
	if (r < 0)
		remove_failed(rq);
	return r;
}

int container_run(struct container_run_request *rq, int *ret_status, struct err *e)
{
	_supervise_end_ struct supervise s = SUPERVISE_EMPTY;
	int r;

	if (rq->detach) {
		*ret_status = 0;
		return run_detached(&rq->create, e);
	}
	r = supervise_begin(&s, !rq->no_subreaper, e);
	if (r < 0)
		return r;
	return container_run_supervised(&rq->create, &s, rq->keep, ret_status, e);
}
