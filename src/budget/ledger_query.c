/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people ask of the ledger, and their adjustments: see ledger.h. Runs in purple, as the
 * administrator.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "budget/ledger_db.h"

static void finalize(sqlite3_stmt **s)
{
	sqlite3_finalize(*s);
}
#define _finalize_ __attribute__((cleanup(finalize)))

/* Prepares a text that is asked once, and binds texts (?1 to ?n) to it. */
static int ask(struct ledger *l, const char *sql, const char *const *texts, int n,
	       sqlite3_stmt **ret, const char *what, struct err *e)
{
	int rc = sqlite3_prepare_v2(l->db, sql, -1, ret, NULL);

	for (int i = 0; rc == SQLITE_OK && i < n; i++)
		rc = sqlite3_bind_text(*ret, i + 1, texts[i], -1, SQLITE_STATIC);
	return rc == SQLITE_OK ? 0 : ledger_db_fail(l, rc, what, e);
}

/* 1 with a row, 0 at the end. */
static int next_row(struct ledger *l, sqlite3_stmt *s, const char *what, struct err *e)
{
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : ledger_db_fail(l, rc, what, e);
}

/* NULL is "". */
static const char *text_at(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t ? t : "";
}

/* --- counters --- */

static struct ledger_counter counter_at(sqlite3_stmt *s)
{
	struct ledger_counter c = {
		.id = sqlite3_column_int64(s, 0),
		.scope = text_at(s, 1),
		.name = text_at(s, 2),
		.period = text_at(s, 3),
		.start = sqlite3_column_int64(s, 4),
		.tokens = sqlite3_column_int64(s, 5),
		.cost = sqlite3_column_int64(s, 6),
		.tokens_reserved = sqlite3_column_int64(s, 7),
		.cost_reserved = sqlite3_column_int64(s, 8),
		.tokens_added = sqlite3_column_int64(s, 9),
		.cost_added = sqlite3_column_int64(s, 10),
		.has_tokens_limit = sqlite3_column_type(s, 11) != SQLITE_NULL,
		.has_cost_limit = sqlite3_column_type(s, 12) != SQLITE_NULL,
		.tokens_limit = sqlite3_column_int64(s, 11),
		.cost_limit = sqlite3_column_int64(s, 12),
	};

	return c;
}

int64_t ledger_counter_end(const struct ledger_counter *c)
{
	time_t t = (time_t)(c->start / 1000);
	struct tm tm;

	if (streq(c->period, ledger_period_name(LEDGER_DAY)))
		return c->start + INT64_C(86400000);
	if (!streq(c->period, ledger_period_name(LEDGER_MONTH)) || !gmtime_r(&t, &tm))
		return INT64_MAX;
	tm.tm_mon++;
	return (int64_t)timegm(&tm) * 1000;
}

int ledger_counters(struct ledger *l, const char *scope, const char *name,
		    ledger_each_counter each, void *arg, struct err *e)
{
	static const char sql[] =
		"SELECT id, scope, name, period, start, tokens - tokens_forgiven,"
		" cost - cost_forgiven, tokens_reserved, cost_reserved, tokens_added, cost_added,"
		" tokens_limit + tokens_added, cost_limit + cost_added FROM counter"
		" WHERE (?1 IS NULL OR scope = ?1) AND (?2 IS NULL OR name = ?2)"
		" ORDER BY start DESC, id DESC";
	const char *what = "read the budgets", *const texts[] = { scope, name };
	_finalize_ sqlite3_stmt *s = NULL;
	int r = ask(l, sql, texts, 2, &s, what, e);

	if (r < 0)
		return r;
	while ((r = next_row(l, s, what, e)) == 1) {
		struct ledger_counter c = counter_at(s);

		r = each(&c, arg);
		if (r != 0)
			return r;
	}
	return r;
}

static int adjust(struct ledger *l, int64_t counter, const char *kind, int64_t tokens,
		  int64_t cost, int64_t now, struct err *e)
{
	return ledger_db_run(l, SQL_ADJUST, "adjust a budget", e, "iiitii", counter, now,
			     (int64_t)getuid(), kind, tokens, cost);
}

