/* SPDX-License-Identifier: Apache-2.0 */
/* Takes packets apart, and remembers those that passed. Part of network_filter.bpf.c. */
#ifndef PURPLE_BPF_NETWORK_PACKETS_H
#define PURPLE_BPF_NETWORK_PACKETS_H

#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include "network/events.h"

#define LOOPBACK_IFINDEX 1
#define NEIGHBOUR_SHORT 32 /* of ICMPv6: with the address of the link layer */
#define ARP_LENGTH 28	   /* for Ethernet and IPv4 */
#define ICMPV6_ROUTER_SOLICITATION 133
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define ICMPV6_GROUP_REPORT_V1 131
#define ICMPV6_GROUP_DONE 132
#define ICMPV6_GROUP_REPORT 143
#define EXTENSIONS_MAX 6   /* IPv6 extension headers that are walked */
#define FRAGMENT_FROM 1200 /* larger datagrams may be cut up on their way */

enum packet_kind {
	PACKET_TRANSPORT, /* TCP or UDP, with ports */
	PACKET_FRAGMENT,  /* a piece without ports */
	PACKET_ICMP,
	PACKET_BAD, /* anything else */
};

struct packet {
	struct target peer; /* the other end: destination of what goes out, source of what comes */
	__u32 header; /* offset of TCP, UDP or ICMP */
	__u32 icmp_type;
	__u32 hop_limit;
};

static __always_inline enum packet_kind parse_ports(struct __sk_buff *skb,
						    struct packet *p, bool out)
{
	__u32 space, source, destination;
	__u16 ports[2];

	if (p->peer.protocol == IPPROTO_TCP)
		space = NETWORK_TCP;
	else if (p->peer.protocol == IPPROTO_UDP)
		space = NETWORK_UDP;
	else
		return PACKET_BAD;
	if (bpf_skb_load_bytes(skb, p->header, ports, sizeof(ports)) < 0)
		return PACKET_BAD;
	source = space + bpf_ntohs(ports[0]);
	destination = space + bpf_ntohs(ports[1]);
	p->peer.port = out ? destination : source;
	p->peer.local = out ? source : destination;
	return PACKET_TRANSPORT;
}

/* What nearly all packets are: IPv4 without options or fragments, TCP or UDP. */
struct plain {
	__u32 address, port; /* of the other end, as in struct target */
	__u32 local, protocol, ttl;
};

/*
 * Without a helper, where the headers can be read at once. false: the others have to look.
 * `offset` is a constant.
 */
static __always_inline bool read_plain(struct __sk_buff *skb, __u32 offset, bool out,
				       struct plain *ret)
{
	const struct iphdr *ip = (const void *)(long)skb->data + offset;
	const __u16 *ports = (const void *)(ip + 1);
	__u32 space;

	if ((const void *)(ports + 2) > (const void *)(long)skb->data_end)
		return false;
	/* Version 4, five words. */
	if (*(const __u8 *)ip != 0x45 || (ip->frag_off & bpf_htons(0x3fff)))
		return false;
	if (ip->protocol == IPPROTO_TCP)
		space = NETWORK_TCP;
	else if (ip->protocol == IPPROTO_UDP)
		space = NETWORK_UDP;
	else
		return false;
	ret->address = out ? ip->daddr : ip->saddr;
	ret->port = space + bpf_ntohs(out ? ports[1] : ports[0]);
	ret->local = space + bpf_ntohs(out ? ports[0] : ports[1]);
	ret->protocol = ip->protocol;
	ret->ttl = ip->ttl;
	return true;
}

static __always_inline bool parse_plain_v4(struct __sk_buff *skb, __u32 offset,
					   struct packet *p, bool out)
{
	struct plain q;

	if (!read_plain(skb, offset, out, &q))
		return false;
	p->peer.is_v4 = 1;
	p->peer.protocol = q.protocol;
	p->peer.port = q.port;
	p->peer.local = q.local;
	set_v4(p->peer.address, q.address);
	p->header = offset + sizeof(struct iphdr);
	p->hop_limit = q.ttl;
	return true;
}

static __always_inline enum packet_kind parse_icmp(struct __sk_buff *skb, struct packet *p)
{
	__u8 type;

	if (bpf_skb_load_bytes(skb, p->header, &type, 1) < 0)
		return PACKET_BAD;
	p->icmp_type = type;
	return PACKET_ICMP;
}

static __always_inline enum packet_kind parse_v4(struct __sk_buff *skb, __u32 offset,
						 struct packet *p, bool out)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0)
		return PACKET_BAD;
	p->peer.is_v4 = 1;
	p->peer.protocol = ip.protocol;
	set_v4(p->peer.address, out ? ip.daddr : ip.saddr);
	/* Options can send a packet round the address that is looked at. */
	if (ip.version != 4 || ip.ihl != 5)
		return PACKET_BAD;
	p->hop_limit = ip.ttl;
	p->header = offset + sizeof(ip);
	if (ip.frag_off & bpf_htons(0x1fff))
		return PACKET_FRAGMENT;
	if (ip.protocol == IPPROTO_ICMP)
		return parse_icmp(skb, p);
	return parse_ports(skb, p, out);
}

static __always_inline enum packet_kind parse_v6(struct __sk_buff *skb, __u32 offset,
						 struct packet *p, bool out)
{
	struct ipv6hdr ip;
	__u32 next;

