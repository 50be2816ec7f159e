/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's lines: to events.jsonl, and to its recorder, which writes the logs of audited
 * policies. Runs in purple-monitor: monitor_record_make() as root, the rest as nobody.
 *
 * The recorder's pipe does not wait for us, nor we for it: what it does not take is kept, up to
 * PENDING_MAX; then lines are lost, which is counted and told. So a slow disk stops neither requests
 * nor the container. A recorder that died, or cannot write a log that must be written, ends an
 * audited container (monitor.c).
 */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "audit/protocol.h"
#include "base/clock.h"
#include "base/fd.h"

/* Beyond this, what can wait in a ring of the kernel does. */
#define PENDING_HIGH (1u << 20)
#define PENDING_MAX (8u << 20)

struct audit_head monitor_head_numbered(const struct monitor *m, uint64_t at, uint64_t number)
{
	uint64_t real = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + at;

	return (struct audit_head){
		.time = { .tv_sec = (time_t)(real / SECOND),
			  .tv_nsec = (long)(real % SECOND) },
		.sequence = number,
		.container = m->id,
	};
}

struct audit_head monitor_head(struct monitor *m, uint64_t at)
{
	return monitor_head_numbered(m, at, ++m->log.sequence);
}

struct audit_head monitor_head_now(struct monitor *m)
{
	return monitor_head(m, clock_ns(CLOCK_BOOTTIME));
}

bool monitor_tell(struct monitor *m, uint32_t levels, const struct buf *line, bool last)
{
	monitor_record(m, levels, line);
	return audit_log_write(&m->log, line, last);
}

void monitor_tell_failure(struct monitor *m, const char *type, const char *path,
			  const char *message)
{
	struct audit_head head = monitor_head_now(m);
	_buf_free_ struct buf line = {};

	audit_event_failure(&head, type, path, message, &line);
	monitor_tell(m, AUDIT_ALERT, &line, true);
}

void monitor_expect_tick(struct monitor *m)
{
	if (!m->tick_at)
		m->tick_at = clock_ns(CLOCK_BOOTTIME) + m->tick_pause;
}

/* --- the recorder --- */

bool monitor_record_is_full(const struct monitor *m)
{
	return m->record.pending.len - m->record.sent > PENDING_HIGH;
}

void monitor_record(struct monitor *m, uint32_t levels, const struct buf *line)
{
	struct monitor_record *r = &m->record;

	if (levels & AUDIT_ALERT)
		monitor_alert(m, line);
	levels &= ~AUDIT_ALERT;
	if (!r->config.logs.n || (levels && !(levels & audit_config_levels(&r->config))))
		return;
	if (r->recorder.lines_fd < 0 || line->failed ||
	    r->pending.len - r->sent + line->len > PENDING_MAX) {
		r->lost++;
		monitor_expect_tick(m);
		return;
	}
	audit_record_add(&r->pending, levels, line->s, line->len);
	if (r->pending.failed) {
		buf_free(&r->pending);
		r->pending = (struct buf){};
		r->sent = 0;
		r->lost++;
	}
}

/* What was sent makes room, when it is worth the copying. */
static void make_room(struct monitor_record *r)
{
	size_t left = r->pending.len - r->sent;

	if (r->sent == 0 || (left > 0 && r->sent < PENDING_HIGH))
		return;
	memmove(r->pending.s, r->pending.s + r->sent, left);
	r->pending.len = left;
	r->sent = 0;
}

static void recorder_died(struct monitor *m)
{
	struct monitor_record *r = &m->record;

	if (r->is_gone)
		return;
	r->is_gone = true;
	fd_close(&r->recorder.lines_fd);
	fd_close(&r->recorder.report_fd);
	buf_free(&r->pending);
	r->pending = (struct buf){};
	r->sent = 0;
	monitor_tell_failure(m, "recorder_died", NULL, "who writes the audit log has died");
}

void monitor_record_push(struct monitor *m)
{
	struct monitor_record *r = &m->record;

	while (r->recorder.lines_fd >= 0 && r->sent < r->pending.len) {
		ssize_t n = write(r->recorder.lines_fd, r->pending.s + r->sent,
				  r->pending.len - r->sent);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			recorder_died(m);
			return;
		}
		r->sent += (size_t)n;
	}
	make_room(r);
}

