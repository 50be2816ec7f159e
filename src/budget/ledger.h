/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: what was spent and what is promised to calls that are under way, in one SQLite file
 * that all gateways of a host share. No prompt and no answer, nor a part of one, is ever in it.
 * How it works, and why it holds, is at the top of ledger.c.
 *
 * An error means that nothing was changed, and that no call may be made: the caller refuses it.
 */
#ifndef PURPLE_BUDGET_LEDGER_H
#define PURPLE_BUDGET_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "budget/usage.h"

#define LEDGER_FILE LOCALSTATEDIR "/lib/purple/ledger.db"

struct ledger;

enum ledger_mode {
	LEDGER_GATEWAY, /* makes the file where there is none; reserves and settles */
	LEDGER_ADMIN,	/* the file must be there; reads, and adjusts budgets */
};

/*
 * Opens the ledger, and charges what gateways that ended without a word had reserved. Waits for a
 * lock of another process `wait_ms` at most, here and in each call below. `now` is in milliseconds
 * since 1970, here and below.
 *
 * -EBUSY (locked), -ENOSPC, -EROFS, -EACCES, -ENOENT, -EBADMSG (damaged, or no ledger),
 * -EPROTONOSUPPORT (made by a newer Purple), -EIO.
 * Mustn't: be open across fork().
 */
int ledger_open(const char *path, enum ledger_mode mode, unsigned int wait_ms,
		int64_t now, struct ledger **ret, struct err *e);

/*
 * Charges what this gateway has still reserved, in full, and sees to it that all is on the disk.
 * On failure all is closed nevertheless, and who opens the ledger next does the same.
 */
int ledger_close(struct ledger *l, int64_t now, struct err *e);

/* Closes without a word, as a crash does. */
void ledger_drop(struct ledger *l);

enum ledger_scope { LEDGER_SESSION, LEDGER_POLICY, LEDGER_TEAM };
enum ledger_period { LEDGER_ALWAYS, LEDGER_DAY, LEDGER_MONTH }; /* of UTC */

/* "session", "policy", "team"; "always", "day", "month". */
const char *ledger_scope_name(enum ledger_scope s);
const char *ledger_period_name(enum ledger_period p);

/*
 * A budget. Who names the same scope, name and period shares it; the limits are the caller's own.
 * The name of a session is a container's for one life of it: ids are used again.
 */
struct ledger_limit {
	enum ledger_scope scope;
	enum ledger_period period;
	const char *name;
	bool has_tokens, has_cost;
	int64_t tokens, cost; /* cost in picodollars, everywhere here */
};

/* A call that is about to be made, with the most that it can take. Texts may be NULL. */
struct ledger_call {
	const char *container, *policy, *team, *provider, *model;
	const struct ledger_limit *limits; /* all of them must hold */
	size_t n_limits;
	int64_t tokens, cost;
};

/* What all limits together leave; INT64_MAX where nothing limits. Never below zero. */
struct ledger_left {
	int64_t tokens, cost;
};

struct ledger_answer {
	bool granted;
	int64_t id; /* granted: of the reservation */
	size_t limit; /* refused: the first limit that does not hold, of those of the call */
	bool too_little_tokens, too_little_money; /* refused: by what of it */
	struct ledger_left left; /* after the reservation, or without it */
};

/* 0 also when refused. The sums of a limit never pass it, by one token or picodollar. */
int ledger_reserve(struct ledger *l, const struct ledger_call *c, int64_t now,
		   struct ledger_answer *ret, struct err *e);

/*
 * Reserves more for a call that is under way, as an answer grows beyond what was thought of; `c` is
 * what was reserved, but for the sums: these are what comes besides. All or nothing, as above, and in
 * the period in which the call began.
 */
int ledger_grow(struct ledger *l, int64_t id, const struct ledger_call *c,
		struct ledger_answer *ret, struct err *e);

int ledger_left(struct ledger *l, const struct ledger_limit *limits, size_t n,
		int64_t now, struct ledger_left *ret, struct err *e);

/* What is in the counter of a limit; nothing yet is all zero, but for `start`. */
struct ledger_state {
	int64_t start;	      /* of the period, in milliseconds; 0: always */
	int64_t tokens, cost; /* charged, less what was forgiven */
	int64_t tokens_reserved, cost_reserved; /* for calls under way, of all gateways */
	int64_t tokens_added, cost_added;	/* to the limits, by the administrator */
};

/* ret[i]: of limits[i]; all of them at one moment. */
int ledger_look(struct ledger *l, const struct ledger_limit *limits, size_t n,
		int64_t now, struct ledger_state *ret, struct err *e);

