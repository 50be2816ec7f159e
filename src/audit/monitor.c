/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See monitor.h. Runs in purple-monitor: monitor_make() as root, the rest as nobody.
 *
 * Theory of operation. One loop with poll() does it all, without threads: what is asked of us
 * (monitor_requests.c), the network filter's ring and the forwarder's lines (monitor_network.c), the
 * rings of what is traced (monitor_trace.c), the control group's limits (cgroup_watch.h). Each of
 * them may be absent. Nobody waits for us: who is slow here loses events, which are counted where
 * they are lost, and the counts are told in lines of type "lost". After something has happened the
 * counts are looked at a second later, and less often while they go on changing; a container that is
 * quiet costs nothing.
 *
 * Lines go to events.jsonl and, of an audited container, to its recorder (monitor_lines.c), which is
 * a child: it has the right to write the logs, and parses nothing of the container's. Where that one
 * dies, or cannot write a log that must be written, the container ends: nothing that an audited
 * container does goes unrecorded. Monitor, recorder and warden watch one another.
 */
#include "audit/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/cutter.h"
#include "audit/monitor_jail.h"
#include "audit/monitor_parts.h"
#include "audit/protocol.h"
#include "audit/warden.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/jail.h"
#include "network/bpf.h"

#define FLUSH_MS 5000 /* for the recorder's last lines */

bool monitor_fd_is_there(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && !S_ISCHR(st.st_mode);
}

/* --- counts --- */

bool monitor_tell_lost(struct monitor *m)
{
	struct audit_lost x;
	_buf_free_ struct buf line = {};
	struct audit_head head;

	monitor_network_count(m);
	monitor_trace_count_lost(m);
	m->now.log = m->log.lost;
	m->now.record = m->record.lost;
	x = (struct audit_lost){ .full = m->now.full - m->told.full,
				 .limited = m->now.limited - m->told.limited,
				 .dns = m->now.dns - m->told.dns,
				 .log = m->now.log - m->told.log,
				 .trace = m->now.trace - m->told.trace,
				 .record = m->now.record - m->told.record };
	for (size_t i = 0; i < ARRAY_SIZE(x.traced); i++)
		x.traced[i] = m->now.traced[i] - m->told.traced[i];
	if (!x.full && !x.limited && !x.dns && !x.log && !x.trace && !x.record)
		return false;
	/* Once more when the file is full, and then at the end. */
	if (m->said_full && !m->record.config.logs.n)
		return true;
	head = monitor_head_now(m);
	audit_event_lost(&head, &x, &line);
	m->said_full = m->log.size + line.len >= m->log.max;
	if (monitor_tell(m, 0, &line, x.log > 0) || m->record.config.logs.n)
		m->told = m->now;
	return true;
}

static void tick(struct monitor *m)
{
	m->tick_at = 0;
	if (!monitor_tell_lost(m)) {
		m->tick_pause = SECOND;
		return;
	}
	m->tick_pause *= 2;
	if (m->tick_pause > TICK_MAX)
		m->tick_pause = TICK_MAX;
}

/* --- limits --- */

static void tell_limits(struct monitor *m, bool all)
{
	struct cgroup_hit hit;

	while (cgroup_watch_next(&m->group, clock_ns(CLOCK_BOOTTIME), all, &hit)) {
		_buf_free_ struct buf line = {};
		struct audit_head head = monitor_head_now(m);

		cgroup_hit_print(&head, &hit, &line);
		monitor_tell(m,
			     cgroup_hit_is_violation(&hit) ? AUDIT_RESOURCE | AUDIT_ALERT :
							     AUDIT_RESOURCE,
			     &line, false);
	}
}

static void read_group(struct monitor *m)
{
	cgroup_watch_read(&m->group, clock_ns(CLOCK_BOOTTIME));
	tell_limits(m, false);
}

static int open_group(struct monitor *m, struct err *e)
{
	static const int fds[] = { MONITOR_FD_GROUP, MONITOR_FD_MEMORY, MONITOR_FD_PIDS,
				   MONITOR_FD_CPU, MONITOR_FD_CPUACCT };
	int dirs[ARRAY_SIZE(fds)], r = 0;
	bool any = false;

	m->group = (struct cgroup_watch)CGROUP_WATCH_EMPTY;
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		dirs[i] = monitor_fd_is_there(fds[i]) ? fds[i] : -1;
		any |= dirs[i] >= 0;
	}
	if (any)
		r = cgroup_watch_open(&(struct cgroup_watch_dirs){ dirs[0], dirs[1], dirs[2],
								   dirs[3], dirs[4] },
				      &m->group, e);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
	return r;
}

/* --- an audited container that cannot be recorded --- */

