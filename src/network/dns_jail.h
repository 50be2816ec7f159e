/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-dns gives up before it reads a byte that is not the runtime's. */
#ifndef PURPLE_NETWORK_DNS_JAIL_H
#define PURPLE_NETWORK_DNS_JAIL_H

#include <stddef.h>

#include "base/err.h"

/* What is left to it. */
struct dns_jail {
	int map_fd;
	/* Where connect() may find its address: in memory that cannot be written. */
	const void *const *servers;
	size_t server_count;
	/* Sockets that datagrams are sent from to anywhere, which is the container there. */
	const int *answering;
	size_t answering_count;
	int first_own_fd; /* from this one on, descriptors can be closed, and control_fd */
	int control_fd;
};

/* Before anything is allocated: what is freed later must not need a call that is not allowed. */
int dns_jail_prepare(struct err *e);

/*
 * From here on the process is nobody's, without capabilities (but CAP_BPF where the kernel, before
 * 5.19, lets nobody else use a map that it has open: the map is tried), in an empty file system
 * that it shares with nobody, without children, and with the system calls of the forwarder alone:
 * another one kills it. Of the host's network, where it is, it reaches the name servers, and
 * nothing else. The descriptors stay. Should: be called as root, in a process with one thread.
 * Whatever of it fails is an error; the process is then of no use.
 */
int dns_jail_enter(const struct dns_jail *j, struct err *e);

#endif
