/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's SQLite file: opening, statements, transactions, errors. Of ledger*.c alone. */
#ifndef PURPLE_BUDGET_LEDGER_DB_H
#define PURPLE_BUDGET_LEDGER_DB_H

#include <sqlite3.h>
#include <time.h>

#include "base/err.h"
#include "budget/ledger.h"
#include "budget/ledger_counter.h"

enum ledger_sql {
	SQL_BEGIN,
	SQL_BEGIN_READING,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_COUNTER_FIND,
	SQL_COUNTER_BY_ID,
	SQL_COUNTER_NEW,
	SQL_COUNTER_LIMITS,
	SQL_COUNTER_WRITE,
	SQL_CALL_NEW,
	SQL_CALL_PART,
	SQL_CALL_COUNTERS,
	SQL_CALL_GROW,
	SQL_CALL_FIND,
	SQL_CALL_END,
	SQL_CALL_OPEN_OF,
	SQL_OWNER_NEW,
	SQL_OWNER_LIST,
	SQL_OWNER_CLOSE,
	SQL_ADJUST,
	SQL_COUNTER_ADD,
	SQL_COUNTER_RESET,
	SQL_COUNTER_CHARGED,
	SQL_RELEASED_PARTS,
	SQL_RELEASED,
	SQL_MARK_FIND,
	SQL_MARK_SET,
	SQL_STATEMENTS,
};

struct ledger {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_STATEMENTS]; /* made when first used */
	char *path;
	int live;      /* "PATH-live", where each gateway holds a lock; -1: none */
	int64_t owner; /* this gateway's row; 0: none */
	unsigned int wait_ms;
	int64_t wait_since; /* CLOCK_MONOTONIC, ms */
	unsigned int depth; /* transactions that are open, each within the one before */
	bool is_reading;    /* the first of them writes nothing */
	struct err doom;    /* code 0: none; else what the file refused within it */
	struct counter counters[LEDGER_COUNTERS_MAX]; /* of the transaction */
	size_t counters_n;
};

/* Sets `e` to what SQLite says; `what` is what was tried. Returns -errno. */
int ledger_db_fail(struct ledger *l, int rc, const char *what, struct err *e);

/* A sum that the ledger cannot hold: -EOVERFLOW. */
int ledger_db_out_of_range(struct ledger *l, const char *what, struct err *e);

int ledger_db_open(const char *path, enum ledger_mode mode, unsigned int wait_ms,
		   struct ledger **ret, struct err *e);
void ledger_db_close(struct ledger *l);

/*
 * Binds `types` ('i' int64_t, 't' text or NULL, 'n' NULL, without an argument) and runs one step: 1
 * with a row, of which columns can be read, 0 at the end, -errno. After 1 comes ledger_db_next() or
 * ledger_db_done(); texts must stay until then.
 */
int ledger_db_run(struct ledger *l, enum ledger_sql q, const char *what, struct err *e,
		  const char *types, ...);
int ledger_db_next(struct ledger *l, enum ledger_sql q, const char *what, struct err *e);
void ledger_db_done(struct ledger *l, enum ledger_sql q);
int64_t ledger_db_i64(struct ledger *l, enum ledger_sql q, int column);
bool ledger_db_is_null(struct ledger *l, enum ledger_sql q, int column);

/* Text that is not one of the statements: for what is asked once. */
int ledger_db_exec(struct ledger *l, const char *sql, const char *what, struct err *e);

/*
 * A transaction that writes, or reads alone. ledger_db_end() commits when r is 0 or above, else
 * takes everything back, and returns r or what went wrong. Within another one it is a part of that,
 * and waits for the whole: a part that refuses has to do so before it writes. When the file itself
 * refuses a statement, whatever comes after it fails the same way, and the whole is taken back.
 */
int ledger_db_begin(struct ledger *l, const char *what, struct err *e);
int ledger_db_begin_reading(struct ledger *l, struct err *e);
int ledger_db_end(struct ledger *l, int r, const char *what, struct err *e);

#endif
