/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running hooks (runtime-spec, config.md, "POSIX-platform Hooks"): see hooks.h.
 *
 * Theory of operation. The hook is a child with three pipes: the state goes to its stdin, its
 * stderr comes back, and a third, closed by a successful execve(), brings back why the program
 * could not be started. All ends on our side are non-blocking and served by one poll() loop, whose
 * end is the *exit* of the hook (a pidfd) or its deadline, never the end of a pipe: what the hook
 * leaves running may hold the pipes open for as long as it likes. Whatever the hook itself wrote
 * is in the pipe when its pidfd becomes readable, so one bounded drain afterwards gets it all.
 *
 * Runs in the runtime or in the container's init, with their privileges. The child allocates
 * nothing between fork() and execve().
 */
#include "oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/signals.h"

/* How much of the end of stderr goes into the message. */
#define STDERR_KEPT 1024
/* At most this much is read after the hook has gone, should a descendant go on writing. */
#define DRAIN_MAX (256 * 1024)

enum child_step { STEP_NONE, STEP_STDIO, STEP_CWD, STEP_EXEC };

/* What the child sends when it cannot become the hook. */
struct child_failure {
	int step; /* enum child_step */
	int code;
};

/* One hook being run. */
struct run {
	const struct oci_hook *hook;
	const char *state;
	size_t state_left;
	const char *cwd;
	/* Our ends of the pipes, and the child's. */
	int in_w, err_r, fail_r;
	int in_r, err_w, fail_w;
	int null_fd;
	int pidfd;
	pid_t pid;
	char tail[STDERR_KEPT + 1];
	size_t tail_len;
	bool timed_out;
};

#define RUN_INIT                                                                \
	{                                                                       \
		.in_w = -1, .err_r = -1, .fail_r = -1, .in_r = -1, .err_w = -1, \
		.fail_w = -1, .null_fd = -1, .pidfd = -1, .pid = -1             \
	}

/* Kills and reaps a hook that is still there: on every way out, none stays behind unreaped. */
static void run_clear(struct run *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	fd_close(&r->in_w);
	fd_close(&r->err_r);
	fd_close(&r->fail_r);
	fd_close(&r->in_r);
	fd_close(&r->err_w);
	fd_close(&r->fail_w);
	fd_close(&r->null_fd);
	fd_close(&r->pidfd);
}
#define _run_clear_ __attribute__((cleanup(run_clear)))

