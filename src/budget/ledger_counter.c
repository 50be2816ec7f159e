/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counters of a transaction: each is read once, changed in memory, and written once, before the
 * commit. Nothing of it outlives the transaction, which has the write lock from its first statement
 * on: what was read is what is in the file, and nobody else sees or changes it meanwhile. So many
 * calls that are reserved or charged together cost one update of their counter.
 *
 * Whether a change fits into the sums is asked before a call's rows are written; the table's own
 * checks stand behind that. Runs in purple-gateway and in purple.
 */
#include "budget/ledger_counter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/ledger_db.h"
#include "budget/money.h"

#define SECONDS_A_DAY INT64_C(86400)

static int period_start(enum ledger_period p, int64_t now, int64_t *ret, struct err *e)
{
	time_t t = (time_t)(now / 1000);
	struct tm tm;

	if (now < 0 || (p == LEDGER_MONTH && !gmtime_r(&t, &tm)))
		return err_set(e, ERR_INTERNAL, EINVAL, "the time is out of range");
	if (p == LEDGER_ALWAYS)
		t = 0;
	else if (p == LEDGER_DAY)
		t -= t % SECONDS_A_DAY;
	else
		t -= t % SECONDS_A_DAY + (tm.tm_mday - 1) * SECONDS_A_DAY;
	*ret = (int64_t)t * 1000;
	return 0;
}

/* --- reading --- */

/* Columns of SQL_COUNTER_FIND and SQL_COUNTER_BY_ID, which are the same. */
static void take_columns(struct ledger *l, enum ledger_sql q, struct counter *to)
{
	int64_t *all[] = { &to->id,
			   &to->tokens,
			   &to->cost,
			   &to->tokens_reserved,
			   &to->cost_reserved,
			   &to->tokens_added,
			   &to->cost_added,
			   &to->tokens_forgiven,
			   &to->cost_forgiven,
			   &to->tokens_limit,
			   &to->cost_limit };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*all[i] = ledger_db_i64(l, q, (int)i);
	to->has_tokens_limit = !ledger_db_is_null(l, q, 9);
	to->has_cost_limit = !ledger_db_is_null(l, q, 10);
}

static int add(struct ledger *l, const struct counter *c, struct counter **ret,
	       struct err *e)
{
	if (l->counters_n == LEDGER_COUNTERS_MAX)
		return err_set(e, ERR_INTERNAL, ENOSPC, "too many counters at once");
	*ret = &l->counters[l->counters_n++];
	**ret = *c;
	return 0;
}

static struct counter *known_by_id(struct ledger *l, int64_t id)
{
	for (size_t i = 0; i < l->counters_n; i++)
		if (l->counters[i].id == id)
			return &l->counters[i];
	return NULL;
}

static struct counter *known_by_name(struct ledger *l, const struct ledger_limit *limit,
				     int64_t start)
{
	for (size_t i = 0; i < l->counters_n; i++) {
		struct counter *c = &l->counters[i];

		if (c->name && c->scope == limit->scope && c->period == limit->period &&
		    c->start == start && streq(c->name, limit->name))
			return c;
	}
	return NULL;
}

int counters_room(struct ledger *l, size_t n, struct err *e)
{
	int r;

	if (l->counters_n + n <= LEDGER_COUNTERS_MAX)
		return 0;
	r = counters_write(l, e);
	if (r == 0)
		counters_forget(l);
	return r;
}

int counter_by_id(struct ledger *l, int64_t id, struct counter **ret, struct err *e)
{
	struct counter *known = known_by_id(l, id), c = {};
	int r;

	if (known) {
		*ret = known;
		return 0;
	}
	r = ledger_db_run(l, SQL_COUNTER_BY_ID, "read a counter", e, "i", id);
	if (r == 0)
		return err_set(e, ERR_STATE, EBADMSG, "the ledger '%s' has no counter %lld",
			       l->path, (long long)id);
	if (r < 0)
		return r;
	take_columns(l, SQL_COUNTER_BY_ID, &c);
	ledger_db_done(l, SQL_COUNTER_BY_ID);
	return add(l, &c, ret, e);
}

int counter_of_limit(struct ledger *l, const struct ledger_limit *limit, int64_t now,
		     struct counter **ret, struct err *e)
{
	const enum ledger_sql q = SQL_COUNTER_FIND;
	struct counter c = {}, *to = NULL;
	_free_ char *name = NULL;
	int64_t start = 0;
	int r = period_start(limit->period, now, &start, e);