/* It ended by itself, or was ended, whatever is found since: its reason stays. */
static bool has_init_ended(void)
{
	struct pollfd init = { .fd = MONITOR_FD_INIT, .events = POLLIN };

	return poll(&init, 1, 0) == 1;
}

/* What it did not do by itself: it ends, at once. */
static void end_all(struct monitor *m, const char *note, const char *why)
{
	if (m->is_ended || has_init_ended())
		return;
	m->is_ended = true;
	warden_note(MONITOR_FD_ENDED, note);
	if (fd_write_all(MONITOR_FD_KILL, "1", 1) < 0)
		why = "it cannot be recorded any more, and cannot be ended";
	/* In v1's freezer nobody dies. The warden may be dying, too, and is not waited for. */
	if (m->warden >= 0)
		(void)!warden_tell(m->warden, WARDEN_KILL, WARDEN_FOR_OTHERS);
	monitor_tell_failure(m, "audit_stopped", NULL, why);
}

static void end_unrecorded(struct monitor *m)
{
	if (!audit_config_stops(&m->record.config))
		return;
	if (m->record.is_gone)
		end_all(m, m->limits.audit_note, "who writes its audit log has died");
	else if (m->record.is_failing)
		end_all(m, m->limits.audit_note, "its audit log cannot be written");
}

/* --- limits that end it --- */

static int is_there_or_none(int fd)
{
	return monitor_fd_is_there(fd) ? fd : -1;
}

static void fill_setup(const struct audit_limits *l, struct warden_setup *ret)
{
	*ret = (struct warden_setup)WARDEN_SETUP_EMPTY;
	ret->init_fd = MONITOR_FD_INIT;
	ret->kill_fd = is_there_or_none(MONITOR_FD_KILL);
	ret->freezer_fd = is_there_or_none(MONITOR_FD_FREEZER);
	ret->oom_fd = is_there_or_none(MONITOR_FD_OOM);
	ret->end_fd = is_there_or_none(MONITOR_FD_ENDED);
	audit_limits_fill(l, ret);
}

/* Between jail_drop_bounding() and the jail. */
static int start_warden(struct monitor *m, struct err *e)
{
	struct warden_setup setup;

	if (!audit_limits_are_set(&m->limits))
		return 0;
	fill_setup(&m->limits, &setup);
	return warden_start(&setup, &m->warden, e);
}

/* What it kept is ours from here on: to record, and the time. It ends by itself after init. */
static void warden_died(struct monitor *m)
{
	fd_close(&m->warden);
	if (m->limits.ends_on_death)
		end_all(m, m->limits.death_note,
			"who ends it when it is not recorded has died");
}

static void hear_warden(struct monitor *m)
{
	struct warden_reply reply;
	ssize_t n;

	do
		n = recv(m->warden, &reply, sizeof(reply), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EINTR));
	if (n == 0 || errno != EAGAIN)
		warden_died(m);
}

/* Nobody else is left to do it. */
static void end_overdue(struct monitor *m, uint64_t now)
{
	if (m->warden < 0 && m->timeout_at && m->timeout_at <= now) {
		m->timeout_at = 0;
		if (has_init_ended())
			return;
		warden_note(MONITOR_FD_ENDED, m->limits.timeout_note);
		(void)fd_write_all(MONITOR_FD_KILL, "1", 1);
	}
}

bool monitor_is_warden(void)
{
	return monitor_fd_is_there(MONITOR_FD_LIMITS) &&
	       !monitor_fd_is_there(MONITOR_FD_RING) &&
	       !monitor_fd_is_there(MONITOR_FD_AUDIT);
}

int monitor_be_warden(struct err *e)
{
	struct audit_limits limits = {};
	struct warden_setup setup;
	struct warden *w = NULL;
	int r = audit_limits_read(MONITOR_FD_LIMITS, &limits, e);

	fill_setup(&limits, &setup);
	if (r == 0)
		r = jail_enter_empty_root(e);
	if (r == 0)
		r = warden_become(&setup, MONITOR_FD_REPORT, &w, e);
	if (r < 0)
		return r;
	if (helper_report(MONITOR_FD_REPORT, NULL) < 0)
		_exit(EXIT_FAILURE);
	close(MONITOR_FD_REPORT);
	warden_serve(w);
	_exit(EXIT_SUCCESS);
}

/* --- life --- */

