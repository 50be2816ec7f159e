/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the bypass program share. It runs inside a container, or beside it in its
 * network, and tries ways around a network policy: bypass.c says how it is called.
 */
#ifndef PURPLE_TESTS_BYPASS_H
#define PURPLE_TESTS_BYPASS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof(*(a)))

/* Where the policy lets nobody go, and where it does (UDP port 9999, TCP port 80). */
#define DENIED4 "192.0.2.12"
#define DENIED6 "2001:db8:9::11"
#define ALLOWED4 "192.0.2.10"
#define ALLOWED6 "2001:db8:9::10"
#define ALLOWED_UDP 9999
#define ALLOWED_TCP 80

/* Attempt N sends to port BASE_PORT + N, or sends the mark: by either a sniffer knows it. */
#define BASE_PORT 20000

enum judge {
	WIRE, /* it got round the policy when its packets are seen outside */
	CALL, /* ... when it says "ok" */
};

struct attempt {
	const char *name;
	/* 0 for "ok", -errno otherwise: what the kernel said. */
	int (*run)(const struct attempt *a);
	enum judge judge;
	bool may_lack;	  /* of a protocol that not every kernel has */
	const char *text; /* the rest is what `run` makes of it */
	int n, m;
};

struct group {
	const char *name;
	const struct attempt *attempts;
	size_t n;
	void (*after)(void);
};

extern const struct group tcp_group, udp_group, raw_group, packet_group, fragments_group,
	headers_group, uring_group, protocols_group, metadata_group, multicast_group,
	dns_group, escapes_group, inherited_group, passed_group;

/* Of the attempt that runs. */
extern uint16_t attempt_port;
extern char attempt_mark[64]; /* "bypass-N-", a whole label of a name */
extern unsigned int attempt_number;

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
};

/* "192.0.2.1", "2001:db8::1"; ends the program where it is none. */
struct address address_of(const char *text, uint16_t port);
static inline struct sockaddr *sa(struct address *a)
{
	return (struct sockaddr *)&a->sa;
}

/* result(r): 0 or -errno of what a system call returned. */
int result(long r);
/* Without waiting: what is under way has left already. */
int connect_to(int fd, struct address to);
int send_mark_to(int fd, struct address to);
int new_socket(int family, int type, int protocol);

#endif
