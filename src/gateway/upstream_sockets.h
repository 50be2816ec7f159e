/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's sockets in the loop: between upstream.c and upstream_sockets.c alone. */
#ifndef PURPLE_GATEWAY_UPSTREAM_SOCKETS_H
#define PURPLE_GATEWAY_UPSTREAM_SOCKETS_H

#include <curl/curl.h>

#include "gateway/loop.h"

struct upstream_socket;

struct upstream_sockets {
	struct loop *loop;
	CURLM *multi;
	struct upstream_socket *first; /* connections, from when they are opened until they are closed */
};

void upstream_sockets_begin(struct upstream_sockets *s, struct loop *loop, CURLM *multi);
/* For each transfer, before it starts: 0 or -ENOMEM. */
int upstream_sockets_of(struct upstream_sockets *s, CURL *easy);
/* After the multi handle is gone. */
void upstream_sockets_end(struct upstream_sockets *s);

#endif
