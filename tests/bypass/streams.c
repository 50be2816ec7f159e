// SPDX-License-Identifier: Apache-2.0
/* TCP in its forms, and what is not TCP but makes connections. See bypass.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bypass.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

static int family_of(const char *text)
{
	return strchr(text, ':') ? AF_INET6 : AF_INET;
}

/* n, m: type and protocol of the socket */
static int try_connect(const struct attempt *a)
{
	int fd = new_socket(family_of(a->text), a->n, a->m);

	return fd < 0 ? fd : connect_to(fd, address_of(a->text, attempt_port));
}

/* The first one is allowed; then the same socket goes elsewhere. */
static int try_reconnect(const struct attempt *a)
{
	struct address none = { .sa.ss_family = AF_UNSPEC, .len = sizeof(struct sockaddr) },
		       first = address_of(ALLOWED4, ALLOWED_TCP);
	int fd = new_socket(AF_INET, SOCK_STREAM, 0), r;

	if (fd < 0)
		return fd;
	r = result(connect(fd, sa(&first), first.len));
	if (r == 0)
		r = result(connect(fd, sa(&none), none.len));
	return r ? r : connect_to(fd, address_of(a->text, attempt_port));
}

static int try_fastopen(const struct attempt *a)
{
	int fd = new_socket(family_of(a->text), SOCK_STREAM, 0), r;
	struct address to = address_of(a->text, attempt_port);

	if (fd < 0)
		return fd;
	r = result(sendto(fd, attempt_mark, strlen(attempt_mark),
			  MSG_FASTOPEN | MSG_NOSIGNAL | MSG_DONTWAIT, sa(&to), to.len));
	return r == -EINPROGRESS ? 0 : r;
}

static int try_fastopen_connect(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_STREAM, 0), on = 1, r;

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on)));
	if (r == 0)
		r = connect_to(fd, address_of(a->text, attempt_port));
	if (r == 0)
		r = result(send(fd, attempt_mark, strlen(attempt_mark), MSG_NOSIGNAL));
	return r == -EINPROGRESS ? 0 : r;
}

/* A connection that is never made: its state is written, and then it sends. */
static int try_repair(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_STREAM, 0), on = 1, r;
	struct address to = address_of(a->text, attempt_port);

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	if (r == 0)
		r = result(connect(fd, sa(&to), to.len));
	on = 0;
	if (r == 0)
		r = result(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	return r ? r : result(send(fd, attempt_mark, strlen(attempt_mark), MSG_NOSIGNAL));
}

/* From a port that looks like an answer's. */
static int try_source_port(const struct attempt *a)
{
	int fd = new_socket(AF_INET, a->m, 0), on = 1, r;
	struct address from = address_of("0.0.0.0", (uint16_t)a->n);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = result(bind(fd, sa(&from), from.len));
	if (r == 0 && a->m == SOCK_STREAM)
		return connect_to(fd, address_of(a->text, attempt_port));
	return r ? r : send_mark_to(fd, address_of(a->text, attempt_port));
}

/* From an address that is none of the container's. */
static int try_foreign_source(const struct attempt *a)
{
	int fd = new_socket(AF_INET, SOCK_DGRAM, 0), on = 1, r;
	struct address from = address_of("198.18.0.1", 53);

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof(on)));
	if (r == 0)
		r = result(bind(fd, sa(&from), from.len));
	return r ? r : send_mark_to(fd, address_of(a->text, attempt_port));
}

static int try_device(const struct attempt *a)
{
	int fd = new_socket(family_of(a->text), a->n, 0), r;

	if (fd < 0)
		return fd;
	r = result(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "eth0", sizeof("eth0")));
	if (r == 0 && a->n == SOCK_STREAM)
		return connect_to(fd, address_of(a->text, attempt_port));
	return r ? r :
		   send_mark_to(fd,
				address_of(a->text, a->m ? (uint16_t)a->m : attempt_port));
}

static const struct attempt tcp[] = {
	{ "ipv4", try_connect, .text = DENIED4, .n = SOCK_STREAM },
	{ "ipv6", try_connect, .text = DENIED6, .n = SOCK_STREAM },
	{ "mapped", try_connect, .text = "::ffff:" DENIED4, .n = SOCK_STREAM },
	{ "compatible", try_connect, .text = "::" DENIED4, .n = SOCK_STREAM },
	{ "other-port", try_connect, .text = ALLOWED4, .n = SOCK_STREAM },
	{ "reconnect", try_reconnect, .text = DENIED4 },
	{ "fastopen", try_fastopen, .text = DENIED4 },
	{ "fastopen-ipv6", try_fastopen, .text = DENIED6 },
	{ "fastopen-mapped", try_fastopen, .text = "::ffff:" DENIED4 },
	{ "fastopen-connect", try_fastopen_connect, .text = DENIED4 },
	{ "repair", try_repair, .text = DENIED4 },
	{ "from-53", try_source_port, .text = DENIED4, .n = 53, .m = SOCK_STREAM },
	{ "from-443", try_source_port, .text = DENIED4, .n = 443, .m = SOCK_STREAM },
	{ "udp-from-53", try_source_port, .text = DENIED4, .n = 53, .m = SOCK_DGRAM },
	{ "udp-from-443", try_source_port, .text = DENIED4, .n = 443, .m = SOCK_DGRAM },
	{ "udp-from-dhcp", try_source_port, .text = DENIED4, .n = 68, .m = SOCK_DGRAM },
	{ "udp-foreign-source", try_foreign_source, .text = DENIED4 },
	{ "device", try_device, .text = DENIED4, .n = SOCK_STREAM },
	{ "udp-device", try_device, .text = DENIED4, .n = SOCK_DGRAM },
	/* What is for the loopback device does not go out of another one. */
	{ "udp-device-loopback", try_device, .text = "127.0.0.1", .n = SOCK_DGRAM },
	{ "udp-device-loopback-ipv6", try_device, .text = "::1", .n = SOCK_DGRAM },
	{ "udp-device-dns", try_device, .text = DENIED4, .n = SOCK_DGRAM, .m = 53 },
	{ "udp-device-dns-ipv6", try_device, .text = DENIED6, .n = SOCK_DGRAM, .m = 53 },
};
const struct group tcp_group = { "tcp", tcp, ARRAY_SIZE(tcp) };