static void log_failed(struct monitor *m, const struct audit_recorder_report *report)
{
	const struct audit_log_config *log = &m->record.config.logs.v[report->log];

	m->record.is_failing |= !log->go_on;
	monitor_tell_failure(m, "log_failed", log->path, report->err.msg);
}

void monitor_record_hear(struct monitor *m)
{
	struct monitor_record *r = &m->record;
	struct audit_recorder_report report;
	int n;

	if (r->recorder.report_fd < 0)
		return;
	while ((n = audit_recorder_read_report(r->recorder.report_fd, &report)) == 1) {
		if (report.type == AUDIT_RECORDER_FAILED && report.log < r->config.logs.n)
			log_failed(m, &report);
		if (report.type == AUDIT_RECORDER_FLUSHED)
			r->is_flushed = true;
	}
	if (n != -EAGAIN)
		recorder_died(m);
}

void monitor_record_await(struct monitor *m, uint64_t until)
{
	struct monitor_record *r = &m->record;
	uint64_t now = clock_ns(CLOCK_BOOTTIME);
	struct pollfd p[] = {
		{ .fd = r->recorder.report_fd, .events = POLLIN },
		{ .fd = r->sent < r->pending.len ? r->recorder.lines_fd : -1,
		  .events = POLLOUT },
	};

	if (now >= until || poll(p, 2, (int)((until - now) / 1000000) + 1) <= 0)
		return;
	if (p[0].revents)
		monitor_record_hear(m);
	if (p[1].revents)
		monitor_record_push(m);
}

void monitor_record_finish(struct monitor *m, uint64_t ms)
{
	struct monitor_record *r = &m->record;
	uint64_t until = clock_ns(CLOCK_BOOTTIME) + ms * 1000000;
	bool asked = false;

	while (r->recorder.lines_fd >= 0 && !r->is_flushed &&
	       clock_ns(CLOCK_BOOTTIME) < until) {
		monitor_record_push(m);
		if (!asked && r->recorder.lines_fd >= 0 && r->sent == r->pending.len)
			asked = audit_recorder_say(r->recorder.report_fd,
						   AUDIT_RECORDER_FLUSH) == 0;
		monitor_record_await(m, until);
	}
	if (r->recorder.report_fd >= 0)
		(void)!audit_recorder_say(r->recorder.report_fd, AUDIT_RECORDER_BYE);
	fd_close(&r->recorder.lines_fd);
	fd_close(&r->recorder.report_fd);
}

/* --- its start --- */

static int read_config(struct monitor *m, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(MONITOR_FD_AUDIT, AUDIT_CONFIG_MAX, &text, &len, e);

	return r < 0 ? r : audit_config_parse(text, len, &m->record.config, e);
}

int monitor_record_make(struct monitor *m, struct err *e)
{
	struct monitor_record *r = &m->record;
	bool has_others = monitor_fd_is_there(MONITOR_FD_OTHERS);
	const struct audit_recorder_end end = { .init_fd = MONITOR_FD_INIT,
						.kill_fd = MONITOR_FD_KILL,
						.end_fd = MONITOR_FD_ENDED,
						.note = m->limits.death_note };
	int k;

	r->recorder = (struct audit_recorder)AUDIT_RECORDER_EMPTY;
	if (!monitor_fd_is_there(MONITOR_FD_AUDIT))
		return 0;
	k = read_config(m, e);
	if (k == 0)
		k = monitor_alert_make(m, e);
	close(MONITOR_FD_AUDIT);
	if (k == 0 && r->config.logs.n)
		k = audit_recorder_start(
			&(struct audit_recorder_start){
				.config = &r->config,
				.others_fd = has_others ? MONITOR_FD_OTHERS : -1,
				.end = m->limits.ends_on_death ? &end : NULL,
				.alerts_fd = m->alerts.fd },
			&r->recorder, e);
	if (has_others)
		close(MONITOR_FD_OTHERS);
	if (k == 0 && r->recorder.lines_fd >= 0 &&
	    fcntl(r->recorder.lines_fd, F_SETFL, O_NONBLOCK) < 0)
		k = err_sys(e, "cannot set a pipe up");
	return k;
}

int monitor_record_wait(struct monitor *m, struct err *e)
{
	struct audit_recorder *r = &m->record.recorder;

	return r->lines_fd < 0 ? 0 : audit_recorder_wait(r, e);
}
