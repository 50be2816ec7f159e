/* SPDX-License-Identifier: Apache-2.0 */
/* See rtnl.h. The answers come from the kernel: they are parsed with its own bounds. */
#include "base/rtnl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/netns.h"

/* A message of the kernel has 32 KiB at most. */
#define ANSWER_MAX 32768

static int open_socket(int protocol, struct err *e)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	return fd < 0 ? err_sys(e, "cannot open a netlink socket") : fd;
}

int rtnl_open_for(int ns, int protocol, struct err *e)
{
	_close_ int own = -1, fd = -1;
	int r;

	if (ns < 0)
		return open_socket(protocol, e);
	r = netns_enter(ns, &own, e);
	if (r < 0)
		return r;
	fd = open_socket(protocol, e);
	r = netns_leave(own, fd, e);
	return r < 0 ? r : take_fd(&fd);
}

int rtnl_open(int ns, struct err *e)
{
	return rtnl_open_for(ns, NETLINK_ROUTE, e);
}

void rtnl_begin(struct rtnl_request *q, uint16_t type, uint16_t flags, size_t head)
{
	static uint32_t sequence;

	*q = (struct rtnl_request){};
	q->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(head);
	q->h.nlmsg_type = type;
	q->h.nlmsg_flags = flags | NLM_F_REQUEST;
	q->h.nlmsg_seq = ++sequence;
}

static struct rtattr *end_of(struct rtnl_request *q)
{
	return (struct rtattr *)((char *)q + NLMSG_ALIGN(q->h.nlmsg_len));
}

/* All that is ever added fits by far: names, numbers. */
void rtnl_add(struct rtnl_request *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a = end_of(q);

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	memcpy(RTA_DATA(a), data, len);
	q->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(q->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

struct rtattr *rtnl_nest(struct rtnl_request *q, uint16_t type)
{
	struct rtattr *nest = end_of(q);

	rtnl_add(q, type, "", 0);
	return nest;
}

void rtnl_nest_end(struct rtnl_request *q, struct rtattr *nest)
{
	nest->rta_len = (uint16_t)((char *)end_of(q) - (char *)nest);
}

static ssize_t receive(int sock, char *answer)
{
	for (;;) {
		struct sockaddr_nl sender = {};
		socklen_t len = sizeof(sender);
		ssize_t n = recvfrom(sock, answer, ANSWER_MAX, MSG_TRUNC,
				     (struct sockaddr *)&sender, &len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* A process in a namespace that is joined can send us something, too. */
		if (sender.nl_pid != 0)
			continue;
		return n == 0 || n > ANSWER_MAX ? -EMSGSIZE : n;
	}
}

int rtnl_talk(int sock, const struct rtnl_request *q,
	      int (*each)(const struct nlmsghdr *h, void *arg), void *arg)
{
	_free_ char *answer = malloc(ANSWER_MAX);
	ssize_t n;

	if (!answer)
		return -ENOMEM;
	do
		n = send(sock, q, q->h.nlmsg_len, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (;;) {
		size_t left;

		n = receive(sock, answer);
		if (n < 0)
			return (int)n;
		left = (size_t)n;
		for (struct nlmsghdr *h = (struct nlmsghdr *)answer; NLMSG_OK(h, left);
		     h = NLMSG_NEXT(h, left)) {
			int r = 0;

			if (h->nlmsg_seq != q->h.nlmsg_seq)
				continue;
			if (h->nlmsg_type == NLMSG_DONE)
				return 0;
			if (h->nlmsg_type == NLMSG_ERROR)
				return h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)) ?
					       -EPROTO :
					       ((struct nlmsgerr *)NLMSG_DATA(h))->error;
			if (each)
				r = each(h, arg);
			if (r < 0)
				return r;
		}
	}
}
