/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of the container, as seen from the sockets in its network namespace: datagrams, and
 * connections with several questions each.
 */
#ifndef PURPLE_NETWORK_DNS_CLIENTS_H
#define PURPLE_NETWORK_DNS_CLIENTS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DNS_CONNECTIONS_MAX 16
#define DNS_CONNECTION_IDLE_MS 10000
/* Questions of one connection that are under way; with so many it is not read from. */
#define DNS_CONNECTION_QUESTIONS_MAX 16

struct dns_clients;

/* Whom an answer is for. */
struct dns_client {
	bool tcp;
	/* TCP: which connection, and which of those that had this place. */
	unsigned int connection;
	uint64_t generation;
	/* UDP: by which socket, and to where. */
	int fd;
	struct sockaddr_in6 address;
	socklen_t address_len;
};

typedef void (*dns_client_asks)(void *arg, const struct dns_client *c,
				const uint8_t *data, size_t len);

/* -1 stands for a descriptor that is not there. The others are the clients' from now on. */
int dns_clients_make(int epoll, const int udp[2], const int tcp[2], dns_client_asks asks,
		     void *arg, struct dns_clients **ret, struct err *e);
void dns_clients_free(struct dns_clients *c);

/* Exactly one for each question, or dns_clients_drop(). Who is gone gets none. */
void dns_clients_answer(struct dns_clients *all, const struct dns_client *c,
			const uint8_t *data, size_t len);
void dns_clients_drop(struct dns_clients *all, const struct dns_client *c);

/* Ends idle connections. Returns when there is something to do again, at most `limit`. */
uint64_t dns_clients_tick(struct dns_clients *all, uint64_t now_ms, uint64_t limit);

#endif