/* Any socket that the kernel makes of a family or protocol which no policy speaks of. */
static int try_families(const struct attempt *a)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM,
				     SOCK_SEQPACKET };

	for (int family = 1; family < 256; family++) {
		if (family == AF_UNIX || family == AF_INET || family == AF_INET6 ||
		    family == AF_NETLINK || family == a->n)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(types); i++)
			if (new_socket(family, types[i], 0) >= 0)
				return 0;
	}
	return -EPERM;
}

static int try_netlink(const struct attempt *a)
{
	int r = -EPERM;

	(void)a;
	for (int protocol = 1; protocol < 32; protocol++) {
		r = new_socket(AF_NETLINK, SOCK_RAW, protocol);
		if (r >= 0)
			return 0;
	}
	return r;
}

static int try_socket(const struct attempt *a)
{
	int fd = new_socket(a->n, a->m & 0xff, a->m >> 8);

	return fd < 0 ? fd : 0;
}
#define TYPE_PROTOCOL(type, protocol) ((protocol) << 8 | (type))

static int try_datagram(const struct attempt *a)
{
	int fd = new_socket(family_of(a->text), a->n, a->m);

	return fd < 0 ? fd : send_mark_to(fd, address_of(a->text, attempt_port));
}

static const struct attempt protocols[] = {
	{ "mptcp", try_connect, WIRE, true, DENIED4, SOCK_STREAM, IPPROTO_MPTCP },
	{ "mptcp-ipv6", try_connect, WIRE, true, DENIED6, SOCK_STREAM, IPPROTO_MPTCP },
	{ "mptcp-mapped", try_connect, WIRE, true, "::ffff:" DENIED4, SOCK_STREAM,
	  IPPROTO_MPTCP },
	{ "sctp", try_connect, WIRE, true, DENIED4, SOCK_STREAM, IPPROTO_SCTP },
	{ "sctp-ipv6", try_connect, WIRE, true, DENIED6, SOCK_STREAM, IPPROTO_SCTP },
	{ "sctp-allowed", try_connect, WIRE, true, ALLOWED4, SOCK_STREAM, IPPROTO_SCTP },
	{ "sctp-one-to-many", try_datagram, WIRE, true, DENIED4, SOCK_SEQPACKET,
	  IPPROTO_SCTP },
	{ "dccp", try_connect, WIRE, true, DENIED4, SOCK_DCCP, IPPROTO_DCCP },
	{ "dccp-ipv6", try_connect, WIRE, true, DENIED6, SOCK_DCCP, IPPROTO_DCCP },
	{ "udplite", try_datagram, WIRE, true, DENIED4, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "udplite-ipv6", try_datagram, WIRE, true, DENIED6, SOCK_DGRAM, IPPROTO_UDPLITE },
	{ "udplite-allowed", try_datagram, WIRE, true, ALLOWED4, SOCK_DGRAM,
	  IPPROTO_UDPLITE },
	{ "l2tp", try_datagram, WIRE, true, DENIED4, SOCK_DGRAM, 115 },
	{ "vsock", try_socket, CALL, true, NULL, AF_VSOCK, SOCK_STREAM },
	{ "smc", try_socket, CALL, true, NULL, AF_SMC, SOCK_STREAM },
	{ "xdp", try_socket, CALL, true, NULL, AF_XDP, SOCK_RAW },
	{ "tipc", try_socket, CALL, true, NULL, AF_TIPC, SOCK_SEQPACKET },
	{ "rds", try_socket, CALL, true, NULL, AF_RDS, SOCK_SEQPACKET },
	{ "alg", try_socket, CALL, true, NULL, AF_ALG, SOCK_SEQPACKET },
	{ "packet", try_socket, CALL, false, NULL, AF_PACKET, SOCK_RAW },
	{ "sock-diag", try_socket, CALL, true, NULL, AF_NETLINK, TYPE_PROTOCOL(SOCK_RAW, 4) },
	{ "any-family", try_families, CALL, false, NULL, 0, 0 },
	{ "any-netlink", try_netlink, CALL, false, NULL, 0, 0 },
};
const struct group protocols_group = { "protocols", protocols, ARRAY_SIZE(protocols) };
