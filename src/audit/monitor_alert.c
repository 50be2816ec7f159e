/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's violations on their way to purple-alert, which it starts as root, with root's rights,
 * for policies that name somebody to be alerted. Nobody waits for that one: what its socket does not
 * take, and more of a type than ALERTS_BURST and then ALERTS_SECOND, is told as a count.
 */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "audit/protocol.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/spawn.h"

#define PROGRAM PKGLIBEXECDIR "/purple-alert"
#define READY_MS 15000 /* libraries on a busy machine */
#define HEAR_BATCH 64  /* of its messages in a turn: it may be anybody by now */
#define ALERTS_BURST 16
#define ALERTS_SECOND 16

static void count_one(struct monitor_alerts *a, int type, uint64_t count)
{
	a->of[type].untold += count;
	if (!a->count_at)
		a->count_at = clock_ns(CLOCK_BOOTTIME) + SECOND;
}

static void send_one(struct monitor *m, int type, uint64_t count, const struct buf *line)
{
	struct monitor_alerts *a = &m->alerts;
	const struct alert_message message = { .type = (uint32_t)type, .count = count };

	if (alert_send(a->fd, &message, line ? line->s : NULL, line ? line->len : 0) < 0)
		count_one(a, type, count);
}

void monitor_alert(struct monitor *m, const struct buf *line)
{
	struct monitor_alerts *a = &m->alerts;
	int type = a->fd < 0 || line->failed ? -1 : alert_type_of(line->s, line->len);

	if (type < 0)
		return;
	if (!pace_allows(&a->of[type].pace, clock_ns(CLOCK_BOOTTIME))) {
		count_one(a, type, 1);
		return;
	}
	send_one(m, type, 1, line);
}

void monitor_alert_counts(struct monitor *m)
{
	m->alerts.count_at = 0;
	for (int i = 0; m->alerts.fd >= 0 && i < ALERT_TYPES; i++) {
		uint64_t count = m->alerts.of[i].untold;

		m->alerts.of[i].untold = 0;
		if (count)
			send_one(m, i, count, NULL);
	}
}

void monitor_alert_finish(struct monitor *m)
{
	const struct alert_message bye = { .type = ALERT_BYE };

	monitor_alert_counts(m);
	if (m->alerts.fd >= 0)
		(void)!alert_send(m->alerts.fd, &bye, NULL, 0);
	fd_close(&m->alerts.fd);
}

/* --- what it says --- */

static void tell_failure(struct monitor *m, const char *policy, const char *action,
			 const char *why)
{
	struct audit_head head = monitor_head_now(m);
	_buf_free_ struct buf line = {};

	audit_event_alert_failed(&head, policy, action, why, &line);
	monitor_tell(m, 0, &line, false);
}

void monitor_alert_hear(struct monitor *m)
{
	struct monitor_alerts *a = &m->alerts;
	const audit_alert_configs *all = &m->record.config.alerts;
	struct alert_failure x;
	ssize_t n;

	for (int i = 0; i < HEAR_BATCH; i++) {
		n = recv(a->fd, &x, sizeof(x), MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fd_close(&a->fd);
			tell_failure(m, NULL, "alert", "who gives alerts has died");
			return;
		}
		x.why[sizeof(x.why) - 1] = '\0';
		if (n == sizeof(x) && x.target < all->n)
			tell_failure(m, all->v[x.target].policy,
				     x.is_webhook ? "webhook" : "alert", x.why);
	}
}

/* --- its start --- */

static int become_program(const void *arg, int *report, struct err *e)
{
	const char *const argv[] = { PROGRAM, NULL };
	int fds[ALERT_FD_END] = { -1, -1, -1 };
	int r = helper_move_report(report, ALERT_FD_END, e);

	if (r < 0)
		return r;
	/* The monitor has read it. */
	if (lseek(MONITOR_FD_AUDIT, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot read the audit's settings again");
	fds[ALERT_FD_SOCK] = *report;
	fds[ALERT_FD_CONFIG] = MONITOR_FD_AUDIT;
	return spawn_exec(&(struct spawn){ .program = PROGRAM,
					   .argv = argv,
					   .fds = fds,
					   .n = ALERT_FD_END },
			  e);
}

int monitor_alert_make(struct monitor *m, struct err *e)
{
	struct monitor_alerts *a = &m->alerts;
	pid_t pid;
	int r;

	for (size_t i = 0; i < ALERT_TYPES; i++)
		a->of[i].pace = (struct pace){ .burst = ALERTS_BURST,
					       .pause = SECOND / ALERTS_SECOND };
	if (!m->record.config.alerts.n)
		return 0;
	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "audit.alert needs the program '%s', which is not there",
			       PROGRAM);
	r = helper_begin(become_program, NULL, &pid, &a->fd, e);
	return r < 0 ? r : fd_cloexec(a->fd, true);
}

int monitor_alert_wait(struct monitor *m, struct err *e)
{
	struct monitor_alerts *a = &m->alerts;

	return a->fd < 0 ? 0 : helper_await(a->fd, PROGRAM, READY_MS, e);
}
