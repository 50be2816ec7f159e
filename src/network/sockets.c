/* SPDX-License-Identifier: Apache-2.0 */
/* See sockets.h. sock_diag(7), with CAP_NET_ADMIN over the namespace and CAP_BPF for the memory. */
#include "network/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>

#include "base/rtnl.h"
#include "network/bpf.h"

/* Of <netinet/tcp.h>, all states but those of which nobody has a descriptor any more. */
#define STATE_TIME_WAIT 6
#define STATE_CLOSE 7
#define STATE_LISTEN 10
#define STATES \
	(0xfffu & ~(1u << STATE_TIME_WAIT | 1u << STATE_CLOSE | 1u << STATE_LISTEN))

struct listing {
	network_sockets *list;
	uint32_t memory_id;
};

int network_sockets_open(int ns, struct err *e)
{
	return rtnl_open_for(ns, NETLINK_SOCK_DIAG, e);
}

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

/* The attribute of one map: its id and the value. */
static void read_storage(const struct rtattr *storage, uint32_t memory_id,
			 struct network_socket *s)
{
	size_t left = RTA_PAYLOAD(storage);
	const void *value = NULL;
	uint32_t id = 0;

	for (const struct rtattr *a = RTA_DATA(storage); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		unsigned short type = a->rta_type & NLA_TYPE_MASK;

		if (type == SK_DIAG_BPF_STORAGE_MAP_ID && RTA_PAYLOAD(a) == sizeof(id))
			memcpy(&id, RTA_DATA(a), sizeof(id));
		else if (type == SK_DIAG_BPF_STORAGE_MAP_VALUE &&
			 RTA_PAYLOAD(a) == sizeof(s->state))
			value = RTA_DATA(a);
	}
	if (!value || id != memory_id)
		return;
	memcpy(&s->state, value, sizeof(s->state));
	s->has_state = true;
}

static void read_attributes(const struct nlmsghdr *h, uint32_t memory_id,
			    struct network_socket *s)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*m));

	for (const struct rtattr *a = (const struct rtattr *)(m + 1); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		size_t inner = RTA_PAYLOAD(a);

		if ((a->rta_type & NLA_TYPE_MASK) != INET_DIAG_SK_BPF_STORAGES)
			continue;
		for (const struct rtattr *b = RTA_DATA(a); RTA_OK(b, inner);
		     b = RTA_NEXT(b, inner))
			if ((b->rta_type & NLA_TYPE_MASK) == SK_DIAG_BPF_STORAGE)
				read_storage(b, memory_id, s);
	}
}

static int take_socket(const struct nlmsghdr *h, void *arg)
{
	const struct inet_diag_msg *m = NLMSG_DATA(h);
	struct listing *l = arg;
	struct network_socket *s;

	if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return 0;
	s = list_add(l->list);
	if (!s)
		return -ENOMEM;
	s->diag = *m;
	as_mapped(m->idiag_family, m->id.idiag_dst, s->remote);
	s->remote_port = ntohs(m->id.idiag_dport);
	s->local_port = ntohs(m->id.idiag_sport);
	if (l->memory_id)
		read_attributes(h, l->memory_id, s);
	return 0;
}

static void begin(struct rtnl_request *q, uint16_t type, uint16_t flags, uint8_t family)
{
	rtnl_begin(q, type, flags, sizeof(q->diag));
	q->diag.sdiag_family = family;
	q->diag.sdiag_protocol = IPPROTO_TCP;
	q->diag.idiag_states = STATES;
}

int network_sockets_list(int sock, uint8_t family, int memory, network_sockets *ret)
{
	struct listing l = { .list = ret };
	struct bpf_map_info info;
	struct rtnl_request q;
	struct rtattr *nest;
	int r;

	begin(&q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);
	if (memory >= 0) {
		r = kbpf_info(memory, &info, sizeof(info));
		if (r < 0)
			return r;
		l.memory_id = info.id;
		nest = rtnl_nest(&q, INET_DIAG_REQ_SK_BPF_STORAGES);
		rtnl_add(&q, SK_DIAG_BPF_STORAGE_REQ_MAP_FD, &memory, sizeof(memory));
		rtnl_nest_end(&q, nest);
	}
	return rtnl_talk(sock, &q, take_socket, &l);
}

int network_sockets_find(int sock, uint8_t family, uint16_t local_port,
			 uint16_t remote_port, network_sockets *ret)
{
	struct listing l = { .list = ret };
	struct rtnl_request q;

	begin(&q, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family);
	/* The others are not even told. */
	q.diag.id.idiag_sport = htons(local_port);
	q.diag.id.idiag_dport = htons(remote_port);
	return rtnl_talk(sock, &q, take_socket, &l);
}

int network_sockets_end(int sock, const struct network_socket *s)
{
	struct rtnl_request q;
	int r;

	begin(&q, SOCK_DESTROY, NLM_F_ACK, s->diag.idiag_family);
	q.diag.id = s->diag.id;
	r = rtnl_talk(sock, &q, NULL, NULL);
	return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}
