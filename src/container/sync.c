/* SPDX-License-Identifier: Apache-2.0 */
/* See sync.h. Allocates nothing. Runs in the runtime and in init. */
#include "container/sync.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/socket.h"

int sync_pair(int ret_fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	return 0;
}

static int err_peer_died(struct err *e)
{
	return err_set(e, ERR_INTERNAL, EPIPE, "the peer died unexpectedly");
}

int sync_send(int fd, const struct sync_msg *m, struct err *e)
{
	ssize_t n;

	do
		n = send(fd, m, sizeof(*m), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EPIPE)
		return err_peer_died(e);
	return n < 0 ? err_sys(e, "cannot send to the container's process") : 0;
}

/* 1: a message, 0: the peer closed, -errno. */
static int receive(int fd, struct sync_msg *m, struct err *e)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof(*m), 0);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return 0;
	if (n < 0)
		return err_sys(e, "cannot hear from the container's process");
	if (n != (ssize_t)sizeof(*m))
		return err_set(e, ERR_INTERNAL, EPROTO, "odd message of %zd bytes", n);
	return 1;
}

static int check_type(const struct sync_msg *m, enum sync_type type, struct err *e)
{
	if (m->type == SYNC_FAILED) {
		*e = m->err;
		return -e->code;
	}
	if (m->type != type)
		return err_set(e, ERR_INTERNAL, EPROTO, "message %d instead of %d",
			       m->type, type);
	return 0;
}

int sync_expect(int fd, enum sync_type type, struct sync_msg *ret, struct err *e)
{
	struct sync_msg m;
	int r = receive(fd, &m, e);

	if (r < 0)
		return r;
	if (r == 0)
		return err_peer_died(e);
	r = check_type(&m, type, e);
	if (r == 0 && ret)
		*ret = m;
	return r;
}

int sync_send_fd(int fd, enum sync_type type, int passed, struct err *e)
{
	struct sync_msg m = { .type = type };
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &passed, sizeof(passed));
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EPIPE)
		return err_peer_died(e);
	return n < 0 ? err_sys(e, "cannot send a descriptor") : 0;
}

int sync_expect_fd(int fd, enum sync_type type, int *ret_fd, struct err *e)
{
	_close_ int got = -1;
	struct sync_msg m = {};
	ssize_t n = socket_receive_fd(fd, &m, sizeof(m), &got);
	int r;

	if (n == 0 || n == -ECONNRESET)
		return err_peer_died(e);
	if (n != (ssize_t)sizeof(m))
		return err_set(e, ERR_INTERNAL, EPROTO, "odd message of %zd bytes", n);
	r = check_type(&m, type, e);
	if (r < 0)
		return r;
	if (got < 0)
		return err_set(e, ERR_INTERNAL, EPROTO, "a message without its descriptor");
	*ret_fd = take_fd(&got);
	return 0;
}

int sync_expect_or_close(int fd, enum sync_type type, bool *ret_closed, struct err *e)
{
	struct sync_msg m;
	int r = receive(fd, &m, e);

	if (r < 0)
		return r;
	*ret_closed = r == 0;
	return r == 0 ? 0 : check_type(&m, type, e);
}

void sync_take_failure(int fd, struct err *e)
{
	struct sync_msg m;

	if (recv(fd, &m, sizeof(m), MSG_DONTWAIT) == (ssize_t)sizeof(m) &&
	    m.type == SYNC_FAILED)
		*e = m.err;
}
