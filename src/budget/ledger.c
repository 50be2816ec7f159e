/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger. Theory of operation.
 *
 * A *call* is reserved with the most that it can take, before it is made, and ends in one of three
 * ways: settled with what it took, released, or, when its gateway died, recovered: charged with all
 * that was reserved. A *counter* is a budget in one of its periods: what was charged, and what is
 * reserved for calls that are under way. A call belongs to some counters (table part), those of the
 * period in which it was reserved, and ends in these, even after midnight. A budget starts anew
 * because the next period has another row; no timer is needed and nothing is ever set back.
 *
 * The promise is: charged + reserved <= limit, in every counter, at every moment, as long as no
 * call takes more than was reserved for it (who rewrites the calls' own maxima sees to that). It
 * holds because reading a counter, comparing, and adding to it are one transaction that had the
 * write lock from its first statement on (BEGIN IMMEDIATE). SQLite has one writer at a time, over
 * all processes, so there is no order of events in which two calls get the same remainder. What a
 * call took is charged in any case, above its reservation too: the ledger tells the truth, and then
 * there is nothing left.
 *
 * Counters are sums that could be added up from calls and adjustments at any time; ledger_verify()
 * does. They change in the same transaction as the rows that they are sums of. The administrator's
 * adjustments are rows as well, with user and time.
 *
 * Whether a gateway is alive is asked of the kernel: each holds a lock (an open file description
 * lock, fcntl(2)) on one byte of the file PATH-live, at the number of its row in the table owner.
 * The kernel drops it when the process ends, however it ends; a pid could mean another process by
 * now, or nothing in another pid namespace. The row is made and the byte locked in one write
 * transaction, so nobody ever sees the row of a living gateway without its lock; rows are never used
 * twice. (The number of a row that was taken back with its transaction is given out again, and the
 * one who died over it may still be holding its byte, for the kernel drops SQLite's locks earlier
 * than this one: such a number is passed over.) Who opens the ledger charges the open calls of owners without a lock, one transaction for
 * each owner, which also marks it as closed.
 *
 * Durability. In WAL mode a commit is in the page cache when the call returns: it outlives kill -9
 * of the gateway. synchronous=NORMAL does not wait for the disk, so a crash of the machine can lose
 * the last commits, all of a transaction or nothing of it; the agents and their connections are gone
 * then too. ledger_close() waits for the disk.
 *
 * An error of the file (full disk, lock, damage, read-only) takes the transaction back: what was
 * reserved stays reserved, nothing is charged twice, and the caller makes no call.
 *
 * Runs in purple-gateway, as its own user, and in purple. Single-threaded.
 */
#include "budget/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/str.h"
#include "budget/ledger_counter.h"
#include "budget/ledger_db.h"
#include "budget/ledger_owner.h"
#include "budget/money.h"

#define LIMITS_MAX 8
/* A call that was released is kept until so many came after it. */
#define RELEASED_MAX 8192

static const char *const scope_names[] = { "session", "policy", "team" };
static const char *const period_names[] = { "always", "day", "month" };

const char *ledger_scope_name(enum ledger_scope s)
{
	return scope_names[s];
}

const char *ledger_period_name(enum ledger_period p)
{
	return period_names[p];
}

/* --- counters --- */

static struct ledger_state state_of(const struct counter *c)
{
	return (struct ledger_state){ .start = c->start,
				      .tokens = c->tokens - c->tokens_forgiven,
				      .cost = c->cost - c->cost_forgiven,
				      .tokens_reserved = c->tokens_reserved,
				      .cost_reserved = c->cost_reserved,
				      .tokens_added = c->tokens_added,
				      .cost_added = c->cost_added };
}

static int64_t clamp(__int128 v)
{
	return v < 0 ? 0 : v > INT64_MAX ? INT64_MAX : (int64_t)v;
}

/* What one limit leaves in its counter; below zero is zero. */
static struct ledger_left left_of(const struct ledger_limit *limit, const struct counter *c)
{
	struct ledger_left left = { INT64_MAX, INT64_MAX };

	if (limit->has_tokens)
		left.tokens = clamp((__int128)limit->tokens + c->tokens_added +
				    c->tokens_forgiven - c->tokens - c->tokens_reserved);
	if (limit->has_cost)
		left.cost = clamp((__int128)limit->cost + c->cost_added +
				  c->cost_forgiven - c->cost - c->cost_reserved);
	return left;
}

static void take_smaller(struct ledger_left *all, struct ledger_left one)
{
	if (one.tokens < all->tokens)
		all->tokens = one.tokens;
	if (one.cost < all->cost)
		all->cost = one.cost;
}

static int check_limits(const struct ledger_limit *limits, size_t n, struct err *e)
{
	if (n > LIMITS_MAX)
		return err_set(e, ERR_INTERNAL, EINVAL, "a call has %zu limits", n);
	for (size_t i = 0; i < n; i++) {
		const struct ledger_limit *a = &limits[i];

		if (a->tokens < 0 || a->cost < 0 || !a->name || !*a->name)
			return err_set(e, ERR_INTERNAL, EINVAL,
				       "a limit has no name or is negative");
		/* Its counter would be added to once, and looked at twice. */
		for (size_t k = 0; k < i; k++) {
			if (limits[k].scope == a->scope && limits[k].period == a->period &&
			    streq(limits[k].name, a->name))
				return err_set(e, ERR_INTERNAL, EINVAL,
					       "two limits of a call share a counter");
		}
	}
	return 0;
}

/* --- reserving --- */

/* The counters of a call's limits, and what they leave. Sets what refuses in `ret`. */
static int look_at_limits(struct ledger *l, const struct ledger_call *c, int64_t now,
			  struct counter **counters, struct ledger_answer *ret,
			  struct err *e)
{
	bool is_refused = false;
	int r = counters_room(l, c->n_limits, e);

	if (r < 0)
		return r;
	ret->left = (struct ledger_left){ INT64_MAX, INT64_MAX };
	for (size_t i = 0; i < c->n_limits; i++) {
		struct ledger_left left;

		r = counter_of_limit(l, &c->limits[i], now, &counters[i], e);
		if (r < 0)
			return r;
		left = left_of(&c->limits[i], counters[i]);
		take_smaller(&ret->left, left);
		/* What has no limit cannot run out, but by its own size. */
		if (!is_refused && (c->tokens > left.tokens || c->cost > left.cost)) {
			is_refused = true;
			ret->limit = i;
			ret->too_little_tokens = c->tokens > left.tokens;
			ret->too_little_money = c->cost > left.cost;
		}
	}
	ret->granted = !is_refused;
	return 0;
}

static int check_sums(struct ledger *l, const struct ledger_call *c,
		      struct counter *const *counters, struct err *e)
{
	for (size_t i = 0; i < c->n_limits; i++)
		if (!counter_may_reserve(counters[i], c->tokens, c->cost))
			return ledger_db_out_of_range(l, "reserve", e);
	return 0;
}

static int add_call(struct ledger *l, const struct ledger_call *c, int64_t now,
		    struct counter *const *counters, int64_t *ret, struct err *e)
{
	int r = check_sums(l, c, counters, e);
	int64_t id;

	if (r == 0)
		r = ledger_db_run(l, SQL_CALL_NEW, "reserve", e, "iitttttii", l->owner,
				  now, c->container, c->policy, c->team, c->provider,
				  c->model, c->tokens, c->cost);
	if (r < 0)
		return r;
	id = sqlite3_last_insert_rowid(l->db);
	for (size_t i = 0; i < c->n_limits; i++) {
		r = counter_make(l, &c->limits[i], counters[i], e);
		if (r == 0)
			r = ledger_db_run(l, SQL_CALL_PART, "reserve", e, "ii", id,
					  counters[i]->id);
		if (r < 0)
			return r;
		counter_reserve(counters[i], c->tokens, c->cost);
	}
	*ret = id;
	return 0;
}

/* After a reservation; what nothing limits stays so. */
static void take_from_left(struct ledger_left *left, const struct ledger_call *c)
{
	if (left->tokens != INT64_MAX)
		left->tokens -= c->tokens;
	if (left->cost != INT64_MAX)
		left->cost -= c->cost;
}

int ledger_reserve(struct ledger *l, const struct ledger_call *c, int64_t now,
		   struct ledger_answer *ret, struct err *e)
{
	const char *what = "reserve";
	struct counter *counters[LIMITS_MAX];
	struct ledger_answer a = {};
	int r = check_limits(c->limits, c->n_limits, e);

	if (r < 0)
		return r;
	if (l->owner == 0 || c->tokens < 0 || c->cost < 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "no reservation of this kind");
	r = ledger_db_begin(l, what, e);
	if (r < 0)
		return r;
	r = look_at_limits(l, c, now, counters, &a, e);
	if (r == 0 && a.granted) {
		r = add_call(l, c, now, counters, &a.id, e);
		take_from_left(&a.left, c);
	}
	r = ledger_db_end(l, r, what, e);
	if (r == 0)
		*ret = a;
	return r;
}

int ledger_left(struct ledger *l, const struct ledger_limit *limits, size_t n,
		int64_t now, struct ledger_left *ret, struct err *e)
{
	const struct ledger_call nothing = { .limits = limits, .n_limits = n };
	struct counter *counters[LIMITS_MAX];
	struct ledger_answer a = {};
	int r = check_limits(limits, n, e);

	/* One moment for all counters. */
	if (r == 0)
		r = ledger_db_begin_reading(l, e);
	if (r < 0)
		return r;
	r = look_at_limits(l, &nothing, now, counters, &a, e);
	r = ledger_db_end(l, r, "read", e);
	if (r == 0)
		*ret = a.left;
	return r;
}

int ledger_look(struct ledger *l, const struct ledger_limit *limits, size_t n,
		int64_t now, struct ledger_state *ret, struct err *e)
{
	struct ledger_state states[LIMITS_MAX] = {};
	int r = check_limits(limits, n, e);

	if (r == 0)
		r = ledger_db_begin_reading(l, e);
	if (r < 0)
		return r;
	r = counters_room(l, n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct counter *c;

		r = counter_of_limit(l, &limits[i], now, &c, e);
		if (r == 0)
			states[i] = state_of(c);
	}
	r = ledger_db_end(l, r, "read", e);
	if (r == 0)
		memcpy(ret, states, n * sizeof(*ret));
	return r;
}

/* --- marks --- */

static uint32_t percent_of(int64_t charged, __int128 limit)
{
	__int128 v = limit > 0 ? (__int128)charged * 100 / limit : 100;

	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

uint32_t ledger_percent(const struct ledger_limit *limit, const struct ledger_state *s)
{
	uint32_t tokens = 0, cost = 0;

	if (limit->has_tokens)
		tokens = percent_of(s->tokens, (__int128)limit->tokens + s->tokens_added);
	if (limit->has_cost)
		cost = percent_of(s->cost, (__int128)limit->cost + s->cost_added);
	return tokens > cost ? tokens : cost;
}

static int read_mark(struct ledger *l, int64_t counter, const char *policy, int64_t *ret,
		     struct err *e)
{
	int r = ledger_db_run(l, SQL_MARK_FIND, "read a mark", e, "it", counter, policy);

	*ret = 0;
	if (r <= 0)
		return r;
	*ret = ledger_db_i64(l, SQL_MARK_FIND, 0);
	ledger_db_done(l, SQL_MARK_FIND);
	return 0;
}

static size_t count_reached(const uint32_t *marks, size_t n, int64_t percent)
{
	size_t i = 0;

	while (i < n && marks[i] <= percent)
		i++;
	return i;
}

int ledger_reach(struct ledger *l, const struct ledger_limit *limit, const char *policy,
		 const uint32_t *marks, size_t n, int64_t now, size_t *ret,
		 size_t *ret_end, struct err *e)
{
	const char *what = "note a mark";
	struct counter *c = NULL;
	int64_t told = 0, at = 0;
	int r = check_limits(limit, 1, e);

	if (r == 0)
		r = ledger_db_begin(l, what, e);
	if (r < 0)
		return r;
	r = counters_room(l, 1, e);
	if (r == 0)
		r = counter_of_limit(l, limit, now, &c, e);
	if (r == 0 && c->id != 0)
		r = read_mark(l, c->id, policy, &told, e);
	if (r == 0 && c->id != 0) {
		struct ledger_state state = state_of(c);
		size_t reached = count_reached(marks, n, ledger_percent(limit, &state));

		at = reached > 0 ? marks[reached - 1] : 0;
	}
	if (r == 0 && at != told)
		r = ledger_db_run(l, SQL_MARK_SET, what, e, "iti", c->id, policy, at);
	r = ledger_db_end(l, r, what, e);
	if (r == 0) {
		*ret_end = count_reached(marks, n, at);
		*ret = at > told ? count_reached(marks, n, told) : *ret_end;
	}
	return r;
}

/* --- the end of a call --- */

static int64_t tokens_of(const struct usage *u, bool *ret_fits)
{
	const int64_t all[] = { u->in_uncached, u->cache_read, u->cache_w5m,
				u->cache_w1h,	u->in_audio,   u->out };
	int64_t sum = 0;

	*ret_fits = true;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		*ret_fits = *ret_fits && all[i] >= 0 && money_add(sum, all[i], &sum);
	return sum;
}

/* The counters that a call belongs to. */
static int counters_of(struct ledger *l, int64_t id, struct counter **counters,
		       size_t *ret, struct err *e)
{
	const enum ledger_sql q = SQL_CALL_COUNTERS;
	int64_t ids[LIMITS_MAX];
	size_t n = 0;
	int r = ledger_db_run(l, q, "find a call's budgets", e, "i", id);

	for (; r == 1 && n < LIMITS_MAX; r = ledger_db_next(l, q, "find a call", e))
		ids[n++] = ledger_db_i64(l, q, 0);
	if (r == 1) {
		ledger_db_done(l, q);
		r = err_set(e, ERR_STATE, EBADMSG,
			    "call %lld has too many budgets in the ledger '%s'",
			    (long long)id, l->path);
	}
	if (r == 0)
		r = counters_room(l, n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = counter_by_id(l, ids[i], &counters[i], e);
	*ret = n;
	return r;
}

int ledger_end_call(struct ledger *l, int64_t id, const char *state,
		    const int64_t reserved[2], const struct ledger_charge *c,
		    int64_t tokens, int64_t now, struct err *e)
{
	const struct usage *u = &c->usage;
	struct counter *counters[LIMITS_MAX];
	size_t n = 0;
	int r = counters_of(l, id, counters, &n, e);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!counter_may_charge(counters[i], reserved, tokens, c->cost))
			r = ledger_db_out_of_range(l, "charge", e);
	if (r == 0)
		r = ledger_db_run(l, SQL_CALL_END, "charge", e, "itiiiitiiiiiiiiii", id,
				  state, now, tokens, c->cost, (int64_t)c->is_estimate,
				  c->answered, u->in_uncached, u->cache_read,
				  u->cache_audio, u->cache_w5m, u->cache_w1h, u->in_audio,
				  u->out, u->reasoning, u->out_audio, u->web_search);
	for (size_t i = 0; r == 0 && i < n; i++)
		counter_charge(counters[i], reserved, tokens, c->cost);
	return r;
}

/* A call that is under way. */
struct open_call {
	int64_t reserved[2]; /* tokens, cost */
	int64_t started;
};

/* Within a transaction: an open call of this gateway. */
static int find_open(struct ledger *l, int64_t id, struct open_call *ret, struct err *e)
{
	const enum ledger_sql q = SQL_CALL_FIND;
	int r = ledger_db_run(l, q, "find a call", e, "i", id);
	bool is_open, is_ours;

	if (r == 0)
		return err_set(e, ERR_INTERNAL, ENOENT,
			       "the ledger '%s' has no call %lld", l->path, (long long)id);
	if (r < 0)
		return r;
	is_open = ledger_db_i64(l, q, 0);
	is_ours = ledger_db_i64(l, q, 1) == l->owner;
	*ret = (struct open_call){ { ledger_db_i64(l, q, 2), ledger_db_i64(l, q, 3) },
				   ledger_db_i64(l, q, 4) };
	ledger_db_done(l, q);
	if (!is_ours)
		return err_set(e, ERR_INTERNAL, EPERM, "call %lld is another gateway's",
			       (long long)id);
	if (!is_open)
		return err_set(e, ERR_STATE, EALREADY,
			       "call %lld was charged or released before", (long long)id);
	return 0;
}

static int finish(struct ledger *l, int64_t id, const char *state,
		  const struct ledger_charge *c, int64_t now, struct err *e)
{
	const char *what = "charge";
	struct open_call open = {};
	int64_t tokens;
	bool fits;
	int r;

	tokens = tokens_of(&c->usage, &fits);
	if (!fits || c->cost < 0)
		return err_set(e, ERR_STATE, EOVERFLOW,
			       "the figures of call %lld are negative or too large",
			       (long long)id);
	r = ledger_db_begin(l, what, e);
	if (r < 0)
		return r;
	r = find_open(l, id, &open, e);
	if (r == 0)
		r = ledger_end_call(l, id, state, open.reserved, c, tokens, now, e);
	return ledger_db_end(l, r, what, e);
}

int ledger_settle(struct ledger *l, int64_t id, const struct ledger_charge *c,
		  int64_t now, struct err *e)
{
	return finish(l, id, "settled", c, now, e);
}

int ledger_release(struct ledger *l, int64_t id, int64_t now, struct err *e)
{
	const char *what = "release";
	int r = ledger_db_begin(l, what, e);

	if (r < 0)
		return r;
	r = finish(l, id, "released", &(struct ledger_charge){}, now, e);
	/*
	 * They cost nothing, so no budget bounds how many there are. The newest row is never
	 * deleted: its number would be given out again.
	 */
	if (r == 0)
		r = ledger_db_run(l, SQL_RELEASED_PARTS, what, e, "i", id - RELEASED_MAX);
	if (r == 0)
		r = ledger_db_run(l, SQL_RELEASED, what, e, "i", id - RELEASED_MAX);
	return ledger_db_end(l, r, what, e);
}

/* --- a call that grows --- */

/* Within a transaction: whether a call belongs to these counters, and to no others. */
static int check_parts(struct ledger *l, int64_t id, struct counter *const *counters,
		       size_t n, struct err *e)
{
	struct counter *own[LIMITS_MAX];
	size_t own_n = 0, same = 0;
	int r = counters_of(l, id, own, &own_n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < own_n; k++)
			same += own[k]->id == counters[i]->id;
	return own_n == n && same == n ?
		       0 :
		       err_set(e, ERR_INTERNAL, EINVAL,
			       "call %lld was reserved under other limits", (long long)id);
}

static int add_to_call(struct ledger *l, int64_t id, const struct open_call *open,
		       const struct ledger_call *c, struct counter *const *counters,
		       struct err *e)
{
	const char *what = "reserve more";
	int64_t sum;
	int r = check_sums(l, c, counters, e);

	if (r == 0 && (!money_add(open->reserved[0], c->tokens, &sum) ||
		       !money_add(open->reserved[1], c->cost, &sum)))
		r = ledger_db_out_of_range(l, what, e);
	if (r == 0)
		r = ledger_db_run(l, SQL_CALL_GROW, what, e, "iii", id, c->tokens, c->cost);
	for (size_t i = 0; r == 0 && i < c->n_limits; i++)
		counter_reserve(counters[i], c->tokens, c->cost);
	return r;
}

int ledger_grow(struct ledger *l, int64_t id, const struct ledger_call *c,
		struct ledger_answer *ret, struct err *e)
{
	const char *what = "reserve more";
	struct counter *counters[LIMITS_MAX];
	struct ledger_answer a = { .id = id };
	struct open_call open = {};
	int r = check_limits(c->limits, c->n_limits, e);

	if (r < 0)
		return r;
	if (c->tokens < 0 || c->cost < 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "no reservation of this kind");
	r = ledger_db_begin(l, what, e);
	if (r < 0)
		return r;
	r = find_open(l, id, &open, e);
	/* With room for its own and for those of the limits at once. */
	if (r == 0)
		r = counters_room(l, 2 * LIMITS_MAX, e);
	if (r == 0)
		r = look_at_limits(l, c, open.started, counters, &a, e);
	if (r == 0)
		r = check_parts(l, id, counters, c->n_limits, e);
	if (r == 0 && a.granted) {
		r = add_to_call(l, id, &open, c, counters, e);
		take_from_left(&a.left, c);
	}
	r = ledger_db_end(l, r, what, e);
	if (r == 0)
		*ret = a;
	return r;
}

/* --- several at once --- */

int ledger_begin(struct ledger *l, struct err *e)
{
	return ledger_db_begin(l, "begin", e);
}

int ledger_end(struct ledger *l, int r, struct err *e)
{
	return ledger_db_end(l, r, "commit", e);
}

/* --- opening and closing --- */

int ledger_open(const char *path, enum ledger_mode mode, unsigned int wait_ms,
		int64_t now, struct ledger **ret, struct err *e)
{
	struct ledger *l = NULL;
	size_t calls;
	int r = ledger_db_open(path, mode, wait_ms, &l, e);

	if (r < 0)
		return r;
	r = ledger_owner_open(l, e);
	if (r == 0 && mode == LEDGER_GATEWAY)
		r = ledger_owner_sign_in(l, now, e);
	if (r == 0)
		r = ledger_recover(l, now, &calls, e);
	if (r < 0) {
		ledger_db_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void ledger_drop(struct ledger *l)
{
	ledger_db_close(l);
}

int ledger_close(struct ledger *l, int64_t now, struct err *e)
{
	size_t calls = 0;
	int r;

	if (!l)
		return 0;
	/* The commit waits for the disk, and with it for all that was written before. */
	r = ledger_db_exec(l, "PRAGMA synchronous = FULL", "sign out", e);
	if (r == 0 && l->owner) {
		r = ledger_db_begin(l, "sign out", e);
		if (r == 0)
			r = ledger_db_end(l,
					  ledger_owner_charge(l, l->owner, now, &calls, e),
					  "sign out", e);
	}
	ledger_db_close(l);
	return r;
}
