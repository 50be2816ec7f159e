/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger's SQLite file: see ledger_db.h. Runs in purple-gateway, before and after it gave its
 * privileges up, and in purple. SQLite's words end up in ours: which file, what was tried, and what
 * can be done.
 */
#include "budget/ledger_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

/* "PRLE", so that file(1) and we know whose it is. */
#define APPLICATION_ID 0x50524c45
#define SCHEMA_VERSION 2

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

/*
 * STRICT: a sum that does not fit into 64 bits becomes a REAL in SQLite, which such a column
 * refuses. Nothing wraps, and nothing below zero is stored.
 */
/* Those that nobody was billed for, the oldest of which go when there are many. */
#define RELEASED_INDEX "CREATE INDEX call_released ON call (id) WHERE state = 'released';"
#define RELEASED_OLDEST \
	"(SELECT id FROM call WHERE state = 'released' AND id < ?1 ORDER BY id LIMIT 4)"

#define MARK_TABLE                                                           \
	"CREATE TABLE mark (counter INTEGER NOT NULL, policy TEXT NOT NULL," \
	" percent INTEGER NOT NULL, PRIMARY KEY (counter, policy)) STRICT, WITHOUT ROWID;"

static const char schema[] =
	"CREATE TABLE owner (id INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL,"
	" opened INTEGER NOT NULL, closed INTEGER) STRICT;"
	"CREATE TABLE counter (id INTEGER PRIMARY KEY,"
	" scope TEXT NOT NULL, name TEXT NOT NULL, period TEXT NOT NULL, start INTEGER NOT NULL,"
	" tokens INTEGER NOT NULL DEFAULT 0 CHECK (tokens >= 0),"
	" cost INTEGER NOT NULL DEFAULT 0 CHECK (cost >= 0),"
	" tokens_reserved INTEGER NOT NULL DEFAULT 0 CHECK (tokens_reserved >= 0),"
	" cost_reserved INTEGER NOT NULL DEFAULT 0 CHECK (cost_reserved >= 0),"
	" tokens_added INTEGER NOT NULL DEFAULT 0, cost_added INTEGER NOT NULL DEFAULT 0,"
	" tokens_forgiven INTEGER NOT NULL DEFAULT 0 CHECK (tokens_forgiven BETWEEN 0 AND tokens),"
	" cost_forgiven INTEGER NOT NULL DEFAULT 0 CHECK (cost_forgiven BETWEEN 0 AND cost),"
	" tokens_limit INTEGER, cost_limit INTEGER,"
	" UNIQUE (scope, name, period, start)) STRICT;"
	"CREATE TABLE call (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL,"
	/* IN with so many values would have SQLite build a table of them for each row. */
	" state TEXT NOT NULL CHECK (state = 'open' OR state = 'settled' OR state = 'released'"
	" OR state = 'recovered'),"
	" started INTEGER NOT NULL, ended INTEGER,"
	" container TEXT, policy TEXT, team TEXT, provider TEXT, model TEXT, answered TEXT,"
	" tokens_reserved INTEGER NOT NULL CHECK (tokens_reserved >= 0),"
	" cost_reserved INTEGER NOT NULL CHECK (cost_reserved >= 0),"
	" tokens INTEGER NOT NULL DEFAULT 0 CHECK (tokens >= 0),"
	" cost INTEGER NOT NULL DEFAULT 0 CHECK (cost >= 0),"
	" estimated INTEGER NOT NULL DEFAULT 0 CHECK (estimated IN (0, 1)),"
	" in_uncached INTEGER NOT NULL DEFAULT 0, cache_read INTEGER NOT NULL DEFAULT 0,"
	" cache_audio INTEGER NOT NULL DEFAULT 0, cache_w5m INTEGER NOT NULL DEFAULT 0,"
	" cache_w1h INTEGER NOT NULL DEFAULT 0, in_audio INTEGER NOT NULL DEFAULT 0,"
	" out INTEGER NOT NULL DEFAULT 0, reasoning INTEGER NOT NULL DEFAULT 0,"
	" out_audio INTEGER NOT NULL DEFAULT 0, web_search INTEGER NOT NULL DEFAULT 0) STRICT;"
	"CREATE INDEX call_open ON call (owner) WHERE state = 'open';"
	"CREATE TABLE part (call INTEGER NOT NULL, counter INTEGER NOT NULL,"
	" PRIMARY KEY (call, counter)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE adjustment (id INTEGER PRIMARY KEY AUTOINCREMENT, counter INTEGER NOT NULL,"
	" at INTEGER NOT NULL, uid INTEGER NOT NULL,"
	" kind TEXT NOT NULL CHECK (kind IN ('add', 'reset')),"
	" tokens INTEGER NOT NULL, cost INTEGER NOT NULL) STRICT;" RELEASED_INDEX MARK_TABLE
	"PRAGMA application_id = " TEXT_OF(
		APPLICATION_ID) ";"
				"PRAGMA user_version = " TEXT_OF(SCHEMA_VERSION) ";";

