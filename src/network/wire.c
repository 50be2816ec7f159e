/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See wire.h. Runs in the runtime, with CAP_NET_ADMIN over both namespaces. Which container a device
 * belongs to is told by the map `wires`: at the host's end by the device's index, where the kernel
 * has tcx and the host's end is in the namespace that `home` names; else by the class id of its
 * filter.
 */
#include "network/wire.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/rtnl.h"
#include "base/str.h"
#include "network/tcx.h"

/* Before all other filters, and one of a device: the number replaces what it finds. */
#define FILTER_PRIORITY 1
#define FILTER_HANDLE 0x7075
#define FILTER_NAME "purple"
#define SLOTS 0xffffu
#define SLOT_TRIES 1000

struct device {
	int index;
	char name[IFNAMSIZ];
	unsigned short type; /* ARPHRD_... */
	unsigned int flags;
	bool is_veth;
	int peer;    /* index of the other end; 0: none */
	int peer_ns; /* id of its namespace, as seen from here; -1: this one, or unknown */
	bool has_peer_ns;
};
typedef LIST_OF(struct device) devices;

static bool is_kind(const struct rtattr *info, const char *kind)
{
	size_t left = RTA_PAYLOAD(info), n = strlen(kind);

	for (const struct rtattr *a = RTA_DATA(info); RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == IFLA_INFO_KIND && RTA_PAYLOAD(a) >= n &&
		    strncmp(RTA_DATA(a), kind, n) == 0)
			return RTA_PAYLOAD(a) == n ||
			       ((const char *)RTA_DATA(a))[n] == '\0';
	return false;
}

static int take_device(const struct nlmsghdr *h, void *arg)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);
	devices *l = arg;
	struct device *d;
	size_t left;

	if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return 0;
	d = list_add(l);
	if (!d)
		return -ENOMEM;
	d->index = link->ifi_index;
	d->type = link->ifi_type;
	d->flags = link->ifi_flags;
	d->peer_ns = -1;
	left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*link));
	for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, left);
	     a = RTA_NEXT(a, left)) {
		/* NLA_F_NESTED may stand in the type. */
		unsigned short type = a->rta_type & NLA_TYPE_MASK;

		if (type == IFLA_IFNAME)
			snprintf(d->name, sizeof(d->name), "%.*s", (int)RTA_PAYLOAD(a),
				 (const char *)RTA_DATA(a));
		else if (type == IFLA_LINK && RTA_PAYLOAD(a) == sizeof(d->peer))
			memcpy(&d->peer, RTA_DATA(a), sizeof(d->peer));
		else if (type == IFLA_LINK_NETNSID && RTA_PAYLOAD(a) == sizeof(d->peer_ns)) {
			memcpy(&d->peer_ns, RTA_DATA(a), sizeof(d->peer_ns));
			d->has_peer_ns = true;
		} else if (type == IFLA_LINKINFO) {
			d->is_veth = is_kind(a, "veth");
		}
	}
	return 0;
}

static int list_devices(int sock, devices *ret, struct err *e)
{
	struct rtnl_request q;
	int r;

	rtnl_begin(&q, RTM_GETLINK, NLM_F_DUMP, sizeof(q.link));
	r = rtnl_talk(sock, &q, take_device, ret);
	return r < 0 ? err_errno(e, r, "cannot list the network devices") : 0;
}

static int take_ns_id(const struct nlmsghdr *h, void *arg)
{
	const struct rtgenmsg *head = NLMSG_DATA(h);
	size_t left;

	if (h->nlmsg_type != RTM_NEWNSID || h->nlmsg_len < NLMSG_LENGTH(sizeof(*head)))
		return 0;
	left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*head));
	for (const struct rtattr *a = (const struct rtattr *)((const char *)head +
							      NLMSG_ALIGN(sizeof(*head)));
	     RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == NETNSA_NSID && RTA_PAYLOAD(a) == sizeof(int))
			memcpy(arg, RTA_DATA(a), sizeof(int));
	return 0;
}

/* The id that the socket's namespace has for another one; -1: none. */
static int id_of_ns(int sock, int ns)
{
	struct rtnl_request q;
	int id = -1;

	rtnl_begin(&q, RTM_GETNSID, NLM_F_ACK, sizeof(q.gen));
	rtnl_add(&q, NETNSA_FD, &ns, sizeof(ns));
	return rtnl_talk(sock, &q, take_ns_id, &id) < 0 ? -1 : id;
}

/*
 * The other end of a veth pair, where that is among the caller's devices: it has to say in turn
 * that this device of that namespace is its other end.
 */
