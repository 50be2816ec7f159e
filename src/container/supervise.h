/* SPDX-License-Identifier: Apache-2.0 */
/* Standing in front of a container's process: its exit code, signals, and the caller's terminal. */
#ifndef PURPLE_CONTAINER_SUPERVISE_H
#define PURPLE_CONTAINER_SUPERVISE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "cgroup/cgroup.h"

struct alerts;
struct budget_watch;
struct container;
struct notify;
struct run_record;

struct supervise {
	int sigfd;
	int master;	/* the container's terminal; -1: none */
	bool raw;	/* the caller's terminal is in raw mode */
	long timeout_s; /* 0: none. Then TERM, and KILL 10 s later */
	bool timed_out; /* set when the time-out ended it */
	int killed_by; /* last signal of TERM, INT, HUP, QUIT that was handed on; 0: none */
	bool kill_on_oom; /* the whole container dies when its memory limit is hit */
	bool oom_killed;  /* set when processes died of the memory limit */
	const struct cgroup *cgroup; /* with kill_on_oom; set by container_run_supervised() */
	int oom_fd;		     /* cgroup_watch_oom(); -1: none */
	int monitor_fd;		     /* monitor_watch(); -1: none */
	struct budget_watch *budget; /* of LLM calls; what it says goes to stderr; NULL: not told */
	struct alerts *alerts; /* what it is denied goes to stderr; NULL: it is not told */
	const struct container *container; /* why it ends is noted there; NULL: nowhere */
	struct run_record *record;	   /* of the run, at its end; NULL: nobody asks */
	struct notify *notify; /* the program's messages to a service manager; NULL: none */
};

#define SUPERVISE_EMPTY                                                   \
	{                                                                 \
		.sigfd = -1, .master = -1, .oom_fd = -1, .monitor_fd = -1 \
	}

/* Blocks the signals that will be handed on. Before anything is started: none may be lost. */
int supervise_begin(struct supervise *s, bool subreaper, struct err *e);

/* Takes the terminal's master over: raw mode, size, proxying in supervise_wait(). */
int supervise_terminal(struct supervise *s, int master, struct err *e);

/* Until pid, a child of the caller, ends. *ret_status is its exit code, 128+n for a signal. */
int supervise_wait(struct supervise *s, pid_t pid, int *ret_status, struct err *e);

/* What it was denied since the last time, to stderr. */
void supervise_tell_alerts(struct supervise *s);

/* Restores the terminal. Safe to call at any time, and twice. */
void supervise_end(struct supervise *s);
#define _supervise_end_ __attribute__((cleanup(supervise_end)))

#endif