/* Within a transaction: what a counter would forgive; an error when there is no such counter. */
static int read_charged(struct ledger *l, int64_t counter, int64_t *ret_tokens,
			int64_t *ret_cost, struct err *e)
{
	const enum ledger_sql q = SQL_COUNTER_CHARGED;
	int r = ledger_db_run(l, q, "find a budget", e, "i", counter);

	if (r == 0)
		return err_set(e, ERR_STATE, ENOENT,
			       "the ledger '%s' has no budget %" PRId64, l->path, counter);
	if (r < 0)
		return r;
	*ret_tokens = ledger_db_i64(l, q, 0);
	*ret_cost = ledger_db_i64(l, q, 1);
	ledger_db_done(l, q);
	return 0;
}

int ledger_add(struct ledger *l, int64_t counter, int64_t tokens, int64_t cost,
	       int64_t now, struct err *e)
{
	const char *what = "adjust a budget";
	int64_t charged;
	int r = ledger_db_begin(l, what, e);

	if (r < 0)
		return r;
	r = read_charged(l, counter, &charged, &charged, e);
	if (r == 0)
		r = adjust(l, counter, "add", tokens, cost, now, e);
	if (r == 0)
		r = ledger_db_run(l, SQL_COUNTER_ADD, what, e, "iii", counter, tokens, cost);
	return ledger_db_end(l, r, what, e);
}

int ledger_reset(struct ledger *l, int64_t counter, int64_t now, struct err *e)
{
	const char *what = "reset a budget";
	int64_t tokens = 0, cost = 0;
	int r = ledger_db_begin(l, what, e);

	if (r < 0)
		return r;
	r = read_charged(l, counter, &tokens, &cost, e);
	if (r == 0)
		r = adjust(l, counter, "reset", tokens, cost, now, e);
	if (r == 0)
		r = ledger_db_run(l, SQL_COUNTER_RESET, what, e, "i", counter);
	return ledger_db_end(l, r, what, e);
}

/* --- usage --- */

static const char *const group_keys[] = {
	[LEDGER_BY_CONTAINER] = "container",
	[LEDGER_BY_POLICY] = "policy",
	[LEDGER_BY_TEAM] = "team",
	[LEDGER_BY_MODEL] = "model",
	[LEDGER_BY_DAY] = "date(started / 1000, 'unixepoch')",
	[LEDGER_BY_HOUR] = "strftime('%Y-%m-%dT%H', started / 1000, 'unixepoch')",
};

static struct ledger_sum sum_at(sqlite3_stmt *s)
{
	return (struct ledger_sum){
		.key = text_at(s, 0),
		.calls = sqlite3_column_int64(s, 1),
		.open = sqlite3_column_int64(s, 2),
		.estimated = sqlite3_column_int64(s, 3),
		.tokens = sqlite3_column_int64(s, 4),
		.cost = sqlite3_column_int64(s, 5),
		.usage = {
			.in_uncached = sqlite3_column_int64(s, 6),
			.cache_read = sqlite3_column_int64(s, 7),
			.cache_audio = sqlite3_column_int64(s, 8),
			.cache_w5m = sqlite3_column_int64(s, 9),
			.cache_w1h = sqlite3_column_int64(s, 10),
			.in_audio = sqlite3_column_int64(s, 11),
			.out = sqlite3_column_int64(s, 12),
			.reasoning = sqlite3_column_int64(s, 13),
			.out_audio = sqlite3_column_int64(s, 14),
			.web_search = sqlite3_column_int64(s, 15),
		},
	};
}

