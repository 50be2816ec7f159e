/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting purple-dns, the resolver of a container whose policy speaks of names. The runtime does
 * without the library that takes messages apart, and without staying: it is a program of its own
 * (main/purple-dns.c).
 */
#ifndef PURPLE_NETWORK_DNS_CLIENT_H
#define PURPLE_NETWORK_DNS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "network/dns_config.h"

struct network_dns_start {
	int netns_fd;  /* the container's network namespace; its loopback device is up */
	int init_fd;   /* pidfd of its init: the forwarder ends with it */
	int names_fd;  /* the container's map `names` */
	int events_fd; /* lines of JSON are written here; -1: to nobody */
	const struct network_tables *tables;
	/* Asked where the policies have no dns_servers; NULL: those of the host's resolv.conf. */
	const struct strv *fallback_upstreams;
	/* Names that lead to this IPv4 address in the container, as text; NULL: none. */
	const struct strv *own_names;
	const char *own_address;
	bool teach; /* network_dns_teach() will be called */
};

struct network_dns {
	pid_t pid; /* a child of the caller, who reaps it or leaves it to its own parent */
	uint16_t port; /* UDP and TCP, on 127.0.0.1 and ::1 as far as the namespace has them */
	bool ipv4, ipv6;
	/* Without it, the forwarder ends with the caller: when control_fd is closed. */
	bool stays, teach;
	int control_fd; /* -1: the forwarder ends with the container alone */
};

/*
 * Starts purple-dns, and waits until it is ready: network_dns_begin() and network_dns_wait(). In
 * between, the caller has some milliseconds for other things. All that `start` points to is of no
 * more use after the first. On failure nothing is left of it.
 * Runs in: a process with one thread, as root. The caller's network namespace is the one from
 * which upstream servers are asked; it stays the caller's.
 */
int network_dns_start(const struct network_dns_start *start, bool stays,
		      struct network_dns *ret, struct err *e);
int network_dns_begin(const struct network_dns_start *start, bool stays,
		      struct network_dns *ret, struct err *e);
/* Fills in the rest of *d. At most 5 s. */
int network_dns_wait(struct network_dns *d, struct err *e);

/* Tells it what another forwarder of the container has learned: an entry of its map `names`. */
int network_dns_teach(const struct network_dns *d, const struct network_address *address,
		      const struct network_name *name, struct err *e);

/* Ends and reaps it: the way back of a caller that fails later. */
void network_dns_end(struct network_dns *d);

#endif
