/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the ledger: reservations and their ends, periods, scopes, adjustments, queries, and
 * files that fail. What several processes do to it is in ledger_processes_test.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/ledger.h"
#include "budget/money.h"

/* 2026-11-22 12:00:00 UTC. */
#define NOON INT64_C(1795348800000)
#define HOUR INT64_C(3600000)

struct box {
	char dir[256], path[300];
	struct ledger *l;
};

static int setup(void **state)
{
	struct box *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->dir, sizeof(b->dir), "%s/purple-ledger-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/ledger.db", b->dir);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;
	struct err e = {};

	ledger_drop(b->l);
	fs_remove_tree(AT_FDCWD, b->dir, &e);
	free(b);
	return 0;
}

static struct ledger *open_at(const char *path, int64_t now)
{
	struct ledger *l = NULL;
	struct err e = {};

	if (ledger_open(path, LEDGER_GATEWAY, 1000, now, &l, &e) < 0)
		fail_msg("%s", e.msg);
	return l;
}

static void close_ok(struct ledger **l)
{
	struct err e = {};

	if (ledger_close(*l, NOON, &e) < 0)
		fail_msg("%s", e.msg);
	*l = NULL;
}

static struct ledger_limit session(int64_t tokens, int64_t cost)
{
	return (struct ledger_limit){ .scope = LEDGER_SESSION,
				      .name = "c1@1",
				      .has_tokens = tokens >= 0,
				      .tokens = tokens < 0 ? 0 : tokens,
				      .has_cost = cost >= 0,
				      .cost = cost < 0 ? 0 : cost };
}

static struct ledger_answer ask_at(struct ledger *l, const struct ledger_limit *limit,
				   size_t n, int64_t tokens, int64_t cost, int64_t now)
{
	struct ledger_call c = { .container = "c1",
				 .policy = "p",
				 .provider = "openai",
				 .model = "gpt-5.4",
				 .limits = limit,
				 .n_limits = n,
				 .tokens = tokens,
				 .cost = cost };
	struct ledger_answer a = {};
	struct err e = {};

	if (ledger_reserve(l, &c, now, &a, &e) < 0)
		fail_msg("%s", e.msg);
	return a;
}

static struct ledger_answer ask(struct ledger *l, const struct ledger_limit *limit,
				int64_t tokens, int64_t cost)
{
	return ask_at(l, limit, 1, tokens, cost, NOON);
}

static void settle(struct ledger *l, int64_t id, int64_t in, int64_t out, int64_t cost)
{
	struct ledger_charge c = { .usage = { .in_uncached = in, .out = out },
				   .cost = cost };
	struct err e = {};

	if (ledger_settle(l, id, &c, NOON, &e) < 0)
		fail_msg("%s", e.msg);
}

static struct ledger_left left(struct ledger *l, const struct ledger_limit *limit,
			       int64_t now)
{
	struct ledger_left v = {};
	struct err e = {};

	if (ledger_left(l, limit, 1, now, &v, &e) < 0)
		fail_msg("%s", e.msg);
	return v;
}

static void verify(struct ledger *l)
{
	struct err e = {};

	if (ledger_verify(l, &e) < 0)
		fail_msg("%s", e.msg);
}

/* --- calls --- */

static void test_reserve_settle_release(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limit = session(1000, 500);
	struct ledger_answer x = ask(l, &limit, 600, 300), y;
	struct err e = {};

	assert_true(x.granted && x.id > 0);
	assert_int_equal(x.left.tokens, 400);
	assert_int_equal(x.left.cost, 200);
	/* One token too many, one picodollar too many, both; then just enough. */
	y = ask(l, &limit, 401, 200);
	assert_true(!y.granted && y.too_little_tokens && !y.too_little_money && y.id == 0);
	assert_int_equal(y.left.tokens, 400);
	y = ask(l, &limit, 400, 201);
	assert_true(!y.granted && !y.too_little_tokens && y.too_little_money);
	y = ask(l, &limit, 401, 201);
	assert_true(!y.granted && y.too_little_tokens && y.too_little_money);
	y = ask(l, &limit, 400, 200);
	assert_true(y.granted);
	assert_int_equal(y.left.tokens, 0);
	assert_int_equal(y.left.cost, 0);
	/* The rest of a reservation comes back; all of one that is released. */
	settle(l, x.id, 100, 50, 70);
	assert_int_equal(left(l, &limit, NOON).tokens, 1000 - 150 - 400);
	assert_int_equal(left(l, &limit, NOON).cost, 500 - 70 - 200);
	assert_int_equal(ledger_release(l, y.id, NOON, &e), 0);
	assert_int_equal(left(l, &limit, NOON).tokens, 850);
	assert_int_equal(left(l, &limit, NOON).cost, 430);
	verify(l);
}

