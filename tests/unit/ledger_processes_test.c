/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What several gateways do to one ledger at once, killed at any moment. Each worker keeps a log of
 * its own by write(2), before and after each step; at the end each row of the ledger must be what
 * the log of its worker allows. All the while one process looks whether a limit was passed.
 *
 * SQLite must not be open across fork(): the process of the test itself opens nothing before all
 * others are gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/ledger.h"

#define NOON INT64_C(1795348800000)
#define DAY INT64_C(86400000)
#define TOKENS 7000
#define COST 10000

enum { WORKERS = 8, KILLS = 120, KILLS_A_DAY = 10, HELD_MAX = 4, CALLS_OF_A_LIFE = 400 };

/* What the processes share. */
struct shared {
	_Atomic int64_t now;   /* budgets start anew as it passes days */
	_Atomic int64_t steps; /* of all workers */
	_Atomic int64_t refused;
	_Atomic bool is_over;
};

struct box {
	char dir[256], path[300];
	struct shared *shared;
};

static int setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct box *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	snprintf(b->dir, sizeof(b->dir), "%s/purple-ledger-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/ledger.db", b->dir);
	b->shared = mmap(NULL, sizeof(*b->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(b->shared != MAP_FAILED);
	b->shared->now = NOON;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;
	struct err e = {};

	/* After a failure too, nobody stays. */
	b->shared->is_over = true;
	while (wait(NULL) > 0)
		;
	fs_remove_tree(AT_FDCWD, b->dir, &e);
	munmap(b->shared, sizeof(*b->shared));
	free(b);
	return 0;
}

/* In a child: the reason goes to stderr, and the exit status tells the test. */
static _Noreturn void die(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s\n", what, more);
	_exit(1);
}

/* All of them go on from here at one time, or none waits when one had to give up. */
static void meet(struct box *b)
{
	b->shared->steps++;
	while (b->shared->steps < WORKERS && !b->shared->is_over)
		sched_yield();
}

static _Noreturn void give_up(struct box *b, const char *what, const char *more)
{
	b->shared->is_over = true;
	die(what, more);
}

/* --- a worker --- */

/*
 * 'B' is about to reserve, 'R' has, 'N' was refused; 'G' is about to reserve more, 'r' knows whether
 * it has; 'S' is about to settle, 's' has; 'L' is about to release, 'l' has.
 */
struct record {
	int64_t op, id, tokens, cost;
};

struct worker {
	struct box *b;
	struct ledger *l;
	int log;
	uint64_t seed;
	struct record held[HELD_MAX]; /* what is reserved */
	int n;
};

static int64_t roll(struct worker *w, int64_t n)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return (int64_t)(w->seed % (uint64_t)n);
}

static void note(struct worker *w, char op, int64_t id, int64_t tokens, int64_t cost)
{
	struct record r = { op, id, tokens, cost };

	if (write(w->log, &r, sizeof(r)) != sizeof(r))
		die("cannot write the log", strerror(errno));
	w->b->shared->steps++;
}

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
				 .tokens = roll(w, 300),
				 .cost = roll(w, 400) };
	struct ledger_answer a = {};
	struct err e = {};

	note(w, 'B', 0, c.tokens, c.cost);
	if (ledger_reserve(w->l, &c, w->b->shared->now, &a, &e) < 0)
		die("reserve", e.msg);
	note(w, a.granted ? 'R' : 'N', a.id, c.tokens, c.cost);
	if (a.granted)
		w->held[w->n++] = (struct record){ 'R', a.id, c.tokens, c.cost };
	else
		w->b->shared->refused++;
}

static void grow_call(struct worker *w)
{
	struct record *r = &w->held[roll(w, w->n)];
	struct ledger_call c = { .limits = limits,
				 .n_limits = 2,
				 .tokens = roll(w, 100),
				 .cost = roll(w, 100) };
	struct ledger_answer a = {};
	struct err e = {};

	note(w, 'G', r->id, r->tokens + c.tokens, r->cost + c.cost);
	if (ledger_grow(w->l, r->id, &c, &a, &e) < 0)
		die("grow", e.msg);
	if (a.granted) {
		r->tokens += c.tokens;
		r->cost += c.cost;
	}
	note(w, 'r', r->id, r->tokens, r->cost);
}

static void end_call(struct worker *w)
{
	int at = (int)roll(w, w->n);
	struct record r = w->held[at];
	struct err e = {};

	w->held[at] = w->held[--w->n];
	if (roll(w, 4) == 0) {
		note(w, 'L', r.id, 0, 0);
		if (ledger_release(w->l, r.id, w->b->shared->now, &e) < 0)
			die("release", e.msg);
		note(w, 'l', r.id, 0, 0);
	} else {
		struct ledger_charge c = { .usage = { .in_uncached = roll(w, r.tokens + 1) },
					   .cost = roll(w, r.cost + 1) };

		note(w, 'S', r.id, c.usage.in_uncached, c.cost);
		if (ledger_settle(w->l, r.id, &c, w->b->shared->now, &e) < 0)
			die("settle", e.msg);
		note(w, 's', r.id, c.usage.in_uncached, c.cost);
	}
}

