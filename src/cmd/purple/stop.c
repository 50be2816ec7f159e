/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple stop: TERM, and KILL when that does not end it. Runs with the caller's privileges. What is
 * removed is removed by the container's owner: the supervisor of `purple run`, or an engine.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "base/num.h"
#include "cmd/purple/purple.h"
#include "container/container.h"

#define DEFAULT_WAIT_S 10
/* For the owner to notice and to take away what belongs to the container. */
#define REMOVE_WAIT_S 10
#define PAUSE_MS 20

struct stop_options {
	const char *time;
};

static const struct option_row rows[] = {
	OPTION(stop_options, time, "time", 't', OPTION_STRING, "SECONDS",
	       "how long to wait before KILL (default 10)"),
	{},
};

/* How far the end of a container is. */
enum progress {
	RUNS,
	STOPPED, /* its supervisor is still to remove it */
	GONE,	 /* removed, or stopped and left to its engine */
};

static int look(const char *root, const char *id, enum progress *ret, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	int r = container_open(root, id, false, &c, e);

	if (r < 0 && e->kind == ERR_NOT_EXIST) {
		*ret = GONE;
		return 0;
	}
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status != CONTAINER_STOPPED)
		*ret = RUNS;
	else if (c.st.supervisor && process_is_alive(c.st.supervisor, c.st.supervisor_start))
		*ret = STOPPED;
	else
		*ret = GONE;
	return 0;
}

/* Until it is as far as `wanted`, or the time is over. */
static int wait_until(const char *root, const char *id, enum progress wanted,
		      uint32_t seconds, enum progress *ret, struct err *e)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000 * 1000 };
	uint64_t left = (uint64_t)seconds * 1000 / PAUSE_MS;

	for (;;) {
		int r = look(root, id, ret, e);

		if (r < 0 || *ret >= wanted || left-- == 0)
			return r;
		nanosleep(&pause, NULL);
	}
}

/* It may end by itself meanwhile. */
static int send(const char *root, const char *id, int signum, struct err *e)
{
	int r = container_kill(root, id, signum, false, e);

	return r < 0 && (e->kind == ERR_NOT_RUNNING || e->kind == ERR_NOT_EXIST) ? 0 : r;
}

static int stop_one(const char *root, const char *id, uint32_t seconds, struct err *e)
{
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum progress progress;
	int r;

	r = container_open(root, id, false, &c, e); /* for its error */
	if (r == 0)
		r = send(root, id, SIGTERM, e);
	if (r == 0)
		r = wait_until(root, id, STOPPED, seconds, &progress, e);
	if (r == 0 && progress == RUNS)
		r = send(root, id, SIGKILL, e);
	if (r == 0)
		r = wait_until(root, id, GONE, REMOVE_WAIT_S, &progress, e);
	if (r < 0)
		return r;
	if (progress == RUNS)
		return err_set(e, ERR_STATE, ETIMEDOUT, "'%s' does not stop", id);
	if (progress == STOPPED)
		return err_set(e, ERR_STATE, ETIMEDOUT,
			       "'%s' has stopped, but its supervisor (process %d) does not remove it",
			       id, c.st.supervisor);
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct stop_options *o = opts;
	uint32_t seconds = DEFAULT_WAIT_S;
	struct err one;
	int first = 0;

	if (o->time && num_u32(o->time, &seconds) < 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "option '--time' needs a number, not '%s'", o->time);
	/* One that fails does not keep the others running. */
	for (int i = 0; i < n; i++) {
		if (stop_one(g->root, args[i], seconds, &one) == 0)
			continue;
		if (first < 0) {
			struct err before = *e;

			err_set(e, before.kind, before.code, "%.600s; %.600s", before.msg,
				one.msg);
		} else {
			*e = one;
			first = -one.code;
		}
	}
	return first;
}

const struct command purple_stop_command = {
	.name = "stop",
	.arguments = "ID...",
	.help = "End sandboxes: TERM, and KILL after a time.",
	.options = rows,
	.options_size = sizeof(struct stop_options),
	.min_args = 1,
	.max_args = -1,
	.run = run,
};
