/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See alerter.h. A fork of purple-gateway, made while that has no key yet, or of purple-alert, with
 * the privileges that they were started with: the command is the administrator's, as a hook is.
 */
#include "audit/alerter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/spawn.h"

#define SEARCH_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PIPE_SIZE 65536 /* what each has */

const char *alerter_reply_text(const struct alerter_reply *r, char *text, size_t size)
{
	if (r->status == 0)
		return NULL;
	if (r->status == -ETIMEDOUT)
		snprintf(text, size, "it did not end within %d s, and was killed",
			 ALERTER_SECONDS);
	else if (r->status < 0)
		snprintf(text, size, "it cannot be started: %s", strerror(-r->status));
	else if (WIFSIGNALED(r->status))
		snprintf(text, size, "signal %d ended it", WTERMSIG(r->status));
	else if (WEXITSTATUS(r->status) == 127)
		snprintf(text, size, "it cannot be started, or ended with status 127");
	else
		snprintf(text, size, "it ended with status %d", WEXITSTATUS(r->status));
	return text;
}

/* --- the command --- */

static void __attribute__((noreturn)) become(const struct alerter_run *x, int in)
{
	const struct spawn s = { .program = x->command->v[0],
				 .argv = (const char *const *)x->command->v,
				 .envp = (const char *const *)x->environment.v,
				 .fds = &in,
				 .n = 1 };

	/* A group to kill it by, with what it has started. */
	setsid();
	spawn_exec_or_exit(&s);
}

static int wait_for(pid_t pid)
{
	struct pollfd p = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int64_t until = clock_ms(CLOCK_MONOTONIC) + ALERTER_SECONDS * 1000, left;
	int status = 0, r = p.fd < 0 ? -1 : 0;

	while (p.fd >= 0 && (left = until - clock_ms(CLOCK_MONOTONIC)) > 0) {
		r = poll(&p, 1, (int)left);
		if (r > 0 || (r < 0 && errno != EINTR))
			break;
		r = 0;
	}
	if (p.fd >= 0)
		close(p.fd);
	if (r <= 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return r <= 0 ? -ETIMEDOUT : status;
}

/* All of the input fits: a command that does not read it holds nobody up. */
static int make_input(const struct buf *text, int *ret, struct err *e)
{
	_close_ int in = -1, out = -1;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	in = fds[0];
	out = fds[1];
	if (text->len > PIPE_SIZE && fcntl(out, F_SETPIPE_SZ, (int)(2 * text->len)) < 0)
		return err_sys(e, "cannot make a pipe larger");
	if (fcntl(out, F_SETFL, O_NONBLOCK) < 0 ||
	    write(out, text->s, text->len) != (ssize_t)text->len)
		return err_set(e, ERR_KERNEL, EIO, "cannot fill a pipe");
	*ret = take_fd(&in);
	return 0;
}

static int run_command(struct alerter_run *x)
{
	_close_ int in = -1;
	struct err e = {};
	pid_t pid;
	int r;

	if (x->input.failed || strv_add(&x->environment, "PATH=" SEARCH_PATH) < 0)
		return -ENOMEM;
	r = make_input(&x->input, &in, &e);
	if (r < 0)
		return r;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(x, in);
	return wait_for(pid);
}

/* --- its life --- */

static void obey(const struct alerter_setup *s, int sock, const void *message, size_t len)
{
	struct alerter_run x = {};
	struct alerter_reply reply;

	reply.status = s->read(s->arg, message, len, &x) ? run_command(&x) : -EPROTO;
	(void)!send(sock, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	strv_free(&x.environment);
	buf_free(&x.input);
}

static void __attribute__((noreturn)) serve(const struct alerter_setup *s, int sock)
{
	char *message = malloc(ALERTER_MESSAGE_MAX);
	struct err e;
	ssize_t n;

	prctl(PR_SET_NAME, "purple-alerter");
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(SIGPIPE, SIG_IGN);
	if (!message || fd_close_all_but(0, &sock, 1, &e) < 0)
		_exit(EXIT_FAILURE);
	while ((n = recv(sock, message, ALERTER_MESSAGE_MAX, MSG_TRUNC)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			_exit(EXIT_FAILURE);
		if (n <= (ssize_t)ALERTER_MESSAGE_MAX)
			obey(s, sock, message, (size_t)n);
	}
	_exit(EXIT_SUCCESS);
}

int alerter_start(const struct alerter_setup *s, int *ret_fd, struct err *e)
{
	_close_ int sock = -1;
	pid_t pid = helper_fork(&sock, e);

	if (pid < 0)
		return pid;
	if (pid == 0)
		serve(s, take_fd(&sock));
	if (fcntl(sock, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set a socket up");
	*ret_fd = take_fd(&sock);
	return 0;
}

int alerter_tell(int fd, const void *message, size_t len)
{
	return send(fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len ?
		       0 :
		       (errno ? -errno : -EIO);
}

int alerter_hear(int fd, struct alerter_reply *ret)
{
	ssize_t n;

	do
		n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*ret))
		return 1;
	return n < 0 && errno == EAGAIN ? -EAGAIN : 0;
}
