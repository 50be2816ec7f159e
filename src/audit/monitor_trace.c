/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is traced of the container: two rings of the kernel's (bpf/audit.h), and a table of system
 * calls. Runs in purple-monitor: monitor_trace_make() as root, the rest as nobody.
 *
 * Neither ring waits for us. They wake us when we sleep on them, and else at each eighth that
 * fills: while there is something in one, it is looked at every LOOK_NS. When the recorder is
 * behind, the bulk ring is left alone: what it cannot hold is counted by the kernel, and told as
 * lost.
 */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "audit/protocol.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"

#define LOOK_NS (SECOND / 20)
#define COUNT_NS (5 * SECOND)

/* --- lines --- */

static struct audit_head trace_head(struct monitor *m, uint64_t at)
{
	/* Numbers of their own: events.jsonl has few of these lines. */
	return monitor_head_numbered(m, at, ++m->trace.sequence);
}

/* Not what is done, if by few: another user, more capabilities. Texts of others are quoted. */
static bool is_violation(uint32_t levels, const struct buf *line)
{
	static const char verdict[] = ",\"verdict\":\"deny\"";

	return (levels & AUDIT_SECURITY_EVENTS) && !line->failed &&
	       memmem(line->s, line->len, verdict, sizeof(verdict) - 1);
}

/* Of what there may be too much, events.jsonl has violations. */
static void record_line(struct monitor *m, uint32_t levels)
{
	struct buf *line = &m->trace.line;

	if (is_violation(levels, line))
		levels |= AUDIT_ALERT;
	if ((levels & AUDIT_ALERT) &&
	    pace_allows(&m->trace.violations, clock_ns(CLOCK_BOOTTIME)))
		monitor_tell(m, levels, line, false);
	else
		monitor_record(m, levels, line);
	if (line->failed) {
		buf_free(line);
		*line = (struct buf){};
	}
}

/* What Purple itself did to set the container up; or the filter has told of it, with its rule. */
static bool is_left_out(const struct monitor *m, const struct trace_head *h)
{
	if (h->flags & TRACE_SETUP)
		return true;
	return m->network.is_on && (h->type == TRACE_CONNECT || h->type == TRACE_BIND) &&
	       ((const struct trace_socket *)(const void *)h)->verdict ==
		       TRACE_VERDICT_DENIED;
}

static void note_exit(struct monitor *m, const struct trace_exit *x)
{
	for (size_t i = 0; m->trace.calls && i < TRACE_COUNTS_MAX; i++)
		if (m->trace.counts[i].what >> 32 == x->head.pid)
			m->trace.calls[i].is_over = true;
	if (x->head.pid == m->trace.init_pid)
		m->trace.exit = (struct audit_exit){ true, x->code, x->signal };
}

/* Those that an event stands for besides itself. */
static void note_count(struct monitor_trace *t, const struct trace_head *h)
{
	const void *x = h;
	uint64_t count = 1;

	if (h->type == TRACE_DENIED)
		count = ((const struct trace_denied *)x)->count;
	else if (h->type == TRACE_PRIVILEGE)
		count = ((const struct trace_privilege *)x)->count;
	if (count)
		t->merged[h->type] += count - 1;
}

static void tell_event(struct monitor *m, const void *data, size_t size)
{
	const struct trace_head *h = data;
	struct audit_head head;
	uint32_t levels;

	m->trace.read++;
	if (!trace_event_is_whole(data, size)) {
		m->now.trace++;
		return;
	}
	note_count(&m->trace, h);
	if (h->type == TRACE_EXIT && !(h->flags & TRACE_THREAD))
		note_exit(m, data);
	if (is_left_out(m, h))
		return;
	/* Whoever connects has asked for the name before. */
	if (h->type == TRACE_CONNECT)
		monitor_network_read_names(m);
	m->trace.line.len = 0;
	head = trace_head(m, h->time);
	trace_event_print(&head, data, m->network.names, &m->trace.line, &levels);
	record_line(m, levels);
}

