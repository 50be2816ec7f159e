/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several gateways do to one ledger at once, killed at any moment (ledger_crew.h). At the end
 * each row of the ledger must be what the log of its worker allows. All the while one process looks
 * whether a limit was passed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "budget/ledger.h"
#include "ledger_crew.h"

#define TOKENS 7000
#define COST 10000

enum { KILLS = 120, KILLS_A_DAY = 10, HELD_MAX = 4 };

static struct {
	char dir[256], path[300];
} box;

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(box.dir, sizeof(box.dir), "%s/purple-ledger-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(box.dir));
	snprintf(box.path, sizeof(box.path), "%s/ledger.db", box.dir);
	crew_setup();
	return 0;
}

static int teardown(void **state)
{
	struct err e = {};

	(void)state;
	crew_teardown();
	fs_remove_tree(AT_FDCWD, box.dir, &e);
	return 0;
}

static int64_t now(void)
{
	return NOON + shared->now;
}

/* --- a worker --- */

/*
 * Records: 'B' is about to reserve, 'R' has, 'N' was refused; 'G' is about to reserve more, 'r' knows whether
 * it has; 'S' is about to settle, 's' has; 'L' is about to release, 'l' has.
 */

struct worker {
	struct life life;
	struct ledger *l;
	struct record held[HELD_MAX]; /* what is reserved */
	int n;
};

static const struct ledger_limit limits[] = {
	{ .scope = LEDGER_TEAM,
	  .name = "all",
	  .period = LEDGER_DAY,
	  .has_tokens = true,
	  .tokens = TOKENS },
	{ .scope = LEDGER_POLICY,
	  .name = "all",
	  .period = LEDGER_DAY,
	  .has_cost = true,
	  .cost = COST },
};

static void begin_call(struct worker *w)
{
	struct ledger_call c = { .container = "c",
				 .limits = limits,
				 .n_limits = 2,
				 .tokens = roll(&w->life, 300),
				 .cost = roll(&w->life, 400) };
	struct ledger_answer a = {};
	struct err e = {};

	note(&w->life, 'B', 0, c.tokens, c.cost);
	if (ledger_reserve(w->l, &c, now(), &a, &e) < 0)
		die("reserve", e.msg);
	note(&w->life, a.granted ? 'R' : 'N', a.id, c.tokens, c.cost);
	if (a.granted)
		w->held[w->n++] = (struct record){ 'R', a.id, c.tokens, c.cost };
	else
		shared->refused++;
}

static void grow_call(struct worker *w)
{
	struct record *r = &w->held[roll(&w->life, w->n)];
	struct ledger_call c = { .limits = limits,
				 .n_limits = 2,
				 .tokens = roll(&w->life, 100),
				 .cost = roll(&w->life, 100) };
	struct ledger_answer a = {};
	struct err e = {};

	note(&w->life, 'G', r->id, r->tokens + c.tokens, r->cost + c.cost);
	if (ledger_grow(w->l, r->id, &c, &a, &e) < 0)
		die("grow", e.msg);
	if (a.granted) {
		r->tokens += c.tokens;
		r->cost += c.cost;
	}
	note(&w->life, 'r', r->id, r->tokens, r->cost);
}

static void end_call(struct worker *w)
{
	int at = (int)roll(&w->life, w->n);
	struct record r = w->held[at];
	struct err e = {};

	w->held[at] = w->held[--w->n];
	if (roll(&w->life, 4) == 0) {
		note(&w->life, 'L', r.id, 0, 0);
		if (ledger_release(w->l, r.id, now(), &e) < 0)
			die("release", e.msg);
		note(&w->life, 'l', r.id, 0, 0);
	} else {
		struct ledger_charge c = { .usage = { .in_uncached = roll(&w->life,
									  r.tokens + 1) },
					   .cost = roll(&w->life, r.cost + 1) };

		note(&w->life, 'S', r.id, c.usage.in_uncached, c.cost);
		if (ledger_settle(w->l, r.id, &c, now(), &e) < 0)
			die("settle", e.msg);
		note(&w->life, 's', r.id, c.usage.in_uncached, c.cost);
	}
}