/* From version 1, which had no marks. */
static const char schema_from_1[] = MARK_TABLE
	"PRAGMA user_version = " TEXT_OF(SCHEMA_VERSION) ";";

#define COUNTER_COLUMNS                                                               \
	"id, tokens, cost, tokens_reserved, cost_reserved, tokens_added, cost_added," \
	" tokens_forgiven, cost_forgiven, tokens_limit, cost_limit"

static const char *const statements[SQL_STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_BEGIN_READING] = "BEGIN",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_COUNTER_FIND] = "SELECT " COUNTER_COLUMNS " FROM counter"
			     " WHERE scope = ?1 AND name = ?2 AND period = ?3 AND start = ?4",
	[SQL_COUNTER_BY_ID] = "SELECT " COUNTER_COLUMNS " FROM counter WHERE id = ?1",
	[SQL_COUNTER_NEW] =
		"INSERT INTO counter (scope, name, period, start) VALUES (?1, ?2, ?3, ?4)",
	[SQL_COUNTER_LIMITS] =
		"UPDATE counter SET tokens_limit = ?2, cost_limit = ?3 WHERE id = ?1",
	[SQL_COUNTER_WRITE] = "UPDATE counter SET tokens = ?2, cost = ?3, tokens_reserved = ?4,"
			      " cost_reserved = ?5 WHERE id = ?1",
	[SQL_CALL_NEW] =
		"INSERT INTO call (owner, state, started, container, policy, team, provider,"
		" model, tokens_reserved, cost_reserved)"
		" VALUES (?1, 'open', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[SQL_CALL_PART] = "INSERT INTO part (call, counter) VALUES (?1, ?2)",
	[SQL_CALL_COUNTERS] = "SELECT counter FROM part WHERE call = ?1",
	[SQL_CALL_GROW] = "UPDATE call SET tokens_reserved = tokens_reserved + ?2,"
			  " cost_reserved = cost_reserved + ?3 WHERE id = ?1",
	[SQL_CALL_FIND] = "SELECT state = 'open', owner, tokens_reserved, cost_reserved, started"
			  " FROM call WHERE id = ?1",
	[SQL_CALL_END] =
		"UPDATE call SET state = ?2, ended = ?3, tokens = ?4, cost = ?5, estimated = ?6,"
		" answered = ?7, in_uncached = ?8, cache_read = ?9, cache_audio = ?10,"
		" cache_w5m = ?11, cache_w1h = ?12, in_audio = ?13, out = ?14, reasoning = ?15,"
		" out_audio = ?16, web_search = ?17 WHERE id = ?1",
	[SQL_CALL_OPEN_OF] = "SELECT id, tokens_reserved, cost_reserved FROM call"
			     " WHERE owner = ?1 AND state = 'open' LIMIT 1",
	[SQL_OWNER_NEW] = "INSERT INTO owner (pid, opened) VALUES (?1, ?2)",
	[SQL_OWNER_LIST] =
		"SELECT id FROM owner WHERE closed IS NULL AND id > ?1 ORDER BY id LIMIT 1",
	[SQL_OWNER_CLOSE] = "UPDATE owner SET closed = ?2 WHERE id = ?1",
	[SQL_ADJUST] = "INSERT INTO adjustment (counter, at, uid, kind, tokens, cost)"
		       " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[SQL_COUNTER_ADD] =
		"UPDATE counter SET tokens_added = tokens_added + ?2, cost_added = cost_added + ?3"
		" WHERE id = ?1",
	[SQL_COUNTER_RESET] =
		"UPDATE counter SET tokens_forgiven = tokens, cost_forgiven = cost WHERE id = ?1",
	[SQL_COUNTER_CHARGED] =
		"SELECT tokens - tokens_forgiven, cost - cost_forgiven FROM counter WHERE id = ?1",
	[SQL_RELEASED_PARTS] = "DELETE FROM part WHERE call IN " RELEASED_OLDEST,
	[SQL_RELEASED] = "DELETE FROM call WHERE id IN " RELEASED_OLDEST,
	[SQL_MARK_FIND] = "SELECT percent FROM mark WHERE counter = ?1 AND policy = ?2",
	[SQL_MARK_SET] = "INSERT OR REPLACE INTO mark (counter, policy, percent)"
			 " VALUES (?1, ?2, ?3)",
};

