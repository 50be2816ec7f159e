/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cgroup_watch.h. Runs in purple-monitor: cgroup_watch_open() as root, the rest as nobody.
 *
 * The kernel wakes who polls memory.events and pids.events; of v1's memory it writes to an eventfd
 * when there is none left, and tells nobody of other failures, nor anybody of a CPU that is
 * throttled: these are looked at each second, and less often while nothing changes.
 */
#include "audit/cgroup_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"

#define SECOND 1000000000ull
#define PAUSE_MAX (8 * SECOND)
#define SOON \
	(SECOND / 10) /* v1 tells that memory is short before it has killed anybody */

/* --- files --- */

/* -1 where it is not there. */
static int open_file(int dir, const char *name)
{
	return dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* "EVENTFD FD-OF-FILE" (admin-guide/cgroup-v1/memory, 10). */
static int watch_oom_v1(struct cgroup_watch *w, int dir, struct err *e)
{
	_close_ int control = openat(dir, "cgroup.event_control", O_WRONLY | O_CLOEXEC);
	char text[32];
	int n;

	if (control < 0)
		return err_sys(e, "cannot open cgroup.event_control");
	w->oom = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->oom < 0)
		return err_sys(e, "cannot make an event descriptor");
	n = snprintf(text, sizeof(text), "%d %d", w->oom, w->memory);
	if (write(control, text, (size_t)n) != n)
		return err_sys(e, "cannot watch memory.oom_control");
	return 0;
}

static void open_cpu(struct cgroup_watch *w, const struct cgroup_watch_dirs *dirs)
{
	w->cpu_v1 = dirs->cpu >= 0;
	w->cpu = open_file(w->cpu_v1 ? dirs->cpu : dirs->group, "cpu.stat");
	w->cpu_usage = open_file(dirs->cpuacct, "cpuacct.usage");
}

int cgroup_watch_open(const struct cgroup_watch_dirs *dirs, struct cgroup_watch *ret,
		      struct err *e)
{
	struct cgroup_watch w = CGROUP_WATCH_EMPTY;
	int r = 0;

	w.is_on = true;
	w.memory_v1 = dirs->memory >= 0;
	w.memory = w.memory_v1 ? open_file(dirs->memory, "memory.oom_control") :
				 open_file(dirs->group, "memory.events");
	w.failures = open_file(dirs->memory, "memory.failcnt");
	w.memory_peak = w.memory_v1 ? open_file(dirs->memory, "memory.max_usage_in_bytes") :
				      open_file(dirs->group, "memory.peak");
	w.pids = open_file(dirs->pids >= 0 ? dirs->pids : dirs->group, "pids.events");
	w.pids_peak = open_file(dirs->pids >= 0 ? dirs->pids : dirs->group, "pids.peak");
	open_cpu(&w, dirs);
	if (w.memory_v1 && w.memory >= 0)
		r = watch_oom_v1(&w, dirs->memory, e);
	*ret = w;
	return r;
}

/* The number behind `key` at the beginning of a line; of a file without keys (""), the first. */
static bool read_number(int fd, const char *key, uint64_t *ret)
{
	char text[2048], *at;
	size_t len = strlen(key);
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	for (at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) == 0 && (len == 0 || at[len] == ' ')) {
			*ret = strtoull(at + len, NULL, 10);
			return true;
		}
	}
	return false;
}

/* --- waiting --- */

void cgroup_watch_poll(const struct cgroup_watch *w, struct pollfd *ret)
{
	ret[0] = w->memory_v1 ? (struct pollfd){ .fd = w->oom, .events = POLLIN } :
				(struct pollfd){ .fd = w->memory, .events = POLLPRI };
	ret[1] = (struct pollfd){ .fd = w->pids, .events = POLLPRI };
}

uint64_t cgroup_watch_due(const struct cgroup_watch *w)
{
	return w->look_at;
}

static bool is_changed(const struct cgroup_watch *w)
{
	return memcmp(w->counts, w->told, sizeof(w->counts)) != 0;
}

static void read_memory(struct cgroup_watch *w)
{
	uint64_t *c = w->counts;

	if (w->memory_v1) {
		read_number(w->memory, "oom_kill", &c[CGROUP_LIMIT_OOM_KILL]);
		read_number(w->failures, "", &c[CGROUP_LIMIT_MEMORY_MAX]);
		return;
	}
	read_number(w->memory, "oom", &c[CGROUP_LIMIT_OOM]);
	read_number(w->memory, "oom_kill", &c[CGROUP_LIMIT_OOM_KILL]);
	read_number(w->memory, "high", &c[CGROUP_LIMIT_MEMORY_HIGH]);
	read_number(w->memory, "max", &c[CGROUP_LIMIT_MEMORY_MAX]);
}