/* One life: it ends by itself after some calls, with or without what it holds, or is killed. */
static _Noreturn void work(int index, int life)
{
	struct worker w = {};
	struct err e = {};

	life_begin(&w.life, box.dir, index, life, 0);
	if (ledger_open(box.path, LEDGER_GATEWAY, 60000, now(), &w.l, &e) < 0)
		die("open", e.msg);
	for (int i = 0; i < CREW_CALLS_OF_A_LIFE && !shared->is_over; i++) {
		if (w.n == 0 || (w.n < HELD_MAX && roll(&w.life, 2)))
			begin_call(&w);
		else if (roll(&w.life, 4) == 0)
			grow_call(&w);
		else
			end_call(&w);
	}
	if (ledger_close(w.l, now(), &e) < 0)
		die("close", e.msg);
	_exit(0);
}

/* --- who looks on --- */

static int check_counter(const struct ledger_counter *c, void *arg)
{
	int64_t tokens = streq(c->scope, "team") ? TOKENS : INT64_MAX;
	int64_t cost = streq(c->scope, "policy") ? COST : INT64_MAX;

	if (c->tokens + c->tokens_reserved > tokens || c->cost + c->cost_reserved > cost)
		die("a limit was passed", c->scope);
	return 0;
}

static _Noreturn void look_on(void)
{
	struct ledger *l = NULL;
	struct err e = {};

	if (ledger_open(box.path, LEDGER_ADMIN, 60000, NOON, &l, &e) < 0)
		die("open to look on", e.msg);
	while (!shared->is_over) {
		if (ledger_counters(l, NULL, NULL, check_counter, NULL, &e) < 0)
			die("look on", e.msg);
		if (ledger_verify(l, &e) < 0)
			die("look on", e.msg);
	}
	if (ledger_close(l, NOON, &e) < 0)
		die("close", e.msg);
	_exit(0);
}

/* --- the test --- */

/* The end that a log tells of a call: the last record of its id, or NULL. */
static const struct record *find_record(const struct record *log, size_t n, int64_t id)
{
	for (size_t i = n; i > 0; i--) {
		if (log[i - 1].id == id && id != 0)
			return &log[i - 1];
	}
	return NULL;
}

/* Whether a row is what may come of the last record of its call. */
static bool is_row_right(const struct row *w, const struct record *r)
{
	bool is_settled = r && streq(w->state, "settled") && w->tokens == r->tokens &&
			  w->cost == r->cost;

	if (!r)
		return is_recovered(w);
	switch ((char)r->op) {
	case 'R':
	case 'r':
		return is_recovered(w) && w->tokens == r->tokens && w->cost == r->cost;
	case 'G':
		return is_recovered(w);
	case 'S':
		return is_settled || is_recovered(w);
	case 's':
		return is_settled;
	case 'L':
		return is_released(w) || is_recovered(w);
	case 'l':
		return is_released(w);
	}
	return false;
}

static bool check_row(const struct row *w, const struct log *logs)
{
	const struct record *r = NULL;

	for (int i = 0; i < CREW_WORKERS && !r; i++)
		r = find_record(logs[i].records, logs[i].n, w->id);
	if (!is_row_right(w, r))
		fail_msg("call %lld is %s with %lld and %lld, but the log ends with '%c'",
			 (long long)w->id, w->state, (long long)w->tokens,
			 (long long)w->cost, r ? (char)r->op : '-');
	return r != NULL;
}

/* Nothing that a worker was told is lost, and no more is there than it may have missed. */
static void check_logs(const struct log *logs, const struct tally *t)
{
	int64_t granted = 0, begun = 0, answered = 0;

	for (int i = 0; i < CREW_WORKERS; i++) {
		for (size_t k = 0; k < logs[i].n; k++) {
			granted += logs[i].records[k].op == 'R';
			begun += logs[i].records[k].op == 'B';
			answered += logs[i].records[k].op == 'R' ||
				    logs[i].records[k].op == 'N';
		}
	}
	assert_int_equal(t->rows, granted + t->unlogged);
	assert_true(t->unlogged <= begun - answered);
	assert_true(begun - answered <= KILLS + CREW_WORKERS);
}

