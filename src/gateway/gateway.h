/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-gateway from the inside: one process for one container, one thread, one event loop. What
 * the agent sends comes in through libmicrohttpd (server.c), becomes a call (call.c, call_answer.c),
 * goes out through libcurl (upstream.c), and the answer comes back the same way, piece by piece.
 *
 * Memory is bounded: a connection has a pool of its own, a request's body is held until it is sent,
 * all bodies together have a limit, and of an answer no more is held than CALL_HELD_MAX: whoever
 * sends faster waits.
 */
#ifndef PURPLE_GATEWAY_GATEWAY_H
#define PURPLE_GATEWAY_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "gateway/config.h"
#include "gateway/content.h"
#include "gateway/injection.h"
#include "gateway/loop.h"
#include "gateway/meter.h"
#include "gateway/names.h"
#include "gateway/scan.h"
#include "gateway/server.h"
#include "gateway/upstream.h"
#include "gateway/webhook.h"

/* Of all requests that are under way. */
#define GATEWAY_BODIES_MAX (96U << 20)
#define GATEWAY_CALLS_MAX 256U
/* Answers that are read to their end though nobody waits for them. */
#define GATEWAY_DRAINS_MAX 64U
#define GATEWAY_DRAIN_MS 60000
/* When the container is gone. */
#define GATEWAY_END_MS 5000

struct authority;
struct call;
struct enforce;
struct gateway_event;
struct ledger;
struct meter;

struct gateway {
	struct gateway_config *config;
	struct strmap keys;	    /* by provider's name */
	gateway_providers known;    /* that may be called with the agent's own keys */
	struct gateway_names names; /* of interception */
	struct authority *authority;
	struct scan_rules *scan;	   /* NULL: no policy asks for it */
	struct injection_rules *injection; /* the same */
	struct content content;
	struct enforce *enforce;
	struct ledger *ledger;
	struct meter *meter;
	struct loop loop;
	struct server *server;
	struct upstream *upstream;
	struct call *calls;
	struct call *waiting, *waiting_last; /* for calls_admit(), in their order */
	unsigned int calls_n, drains;
	uint64_t calls_told, denied; /* in all */
	struct webhooks webhooks;    /* the end waits for them, too */
	struct loop_source enforce_source;
	size_t bodies;	 /* bytes held */
	bool has_wishes; /* some call waits for gateway_turn() */
	bool is_ending;
	int64_t ends_at;
};

struct meter_time gateway_time(void);
void gateway_tell(struct gateway *g, const struct gateway_event *x);

/* Runs until gateway_end() was called and all calls are over, or GATEWAY_END_MS after it. */
int gateway_run(struct gateway *g, struct err *e);
void gateway_end(struct gateway *g);

#endif