/* --- errors --- */

struct reason {
	int code;
	enum err_kind kind;
	const char *text;
};

static struct reason reason_of(struct ledger *l, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: /* so after ten seconds of others' locks on the log */
		return (struct reason){ EBUSY, ERR_STATE,
					"another process has it locked, for longer than was "
					"waited" };
	case SQLITE_FULL:
		return (struct reason){ ENOSPC, ERR_KERNEL, "its disk is full" };
	case SQLITE_READONLY:
		return (struct reason){ EROFS, ERR_KERNEL, "it cannot be written" };
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return (struct reason){ EACCES, ERR_KERNEL, "access is denied" };
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return (struct reason){ EBADMSG, ERR_STATE,
					"it is damaged, or no ledger (move it away, with its "
					"-wal and -shm files, or restore a copy)" };
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
		return (struct reason){ EOVERFLOW, ERR_STATE, "a sum is out of range" };
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		if (l->db && sqlite3_system_errno(l->db) > 0)
			return (struct reason){ sqlite3_system_errno(l->db), ERR_KERNEL,
						NULL };
		return (struct reason){ EIO, ERR_KERNEL, "its disk fails" };
	}
	return (struct reason){ EIO, ERR_INTERNAL, "SQLite refuses" };
}

int ledger_db_fail(struct ledger *l, int rc, const char *what, struct err *e)
{
	struct reason r = reason_of(l, rc);

	if ((rc & 0xff) == SQLITE_NOMEM)
		return err_oom(e);
	return err_set(e, r.kind, r.code, "cannot %s in the ledger '%s': %s (%s)", what,
		       l->path, r.text ? r.text : strerror(r.code),
		       l->db ? sqlite3_errmsg(l->db) : sqlite3_errstr(rc));
}

int ledger_db_out_of_range(struct ledger *l, const char *what, struct err *e)
{
	return err_set(e, ERR_STATE, EOVERFLOW,
		       "cannot %s in the ledger '%s': a sum is out of range", what,
		       l->path);
}

/* --- waiting --- */

/*
 * SQLite asks before each new try. Its own waits grow to 100 ms; a transaction here takes some
 * 50 microseconds.
 */
static int on_busy(void *arg, int tries)
{
	struct ledger *l = arg;
	struct timespec nap = { .tv_nsec = tries < 20 ? 50000 : 1000000 };
	int64_t now = clock_ms(CLOCK_MONOTONIC);

	if (tries == 0)
		l->wait_since = now;
	if (now - l->wait_since >= l->wait_ms)
		return 0;
	nanosleep(&nap, NULL);
	return 1;
}

/* --- statements --- */

static int prepare(struct ledger *l, enum ledger_sql q)
{
	if (l->statements[q])
		return SQLITE_OK;
	return sqlite3_prepare_v3(l->db, statements[q], -1, SQLITE_PREPARE_PERSISTENT,
				  &l->statements[q], NULL);
}

/* What comes after it must not be kept without it. */
static int fail(struct ledger *l, int rc, const char *what, struct err *e)
{
	int r = ledger_db_fail(l, rc, what, e);

	if (l->depth > 0 && l->doom.code == 0)
		l->doom = *e;
	return r;
}

static int doomed(const struct ledger *l, struct err *e)
{
	*e = l->doom;
	return -e->code;
}

static int step(struct ledger *l, enum ledger_sql q, const char *what, struct err *e)
{
	int rc = sqlite3_step(l->statements[q]), r;

	if (rc == SQLITE_ROW)
		return 1;
	r = rc == SQLITE_DONE ? 0 : fail(l, rc, what, e);
	ledger_db_done(l, q);
	return r;
}

