/* SPDX-License-Identifier: Apache-2.0 */
/* See socket.h. Runs anywhere; needs the rights that the socket's permissions ask for. */
#include "base/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"

static int connect_abstract(int sock, const char *name, const char *what, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	if (len < 2 || len > sizeof(addr.sun_path))
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s '%s': an abstract name has 1 to %zu bytes", what, name,
			       sizeof(addr.sun_path) - 1);
	/* The '@' stands for the NUL byte. */
	memcpy(addr.sun_path + 1, name + 1, len - 1);
	if (connect(sock, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return err_sys(e, "cannot connect to %s '%s'", what, name);
	return 0;
}

static int connect_path(int sock, const char *path, const char *what, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	/* A path too long for sun_path is reached through a descriptor on it. */
	_close_ int at = open(path, O_PATH | O_CLOEXEC);

	if (at < 0)
		return err_sys(e, "cannot open %s '%s'", what, path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", at);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(e, "cannot connect to %s '%s'", what, path);
	return 0;
}

int socket_connect(const char *path, int type, const char *what, int *ret_fd, struct err *e)
{
	_close_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	if (path[0] == '@')
		r = connect_abstract(fd, path, what, e);
	else
		r = connect_path(fd, path, what, e);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

int socket_send_fd(int sock, int fd, const char *text)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = (char *)text, .iov_len = strlen(text) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	do
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

ssize_t socket_receive_fd(int sock, void *buf, size_t size, int *ret_fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c;
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	if (msg.msg_flags & MSG_TRUNC) {
		fd_close(ret_fd);
		return -EMSGSIZE;
	}
	return n;
}
