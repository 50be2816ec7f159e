/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a group, and signals to all of them. Runs in the runtime process.
 *
 * Signalling a list of pids races with fork. cgroup.kill has no such race; elsewhere the group
 * is frozen while its list is read and signalled.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "cgroup/internal.h"

/* Without a freezer: how often to look for processes forked meanwhile. */
#define KILL_ROUNDS 100

static int add_pids(const char *dir, cgroup_pid_list *ret, struct err *e)
{
	_free_ char *text = NULL;
	char *line, *save = NULL;
	int r;

	r = cgroup_read(dir, "cgroup.procs", &text);
	if (r == -ENOENT || r == -ENODEV)
		return 0;
	/* A threaded sub-group: its processes stand in the group above. */
	if (r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return err_errno(e, r, "cannot read '%s/cgroup.procs'", dir);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int32_t pid;
		pid_t *at;

		r = num_i32(line, &pid);
		/* kill() would reach far beyond the group with it. */
		if (r == 0 && pid < 0)
			r = -EINVAL;
		if (r < 0)
			return err_errno(e, r, "'%s/cgroup.procs': '%s'", dir, line);
		if (pid == 0) /* in a pid namespace out of our sight */
			continue;
		at = list_add(ret);
		if (!at)
			return err_oom(e);
		*at = pid;
	}
	return 0;
}

/* Adds the sub-groups of `dir` to the list of directories still to be read. */
static int add_children(const char *dir, struct strv *todo, struct err *e)
{
	_closedir_ DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return errno == ENOENT || errno == ENODEV ?
			       0 :
			       err_sys(e, "cannot read cgroup '%s'", dir);
	while ((entry = readdir(d))) {
		_free_ char *child = NULL;

		if (entry->d_type != DT_DIR || streq(entry->d_name, ".") ||
		    streq(entry->d_name, ".."))
			continue;
		child = fs_join(dir, entry->d_name);
		if (!child || strv_add(todo, child) < 0)
			return err_oom(e);
	}
	return 0;
}

int cgroup_dir_pids(const char *dir, cgroup_pid_list *ret, struct err *e)
{
	_strv_free_ struct strv todo = {};
	int r;

	if (strv_add(&todo, dir) < 0)
		return err_oom(e);
	while (todo.n > 0) {
		_free_ char *at = strdup(todo.v[todo.n - 1]);

		if (!at)
			return err_oom(e);
		strv_remove(&todo, todo.n - 1);
		r = add_pids(at, ret, e);
		if (r == 0)
			r = add_children(at, &todo, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_pids(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

/* Every process is in every hierarchy, so one is enough. */
static const char *any_dir(const struct cgroup *cg)
{
	if (cg->unified)
		return cg->unified;
	return cg->v1.n ? cg->v1.v[0] : NULL;
}

int cgroup_pids(const struct cgroup *cg, cgroup_pid_list *ret, struct err *e)
{
	const char *dir = any_dir(cg);
	cgroup_pid_list l = {};
	size_t kept = 0;
	int r;

	if (dir) {
		r = cgroup_dir_pids(dir, &l, e);
		if (r < 0) {
			free(l.v);
			return r;
		}
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), compare_pids);
	for (size_t i = 0; i < l.n; i++)
		if (kept == 0 || l.v[kept - 1] != l.v[i])
			l.v[kept++] = l.v[i];
	l.n = kept;
	*ret = l;
	return 0;
}

static bool is_known(const cgroup_pid_list *l, pid_t pid)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i] == pid)
			return true;
	return false;
}

/* Signals whoever is not in `done` yet, and adds them; *ret_new is how many these were. */
static int signal_round(const struct cgroup *cg, int signum, cgroup_pid_list *done,
			size_t *ret_new, struct err *e)
{
	cgroup_pid_list now = {};
	size_t fresh = 0;
	int r = cgroup_pids(cg, &now, e);

	for (size_t i = 0; r == 0 && i < now.n; i++) {
		pid_t *at;

		if (is_known(done, now.v[i]))
			continue;
		if (kill(now.v[i], signum) < 0 && errno != ESRCH) {
			r = err_sys(e, "cannot signal process %d", (int)now.v[i]);
			break;
		}
		fresh++;
		at = list_add(done);
		if (!at)
			r = err_oom(e);
		else
			*at = now.v[i];
	}
	free(now.v);
	*ret_new = fresh;
	return r;
}

/* Signals all, and then whoever they forked before the signal reached them. */
static int signal_all(const struct cgroup *cg, int signum, struct err *e)
{
	cgroup_pid_list done = {};
	size_t fresh = 1;
	int r = 0;

	for (int i = 0; r == 0 && fresh && i < KILL_ROUNDS; i++)
		r = signal_round(cg, signum, &done, &fresh, e);
	free(done.v);
	if (r == 0 && fresh)
		return err_set(e, ERR_KERNEL, EAGAIN,
			       "cgroup '%s' makes processes faster than they can be signalled",
			       cg->path);
	return r;
}

static bool holds_caller(const struct cgroup *cg)
{
	cgroup_pid_list l = {};
	struct err ignored;
	bool found;

	found = cgroup_pids(cg, &l, &ignored) == 0 && is_known(&l, getpid());
	free(l.v);
	return found;
}

int cgroup_kill(const struct cgroup *cg, int signum, struct err *e)
{
	bool was_frozen = false, froze = false, has_freezer;
	const char *freezer;
	struct err ignored;
	int r;

	if (!any_dir(cg))
		return 0;
	if (signum == SIGKILL && cg->unified && cgroup_has_file(cg->unified, "cgroup.kill")) {
		r = cgroup_write(cg->unified, "cgroup.kill", "1");
		if (r < 0 && r != -ENOENT && r != -ENODEV)
			return err_errno(e, r, "cannot write '1' to '%s/cgroup.kill'",
					 cg->unified);
		/* Frozen by the v1 freezer they do not die before they are thawed. */
		freezer = strmap_get(&cg->v1, "freezer");
		return freezer && cgroup_has_file(freezer, "freezer.state") ?
			       cgroup_freeze(cg, false, e) :
			       0;
	}
	r = cgroup_is_frozen(cg, &was_frozen, e);
	if (r < 0)
		return r;
	has_freezer = cg->unified || strmap_get(&cg->v1, "freezer");
	/* A group that does not freeze is still signalled, in rounds. */
	if (!was_frozen && has_freezer && !holds_caller(cg))
		froze = cgroup_freeze(cg, true, &ignored) == 0;
	r = signal_all(cg, signum, e);
	if (froze || (was_frozen && signum == SIGKILL)) {
		int thawed = cgroup_freeze(cg, false, r < 0 ? &ignored : e);

		if (r == 0)
			r = thawed;
	}
	return r;
}