/* Settling and reserving in one transaction; what fails in it, and what fails as a whole. */
static void test_at_once(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limit = session(1000, 1000);
	struct ledger_charge charge = { .usage = { .out = 5 }, .cost = 5 };
	struct ledger_answer x = ask(l, &limit, 1000, 1000), y, z;
	struct err e = {};

	assert_int_equal(ledger_begin(l, &e), 0);
	settle(l, x.id, 10, 10, 30);
	y = ask(l, &limit, 980, 970);
	assert_true(y.granted);
	/* Once more, unknown, and too much: none of it spoils the rest. */
	assert_int_equal(ledger_settle(l, x.id, &charge, NOON, &e), -EALREADY);
	assert_int_equal(ledger_release(l, 4711, NOON, &e), -ENOENT);
	assert_false(ask(l, &limit, 1, 1).granted);
	assert_int_equal(left(l, &limit, NOON).tokens, 0);
	assert_int_equal(ledger_end(l, 0, &e), 0);
	verify(l);

	assert_int_equal(ledger_begin(l, &e), 0);
	assert_int_equal(ledger_release(l, y.id, NOON, &e), 0);
	z = ask(l, &limit, 500, 500);
	assert_true(z.granted);
	assert_int_equal(ledger_end(l, -EIO, &e), -EIO);
	assert_int_equal(left(l, &limit, NOON).tokens, 0);
	assert_int_equal(ledger_release(l, z.id, NOON, &e), -ENOENT);
	assert_int_equal(ledger_release(l, y.id, NOON, &e), 0);
	assert_int_equal(left(l, &limit, NOON).tokens, 980);
	verify(l);
}

static void test_ends_once(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limit = session(1000, 1000);
	struct ledger_charge c = { .usage = { .out = 10 }, .cost = 10 };
	int64_t id = ask(l, &limit, 100, 100).id, gone = ask(l, &limit, 100, 100).id;
	struct err e = {};

	settle(l, id, 0, 10, 10);
	assert_int_equal(ledger_settle(l, id, &c, NOON, &e), -EALREADY);
	assert_int_equal(ledger_release(l, id, NOON, &e), -EALREADY);
	assert_int_equal(ledger_release(l, gone, NOON, &e), 0);
	assert_int_equal(ledger_settle(l, gone, &c, NOON, &e), -EALREADY);
	assert_int_equal(ledger_settle(l, 4711, &c, NOON, &e), -ENOENT);
	assert_int_equal(left(l, &limit, NOON).tokens, 990);
	verify(l);
}

/* A call that took more than was reserved is charged all the same; then nothing is left. */
static void test_truth_above_limit(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limit = session(100, 100);
	int64_t id = ask(l, &limit, 100, 100).id;

	settle(l, id, 150, 50, 300);
	assert_int_equal(left(l, &limit, NOON).tokens, 0);
	assert_int_equal(left(l, &limit, NOON).cost, 0);
	assert_false(ask(l, &limit, 1, 0).granted);
	assert_false(ask(l, &limit, 0, 1).granted);
	verify(l);
}

static void test_bad_figures(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limit = session(INT64_MAX, INT64_MAX);
	struct ledger_limit twice[] = { limit, limit };
	struct ledger_charge c = { .usage = { .out = -1 } };
	struct ledger_call call = { .limits = &limit, .n_limits = 1, .tokens = -1 };
	struct ledger_answer a = {};
	int64_t id = ask(l, &limit, 10, 10).id, other;
	struct err e = {};

	assert_true(ledger_reserve(l, &call, NOON, &a, &e) < 0);
	call = (struct ledger_call){ .limits = twice, .n_limits = 2 };
	assert_true(ledger_reserve(l, &call, NOON, &a, &e) < 0);
	assert_int_equal(ledger_settle(l, id, &c, NOON, &e), -EOVERFLOW);
	c = (struct ledger_charge){ .usage = { .out = INT64_MAX, .in_uncached = 1 } };
	assert_int_equal(ledger_settle(l, id, &c, NOON, &e), -EOVERFLOW);
	c = (struct ledger_charge){ .cost = -1 };
	assert_int_equal(ledger_settle(l, id, &c, NOON, &e), -EOVERFLOW);
	/* Sums of counters do not wrap, nor become floats. */
	settle(l, id, 10, 0, INT64_MAX);
	other = ask(l, &(struct ledger_limit){ .scope = LEDGER_SESSION, .name = "c1@1" },
		    5, 5)
			.id;
	c = (struct ledger_charge){ .cost = 1 };
	assert_int_equal(ledger_settle(l, other, &c, NOON, &e), -EOVERFLOW);
	assert_non_null(strstr(e.msg, "out of range"));
	assert_int_equal(ledger_release(l, other, NOON, &e), 0);
	verify(l);
}