	if (bpf_skb_load_bytes(skb, offset, &ip, sizeof(ip)) < 0)
		return PACKET_BAD;
	__builtin_memcpy(p->peer.address, out ? &ip.daddr : &ip.saddr, 16);
	/* No such packet is of an honest sender. */
	if (ip.version != 6 || is_mapped(p->peer.address))
		return PACKET_BAD;
	p->hop_limit = ip.hop_limit;
	next = ip.nexthdr;
	offset += sizeof(ip);
	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		__u8 h[4];

		p->peer.protocol = next;
		p->header = offset;
		if (next == IPPROTO_TCP || next == IPPROTO_UDP)
			return parse_ports(skb, p, out);
		if (next == IPPROTO_ICMPV6)
			return parse_icmp(skb, p);
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH)
			return PACKET_BAD;
		if (bpf_skb_load_bytes(skb, offset, h, sizeof(h)) < 0)
			return PACKET_BAD;
		if (next == IPPROTO_FRAGMENT) {
			p->peer.protocol = h[0];
			if (((h[2] << 8 | h[3]) & 0xfff8) != 0)
				return PACKET_FRAGMENT;
			offset += 8;
		} else if (next == IPPROTO_AH) {
			offset += (h[1] + 2) * 4;
		} else {
			offset += (h[1] + 1) * 8;
		}
		next = h[0];
	}
	return PACKET_BAD;
}

/*
 * Neighbour discovery of the link, as a host speaks it: as short as it has to be, and nothing in
 * front of it, so that it carries next to nothing further. `offset`: of the IP header.
 */
static __always_inline bool is_neighbour_discovery(const struct __sk_buff *skb,
						   __u32 offset, const struct packet *p)
{
	const __u8 *a = p->peer.address;

	if (p->peer.is_v4 || p->peer.protocol != IPPROTO_ICMPV6 || p->hop_limit != 255 ||
	    p->header != offset + sizeof(struct ipv6hdr) ||
	    skb->len > p->header + NEIGHBOUR_SHORT)
		return false;
	if (p->icmp_type == ICMPV6_ROUTER_SOLICITATION)
		return (a[0] == 0xff && a[1] == 2) ||
		       (a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
	return p->icmp_type == ICMPV6_NEIGHBOUR_SOLICITATION ||
	       p->icmp_type == ICMPV6_NEIGHBOUR_ADVERTISEMENT;
}

/* The kernel tells the link of groups by itself, when a device comes up: nobody's act. */
static __always_inline bool is_group_report(const struct packet *p)
{
	if (p->peer.is_v4)
		return p->peer.protocol == IPPROTO_IGMP;
	return p->peer.protocol == IPPROTO_ICMPV6 && p->hop_limit == 1 &&
	       (p->icmp_type == ICMPV6_GROUP_REPORT ||
		p->icmp_type == ICMPV6_GROUP_REPORT_V1 ||
		p->icmp_type == ICMPV6_GROUP_DONE);
}

/* What the kernel asks and answers of the link; no more than that fits in. */
static __always_inline bool is_arp(struct __sk_buff *skb, __u32 offset)
{
	static const __u8 kind[6] = { 0, 1, ETH_P_IP >> 8, ETH_P_IP & 0xff, ETH_ALEN, 4 };
	__u8 h[8];

	if (skb->len != offset + ARP_LENGTH ||
	    bpf_skb_load_bytes(skb, offset, h, sizeof(h)) < 0)
		return false;
	for (unsigned int i = 0; i < sizeof(kind); i++)
		if (h[i] != kind[i])
			return false;
	return h[6] == 0 && (h[7] == 1 || h[7] == 2);
}

/*
 * For the loopback device, and about to leave by another one: bound to that, a socket sends so to
 * an address that is allowed there, the forwarder's.
 */
static __always_inline bool is_astray(const struct __sk_buff *skb, const struct packet *p)
{
	return skb->ifindex != LOOPBACK_IFINDEX && is_loopback(&p->peer);
}

static __always_inline bool is_icmp_error(const struct packet *p)
{
	if (p->peer.is_v4)
		return p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12;
	return p->icmp_type >= 1 && p->icmp_type <= 4;
}

static __always_inline void flow_of(const struct network_config *config,
				    const struct packet *p, struct flow *ret)
{
	ret->key = config->key;
	ret->protocol = p->peer.protocol;
	ret->remote = p->peer.port;
	ret->local = p->peer.local;
	copy_address(ret->address, p->peer.address);
}

/* What goes out makes no one known who did not come in. */
static __always_inline void remember(const struct flow *flow, bool incoming)
{
	struct note note = { .time = bpf_ktime_get_boot_ns(), .incoming = incoming };
	const struct note *old = bpf_map_lookup_elem(&passed, flow);

	if (!old || (incoming && (!old->incoming || note.time - old->time > NANOSECONDS)))
		bpf_map_update_elem(&passed, flow, &note, BPF_ANY);
}

/* Leaves a note for the device. */
static __noinline void note_passed(struct __sk_buff *skb,
				   const struct network_config *config,
				   const struct packet *p, bool incoming)
{
	struct flow flow = {};

	flow_of(config, p, &flow);
	remember(&flow, incoming);
	if (p->peer.protocol == IPPROTO_UDP && skb->len > FRAGMENT_FROM) {
		flow.remote = 0;
		flow.local = 0;
		remember(&flow, false);
	}
}

#endif
