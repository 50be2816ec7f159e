/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime events: a container's figures, once or again and again, and what befalls it. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

#define INTERVAL_DEFAULT "5s"

struct events_options {
	const char *interval;
	bool stats;
};

static const struct option_row rows[] = {
	OPTION(events_options, stats, "stats", 0, OPTION_FLAG, NULL,
	       "print the figures once, and end"),
	OPTION(events_options, interval, "interval", 0, OPTION_STRING, "DURATION",
	       "time between figures, as in 500ms, 5s or 1m30s (default " INTERVAL_DEFAULT
	       ")"),
	{},
};

static double unit_in_ms(const char *text, const char **ret_rest)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = { { "ms", 1 },   { "us", 1e-3 },  { "ns", 1e-6 },	  { "s", 1000 },
		      { "m", 60e3 }, { "h", 3600e3 }, { "\u00b5s", 1e-3 } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (str_has_prefix(text, units[i].name)) {
			*ret_rest = text + strlen(units[i].name);
			return units[i].ms;
		}
	}
	return 0;
}

/* Go's notation of durations, since that is what callers of runc write. In milliseconds, of which
 * poll() can wait INT_MAX. */
static int parse_interval(const char *text, int *ret_ms, struct err *e)
{
	const char *at = text;
	double ms = 0, unit;

	do {
		size_t digits = strspn(at, "0123456789."), end;
		char *rest;
		double n;

		/* Not what strtod() takes besides: signs, exponents, infinity. */
		if (digits == 0)
			goto bad;
		n = strtod(at, &rest);
		end = (size_t)(rest - at);
		unit = end == digits ? unit_in_ms(rest, &at) : 0;
		if (unit == 0)
			goto bad;
		ms += n * unit;
	} while (*at);
	if (ms <= 0 || ms > INT_MAX)
		return err_set(e, ERR_USAGE, ERANGE,
			       "--interval %s: expected more than 0, and at most 596 hours",
			       text);
	*ret_ms = ms < 1 ? 1 : (int)ms;
	return 0;
bad:
	return err_set(e, ERR_USAGE, EINVAL,
		       "--interval '%s' is no duration: expected one as in 500ms, 5s or 1m30s",
		       text);
}

/* One line. *ret_gone: nobody reads any more, which is no failure. */
static int write_line(const struct buf *b, bool *ret_gone, struct err *e)
{
	int r = b->failed ? -ENOMEM : fd_write_all(STDOUT_FILENO, b->s, b->len);

	*ret_gone = r == -EPIPE;
	return r < 0 && r != -EPIPE ? err_errno(e, r, "cannot write to stdout") : 0;
}

static int print_stats(const struct container *c, bool *ret_gone, struct err *e)
{
	_buf_free_ struct buf out = {};
	int r = container_stats_document(c, &out, e);

	if (r < 0)
		return r;
	buf_adds(&out, "\n");
	return write_line(&out, ret_gone, e);
}

static int print_oom(const struct container *c, bool *ret_gone, struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_addf(&out, "{\"type\":\"oom\",\"id\":\"%s\"}\n", c->st.id);
	return write_line(&out, ret_gone, e);
}

/* Until the container's init has ended, or the reader. */
static int stream(const struct container *c, int interval, int pidfd,
		  struct cgroup_oom_watch *oom, struct err *e)
{
	int64_t next = clock_ms(CLOCK_MONOTONIC) + interval;
	bool gone = false;
	int r = 0;

	while (r == 0 && !gone) {
		struct pollfd p[] = { { .fd = pidfd, .events = POLLIN },
				      { .fd = oom->fd, .events = POLLIN },
				      { .fd = STDOUT_FILENO } };
		int64_t left = next - clock_ms(CLOCK_MONOTONIC);

		if (poll(p, ARRAY_SIZE(p), left > 0 ? (int)left : 0) < 0) {
			if (errno != EINTR)
				return err_sys(e, "cannot wait for events");
			continue;
		}
		if (p[1].revents && cgroup_oom_watch_take(oom))
			r = print_oom(c, &gone, e);
		if (p[0].revents || (p[2].revents & POLLERR))
			return r;
		if (r < 0 || gone || clock_ms(CLOCK_MONOTONIC) < next)
			continue;
		next = clock_ms(CLOCK_MONOTONIC) + interval;
		r = print_stats(c, &gone, e);
		/* The group may go while it is read: then so did the container. */
		if (r < 0 && !process_is_alive(c->st.pid, c->st.pid_start))
			return 0;
	}
	return r;
}

static int stream_events(const struct container *c, int interval, struct err *e)
{
	_cgroup_oom_watch_close_ struct cgroup_oom_watch oom = CGROUP_OOM_WATCH_EMPTY;
	_close_ int pidfd = (int)syscall(SYS_pidfd_open, c->st.pid, 0);
	int r;

	if (pidfd < 0 || !process_is_alive(c->st.pid, c->st.pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "no such process");
	r = cgroup_oom_watch_open(c->st.cgroup, &oom, e);
	return r < 0 ? r : stream(c, interval, pidfd, &oom, e);
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct runtime_globals *g = global;
	const struct events_options *o = opts;
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	bool gone;
	int interval = 0, r;

	r = parse_interval(o->interval ? o->interval : INTERVAL_DEFAULT, &interval, e);
	if (r == 0)
		r = container_open(g->root, args[0], false, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ERR_NOT_RUNNING, ESRCH,
			       "a container that does not run has no events");
	if (!c.st.cgroup || c.st.cgroup->mode == CGROUP_NONE)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "the container has no cgroup: there are no figures of it");
	return o->stats ? print_stats(&c, &gone, e) : stream_events(&c, interval, e);
}

const struct command events_command = {
	.name = "events",
	.arguments = "ID",
	.help = "Print what a container uses, and when it runs out of memory.",
	.options = rows,
	.options_size = sizeof(struct events_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