/* One life: it ends by itself after some calls, with or without what it holds, or is killed. */
static _Noreturn void work(struct box *b, int index, int life)
{
	struct worker w = { .b = b, .log = -1 };
	_free_ char *log = str_printf("%s/log-%d", b->dir, index);
	struct err e = {};

	w.seed = 88172645463325252u + (uint64_t)index * 7919 + (uint64_t)life * 104729;
	w.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (w.log < 0)
		die(log, strerror(errno));
	if (ledger_open(b->path, LEDGER_GATEWAY, 60000, b->shared->now, &w.l, &e) < 0)
		die("open", e.msg);
	for (int i = 0; i < CALLS_OF_A_LIFE && !b->shared->is_over; i++) {
		if (w.n == 0 || (w.n < HELD_MAX && roll(&w, 2)))
			begin_call(&w);
		else if (roll(&w, 4) == 0)
			grow_call(&w);
		else
			end_call(&w);
	}
	if (ledger_close(w.l, b->shared->now, &e) < 0)
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

static _Noreturn void look_on(struct box *b)
{
	struct ledger *l = NULL;
	struct err e = {};

	if (ledger_open(b->path, LEDGER_ADMIN, 60000, NOON, &l, &e) < 0)
		die("open to look on", e.msg);
	while (!b->shared->is_over) {
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

static pid_t start(struct box *b, int index, int life)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (index < 0)
			look_on(b);
		work(b, index, life);
	}
	return pid;
}

/* Waits for the end of a child: it was killed, or came to its end without a complaint. */
static void expect_end(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
	    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		fail_msg("a child ended with status %#x", status);
}

/* Until the workers together went on by so many steps; lives that end are followed by others. */
static void let_work(struct box *b, pid_t *pids, int *lives, int64_t steps)
{
	int64_t until = b->shared->steps + steps;

	while (b->shared->steps < until) {
		const struct timespec nap = { .tv_nsec = 100000 };

		nanosleep(&nap, NULL);
		for (int i = 0; i < WORKERS; i++) {
			int status = 0;

			if (waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				fail_msg("worker %d ended with status %#x", i, status);
			pids[i] = start(b, i, ++*lives);
		}
	}
}

/* The end that a log tells of a call: the last record of its id, or NULL. */
static const struct record *find_record(const struct record *log, size_t n, int64_t id)
{
	for (size_t i = n; i > 0; i--) {
		if (log[i - 1].id == id && id != 0)
			return &log[i - 1];
	}
	return NULL;
}

struct log {
	struct record *records;
	size_t n;
};

static struct log read_log(struct box *b, int index)
{
	_free_ char *path = str_printf("%s/log-%d", b->dir, index);
	struct log log = {};
	char *text = NULL;
	size_t len = 0;
	struct err e = {};

	if (fs_read(AT_FDCWD, path, 64 << 20, &text, &len, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(len % sizeof(struct record), 0);
	log.records = (struct record *)(void *)text;
	log.n = len / sizeof(struct record);
	return log;
}

struct row {
	int64_t id, tokens_reserved, cost_reserved, tokens, cost;
	const char *state;
};

/* Whether a row is what may come of the last record of its call. */
static bool is_row_right(const struct row *w, const struct record *r)
{
	bool is_recovered = streq(w->state, "recovered") &&
			    w->tokens == w->tokens_reserved && w->cost == w->cost_reserved;
	bool is_settled = r && streq(w->state, "settled") && w->tokens == r->tokens &&
			  w->cost == r->cost;
	bool is_released = streq(w->state, "released") && w->tokens == 0 && w->cost == 0;

	if (!r)
		return is_recovered;
	switch ((char)r->op) {
	case 'R':
	case 'r':
		return is_recovered && w->tokens == r->tokens && w->cost == r->cost;
	case 'G':
		return is_recovered;
	case 'S':
		return is_settled || is_recovered;
	case 's':
		return is_settled;
	case 'L':
		return is_released || is_recovered;
	case 'l':
		return is_released;
	}
	return false;
}

struct tally {
	int64_t rows, unlogged, recovered, settled, released;
};

static void check_rows(struct box *b, const struct log *logs, struct tally *t)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;

	assert_int_equal(sqlite3_open(b->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT id, tokens_reserved, cost_reserved, tokens, cost,"
					    " state FROM call ORDER BY id",
					    -1, &s, NULL),
			 SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW) {
		struct row w = { sqlite3_column_int64(s, 0),
				 sqlite3_column_int64(s, 1),
				 sqlite3_column_int64(s, 2),
				 sqlite3_column_int64(s, 3),
				 sqlite3_column_int64(s, 4),
				 (const char *)sqlite3_column_text(s, 5) };
		const struct record *r = NULL;

		for (int i = 0; i < WORKERS && !r; i++)
			r = find_record(logs[i].records, logs[i].n, w.id);
		if (!is_row_right(&w, r))
			fail_msg("call %lld is %s with %lld and %lld, but the log ends with '%c'",
				 (long long)w.id, w.state, (long long)w.tokens,
				 (long long)w.cost, r ? (char)r->op : '-');
		t->rows++;
		t->unlogged += !r;
		t->recovered += streq(w.state, "recovered");
		t->settled += streq(w.state, "settled");
		t->released += streq(w.state, "released");
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
}

/* Nothing that a worker was told is lost, and no more is there than it may have missed. */
static void check_logs(const struct log *logs, const struct tally *t)
{
	int64_t granted = 0, begun = 0, answered = 0;

	for (int i = 0; i < WORKERS; i++) {
		for (size_t k = 0; k < logs[i].n; k++) {
			granted += logs[i].records[k].op == 'R';
			begun += logs[i].records[k].op == 'B';
			answered += logs[i].records[k].op == 'R' ||
				    logs[i].records[k].op == 'N';
		}
	}
	assert_int_equal(t->rows, granted + t->unlogged);
	assert_true(t->unlogged <= begun - answered);
	assert_true(begun - answered <= KILLS + WORKERS);
}

static void test_killed_at_any_moment(void **state)
{
	struct box *b = *state;
	uint64_t seed = 20261122;
	pid_t pids[WORKERS], watcher;
	struct log logs[WORKERS];
	struct tally t = {};
	struct ledger *l = NULL;
	struct err e = {};
	int lives = 0;

	for (int i = 0; i < WORKERS; i++)
		pids[i] = start(b, i, 0);
	let_work(b, pids, &lives, 1);
	watcher = start(b, -1, 0);
	for (int k = 0; k < KILLS; k++) {
		int victim;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		victim = (int)(seed >> 33) % WORKERS;
		let_work(b, pids, &lives, 20 + (int64_t)(seed >> 40) % 100);
		assert_int_equal(kill(pids[victim], SIGKILL), 0);
		expect_end(pids[victim]);
		pids[victim] = start(b, victim, ++lives);
		if (k % KILLS_A_DAY == KILLS_A_DAY - 1)
			b->shared->now += DAY;
	}
	/* The last ones are killed while they hold something, or end. */
	for (int i = 0; i < WORKERS / 2; i++)
		kill(pids[i], SIGKILL);
	b->shared->is_over = true;
	for (int i = 0; i < WORKERS; i++)
		expect_end(pids[i]);
	expect_end(watcher);

	assert_int_equal(ledger_open(b->path, LEDGER_GATEWAY, 1000, NOON, &l, &e), 0);
	if (ledger_verify(l, &e) < 0 ||
	    ledger_counters(l, NULL, NULL, check_counter, NULL, &e) < 0 ||
	    ledger_close(l, NOON, &e) < 0)
		fail_msg("%s", e.msg);
	for (int i = 0; i < WORKERS; i++)
		logs[i] = read_log(b, i);
	check_rows(b, logs, &t);
	check_logs(logs, &t);
	print_message("# %lld calls: %lld settled, %lld released, %lld recovered, %lld refused\n",
		      (long long)t.rows, (long long)t.settled, (long long)t.released,
		      (long long)t.recovered, (long long)b->shared->refused);
	assert_true(t.settled > 100 && t.released > 10 && t.recovered > 10);
	assert_true(b->shared->refused > 10);
	for (int i = 0; i < WORKERS; i++)
		free(logs[i].records);
}

/* 64 calls at once with room for exactly five: five are granted, whoever they are. */
static _Noreturn void ask_at_once(struct box *b)
{
	const struct ledger_limit limit = {
		.scope = LEDGER_TEAM, .name = "t", .has_cost = true, .cost = 599
	};
	struct ledger_call c = { .limits = &limit, .n_limits = 1, .cost = 100 };
	struct ledger *l = NULL;
	struct ledger_answer a;
	struct err e = {};
	int granted = 0;

	if (ledger_open(b->path, LEDGER_GATEWAY, 60000, NOON, &l, &e) < 0)
		give_up(b, "open", e.msg);
	meet(b);
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
	struct box *b = *state;
	pid_t pids[WORKERS];
	int granted = 0;

	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			ask_at_once(b);
	}
	for (int i = 0; i < WORKERS; i++) {
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
	struct box *b = *state;
	pid_t pids[WORKERS];

	for (int round = 0; round < 10; round++) {
		snprintf(b->path, sizeof(b->path), "%s/%d.db", b->dir, round);
		b->shared->steps = 0;
		for (int i = 0; i < WORKERS; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0) {
				struct ledger *l = NULL;
				struct err e = {};

				meet(b);
				if (ledger_open(b->path, LEDGER_GATEWAY, 60000, NOON, &l,
						&e) < 0)
					die("open", e.msg);
				if (ledger_close(l, NOON, &e) < 0)
					die("close", e.msg);
				_exit(0);
			}
		}
		for (int i = 0; i < WORKERS; i++)
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
