/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of a transaction: see ledger_counter.c. Of ledger*.c alone. */
#ifndef PURPLE_BUDGET_LEDGER_COUNTER_H
#define PURPLE_BUDGET_LEDGER_COUNTER_H

#include "base/err.h"
#include "budget/ledger.h"

#define LEDGER_COUNTERS_MAX 32

struct counter {
	int64_t id; /* 0: there is none yet */
	int64_t tokens, cost, tokens_reserved, cost_reserved, tokens_added, cost_added;
	int64_t tokens_forgiven, cost_forgiven;
	int64_t tokens_limit, cost_limit;
	bool has_tokens_limit, has_cost_limit;
	bool is_changed; /* to be written */
	/* How it was asked for; NULL: as that of a call alone. */
	char *name;
	enum ledger_scope scope;
	enum ledger_period period;
	int64_t start;
};

/*
 * All of these within a transaction, and what they return is valid until counters_room(), or the
 * end of it.
 */

/* Before so many counters are asked for, that are needed at once. */
int counters_room(struct ledger *l, size_t n, struct err *e);
/* The counter of a limit at this time. */
int counter_of_limit(struct ledger *l, const struct ledger_limit *limit, int64_t now,
		     struct counter **ret, struct err *e);
int counter_by_id(struct ledger *l, int64_t id, struct counter **ret, struct err *e);
/* Makes that of a limit where there is none yet, and notes the limit for people to see. */
int counter_make(struct ledger *l, const struct ledger_limit *limit, struct counter *c,
		 struct err *e);

/* Whether a reservation, or the end of a call, fits into the sums: before anything is written. */
bool counter_may_reserve(const struct counter *c, int64_t tokens, int64_t cost);
bool counter_may_charge(const struct counter *c, const int64_t reserved[2],
			int64_t tokens, int64_t cost);
void counter_reserve(struct counter *c, int64_t tokens, int64_t cost);
void counter_charge(struct counter *c, const int64_t reserved[2], int64_t tokens,
		    int64_t cost);

/* For ledger_db.c: before the commit, and at both ends of a transaction. */
int counters_write(struct ledger *l, struct err *e);
void counters_forget(struct ledger *l);

#endif