/* Without limits a call is counted, and never refused. */
static void test_no_limit(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit none = session(-1, -1);
	struct ledger_answer a = ask(l, &none, 1000000, MONEY_DOLLAR);

	assert_true(a.granted);
	assert_true(a.left.tokens == INT64_MAX && a.left.cost == INT64_MAX);
	settle(l, a.id, 5, 5, 5);
	a = ask_at(l, NULL, 0, 1, 1, NOON);
	assert_true(a.granted);
	settle(l, a.id, 5, 5, 5);
	verify(l);
}

/* More is reserved for a call under way: within its limits, in its own period, all or nothing. */
static void test_grow(void **state)
{
	const int64_t midnight = NOON + 12 * HOUR;
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limits[] = { session(1000, 100),
					 { .scope = LEDGER_TEAM,
					   .name = "t",
					   .period = LEDGER_DAY,
					   .has_tokens = true,
					   .tokens = 500 } };
	struct ledger_limit strange = { .scope = LEDGER_TEAM, .name = "u" };
	struct ledger_call more = {
		.limits = limits, .n_limits = 2, .tokens = 100, .cost = 10
	};
	int64_t id = ask_at(l, limits, 2, 300, 50, midnight - 1).id;
	struct ledger_answer a = {};
	struct err e = {};

	assert_int_equal(ledger_grow(l, id, &more, &a, &e), 0);
	assert_true(a.granted && a.left.tokens == 100 && a.left.cost == 40);
	more.tokens = 101;
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), 0);
	assert_true(!a.granted && a.limit == 1 && a.too_little_tokens &&
		    a.left.tokens == 100);
	assert_int_equal(left(l, &limits[0], NOON).cost, 40);
	/* The next day's budget has no part in it. */
	assert_int_equal(left(l, &limits[1], midnight).tokens, 500);
	assert_int_equal(left(l, &limits[1], midnight - 1).tokens, 100);
	more = (struct ledger_call){ .limits = limits, .n_limits = 1, .tokens = 1 };
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), -EINVAL);
	more = (struct ledger_call){ .tokens = 1 };
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), -EINVAL);
	more = (struct ledger_call){ .limits = &strange, .n_limits = 1, .tokens = 1 };
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), -EINVAL);
	verify(l);
	settle(l, id, 350, 0, 55);
	assert_int_equal(left(l, &limits[0], NOON).tokens, 650);
	assert_int_equal(left(l, &limits[1], midnight - 1).tokens, 150);
	more = (struct ledger_call){ .limits = limits, .n_limits = 2, .tokens = 1 };
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), -EALREADY);
	/* A gateway that dies is charged with all of it. */
	id = ask(l, limits, 10, 10).id;
	more = (struct ledger_call){ .limits = limits, .n_limits = 1, .tokens = 5, .cost = 5 };
	assert_int_equal(ledger_grow(l, id, &more, &a, &e), 0);
	ledger_drop(l);
	b->l = l = open_at(b->path, NOON);
	assert_int_equal(left(l, limits, NOON).tokens, 635);
	assert_int_equal(left(l, limits, NOON).cost, 30);
	verify(l);
}

/* --- scopes and periods --- */

static void test_all_limits_hold(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limits[] = {
		session(1000, -1),
		{ .scope = LEDGER_TEAM,
		  .name = "red",
		  .period = LEDGER_MONTH,
		  .has_cost = true,
		  .cost = 100 },
	};
	struct ledger_limit other = {
		.scope = LEDGER_POLICY, .name = "red", .has_cost = true, .cost = 100
	};
	struct ledger_answer a = ask_at(l, limits, 2, 900, 90, NOON);

	assert_true(a.granted);
	assert_int_equal(a.left.tokens, 100);
	assert_int_equal(a.left.cost, 10);
	a = ask_at(l, limits, 2, 50, 11, NOON);
	assert_true(!a.granted && a.limit == 1 && a.too_little_money);
	a = ask_at(l, limits, 2, 101, 1, NOON);
	assert_true(!a.granted && a.limit == 0 && a.too_little_tokens);
	/* A refusal reserved nothing, in no counter. */
	assert_int_equal(left(l, &limits[0], NOON).tokens, 100);
	assert_int_equal(left(l, &limits[1], NOON).cost, 10);
	/* A policy is not a team of its name. */
	assert_int_equal(left(l, &other, NOON).cost, 100);
	verify(l);
}

