/* SPDX-License-Identifier: Apache-2.0 */
/* See netns.h. */
#include "base/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

int netns_enter(int ns, int *ret_own, struct err *e)
{
	_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (own < 0)
		return err_sys(e, "cannot open the own network namespace");
	if (setns(ns, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot enter the container's network namespace");
	*ret_own = take_fd(&own);
	return 0;
}

int netns_leave(int own, int r, struct err *e)
{
	if (setns(own, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot go back to the own network namespace");
	return r;
}

int netns_bind_loopback(int family, int type, int queue, uint16_t *port)
{
	_close_ int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(*port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(*port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 :
						 (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);

	if (fd < 0 || bind(fd, a, len) < 0 ||
	    (type == SOCK_STREAM && listen(fd, queue) < 0) || getsockname(fd, a, &len) < 0)
		return -errno;
	*port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	return take_fd(&fd);
}
