/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the agent's, from the first byte of its request until it is settled:
 *
 *	HEAD      its head is being read; then what can be refused by it is
 *	BODY      its body is being held; or read and thrown away, if it is refused already
 *	WAITING   its request is read; at the end of the turn all that wait ask the meter together
 *	ASKING    it was let pass and is with the provider; the agent waits
 *	ANSWERING the answer has begun: it passes through, and is metered
 *	HELD      the budget is spent and the container frozen: it waits for more
 *	REFUSED   it is refused, or the provider could not answer it: the refusal is on its way
 *
 * The agent and the provider come and go as they like: the call ends when both are done with it.
 */
#ifndef PURPLE_GATEWAY_CALL_H
#define PURPLE_GATEWAY_CALL_H

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;
struct call;
struct connection;
struct gateway;

/* From the server. `target`: path and query as they stand in the request line. NULL: no memory. */
struct call *call_new(struct gateway *g, struct connection *c,
		      struct MHD_Connection *http, const char *target);
bool call_has_head(const struct call *c);
/* False, here and below: the connection is to be closed. */
bool call_head(struct call *c, const char *method, const char *version);
bool call_body(struct call *c, const char *data, size_t len);
/* The body is over, or the connection was resumed. */
bool call_ready(struct call *c);
/* The agent has its answer, or has gone; the call may be gone afterwards. */
void call_client_done(struct call *c);

/*
 * Once in each turn of the loop, after the server's: those that wait are reserved together, and only
 * then the provider is asked.
 */
void calls_admit(struct gateway *g);
/* Once in each turn of the loop: what could not be done from a callback. */
void calls_turn(struct gateway *g);
/* The budget allows calls again: those that are held are looked at anew. */
void calls_thaw(struct gateway *g);
/* The gateway ends: nobody waits for answers any more. */
void calls_abandon(struct gateway *g);
/* Charges what is still under way, and frees what no connection is left of: then end the server. */
void calls_drop(struct gateway *g);

#endif