static void test_look(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limits[] = {
		session(1000, 5000),
		{ .scope = LEDGER_TEAM, .name = "red", .period = LEDGER_DAY },
	};
	struct ledger_state s[2] = {};
	struct err e = {};

	/* Nothing yet. */
	assert_int_equal(ledger_look(l, limits, 2, NOON, s, &e), 0);
	assert_true(s[0].start == 0 && s[0].tokens == 0 && s[0].tokens_reserved == 0);
	assert_int_equal(s[1].start, NOON - 12 * HOUR);
	settle(l, ask_at(l, limits, 2, 300, 30, NOON).id, 100, 50, 20);
	ask_at(l, limits, 2, 7, 8, NOON);
	ask(l, limits, 40, 4);
	assert_int_equal(ledger_look(l, limits, 2, NOON, s, &e), 0);
	assert_int_equal(s[0].tokens, 150);
	assert_int_equal(s[0].cost, 20);
	assert_int_equal(s[0].tokens_reserved, 47);
	assert_int_equal(s[0].cost_reserved, 12);
	/* What has no limit is added up as well. */
	assert_int_equal(s[1].tokens, 150);
	assert_int_equal(s[1].tokens_reserved, 7);
	/* Charged, of the limit of which most is charged. */
	assert_int_equal(ledger_percent(&limits[0], &s[0]), 15);
	assert_int_equal(ledger_percent(&limits[1], &s[1]), 0);
	limits[0].cost = 40;
	assert_int_equal(ledger_percent(&limits[0], &s[0]), 50);
	limits[0].cost = 0;
	assert_int_equal(ledger_percent(&limits[0], &s[0]), 100);
	limits[0].has_cost = false;
	limits[0].tokens = 1;
	s[0].tokens = INT64_MAX;
	assert_int_equal(ledger_percent(&limits[0], &s[0]), UINT32_MAX);
	s[0].tokens = 3;
	s[0].tokens_added = -2;
	assert_int_equal(ledger_percent(&limits[0], &s[0]), 100);
	limits[0].name = "";
	assert_int_equal(ledger_look(l, limits, 2, NOON, s, &e), -EINVAL);
}

/* The marks that were reached now, and of which nobody was told: "from-to" of their numbers. */
static const char *reach(struct ledger *l, const struct ledger_limit *limit,
			 const char *policy, int64_t now)
{
	static const uint32_t marks[] = { 50, 80, 100 };
	static char text[32];
	struct err e = {};
	size_t from = 9, to = 9;

	if (ledger_reach(l, limit, policy, marks, 3, now, &from, &to, &e) < 0)
		fail_msg("%s", e.msg);
	snprintf(text, sizeof(text), from == to ? "none" : "%zu-%zu", from, to);
	return text;
}

/* Each mark is told once, whoever asks, until an adjustment takes it back. */
static void test_marks(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON), *other = open_at(b->path, NOON);
	struct ledger_limit limit = { .scope = LEDGER_TEAM,
				      .name = "red",
				      .period = LEDGER_DAY,
				      .has_cost = true,
				      .cost = 1000 };
	struct err e = {};

	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	settle(l, ask(l, &limit, 0, 499).id, 0, 0, 499);
	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	settle(l, ask(l, &limit, 0, 1).id, 0, 0, 1);
	/* What is only reserved does not count. */
	ask(l, &limit, 0, 400);
	assert_string_equal(reach(l, &limit, "p", NOON), "0-1");
	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	assert_string_equal(reach(other, &limit, "p", NOON), "none");
	assert_string_equal(reach(other, &limit, "q", NOON), "0-1");
	settle(l, ask(l, &limit, 0, 100).id, 0, 0, 2000);
	assert_string_equal(reach(other, &limit, "p", NOON), "1-3");
	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	/* 2500 of 4000: the first is still told, the second is not reached any more. */
	assert_int_equal(ledger_add(l, 1, 0, 3000, NOON, &e), 0);
	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	settle(l, ask(l, &limit, 0, 100).id, 0, 0, 700);
	assert_string_equal(reach(l, &limit, "p", NOON), "1-2");
	assert_int_equal(ledger_reset(l, 1, NOON, &e), 0);
	assert_string_equal(reach(l, &limit, "p", NOON), "none");
	settle(l, ask(l, &limit, 0, 100).id, 0, 0, 2000);
	assert_string_equal(reach(l, &limit, "p", NOON), "0-1");
	/* The next day begins at nothing. */
	assert_string_equal(reach(l, &limit, "p", NOON + 24 * HOUR), "none");
	ledger_drop(other);
	verify(l);
}

/* A budget of a day or month starts anew; a call ends in the period in which it began. */
static void test_periods(void **state)
{
	const int64_t midnight = NOON + 12 * HOUR, december = NOON + (8 * 24 + 12) * HOUR;
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit day = { .scope = LEDGER_POLICY,
				    .name = "p",
				    .period = LEDGER_DAY,
				    .has_tokens = true,
				    .tokens = 100 };
	struct ledger_limit month = day, always = day;
	int64_t late;

	month.period = LEDGER_MONTH;
	always.period = LEDGER_ALWAYS;
	late = ask_at(l, (struct ledger_limit[]){ day, month, always }, 3, 80, 0,
		      midnight - 1)
		       .id;
	assert_int_equal(left(l, &day, midnight - 1).tokens, 20);
	assert_int_equal(left(l, &day, midnight).tokens, 100);
	assert_int_equal(left(l, &month, midnight).tokens, 20);
	settle(l, late, 30, 0, 0);
	assert_int_equal(left(l, &day, midnight - 1).tokens, 70);
	assert_int_equal(left(l, &day, midnight).tokens, 100);
	assert_int_equal(left(l, &month, december - 1).tokens, 70);
	assert_int_equal(left(l, &month, december).tokens, 100);
	assert_int_equal(left(l, &always, december).tokens, 70);
	/* The end of a February, and one more month. */
	assert_true(ask_at(l, &month, 1, 100, 0, INT64_C(1835481600000) - 1).granted);
	assert_int_equal(left(l, &month, INT64_C(1835481600000) - 1).tokens, 0);
	assert_int_equal(left(l, &month, INT64_C(1835481600000)).tokens, 100);
	verify(l);
}

