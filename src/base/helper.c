/* SPDX-License-Identifier: Apache-2.0 */
/* See helper.h. Runs in the runtime with its privileges; helper_report() in the program. */
#include "base/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

/* --- in the child and in the program --- */

int helper_report(int report, const struct err *e)
{
	char message[HELPER_MESSAGE_MAX] = { e ? HELPER_ERROR : HELPER_READY };
	size_t n = e ? strlen(e->msg) : 0;

	if (e)
		memcpy(message + 1, e->msg, n);
	return send(report, message, 1 + n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int helper_move_report(int *report, int end, struct err *e)
{
	int copy = fcntl(*report, F_DUPFD_CLOEXEC, end);

	if (copy < 0)
		return err_sys(e, "cannot copy a descriptor");
	close(*report);
	*report = copy;
	return 0;
}

static void __attribute__((noreturn))
child(helper_become *become, const void *start, int report)
{
	struct err e = {};

	become(start, &report, &e);
	(void)!helper_report(report, &e);
	_exit(EXIT_FAILURE);
}

/* --- in the caller --- */

pid_t helper_fork(int *ret_sock, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	fd_close(pid ? &theirs : &ours);
	*ret_sock = pid ? take_fd(&ours) : take_fd(&theirs);
	return pid;
}

int helper_begin(helper_become *become, const void *start, pid_t *ret_pid,
		 int *ret_report, struct err *e)
{
	int sock = -1;
	pid_t pid = helper_fork(&sock, e);

	if (pid < 0)
		return pid;
	if (pid == 0)
		child(become, start, sock);
	*ret_pid = pid;
	*ret_report = sock;
	return 0;
}

ssize_t helper_receive(int report, const char *program, int64_t since, int ms, char *buf,
		       struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = report, .events = POLLIN };
		int64_t left = since + ms - clock_ms(CLOCK_MONOTONIC);
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (r == 0)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "'%s' says nothing within %d s", program, ms / 1000);
		n = r < 0 ? -1 : recv(report, buf, HELPER_MESSAGE_MAX - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot hear from '%s'", program);
		if (n == 0)
			return err_set(e, ERR_KERNEL, EPIPE, "'%s' died", program);
		buf[n] = '\0';
		if (buf[0] == HELPER_ERROR)
			return err_set(e, ERR_KERNEL, EIO, "%s", buf + 1);
		return n;
	}
}

int helper_await(int report, const char *program, int ms, struct err *e)
{
	char buf[HELPER_MESSAGE_MAX];
	ssize_t n = helper_receive(report, program, clock_ms(CLOCK_MONOTONIC), ms, buf, e);

	if (n < 0)
		return (int)n;
	if (buf[0] != HELPER_READY)
		return err_set(e, ERR_INTERNAL, EPROTO, "'%s' says odd things", program);
	return 0;
}

void helper_end(pid_t *pid, int *report)
{
	fd_close(report);
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
}