int monitor_make(const char *id, uint32_t generation, struct monitor **ret, struct err *e)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return err_oom(e);
	m->id = id;
	m->log = (struct audit_log){ .fd = MONITOR_FD_LOG, .max = AUDIT_LOG_MAX };
	m->tick_pause = SECOND;
	m->warden = -1;
	m->alerts.fd = -1;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		m->clients[i] = -1;
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
	if (monitor_fd_is_there(MONITOR_FD_LIMITS))
		r = audit_limits_read(MONITOR_FD_LIMITS, &m->limits, e);
	if (m->limits.timeout_seconds)
		m->timeout_at = clock_ns(CLOCK_BOOTTIME) +
				m->limits.timeout_seconds * SECOND;
	if (r == 0)
		r = monitor_network_make(m, generation, e);
	if (r == 0)
		r = open_group(m, e);
	if (r == 0)
		r = monitor_stop_make(m, e);
	if (r == 0)
		r = monitor_record_make(m, e);
	if (r == 0)
		r = monitor_trace_make(m, e);
	if (r == 0)
		*ret = m;
	return r;
}

/* Whichever of them there is, of however many rules. */
static int probe_counts(void *arg)
{
	const struct monitor *m = arg;
	struct network_hits hits;
	uint32_t index = 0;

	return m->network.is_on ? kbpf_map_lookup(MONITOR_FD_HITS, &index, &hits) : 0;
}

int monitor_enter_jail(struct monitor *m, struct err *e)
{
	int r = jail_enter_empty_root(e);

	if (r == 0)
		r = jail_drop_bounding(e);
	if (r == 0)
		r = start_warden(m, e);
	if (r == 0)
		r = monitor_network_enter_jail(m, e);
	if (r == 0)
		r = monitor_jail_enter(probe_counts, m, e);
	if (r == 0 && m->network.is_on)
		r = audit_cutter_wait(m->network.cutter, e);
	if (r == 0 && m->warden >= 0)
		r = warden_wait(m->warden, e);
	if (r == 0)
		r = monitor_alert_wait(m, e);
	return r < 0 ? r : monitor_record_wait(m, e);
}

/* What is waited for: these, and behind them the control group, the forwarders and the clients. */
enum {
	WAIT_INIT,
	WAIT_CONTROL,
	WAIT_RING,
	WAIT_URGENT,
	WAIT_BULK,
	WAIT_REPORTS,
	WAIT_LINES,
	WAIT_WARDEN,
	WAIT_ALERTS,
	WAIT_STOP,
	WAIT_GROUP,
	WAIT_FORWARDERS = WAIT_GROUP + CGROUP_WATCH_WAKERS,
	WAIT_CLIENTS = WAIT_FORWARDERS + FORWARDERS_MAX,
	WAIT_MAX = WAIT_CLIENTS + CLIENTS_MAX,
};

static void sooner(uint64_t *due, uint64_t at)
{
	if (at && (!*due || at < *due))
		*due = at;
}

static int time_left(struct monitor *m)
{
	uint64_t due = m->tick_at, now = clock_ns(CLOCK_BOOTTIME);

	sooner(&due, cgroup_watch_due(&m->group));
	sooner(&due, monitor_trace_due(m));
	if (m->warden < 0)
		sooner(&due, m->timeout_at);
	sooner(&due, m->alerts.count_at);
	if (!due)
		return -1;
	return due > now ? (int)((due - now) / 1000000) + 1 : 0;
}

static int wait_for(struct monitor *m, struct pollfd p[WAIT_MAX], struct err *e)
{
	const struct monitor_record *r = &m->record;
	bool is_behind = r->sent < r->pending.len;
	int n;

	p[WAIT_INIT] = (struct pollfd){ .fd = MONITOR_FD_INIT, .events = POLLIN };
	p[WAIT_CONTROL] = (struct pollfd){ .fd = MONITOR_FD_CONTROL, .events = POLLIN };
	p[WAIT_RING] = (struct pollfd){ .fd = m->network.is_on ? MONITOR_FD_RING : -1,
					.events = POLLIN };
	p[WAIT_URGENT] = (struct pollfd){ .fd = m->trace.is_on ? m->trace.urgent.wait : -1,
					  .events = POLLIN };
	p[WAIT_BULK] = (struct pollfd){ .fd = m->trace.is_on && !monitor_record_is_full(m) ?
						      m->trace.bulk.wait :
						      -1,
					.events = POLLIN };
	p[WAIT_REPORTS] = (struct pollfd){ .fd = r->recorder.report_fd, .events = POLLIN };
	p[WAIT_LINES] = (struct pollfd){ .fd = is_behind ? r->recorder.lines_fd : -1,
					 .events = POLLOUT };
	p[WAIT_WARDEN] = (struct pollfd){ .fd = m->warden, .events = POLLIN };
	p[WAIT_ALERTS] = (struct pollfd){ .fd = m->alerts.fd, .events = POLLIN };
	p[WAIT_STOP] = (struct pollfd){ .fd = m->stop.fd, .events = POLLIN };
	cgroup_watch_poll(&m->group, p + WAIT_GROUP);
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		p[WAIT_FORWARDERS + i] = (struct pollfd){ .fd = m->network.forwarders[i].fd,
							  .events = POLLIN };
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		p[WAIT_CLIENTS + i] = (struct pollfd){ .fd = m->clients[i],
						       .events = POLLIN };
	n = poll(p, WAIT_MAX, time_left(m));
	return n < 0 && errno != EINTR ? err_sys(e, "cannot wait for events") : 0;
}