static int make_pipe(int *ret_r, int *ret_w, bool our_end_is_r)
{
	int fds[2], ours;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_r = fds[0];
	*ret_w = fds[1];
	ours = our_end_is_r ? fds[0] : fds[1];
	return fcntl(ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/*
 * The hook's stdout. In a container stage the path belongs to the image: it must be the device,
 * and the open must not block on a FIFO.
 */
static int open_null(int *ret, struct err *e)
{
	_close_ int fd = -1;
	struct stat st;

	fd = open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, "cannot open '/dev/null'");
	if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err_set(e, ERR_KERNEL, ENODEV, "'/dev/null' is not the null device");
	*ret = take_fd(&fd);
	return 0;
}

static void child_fail(int fd, enum child_step step)
{
	const struct child_failure f = { .step = step, .code = errno };

	if (write(fd, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/*
 * Runs in: the hook's process, from fork() to execve(). Should: leave nothing of ours behind.
 * Mustn't: allocate, log, return.
 */
__attribute__((noreturn)) static void child_main(const struct run *r, char *const *argv,
						 char *const *envp)
{
	/* Our stdio may be closed: the pipes could sit on 0 to 2 and be overwritten by dup2(). */
	int fail = fcntl(r->fail_w, F_DUPFD_CLOEXEC, 3);
	int in = fcntl(r->in_r, F_DUPFD_CLOEXEC, 3);
	int out = fcntl(r->null_fd, F_DUPFD_CLOEXEC, 3);
	int err = fcntl(r->err_w, F_DUPFD_CLOEXEC, 3);

	/* An own group, so that a time-out reaches what the hook has started; and no hook goes on
	 * when the runtime is killed. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_reset();
	if (fail < 0)
		_exit(126);
	if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(err, 2) < 0)
		child_fail(fail, STEP_STDIO);
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		child_fail(fail, STEP_STDIO);
	if (chdir(r->cwd) < 0)
		child_fail(fail, STEP_CWD);
	execve(r->hook->path, argv, envp);
	child_fail(fail, STEP_EXEC);
	_exit(127);
}

static int start(struct run *r, struct err *e)
{
	char *const just_path[] = { r->hook->path, NULL };
	char *const no_env[] = { NULL };
	char *const *argv = r->hook->args.n ? r->hook->args.v : just_path;
	char *const *envp = r->hook->env.n ? r->hook->env.v : no_env;
	int code;

	if (make_pipe(&r->in_r, &r->in_w, false) < 0 ||
	    make_pipe(&r->err_r, &r->err_w, true) < 0 ||
	    make_pipe(&r->fail_r, &r->fail_w, true) < 0)
		return err_sys(e, "cannot create a pipe");
	code = open_null(&r->null_fd, e);
	if (code < 0)
		return code;
	r->pid = fork();
	if (r->pid < 0)
		return err_sys(e, "cannot fork");
	if (r->pid == 0)
		child_main(r, argv, envp);
	/* As in the child: whoever comes first, the group is there when we may have to kill it. */
	setpgid(r->pid, r->pid);
	fd_close(&r->in_r);
	fd_close(&r->err_w);
	fd_close(&r->fail_w);
	fd_close(&r->null_fd);
	/* The child is not reaped yet, so its pid cannot be another's. */
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	if (r->pidfd < 0)
		return err_sys(e, "cannot open a pidfd");
	return 0;
}

/* Gives the hook what its stdin takes now. A hook that does not want it closes it: fine. */
static void feed_stdin(struct run *r)
{
	while (r->state_left > 0) {
		ssize_t n = write(r->in_w, r->state, r->state_left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		r->state += n;
		r->state_left -= (size_t)n;
	}
	fd_close(&r->in_w);
}

static void keep_tail(struct run *r, const char *data, size_t len)
{
	size_t drop;

	if (len > STDERR_KEPT) {
		data += len - STDERR_KEPT;
		len = STDERR_KEPT;
	}
	drop = r->tail_len + len > STDERR_KEPT ? r->tail_len + len - STDERR_KEPT : 0;
	memmove(r->tail, r->tail + drop, r->tail_len - drop);
	r->tail_len -= drop;
	memcpy(r->tail + r->tail_len, data, len);
	r->tail_len += len;
}

/* Reads what is there now, at most `max` bytes. */
static void drain_stderr(struct run *r, size_t max)
{
	char chunk[4096];

	while (r->err_r >= 0 && max > 0) {
		ssize_t n = read(r->err_r, chunk, max < sizeof(chunk) ? max : sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			fd_close(&r->err_r);
			return;
		}
		keep_tail(r, chunk, (size_t)n);
		max -= (size_t)n;
	}
}

/* poll() takes an int: a wait beyond it is taken in turns. */
static int wait_left(int64_t deadline)
{
	int64_t left;

	if (deadline < 0)
		return -1;
	left = deadline - clock_ms(CLOCK_MONOTONIC);
	if (left < 0)
		return 0;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Serves the pipes until the hook has exited or its time is over. */
static int serve(struct run *r, struct err *e)
{
	int64_t deadline = -1;

	if (r->hook->timeout.set)
		deadline = clock_ms(CLOCK_MONOTONIC) +
			   (int64_t)r->hook->timeout.value * 1000;
	for (;;) {
		/* poll() skips the closed ones: they are -1. */
		struct pollfd fds[] = {
			{ .fd = r->pidfd, .events = POLLIN },
			{ .fd = r->err_r, .events = POLLIN },
			{ .fd = r->in_w, .events = POLLOUT },
		};
		int n = poll(fds, ARRAY_SIZE(fds), wait_left(deadline));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot wait for the hook");
		if (fds[0].revents)
			return 0;
		if (deadline >= 0 && clock_ms(CLOCK_MONOTONIC) >= deadline) {
			r->timed_out = true;
			/* Both: the hook may have left its group. */
			kill(-r->pid, SIGKILL);
			kill(r->pid, SIGKILL);
			return 0;
		}
		if (fds[1].revents)
			drain_stderr(r, DRAIN_MAX);
		if (fds[2].revents)
			feed_stdin(r);
	}
}

/* The captured end of stderr as one line. */
static const char *tail_text(struct run *r)
{
	char *s = r->tail;

	for (size_t i = 0; i < r->tail_len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			s[i] = ' ';
	while (r->tail_len > 0 && s[r->tail_len - 1] == ' ')
		r->tail_len--;
	s[r->tail_len] = '\0';
	return s + strspn(s, " ");
}

static int exit_fault(struct run *r, const char *how, int number, struct err *e)
{
	const char *said = tail_text(r);

	return err_set(e, ERR_CONFIG, ECANCELED, "%s %d%s%s", how, number,
		       *said ? ": " : "", said);
}

/* What came of the hook, once it has been reaped. */
static int judge(struct run *r, int status, struct err *e)
{
	struct child_failure f;

	if (read(r->fail_r, &f, sizeof(f)) == (ssize_t)sizeof(f)) {
		if (f.step == STEP_CWD)
			return err_errno(e, f.code, "cannot change to '%s'", r->cwd);
		if (f.step == STEP_EXEC)
			return err_errno(e, f.code, "cannot execute");
		return err_errno(e, f.code, "cannot set up stdio");
	}
	if (r->timed_out)
		return err_set(e, ERR_CONFIG, ETIMEDOUT, "timed out after %ds",
			       r->hook->timeout.value);
	if (WIFSIGNALED(status))
		return exit_fault(r, "was killed by signal", WTERMSIG(status), e);
	if (WEXITSTATUS(status) != 0)
		return exit_fault(r, "exited with code", WEXITSTATUS(status), e);
	return 0;
}

static int run_hook(const struct oci_hook *hook, const char *state_json, const char *cwd,
		    struct err *e)
{
	_run_clear_ struct run r = RUN_INIT;
	int status = 0, code;

	r.hook = hook;
	r.cwd = cwd;
	r.state = state_json;
	r.state_left = strlen(state_json);
	code = start(&r, e);
	if (code < 0)
		return code;
	code = serve(&r, e);
	if (code < 0)
		return code;
	while (waitpid(r.pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		r.pid = -1;
		return err_sys(e, "cannot wait for the hook");
	}
	r.pid = -1;
	drain_stderr(&r, DRAIN_MAX);
	return judge(&r, status, e);
}

/*
 * While hooks run, a hook that does not read its stdin must not kill us, and none may be reaped
 * behind our back. The hook's own dispositions are reset in child_main().
 */
struct dispositions {
	struct sigaction pipe, chld;
};

static void dispositions_set(struct dispositions *old)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN },
			 dfl = { .sa_handler = SIG_DFL };

	sigaction(SIGPIPE, &ignore, &old->pipe);
	sigaction(SIGCHLD, NULL, &old->chld);
	if (old->chld.sa_handler == SIG_IGN || (old->chld.sa_flags & SA_NOCLDWAIT))
		sigaction(SIGCHLD, &dfl, NULL);
}

static void dispositions_restore(const struct dispositions *old)
{
	sigaction(SIGPIPE, &old->pipe, NULL);
	sigaction(SIGCHLD, &old->chld, NULL);
}

static int run_one(const oci_hooks_list *hooks, size_t at, const char *stage,
		   const char *state_json, const char *cwd, struct err *e)
{
	struct dispositions old;
	int r;

	dispositions_set(&old);
	r = run_hook(&hooks->v[at], state_json, cwd, e);
	dispositions_restore(&old);
	/* The words are the hook's subject and predicate: no colon between them. */
	if (r < 0) {
		struct err why = *e;

		return err_set(e, why.kind, why.code, "%s hook #%zu (%s) %s", stage,
			       at + 1, hooks->v[at].path, why.msg);
	}
	return 0;
}

int hooks_run(const oci_hooks_list *hooks, const char *stage, const char *state_json,
	      const char *cwd, struct err *e)
{
	for (size_t i = 0; i < hooks->n; i++) {
		int r = run_one(hooks, i, stage, state_json, cwd, e);

		if (r < 0)
			return r;
	}
	return 0;
}

void hooks_run_all(const oci_hooks_list *hooks, const char *stage, const char *state_json,
		   const char *cwd)
{
	for (size_t i = 0; i < hooks->n; i++) {
		struct err e = {};

		if (run_one(hooks, i, stage, state_json, cwd, &e) < 0)
			log_warn("%s", e.msg);
	}
}
