/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See warden.h. A fork of purple-gateway, made while that has no key yet, or of purple-monitor: as
 * nobody with CAP_KILL, or as an ordinary user whose container it is.
 *
 * What it does once begun it ends, whatever becomes of its parent: a container that was told to stop
 * is ended after its time, and a session's time-out holds. One that is frozen stays frozen when the
 * gateway dies: thawing it would let it go on where nothing measures it. That is told in
 * events.jsonl.
 */
#include "audit/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/jail.h"
#include "base/list.h"
#include "base/str.h"

#define GRACE_MS 10000
#define RETRY_MS 1000
#define NOTE_MAX 32768 /* a policy's path may be long, and each byte of it escaped */
#define DAY_MS (24 * 60 * 60 * 1000)

struct warden {
	struct warden_setup s;
	int sock; /* -1: the parent is gone */
	bool is_v1, is_frozen;
	bool said_bye;
	bool is_stopping, is_killed, has_noted;
	int64_t kill_at, timeout_at; /* of now_ms(); no time-out: 0 */
};

static const struct jail_limit limits[] = {
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_NOFILE, 3 }, /* so many poll() takes; none can be opened */
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, 512ull << 20 },
#endif
};

static const int calls[] = {
	SCMP_SYS(brk),	  SCMP_SYS(clock_gettime), SCMP_SYS(close),
	SCMP_SYS(exit),	  SCMP_SYS(exit_group),	   SCMP_SYS(madvise),
	SCMP_SYS(mremap), SCMP_SYS(munmap),	   SCMP_SYS(poll),
	SCMP_SYS(ppoll),  SCMP_SYS(recvfrom),	   SCMP_SYS(restart_syscall),
	SCMP_SYS(write),  SCMP_SYS(rt_sigreturn),
};

/* As people count a session: a machine that sleeps does not stop it. */
static int64_t now_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

/* --- the jail --- */

/* Two signals, to whom the pidfd leads; and to whom a socket leads already. */
static int add_rules(void *filter, const void *arg)
{
	static const int signals[] = { SIGTERM, SIGKILL };
	const struct warden *w = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && w->s.init_fd >= 0 && i < ARRAY_SIZE(signals); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal),
				     2, SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)w->s.init_fd),
				     SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)signals[i]));
	return r < 0 ? r :
		       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
					SCMP_A4(SCMP_CMP_EQ, 0));
}

static int enter_jail(const struct warden *w, int keep_fd, struct err *e)
{
	const uint64_t kill = 1ULL << CAP_KILL;
	const int keep[] = { w->sock,	      w->s.init_fd, w->s.kill_fd,
			     w->s.freezer_fd, w->s.oom_fd,  w->s.end_fd,
			     w->s.death_fd,   w->s.copy_fd, keep_fd };
	bool is_root = geteuid() == 0;
	int r = fd_close_all_but(0, keep, ARRAY_SIZE(keep), e);

	if (r == 0)
		r = jail_limit(limits, ARRAY_SIZE(limits), e);
	/* An ordinary user's container: nothing can be given up, and nothing is there. */
	if (r == 0 && is_root)
		r = jail_drop_bounding(e);
	if (r == 0 && is_root)
		r = jail_become_nobody(e);
	if (r == 0)
		r = jail_set_caps(is_root ? kill : 0, is_root ? kill : 0, e);
	if (r == 0)
		r = jail_close_doors(e);
	return r < 0 ? r : jail_load_filter(calls, ARRAY_SIZE(calls), add_rules, w, e);
}

/* --- what it can do --- */