static void read_all(struct monitor *m, const struct pollfd p[WAIT_MAX])
{
	/* Names first: what was asked for comes before who goes there. */
	for (size_t i = 0; i < FORWARDERS_MAX; i++)
		for (int n = 0; p[WAIT_FORWARDERS + i].revents && n < BATCH; n++)
			if (!monitor_network_read_line(m, i))
				break;
	if (p[WAIT_RING].revents)
		monitor_network_read(m);
	if (p[WAIT_URGENT].revents)
		monitor_trace_wake(&m->trace.urgent);
	if (p[WAIT_BULK].revents)
		monitor_trace_wake(&m->trace.bulk);
	for (size_t i = 0; i < CGROUP_WATCH_WAKERS; i++) {
		if (p[WAIT_GROUP + i].revents) {
			read_group(m);
			break;
		}
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (p[WAIT_CLIENTS + i].revents)
			monitor_read_client(m, i);
	if (p[WAIT_CONTROL].revents)
		monitor_accept(m);
	if (p[WAIT_REPORTS].revents)
		monitor_record_hear(m);
	if (p[WAIT_WARDEN].revents)
		hear_warden(m);
	if (p[WAIT_ALERTS].revents)
		monitor_alert_hear(m);
	if (p[WAIT_STOP].revents)
		monitor_stop_read(m);
}

/* What is due by the clock, and what the recorder takes. */
static void do_due(struct monitor *m)
{
	uint64_t now = clock_ns(CLOCK_BOOTTIME), group = cgroup_watch_due(&m->group);

	monitor_trace_tick(m);
	if (group && group <= now)
		read_group(m);
	if (m->tick_at && m->tick_at <= now)
		tick(m);
	if (m->alerts.count_at && m->alerts.count_at <= now)
		monitor_alert_counts(m);
	monitor_record_push(m);
	end_unrecorded(m);
	end_overdue(m, now);
}

/* Init has ended: so does what it left, where the kernel does not see to it (warden.h). */
static void end_rest(const struct monitor *m)
{
	if (m->record.config.logs.n || audit_limits_are_set(&m->limits))
		(void)fd_write_all(MONITOR_FD_KILL, "1", 1);
}

static void write_usage(struct monitor *m)
{
	_buf_free_ struct buf line = {};
	struct audit_head head;

	if (!m->group.is_on)
		return;
	cgroup_watch_read(&m->group, clock_ns(CLOCK_BOOTTIME));
	tell_limits(m, true);
	head = monitor_head_now(m);
	cgroup_usage_print(&m->group, &head, &line);
	monitor_tell(m, AUDIT_RESOURCE, &line, true);
}

static void write_end(struct monitor *m)
{
	_buf_free_ struct buf line = {};
	struct audit_head head;

	monitor_network_tell_sums(m);
	monitor_tell_lost(m);
	m->now.log = m->log.lost;
	m->now.record = m->record.lost;
	head = monitor_head_now(m);
	audit_event_end(&head, m->network.denied, &m->trace.exit, &m->now, &line);
	monitor_tell(m, 0, &line, true);
}

static void write_start(struct monitor *m)
{
	_buf_free_ struct buf line = {};
	struct audit_head head;

	/* With rules, monitor_use_rules() writes it. */
	if (m->network.is_on)
		return;
	head = monitor_head_now(m);
	audit_event_start(&head, NULL, &m->record.config, &line);
	monitor_tell(m, 0, &line, false);
}

int monitor_run(struct monitor *m, struct err *e)
{
	struct pollfd p[WAIT_MAX] = {};
	int r;

	write_start(m);
	r = monitor_network_begin(m, e);
	if (m->group.is_on)
		read_group(m);
	while (r == 0 && !p[WAIT_INIT].revents) {
		r = wait_for(m, p, e);
		if (r < 0)
			break;
		read_all(m, p);
		do_due(m);
	}
	if (r == 0) {
		end_rest(m);
		/* Before the group is gone with its figures. */
		write_usage(m);
		monitor_trace_drain(m);
		monitor_network_drain(m);
		monitor_stop_read(m);
		write_end(m);
		monitor_alert_finish(m);
		monitor_record_finish(m, FLUSH_MS);
		if (m->warden >= 0)
			(void)!warden_tell(m->warden, WARDEN_BYE, WARDEN_FOR_OTHERS);
	}
	return r;
}
