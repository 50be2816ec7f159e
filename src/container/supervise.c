/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See supervise.h. Runs in the runtime in the foreground (`run`, `exec`, `purple run`), in the
 * host's namespaces; an event loop over a signal descriptor and, with a terminal, its two ends.
 */
#include "container/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "container/alerts.h"
#include "container/budget.h"
#include "container/end.h"
#include "container/monitor.h"
#include "container/notify.h"

#define KILL_DELAY_S 10
#define DRAIN_MAX (1024 * 1024) /* more than a terminal holds */

static struct termios saved_termios;

/* Bytes on their way from one descriptor to another. */
struct pipe_buffer {
	char data[4096];
	size_t from, to;
};

int supervise_begin(struct supervise *s, bool subreaper, struct err *e)
{
	sigset_t set;

	sigfillset(&set);
	/* Faults of our own, and what stops a process, keep their meaning. */
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGILL);
	sigdelset(&set, SIGFPE);
	sigdelset(&set, SIGABRT);
	sigdelset(&set, SIGTSTP);
	sigdelset(&set, SIGTTIN);
	sigdelset(&set, SIGTTOU);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "cannot block signals");
	s->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->sigfd < 0)
		return err_sys(e, "cannot watch signals");
	if (subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_sys(e, "cannot become subreaper");
	return 0;
}

