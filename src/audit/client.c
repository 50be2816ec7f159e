/* SPDX-License-Identifier: Apache-2.0 */
/* See client.h. Runs in the runtime, with its privileges. */
#include "audit/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/spawn.h"

#define PROGRAM PKGLIBEXECDIR "/purple-monitor"
#define ANSWER_MS 5000

/* --- in the child --- */

static int become_program(const struct audit_client_start *start, int *report, struct err *e)
{
	char generation[16];
	const char *const argv[] = { PROGRAM, start->id, generation, NULL };
	const int fds[MONITOR_FD_END] = {
		[0] = -1,
		[1] = -1,
		[2] = -1,
		/* Out of the way of what the program gets: failure is still to be told by it. */
		[MONITOR_FD_REPORT] = fcntl(*report, F_DUPFD_CLOEXEC, MONITOR_FD_END),
		[MONITOR_FD_INIT] = start->init_fd,
		[MONITOR_FD_NETNS] = start->netns_fd,
		[MONITOR_FD_RING] = start->ring_fd,
		[MONITOR_FD_HITS] = start->hits_fd,
		[MONITOR_FD_LOG] = start->log_fd,
		[MONITOR_FD_CONTROL] = start->control_fd,
		[MONITOR_FD_RULES] = start->rules_fd,
		[MONITOR_FD_DNS] = start->dns_fd,
	};

	*report = fds[MONITOR_FD_REPORT];
	if (*report < 0)
		return err_sys(e, "cannot copy a descriptor");
	snprintf(generation, sizeof(generation), "%u", start->generation);
	return spawn_exec(&(struct spawn){ .program = PROGRAM,
					   .argv = argv,
					   .fds = fds,
					   .n = MONITOR_FD_END },
			  e);
}

static void __attribute__((noreturn))
child(const struct audit_client_start *start, int report)
{
	struct err e = {};
	char text[sizeof(e.msg) + 1] = { MONITOR_SAYS_ERROR };

	become_program(start, &report, &e);
	memcpy(text + 1, e.msg, strlen(e.msg));
	(void)!send(report, text, 1 + strlen(e.msg), MSG_NOSIGNAL);
	_exit(EXIT_FAILURE);
}

/* --- in the caller --- */

/* MONITOR_SAYS_READY; all else is an error. */
static int await_word(int fd, struct err *e)
{
	char buf[sizeof(e->msg) + 1];
	int64_t until = clock_ms(CLOCK_MONOTONIC) + ANSWER_MS;

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_ms(CLOCK_MONOTONIC);
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (r == 0)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "'%s' says nothing within %d s", PROGRAM,
				       ANSWER_MS / 1000);
		n = r < 0 ? -1 : recv(fd, buf, sizeof(buf) - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot hear from '%s'", PROGRAM);
		buf[n] = '\0';
		if (n == 0)
			return err_set(e, ERR_KERNEL, EPIPE, "'%s' died", PROGRAM);
		if (buf[0] == MONITOR_SAYS_READY)
			return 0;
		return err_set(e, ERR_KERNEL, EIO, "%s",
			       buf[0] == MONITOR_SAYS_ERROR ?
				       buf + 1 :
				       "purple-monitor says odd things");
	}
}

int audit_client_begin(const struct audit_client_start *start, struct audit_client *ret,
		       struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2];
	pid_t pid;

	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "what the network filter tells needs the program '%s', which is not "
			       "there",
			       PROGRAM);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		fd_close(&ours);
		child(start, theirs);
	}
	*ret = (struct audit_client){ .pid = pid, .report_fd = take_fd(&ours) };
	return 0;
}

int audit_client_wait(struct audit_client *m, struct err *e)
{
	int r;

	if (m->report_fd < 0)
		return 0;
	r = await_word(m->report_fd, e);
	fd_close(&m->report_fd);
	return r < 0 ? err_wrap(e, "cannot start the monitor") : 0;
}

void audit_client_clear(struct audit_client *m)
{
	fd_close(&m->report_fd);
}

/* --- requests --- */

static int send_request(int sock, const struct monitor_request *request, const int *fds,
			size_t n)
{
	union {
		char buf[CMSG_SPACE(MONITOR_REQUEST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = (void *)request, .iov_len = sizeof(*request) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t sent;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	do
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int audit_client_ask(int dirfd, const char *name, const struct monitor_request *request,
		     const int *fds, size_t n, struct err *e)
{
	const struct timeval patience = { .tv_sec = ANSWER_MS / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	if (n > MONITOR_REQUEST_FDS)
		return err_set(e, ERR_INTERNAL, EINVAL, "too many descriptors");
	if (sock < 0)
		return err_sys(e, "cannot make a socket");
	/* To connect, too, takes forever where nobody takes those who wait already. */
	if (setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_sys(e, "cannot limit the time to reach the container's monitor");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", dirfd, name);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, "cannot reach the container's monitor");
	r = send_request(sock, request, fds, n);
	if (r < 0)
		return err_errno(e, r, "cannot ask the container's monitor");
	r = await_word(sock, e);
	return r < 0 ? err_wrap(e, "the container's monitor") : 0;
}