int ledger_db_run(struct ledger *l, enum ledger_sql q, const char *what, struct err *e,
		  const char *types, ...)
{
	int rc;
	va_list ap;

	if (l->doom.code != 0)
		return doomed(l, e);
	rc = prepare(l, q);
	va_start(ap, types);
	for (int i = 1; rc == SQLITE_OK && *types; types++, i++) {
		if (*types == 'i')
			rc = sqlite3_bind_int64(l->statements[q], i, va_arg(ap, int64_t));
		else if (*types == 't')
			rc = sqlite3_bind_text(l->statements[q], i,
					       va_arg(ap, const char *), -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_null(l->statements[q], i);
	}
	va_end(ap);
	return rc == SQLITE_OK ? step(l, q, what, e) : fail(l, rc, what, e);
}

int ledger_db_next(struct ledger *l, enum ledger_sql q, const char *what, struct err *e)
{
	return step(l, q, what, e);
}

void ledger_db_done(struct ledger *l, enum ledger_sql q)
{
	sqlite3_reset(l->statements[q]);
}

int64_t ledger_db_i64(struct ledger *l, enum ledger_sql q, int column)
{
	return sqlite3_column_int64(l->statements[q], column);
}

bool ledger_db_is_null(struct ledger *l, enum ledger_sql q, int column)
{
	return sqlite3_column_type(l->statements[q], column) == SQLITE_NULL;
}

int ledger_db_exec(struct ledger *l, const char *sql, const char *what, struct err *e)
{
	int rc = sqlite3_exec(l->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : ledger_db_fail(l, rc, what, e);
}

static int begin(struct ledger *l, enum ledger_sql q, const char *what, struct err *e)
{
	const bool is_reading = q == SQL_BEGIN_READING;
	int r;

	if (l->doom.code != 0)
		return doomed(l, e);
	if (l->depth > 0 && l->is_reading && !is_reading)
		return err_set(e, ERR_INTERNAL, EINVAL,
			       "cannot %s in the ledger '%s' while it is read", what,
			       l->path);
	r = l->depth > 0 ? 0 : ledger_db_run(l, q, what, e, "");
	if (r < 0)
		return r;
	if (l->depth++ == 0)
		l->is_reading = is_reading;
	return 0;
}

int ledger_db_begin(struct ledger *l, const char *what, struct err *e)
{
	return begin(l, SQL_BEGIN, what, e);
}

int ledger_db_begin_reading(struct ledger *l, struct err *e)
{
	return begin(l, SQL_BEGIN_READING, "read", e);
}

int ledger_db_end(struct ledger *l, int r, const char *what, struct err *e)
{
	struct err ignored;

	if (l->depth > 1) {
		l->depth--;
		return r;
	}
	if (r >= 0 && l->doom.code != 0)
		r = doomed(l, e);
	if (r >= 0) {
		int c = counters_write(l, e);

		if (c == 0)
			c = ledger_db_run(l, SQL_COMMIT, what, e, "");
		r = c < 0 ? c : r;
	}
	counters_forget(l);
	l->depth = 0;
	l->doom.code = 0;
	/* A failure may have ended the transaction already. */
	if (r < 0 && !sqlite3_get_autocommit(l->db))
		ledger_db_run(l, SQL_ROLLBACK, what, &ignored, "");
	return r;
}

/* --- opening --- */

/* The value of a pragma; `sql` is constant. */
static int read_pragma(struct ledger *l, const char *sql, int64_t *ret, struct err *e)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(l->db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 0 : ledger_db_fail(l, rc, "read the version", e);
}

/*
 * Within a transaction, so that nobody makes the tables between two questions. *ret: 0 where the
 * file holds nothing yet.
 */
static int read_version(struct ledger *l, int64_t *ret, struct err *e)
{
	int64_t id = 0, version = 0, tables = 0;
	int r = read_pragma(l, "PRAGMA application_id", &id, e);

	if (r == 0)
		r = read_pragma(l, "PRAGMA user_version", &version, e);
	if (r == 0)
		r = read_pragma(l, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (r < 0)
		return r;
	*ret = version;
	if (id == 0 && version == 0 && tables == 0)
		return 0;
	if (id != APPLICATION_ID)
		return err_set(e, ERR_STATE, EBADMSG,
			       "'%s' is a database, but no ledger of Purple's", l->path);
	if (version > SCHEMA_VERSION)
		return err_set(e, ERR_STATE, EPROTONOSUPPORT,
			       "the ledger '%s' was made by a newer version of Purple (its schema is "
			       "%lld, and this version knows %d): update Purple",
			       l->path, (long long)version, SCHEMA_VERSION);
	if (version < 1)
		return err_set(e, ERR_STATE, EBADMSG, "the ledger '%s' has no version",
			       l->path);
	return 0;
}

/* Whether the file is a ledger of a version that we know; *ret as above. */
static int check_version(struct ledger *l, int64_t *ret, struct err *e)
{
	int r = ledger_db_begin_reading(l, e);

	return r < 0 ? r : ledger_db_end(l, read_version(l, ret, e), "read the version", e);
}

/* Of several that find the file empty, or old, one makes the tables. */
static int make_tables(struct ledger *l, struct err *e)
{
	const char *what = "make tables";
	int64_t version = 0;
	int r = ledger_db_begin(l, what, e);

	if (r < 0)
		return r;
	r = read_version(l, &version, e);
	if (r == 0 && version < SCHEMA_VERSION)
		r = ledger_db_exec(l, version == 0 ? schema : schema_from_1, what, e);
	return ledger_db_end(l, r, what, e);
}

/* SQLite does not always ask on_busy() here: who else may be switching to WAL is no one to wait
 * for, in its view. */
static int set_wal(struct ledger *l, struct err *e)
{
	int tries = 0, rc;

	do {
		sqlite3_stmt *s = NULL;
		bool is_wal = false;

		rc = sqlite3_prepare_v2(l->db, "PRAGMA journal_mode = WAL", -1, &s, NULL);
		if (rc == SQLITE_OK)
			rc = sqlite3_step(s);
		if (rc == SQLITE_ROW)
			is_wal = streq((const char *)sqlite3_column_text(s, 0), "wal");
		sqlite3_finalize(s);
		if (is_wal)
			return 0;
		if (rc == SQLITE_ROW)
			return err_set(e, ERR_KERNEL, ENOTSUP,
				       "the ledger '%s' is on a file system that cannot have it "
				       "(no shared memory: a network file system?)",
				       l->path);
	} while ((rc & 0xff) == SQLITE_BUSY && on_busy(l, tries++));
	return ledger_db_fail(l, rc, "turn the log on", e);
}

static int configure(struct ledger *l, enum ledger_mode mode, struct err *e)
{
	int64_t version = 0;
	int r;

	sqlite3_extended_result_codes(l->db, 1);
	sqlite3_busy_handler(l->db, on_busy, l);
	/* Gateways write this file: nothing in it may do more than hold data. */
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	if (sqlite3_db_readonly(l->db, "main"))
		return ledger_db_fail(l, SQLITE_READONLY, "write", e);
	r = check_version(l, &version, e);
	if (r == 0 && version == 0 && mode != LEDGER_GATEWAY)
		r = err_set(e, ERR_STATE, EBADMSG, "'%s' is no ledger: it is empty",
			    l->path);
	/* A call changes a few rows here and there: with small pages that is less to write. */
	if (r == 0 && version == 0)
		r = ledger_db_exec(l, "PRAGMA page_size = 1024", "set options", e);
	if (r == 0)
		r = set_wal(l, e);
	/*
	 * A checkpoint waits for the disk: one in some 500 calls, for a log of 16 MB. Nothing in the
	 * file is so secret that what is deleted would have to be zeroed.
	 */
	if (r == 0)
		r = ledger_db_exec(l,
				   "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
				   " PRAGMA secure_delete = OFF;"
				   " PRAGMA wal_autocheckpoint = 16000",
				   "set options", e);
	if (r == 0)
		r = ledger_db_exec(l,
				   mode == LEDGER_GATEWAY ? "PRAGMA synchronous = NORMAL" :
							    "PRAGMA synchronous = FULL",
				   "set options", e);
	if (r == 0 && version < SCHEMA_VERSION)
		r = make_tables(l, e);
	return r;
}

int ledger_db_open(const char *path, enum ledger_mode mode, unsigned int wait_ms,
		   struct ledger **ret, struct err *e)
{
	struct ledger *l = calloc(1, sizeof(*l));
	_close_ int fd = -1;
	int rc, r;

	if (!l)
		return err_oom(e);
	l->live = -1;
	l->wait_ms = wait_ms;
	l->path = strdup(path);
	if (!l->path) {
		ledger_db_close(l);
		return err_oom(e);
	}
	/*
	 * SQLite gives new files the mode of the umask, and its others the mode of this one. A file
	 * that is there is left alone: closing any descriptor of it would give up SQLite's locks.
	 */
	if (mode == LEDGER_GATEWAY) {
		fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
		if (fd < 0 && errno != EEXIST) {
			r = err_sys(e, "cannot make the ledger '%s'", path);
			ledger_db_close(l);
			return r;
		}
	}
	fd_close(&fd);
	/* One thread, and nobody who asks for statistics. Too late in a process that has one open. */
	sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	rc = sqlite3_open_v2(path, &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
			     NULL);
	r = rc == SQLITE_OK ? configure(l, mode, e) : ledger_db_fail(l, rc, "open it", e);
	if (r < 0) {
		ledger_db_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

void ledger_db_close(struct ledger *l)
{
	if (!l)
		return;
	for (int i = 0; i < SQL_STATEMENTS; i++)
		sqlite3_finalize(l->statements[i]);
	sqlite3_close(l->db);
	counters_forget(l);
	fd_close(&l->live);
	free(l->path);
	free(l);
}
