/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP connections of a network namespace, with what the filter remembers of them; their end. */
#ifndef PURPLE_NETWORK_SOCKETS_H
#define PURPLE_NETWORK_SOCKETS_H

#include <linux/inet_diag.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "bpf/network/socket.h"

struct network_socket {
	struct inet_diag_msg diag;
	uint8_t remote[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint16_t remote_port, local_port;
	bool has_state; /* the filter has seen it, and its memory was asked for */
	struct socket_state state;
};
typedef LIST_OF(struct network_socket) network_sockets;

/* A descriptor for the others. Runs in: a single-threaded process, with CAP_SYS_ADMIN. */
int network_sockets_open(int ns, struct err *e);

/*
 * Adds the connections of a family (AF_INET6: also those of its sockets to addresses of IPv4) that
 * somebody has a descriptor of, or that wait to be accepted; without those that listen.
 * `memory`: the map `sockets`, or -1. 0 or -errno.
 */
int network_sockets_list(int sock, uint8_t family, int memory, network_sockets *ret);
/* As above, of two ports alone, and without the memory. */
int network_sockets_find(int sock, uint8_t family, uint16_t local_port,
			 uint16_t remote_port, network_sockets *ret);

/*
 * Ends a connection by its own id, so that nobody else's is hit who got the port meanwhile: its
 * program's next call gives ECONNABORTED, the other end gets a reset as far as that may leave.
 * 1, 0 (it has ended by itself), or -errno.
 */
int network_sockets_end(int sock, const struct network_socket *s);

#endif