static int on_urgent(void *arg, void *data, size_t size)
{
	struct monitor *m = arg;

	tell_event(m, data, size);
	return m->trace.batch-- > 0 ? 0 : -EAGAIN;
}

static int on_bulk(void *arg, void *data, size_t size)
{
	struct monitor *m = arg;

	tell_event(m, data, size);
	return m->trace.batch-- > 0 && !monitor_record_is_full(m) ? 0 : -EAGAIN;
}

/* --- rings --- */

/* A batch. False: there may be more. When there was none it sleeps, if nothing has come meanwhile. */
static bool read_ring(struct monitor *m, struct monitor_ring *r)
{
	int n;

	monitor_expect_tick(m);
	r->is_asleep = false;
	m->trace.batch = BATCH;
	n = ring_buffer__consume(r->ring);
	/* After a whole batch at once, when others have had their turn. */
	r->look_at = n == -EAGAIN ? 1 : clock_ns(CLOCK_BOOTTIME) + LOOK_NS;
	if (n != 0)
		return n != -EAGAIN;
	__atomic_store_n(r->waiting, 1, __ATOMIC_SEQ_CST);
	m->trace.batch = BATCH;
	r->is_asleep = ring_buffer__consume(r->ring) == 0;
	return true;
}

bool monitor_trace_read_urgent(struct monitor *m)
{
	return !m->trace.is_on || read_ring(m, &m->trace.urgent);
}

bool monitor_trace_read_bulk(struct monitor *m)
{
	return !m->trace.is_on || monitor_record_is_full(m) || read_ring(m, &m->trace.bulk);
}

void monitor_trace_wake(struct monitor_ring *r)
{
	struct epoll_event unused;

	/* Edges: it is not ready again before the next wake-up, however much is left in it. */
	(void)!epoll_wait(r->wait, &unused, 1, 0);
	r->is_asleep = false;
	r->look_at = 1;
}

/* --- counts of system calls --- */

static void sift(struct trace_count *v, size_t root, size_t n)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		struct trace_count x = v[root];

		child += child + 1 < n && v[child].what < v[child + 1].what;
		if (v[child].what <= x.what)
			return;
		v[root] = v[child];
		v[child] = x;
	}
}

/* By process and call. A heap: qsort() asks the system how much memory there is. */
static void sort_counts(struct trace_count *v, size_t n)
{
	for (size_t i = n / 2; i > 0; i--)
		sift(v, i - 1, n);
	for (size_t end = n; end > 1; end--) {
		struct trace_count x = v[0];

		v[0] = v[end - 1];
		v[end - 1] = x;
		sift(v, 0, end - 1);
	}
}

/* The difference to what was told, of the elements that changed. */
static size_t take_counts(struct monitor_trace *t)
{
	size_t n = 0;

	for (size_t i = 0; i < TRACE_COUNTS_MAX; i++) {
		struct trace_count now = {
			.what = __atomic_load_n(&t->counts[i].what, __ATOMIC_RELAXED),
			.calls = __atomic_load_n(&t->counts[i].calls, __ATOMIC_RELAXED),
			.failed = __atomic_load_n(&t->counts[i].failed, __ATOMIC_RELAXED),
		};
		struct monitor_calls *last = &t->calls[i];

		if (now.what && (now.calls != last->calls || now.failed != last->failed))
			t->changed[n++] = (struct trace_count){ now.what,
								now.calls - last->calls,
								now.failed - last->failed };
		last->calls = now.calls;
		last->failed = now.failed;
		if (!last->is_over)
			continue;
		*last = (struct monitor_calls){};
		t->counts[i].calls = t->counts[i].failed = 0;
		__atomic_store_n(&t->counts[i].what, 0, __ATOMIC_RELEASE);
	}
	return n;
}

