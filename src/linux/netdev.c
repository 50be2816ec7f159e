/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See netdev.h. Runs in the runtime, with CAP_NET_ADMIN over both namespaces. A move takes the
 * kernel three requests: the device is moved and renamed, which takes its addresses away; they are
 * given back; it is set up. The answers come from the kernel: they are parsed with its own bounds.
 */
#include "linux/netdev.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/rtnl.h"
#include "base/str.h"

/* Attributes of an address that are its own, and not of where it was. */
#define ADDRESS_FLAGS                                                               \
	(IFA_F_NOPREFIXROUTE | IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MCAUTOJOIN | \
	 IFA_F_MANAGETEMPADDR | IFA_F_PERMANENT)
#define TEMPLATE_NUMBERS 1000

/* An address as it is set again: of what netdevice(7) shows, what belongs to the address. */
struct address {
	struct ifaddrmsg head;
	uint32_t flags;
	uint32_t metric;
	bool has_metric;
	unsigned char local[16], address[16], broadcast[16];
	size_t local_len, address_len, broadcast_len;
};
typedef LIST_OF(struct address) addresses;

static bool is_device_name(const char *name)
{
	size_t n = strlen(name);

	/* dev_valid_name() of the kernel. */
	if (n == 0 || n >= IFNAMSIZ || streq(name, ".") || streq(name, ".."))
		return false;
	return !strpbrk(name, "/: \t\n\v\f\r");
}

int netdev_check(const struct oci_net_device *d, struct err *e)
{
	const char *percent;

	if (!is_device_name(d->host_name) || strchr(d->host_name, '%'))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.netDevices: '%s' is no name of a network device",
			       d->host_name);
	if (!d->name || !*d->name)
		return 0;
	percent = strchr(d->name, '%');
	if (!is_device_name(d->name) ||
	    (percent && (percent[1] != 'd' || strchr(percent + 1, '%'))))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "linux.netDevices.%s.name: '%s' is no name of a network device",
			       d->host_name, d->name);
	return 0;
}

void netdev_close(struct netdev_ns *n)
{
	fd_close(&n->sock);
	fd_close(&n->ns);
}

int netdev_open(pid_t pid, struct netdev_ns *ret, struct err *e)
{
	struct netdev_ns n = NETDEV_NS_EMPTY;
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/ns/net");
	n.ns = open(path, O_RDONLY | O_CLOEXEC);
	if (n.ns < 0)
		return err_sys(e, "cannot open the network namespace");
	n.sock = rtnl_open(pid ? n.ns : -1, e);
	if (n.sock < 0) {
		int r = n.sock;

		netdev_close(&n);
		return r;
	}
	*ret = n;
	return 0;
}

static int take_index(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);

	if (h->nlmsg_type == RTM_NEWLINK && h->nlmsg_len >= NLMSG_LENGTH(sizeof(*link)))
		*(int *)arg = link->ifi_index;
	return 0;
}

/* The index of a device, -ENODEV when there is none of this name. */
static int find_index(int sock, const char *name)
{
	struct rtnl_request q;
	int index = 0, r;

	rtnl_begin(&q, RTM_GETLINK, NLM_F_ACK, sizeof(q.link));
	rtnl_add(&q, IFLA_IFNAME, name, strlen(name) + 1);
	r = rtnl_talk(sock, &q, take_index, &index);
	if (r < 0)
		return r;
	return index > 0 ? index : -ENODEV;
}

static void copy_bytes(const struct rtattr *a, unsigned char to[16], size_t *ret_len)
{
	size_t n = RTA_PAYLOAD(a);

	if (n <= 16) {
		memcpy(to, RTA_DATA(a), n);
		*ret_len = n;
	}
}

static void read_address(const struct nlmsghdr *h, struct address *ret)
{
	const struct ifaddrmsg *head = NLMSG_DATA(h);
	size_t left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*head));

	ret->head = *head;
	ret->flags = head->ifa_flags;
	for (const struct rtattr *a = IFA_RTA(head); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		if (a->rta_type == IFA_LOCAL)
			copy_bytes(a, ret->local, &ret->local_len);
		else if (a->rta_type == IFA_ADDRESS)
			copy_bytes(a, ret->address, &ret->address_len);
		else if (a->rta_type == IFA_BROADCAST)
			copy_bytes(a, ret->broadcast, &ret->broadcast_len);
		else if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(ret->flags))
			memcpy(&ret->flags, RTA_DATA(a), sizeof(ret->flags));
		else if (a->rta_type == IFA_RT_PRIORITY &&
			 RTA_PAYLOAD(a) == sizeof(ret->metric)) {
			memcpy(&ret->metric, RTA_DATA(a), sizeof(ret->metric));
			ret->has_metric = true;
		}
	}
}

struct address_search {
	int index;
	addresses found;
};

