// SPDX-License-Identifier: Apache-2.0
/* UDP in its forms, also to groups and to the whole link. See bypass.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "bypass.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define JOIN_TIME 200000 /* microseconds */

static int udp_socket(const char *text)
{
	return new_socket(strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
}

static const char *allowed_of(const char *text)
{
	return strchr(text, ':') ? ALLOWED6 : ALLOWED4;
}

static int try_sendto(const struct attempt *a)
{
	int fd = udp_socket(a->text);

	return fd < 0 ? fd :
			send_mark_to(fd, address_of(a->text, a->n ? (uint16_t)a->n :
								    attempt_port));
}

static int try_connected(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = udp_socket(a->text), r;

	if (fd < 0)
		return fd;
	r = result(connect(fd, sa(&to), to.len));
	return r ? r : result(send(fd, attempt_mark, strlen(attempt_mark), MSG_NOSIGNAL));
}

/* Connected to where it may send; n: and has sent there already. */
static int override(const struct attempt *a)
{
	struct address first = address_of(allowed_of(a->text), ALLOWED_UDP);
	int fd = udp_socket(a->text), r;

	if (fd < 0)
		return fd;
	r = result(connect(fd, sa(&first), first.len));
	if (r == 0 && a->n)
		r = result(send(fd, "hello", 5, MSG_NOSIGNAL));
	return r ? r : fd;
}

static int try_override(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	struct iovec iov = { attempt_mark, strlen(attempt_mark) };
	struct msghdr m = {
		.msg_name = &to.sa, .msg_namelen = to.len, .msg_iov = &iov, .msg_iovlen = 1
	};
	int fd = override(a);

	return fd < 0 ? fd : result(sendmsg(fd, &m, MSG_NOSIGNAL));
}

/* The first message of the call is allowed, the second one not. */
static int try_sendmmsg(const struct attempt *a)
{
	struct address to[2] = { address_of(allowed_of(a->text), ALLOWED_UDP),
				 address_of(a->text, attempt_port) };
	struct iovec iov[2] = { { (void *)"hello", 5 },
				{ attempt_mark, strlen(attempt_mark) } };
	struct mmsghdr m[2] = { 0 };
	int fd = udp_socket(a->text), n;

	if (fd < 0)
		return fd;
	for (int i = 0; i < 2; i++) {
		m[i].msg_hdr.msg_name = &to[i].sa;
		m[i].msg_hdr.msg_namelen = to[i].len;
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	n = sendmmsg(fd, m, 2, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return n == 2 ? 0 : result(sendmmsg(fd, m + 1, 1, MSG_NOSIGNAL));
}

/* Many datagrams by one call. */
static int try_segments(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = udp_socket(a->text), size = 64, r;
	char data[640];

	if (fd < 0)
		return fd;
	for (size_t i = 0; i < sizeof(data); i += 64)
		memcpy(data + i, attempt_mark, sizeof(attempt_mark));
	r = result(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)));
	return r ? r :
		   result(sendto(fd, data, sizeof(data), MSG_NOSIGNAL, sa(&to), to.len));
}

/* What is held back for one address goes to another. */
static int try_corked(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port),
		       first = address_of(allowed_of(a->text), ALLOWED_UDP);
	int fd = udp_socket(a->text), r;

	if (fd < 0)
		return fd;
	r = result(sendto(fd, "hello", 5, MSG_MORE, sa(&first), first.len));
	if (r == 0)
		r = result(sendto(fd, "", 0, 0, sa(&first), first.len));
	if (r == 0)
		r = result(sendto(fd, attempt_mark, strlen(attempt_mark), MSG_MORE,
				  sa(&to), to.len));
	return r ? r : result(sendto(fd, "", 0, 0, sa(&to), to.len));
}

/* Corked to the allowed one, then connected elsewhere, then sent. */
static int try_corked_connect(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port),
		       first = address_of(allowed_of(a->text), ALLOWED_UDP);
	int fd = udp_socket(a->text), r;

	if (fd < 0)
		return fd;
	r = result(connect(fd, sa(&first), first.len));
	if (r == 0)
		r = result(send(fd, "hello", 5, MSG_NOSIGNAL));
	if (r == 0)
		r = result(connect(fd, sa(&to), to.len));
	return r ? r : result(send(fd, attempt_mark, strlen(attempt_mark), MSG_NOSIGNAL));
}

static int try_sendfile(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = udp_socket(a->text), file = memfd_create("x", MFD_CLOEXEC), r;
	ssize_t len = (ssize_t)strlen(attempt_mark);

	if (fd < 0)
		return fd;
	if (file < 0 || write(file, attempt_mark, (size_t)len) != len)
		return -errno;
	r = result(connect(fd, sa(&to), to.len));
	return r ? r : result(sendfile(fd, file, &(off_t){ 0 }, (size_t)len));
}

static int try_splice(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = udp_socket(a->text), fds[2], r;
	size_t len = strlen(attempt_mark);

	if (fd < 0)
		return fd;
	if (pipe2(fds, O_CLOEXEC) < 0 || write(fds[1], attempt_mark, len) < 0)
		return -errno;
	r = result(connect(fd, sa(&to), to.len));
	return r ? r : result(splice(fds[0], NULL, fd, NULL, len, 0));
}

/* An IPv6 socket that is given IPv4's address, or one of no family. */
static int try_other_family(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = new_socket(a->n, SOCK_DGRAM, 0);

	if (a->m)
		to.sa.ss_family = AF_UNSPEC;
	return fd < 0 ? fd : send_mark_to(fd, to);
}