/* In one write, as container/end.h wants it. */
void warden_note(int end_fd, const char *note)
{
	struct timespec now = {};
	char line[NOTE_MAX], when[32];
	struct tm tm = {};
	int n;

	if (!note || end_fd < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	n = snprintf(line, sizeof(line), "%s,\"time\":\"%s.%09ldZ\"}\n", note, when,
		     now.tv_nsec);
	if (n > 0 && (size_t)n < sizeof(line))
		(void)!write(end_fd, line, (size_t)n);
}

/* Once: the first reason is the one. */
static void note(struct warden *w, enum warden_reason reason)
{
	const char *text = reason < WARDEN_REASONS ? w->s.notes[reason] : NULL;

	if (!text || w->has_noted)
		return;
	warden_note(w->s.end_fd, text);
	w->has_noted = true;
}

static int signal_init(const struct warden *w, int signum)
{
	if (w->s.init_fd < 0)
		return -ESRCH;
	if (syscall(SYS_pidfd_send_signal, w->s.init_fd, signum, NULL, 0) < 0)
		return -errno;
	return 0;
}

static int write_word(int fd, const char *word)
{
	ssize_t n;

	if (fd < 0)
		return -EOPNOTSUPP;
	do
		n = write(fd, word, strlen(word));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static int freeze(struct warden *w, bool on)
{
	int r = write_word(w->s.freezer_fd, w->is_v1 ? on ? "FROZEN" : "THAWED" :
					    on	     ? "1" :
						       "0");

	if (r == 0)
		w->is_frozen = on;
	return r;
}

/* The whole container; where there is no cgroup.kill its init, with which a pid namespace ends. */
static void kill_all(struct warden *w)
{
	w->is_killed = true;
	if (write_word(w->s.kill_fd, "1") < 0)
		(void)!signal_init(w, SIGKILL);
	/* In v1's freezer nobody dies. */
	if (w->s.freezer_fd >= 0)
		(void)!freeze(w, false);
}

static int end_all(struct warden *w, enum warden_reason reason)
{
	note(w, reason);
	kill_all(w);
	return 0;
}

static int stop(struct warden *w, enum warden_reason reason)
{
	int r;

	if (w->is_stopping || w->is_killed)
		return 0;
	note(w, reason);
	r = signal_init(w, SIGTERM);
	if (r < 0 && w->s.kill_fd < 0)
		return r;
	w->is_stopping = true;
	w->kill_at = now_ms() + (w->s.grace_ms ? w->s.grace_ms : GRACE_MS);
	/* One that is frozen hears no signal. */
	if (w->is_frozen)
		(void)!freeze(w, false);
	return 0;
}

static int obey(struct warden *w, const struct warden_message *m)
{
	switch (m->command) {
	case WARDEN_STOP:
		return stop(w, m->reason);
	case WARDEN_KILL:
		return end_all(w, m->reason);
	case WARDEN_FREEZE:
		return w->is_stopping ? -ESRCH : freeze(w, true);
	case WARDEN_THAW:
		return freeze(w, false);
	case WARDEN_BYE:
		w->said_bye = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* --- its life --- */

static void read_message(struct warden *w)
{
	struct warden_message m;
	struct warden_reply reply;
	ssize_t n = recv(w->sock, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		fd_close(&w->sock);
		return;
	}
	reply.command = n == sizeof(m) ? m.command : 0;
	reply.error = n == sizeof(m) ? obey(w, &m) : -EINVAL;
	if (reply.command != WARDEN_BYE)
		(void)!send(w->sock, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Milliseconds to what is due next; -1: nothing is. */
static int time_left(const struct warden *w)
{
	int64_t at = w->is_stopping ? w->kill_at : w->timeout_at, left;

	if (w->is_killed || at == 0)
		return -1;
	left = at - now_ms();
	return left <= 0 ? 0 : left > DAY_MS ? DAY_MS : (int)left;
}

static void take_death(struct warden *w)
{
	if (w->s.on_death)
		w->s.on_death(w->s.death_fd, w->is_frozen, w->s.arg);
	if (w->s.ends_on_death)
		end_all(w, WARDEN_FOR_DEATH);
}

/* Until the container has ended, or the parent has and nothing is left to do. */
static void watch(struct warden *w)
{
	bool had_parent = w->sock >= 0;

	while (had_parent || time_left(w) >= 0 || (w->s.oom_fd >= 0 && !w->is_killed)) {
		struct pollfd p[] = { { .fd = w->sock, .events = POLLIN },
				      { .fd = w->s.init_fd, .events = POLLIN },
				      { .fd = w->s.oom_fd, .events = POLLIN } };

		if (poll(p, ARRAY_SIZE(p), time_left(w)) < 0 && errno != EINTR)
			_exit(EXIT_FAILURE);
		if (p[1].revents) {
			if (w->s.ends_rest)
				(void)!write_word(w->s.kill_fd, "1");
			return;
		}
		if (p[2].revents) {
			end_all(w, WARDEN_FOR_OOM);
			fd_close(&w->s.oom_fd);
		}
		if (time_left(w) == 0 && w->is_stopping)
			kill_all(w);
		else if (time_left(w) == 0 && stop(w, WARDEN_FOR_TIMEOUT) < 0)
			w->timeout_at = now_ms() + RETRY_MS;
		if (p[0].revents)
			read_message(w);
		if (had_parent && w->sock < 0) {
			had_parent = false;
			if (!w->said_bye)
				take_death(w);
		}
	}
}

/* Which of both freezers a file is of. */
static bool is_v1_freezer(int fd)
{
	char path[64], target[4096];
	const char *name;
	struct statfs fs;
	ssize_t n;

	/* Where there is no /proc. */
	if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP_SUPER_MAGIC)
		return true;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = fd < 0 ? -1 : readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	name = strrchr(target, '/');
	return name && streq(name, "/freezer.state");
}

static int begin(struct warden *w, int keep_fd, struct err *e)
{
	prctl(PR_SET_NAME, "purple-warden");
	signal(SIGPIPE, SIG_IGN);
	w->is_v1 = is_v1_freezer(w->s.freezer_fd);
	w->timeout_at = w->s.timeout_ms > 0 ? now_ms() + w->s.timeout_ms : 0;
	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
	return enter_jail(w, keep_fd, e);
}

static void __attribute__((noreturn)) guard(struct warden *w)
{
	struct err e = {};

	if (begin(w, -1, &e) < 0) {
		(void)!send(w->sock, e.msg, strlen(e.msg), MSG_NOSIGNAL);
		_exit(EXIT_FAILURE);
	}
	if (send(w->sock, "", 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_FAILURE);
	watch(w);
	_exit(EXIT_SUCCESS);
}

int warden_become(const struct warden_setup *s, int keep_fd, struct warden **ret,
		  struct err *e)
{
	struct warden *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return err_oom(e);
	*w = (struct warden){ .s = *s, .sock = -1 };
	r = begin(w, keep_fd, e);
	if (r == 0)
		*ret = w;
	return r;
}

void warden_serve(struct warden *w)
{
	watch(w);
}

int warden_start(const struct warden_setup *s, int *ret_fd, struct err *e)
{
	struct warden w = { .s = *s };
	_close_ int sock = -1;
	pid_t pid = helper_fork(&sock, e);

	if (pid < 0)
		return pid;
	if (pid == 0) {
		w.sock = take_fd(&sock);
		guard(&w);
	}
	if (fcntl(sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set a socket up");
	*ret_fd = take_fd(&sock);
	return 0;
}

int warden_wait(int fd, struct err *e)
{
	char text[sizeof(e->msg)];
	ssize_t n;

	/* The caller may have few system calls by now: these are among them. */
	do {
		n = poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);
		if (n == 1)
			n = recv(fd, text, sizeof(text) - 1, 0);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n == 1 && text[0] == '\0')
		return 0;
	text[n > 0 ? n : 0] = '\0';
	return err_set(e, ERR_KERNEL, EIO, "cannot start who stops the container: %s",
		       n > 0 ? text : "it died");
}

int warden_tell(int fd, enum warden_command command, enum warden_reason reason)
{
	const struct warden_message m = { .command = command, .reason = reason };

	if (send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(m))
		return errno ? -errno : -EIO;
	return 0;
}