/* Addresses that the kernel made itself, or that mean something on this link alone, stay. */
static int take_address(const struct nlmsghdr *h, void *arg)
{
	const struct ifaddrmsg *head = NLMSG_DATA(h);
	struct address_search *s = arg;
	struct address a = {}, *new;

	if (h->nlmsg_type != RTM_NEWADDR || h->nlmsg_len < NLMSG_LENGTH(sizeof(*head)) ||
	    (int)head->ifa_index != s->index || head->ifa_scope != RT_SCOPE_UNIVERSE)
		return 0;
	read_address(h, &a);
	if (!(a.flags & IFA_F_PERMANENT))
		return 0;
	new = list_add(&s->found);
	if (!new)
		return -ENOMEM;
	*new = a;
	return 0;
}

static int set_address(int sock, int index, const struct address *a)
{
	uint32_t flags = a->flags & ADDRESS_FLAGS;
	struct rtnl_request q;

	rtnl_begin(&q, RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
		   sizeof(q.addr));
	q.addr = (struct ifaddrmsg){ .ifa_family = a->head.ifa_family,
				     .ifa_prefixlen = a->head.ifa_prefixlen,
				     .ifa_flags = (uint8_t)flags,
				     .ifa_scope = a->head.ifa_scope,
				     .ifa_index = (uint32_t)index };
	if (a->local_len)
		rtnl_add(&q, IFA_LOCAL, a->local, a->local_len);
	if (a->address_len)
		rtnl_add(&q, IFA_ADDRESS, a->address, a->address_len);
	if (a->broadcast_len)
		rtnl_add(&q, IFA_BROADCAST, a->broadcast, a->broadcast_len);
	if (a->has_metric)
		rtnl_add(&q, IFA_RT_PRIORITY, &a->metric, sizeof(a->metric));
	rtnl_add(&q, IFA_FLAGS, &flags, sizeof(flags));
	return rtnl_talk(sock, &q, NULL, NULL);
}

static int set_up(int sock, int index)
{
	struct rtnl_request q;

	rtnl_begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	q.link.ifi_index = index;
	q.link.ifi_flags = IFF_UP;
	q.link.ifi_change = IFF_UP;
	return rtnl_talk(sock, &q, NULL, NULL);
}

static int move_link(int sock, int index, int to_ns, const char *new_name)
{
	struct rtnl_request q;

	rtnl_begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	q.link.ifi_index = index;
	rtnl_add(&q, IFLA_NET_NS_FD, &to_ns, sizeof(to_ns));
	rtnl_add(&q, IFLA_IFNAME, new_name, strlen(new_name) + 1);
	return rtnl_talk(sock, &q, NULL, NULL);
}

/* The name with its %d replaced by the first number that is free. */
static int choose_name(int sock, const char *wanted, char **ret, struct err *e)
{
	const char *percent = strchr(wanted, '%');

	for (unsigned int n = 0; n < (percent ? TEMPLATE_NUMBERS : 1); n++) {
		_free_ char *name = percent ?
					    str_printf("%.*s%u%s", (int)(percent - wanted),
						       wanted, n, percent + 2) :
					    strdup(wanted);
		int r;

		if (!name)
			return err_oom(e);
		if (strlen(name) >= IFNAMSIZ)
			break;
		r = find_index(sock, name);
		if (r == -ENODEV) {
			*ret = take_ptr(&name);
			return 0;
		}
		if (r < 0)
			return err_errno(e, r, "cannot look for a network device '%s'",
					 name);
	}
	return err_set(e, ERR_CONFIG, EEXIST,
		       "the container has a network device '%s' already", wanted);
}

static int set_addresses(int sock, int index, const addresses *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = set_address(sock, index, &l->v[i]);

		if (r < 0)
			return err_errno(e, r, "cannot set its addresses again");
	}
	return 0;
}

static int move_found(const struct netdev_ns *from, const struct netdev_ns *to,
		      const char *new_name, struct address_search *s, struct err *e)
{
	struct rtnl_request q;
	int r;

	rtnl_begin(&q, RTM_GETADDR, NLM_F_DUMP, sizeof(q.addr));
	r = rtnl_talk(from->sock, &q, take_address, s);
	if (r < 0)
		return err_errno(e, r, "cannot read its addresses");
	r = move_link(from->sock, s->index, to->ns, new_name);
	if (r < 0)
		return err_errno(e, r, "cannot move it");
	/* The index need not be the same there. */
	r = find_index(to->sock, new_name);
	if (r < 0)
		return err_errno(e, r, "cannot find it where it was moved to");
	s->index = r;
	r = set_addresses(to->sock, s->index, &s->found, e);
	if (r < 0)
		return r;
	r = set_up(to->sock, s->index);
	return r < 0 ? err_errno(e, r, "cannot set it up") : 0;
}

int netdev_move(const struct netdev_ns *from, const char *name, const struct netdev_ns *to,
		const char *new_name, char **ret_name, struct err *e)
{
	_free_ char *chosen = NULL;
	struct address_search s = {};
	int r;

	r = find_index(from->sock, name);
	if (r < 0)
		return err_errno(e, r, "network device '%s'", name);
	s.index = r;
	r = choose_name(to->sock, new_name, &chosen, e);
	if (r == 0)
		r = move_found(from, to, chosen, &s, e);
	free(s.found.v);
	if (r < 0)
		return err_wrap(e, "network device '%s'", name);
	*ret_name = take_ptr(&chosen);
	return 0;
}