/*
 * How much of a limit is charged, in percent; additions count to the limit. Of tokens and cost,
 * where both are limited, the larger. At most UINT32_MAX; 100 where the limit is zero.
 */
uint32_t ledger_percent(const struct ledger_limit *limit, const struct ledger_state *s);

/*
 * Which of `marks` (percent, ascending) is reached, told to one of all that share the counter: *ret
 * is the number of the first mark that this call reached and nobody was told before, and *ret_end
 * that behind the last; equal ones: none. A mark that is not reached any more, after an adjustment,
 * counts as never told. `policy`: whose marks they are.
 */
int ledger_reach(struct ledger *l, const struct ledger_limit *limit, const char *policy,
		 const uint32_t *marks, size_t n, int64_t now, size_t *ret,
		 size_t *ret_end, struct err *e);

/* A call that is over. */
struct ledger_charge {
	struct usage usage;
	int64_t cost;
	const char *answered; /* the model that the answer named, or NULL */
	bool is_estimate;     /* the provider gave no figures */
};

/*
 * Charges a call, in the period in which it was reserved, and gives the rest of its reservation
 * back. -EALREADY: it was charged or released before.
 */
int ledger_settle(struct ledger *l, int64_t id, const struct ledger_charge *c,
		  int64_t now, struct err *e);
/* Gives a reservation back: the provider was not reached, or refused. The call is forgotten later. */
int ledger_release(struct ledger *l, int64_t id, int64_t now, struct err *e);

/*
 * Several of the above at once, for the cost of one: nothing of them is in the file before
 * ledger_end(), and nothing at all when `r` is below zero or it fails. What is refused in between
 * (not granted, -EALREADY, -ENOENT, -EPERM, -EINVAL, -EOVERFLOW) leaves the others as they are; an
 * error of the file fails all of them, and ledger_end() says so. Other gateways wait meanwhile: no
 * waiting, no other work. Not: ledger_close().
 */
int ledger_begin(struct ledger *l, struct err *e);
int ledger_end(struct ledger *l, int r, struct err *e);

/* Charges what dead gateways had reserved; *ret is the number of calls. */
int ledger_recover(struct ledger *l, int64_t now, size_t *ret, struct err *e);

/* --- for people (ledger_query.c) --- */

/* A budget as it is now. */
struct ledger_counter {
	int64_t id;
	const char *scope, *name, *period;
	int64_t start;	      /* of the period, in milliseconds; 0: always */
	int64_t tokens, cost; /* charged, less what was forgiven */
	int64_t tokens_reserved, cost_reserved; /* for calls under way */
	int64_t tokens_added, cost_added;	/* to the limits, by the administrator */
	bool has_tokens_limit, has_cost_limit;
	int64_t tokens_limit,
		cost_limit; /* of the policy that reserved last, and what was added */
};

/* When the period ends; INT64_MAX: never. */
int64_t ledger_counter_end(const struct ledger_counter *c);

/* Calls `each` for every counter, the newest first; a return value that is not 0 ends it. Texts
 * are valid during the call. `scope` and `name` may be NULL. */
typedef int (*ledger_each_counter)(const struct ledger_counter *c, void *arg);
int ledger_counters(struct ledger *l, const char *scope, const char *name,
		    ledger_each_counter each, void *arg, struct err *e);

/* Raises (or lowers) the limits of a counter. Every adjustment is a row of its own. */
int ledger_add(struct ledger *l, int64_t counter, int64_t tokens, int64_t cost,
	       int64_t now, struct err *e);
/* Forgives what was charged so far. Calls that are under way stay reserved. */
int ledger_reset(struct ledger *l, int64_t counter, int64_t now, struct err *e);

enum ledger_group {
	LEDGER_BY_CONTAINER,
	LEDGER_BY_POLICY,
	LEDGER_BY_TEAM,
	LEDGER_BY_MODEL,
	LEDGER_BY_DAY,
	LEDGER_BY_HOUR,
};

struct ledger_filter {
	int64_t since, until;		       /* milliseconds; `until` 0: no end */
	const char *container, *policy, *team; /* NULL: all */
};

struct ledger_sum {
	const char *key;
	int64_t calls, open, estimated;
	struct usage usage;
	int64_t tokens, cost;
};

/* Sums of calls, but of those that were released; the dearest first, days and hours
 * (of UTC: "2026-11-22", "2026-11-22T10") in order. */
typedef int (*ledger_each_sum)(const struct ledger_sum *s, void *arg);
int ledger_usage(struct ledger *l, enum ledger_group group, const struct ledger_filter *f,
		 ledger_each_sum each, void *arg, struct err *e);

/* Adds everything up again. -EBADMSG: a counter is not the sum of its calls and adjustments. */
int ledger_verify(struct ledger *l, struct err *e);

#endif