static void test_killed_at_any_moment(void **state)
{
	struct crew crew = { .seed = 20261122, .work = work, .look_on = look_on };
	struct log logs[CREW_WORKERS];
	struct tally t = {};
	struct ledger *l = NULL;
	struct err e = {};

	(void)state;
	crew_begin(&crew);
	for (int k = 0; k < KILLS; k++) {
		crew_kill_one(&crew, 20, 100);
		if (k % KILLS_A_DAY == KILLS_A_DAY - 1)
			shared->now += DAY;
	}
	crew_end(&crew);

	assert_int_equal(ledger_open(box.path, LEDGER_GATEWAY, 1000, NOON, &l, &e), 0);
	if (ledger_verify(l, &e) < 0 ||
	    ledger_counters(l, NULL, NULL, check_counter, NULL, &e) < 0 ||
	    ledger_close(l, NOON, &e) < 0)
		fail_msg("%s", e.msg);
	for (int i = 0; i < CREW_WORKERS; i++)
		logs[i] = read_log(box.dir, i);
	check_rows(box.path, logs, check_row, &t);
	check_logs(logs, &t);
	print_message("# %lld calls: %lld settled, %lld released, %lld recovered, %lld refused\n",
		      (long long)t.rows, (long long)t.settled, (long long)t.released,
		      (long long)t.recovered, (long long)shared->refused);
	assert_true(t.settled > 100 && t.released > 10 && t.recovered > 10);
	assert_true(shared->refused > 10);
	for (int i = 0; i < CREW_WORKERS; i++)
		free(logs[i].records);
}

/* 64 calls at once with room for exactly five: five are granted, whoever they are. */
static _Noreturn void ask_at_once(void)
{
	const struct ledger_limit limit = {
		.scope = LEDGER_TEAM, .name = "t", .has_cost = true, .cost = 599
	};
	struct ledger_call c = { .limits = &limit, .n_limits = 1, .cost = 100 };
	struct ledger *l = NULL;
	struct ledger_answer a;
	struct err e = {};
	int granted = 0;

	if (ledger_open(box.path, LEDGER_GATEWAY, 60000, NOON, &l, &e) < 0)
		die("open", e.msg);
	crew_meet(CREW_WORKERS);
	for (int i = 0; i < 8; i++) {
		if (ledger_reserve(l, &c, NOON, &a, &e) < 0)
			die("reserve", e.msg);
		granted += a.granted;
		if (!a.granted && (a.left.cost >= 100 || !a.too_little_money))
			die("a refusal without a reason", "");
	}
	if (ledger_close(l, NOON, &e) < 0)
		die("close", e.msg);
	_exit(granted);
}

static void test_parallel_at_the_limit(void **state)
{
	pid_t pids[CREW_WORKERS];
	int granted = 0;

	(void)state;
	for (int i = 0; i < CREW_WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			ask_at_once();
	}
	for (int i = 0; i < CREW_WORKERS; i++) {
		int status = 0;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		granted += WEXITSTATUS(status);
	}
	assert_int_equal(granted, 5);
}

/* Many make the file at once: one of them does, and all can use it. */
static void test_made_at_once(void **state)
{
	pid_t pids[CREW_WORKERS];

	(void)state;
	for (int round = 0; round < 10; round++) {
		snprintf(box.path, sizeof(box.path), "%s/%d.db", box.dir, round);
		shared->steps = 0;
		for (int i = 0; i < CREW_WORKERS; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0) {
				struct ledger *l = NULL;
				struct err e = {};

				crew_meet(CREW_WORKERS);
				if (ledger_open(box.path, LEDGER_GATEWAY, 60000, NOON, &l,
						&e) < 0)
					die("open", e.msg);
				if (ledger_close(l, NOON, &e) < 0)
					die("close", e.msg);
				_exit(0);
			}
		}
		for (int i = 0; i < CREW_WORKERS; i++)
			expect_end(pids[i]);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_killed_at_any_moment),
		T(test_parallel_at_the_limit),
		T(test_made_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