static const struct device *find_host_end(const struct device *d, const devices *host,
					  int ns_id)
{
	if (!d->is_veth || !d->has_peer_ns || ns_id < 0)
		return NULL;
	for (size_t i = 0; i < host->n; i++) {
		const struct device *other = &host->v[i];

		if (other->is_veth && other->index == d->peer && other->peer == d->index &&
		    other->has_peer_ns && other->peer_ns == ns_id)
			return other;
	}
	return NULL;
}

/* Where no qdisc of this kind stands at the device yet. */
static int add_clsact(int sock, int index)
{
	static const char kind[] = "clsact";
	struct rtnl_request q;
	int r;

	rtnl_begin(&q, RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(q.tc));
	q.tc.tcm_ifindex = index;
	q.tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	q.tc.tcm_parent = TC_H_CLSACT;
	rtnl_add(&q, TCA_KIND, kind, sizeof(kind));
	r = rtnl_talk(sock, &q, NULL, NULL);
	return r == -EEXIST ? 0 : r;
}

static int add_filter(int sock, int index, bool is_ingress, int program, uint32_t slot)
{
	static const char kind[] = "bpf", name[] = FILTER_NAME;
	uint32_t flags = TCA_BPF_FLAG_ACT_DIRECT;
	struct rtnl_request q;
	struct rtattr *nest;

	rtnl_begin(&q, RTM_NEWTFILTER, NLM_F_ACK | NLM_F_CREATE, sizeof(q.tc));
	q.tc.tcm_ifindex = index;
	q.tc.tcm_handle = FILTER_HANDLE;
	q.tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT,
				    is_ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
	q.tc.tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	rtnl_add(&q, TCA_KIND, kind, sizeof(kind));
	nest = rtnl_nest(&q, TCA_OPTIONS);
	rtnl_add(&q, TCA_BPF_FD, &program, sizeof(program));
	rtnl_add(&q, TCA_BPF_NAME, name, sizeof(name));
	rtnl_add(&q, TCA_BPF_CLASSID, &slot, sizeof(slot));
	rtnl_add(&q, TCA_BPF_FLAGS, &flags, sizeof(flags));
	rtnl_nest_end(&q, nest);
	return rtnl_talk(sock, &q, NULL, NULL);
}

/* At the host's end; if it is there. */
static void remove_filter(int sock, int index)
{
	static const char kind[] = "bpf";
	struct rtnl_request q;

	rtnl_begin(&q, RTM_DELTFILTER, NLM_F_ACK, sizeof(q.tc));
	q.tc.tcm_ifindex = index;
	q.tc.tcm_handle = FILTER_HANDLE;
	q.tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
	q.tc.tcm_info = TC_H_MAKE(FILTER_PRIORITY << 16, htons(ETH_P_ALL));
	rtnl_add(&q, TCA_KIND, kind, sizeof(kind));
	rtnl_talk(sock, &q, NULL, NULL);
}

/* A number that no other wire has. */
static int take_slot(int wires, const struct network_wire *wire, uint32_t *ret)
{
	uint16_t first;
	int r = -EEXIST;

	if (getrandom(&first, sizeof(first), 0) != sizeof(first))
		return -errno;
	for (uint32_t i = 0; i < SLOT_TRIES && r == -EEXIST; i++) {
		uint32_t slot = (first + i) % SLOTS + 1;

		r = kbpf_map_update(wires, &slot, wire, BPF_NOEXIST);
		if (r == 0)
			*ret = slot;
	}
	return r;
}

struct pins {
	int program, wires;
	int end; /* the program for the host's end; -1: its namespace is not the one for that */
};

static void close_pins(struct pins *p)
{
	fd_close(&p->program);
	fd_close(&p->wires);
	fd_close(&p->end);
}
#define _pins_close_ __attribute__((cleanup(close_pins)))

static int open_pin(const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", network_pins_own(), name);
	int fd = path ? kbpf_get(path) : -ENOMEM;

	return fd < 0 ? err_errno(e, fd, "network filter: cannot open '%s'", name) : fd;
}

/* `host_sock`: of the namespace of the host's ends. */
static int open_pins(int host_sock, struct pins *ret, struct err *e)
{
	_close_ int home = open_pin("home", e);
	uint64_t cookie = 0;
	uint32_t zero = 0;

	if (home < 0)
		return home;
	ret->program = open_pin("network_device", e);
	if (ret->program < 0)
		return ret->program;
	ret->wires = open_pin("wires", e);
	if (ret->wires < 0)
		return ret->wires;
	if (kbpf_map_lookup(home, &zero, &cookie) < 0 || !cookie ||
	    network_tcx_namespace(host_sock) != cookie)
		return 0;
	ret->end = open_pin(NETWORK_TCX_PROGRAM, e);
	return ret->end < 0 ? ret->end : 0;
}

static uint32_t end_slot(const struct device *d)
{
	return NETWORK_WIRE_END | (uint32_t)d->index;
}

