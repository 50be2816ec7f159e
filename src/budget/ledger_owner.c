/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateways of a ledger: which of them are alive, and what becomes of the calls of those that are
 * not. The theory is at the top of ledger.c. Runs in purple-gateway and in purple.
 */
#include "budget/ledger_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "budget/ledger_db.h"

/* So many gateways may be dying at once as another one signs in. */
#define GHOSTS_MAX 64

static struct flock lock_of(int64_t owner)
{
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = owner, .l_len = 1
	};
}

int ledger_owner_open(struct ledger *l, struct err *e)
{
	_free_ char *path = str_printf("%s-live", l->path);

	if (!path)
		return err_oom(e);
	l->live = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	return l->live < 0 ? err_sys(e, "cannot open '%s'", path) : 0;
}

/* Within a transaction: a row for this process, whose byte it has locked. */
static int make_owner(struct ledger *l, int64_t now, int64_t *ret, struct err *e)
{
	for (int i = 0; i < GHOSTS_MAX; i++) {
		int r = ledger_db_run(l, SQL_OWNER_NEW, "sign in", e, "ii",
				      (int64_t)getpid(), now);
		int64_t owner = sqlite3_last_insert_rowid(l->db);
		struct flock lock = lock_of(owner);

		if (r < 0)
			return r;
		if (fcntl(l->live, F_OFD_SETLK, &lock) == 0) {
			*ret = owner;
			return 0;
		}
		if (errno != EAGAIN && errno != EACCES)
			return err_sys(e, "cannot lock byte %lld of '%s-live'",
				       (long long)owner, l->path);
		/*
		 * A gateway that is being killed as it signs in: the kernel has dropped SQLite's
		 * locks, so its row is gone, but not yet its lock on the byte of the row.
		 */
		r = ledger_db_run(l, SQL_OWNER_CLOSE, "sign in", e, "ii", owner, now);
		if (r < 0)
			return r;
	}
	return err_set(e, ERR_STATE, EBUSY,
		       "cannot sign in to the ledger '%s': another process holds locks on "
		       "'%s-live'",
		       l->path, l->path);
}

int ledger_owner_sign_in(struct ledger *l, int64_t now, struct err *e)
{
	int64_t owner = 0;
	int r = ledger_db_begin(l, "sign in", e);

	if (r < 0)
		return r;
	r = ledger_db_end(l, make_owner(l, now, &owner, e), "sign in", e);
	if (r == 0)
		l->owner = owner;
	return r;
}

static int is_alive(struct ledger *l, int64_t owner, bool *ret, struct err *e)
{
	struct flock lock = lock_of(owner);

	if (fcntl(l->live, F_OFD_GETLK, &lock) < 0)
		return err_sys(e, "cannot ask for locks on '%s-live'", l->path);
	*ret = lock.l_type != F_UNLCK;
	return 0;
}

int ledger_owner_charge(struct ledger *l, int64_t owner, int64_t now, size_t *calls,
			struct err *e)
{
	const enum ledger_sql q = SQL_CALL_OPEN_OF;
	int r;

	while ((r = ledger_db_run(l, q, "recover", e, "i", owner)) == 1) {
		int64_t id = ledger_db_i64(l, q, 0);
		int64_t reserved[2] = { ledger_db_i64(l, q, 1), ledger_db_i64(l, q, 2) };
		struct ledger_charge c = { .cost = reserved[1], .is_estimate = true };

		ledger_db_done(l, q);
		r = ledger_end_call(l, id, "recovered", reserved, &c, reserved[0], now, e);
		if (r < 0)
			return r;
		(*calls)++;
	}
	return r < 0 ? r :
		       ledger_db_run(l, SQL_OWNER_CLOSE, "recover", e, "ii", owner, now);
}

/* The next owner above `after` that is not closed; 0: there is none. */
static int next_owner(struct ledger *l, int64_t after, int64_t *ret, struct err *e)
{
	int r = ledger_db_run(l, SQL_OWNER_LIST, "recover", e, "i", after);

	*ret = 0;
	if (r <= 0)
		return r;
	*ret = ledger_db_i64(l, SQL_OWNER_LIST, 0);
	ledger_db_done(l, SQL_OWNER_LIST);
	return 0;
}

static int recover_owner(struct ledger *l, int64_t owner, int64_t now, size_t *calls,
			 struct err *e)
{
	bool alive = true;
	int r = is_alive(l, owner, &alive, e);

	if (r < 0 || alive)
		return r;
	r = ledger_db_begin(l, "recover", e);
	if (r < 0)
		return r;
	/* It may be closed by now, with nothing left to charge. */
	r = ledger_owner_charge(l, owner, now, calls, e);
	return ledger_db_end(l, r, "recover", e);
}

int ledger_recover(struct ledger *l, int64_t now, size_t *ret, struct err *e)
{
	int64_t owner = 0;
	size_t calls = 0;
	int r;

	while ((r = next_owner(l, owner, &owner, e)) == 0 && owner > 0) {
		r = owner == l->owner ? 0 : recover_owner(l, owner, now, &calls, e);
		if (r < 0)
			break;
	}
	if (r == 0)
		*ret = calls;
	return r;
}
