/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime asks the monitor (audit/protocol.h). Runs in purple-monitor, as nobody. */
#include "audit/monitor_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "audit/protocol.h"
#include "base/fd.h"
#include "base/helper.h"

static int obey(struct monitor *m, const struct monitor_request *rq,
		int fds[MONITOR_REQUEST_FDS], struct err *e)
{
	int r;

	if (!m->network.is_on)
		return err_set(e, ERR_STATE, EINVAL, "the container has no network filter");
	if (rq->type == MONITOR_RULES && fds[0] >= 0 && fds[1] >= 0)
		return monitor_use_rules(m, fds[0], take_fd(&fds[1]), rq->generation, e);
	if (rq->type == MONITOR_DNS && fds[0] >= 0 && fds[1] < 0) {
		r = monitor_use_forwarder(m, fds[0], e);
		if (r == 0)
			fds[0] = -1;
		return r;
	}
	return err_set(e, ERR_INTERNAL, EPROTO, "an odd request");
}

/* The descriptors beside a message; -1: none. More than expected is none at all. */
static void take_fds(struct msghdr *msg, int fds[MONITOR_REQUEST_FDS])
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int all[MONITOR_REQUEST_FDS];
	size_t n;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > MONITOR_REQUEST_FDS)
		return;
	memcpy(all, CMSG_DATA(c), n * sizeof(int));
	for (size_t i = 0; i < n; i++)
		fds[i] = all[i];
}

static void answer(struct monitor *m, int client)
{
	union {
		char buf[CMSG_SPACE(MONITOR_REQUEST_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct monitor_request rq = {};
	struct iovec iov = { .iov_base = &rq, .iov_len = sizeof(rq) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	int fds[MONITOR_REQUEST_FDS] = { -1, -1 };
	struct err e = {};
	ssize_t n = recvmsg(client, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int r;

	if (n <= 0)
		return;
	take_fds(&msg, fds);
	if (n != sizeof(rq) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		rq.type = 0;
	r = obey(m, &rq, fds, &e);
	for (size_t i = 0; i < MONITOR_REQUEST_FDS; i++)
		fd_close(&fds[i]);
	helper_report(client, r < 0 ? &e : NULL);
}

void monitor_accept(struct monitor *m)
{
	int fd = accept4(MONITOR_FD_CONTROL, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++)
		if (m->clients[i] < 0)
			m->clients[i] = take_fd(&fd);
	/* Who finds no place sees that at once. */
	fd_close(&fd);
}

void monitor_read_client(struct monitor *m, size_t i)
{
	answer(m, m->clients[i]);
	fd_close(&m->clients[i]);
}
