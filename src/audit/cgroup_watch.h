/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What limits of a control group are hit: lines of type "limit", and what was used at the end, of
 * type "usage". The files are opened as root; reading and waiting takes no privilege.
 */
#ifndef PURPLE_AUDIT_CGROUP_WATCH_H
#define PURPLE_AUDIT_CGROUP_WATCH_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/event.h"
#include "base/err.h"
#include "base/str.h"

enum cgroup_limit {
	CGROUP_LIMIT_OOM,      /* memory was short, and not to be had */
	CGROUP_LIMIT_OOM_KILL, /* processes were killed for it */
	CGROUP_LIMIT_MEMORY_HIGH,
	CGROUP_LIMIT_MEMORY_MAX,
	CGROUP_LIMIT_PIDS_MAX,
	CGROUP_LIMIT_CPU, /* periods in which it was throttled */
	CGROUP_LIMITS,
};

/* Descriptors that wake who waits: memory.events or an eventfd of v1, pids.events. */
#define CGROUP_WATCH_WAKERS 2

struct cgroup_watch {
	bool is_on, memory_v1, cpu_v1;
	int memory; /* memory.events, or memory.oom_control of v1; -1: not limited here */
	int failures; /* memory.failcnt of v1 */
	int oom;      /* eventfd of v1 */
	int pids;     /* pids.events */
	int cpu;      /* cpu.stat */
	int memory_peak, cpu_usage, pids_peak;
	uint64_t counts[CGROUP_LIMITS], told[CGROUP_LIMITS];
	uint64_t throttled_ns, told_throttled_ns;
	uint64_t look_at, pause; /* CLOCK_BOOTTIME */
	uint64_t tell_at[CGROUP_LIMITS];
};
#define CGROUP_WATCH_EMPTY                                                      \
	{                                                                       \
		.memory = -1, .failures = -1, .oom = -1, .pids = -1, .cpu = -1, \
		.memory_peak = -1, .cpu_usage = -1, .pids_peak = -1             \
	}

/* Directories of cgroup2 and of v1 controllers, -1 where there is none: borrowed. */
struct cgroup_watch_dirs {
	int group, memory, pids, cpu, cpuacct;
};

/* Opens what is there of them. Should: be called as root, or as who may write the group. */
int cgroup_watch_open(const struct cgroup_watch_dirs *dirs, struct cgroup_watch *ret,
		      struct err *e);
/* What to poll() for: CGROUP_WATCH_WAKERS of them. */
void cgroup_watch_poll(const struct cgroup_watch *w, struct pollfd *ret);
/* When it is to be read though nothing woke; 0: never. */
uint64_t cgroup_watch_due(const struct cgroup_watch *w);
/* Woken or due: reads all. `now`: CLOCK_BOOTTIME */
void cgroup_watch_read(struct cgroup_watch *w, uint64_t now);

struct cgroup_hit {
	enum cgroup_limit limit;
	uint64_t count; /* since the last time that it was told */
	uint64_t throttled_ns;
};
/*
 * A limit that was hit and not told: one after the other, each once a second at most; `all`: the
 * end has come, now. False: there is none.
 */
bool cgroup_watch_next(struct cgroup_watch *w, uint64_t now, bool all,
		       struct cgroup_hit *ret);

/* Not what is but slow, or nearly there. */
bool cgroup_hit_is_violation(const struct cgroup_hit *x);
void cgroup_hit_print(const struct audit_head *h, const struct cgroup_hit *x,
		      struct buf *out);
/* What was used, as far as it is known. */
void cgroup_usage_print(const struct cgroup_watch *w, const struct audit_head *h,
			struct buf *out);

#endif
