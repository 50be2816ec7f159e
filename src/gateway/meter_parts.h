/* SPDX-License-Identifier: Apache-2.0 */
/* What meter.c, meter_budget.c and meter_end.c share; of these alone. */
#ifndef PURPLE_GATEWAY_METER_PARTS_H
#define PURPLE_GATEWAY_METER_PARTS_H

#include "base/list.h"
#include "gateway/events.h"
#include "gateway/meter.h"
#include "gateway/meter_price.h"
#include "gateway/meter_rates.h"

#define METER_LIMITS_MAX 8
#define METER_PROVIDER_MAX 63
#define METER_RATIOS_MAX 16
#define METER_NO_LIMIT INT64_MAX

/* A policy as the meter sees it. */
struct meter_policy {
	const struct gateway_policy *p;
	struct ledger_limit own; /* its budget; has_tokens and has_cost false: none */
	int limit;		 /* of meter.limits; -1: it has no budget */
	struct meter_rate rate;
	int64_t told_start; /* the period of `told` */
	uint32_t told;	    /* the mark of alert_at that the ledger is known to have */
	bool is_told_known;
	bool is_spent;		   /* the event was told */
	struct ledger_state spent; /* as it was then */
	int64_t need_tokens,
		need_cost; /* what a call needs for it not to be spent any more */
};

/* What could not be written yet. */
struct meter_late {
	int64_t id;
	bool is_release;
	struct ledger_charge charge;
	struct ledger_charge reserved; /* in its place, where a counter cannot hold it */
	char answered[LLM_NAME_MAX + 1];
	int64_t began; /* real time */
};

/* Bytes of text for 100 tokens, as a model's answers told. */
struct meter_ratio {
	char model[LLM_MODEL_MAX + 1];
	uint32_t bytes_per_100;
};

struct meter {
	const struct gateway_config *config;
	struct ledger *ledger;
	struct meter_prices prices;
	struct meter_policy *policies; /* as many as the configuration has */
	/* Counters of all budgets, each once; a limit in them is what policies that enforce say. */
	struct ledger_limit limits[METER_LIMITS_MAX];
	size_t limits_n;
	const char *name, *team;   /* for sums by policy and team */
	bool has_tokens, has_cost; /* some policy that enforces limits these */
	bool logs_tokens, logs_costs;
	LIST_OF(struct meter_late) late;
	bool defers;
	int64_t late_due; /* mono: when it is to be written */
	struct meter_ratio ratios[METER_RATIOS_MAX];
	size_t ratios_next;
	uint64_t usual_out; /* tokens that an answer has, learned */
	int64_t recovered; /* when the calls of dead gateways were last looked for; mono */
	size_t calls;
	int64_t spent_tokens, spent_cost; /* of all that ended */
	void (*event)(void *ctx, const struct gateway_event *x);
	void *ctx;
};

struct meter_call {
	int64_t id;
	char provider[METER_PROVIDER_MAX + 1];
	struct llm_request request;
	struct meter_price price;
	int64_t in_max;	  /* the input comes to no more */
	int64_t in_guess; /* and probably to this */
	int64_t out_max; /* what is reserved for the output; held to by the request if `is_capped` */
	int64_t tokens, cost; /* reserved */
	bool is_capped;
	struct meter_time began;
	int64_t first_text; /* mono; 0: none came yet */
	uint64_t rate_held, rate_used;
	int64_t seen_tokens, seen_cost; /* at the last look while it streams */
};

/* Reservations that are made together, in one transaction of the ledger. */
struct meter_batch {
	bool is_begun; /* by the first that needs it */
	bool is_open;
	int fault; /* -errno: none is possible, for the reason in `e` */
	struct err e;
	bool meets_others; /* somebody waits for calls that may be a dead gateway's */
};

/* meter.c */
void meter_tell(struct meter *m, struct gateway_event *x, const struct meter_call *c);
void meter_refuse(struct meter_verdict *v, int policy, enum llm_refusal_reason reason,
		  const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Within a transaction: writes what is late. After it is in the file, meter_late_written(). */
int meter_write_late(struct meter *m, int64_t now, struct err *e);
void meter_late_written(struct meter *m);

/* meter_budget.c */
int meter_limits_init(struct meter *m, struct err *e);
/* Reserves for a call, in a batch: it holds when the batch is in the file. False: refused. */
bool meter_reserve(struct meter *m, struct meter_batch *b, struct meter_call *c,
		   struct meter_time now, struct meter_verdict *v);
/* 0: all of a batch is in the file; -errno, with b->e: nothing is. */
int meter_batch_end(struct meter *m, struct meter_batch *b, struct meter_time now);
/* Events of marks, after a charge. */
void meter_tell_marks(struct meter *m, int64_t began);
/* The budget of a policy is spent: tells it, once. */
void meter_tell_spent(struct meter *m, size_t policy, const struct ledger_state *s,
		      const struct meter_call *c, int64_t need_tokens, int64_t need_cost);
void meter_unavailable(struct meter *m, const struct meter_call *c, const struct err *e,
		       struct meter_verdict *v);
/* What the ledger gets of a call; the sums are the caller's. */
struct ledger_call meter_ledger_call(const struct meter *m, const struct meter_call *c,
				     int64_t tokens, int64_t cost);

#endif
