/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several processes that work on one ledger and are killed at any moment, each with a log of its own
 * that it writes by write(2) before and after each step; another one looks on; and the rows of the
 * ledger, to be held against the logs.
 *
 * SQLite must not be open across fork(): the process of the test opens nothing before all are gone.
 */
#ifndef PURPLE_TESTS_LEDGER_CREW_H
#define PURPLE_TESTS_LEDGER_CREW_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"

#define NOON INT64_C(1795348800000) /* 2026-11-22 12:00:00 UTC */
#define DAY INT64_C(86400000)

enum { CREW_WORKERS = 8, CREW_CALLS_OF_A_LIFE = 400 };

/* What the processes share. */
struct crew_shared {
	_Atomic int64_t now; /* milliseconds from NOON: budgets start anew as it passes days */
	_Atomic int64_t steps; /* of all workers */
	_Atomic int64_t refused, admitted, waiting, spent;
	_Atomic bool is_over;
};

static struct crew_shared *shared;

static inline void crew_setup(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
}

/* After a failure too, nobody stays. */
static inline void crew_teardown(void)
{
	shared->is_over = true;
	while (wait(NULL) > 0)
		;
	munmap(shared, sizeof(*shared));
}

/* --- in a worker --- */

/* The reason goes to stderr, the others stop, and the exit status tells the test. */
static inline _Noreturn void die(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s\n", what, more);
	shared->is_over = true;
	_exit(1);
}

/* All go on from here when so many steps are made, or none waits when one had to give up. */
static inline void crew_meet(int64_t steps)
{
	shared->steps++;
	while (shared->steps < steps && !shared->is_over)
		sched_yield();
}

/* `op` is a letter of the test's own. */
struct record {
	int64_t op, id, tokens, cost;
};

/* One life of a worker. */
struct life {
	int log;
	uint64_t seed;
};

static inline void life_begin(struct life *l, const char *dir, int index, int life,
			      uint64_t seed)
{
	_free_ char *path = str_printf("%s/log-%d", dir, index);

	l->seed = 88172645463325252u + (uint64_t)index * 7919 + (uint64_t)life * 104729 +
		  seed;
	l->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (l->log < 0)
		die(path, strerror(errno));
}

static inline int64_t roll(struct life *l, int64_t n)
{
	l->seed ^= l->seed << 13;
	l->seed ^= l->seed >> 7;
	l->seed ^= l->seed << 17;
	return (int64_t)(l->seed % (uint64_t)n);
}

static inline void note(struct life *l, char op, int64_t id, int64_t tokens, int64_t cost)
{
	struct record r = { op, id, tokens, cost };

	if (write(l->log, &r, sizeof(r)) != sizeof(r))
		die("cannot write the log", strerror(errno));
	shared->steps++;
}

/* --- in the test --- */

struct crew {
	uint64_t seed;			   /* of who is killed when */
	void (*work)(int index, int life); /* one life: ends with _exit(0), or is killed */
	void (*look_on)(void);		   /* until shared->is_over; ends with _exit(0) */
	void (*meanwhile)(void);	   /* in the test, now and then; may be NULL */
	pid_t pids[CREW_WORKERS], onlooker;
	int lives;
};

static inline pid_t crew_start(const struct crew *c, int index, int life)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (index < 0)
			c->look_on();
		else
			c->work(index, life);
		_exit(1);
	}
	return pid;
}

/* Waits for the end of a child: it was killed, or came to its end without a complaint. */
static inline void expect_end(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!(WIFEXITED(status) && WEXITSTATUS(status) == 0) &&
	    !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		fail_msg("a child ended with status %#x", status);
}

/* Until the workers together went on by so many steps; lives that end are followed by others. */
static inline void crew_let_work(struct crew *c, int64_t steps)
{
	int64_t until = shared->steps + steps;

	while (shared->steps < until) {
		const struct timespec nap = { .tv_nsec = 100000 };

		nanosleep(&nap, NULL);
		if (c->meanwhile)
			c->meanwhile();
		for (int i = 0; i < CREW_WORKERS; i++) {
			int status = 0;

			if (waitpid(c->pids[i], &status, WNOHANG) != c->pids[i])
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				fail_msg("worker %d ended with status %#x", i, status);
			c->pids[i] = crew_start(c, i, ++c->lives);
		}
	}
}

/* The ledger is there before somebody looks on. */
static inline void crew_begin(struct crew *c)
{
	for (int i = 0; i < CREW_WORKERS; i++)
		c->pids[i] = crew_start(c, i, 0);
	crew_let_work(c, 1);
	c->onlooker = crew_start(c, -1, 0);
}

/* After `least` steps, and up to `more`, one is killed, and another one takes its place. */
static inline void crew_kill_one(struct crew *c, int64_t least, int64_t more)
{
	int victim;

	c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
	victim = (int)(c->seed >> 33) % CREW_WORKERS;
	crew_let_work(c, least + (int64_t)(c->seed >> 40) % more);
	assert_int_equal(kill(c->pids[victim], SIGKILL), 0);
	expect_end(c->pids[victim]);
	c->pids[victim] = crew_start(c, victim, ++c->lives);
}

/* The last ones are killed while they hold something, or end. */
static inline void crew_end(struct crew *c)
{
	for (int i = 0; i < CREW_WORKERS / 2; i++)
		kill(c->pids[i], SIGKILL);
	shared->is_over = true;
	for (int i = 0; i < CREW_WORKERS; i++)
		expect_end(c->pids[i]);
	expect_end(c->onlooker);
}

/* --- logs and rows --- */

struct log {
	struct record *records;
	size_t n;
};

static inline struct log read_log(const char *dir, int index)
{
	_free_ char *path = str_printf("%s/log-%d", dir, index);
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

static inline bool is_recovered(const struct row *w)
{
	return streq(w->state, "recovered") && w->tokens == w->tokens_reserved &&
	       w->cost == w->cost_reserved;
}

static inline bool is_released(const struct row *w)
{
	return streq(w->state, "released") && w->tokens == 0 && w->cost == 0;
}

struct tally {
	int64_t rows, unlogged, settled, recovered, released;
};

/* `check` fails the test where a row is not right, and says whether a log has it. */
static inline void check_rows(const char *path, const struct log *logs,
			      bool (*check)(const struct row *w, const struct log *logs),
			      struct tally *t)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *s = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
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

		t->rows++;
		t->unlogged += !check(&w, logs);
		t->recovered += streq(w.state, "recovered");
		t->settled += streq(w.state, "settled");
		t->released += streq(w.state, "released");
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
}

#endif