/* The source address is given with the message. */
static int try_pktinfo(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	struct iovec iov = { attempt_mark, strlen(attempt_mark) };
	struct in_pktinfo info = { 0 };
	union {
		char data[CMSG_SPACE(sizeof(info))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr m = { .msg_name = &to.sa,
			    .msg_namelen = to.len,
			    .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.data,
			    .msg_controllen = sizeof(control.data) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fd = udp_socket(a->text);

	if (fd < 0)
		return fd;
	c->cmsg_level = IPPROTO_IP;
	c->cmsg_type = IP_PKTINFO;
	c->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return result(sendmsg(fd, &m, MSG_NOSIGNAL));
}

static int try_zerocopy(const struct attempt *a)
{
	struct address to = address_of(a->text, attempt_port);
	int fd = udp_socket(a->text), on = 1, r;

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)));
	return r ? r :
		   result(sendto(fd, attempt_mark, strlen(attempt_mark), MSG_ZEROCOPY,
				 sa(&to), to.len));
}

static const struct attempt udp[] = {
	{ "ipv4", try_sendto, .text = DENIED4 },
	{ "ipv6", try_sendto, .text = DENIED6 },
	{ "mapped", try_sendto, .text = "::ffff:" DENIED4 },
	{ "compatible", try_sendto, .text = "::" DENIED4 },
	{ "other-port", try_sendto, .text = ALLOWED4 },
	{ "connected", try_connected, .text = DENIED4 },
	{ "connected-ipv6", try_connected, .text = DENIED6 },
	{ "connected-mapped", try_connected, .text = "::ffff:" DENIED4 },
	{ "override", try_override, .text = DENIED4 },
	{ "override-ipv6", try_override, .text = DENIED6 },
	{ "override-after-use", try_override, .text = DENIED4, .n = 1 },
	{ "override-after-use-ipv6", try_override, .text = DENIED6, .n = 1 },
	{ "sendmmsg", try_sendmmsg, .text = DENIED4 },
	{ "sendmmsg-ipv6", try_sendmmsg, .text = DENIED6 },
	{ "segments", try_segments, .text = DENIED4 },
	{ "segments-ipv6", try_segments, .text = DENIED6 },
	{ "corked", try_corked, .text = DENIED4 },
	{ "corked-ipv6", try_corked, .text = DENIED6 },
	{ "connected-again", try_corked_connect, .text = DENIED4 },
	{ "sendfile", try_sendfile, .text = DENIED4 },
	{ "splice", try_splice, .text = DENIED4 },
	{ "ipv4-address-on-ipv6", try_other_family, .text = DENIED4, .n = AF_INET6 },
	{ "no-family", try_other_family, .text = DENIED4, .n = AF_INET, .m = 1 },
	{ "pktinfo", try_pktinfo, .text = DENIED4 },
	{ "zerocopy", try_zerocopy, .text = DENIED4 },
};
const struct group udp_group = { "udp", udp, ARRAY_SIZE(udp) };

/* --- groups and the whole link --- */

static int try_broadcast(const struct attempt *a)
{
	int fd = udp_socket(a->text), on = 1;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
	return send_mark_to(fd, address_of(a->text, a->n ? (uint16_t)a->n : attempt_port));
}

static int try_multicast6(const struct attempt *a)
{
	struct address to = address_of(a->text, a->n ? (uint16_t)a->n : attempt_port);
	int fd = udp_socket(a->text);

	((struct sockaddr_in6 *)&to.sa)->sin6_scope_id = if_nametoindex("eth0");
	return fd < 0 ? fd : send_mark_to(fd, to);
}

/* The kernel tells the link of it: the number of the group is the message. */
static int try_join(const struct attempt *a)
{
	struct ip_mreqn v4 = { .imr_multiaddr.s_addr = htonl(0xef4d0000u | attempt_number),
			       .imr_ifindex = (int)if_nametoindex("eth0") };
	struct ipv6_mreq v6 = { .ipv6mr_interface = if_nametoindex("eth0") };
	struct address group = address_of(a->text, 0);
	int fd = udp_socket(a->text), r;

	if (fd < 0)
		return fd;
	v6.ipv6mr_multiaddr = ((struct sockaddr_in6 *)&group.sa)->sin6_addr;
	v6.ipv6mr_multiaddr.s6_addr[14] = (uint8_t)(attempt_number >> 8);
	v6.ipv6mr_multiaddr.s6_addr[15] = (uint8_t)attempt_number;
	if (strchr(a->text, ':'))
		r = result(setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6)));
	else
		r = result(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &v4, sizeof(v4)));
	/* The kernel speaks of it a little later, and only while the group has a member. */
	if (r == 0)
		usleep(JOIN_TIME);
	return r;
}

static const struct attempt multicast[] = {
	{ "all-hosts", try_broadcast, .text = "224.0.0.1" },
	{ "mdns", try_broadcast, .text = "224.0.0.251", .n = 5353 },
	{ "ssdp", try_broadcast, .text = "239.255.255.250", .n = 1900 },
	{ "far-group", try_broadcast, .text = "233.252.0.1" },
	{ "broadcast", try_broadcast, .text = "255.255.255.255" },
	{ "dhcp", try_broadcast, .text = "255.255.255.255", .n = 67 },
	{ "subnet-broadcast", try_broadcast, .text = "203.0.113.255" },
	{ "all-nodes-ipv6", try_multicast6, .text = "ff02::1" },
	{ "mdns-ipv6", try_multicast6, .text = "ff02::fb", .n = 5353 },
	{ "far-group-ipv6", try_multicast6, .text = "ff0e::1" },
	{ "all-routers-ipv6", try_multicast6, .text = "ff02::2" },
	{ "join", try_join, .text = "239.77.0.0" },
	{ "join-ipv6", try_join, .text = "ff0e::7777:0" },
};
const struct group multicast_group = { "multicast", multicast, ARRAY_SIZE(multicast) };
