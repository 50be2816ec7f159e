/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The side of the gateway that the agent sees: connections, how many and how long, and
 * libmicrohttpd in the gateway's event loop. Requests become calls (call.h).
 */
#ifndef PURPLE_GATEWAY_SERVER_H
#define PURPLE_GATEWAY_SERVER_H

#include <stdbool.h>

#include "base/err.h"

struct gateway;
struct server;

#define SERVER_CONNECTIONS_MAX 256

/* What a listening socket is for. */
enum server_kind {
	SERVER_BASE_URL, /* the provider is the first segment of the path */
	SERVER_HTTP,	 /* interception: the provider is the host, over plain HTTP */
	SERVER_TLS,	 /* interception: over TLS */
	SERVER_KINDS,
};

int server_make(struct gateway *g, struct server **ret, struct err *e);
void server_free(struct server *s);

/* Takes what is not blocking and listens; it is the server's from now on. */
int server_listen(struct server *s, int fd, enum server_kind kind, struct err *e);
/* No more connections are taken. */
void server_quiesce(struct server *s);

/* How long the loop may wait; -1: for ever. */
int server_wait_ms(struct server *s);
/* Once in each turn of the loop, after the descriptors. */
void server_turn(struct server *s);
/* A connection was resumed: server_turn() is to look after it. */
void server_wake(struct server *s);

/* Of an MHD_Connection. */
enum server_phase {
	SERVER_IDLE, /* no request */
	SERVER_HEAD, /* its head has begun */
	SERVER_BODY,
	SERVER_BUSY, /* the request is here */
};
struct connection;
void connection_phase(struct connection *c, enum server_phase phase);
/* Ends it: the agent does not read, or not quickly enough. */
void connection_shut(struct connection *c);
enum server_kind connection_kind(const struct connection *c);

#endif
