/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See recorder.h. audit_recorder_start() runs in purple-monitor as root; what it starts gives up all
 * but the folders of its logs (recorder_jail.h), and then takes records.
 *
 * Theory of operation. What its parent and the others write comes in through a pipe and a socket; all
 * that is there is taken at once, split into lines, and appended to each log in one go, so that
 * under load there are few system calls and locks a line. Whoever writes is slowed down by the pipe
 * when a disk is. Lines are bytes to it: what they say was decided by who is nobody. A log that cannot
 * be written loses lines; that is told to the parent at once, and in the log once it can be
 * written again, which is tried each second.
 *
 * It has one power over the container: to end it when its parent dies, which the warden
 * (audit/warden.h) does, too. Whichever two of parent, warden and recorder die at once, the third
 * ends it.
 */
#include "base/build.h"

#include "audit/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "audit/alert.h"
#include "audit/chain.h"
#include "audit/log_file.h"
#include "audit/recorder_event.h"
#include "audit/recorder_jail.h"
#include "audit/warden.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"

#define PIPE_SIZE (1 << 20)
#define TEXT_SIZE (512u << 10)
#define ENTRIES_MAX 8192 /* lines of a batch */
#define PAUSE_MS 1000
#define LEVEL_DIGITS 8
#define RECORD_MAX (LEVEL_DIGITS + AUDIT_LINE_MAX)

/* A line of the batch, in one of the texts. */
struct entry {
	const char *s;
	size_t len;
	uint32_t levels;
};

struct sink {
	struct log_file file;
	uint32_t levels;
	uint64_t lost, untold; /* in all, and of those what the log does not know of */
	bool failing;
	int64_t retry_at;
};

/* Nothing is allocated once it runs, but for lines on their way. */
struct recorder {
	struct recorder_self self;
	struct sink sinks[AUDIT_RECORDER_LOGS];
	size_t n;
	int lines, others, report; /* -1: closed */
	struct audit_recorder_end end;
	bool ends_container;
	int alerts;		      /* -1: there is none */
	uint64_t untold[ALERT_TYPES]; /* alerts that its socket did not take */
	struct entry entries[ENTRIES_MAX];
	size_t entries_n;
	struct iovec wanted[ENTRIES_MAX];
	char text[TEXT_SIZE]; /* of the pipe: what is left of a record is at its beginning */
	size_t partial;
	bool skipping; /* that one is too long */
	char messages[TEXT_SIZE];
	uint64_t odd;	 /* records that are none */
	int64_t tell_at; /* 0: nothing to tell */
	bool bye;
};

/* --- reports --- */

