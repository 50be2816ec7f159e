/* SPDX-License-Identifier: Apache-2.0 */
/* What a call may cost, and what it did cost. Of meter*.c alone; pure once the tables are read. */
#ifndef PURPLE_GATEWAY_METER_PRICE_H
#define PURPLE_GATEWAY_METER_PRICE_H

#include "base/list.h"
#include "budget/prices.h"
#include "gateway/answer.h"
#include "gateway/config.h"
#include "gateway/request.h"

/* Calls of the provider's own web search that one call makes at most, as far as is reserved. */
#define METER_SEARCHES_MAX 25

/* A table for each provider that has a file of its own; the first is everyone else's. */
struct meter_prices {
	LIST_OF(struct meter_table {
		const char *provider; /* of the configuration */
		struct prices *prices;
	}) tables;
	/* What was found last: agents ask for the same model again and again. */
	struct {
		const struct prices *table; /* NULL: nothing yet */
		const struct price_model *model;
		enum price_answer why;
		enum llm_family family;
		char provider[64], asked[LLM_MODEL_MAX + 1];
	} last;
};

int meter_prices_load(const struct gateway_config *c, const char *shipped,
		      const char *overlay, struct meter_prices *ret, struct err *e);
void meter_prices_free(struct meter_prices *p);

/* The price of one call's model. */
struct meter_price {
	const struct prices *table;
	const char *provider;		 /* as the table names it */
	const char *home;		 /* who makes the family's models */
	const struct price_model *model; /* NULL: `why` */
	enum price_answer why;
	/* Of the request; borrowed. */
	const char *asked; /* the name of the model */
	const char *tier, *speed, *geo;
	bool is_anthropic;
	struct price_ask ask; /* but for in_max, out_max and now */
};

void meter_price_find(struct meter_prices *p, const char *provider, enum llm_family family,
		      const struct llm_request *r, struct meter_price *ret);

/* Why a request has no bound in money, whatever its size; NULL: it has. `now` in seconds. */
const char *meter_price_fault(const struct meter_price *p, const struct llm_request *r,
			      int64_t now);

/* The most that a call of this size costs. False: there is no such sum. */
bool meter_price_bound(const struct meter_price *p, int64_t in, int64_t out, int64_t now,
		       int64_t *ret);
/* The most output that a call with this input can have for the money; -1: not even the input. */
int64_t meter_price_buys(const struct meter_price *p, int64_t in, int64_t money,
			 int64_t now);

/* What a call cost that used this, by the provider's own figure or the table. False: unknown. */
bool meter_price_of(const struct meter_price *p, const struct llm_answer *a,
		    const struct usage *u, int64_t now, int64_t *ret);

#endif
