/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides about calls, between a request that was read and the ledger: whether it passes, how much
 * it may generate, when a stream must be cut, and what is charged in the end. How that holds is at
 * the top of meter.c. Reads prices and writes the ledger, and does nothing else: no sockets, no
 * clock. Runs in purple-gateway's event loop; single-threaded.
 *
 * One call's life: meter_admit(), llm_request_rewrite() with what it allows, meter_progress() as the
 * answer passes, meter_settle() exactly once. Calls without a price (lists of models) take
 * meter_admit_free() alone.
 */
#ifndef PURPLE_GATEWAY_METER_H
#define PURPLE_GATEWAY_METER_H

#include "base/err.h"
#include "budget/ledger.h"
#include "gateway/answer.h"
#include "gateway/config.h"
#include "gateway/refusal.h"
#include "gateway/request.h"

struct gateway_event;
struct gateway_spent;
struct meter;
struct meter_call;

/* Less than so many tokens of an answer are of no use: the call is refused instead. */
#define METER_USEFUL_MAX 256
#define METER_MESSAGE_MAX 512

/* Milliseconds. */
struct meter_time {
	int64_t real; /* since 1970: periods of budgets, hours of prices */
	int64_t mono; /* CLOCK_MONOTONIC: rates */
};

struct meter_setup {
	const struct gateway_config *config; /* borrowed */
	struct ledger *ledger;		     /* borrowed, LEDGER_GATEWAY */
	const char *prices, *overlay; /* files; NULL: PRICES_FILE, PRICES_OVERLAY */
	/*
	 * What is over may be written some milliseconds later, with the next reservation: then
	 * meter_tick() must be called when meter_wait_ms() says so.
	 */
	bool defers;
	/*
	 * Called from within the functions below: calls that were charged, refused or cut, thresholds
	 * passed, budgets spent. What it gets is valid during the call. May be NULL.
	 */
	void (*event)(void *ctx, const struct gateway_event *x);
	void *ctx;
};

/*
 * Reads the prices, those of each provider too: before privileges are given up. Errors name the
 * file.
 */
int meter_new(const struct meter_setup *setup, struct meter **ret, struct err *e);
void meter_free(struct meter *m); /* calls must be settled before; the ledger stays */

static inline void meter_freep(struct meter **m)
{
	meter_free(*m);
}
#define _meter_free_ __attribute__((cleanup(meter_freep)))

struct meter_verdict {
	bool admitted; /* of meter_progress(): it may go on */
	int64_t out_cap; /* admitted: for llm_request_rewrite(); INT64_MAX: nothing is to be lowered */

	/* Not admitted: */
	enum llm_refusal_reason reason;
	char message[METER_MESSAGE_MAX]; /* for the agent's developer: what, which policy and line */
	unsigned int retry_after; /* seconds, 1 to 60; for LLM_REFUSE_RATE */
	int policy;		  /* index in the configuration; -1: none of them */
	/*
	 * The budget is spent, with or without what other calls hold: `action` is due (its event has
	 * been told). False for a call that waits for others, is too fast, or not allowed.
	 */
	bool exceeded;
	enum gateway_exceeded action;
};

/*
 * A metered call. `provider`: its name in the policies, in lower case. *ret_call is set when it is
 * admitted. Nothing can fail but by a refusal: without the ledger that is LLM_REFUSE_UNAVAILABLE.
 */
void meter_admit(struct meter *m, const char *provider, const struct llm_request *r,
		 struct meter_time now, struct meter_call **ret_call,
		 struct meter_verdict *ret);

/* One of several calls that ask at the same time; `provider` and `request` as above. */
struct meter_ask {
	const char *provider;
	const struct llm_request *request;
	struct meter_call *call; /* when it is admitted; NULL before */
	struct meter_verdict verdict;
};

/*
 * The same for all of them, in their order, with one transaction of the ledger: when this returns,
 * those that are admitted are reserved, and none is if the transaction failed. Others' gateways wait
 * meanwhile: not for more than METER_ASKS_MAX at a time.
 */
#define METER_ASKS_MAX 32
void meter_admit_all(struct meter *m, struct meter_ask *asks, size_t n,
		     struct meter_time now);

/* A call that costs nothing: providers and requests_per_minute. */
void meter_admit_free(struct meter *m, const char *provider, struct meter_time now,
		      struct meter_verdict *ret);

/*
 * As the answer of a 2xx comes in, after each piece. Reserves more when it grows beyond what was
 * reserved (a server that does not keep to the maximum); false in ret->admitted: there is no more,
 * cut it (llm_reader_stop() with the reason and message), and settle it as METER_CUT.
 */
void meter_progress(struct meter *m, struct meter_call *c, const struct llm_answer *a,
		    struct meter_time now, struct meter_verdict *ret);

/* How a call ended. */
enum meter_end {
	METER_WHOLE, /* the answer was read to its end */
	METER_CUT,   /* the gateway cut it: see meter_progress() */
	METER_GONE,  /* the client went, and the answer was not read to its end */
	METER_BROKEN, /* the provider broke off, or did not answer in time, once it had the request */
	METER_REFUSED, /* nothing was generated: not reached, or an answer that is not 2xx */
};

/*
 * Charges a call by the provider's own figures, or an estimate; gives the reservation back, and
 * frees `c` in any case. `a`: NULL where no 2xx answer began; `status` is told in events. A ledger
 * that cannot be written is tried again (meter_tick(), meter_admit()), and no call passes until then.
 */
void meter_settle(struct meter *m, struct meter_call *c, const struct llm_answer *a,
		  enum meter_end end, unsigned int status, struct meter_time now);

/* Writes what is not yet written; also before the ledger is closed. 0: all is. */
int meter_tick(struct meter *m, struct meter_time now, struct err *e);
/* Milliseconds until meter_tick() is to be called; -1: nothing is left to write. */
int meter_wait_ms(const struct meter *m, struct meter_time now);

/*
 * Whether the budget of a policy that was found spent still is: after `purple budget add` or in the
 * next period it may not be, and a container that was frozen goes on. False when it never was. An
 * error of the ledger says "still".
 */
bool meter_is_spent(struct meter *m, size_t policy, struct meter_time now);

/* What its calls were charged in all, and what budgets have left, as far as the ledger tells. */
void meter_sum(struct meter *m, struct meter_time now, struct gateway_spent *ret);

/* How many calls are under way. */
size_t meter_calls(const struct meter *m);

#endif