	if (r < 0)
		return r;
	*ret = known_by_name(l, limit, start);
	if (*ret)
		return 0;
	name = strdup(limit->name);
	if (!name)
		return err_oom(e);
	r = ledger_db_run(l, q, "read a counter", e, "ttti",
			  ledger_scope_name(limit->scope), limit->name,
			  ledger_period_name(limit->period), start);
	if (r < 0)
		return r;
	if (r == 1) {
		take_columns(l, q, &c);
		ledger_db_done(l, q);
		/* As a call's it may have changed since it was read. */
		to = known_by_id(l, c.id);
	}
	r = to ? 0 : add(l, &c, &to, e);
	if (r < 0)
		return r;
	to->scope = limit->scope;
	to->period = limit->period;
	to->start = start;
	to->name = take_ptr(&name);
	*ret = to;
	return 0;
}

/* --- writing --- */

/* The limits are kept for people to see: who reserves brings its own. */
static int note_limits(struct ledger *l, const struct ledger_limit *limit,
		       struct counter *c, struct err *e)
{
	char types[] = "iii";

	if (limit->has_tokens == c->has_tokens_limit &&
	    limit->has_cost == c->has_cost_limit &&
	    (!limit->has_tokens || limit->tokens == c->tokens_limit) &&
	    (!limit->has_cost || limit->cost == c->cost_limit))
		return 0;
	c->has_tokens_limit = limit->has_tokens;
	c->has_cost_limit = limit->has_cost;
	c->tokens_limit = limit->tokens;
	c->cost_limit = limit->cost;
	/* The argument of an 'n' is not read: it stays at the end. */
	if (!limit->has_cost)
		types[2] = 'n';
	if (!limit->has_tokens) {
		types[1] = 'n';
		return ledger_db_run(l, SQL_COUNTER_LIMITS, "note a limit", e, types,
				     c->id, limit->cost);
	}
	return ledger_db_run(l, SQL_COUNTER_LIMITS, "note a limit", e, types, c->id,
			     limit->tokens, limit->cost);
}

int counter_make(struct ledger *l, const struct ledger_limit *limit, struct counter *c,
		 struct err *e)
{
	int r;

	if (c->id == 0) {
		r = ledger_db_run(l, SQL_COUNTER_NEW, "start a counter", e, "ttti",
				  ledger_scope_name(limit->scope), limit->name,
				  ledger_period_name(limit->period), c->start);
		if (r < 0)
			return r;
		c->id = sqlite3_last_insert_rowid(l->db);
	}
	return note_limits(l, limit, c, e);
}

bool counter_may_reserve(const struct counter *c, int64_t tokens, int64_t cost)
{
	int64_t sum;

	return money_add(c->tokens_reserved, tokens, &sum) &&
	       money_add(c->cost_reserved, cost, &sum);
}

bool counter_may_charge(const struct counter *c, const int64_t reserved[2],
			int64_t tokens, int64_t cost)
{
	int64_t sum;

	return c->tokens_reserved >= reserved[0] && c->cost_reserved >= reserved[1] &&
	       money_add(c->tokens, tokens, &sum) && money_add(c->cost, cost, &sum);
}

void counter_reserve(struct counter *c, int64_t tokens, int64_t cost)
{
	c->tokens_reserved += tokens;
	c->cost_reserved += cost;
	c->is_changed = true;
}

void counter_charge(struct counter *c, const int64_t reserved[2], int64_t tokens,
		    int64_t cost)
{
	c->tokens_reserved -= reserved[0];
	c->cost_reserved -= reserved[1];
	c->tokens += tokens;
	c->cost += cost;
	c->is_changed = true;
}

int counters_write(struct ledger *l, struct err *e)
{
	for (size_t i = 0; i < l->counters_n; i++) {
		struct counter *c = &l->counters[i];
		int r;

		if (!c->is_changed)
			continue;
		r = ledger_db_run(l, SQL_COUNTER_WRITE, "write a counter", e, "iiiii",
				  c->id, c->tokens, c->cost, c->tokens_reserved,
				  c->cost_reserved);
		if (r < 0)
			return r;
		c->is_changed = false;
	}
	return 0;
}

void counters_forget(struct ledger *l)
{
	for (size_t i = 0; i < l->counters_n; i++)
		free(l->counters[i].name);
	l->counters_n = 0;
}