static void copy_size(const struct supervise *s)
{
	struct winsize ws;

	if (s->master >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
		ioctl(s->master, TIOCSWINSZ, &ws);
}

static int clear_onlcr(int master, struct err *e)
{
	struct termios t;

	if (tcgetattr(master, &t) < 0)
		return err_sys(e, "cannot read the terminal's settings");
	/* The caller's own terminal adds carriage returns; two of them are one too many. */
	t.c_oflag &= ~(tcflag_t)ONLCR;
	if (tcsetattr(master, TCSANOW, &t) < 0)
		return err_sys(e, "cannot set the terminal's settings");
	return 0;
}

int supervise_terminal(struct supervise *s, int master, struct err *e)
{
	struct termios raw;
	int r;

	s->master = master;
	if (fcntl(master, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set the terminal up");
	if (!isatty(STDIN_FILENO)) {
		r = clear_onlcr(master, e);
		return r;
	}
	copy_size(s);
	if (tcgetattr(STDIN_FILENO, &saved_termios) < 0)
		return err_sys(e, "cannot read the terminal's settings");
	raw = saved_termios;
	cfmakeraw(&raw);
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return err_sys(e, "cannot set the terminal to raw mode");
	s->raw = true;
	return 0;
}

void supervise_end(struct supervise *s)
{
	if (s->raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
	s->raw = false;
	fd_close(&s->master);
	fd_close(&s->sigfd);
	fd_close(&s->oom_fd);
	fd_close(&s->monitor_fd);
}

/* Reaps what died. True when it was pid. */
static bool reap(pid_t pid, int *ret_status)
{
	bool done = false;
	int status;
	pid_t p;

	while ((p = waitpid(-1, &status, WNOHANG)) > 0) {
		if (p != pid)
			continue;
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
						    WEXITSTATUS(status);
		done = true;
	}
	return done;
}

/* True when pid has ended. */
static bool take_signals(struct supervise *s, pid_t pid, int *ret_status)
{
	struct signalfd_siginfo info;
	bool done = false;

	while (read(s->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			done |= reap(pid, ret_status);
			break;
		case SIGWINCH:
			copy_size(s);
			break;
		case SIGPIPE:
			break;
		case SIGTERM:
		case SIGINT:
		case SIGHUP:
		case SIGQUIT:
			s->killed_by = (int)info.ssi_signo;
			__attribute__((fallthrough));
		default:
			/* From the terminal's own keys the process hears itself, unless it has a
			 * session of its own, which every container's process does. */
			if (!done)
				kill(pid, (int)info.ssi_signo);
			break;
		}
	}
	return done;
}

/* 0: more may come, -1: the end. */
static int fill(struct pipe_buffer *b, int fd)
{
	ssize_t n = read(fd, b->data + b->to, sizeof(b->data) - b->to);

	if (n > 0)
		b->to += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

static int flush(struct pipe_buffer *b, int fd)
{
	ssize_t n = write(fd, b->data + b->from, b->to - b->from);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	b->from += (size_t)n;
	if (b->from == b->to)
		b->from = b->to = 0;
	return 0;
}

/* What the program wrote before it ended is still in the terminal; what others, who outlived it
 * there, go on writing is not waited for. */
static void drain(struct supervise *s, struct pipe_buffer *out)
{
	size_t taken = 0;

	while (s->master >= 0) {
		if (out->from < out->to) {
			struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

			if (poll(&p, 1, -1) > 0 && flush(out, STDOUT_FILENO) < 0)
				return;
			continue;
		}
		if (taken > DRAIN_MAX || fill(out, s->master) < 0 || out->from == out->to)
			return;
		taken += out->to - out->from;
	}
}

struct loop {
	struct pipe_buffer in, out;
	bool in_open;
};

static void proxy(struct supervise *s, struct loop *l, const struct pollfd *p)
{
	if (p[1].revents && fill(&l->in, STDIN_FILENO) < 0) {
		l->in_open = false;
		/* End of input that is no terminal: tell the program as a terminal would. */
		if (!s->raw && l->in.to < sizeof(l->in.data))
			l->in.data[l->in.to++] = 4;
	}
	if (p[2].revents & (POLLIN | POLLHUP)) {
		if (fill(&l->out, s->master) < 0 && l->out.from == l->out.to)
			fd_close(&s->master);
	}
	if (s->master >= 0 && l->in.from < l->in.to && flush(&l->in, s->master) < 0)
		l->in.from = l->in.to = 0;
	/* Only what does not block: signals and time-outs hold while nobody reads our output. */
	if (p[4].revents && l->out.from < l->out.to && flush(&l->out, STDOUT_FILENO) < 0)
		l->out.from = l->out.to = 0;
}

static long now_s(void)
{
	return (long)clock_s(CLOCK_BOOTTIME);
}

static void note_end(const struct supervise *s, const char *reason, const char *setting,
		     const char *place)
{
	if (s->container)
		container_end_note(s->container,
				   &(struct container_end){ .reason = (char *)reason,
							    .by = (char *)"purple run",
							    .setting = (char *)setting,
							    .policy = (char *)place });
}

static void note_timeout(const struct supervise *s)
{
	note_end(s, END_TIMEOUT, "resources.session_timeout_seconds",
		 s->container ? s->container->st.timeout_place : NULL);
}

/* Milliseconds for poll(), and the signals of a time-out that is due. */
static int check_timeout(struct supervise *s, pid_t pid, long start)
{
	long left;

	if (s->timeout_s == 0)
		return -1;
	left = start + s->timeout_s - now_s();
	if (left > 0)
		return left > 3600 ? 3600 * 1000 : (int)left * 1000;
	if (!s->timed_out) {
		note_timeout(s);
		kill(pid, SIGTERM);
	}
	s->timed_out = true;
	if (left <= -KILL_DELAY_S)
		kill(pid, SIGKILL);
	return 1000;
}

/* The kernel kills one process of a v1 group; the policy says: the whole container. */
static void take_oom(struct supervise *s)
{
	struct err unused;

	if (!s->oom_killed)
		note_end(s, END_OOM, "resources.memory_limit_bytes",
			 s->container ? s->container->st.memory_place : NULL);
	s->oom_killed = true;
	fd_close(&s->oom_fd);
	cgroup_kill(s->cgroup, SIGKILL, &unused);
}

/* It ends before the container when somebody killed it, and with it perhaps all who would end that. */
static void take_monitor(struct supervise *s, pid_t pid)
{
	siginfo_t info = {};

	fd_close(&s->monitor_fd);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == 0)
		monitor_end_unrecorded(s->container);
}

/* The caller waits until the container's end, so it stays the service's main process. */
static void take_notify(struct supervise *s)
{
	struct err e;

	if (notify_forward(s->notify, getpid(), &e) < 0) {
		log_warn("%s", e.msg);
		s->notify = NULL;
	}
}

/* The program cannot be asked why it does not go on. Its end is told when it has ended. */
static void take_budget(struct supervise *s)
{
	_buf_free_ struct buf text = {};

	if (!budget_watch_take(s->budget) || budget_watch_stops(s->budget) ||
	    s->budget->is_quiet)
		return;
	budget_watch_text(s->budget, false, &text);
	buf_adds(&text, s->raw ? "\r\n" : "\n");
	if (!text.failed)
		(void)!fd_write_all(STDERR_FILENO, text.s, text.len);
}

void supervise_tell_alerts(struct supervise *s)
{
	_buf_free_ struct buf text = {};

	alerts_take(s->alerts, s->raw ? "\r\n" : "\n", &text);
	if (text.len && !text.failed)
		(void)!fd_write_all(STDERR_FILENO, text.s, text.len);
}

int supervise_wait(struct supervise *s, pid_t pid, int *ret_status, struct err *e)
{
	_free_ struct loop *l = calloc(1, sizeof(*l));
	long start = now_s();

	if (!l)
		return err_oom(e);
	l->in_open = s->master >= 0;
	/* It may have ended before the signal was watched. */
	if (reap(pid, ret_status))
		goto done;
	for (;;) {
		struct pollfd p[9] = {
			{ .fd = s->sigfd, .events = POLLIN },
			{ .fd = -1, .events = POLLIN },
			{ .fd = -1 },
			{ .fd = s->oom_fd, .events = POLLIN },
			{ .fd = -1, .events = POLLOUT },
			{ .fd = s->notify ? s->notify->sock : -1, .events = POLLIN },
			{ .fd = s->budget ? s->budget->fd : -1, .events = POLLIN },
			{ .fd = s->alerts ? s->alerts->fd : -1, .events = POLLIN },
			{ .fd = s->monitor_fd, .events = POLLIN }
		};
		int timeout = check_timeout(s, pid, start);

		if (s->master >= 0 && l->in_open && l->in.to < sizeof(l->in.data))
			p[1].fd = STDIN_FILENO;
		if (s->master >= 0) {
			p[2].fd = s->master;
			p[2].events = (short)((l->out.to < sizeof(l->out.data) ? POLLIN : 0) |
					      (l->in.from < l->in.to ? POLLOUT : 0));
		}
		if (l->out.from < l->out.to)
			p[4].fd = STDOUT_FILENO;
		if (poll(p, ARRAY_SIZE(p), timeout) < 0) {
			if (errno != EINTR)
				return err_sys(e, "cannot wait for the container");
			continue;
		}
		if (p[3].revents)
			take_oom(s);
		if (p[5].revents)
			take_notify(s);
		if (p[6].revents)
			take_budget(s);
		if (p[7].revents)
			supervise_tell_alerts(s);
		if (p[8].revents)
			take_monitor(s, pid);
		if (take_signals(s, pid, ret_status))
			break;
		proxy(s, l, p);
	}
done:
	/* What it said before it ended. */
	if (s->notify)
		take_notify(s);
	drain(s, &l->out);
	return 0;
}