static void report(struct recorder *r, uint32_t type, size_t log, uint64_t lost,
		   const struct err *err)
{
	struct audit_recorder_report x;

	if (r->report < 0)
		return;
	/* All of it is read by somebody else. */
	memset(&x, 0, sizeof(x));
	x.type = type;
	x.log = (uint32_t)log;
	x.lost = lost;
	if (err)
		x.err = *err;
	(void)!send(r->report, &x, sizeof(x), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* --- logs --- */

static void lose(struct recorder *r, struct sink *s, uint64_t lines)
{
	s->lost += lines;
	s->untold += lines;
	if (s->untold && !r->tell_at)
		r->tell_at = clock_ms(CLOCK_MONOTONIC) + PAUSE_MS;
}

static void fail(struct recorder *r, struct sink *s, const struct err *err)
{
	s->retry_at = clock_ms(CLOCK_MONOTONIC) + PAUSE_MS;
	if (!r->tell_at)
		r->tell_at = s->retry_at;
	if (s->failing)
		return;
	s->failing = true;
	report(r, AUDIT_RECORDER_FAILED, (size_t)(s - r->sinks), s->lost, err);
}

/* What was lost is told before anything else is written. False: it cannot be written yet. */
static bool is_writable(struct recorder *r, struct sink *s)
{
	_buf_free_ struct buf line = {};
	struct iovec iov;
	struct err e = {};
	size_t written;
	int result;

	if (!s->failing && !s->untold)
		return true;
	if (s->failing && clock_ms(CLOCK_MONOTONIC) < s->retry_at)
		return false;
	if (s->untold)
		recorder_event_lost(&r->self, s->untold, &line);
	iov = (struct iovec){ line.s, line.len ? line.len - 1 : 0 };
	result = line.failed ?
			 err_oom(&e) :
			 log_file_append(&s->file, &iov, s->untold ? 1 : 0, &written, &e);
	if (result < 0) {
		fail(r, s, &e);
		return false;
	}
	s->untold = 0;
	if (s->failing)
		report(r, AUDIT_RECORDER_WORKS, (size_t)(s - r->sinks), s->lost, NULL);
	s->failing = false;
	return true;
}

static void write_sink(struct recorder *r, struct sink *s)
{
	struct err e = {};
	size_t n = 0, written = 0;

	for (size_t i = 0; i < r->entries_n; i++) {
		const struct entry *x = &r->entries[i];

		if (!x->levels || (x->levels & s->levels))
			r->wanted[n++] = (struct iovec){ (void *)x->s, x->len };
	}
	/* A log that fails has its next try in time, and what was lost a moment ago is told then. */
	if (n == 0 || (s->failing && !is_writable(r, s))) {
		lose(r, s, n);
		return;
	}
	if (log_file_append(&s->file, r->wanted, n, &written, &e) < 0) {
		lose(r, s, n - written);
		fail(r, s, &e);
	}
}

/* `line` NULL: those that are untold, if there are any. */
static void send_alert(struct recorder *r, int type, const char *line, size_t len)
{
	const struct alert_message m = { .type = (uint32_t)type,
					 .count = r->untold[type] + (line ? 1 : 0) };

	if (m.count == 0)
		return;
	r->untold[type] = alert_send(r->alerts, &m, line, len) < 0 ? m.count : 0;
	if (r->untold[type] && !r->tell_at)
		r->tell_at = clock_ms(CLOCK_MONOTONIC) + PAUSE_MS;
}

static void send_untold(struct recorder *r)
{
	for (int i = 0; r->alerts >= 0 && i < ALERT_TYPES; i++)
		send_alert(r, i, NULL, 0);
}

/* Times at which there is something to tell that was not told. */
static void tell(struct recorder *r)
{
	int64_t now = clock_ms(CLOCK_MONOTONIC);

	if (!r->tell_at || now < r->tell_at)
		return;
	r->tell_at = 0;
	for (size_t i = 0; i < r->n; i++)
		if (!is_writable(r, &r->sinks[i]))
			r->tell_at = now + PAUSE_MS;
	send_untold(r);
}

/* --- records --- */

static bool split_levels(const char **s, size_t *len, uint32_t *ret)
{
	uint32_t levels = 0;
	size_t i;

	for (i = 0; i < *len && i < LEVEL_DIGITS && (*s)[i] != '{'; i++) {
		char c = (*s)[i];

		if (c >= '0' && c <= '9')
			levels = levels << 4 | (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			levels = levels << 4 | (uint32_t)(c - 'a' + 10);
		else
			return false;
	}
	if (i == 0)
		return false;
	*s += i;
	*len -= i;
	*ret = levels;
	return true;
}

/* All entries to all logs. */
static void write_batch(struct recorder *r)
{
	for (size_t i = 0; i < r->n; i++) {
		lose(r, &r->sinks[i], r->odd);
		if (r->entries_n)
			write_sink(r, &r->sinks[i]);
	}
	r->odd = 0;
	r->entries_n = 0;
}

/* What the monitor does not know of. */
static void alert(struct recorder *r, const char *s, size_t len)
{
	int type = r->alerts < 0 ? -1 : alert_type_of(s, len);

	if (type >= 0)
		send_alert(r, type, s, len);
}

static void take_record(struct recorder *r, const char *s, size_t len)
{
	struct entry x = {};

	if (!split_levels(&s, &len, &x.levels) || len > AUDIT_LINE_MAX ||
	    !chain_is_line(s, len)) {
		r->odd++;
		return;
	}
	if (x.levels & AUDIT_ALERT)
		alert(r, s, len);
	x.levels &= ~AUDIT_ALERT;
	x.s = s;
	x.len = len;
	r->entries[r->entries_n++] = x;
	if (r->entries_n == ENTRIES_MAX)
		write_batch(r);
}

/* Whole records; how much they are of the text. */
static size_t take_records(struct recorder *r, const char *s, size_t len, bool *skipping)
{
	const char *newline;
	size_t from = 0;

	while ((newline = memchr(s + from, '\n', len - from))) {
		size_t end = (size_t)(newline - s);

		if (*skipping)
			*skipping = false;
		else
			take_record(r, s + from, end - from);
		from = end + 1;
	}
	return from;
}

/* --- where they come from --- */

/* False: there is nothing more there now, or never. */
static bool read_lines(struct recorder *r)
{
	size_t done;
	ssize_t n = read(r->lines, r->text + r->partial, sizeof(r->text) - r->partial);

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN) {
			/* The beginning of a record: its writer died. */
			r->odd += r->partial > 0;
			write_batch(r);
			fd_close(&r->lines);
		}
		return false;
	}
	r->partial += (size_t)n;
	done = take_records(r, r->text, r->partial, &r->skipping);
	write_batch(r);
	r->partial -= done;
	memmove(r->text, r->text + done, r->partial);
	if (r->partial > RECORD_MAX) {
		r->odd += !r->skipping;
		r->skipping = true;
	}
	if (r->skipping)
		r->partial = 0;
	return true;
}

/* As many messages as there is room for. False: as above. */
static bool read_others(struct recorder *r)
{
	size_t used = 0;
	bool more = true;

	while (more && sizeof(r->messages) - used >= AUDIT_MESSAGE_MAX) {
		char *s = r->messages + used;
		bool skipping = false;
		ssize_t n = recv(r->others, s, AUDIT_MESSAGE_MAX, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			/* An empty message is none of ours, and ends it like its end. */
			if (n == 0 || errno != EAGAIN)
				fd_close(&r->others);
			more = false;
		} else if (n > AUDIT_MESSAGE_MAX || s[n - 1] != '\n') {
			r->odd++;
		} else {
			take_records(r, s, (size_t)n, &skipping);
			used += (size_t)n;
		}
	}
	write_batch(r);
	return more;
}

static void drain(struct recorder *r)
{
	while (r->lines >= 0 && read_lines(r))
		;
	while (r->others >= 0 && read_others(r))
		;
}

static uint64_t lost_of_all(const struct recorder *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->sinks[i].lost;
	return n;
}

/* Its parent is dead. Whose init has ended already did so for another reason. */
static void end_container(const struct recorder *r)
{
	struct pollfd init = { .fd = r->end.init_fd, .events = POLLIN };

	if (poll(&init, 1, 0) == 0)
		warden_note(r->end.end_fd, r->end.note);
	(void)fd_write_all(r->end.kill_fd, "1", 1);
}

static void read_parent(struct recorder *r)
{
	char c[2];
	ssize_t n = recv(r->report, c, sizeof(c), MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		fd_close(&r->report);
		if (!r->bye && r->ends_container)
			end_container(r);
		return;
	}
	if (n == 1 && c[0] == AUDIT_RECORDER_BYE)
		r->bye = true;
	if (n == 1 && c[0] == AUDIT_RECORDER_FLUSH) {
		drain(r);
		report(r, AUDIT_RECORDER_FLUSHED, 0, lost_of_all(r), NULL);
	}
}

/* --- life --- */

static void tell_of_death(struct recorder *r)
{
	_buf_free_ struct buf line = {};

	recorder_event_died(&r->self, &line);
	if (line.failed)
		return;
	alert(r, line.s, line.len);
	r->entries[r->entries_n++] = (struct entry){ .s = line.s, .len = line.len - 1 };
	write_batch(r);
}

/* What the log does not know of yet, if it can be written now; and it is to stay. */
static void end(struct recorder *r)
{
	for (size_t i = 0; i < r->n; i++) {
		r->sinks[i].retry_at = 0;
		(void)is_writable(r, &r->sinks[i]);
		(void)fdatasync(r->sinks[i].file.fd);
	}
	send_untold(r);
}

static void run(struct recorder *r)
{
	int64_t until = -1, now;

	while (r->lines >= 0 || r->report >= 0 || r->others >= 0) {
		struct pollfd p[] = { { .fd = r->lines, .events = POLLIN },
				      { .fd = r->report, .events = POLLIN },
				      { .fd = r->others, .events = POLLIN } };
		int64_t at = r->tell_at && (until < 0 || r->tell_at < until) ? r->tell_at :
									       until;

		now = clock_ms(CLOCK_MONOTONIC);
		if (until >= 0 && now >= until)
			break;
		(void)poll(p, ARRAY_SIZE(p),
			   at < 0   ? -1 :
			   at > now ? (int)(at - now) :
				      0);
		/* Its death first: a disk may be slow. */
		if (p[1].revents)
			read_parent(r);
		if (p[0].revents)
			read_lines(r);
		if (p[2].revents)
			read_others(r);
		tell(r);
		/* The parent's end, and with it that of its records. */
		if (until < 0 && r->lines < 0 && r->report < 0) {
			if (!r->bye)
				tell_of_death(r);
			until = clock_ms(CLOCK_MONOTONIC) + AUDIT_RECORDER_LINGER * 1000;
		}
	}
	end(r);
}

/* --- start --- */

static int open_logs(struct recorder *r, const struct audit_config *config, int *folders,
		     struct err *e)
{
	for (size_t i = 0; i < config->logs.n; i++) {
		const struct audit_log_config *x = &config->logs.v[i];
		struct sink *s = &r->sinks[i];
		const char *name;
		int result = recorder_jail_open_folder(x->path, &folders[i], &name, e);

		if (result < 0)
			return result;
		s->levels = x->levels;
		s->file = (struct log_file){ .path = x->path,
					     .max_size = x->max_size,
					     .keep = x->keep,
					     .self = &r->self };
		result = log_file_open(&s->file, folders[i], name, e);
		if (result < 0)
			return err_wrap(e, "audit log");
		r->n++;
	}
	return 0;
}

static int prepare(struct recorder *r, const struct audit_recorder_start *start,
		   struct err *e)
{
	int folders[AUDIT_RECORDER_LOGS];
	const int keep[] = { r->lines,	     r->others,	     r->report,	   r->alerts,
			     r->end.init_fd, r->end.kill_fd, r->end.end_fd };
	int result = fd_close_all_but(0, keep, ARRAY_SIZE(keep), e);

	if (result < 0)
		return result;
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	/* A limit on the size of files is an error like others. */
	signal(SIGXFSZ, SIG_IGN);
	r->self.container = start->config->container;
	result = open_logs(r, start->config, folders, e);
	return result < 0 ? result : recorder_jail_enter(folders, r->n, e);
}

static void __attribute__((noreturn))
record(const struct audit_recorder_start *start, int lines, int report_fd)
{
	struct recorder *r = calloc(1, sizeof(*r));
	struct err e = {};

	if (!r)
		_exit(EXIT_FAILURE);
	r->lines = lines;
	r->others = start->others_fd;
	r->alerts = start->alerts_fd;
	r->report = report_fd;
	r->ends_container = start->end != NULL;
	r->end = start->end ? *start->end : (struct audit_recorder_end){ -1, -1, -1, NULL };
	if (prepare(r, start, &e) < 0) {
		report(r, AUDIT_RECORDER_ERROR, 0, 0, &e);
		_exit(EXIT_FAILURE);
	}
	report(r, AUDIT_RECORDER_READY, 0, 0, NULL);
	run(r);
	_exit(EXIT_SUCCESS);
}

int audit_recorder_start(const struct audit_recorder_start *start,
			 struct audit_recorder *ret, struct err *e)
{
	_close_ int lines = -1, lines_end = -1, ours = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (start->config->logs.n > AUDIT_RECORDER_LOGS)
		return err_set(e, ERR_UNSUPPORTED, E2BIG, "more than %d audit logs",
			       AUDIT_RECORDER_LOGS);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	lines = fds[0];
	lines_end = fds[1];
	/* Larger pipes are a privilege, which is not needed. */
	(void)fcntl(lines, F_SETPIPE_SZ, PIPE_SIZE);
	if (fcntl(lines, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set up a pipe");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		close(lines_end);
		close(ours);
		record(start, lines, theirs);
	}
	*ret = (struct audit_recorder){ .pid = pid,
					.lines_fd = take_fd(&lines_end),
					.report_fd = take_fd(&ours) };
	return 0;
}

static int read_report(int fd, int flags, struct audit_recorder_report *ret)
{
	ssize_t n;

	do
		n = recv(fd, ret, sizeof(*ret), flags);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	/* It could be anybody's by now. */
	ret->err.msg[sizeof(ret->err.msg) - 1] = '\0';
	return n == sizeof(*ret) ? 1 : -EPROTO;
}

int audit_recorder_wait(struct audit_recorder *r, struct err *e)
{
	struct audit_recorder_report x;
	int result = read_report(r->report_fd, 0, &x);

	if (result == 1 && x.type == AUDIT_RECORDER_READY)
		return 0;
	if (result == 1 && x.type == AUDIT_RECORDER_ERROR) {
		*e = x.err;
		return -x.err.code;
	}
	return err_set(e, ERR_KERNEL, EIO, "cannot start the recorder of the audit log: %s",
		       result == 0 ? "it died" : "it says odd things");
}

int audit_recorder_read_report(int report_fd, struct audit_recorder_report *ret)
{
	return read_report(report_fd, MSG_DONTWAIT, ret);
}

int audit_recorder_say(int report_fd, char what)
{
	ssize_t n;

	do
		n = send(report_fd, &what, 1, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

void audit_record_add(struct buf *out, uint32_t levels, const char *line, size_t len)
{
	if (len && line[len - 1] == '\n')
		len--;
	buf_addf(out, "%x", levels);
	buf_add(out, line, len);
	buf_adds(out, "\n");
}
