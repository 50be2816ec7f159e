/* SPDX-License-Identifier: Apache-2.0 */
/* Tries a connection from inside of a container: `purple network test`. */
#ifndef PURPLE_NETWORK_PROBE_H
#define PURPLE_NETWORK_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/network_filter.h"

#define NETWORK_PROBE_ADDRESSES 16
/* What its process is called, in the events that it causes. */
#define NETWORK_PROBE_NAME "purple-test"

struct network_probe {
	int cgroup; /* directory of cgroup2 */
	int netns;
	const char *name;		/* asked the forwarder for; NULL: `address` */
	struct network_address address; /* IPv4 as ::ffff:a.b.c.d */
	uint32_t port;			/* as in struct network_range */
};

/* No pointers: it comes from the process that tries. */
struct network_probe_result {
	int lookup; /* 0, or a positive errno: nothing was heard */
	int rcode;  /* of DNS, where something was */
	unsigned int n;
	struct {
		struct network_address address;
		int error; /* 0: it answered; EPERM: denied; ETIMEDOUT: nothing was heard */
	} tried[NETWORK_PROBE_ADDRESSES];
};

/*
 * Starts a process in the container's group and network namespace, without privileges and without
 * anything else of the container's: it looks the name up, as the container's programs do, and
 * connects to all of the addresses at a time; over UDP it sends a datagram of one byte. At most 15 s.
 * Runs in: a single-threaded process as root.
 */
int network_probe_run(const struct network_probe *p, struct network_probe_result *ret,
		      struct err *e);

#endif