int ledger_usage(struct ledger *l, enum ledger_group group, const struct ledger_filter *f,
		 ledger_each_sum each, void *arg, struct err *e)
{
	const char *what = "add up the usage", *key = group_keys[group];
	const char *const texts[] = { f->container, f->policy, f->team };
	_buf_free_ struct buf sql = {};
	_finalize_ sqlite3_stmt *s = NULL;
	int r, rc;

	/* sum() of SQLite ends with an error where it would not fit. */
	buf_addf(&sql,
		 "SELECT %s AS k, count(*), sum(state = 'open'), sum(estimated), sum(tokens),"
		 " sum(cost), sum(in_uncached), sum(cache_read), sum(cache_audio), sum(cache_w5m),"
		 " sum(cache_w1h), sum(in_audio), sum(out), sum(reasoning), sum(out_audio),"
		 " sum(web_search) FROM call WHERE state != 'released'"
		 " AND (?1 IS NULL OR container = ?1) AND (?2 IS NULL OR policy = ?2)"
		 " AND (?3 IS NULL OR team = ?3) AND started >= ?4 AND (?5 = 0 OR started < ?5)"
		 " GROUP BY k ORDER BY %s k",
		 key, group >= LEDGER_BY_DAY ? "" : "sum(cost) DESC,");
	if (sql.failed)
		return err_oom(e);
	r = ask(l, sql.s, texts, 3, &s, what, e);
	if (r < 0)
		return r;
	rc = sqlite3_bind_int64(s, 4, f->since);
	if (rc == SQLITE_OK)
		rc = sqlite3_bind_int64(s, 5, f->until);
	if (rc != SQLITE_OK)
		return ledger_db_fail(l, rc, what, e);
	while ((r = next_row(l, s, what, e)) == 1) {
		struct ledger_sum sum = sum_at(s);

		r = each(&sum, arg);
		if (r != 0)
			return r;
	}
	return r;
}

/* --- adding up --- */

/* The first row in which a counter is not what its calls and adjustments say. */
static const char wrong_counter[] =
	"WITH calls AS (SELECT part.counter AS id, sum(tokens) AS t, sum(cost) AS c,"
	" sum(iif(state = 'open', tokens_reserved, 0)) AS tr,"
	" sum(iif(state = 'open', cost_reserved, 0)) AS cr"
	" FROM part JOIN call ON call.id = part.call GROUP BY part.counter),"
	" adjusted AS (SELECT counter AS id, sum(iif(kind = 'add', tokens, 0)) AS ta,"
	" sum(iif(kind = 'add', cost, 0)) AS ca, sum(iif(kind = 'reset', tokens, 0)) AS tf,"
	" sum(iif(kind = 'reset', cost, 0)) AS cf FROM adjustment GROUP BY counter)"
	" SELECT id, scope, name FROM counter LEFT JOIN calls USING (id)"
	" LEFT JOIN adjusted USING (id) WHERE tokens IS NOT coalesce(t, 0)"
	" OR cost IS NOT coalesce(c, 0) OR tokens_reserved IS NOT coalesce(tr, 0)"
	" OR cost_reserved IS NOT coalesce(cr, 0) OR tokens_added IS NOT coalesce(ta, 0)"
	" OR cost_added IS NOT coalesce(ca, 0) OR tokens_forgiven IS NOT coalesce(tf, 0)"
	" OR cost_forgiven IS NOT coalesce(cf, 0) LIMIT 1";

int ledger_verify(struct ledger *l, struct err *e)
{
	const char *what = "add everything up";
	_finalize_ sqlite3_stmt *check = NULL, *s = NULL;
	int r = ask(l, "PRAGMA integrity_check(1)", NULL, 0, &check, what, e);

	if (r == 0)
		r = next_row(l, check, what, e);
	if (r < 0)
		return r;
	if (r == 0 || !streq(text_at(check, 0), "ok"))
		return err_set(e, ERR_STATE, EBADMSG, "the ledger '%s' is damaged: %s",
			       l->path, text_at(check, 0));
	r = ask(l, wrong_counter, NULL, 0, &s, what, e);
	if (r == 0)
		r = next_row(l, s, what, e);
	if (r <= 0)
		return r;
	return err_set(e, ERR_STATE, EBADMSG,
		       "the ledger '%s' is damaged: budget %s (%s '%s') is not the sum of its calls",
		       l->path, text_at(s, 0), text_at(s, 1), text_at(s, 2));
}