/* --- gateways that end --- */

static void test_drop_charges_in_full(void **state)
{
	struct box *b = *state;
	struct ledger *l = open_at(b->path, NOON), *other = open_at(b->path, NOON);
	struct ledger_limit limit = session(1000, 1000);
	int64_t mine = ask(l, &limit, 300, 200).id, theirs = ask(other, &limit, 30, 20).id;
	struct ledger_charge c = { .usage = { .out = 1 }, .cost = 1 };
	struct err e = {};
	size_t n = 7;

	/* Both are alive: nothing is recovered, and neither may end the other's. */
	assert_int_equal(ledger_recover(other, NOON, &n, &e), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ledger_settle(other, mine, &c, NOON, &e), -EPERM);
	ledger_drop(l);
	assert_int_equal(left(other, &limit, NOON).tokens, 670);
	b->l = l = open_at(b->path, NOON);
	verify(l);
	assert_int_equal(ledger_recover(l, NOON, &n, &e), 0);
	assert_int_equal(n, 0);
	/* Charged now, not reserved: the other one's is what it was. */
	assert_int_equal(left(l, &limit, NOON).tokens, 670);
	settle(other, theirs, 1, 0, 1);
	assert_int_equal(left(l, &limit, NOON).tokens, 699);
	assert_int_equal(left(l, &limit, NOON).cost, 799);
	assert_int_equal(ledger_settle(l, mine, &c, NOON, &e), -EPERM);
	verify(l);
	close_ok(&other);
}

static void test_close_charges_in_full(void **state)
{
	struct box *b = *state;
	struct ledger *l = open_at(b->path, NOON);
	struct ledger_limit limit = session(1000, 1000);

	ask(l, &limit, 300, 200);
	close_ok(&l);
	b->l = open_at(b->path, NOON);
	assert_int_equal(left(b->l, &limit, NOON).tokens, 700);
	assert_int_equal(left(b->l, &limit, NOON).cost, 800);
	verify(b->l);
}

/* --- people --- */

struct seen {
	struct ledger_counter c;
	int n;
};

static int see_counter(const struct ledger_counter *c, void *arg)
{
	struct seen *s = arg;

	if (s->n++ == 0)
		s->c = *c;
	return 0;
}

static struct ledger_counter newest(struct ledger *l, const char *name)
{
	struct seen s = {};
	struct err e = {};

	if (ledger_counters(l, "session", name, see_counter, &s, &e) < 0)
		fail_msg("%s", e.msg);
	assert_true(s.n > 0);
	return s.c;
}

static void test_adjust(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON), *admin = NULL;
	struct ledger_limit limit = session(100, 100);
	int64_t id = ask(l, &limit, 100, 60).id;
	struct ledger_counter c;
	struct err e = {};

	settle(l, id, 60, 40, 60);
	assert_false(ask(l, &limit, 1, 1).granted);
	assert_int_equal(ledger_open(b->path, LEDGER_ADMIN, 1000, NOON, &admin, &e), 0);
	c = newest(admin, "c1@1");
	assert_true(c.tokens == 100 && c.cost == 60 && c.has_tokens_limit &&
		    c.has_cost_limit);
	assert_true(c.tokens_limit == 100 && c.cost_limit == 100 && c.tokens_reserved == 0);
	assert_int_equal(ledger_add(admin, c.id, 50, 0, NOON, &e), 0);
	assert_int_equal(ledger_add(admin, c.id, 5, 7, NOON, &e), 0);
	assert_int_equal(left(l, &limit, NOON).tokens, 55);
	assert_int_equal(left(l, &limit, NOON).cost, 47);
	/* What is under way stays reserved over a reset, and is charged after it. */
	id = ask(l, &limit, 20, 20).id;
	assert_int_equal(ledger_reset(admin, c.id, NOON, &e), 0);
	assert_int_equal(left(l, &limit, NOON).tokens, 155 - 20);
	settle(l, id, 10, 0, 10);
	assert_int_equal(left(l, &limit, NOON).tokens, 145);
	assert_int_equal(left(l, &limit, NOON).cost, 97);
	c = newest(admin, "c1@1");
	assert_true(c.tokens == 10 && c.cost == 10 && c.tokens_added == 55 &&
		    c.cost_added == 7);
	assert_true(c.tokens_limit == 155 && c.cost_limit == 107);
	assert_int_equal(ledger_reset(admin, c.id, NOON, &e), 0);
	assert_int_equal(ledger_add(admin, c.id, -155, 0, NOON, &e), 0);
	assert_int_equal(left(l, &limit, NOON).tokens, 0);
	assert_int_equal(ledger_add(admin, 99, 1, 1, NOON, &e), -ENOENT);
	assert_int_equal(ledger_reset(admin, 99, NOON, &e), -ENOENT);
	verify(admin);
	close_ok(&admin);
}