/* A call of a process may stand in more than one element. */
static size_t merge_counts(struct trace_count *v, size_t n)
{
	size_t k = 0;

	sort_counts(v, n);
	for (size_t i = 0; i < n; i++) {
		if (k > 0 && v[k - 1].what == v[i].what) {
			v[k - 1].calls += v[i].calls;
			v[k - 1].failed += v[i].failed;
		} else {
			v[k++] = v[i];
		}
	}
	return k;
}

static void tell_counts(struct monitor *m)
{
	struct monitor_trace *t = &m->trace;
	size_t n = merge_counts(t->changed, take_counts(t)), from = 0;

	for (size_t i = 1; i <= n; i++) {
		if (i < n && t->changed[i].what >> 32 == t->changed[from].what >> 32)
			continue;
		/* All of one process, in as many lines as that takes. */
		while (from < i) {
			struct audit_head head = trace_head(m, clock_ns(CLOCK_BOOTTIME));
			struct trace_calls_line x = { (uint32_t)(t->changed[from].what >> 32),
						      t->changed + from, i - from };

			t->line.len = 0;
			from += trace_event_calls(&head, &x, t->arch, &t->line);
			record_line(m, AUDIT_COUNTS);
		}
	}
}

/* --- repetitions --- */

/* At the end: those whose next event never came. */
static void tell_repeated(struct monitor *m)
{
	static const enum trace_type types[] = { TRACE_DENIED, TRACE_PRIVILEGE };
	struct monitor_trace *t = &m->trace;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		enum trace_type type = types[i];
		uint64_t merged = __atomic_load_n(&t->stats->merged[type], __ATOMIC_RELAXED);
		struct audit_head head;

		if (merged <= t->merged[type])
			continue;
		head = trace_head(m, clock_ns(CLOCK_BOOTTIME));
		t->line.len = 0;
		record_line(m, trace_event_repeated(&head, type, merged - t->merged[type],
						    &t->line));
	}
}

/* --- time --- */

uint64_t monitor_trace_due(struct monitor *m)
{
	struct monitor_trace *t = &m->trace;
	uint64_t due = 0;

	if (!t->is_on)
		return 0;
	if (!t->urgent.is_asleep)
		due = t->urgent.look_at;
	if (!t->bulk.is_asleep && !monitor_record_is_full(m) &&
	    (!due || t->bulk.look_at < due))
		due = t->bulk.look_at;
	if (t->calls && (!due || t->count_at < due))
		due = t->count_at;
	return due;
}

void monitor_trace_tick(struct monitor *m)
{
	struct monitor_trace *t = &m->trace;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);

	if (!t->is_on)
		return;
	if (!t->urgent.is_asleep && t->urgent.look_at <= now)
		monitor_trace_read_urgent(m);
	if (!t->bulk.is_asleep && t->bulk.look_at <= now)
		monitor_trace_read_bulk(m);
	if (t->calls && t->count_at <= now) {
		tell_counts(m);
		t->count_at = now + COUNT_NS;
	}
}

void monitor_trace_count_lost(struct monitor *m)
{
	struct monitor_trace *t = &m->trace;
	uint64_t lost = 0, *kinds = m->now.traced;

	if (!t->is_on)
		return;
	for (size_t i = 0; i < TRACE_TYPES; i++) {
		kinds[i] = __atomic_load_n(&t->stats->lost[i], __ATOMIC_RELAXED);
		lost += kinds[i];
	}
	kinds[TRACE_TYPES] = __atomic_load_n(&t->stats->uncounted, __ATOMIC_RELAXED);
	lost += kinds[TRACE_TYPES];
	m->now.trace += lost - t->lost;
	t->lost = lost;
}

/* What is in the rings when there is no more time for it. */
static void count_unread(struct monitor *m)
{
	struct monitor_trace *t = &m->trace;
	uint64_t sent = 0;

	for (size_t i = 0; i < TRACE_TYPES; i++)
		sent += __atomic_load_n(&t->stats->sent[i], __ATOMIC_RELAXED);
	if (sent > t->read)
		m->now.trace += sent - t->read;
}