/* The host's end by its index. 1; 0: it needs a filter instead. */
static int attach_end(int sock, const struct device *d, const struct network_wire *wire,
		      const struct pins *pins, struct err *e)
{
	uint32_t slot = end_slot(d);
	int r = pins->end;

	if (r >= 0)
		r = kbpf_map_update(pins->wires, &slot, wire, BPF_ANY);
	if (r >= 0)
		r = network_tcx_attach(d->index, pins->end);
	if (r == 1) {
		/* Of a container that was here before, by an older build. */
		remove_filter(sock, d->index);
		return r;
	}
	/* In another network namespace the index may be that of a device of somebody else's. */
	if (pins->end >= 0)
		kbpf_map_delete(pins->wires, &slot);
	if (pins->end < 0 || r == 0)
		r = network_tcx_remove(d->index, -1);
	return r < 0 ? err_errno(e, r, "network filter: cannot filter at device '%s'",
				 d->name) :
		       0;
}

static int attach_at(const struct network_filter *f, int sock, const struct device *d,
		     bool is_ingress, const struct pins *pins, struct err *e)
{
	struct network_wire wire = { .key = f->config.key };
	uint32_t slot = 0;
	int r;

	if (d->type == ARPHRD_ETHER)
		wire.header = ETH_HLEN;
	else if (d->type != ARPHRD_NONE && d->type != ARPHRD_RAWIP)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the network filter does not know devices like '%s' (type %u)",
			       d->name, d->type);
	r = is_ingress ? attach_end(sock, d, &wire, pins, e) : 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = take_slot(pins->wires, &wire, &slot);
	if (r < 0)
		return err_errno(e, r, "network filter: no number is left for device '%s'",
				 d->name);
	r = add_clsact(sock, d->index);
	if (r == 0)
		r = add_filter(sock, d->index, is_ingress, pins->program, slot);
	if (r == 0)
		return 0;
	kbpf_map_delete(pins->wires, &slot);
	return err_errno(e, r, "network filter: cannot filter at device '%s'%s", d->name,
			 r == -ENOENT ? " (is the kernel's cls_bpf there?)" : "");
}

/* tunl0, sit0 and the like, which come with each namespace once their module is loaded. */
static bool is_idle_tunnel(const struct device *d)
{
	return !(d->flags & IFF_UP) && d->type != ARPHRD_ETHER &&
	       d->type != ARPHRD_NONE && d->type != ARPHRD_RAWIP;
}

static bool needs_filter(const struct device *d)
{
	return !(d->flags & IFF_LOOPBACK) && !is_idle_tunnel(d);
}

static int attach_all(const struct network_filter *f, int sock, int host_sock, int ns_id,
		      const devices *inside, const devices *host, const struct pins *pins,
		      struct network_wires *ret, struct err *e)
{
	for (size_t i = 0; i < inside->n; i++) {
		const struct device *d = &inside->v[i], *end;
		int r;

		if (!needs_filter(d))
			continue;
		end = find_host_end(d, host, ns_id);
		if (end)
			r = attach_at(f, host_sock, end, true, pins, e);
		else
			r = attach_at(f, sock, d, false, pins, e);
		if (r < 0)
			return r;
		if (end)
			ret->at_host++;
		else
			ret->in_ns++;
	}
	return 0;
}

static int refuse_own(int ns, struct err *e)
{
	struct stat theirs, own;

	if (fstat(ns, &theirs) < 0 || stat("/proc/self/ns/net", &own) < 0)
		return err_sys(e, "cannot look at the network namespaces");
	if (theirs.st_dev == own.st_dev && theirs.st_ino == own.st_ino)
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "network filter: the devices of the own namespace are not the "
			       "container's");
	return 0;
}

int network_wire_attach(const struct network_filter *f, int ns, struct network_wires *ret,
			struct err *e)
{
	_pins_close_ struct pins pins = { .program = -1, .wires = -1, .end = -1 };
	_close_ int sock = -1, host_sock = -1;
	struct network_wires found = {};
	devices inside = {}, host = {};
	int r = refuse_own(ns, e);

	if (r < 0)
		return r;
	sock = rtnl_open(ns, e);
	if (sock < 0)
		return sock;
	host_sock = rtnl_open(-1, e);
	if (host_sock < 0)
		return host_sock;
	r = open_pins(host_sock, &pins, e);
	if (r == 0)
		r = list_devices(sock, &inside, e);
	if (r == 0)
		r = list_devices(host_sock, &host, e);
	if (r == 0)
		r = attach_all(f, sock, host_sock, id_of_ns(host_sock, ns), &inside,
			       &host, &pins, &found, e);
	free(inside.v);
	free(host.v);
	if (r == 0)
		*ret = found;
	return r;
}