struct sums {
	char text[600];
};

static int see_sum(const struct ledger_sum *s, void *arg)
{
	struct sums *all = arg;
	size_t len = strlen(all->text);

	snprintf(all->text + len, sizeof(all->text) - len,
		 "%s:%lld/%lld/%lld t%lld c%lld i%lld o%lld;", s->key,
		 (long long)s->calls, (long long)s->open, (long long)s->estimated,
		 (long long)s->tokens, (long long)s->cost,
		 (long long)s->usage.in_uncached, (long long)s->usage.out);
	return 0;
}

static void expect_usage(struct ledger *l, enum ledger_group g, struct ledger_filter f,
			 const char *want)
{
	struct sums got = {};
	struct err e = {};

	if (ledger_usage(l, g, &f, see_sum, &got, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(got.text, want);
}

static void test_usage(void **state)
{
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_charge c = { .usage = { .in_uncached = 7, .out = 3 }, .cost = 100 };
	struct ledger_call calls[] = {
		{ .container = "a", .policy = "p", .team = "t", .model = "m1" },
		{ .container = "a", .policy = "p", .team = "t", .model = "m2" },
		{ .container = "b", .policy = "q", .model = "m1" },
		{ .container = "b", .policy = "q", .model = "m1" },
		{ .container = "b", .policy = "q", .model = "m1", .tokens = 9, .cost = 9 },
	};
	struct ledger_answer a;
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(ledger_reserve(l, &calls[i],
						NOON + (int64_t)i * 10 * HOUR, &a, &e),
				 0);
		c.is_estimate = i == 1;
		if (i == 3)
			assert_int_equal(ledger_release(l, a.id, NOON, &e), 0);
		else if (i != 4)
			assert_int_equal(ledger_settle(l, a.id, &c, NOON, &e), 0);
		c.cost += 50;
	}
	expect_usage(l, LEDGER_BY_CONTAINER, (struct ledger_filter){},
		     "a:2/0/1 t20 c250 i14 o6;b:2/1/0 t10 c200 i7 o3;");
	expect_usage(l, LEDGER_BY_MODEL, (struct ledger_filter){},
		     "m1:3/1/0 t20 c300 i14 o6;m2:1/0/1 t10 c150 i7 o3;");
	expect_usage(l, LEDGER_BY_TEAM, (struct ledger_filter){},
		     "t:2/0/1 t20 c250 i14 o6;:2/1/0 t10 c200 i7 o3;");
	expect_usage(l, LEDGER_BY_DAY, (struct ledger_filter){},
		     "2026-11-22:2/0/1 t20 c250 i14 o6;2026-11-23:1/0/0 t10 c200 i7 o3;"
		     "2026-11-24:1/1/0 t0 c0 i0 o0;");
	expect_usage(l, LEDGER_BY_POLICY, (struct ledger_filter){ .container = "b" },
		     "q:2/1/0 t10 c200 i7 o3;");
	expect_usage(l, LEDGER_BY_MODEL,
		     (struct ledger_filter){ .since = NOON + HOUR,
					     .until = NOON + 11 * HOUR },
		     "m2:1/0/1 t10 c150 i7 o3;");
	expect_usage(l, LEDGER_BY_MODEL, (struct ledger_filter){ .policy = "none" }, "");
}

/* --- files that fail --- */

static int open_error(const char *path, enum ledger_mode mode, unsigned int wait,
		      struct err *e)
{
	struct ledger *l = NULL;
	int r = ledger_open(path, mode, wait, NOON, &l, e);

	assert_null(l);
	assert_true(r < 0 && e->msg[0]);
	assert_non_null(strstr(e->msg, path));
	return r;
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_file_is_made(void **state)
{
	struct box *b = *state;
	mode_t old = umask(0);
	struct stat st;

	b->l = open_at(b->path, NOON);
	umask(old);
	assert_int_equal(stat(b->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(ask_at(b->l, NULL, 0, 0, 0, NOON).granted);
}

static void test_no_ledger(void **state)
{
	struct box *b = *state;
	_free_ char *other = str_printf("%s/other.db", b->dir),
		    *gone = str_printf("%s/x/y.db", b->dir);
	struct err e = {};

	assert_int_equal(open_error(b->path, LEDGER_ADMIN, 100, &e), -ENOENT);
	assert_int_equal(access(b->path, F_OK), -1);
	assert_int_equal(open_error(gone, LEDGER_GATEWAY, 100, &e), -ENOENT);
	write_text(b->path, "");
	assert_int_equal(open_error(b->path, LEDGER_ADMIN, 100, &e), -EBADMSG);
	write_text(b->path,
		   "This is no database, and it is long enough to be looked at: "
		   "one hundred bytes are what SQLite reads first of any file at all.");
	assert_int_equal(open_error(b->path, LEDGER_GATEWAY, 100, &e), -EBADMSG);
	run_sql(other, "CREATE TABLE x (y)");
	assert_int_equal(open_error(other, LEDGER_GATEWAY, 100, &e), -EBADMSG);
	assert_non_null(strstr(e.msg, "no ledger of Purple's"));
}

static void test_newer_schema(void **state)
{
	struct box *b = *state;
	struct err e = {};

	b->l = open_at(b->path, NOON);
	close_ok(&b->l);
	run_sql(b->path, "PRAGMA user_version = 3");
	assert_int_equal(open_error(b->path, LEDGER_GATEWAY, 100, &e), -EPROTONOSUPPORT);
	assert_non_null(strstr(e.msg, "newer version of Purple"));
	assert_int_equal(open_error(b->path, LEDGER_ADMIN, 100, &e), -EPROTONOSUPPORT);
}

/* A ledger of version 1, which had no marks, is brought to this one, with all that is in it. */
static void test_older_schema(void **state)
{
	struct box *b = *state;
	struct ledger_limit limit = session(100, -1);
	const uint32_t mark = 50;
	struct err e = {};
	size_t first, end;

	b->l = open_at(b->path, NOON);
	settle(b->l, ask(b->l, &limit, 60, 0).id, 60, 0, 0);
	close_ok(&b->l);
	run_sql(b->path,
		"DROP TABLE mark; DROP INDEX call_released; PRAGMA user_version = 1");
	b->l = open_at(b->path, NOON);
	assert_int_equal(left(b->l, &limit, NOON).tokens, 40);
	assert_int_equal(ledger_reach(b->l, &limit, "p", &mark, 1, NOON, &first, &end, &e),
			 0);
	assert_true(first == 0 && end == 1);
	verify(b->l);
}

/* A page that was overwritten is an error of each call that needs it, not a wrong sum. */
static void test_damaged(void **state)
{
	struct box *b = *state;
	struct ledger_limit limit = session(1000, 1000);
	struct ledger_call call = { .limits = &limit, .n_limits = 1, .tokens = 1 };
	struct ledger_answer a = {};
	struct err e = {};
	char junk[4096];
	int fd, r;

	b->l = open_at(b->path, NOON);
	for (int i = 0; i < 500; i++)
		ask(b->l, &limit, 1, 1);
	close_ok(&b->l);
	fd = open(b->path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	memset(junk, 0xa5, sizeof(junk));
	for (off_t page = 1; page < 12; page++)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), page * 4096), sizeof(junk));
	close(fd);
	r = ledger_open(b->path, LEDGER_GATEWAY, 100, NOON, &b->l, &e);
	if (r == 0)
		r = ledger_reserve(b->l, &call, NOON, &a, &e);
	assert_int_equal(r, -EBADMSG);
	assert_non_null(strstr(e.msg, "damaged"));
	assert_false(a.granted);
}

/* A counter that was tampered with is found. */
static void test_verify_finds(void **state)
{
	static const char *const wrongs[] = {
		"UPDATE counter SET tokens = tokens - 1",
		"UPDATE counter SET cost_reserved = cost_reserved + 1",
		"UPDATE counter SET tokens_added = 5",
		"UPDATE counter SET cost_forgiven = 1",
		"DELETE FROM call WHERE id = 1",
	};
	struct box *b = *state;
	struct ledger_limit limit = session(1000, 1000);
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		_free_ char *path = str_printf("%s/%zu.db", b->dir, i);
		int64_t id;

		b->l = open_at(path, NOON);
		id = ask(b->l, &limit, 10, 10).id;
		settle(b->l, id, 5, 0, 5);
		ask(b->l, &limit, 10, 10);
		verify(b->l);
		run_sql(path, wrongs[i]);
		assert_int_equal(ledger_verify(b->l, &e), -EBADMSG);
		ledger_drop(b->l);
		b->l = NULL;
	}
}

static void test_locked(void **state)
{
	struct box *b = *state;
	struct ledger_limit limit = session(1000, 1000);
	struct ledger_call call = { .limits = &limit, .n_limits = 1, .tokens = 1 };
	struct ledger_charge c = { .usage = { .out = 1 }, .cost = 1 };
	struct ledger *l = NULL;
	struct ledger_answer a = {};
	sqlite3 *other = NULL;
	struct err e = {};
	int64_t id;

	assert_int_equal(ledger_open(b->path, LEDGER_GATEWAY, 30, NOON, &l, &e), 0);
	b->l = l;
	id = ask(l, &limit, 10, 10).id;
	assert_int_equal(sqlite3_open(b->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(ledger_reserve(l, &call, NOON, &a, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "another process has it locked"));
	assert_int_equal(ledger_settle(l, id, &c, NOON, &e), -EBUSY);
	assert_int_equal(ledger_release(l, id, NOON, &e), -EBUSY);
	assert_int_equal(open_error(b->path, LEDGER_GATEWAY, 30, &e), -EBUSY);
	/* Reading goes on, and so does all the rest when the lock is gone. */
	assert_int_equal(left(l, &limit, NOON).tokens, 990);
	sqlite3_close(other);
	settle(l, id, 1, 0, 1);
	assert_int_equal(left(l, &limit, NOON).tokens, 999);
	verify(l);
}

/*
 * A gateway that is killed as it signs in leaves no row, but its lock on the byte of the row stays a
 * moment longer than its locks on the database: the next one gets the same number for its row.
 */
static void test_lock_of_the_dying(void **state)
{
	struct box *b = *state;
	struct ledger_limit limit = session(1000, 1000);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 3 };
	char path[310];
	struct err e = {};
	int live;

	ledger_drop(open_at(b->path, NOON));
	snprintf(path, sizeof(path), "%s-live", b->path);
	live = open(path, O_RDWR | O_CLOEXEC);
	assert_true(live >= 0);
	lock.l_start = 2; /* the first one is the row of the one above */
	assert_int_equal(fcntl(live, F_OFD_SETLK, &lock), 0);
	b->l = open_at(b->path, NOON);
	assert_int_equal(ask(b->l, &limit, 600, 0).granted, true);
	/* That one now has a row of its own, and a lock on it: it is not taken for dead. */
	close(live);
	ledger_drop(open_at(b->path, NOON));
	assert_int_equal(left(b->l, &limit, NOON).tokens, 400);
	verify(b->l);
	/* Who locks all of the file keeps others out, and they say so. */
	live = open(path, O_RDWR | O_CLOEXEC);
	assert_true(live >= 0);
	lock.l_start = 1000;
	lock.l_len = 0;
	run_sql(b->path, "UPDATE sqlite_sequence SET seq = 2000 WHERE name = 'owner'");
	assert_int_equal(fcntl(live, F_OFD_SETLK, &lock), 0);
	assert_int_equal(open_error(b->path, LEDGER_GATEWAY, 30, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "holds locks"));
	close(live);
}

/* Whole calls, one after the other: how long they take is in the log of the test. */
static void test_speed_is_told(void **state)
{
	enum { ROUNDS = 2000 };
	struct box *b = *state;
	struct ledger *l = b->l = open_at(b->path, NOON);
	struct ledger_limit limits[] = {
		session(INT64_MAX, INT64_MAX),
		{ .scope = LEDGER_TEAM, .name = "t", .has_cost = true, .cost = INT64_MAX }
	};
	static int64_t took[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		struct timespec t0, t1;
		int64_t at = 0;

		clock_gettime(CLOCK_MONOTONIC, &t0);
		settle(l, ask_at(l, limits, 2, 1000, 1000, NOON).id, 10, 10, 10);
		clock_gettime(CLOCK_MONOTONIC, &t1);
		at = (t1.tv_sec - t0.tv_sec) * 1000000000 + t1.tv_nsec - t0.tv_nsec;
		took[i] = at;
		for (int k = i; k > 0 && took[k - 1] > took[k]; k--) {
			at = took[k];
			took[k] = took[k - 1];
			took[k - 1] = at;
		}
	}
	print_message("# reserve and settle: p50 %lld us, p99 %lld us\n",
		      (long long)took[ROUNDS / 2] / 1000,
		      (long long)took[ROUNDS * 99 / 100] / 1000);
	assert_int_equal(left(l, &limits[0], NOON).tokens, INT64_MAX - 20 * ROUNDS);
	verify(l);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reserve_settle_release),
		T(test_ends_once),
		T(test_at_once),
		T(test_truth_above_limit),
		T(test_bad_figures),
		T(test_no_limit),
		T(test_grow),
		T(test_all_limits_hold),
		T(test_look),
		T(test_marks),
		T(test_periods),
		T(test_drop_charges_in_full),
		T(test_close_charges_in_full),
		T(test_adjust),
		T(test_usage),
		T(test_file_is_made),
		T(test_no_ledger),
		T(test_newer_schema),
		T(test_older_schema),
		T(test_damaged),
		T(test_verify_finds),
		T(test_locked),
		T(test_lock_of_the_dying),
		T(test_speed_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
