// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that the program makes itself, through raw sockets (the kernel routes them) and packet
 * sockets (nobody does). See bypass.c.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bypass.h"

#define SOURCE4 "203.0.113.2"
#define SOURCE6 "2001:db8:2::2"

struct packet {
	uint8_t data[1400];
	size_t len;
};

static void add(struct packet *p, const void *data, size_t len)
{
	if (p->len + len > sizeof(p->data))
		abort();
	memcpy(p->data + p->len, data, len);
	p->len += len;
}

static void add_mark(struct packet *p)
{
	add(p, attempt_mark, strlen(attempt_mark));
	/* Of a length that later fragments may have. */
	while (p->len % 8)
		add(p, "", 1);
}

static uint16_t checksum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;

	for (size_t i = 0; i < len; i++)
		sum += (uint32_t)b[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void add_ip4(struct packet *p, const char *to, int protocol, uint16_t fragment,
		    const void *options, size_t options_len, size_t payload)
{
	struct iphdr ip = { .version = 4,
			    .ihl = (5 + options_len / 4) & 15,
			    .ttl = 64,
			    .protocol = (uint8_t)protocol,
			    .id = htons(attempt_port),
			    .frag_off = htons(fragment),
			    .tot_len = htons((uint16_t)(sizeof(ip) + options_len + payload)),
			    .saddr = inet_addr(SOURCE4),
			    .daddr = inet_addr(to) };
	size_t at = p->len;

	add(p, &ip, sizeof(ip));
	add(p, options, options_len);
	ip.check = checksum(p->data + at, p->len - at, 0);
	memcpy(p->data + at, &ip, sizeof(ip));
}

static void add_ip6(struct packet *p, const char *to, int next, int hops, size_t payload)
{
	struct ip6_hdr ip = { .ip6_flow = htonl(6u << 28),
			      .ip6_nxt = (uint8_t)next,
			      .ip6_hlim = (uint8_t)hops,
			      .ip6_plen = htons((uint16_t)payload) };

	inet_pton(AF_INET6, SOURCE6, &ip.ip6_src);
	inet_pton(AF_INET6, to, &ip.ip6_dst);
	add(p, &ip, sizeof(ip));
}

static void add_udp(struct packet *p, uint16_t port)
{
	struct udphdr udp = { .source = htons(5000),
			      .dest = htons(port),
			      .len = htons((uint16_t)(sizeof(udp) + 64)) };

	add(p, &udp, sizeof(udp));
}

/* A whole datagram with the mark, of 64 bytes and its header. */
static void add_datagram(struct packet *p, uint16_t port)
{
	char text[64] = { 0 };

	memcpy(text, attempt_mark, strlen(attempt_mark));
	add_udp(p, port);
	add(p, text, sizeof(text));
}
#define DATAGRAM (sizeof(struct udphdr) + 64)

static bool is_ip6(const char *to)
{
	return strchr(to, ':');
}

/* --- raw sockets --- */

static int send_raw(int fd, const struct packet *p, const char *to)
{
	struct address a = address_of(to, 0);

	return result(sendto(fd, p->data, p->len, MSG_DONTWAIT, sa(&a), a.len));
}

/* n: the protocol; the kernel makes the IP header. */
static int try_raw(const struct attempt *a)
{
	int fd = new_socket(is_ip6(a->text) ? AF_INET6 : AF_INET, SOCK_RAW, a->n);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	add_datagram(&p, attempt_port);
	return send_raw(fd, &p, a->text);
}

/* The header is made here. n: the address that the kernel is told is an allowed one. */
static int try_own_header(const struct attempt *a)
{
	int fd = new_socket(is_ip6(a->text) ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	if (is_ip6(a->text))
		add_ip6(&p, a->text, IPPROTO_UDP, 64, DATAGRAM);
	else
		add_ip4(&p, a->text, IPPROTO_UDP, 0, NULL, 0, DATAGRAM);
	add_datagram(&p, attempt_port);
	return send_raw(fd, &p, a->n ? ALLOWED4 : a->text);
}

/* A packet in a packet; the outer one is for an allowed address. n: protocol */
static int try_tunnel(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_RAW, a->n);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	if (a->n == IPPROTO_GRE)
		add(&p, "\0\0\x08\0", 4);
	if (is_ip6(a->text))
		add_ip6(&p, a->text, IPPROTO_UDP, 64, DATAGRAM);
	else
		add_ip4(&p, a->text, IPPROTO_UDP, 0, NULL, 0, DATAGRAM);
	add_datagram(&p, attempt_port);
	return send_raw(fd, &p, ALLOWED4);
}

/* n: SOCK_RAW, or SOCK_DGRAM for a ping socket; m: the type of the message */
static int try_icmp(const struct attempt *a)
{
	bool v6 = is_ip6(a->text);
	uint8_t head[8] = { (uint8_t)a->m };
	int fd = new_socket(v6 ? AF_INET6 : AF_INET, a->n,
			    v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	struct packet p = { .len = 0 };
	uint16_t sum;

	if (fd < 0)
		return fd;
	add(&p, head, sizeof(head));
	add_mark(&p);
	sum = checksum(p.data, p.len, 0);
	memcpy(p.data + 2, &sum, sizeof(sum));
	return send_raw(fd, &p, a->text);
}

static const struct attempt raw[] = {
	{ "udp", try_raw, .text = DENIED4, .n = IPPROTO_UDP },
	{ "udp-allowed", try_raw, .text = ALLOWED4, .n = IPPROTO_UDP },
	{ "udp-ipv6", try_raw, .text = DENIED6, .n = IPPROTO_UDP },
	{ "tcp", try_raw, .text = DENIED4, .n = IPPROTO_TCP },
	{ "gre", try_raw, .text = DENIED4, .n = IPPROTO_GRE },
	{ "esp", try_raw, .text = DENIED4, .n = IPPROTO_ESP },
	{ "protocol-253", try_raw, .text = DENIED4, .n = 253 },
	{ "protocol-253-allowed", try_raw, .text = ALLOWED4, .n = 253 },
	{ "protocol-253-ipv6", try_raw, .text = DENIED6, .n = 253 },
	{ "own-header", try_own_header, .text = DENIED4 },
	{ "own-header-ipv6", try_own_header, .text = DENIED6 },
	{ "own-header-for-another", try_own_header, .text = DENIED4, .n = 1 },
	{ "ip-in-ip", try_tunnel, .text = DENIED4, .n = IPPROTO_IPIP },
	{ "ipv6-in-ip", try_tunnel, .text = DENIED6, .n = IPPROTO_IPV6 },
	{ "ip-in-gre", try_tunnel, .text = DENIED4, .n = IPPROTO_GRE },
	{ "icmp", try_icmp, .text = DENIED4, .n = SOCK_RAW, .m = ICMP_ECHO },
	{ "icmp-allowed", try_icmp, .text = ALLOWED4, .n = SOCK_RAW, .m = ICMP_ECHO },
	{ "icmp-answer", try_icmp, .text = DENIED4, .n = SOCK_RAW, .m = ICMP_ECHOREPLY },
	{ "icmp-error", try_icmp, .text = DENIED4, .n = SOCK_RAW, .m = ICMP_DEST_UNREACH },
	{ "icmp-ipv6", try_icmp, .text = DENIED6, .n = SOCK_RAW, .m = ICMP6_ECHO_REQUEST },
	{ "icmp-error-ipv6", try_icmp, .text = DENIED6, .n = SOCK_RAW,
	  .m = ICMP6_DST_UNREACH },
	{ "ping", try_icmp, .text = DENIED4, .n = SOCK_DGRAM, .m = ICMP_ECHO },
	{ "ping-allowed", try_icmp, .text = ALLOWED4, .n = SOCK_DGRAM, .m = ICMP_ECHO },
	{ "ping-ipv6", try_icmp, .text = DENIED6, .n = SOCK_DGRAM, .m = ICMP6_ECHO_REQUEST },
};
const struct group raw_group = { "raw", raw, ARRAY_SIZE(raw) };

/* --- packet sockets --- */

static const uint8_t all_stations[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static void add_ethernet(struct packet *p, uint16_t type)
{
	struct ether_header eth = { .ether_type = htons(type) };

	memcpy(eth.ether_dhost, all_stations, ETH_ALEN);
	memcpy(eth.ether_shost, "\x02\0\0\0\0\1", ETH_ALEN);
	add(p, &eth, sizeof(eth));
}

static int send_frame(int type, uint16_t protocol, bool past_queue, const struct packet *p)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(protocol),
				  .sll_halen = ETH_ALEN };
	int fd = new_socket(AF_PACKET, type, 0), on = 1;

	if (fd < 0)
		return fd;
	ll.sll_ifindex = (int)if_nametoindex("eth0");
	memcpy(ll.sll_addr, all_stations, ETH_ALEN);
	if (past_queue &&
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
		return -errno;
	return result(sendto(fd, p->data, p->len, MSG_DONTWAIT, (struct sockaddr *)&ll,
			     sizeof(ll)));
}

/* m: with what the frame says it holds, which for IP is true; the kernel is told n. */
static int frame(const struct attempt *a, bool past_queue)
{
	struct packet p = { .len = 0 };

	add_ethernet(&p, (uint16_t)a->m);
	if (a->m == ETHERTYPE_VLAN)
		add(&p, "\0\5\x08\0", 4);
	if (a->text && is_ip6(a->text))
		add_ip6(&p, a->text, IPPROTO_UDP, 64, DATAGRAM);
	else if (a->text)
		add_ip4(&p, a->text, IPPROTO_UDP, 0, NULL, 0, DATAGRAM);
	add_datagram(&p, attempt_port);
	return send_frame(SOCK_RAW, (uint16_t)a->n, past_queue, &p);
}

static int try_frame(const struct attempt *a)
{
	return frame(a, false);
}

static int try_past_queue(const struct attempt *a)
{
	return frame(a, true);
}

static int try_packet_datagram(const struct attempt *a)
{
	struct packet p = { .len = 0 };

	if (is_ip6(a->text))
		add_ip6(&p, a->text, IPPROTO_UDP, 64, DATAGRAM);
	else
		add_ip4(&p, a->text, IPPROTO_UDP, 0, NULL, 0, DATAGRAM);
	add_datagram(&p, attempt_port);
	return send_frame(SOCK_DGRAM, is_ip6(a->text) ? ETHERTYPE_IPV6 : ETHERTYPE_IP,
			  false, &p);
}

/* A question of the link, with more in it than there has to be. */
static int try_arp(const struct attempt *a)
{
	static const uint8_t head[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	struct packet p = { .len = 0 };
	char rest[20] = { 0 };

	(void)a;
	add_ethernet(&p, ETHERTYPE_ARP);
	add(&p, head, sizeof(head));
	add(&p, rest, sizeof(rest));
	for (int i = 0; i < 8; i++)
		add_mark(&p);
	return send_frame(SOCK_RAW, ETHERTYPE_ARP, false, &p);
}

/* Of a size and kind that is not ARP's for Ethernet and IPv4 */
static int try_odd_arp(const struct attempt *a)
{
	struct packet p = { .len = 0 };

	(void)a;
	add_ethernet(&p, ETHERTYPE_ARP);
	add_mark(&p);
	return send_frame(SOCK_RAW, ETHERTYPE_ARP, false, &p);
}

/* The same for IPv6. n: the type of the message */
static int try_neighbour(const struct attempt *a)
{
	uint8_t head[24] = { (uint8_t)a->n };
	struct packet p = { .len = 0 };

	add_ethernet(&p, ETHERTYPE_IPV6);
	add_ip6(&p, a->text, IPPROTO_ICMPV6, 255, sizeof(head) + 256);
	add(&p, head, sizeof(head));
	for (int i = 0; i < 16; i++) {
		char text[16] = { 0 };

		memcpy(text, attempt_mark, strlen(attempt_mark));
		add(&p, text, sizeof(text));
	}
	return send_frame(SOCK_RAW, ETHERTYPE_IPV6, false, &p);
}

static const struct attempt packet[] = {
	{ "frame", try_frame, .text = DENIED4, .n = ETHERTYPE_IP, .m = ETHERTYPE_IP },
	{ "frame-ipv6", try_frame, .text = DENIED6, .n = ETHERTYPE_IPV6,
	  .m = ETHERTYPE_IPV6 },
	{ "frame-mapped", try_frame, .text = "::ffff:" DENIED4, .n = ETHERTYPE_IPV6,
	  .m = ETHERTYPE_IPV6 },
	{ "datagram", try_packet_datagram, .text = DENIED4 },
	{ "datagram-ipv6", try_packet_datagram, .text = DENIED6 },
	{ "past-queue", try_past_queue, .text = DENIED4, .n = ETHERTYPE_IP,
	  .m = ETHERTYPE_IP },
	{ "own-type", try_frame, .n = 0x88b5, .m = 0x88b5 },
	{ "own-type-past-queue", try_past_queue, .n = 0x88b5, .m = 0x88b5 },
	{ "length-for-type", try_frame, .n = 60, .m = 60 },
	{ "said-to-be-arp", try_frame, .text = DENIED4, .n = ETHERTYPE_ARP,
	  .m = ETHERTYPE_IP },
	{ "said-to-be-ip", try_frame, .text = NULL, .n = ETHERTYPE_IP, .m = 0x88b5 },
	{ "vlan", try_frame, .text = DENIED4, .n = ETHERTYPE_VLAN, .m = ETHERTYPE_VLAN },
	{ "arp", try_arp, .text = NULL },
	{ "odd-arp", try_odd_arp, .text = NULL },
	{ "neighbour-group", try_neighbour, .text = "ff02::1", .n = ND_NEIGHBOR_SOLICIT },
	{ "neighbour", try_neighbour, .text = "fe80::1", .n = ND_NEIGHBOR_ADVERT },
	{ "router", try_neighbour, .text = "ff02::1", .n = ND_ROUTER_ADVERT },
	{ "neighbour-far", try_neighbour, .text = DENIED6, .n = ND_NEIGHBOR_SOLICIT },
};
const struct group packet_group = { "packet", packet, ARRAY_SIZE(packet) };

/* --- fragments --- */

#define MORE 0x2000

/* m: the fragment field; through a raw socket. Pieces for an allowed address are no way in either. */
static int try_fragment(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	add_ip4(&p, a->text, a->n, (uint16_t)a->m, NULL, 0, DATAGRAM);
	add_datagram(&p, attempt_port);
	return send_raw(fd, &p, a->text);
}

static void make_fragment6(struct packet *p, const struct attempt *a)
{
	struct ip6_frag f = { .ip6f_nxt = (uint8_t)a->n,
			      .ip6f_offlg = htons((uint16_t)a->m),
			      .ip6f_ident = htonl(attempt_port) };

	add_ip6(p, a->text, IPPROTO_FRAGMENT, 64, sizeof(f) + DATAGRAM);
	add(p, &f, sizeof(f));
	add_datagram(p, attempt_port);
}

static int try_fragment6(const struct attempt *a)
{
	int fd = new_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	make_fragment6(&p, a);
	return send_raw(fd, &p, a->text);
}

static int try_fragment_frame(const struct attempt *a)
{
	struct packet p = { .len = 0 };
	bool v6 = is_ip6(a->text);

	add_ethernet(&p, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
	if (v6) {
		make_fragment6(&p, a);
	} else {
		add_ip4(&p, a->text, a->n, (uint16_t)a->m, NULL, 0, DATAGRAM);
		add_datagram(&p, attempt_port);
	}
	return send_frame(SOCK_RAW, v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP, false, &p);
}

/* The kernel cuts it up. */
static int try_big_datagram(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = new_socket(is_ip6(a->text) ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
	char data[8000];

	if (fd < 0)
		return fd;
	for (size_t i = 0; i + sizeof(attempt_mark) <= sizeof(data);
	     i += sizeof(attempt_mark))
		memcpy(data + i, attempt_mark, sizeof(attempt_mark));
	return result(sendto(fd, data, sizeof(data), MSG_NOSIGNAL, sa(&to), to.len));
}

static const struct attempt fragments[] = {
	{ "first", try_fragment, .text = DENIED4, .n = IPPROTO_UDP, .m = MORE },
	{ "later", try_fragment, .text = DENIED4, .n = IPPROTO_UDP, .m = 10 },
	{ "later-tcp", try_fragment, .text = DENIED4, .n = IPPROTO_TCP, .m = 10 },
	{ "later-allowed-tcp", try_fragment, .text = ALLOWED4, .n = IPPROTO_TCP, .m = 1 },
	{ "first-ipv6", try_fragment6, .text = DENIED6, .n = IPPROTO_UDP, .m = 1 },
	{ "later-ipv6", try_fragment6, .text = DENIED6, .n = IPPROTO_UDP, .m = 0x80 },
	{ "whole-ipv6", try_fragment6, .text = DENIED6, .n = IPPROTO_UDP, .m = 0 },
	{ "frame-first", try_fragment_frame, .text = DENIED4, .n = IPPROTO_UDP, .m = MORE },
	{ "frame-later", try_fragment_frame, .text = DENIED4, .n = IPPROTO_UDP, .m = 10 },
	{ "frame-later-allowed-tcp", try_fragment_frame, .text = ALLOWED4,
	  .n = IPPROTO_TCP, .m = 1 },
	{ "frame-first-ipv6", try_fragment_frame, .text = DENIED6, .n = IPPROTO_UDP, .m = 1 },
	{ "frame-later-ipv6", try_fragment_frame, .text = DENIED6, .n = IPPROTO_UDP,
	  .m = 0x80 },
	{ "datagram", try_big_datagram, .text = DENIED4 },
	{ "datagram-ipv6", try_big_datagram, .text = DENIED6 },
};
const struct group fragments_group = { "fragments", fragments, ARRAY_SIZE(fragments) };

/* --- headers between the address and the ports --- */

/* A source route: through where it may go to where it may not. */
static size_t source_route(uint8_t *ret, int type)
{
	uint32_t denied = inet_addr(DENIED4);

	memset(ret, IPOPT_NOP, 12);
	ret[1] = (uint8_t)type;
	ret[2] = 7;
	ret[3] = 4;
	memcpy(ret + 4, &denied, 4);
	return 8;
}

/* n: the option; m: the type of the socket; to an allowed address and port, so that only this shows */
static int try_options(const struct attempt *a)
{
	int fd = new_socket(AF_INET, a->m, 0), r;
	uint8_t options[12];
	size_t len = source_route(options, a->n);

	if (fd < 0)
		return fd;
	if (a->n == IPOPT_RR)
		options[3] = 8; /* full */
	r = result(setsockopt(fd, IPPROTO_IP, IP_OPTIONS, options, (socklen_t)len));
	if (r == 0 && a->m == SOCK_STREAM)
		return connect_to(fd, address_of(ALLOWED4, attempt_port));
	return r ? r : send_mark_to(fd, address_of(ALLOWED4, ALLOWED_UDP));
}

/* The same by what goes with the message, which is no system call of its own. */
static int send_with(int fd, const char *to, int level, int type, const void *data,
		     size_t len)
{
	struct address peer = address_of(to, ALLOWED_UDP);
	struct iovec iov = { attempt_mark, strlen(attempt_mark) };
	union {
		char data[CMSG_SPACE(64)];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr m = { .msg_name = &peer.sa,
			    .msg_namelen = peer.len,
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.data,
			    .msg_controllen = CMSG_SPACE(len) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	return result(sendmsg(fd, &m, MSG_NOSIGNAL));
}

static int try_message_options(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
	uint8_t options[12];
	size_t len = source_route(options, a->n);

	return fd < 0 ? fd : send_with(fd, ALLOWED4, IPPROTO_IP, IP_RETOPTS, options, len);
}

/* A routing header of mobility (type 2) with the denied address, and others that carry padding. */
static size_t extension(uint8_t *ret, int option)
{
	memset(ret, 0, 24);
	if (option == IPV6_RTHDR) {
		ret[1] = 2;
		ret[2] = 2;
		ret[3] = 1;
		inet_pton(AF_INET6, DENIED6, ret + 8);
		return 24;
	}
	/* PadN over what is left of eight bytes */
	ret[2] = 1;
	ret[3] = 4;
	return 8;
}

static int try_extension(const struct attempt *a)
{
	int fd = new_socket(AF_INET6, SOCK_DGRAM, 0), r;
	uint8_t data[24];
	size_t len = extension(data, a->n);

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, IPPROTO_IPV6, a->n, data, (socklen_t)len));
	return r ? r :
		   send_mark_to(fd,
				address_of(a->text, a->m ? (uint16_t)a->m : attempt_port));
}

static int try_message_extension(const struct attempt *a)
{
	int fd = new_socket(AF_INET6, SOCK_DGRAM, 0);
	uint8_t data[24];
	size_t len = extension(data, a->n);

	return fd < 0 ? fd : send_with(fd, a->text, IPPROTO_IPV6, a->n, data, len);
}

/* n: the header; m: how many of them, each of eight bytes */
static void make_crafted(struct packet *p, const struct attempt *a)
{
	uint8_t one[8] = { (uint8_t)a->n, 0, 1, 4 };

	if (a->n == IPPROTO_ROUTING) {
		/* One of a kind that is not known, with no addresses left to go to. */
		memset(one, 0, sizeof(one));
		one[2] = 253;
	}
	if (a->n == IPPROTO_FRAGMENT)
		memset(one, 0, sizeof(one));
	add_ip6(p, a->text, a->n, 64, sizeof(one) * (size_t)a->m + DATAGRAM);
	for (int i = 1; i <= a->m; i++) {
		one[0] = (uint8_t)(i == a->m ? IPPROTO_UDP : a->n);
		add(p, one, sizeof(one));
	}
	add_datagram(p, attempt_port);
}

static int try_crafted(const struct attempt *a)
{
	int fd = new_socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
	struct packet p = { .len = 0 };

	if (fd < 0)
		return fd;
	make_crafted(&p, a);
	return send_raw(fd, &p, a->text);
}

static int try_crafted_frame(const struct attempt *a)
{
	struct packet p = { .len = 0 };

	add_ethernet(&p, ETHERTYPE_IPV6);
	make_crafted(&p, a);
	return send_frame(SOCK_RAW, ETHERTYPE_IPV6, false, &p);
}

/* A packet for an allowed address and port, with options. */
static int try_options_frame(const struct attempt *a)
{
	uint8_t options[12];
	size_t len = source_route(options, a->n);
	struct packet p = { .len = 0 };

	add_ethernet(&p, ETHERTYPE_IP);
	add_ip4(&p, ALLOWED4, IPPROTO_UDP, 0, options, len, DATAGRAM);
	add_datagram(&p, ALLOWED_UDP);
	return send_frame(SOCK_RAW, ETHERTYPE_IP, false, &p);
}

static const struct attempt headers[] = {
	{ "loose-route", try_options, .n = IPOPT_LSRR, .m = SOCK_DGRAM },
	{ "loose-route-tcp", try_options, .n = IPOPT_LSRR, .m = SOCK_STREAM },
	{ "record-route", try_options, .n = IPOPT_RR, .m = SOCK_DGRAM },
	{ "loose-route-with-message", try_message_options, .n = IPOPT_LSRR },
	{ "loose-route-frame", try_options_frame, .n = IPOPT_LSRR },
	{ "strict-route-frame", try_options_frame, .n = IPOPT_SSRR },
	{ "hop-by-hop", try_extension, .text = DENIED6, .n = IPV6_HOPOPTS },
	{ "destination", try_extension, .text = DENIED6, .n = IPV6_DSTOPTS },
	{ "routing", try_extension, WIRE, true, ALLOWED6, IPV6_RTHDR, ALLOWED_UDP },
	{ "routing-with-message", try_message_extension, WIRE, true, ALLOWED6, IPV6_RTHDR,
	  0 },
	{ "crafted-hop-by-hop", try_crafted, .text = DENIED6, .n = IPPROTO_HOPOPTS, .m = 1 },
	{ "crafted-destination", try_crafted, .text = DENIED6, .n = IPPROTO_DSTOPTS, .m = 1 },
	{ "crafted-destination-many", try_crafted, .text = DENIED6, .n = IPPROTO_DSTOPTS,
	  .m = 9 },
	{ "crafted-routing", try_crafted, .text = DENIED6, .n = IPPROTO_ROUTING, .m = 1 },
	{ "crafted-routing-allowed", try_crafted, .text = ALLOWED6, .n = IPPROTO_ROUTING,
	  .m = 1 },
	{ "crafted-fragment", try_crafted, .text = DENIED6, .n = IPPROTO_FRAGMENT, .m = 1 },
	{ "frame-hop-by-hop", try_crafted_frame, .text = DENIED6, .n = IPPROTO_HOPOPTS,
	  .m = 1 },
	{ "frame-destination", try_crafted_frame, .text = DENIED6, .n = IPPROTO_DSTOPTS,
	  .m = 1 },
	{ "frame-destination-many", try_crafted_frame, .text = DENIED6,
	  .n = IPPROTO_DSTOPTS, .m = 9 },
	{ "frame-routing-allowed", try_crafted_frame, .text = ALLOWED6,
	  .n = IPPROTO_ROUTING, .m = 1 },
};
const struct group headers_group = { "headers", headers, ARRAY_SIZE(headers) };
