/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stopping and continuing all processes of a group. Runs in the runtime process.
 *
 * On hybrid hosts the v1 freezer is used, since engines look for it there. A process frozen by it
 * does not even die of SIGKILL until it is thawed (cgroup_kill() does that); one frozen by
 * cgroup2 does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

#define FREEZE_TIMEOUT_MS 10000
/* A v1 group can stick in FREEZING (a task in an uninterruptible fork): let it run and retry. */
#define V1_RETRY_MS 500

static int err_timeout(struct err *e, const char *dir, bool frozen)
{
	if (frozen)
		return err_set(e, ERR_KERNEL, ETIMEDOUT,
			       "cannot freeze cgroup '%s': a process did not stop within %d s",
			       dir, FREEZE_TIMEOUT_MS / 1000);
	return err_set(e, ERR_KERNEL, ETIMEDOUT,
		       "cannot thaw cgroup '%s': it is still frozen, which a group above may cause",
		       dir);
}

/* --- cgroup2 --- */

static bool events_say_frozen(const char *text)
{
	return strstr(text, "frozen 1") != NULL;
}

/* The kernel may leave "frozen 1" for good on a group whose last processes died while it was
 * frozen (seen on 6.18): a group without processes is not frozen, whatever it says. */
static bool events_hold_someone(const char *text)
{
	return events_say_frozen(text) && !strstr(text, "populated 0");
}

/* Waits for cgroup.events to say so; the kernel notifies its readers with POLLPRI. */
static int v2_wait(int fd, bool frozen)
{
	int64_t now = clock_ms(CLOCK_MONOTONIC), deadline = now + FREEZE_TIMEOUT_MS;
	char text[256];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (frozen ? events_say_frozen(text) : !events_hold_someone(text))
			return 0;
		now = clock_ms(CLOCK_MONOTONIC);
		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
			return -errno;
	}
}

static int v2_freeze(const char *dir, bool frozen, struct err *e)
{
	_free_ char *events = fs_join(dir, "cgroup.events");
	_close_ int fd = -1;
	int r;

	if (!events)
		return err_oom(e);
	fd = open(events, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", events);
	r = cgroup_write(dir, "cgroup.freeze", frozen ? "1" : "0");
	if (r < 0)
		return err_errno(e, r, "cannot write '%d' to '%s/cgroup.freeze'", frozen,
				 dir);
	r = v2_wait(fd, frozen);
	if (r == 0)
		return 0;
	if (frozen)
		cgroup_write(dir, "cgroup.freeze", "0");
	return r == -ETIMEDOUT ? err_timeout(e, dir, frozen) :
				 err_errno(e, r, "cannot read '%s'", events);
}

/* --- v1 --- */

static int v1_is(const char *dir, const char *state, bool *ret, struct err *e)
{
	_free_ char *text = NULL;
	int r = cgroup_read(dir, "freezer.state", &text);

	if (r < 0)
		return err_errno(e, r, "cannot read '%s/freezer.state'", dir);
	*ret = cgroup_has_word(text, state);
	return 0;
}

static int v1_write(const char *dir, bool frozen, struct err *e)
{
	const char *state = frozen ? "FROZEN" : "THAWED";
	int r = cgroup_write(dir, "freezer.state", state);

	return r < 0 ? err_errno(e, r, "cannot write '%s' to '%s/freezer.state'", state,
				 dir) :
		       0;
}

static int v1_wait(const char *dir, bool frozen, struct err *e)
{
	int64_t start = clock_ms(CLOCK_MONOTONIC), last = start;
	unsigned int wait = 1;

	for (;;) {
		bool reached = false;
		int64_t now;
		int r = v1_is(dir, frozen ? "FROZEN" : "THAWED", &reached, e);

		if (r < 0 || reached)
			return r;
		now = clock_ms(CLOCK_MONOTONIC);
		if (now - start >= FREEZE_TIMEOUT_MS)
			return err_timeout(e, dir, frozen);
		if (frozen && now - last >= V1_RETRY_MS) {
			last = now;
			r = v1_write(dir, false, e);
			if (r == 0)
				r = v1_write(dir, true, e);
			if (r < 0)
				return r;
		}
		cgroup_sleep_ms(wait);
		wait = wait < 16 ? wait * 2 : wait;
	}
}

static int v1_freeze(const char *dir, bool frozen, struct err *e)
{
	struct err ignored;
	int r = v1_write(dir, frozen, e);

	if (r < 0)
		return r;
	r = v1_wait(dir, frozen, e);
	if (r < 0 && frozen)
		v1_write(dir, false, &ignored);
	return r;
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e)
{
	const char *v1 = strmap_get(&cg->v1, "freezer");

	if (v1)
		return v1_freeze(v1, frozen, e);
	if (cg->unified)
		return v2_freeze(cg->unified, frozen, e);
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "cannot %s: the container has no cgroup with a freezer",
		       frozen ? "pause" : "resume");
}

static int open_file(const char *dir, const char *name, int *ret_fd, struct err *e)
{
	_free_ char *path = dir ? fs_join(dir, name) : NULL;

	*ret_fd = -1;
	if (!dir)
		return 0;
	if (!path)
		return err_oom(e);
	*ret_fd = open(path, O_WRONLY | O_CLOEXEC);
	return *ret_fd < 0 && errno != ENOENT ? err_sys(e, "cannot open '%s'", path) : 0;
}

int cgroup_open_freezer(const struct cgroup *cg, int *ret_fd, struct err *e)
{
	const char *v1 = strmap_get(&cg->v1, "freezer");

	return v1 ? open_file(v1, "freezer.state", ret_fd, e) :
		    open_file(cg->unified, "cgroup.freeze", ret_fd, e);
}

int cgroup_open_kill(const struct cgroup *cg, int *ret_fd, struct err *e)
{
	return open_file(cg->unified, "cgroup.kill", ret_fd, e);
}

int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct err *e)
{
	const char *v1 = strmap_get(&cg->v1, "freezer");
	_free_ char *text = NULL;
	struct err why;
	int r;

	if (v1) {
		r = v1_is(v1, "FROZEN", ret, &why);
		if (r < 0 && r != -ENOENT && r != -ENODEV)
			*e = why;
	} else if (cg->unified) {
		r = cgroup_read(cg->unified, "cgroup.events", &text);
		if (r == 0)
			*ret = events_hold_someone(text);
		else if (r != -ENOENT && r != -ENODEV)
			err_errno(e, r, "cannot read '%s/cgroup.events'", cg->unified);
	} else {
		r = -ENOENT;
	}
	/* A group that is gone, or never was, is not frozen. */
	if (r == -ENOENT || r == -ENODEV) {
		*ret = false;
		return 0;
	}
	return r;
}