static void read_cpu(struct cgroup_watch *w)
{
	uint64_t ns = 0;

	read_number(w->cpu, "nr_throttled", &w->counts[CGROUP_LIMIT_CPU]);
	if (w->cpu_v1 && read_number(w->cpu, "throttled_time", &ns))
		w->throttled_ns = ns;
	else if (read_number(w->cpu, "throttled_usec", &ns))
		w->throttled_ns = ns * 1000;
}

void cgroup_watch_read(struct cgroup_watch *w, uint64_t now)
{
	uint64_t rings = 0, now_short;

	if (!w->is_on)
		return;
	/* It rings also when the group is removed. */
	if (w->oom >= 0 && read(w->oom, &rings, sizeof(rings)) == sizeof(rings) &&
	    read_number(w->memory, "under_oom", &now_short))
		w->counts[CGROUP_LIMIT_OOM] += rings;
	read_memory(w);
	read_number(w->pids, "max", &w->counts[CGROUP_LIMIT_PIDS_MAX]);
	read_cpu(w);
	if (rings)
		w->pause = SOON;
	else if (is_changed(w) || !w->pause)
		w->pause = SECOND;
	else if (w->pause < PAUSE_MAX)
		w->pause *= 2;
	w->look_at = now + w->pause;
}

bool cgroup_watch_next(struct cgroup_watch *w, uint64_t now, bool all, struct cgroup_hit *ret)
{
	for (unsigned int i = 0; i < CGROUP_LIMITS; i++) {
		if (w->counts[i] <= w->told[i] || (!all && w->tell_at[i] > now))
			continue;
		*ret = (struct cgroup_hit){ .limit = i, .count = w->counts[i] - w->told[i] };
		if (i == CGROUP_LIMIT_CPU) {
			ret->throttled_ns = w->throttled_ns - w->told_throttled_ns;
			w->told_throttled_ns = w->throttled_ns;
		}
		w->told[i] = w->counts[i];
		w->tell_at[i] = now + SECOND;
		return true;
	}
	return false;
}

/* --- lines --- */

bool cgroup_hit_is_violation(const struct cgroup_hit *x)
{
	return x->limit == CGROUP_LIMIT_OOM || x->limit == CGROUP_LIMIT_OOM_KILL ||
	       x->limit == CGROUP_LIMIT_PIDS_MAX;
}

void cgroup_hit_print(const struct audit_head *h, const struct cgroup_hit *x, struct buf *out)
{
	static const char *const actions[] = {
		[CGROUP_LIMIT_OOM] = "oom",
		[CGROUP_LIMIT_OOM_KILL] = "oom_kill",
		[CGROUP_LIMIT_MEMORY_HIGH] = "memory_high",
		[CGROUP_LIMIT_MEMORY_MAX] = "memory_max",
		[CGROUP_LIMIT_PIDS_MAX] = "pids_max",
		[CGROUP_LIMIT_CPU] = "cpu_throttled",
	};

	audit_event_begin(out, h, "limit", actions[x->limit]);
	buf_addf(out, ",\"count\":%" PRIu64, x->count);
	if (x->limit == CGROUP_LIMIT_CPU)
		buf_addf(out, ",\"throttled\":%" PRIu64, x->throttled_ns);
	audit_event_close(out);
}

struct usage_line {
	struct buf *out;
	const char *comma;
};

static void add_number(struct usage_line *l, const char *name, uint64_t n)
{
	buf_addf(l->out, "%s\"%s\":%" PRIu64, l->comma, name, n);
	l->comma = ",";
}

static void add_file(struct usage_line *l, int fd, const char *key, const char *name,
		     uint64_t unit)
{
	uint64_t n;

	if (read_number(fd, key, &n))
		add_number(l, name, n * unit);
}

void cgroup_usage_print(const struct cgroup_watch *w, const struct audit_head *h,
			struct buf *out)
{
	struct usage_line l = { out, "" };

	audit_event_begin(out, h, "usage", NULL);
	buf_adds(out, ",\"usage\":{");
	add_file(&l, w->memory_peak, "", "memory_peak", 1);
	add_file(&l, w->pids_peak, "", "processes_peak", 1);
	if (w->cpu_usage >= 0)
		add_file(&l, w->cpu_usage, "", "cpu_ns", 1);
	else
		add_file(&l, w->cpu, "usage_usec", "cpu_ns", 1000);
	if (w->cpu >= 0)
		add_number(&l, "throttled_ns", w->throttled_ns);
	if (w->memory >= 0)
		add_number(&l, "oom_kills", w->counts[CGROUP_LIMIT_OOM_KILL]);
	if (w->pids >= 0)
		add_number(&l, "processes_refused", w->counts[CGROUP_LIMIT_PIDS_MAX]);
	buf_adds(out, "}");
	audit_event_close(out);
}