int network_wire_has_devices(int ns, bool *ret, struct err *e)
{
	_close_ int sock = rtnl_open(ns, e);
	devices l = {};
	int r = sock < 0 ? sock : list_devices(sock, &l, e);

	*ret = false;
	for (size_t i = 0; r == 0 && i < l.n; i++)
		*ret |= needs_filter(&l.v[i]);
	free(l.v);
	return r;
}

/* --- what is there --- */

struct found_filter {
	bool is_there;
	uint32_t slot;
};

static int take_filter(const struct nlmsghdr *h, void *arg)
{
	const struct tcmsg *tc = NLMSG_DATA(h);
	struct found_filter *found = arg;
	size_t left, inner;

	if (h->nlmsg_type != RTM_NEWTFILTER || h->nlmsg_len < NLMSG_LENGTH(sizeof(*tc)) ||
	    tc->tcm_handle != FILTER_HANDLE ||
	    TC_H_MAJ(tc->tcm_info) >> 16 != FILTER_PRIORITY)
		return 0;
	left = h->nlmsg_len - NLMSG_LENGTH(sizeof(*tc));
	for (const struct rtattr *a = TCA_RTA(tc); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if ((a->rta_type & NLA_TYPE_MASK) != TCA_OPTIONS)
			continue;
		inner = RTA_PAYLOAD(a);
		for (const struct rtattr *b = RTA_DATA(a); RTA_OK(b, inner);
		     b = RTA_NEXT(b, inner)) {
			if (b->rta_type != TCA_BPF_CLASSID ||
			    RTA_PAYLOAD(b) != sizeof(found->slot))
				continue;
			memcpy(&found->slot, RTA_DATA(b), sizeof(found->slot));
			found->is_there = true;
		}
	}
	return 0;
}

/* Whether the program at the host's end has the rules of `f`. */
static int has_end(const struct network_filter *f, const struct device *d,
		   const struct pins *pins)
{
	uint32_t slot = end_slot(d);
	struct network_wire wire;

	if (pins->end < 0 || kbpf_map_lookup(pins->wires, &slot, &wire) < 0 ||
	    wire.key != f->config.key)
		return 0;
	return network_tcx_has(d->index, pins->end);
}

/* Whether the device's filter has the rules of `f`. */
static int has_filter(const struct network_filter *f, int sock, const struct device *d,
		      bool is_ingress, const struct pins *pins)
{
	struct found_filter found = {};
	struct network_wire wire;
	struct rtnl_request q;
	int r = is_ingress ? has_end(f, d, pins) : 0;

	if (r != 0)
		return r;

	rtnl_begin(&q, RTM_GETTFILTER, NLM_F_DUMP, sizeof(q.tc));
	q.tc.tcm_ifindex = d->index;
	q.tc.tcm_parent = TC_H_MAKE(TC_H_CLSACT,
				    is_ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
	r = rtnl_talk(sock, &q, take_filter, &found);
	/* No such qdisc at the device. */
	if (r == -EINVAL || r == -ENOENT)
		return 0;
	if (r < 0 || !found.is_there)
		return r;
	return kbpf_map_lookup(pins->wires, &found.slot, &wire) == 0 &&
	       wire.key == f->config.key;
}

static int list_all(const struct network_filter *f, int sock, int host_sock, int ns_id,
		    const devices *inside, const devices *host, const struct pins *pins,
		    int (*each)(const char *, bool, bool, void *), void *arg)
{
	for (size_t i = 0; i < inside->n; i++) {
		const struct device *d = &inside->v[i], *end;
		int r;

		if (!needs_filter(d))
			continue;
		end = find_host_end(d, host, ns_id);
		r = has_filter(f, end ? host_sock : sock, end ? end : d, end != NULL, pins);
		if (r >= 0)
			r = each(end ? end->name : d->name, end != NULL, r, arg);
		if (r < 0)
			return r;
	}
	return 0;
}

int network_wire_list(const struct network_filter *f, int ns,
		      int (*each)(const char *, bool, bool, void *), void *arg,
		      struct err *e)
{
	_pins_close_ struct pins pins = { .program = -1, .wires = -1, .end = -1 };
	_close_ int sock = -1, host_sock = -1;
	devices inside = {}, host = {};
	int r;

	sock = rtnl_open(ns, e);
	if (sock < 0)
		return sock;
	host_sock = rtnl_open(-1, e);
	if (host_sock < 0)
		return host_sock;
	r = open_pins(host_sock, &pins, e);
	if (r == 0)
		r = list_devices(sock, &inside, e);
	if (r == 0)
		r = list_devices(host_sock, &host, e);
	if (r == 0) {
		r = list_all(f, sock, host_sock, id_of_ns(host_sock, ns), &inside, &host,
			     &pins, each, arg);
		if (r < 0)
			err_errno(e, r, "cannot list the filters of the network devices");
	}
	free(inside.v);
	free(host.v);
	return r;
}
