/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to providers: libcurl's multi interface in the gateway's event loop. HTTP/1.1 alone: what a
 * provider sends faster than the agent reads stays with the provider then, and not in a window of
 * megabytes. Redirects are not followed, proxies of the environment not asked, and nothing is
 * decompressed.
 */
#ifndef PURPLE_GATEWAY_UPSTREAM_H
#define PURPLE_GATEWAY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "gateway/loop.h"

struct upstream;
struct transfer;

struct upstream_limits {
	int64_t connect_ms; /* until a connection stands, names and TLS included */
	int64_t idle_ms;    /* between two bytes */
};

/* `ca_file`: whom to trust, or NULL for what libcurl was built with. */
int upstream_make(struct loop *loop, const struct upstream_limits *limits,
		  const char *ca_file, struct upstream **ret, struct err *e);
void upstream_free(struct upstream *u);

enum transfer_end {
	TRANSFER_WHOLE,
	TRANSFER_UNREACHED, /* no byte of the request has left */
	TRANSFER_BROKEN, /* it broke off: while it was sent, before an answer or within one */
	TRANSFER_TIMED_OUT,
	TRANSFER_STOPPED, /* as an operation below said */
};

enum transfer_take { TRANSFER_TAKEN, TRANSFER_PAUSE, TRANSFER_STOP };

/* What becomes of a transfer. None of them may stop or free it but by what it returns. */
struct transfer_ops {
	/* The body's next bytes from `at` on; 0 is its end. */
	size_t (*send)(void *ctx, size_t at, char *buf, size_t size);
	/* A header of the answer, and its end. False: stop. */
	bool (*header)(void *ctx, const char *name, const char *value);
	bool (*head)(void *ctx, unsigned int status);
	/* Bytes of the answer's body. TRANSFER_PAUSE: none of these was taken, they come again. */
	enum transfer_take (*data)(void *ctx, const char *p, size_t len);
	/* It is over and no longer there. `why`: for TRANSFER_UNREACHED and _BROKEN. */
	void (*end)(void *ctx, enum transfer_end end, const char *why);
};

struct transfer_ask {
	const char *url;
	const char *host; /* of the URL: who the certificate has to be for; NULL: not https */
	bool is_post;
	size_t body_len;
	const struct strv *headers; /* "Name: value"; the texts stay until the transfer is over */
};

int transfer_start(struct upstream *u, const struct transfer_ask *ask,
		   const struct transfer_ops *ops, void *ctx, struct transfer **ret,
		   struct err *e);
/* After TRANSFER_PAUSE. Mustn't: be called from an operation; calls them itself. */
void transfer_go_on(struct transfer *t);
/* Ends it without a word. Mustn't: be called from an operation. */
void transfer_stop(struct transfer *t);

/* How long the loop may wait; -1: for ever. */
int upstream_wait_ms(const struct upstream *u);
/* Once in each turn of the loop: timers, and what has ended. */
void upstream_turn(struct upstream *u);

#endif