/* The container is gone: nothing comes any more. */
void monitor_trace_drain(struct monitor *m)
{
	uint64_t until = clock_ns(CLOCK_BOOTTIME) + 2 * SECOND;

	if (!m->trace.is_on)
		return;
	while (!monitor_trace_read_urgent(m) && clock_ns(CLOCK_BOOTTIME) < until)
		monitor_record_push(m);
	while (clock_ns(CLOCK_BOOTTIME) < until &&
	       (monitor_record_is_full(m) || !monitor_trace_read_bulk(m))) {
		if (monitor_record_is_full(m))
			monitor_record_await(m, until);
		else
			monitor_record_push(m);
	}
	count_unread(m);
	tell_repeated(m);
	if (m->trace.calls)
		tell_counts(m);
}

/* --- life --- */

static void *map_shared(int fd, size_t size, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *p = mmap(NULL, (size + page - 1) / page * page, PROT_READ | PROT_WRITE,
		       MAP_SHARED, fd, 0);

	if (p != MAP_FAILED)
		return p;
	err_sys(e, "cannot map the counts of what is traced");
	return NULL;
}

/* As the host sees it: the container's events have the host's numbers. */
static uint32_t pid_of(int pidfd)
{
	char path[64], text[512], *at;
	_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, "\nPid:");
	return at ? (uint32_t)strtoul(at + strlen("\nPid:"), NULL, 10) : 0;
}

static int make_counts(struct monitor *m, struct err *e)
{
	struct monitor_trace *t = &m->trace;

	if (!(audit_config_levels(&m->record.config) & AUDIT_COUNTS) ||
	    !monitor_fd_is_there(MONITOR_FD_COUNTS))
		return 0;
	t->counts = map_shared(MONITOR_FD_COUNTS,
			       TRACE_COUNTS_MAX * sizeof(struct trace_count), e);
	if (!t->counts)
		return -e->code;
	t->calls = calloc(TRACE_COUNTS_MAX, sizeof(*t->calls));
	t->changed = calloc(TRACE_COUNTS_MAX, sizeof(*t->changed));
	t->count_at = clock_ns(CLOCK_BOOTTIME) + COUNT_NS;
	return t->calls && t->changed ? 0 : err_oom(e);
}

static int make_ring(struct monitor *m, struct monitor_ring *r, int fd,
		     ring_buffer_sample_fn each, struct err *e)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	r->waiting = &m->trace.stats->waiting[fd == MONITOR_FD_BULK];
	r->look_at = 1;
	r->ring = ring_buffer__new(fd, each, m, NULL);
	if (!r->ring)
		return err_sys(e, "cannot read the rings of what is traced");
	r->wait = epoll_create1(EPOLL_CLOEXEC);
	if (r->wait < 0 || epoll_ctl(r->wait, EPOLL_CTL_ADD, fd, &event) < 0)
		return err_sys(e, "cannot wait for the rings of what is traced");
	return 0;
}

int monitor_trace_make(struct monitor *m, struct err *e)
{
	struct monitor_trace *t = &m->trace;
	int r;

	if (!monitor_fd_is_there(MONITOR_FD_URGENT))
		return 0;
	t->is_on = true;
	t->violations = (struct pace){ .burst = 200, .pause = SECOND / 10 };
	t->init_pid = pid_of(MONITOR_FD_INIT);
	t->arch = seccomp_arch_native();
	t->stats = map_shared(MONITOR_FD_STATS, sizeof(*t->stats), e);
	if (!t->stats)
		return -e->code;
	r = make_ring(m, &t->urgent, MONITOR_FD_URGENT, on_urgent, e);
	if (r == 0)
		r = make_ring(m, &t->bulk, MONITOR_FD_BULK, on_bulk, e);
	return r < 0 ? r : make_counts(m, e);
}
