/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See cut.h. sock_diag(7): the sockets with the event's addresses and ports are looked for, and
 * ended by their own ids, so that nobody else's is hit who got the port meanwhile.
 */
#include "network/cut.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/rtnl.h"

/* Of <netinet/tcp.h>, all states but those of which nobody has a descriptor any more. */
#define STATE_TIME_WAIT 6
#define STATE_CLOSE 7
#define STATE_LISTEN 10
#define STATES \
	(0xfffu & ~(1u << STATE_TIME_WAIT | 1u << STATE_CLOSE | 1u << STATE_LISTEN))

struct search {
	const struct network_event *event;
	LIST_OF(struct inet_diag_msg) found;
};

static void as_mapped(int family, const __be32 address[4], uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (family == AF_INET6) {
		memcpy(ret, address, 16);
		return;
	}
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, address, 4);
}

static int take_socket(const struct nlmsghdr *h, void *arg)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct search *s = arg;
	struct inet_diag_msg *found;
	uint8_t remote[16];

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	as_mapped(m->idiag_family, m->id.idiag_dst, remote);
	if (ntohs(m->id.idiag_sport) != s->event->local_port ||
	    ntohs(m->id.idiag_dport) != s->event->port ||
	    memcmp(remote, s->event->address, sizeof(remote)) != 0)
		return 0;
	found = list_add(&s->found);
	if (!found)
		return -ENOMEM;
	*found = *m;
	return 0;
}

static void begin(struct rtnl_request *q, uint16_t type, uint16_t flags, uint8_t family)
{
	rtnl_begin(q, type, flags, sizeof(q->diag));
	q->diag.sdiag_family = family;
	q->diag.sdiag_protocol = IPPROTO_TCP;
	q->diag.idiag_states = STATES;
}

static int find_sockets(int sock, uint8_t family, struct search *s)
{
	struct rtnl_request q;

	begin(&q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);
	/* The others are not even told. */
	q.diag.id.idiag_sport = htons(s->event->local_port);
	q.diag.id.idiag_dport = htons(s->event->port);
	return rtnl_talk(sock, &q, take_socket, s);
}

static int end_sockets(int sock, const struct search *s)
{
	int n = 0;

	for (size_t i = 0; i < s->found.n; i++) {
		const struct inet_diag_msg *m = &s->found.v[i];
		struct rtnl_request q;
		int r;

		begin(&q, SOCK_DESTROY, NLM_F_ACK, m->idiag_family);
		q.diag.id = m->id;
		r = rtnl_talk(sock, &q, NULL, NULL);
		if (r == 0)
			n++;
		else if (r != -ENOENT)
			return r;
	}
	return n;
}

int network_cut_open(int ns, struct err *e)
{
	return rtnl_open_for(ns, NETLINK_SOCK_DIAG, e);
}

int network_cut(int sock, const struct network_event *event, struct err *e)
{
	struct search s = { .event = event };
	int r;

	if (event->hook != NETWORK_HOOK_OUT || event->protocol != IPPROTO_TCP ||
	    event->verdict != NETWORK_DENY || !event->local_port || !event->port)
		return 0;
	r = find_sockets(sock, AF_INET6, &s);
	/* Sockets of IPv6 talk to addresses of IPv4, too. */
	if (r == 0 && event->family == AF_INET)
		r = find_sockets(sock, AF_INET, &s);
	if (r == 0)
		r = end_sockets(sock, &s);
	free(s.found.v);
	return r < 0 ? err_errno(e, r, "cannot end a connection that is denied") : r;
}
