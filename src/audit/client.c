/* SPDX-License-Identifier: Apache-2.0 */
/* See client.h. Runs in the runtime, with its privileges. */
#include "audit/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/list.h"
#include "base/spawn.h"

#define PROGRAM PKGLIBEXECDIR "/purple-monitor"
#define ANSWER_MS 5000

/* --- in the child --- */

static int become_program(const void *arg, int *report, struct err *e)
{
	const struct audit_client_start *start = arg;
	int r = helper_move_report(report, MONITOR_FD_END, e);
	char generation[16];
	const char *const argv[] = { PROGRAM, start->id, generation, NULL };
	int fds[MONITOR_FD_END];

	if (r < 0)
		return r;
	memcpy(fds, start->fds, sizeof(fds));
	fds[MONITOR_FD_REPORT] = *report;
	snprintf(generation, sizeof(generation), "%u", start->generation);
	return spawn_exec(&(struct spawn){ .program = PROGRAM,
					   .argv = argv,
					   .fds = fds,
					   .n = MONITOR_FD_END },
			  e);
}

/* --- in the caller --- */

void audit_client_start_init(struct audit_client_start *start, const char *id)
{
	*start = (struct audit_client_start){ .id = id };
	for (size_t i = 0; i < MONITOR_FD_END; i++)
		start->fds[i] = -1;
}

int audit_client_begin(const struct audit_client_start *start, struct audit_client *ret,
		       struct err *e)
{
	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "what is recorded of a container needs the program '%s', which is "
			       "not there",
			       PROGRAM);
	return helper_begin(become_program, start, &ret->pid, &ret->report_fd, e);
}

int audit_client_wait(struct audit_client *m, struct err *e)
{
	int r;

	if (m->report_fd < 0)
		return 0;
	r = helper_await(m->report_fd, PROGRAM, ANSWER_MS, e);
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
	r = helper_await(sock, PROGRAM, ANSWER_MS, e);
	return r < 0 ? err_wrap(e, "the container's monitor") : 0;
}
