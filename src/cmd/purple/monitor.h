/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple monitor, in parts: what there is to see (monitor_data.c, monitor_events.c), how a cell of
 * it reads (monitor_text.c), and the two ways of showing it, lines (monitor.c) and a full screen
 * (monitor_screen.c, the only one that knows of curses). Everything only reads.
 */
#ifndef PURPLE_CMD_PURPLE_MONITOR_H
#define PURPLE_CMD_PURPLE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/ledger.h"
#include "container/state.h"
#include "gateway/config.h"

/* Of each sandbox, the newest. */
#define MONITOR_EVENTS_KEPT 200

/* A line of a sandbox's events.jsonl. */
struct monitor_event {
	uint64_t number; /* in the order in which they were read, over all sandboxes */
	char *time;	 /* RFC 3339 in UTC */
	char *text;	 /* clean: event_write_text() */
	char *raw;	 /* the line itself; NULL unless it was asked for */
	bool is_denied;	 /* or a budget that is spent */
};
typedef LIST_OF(struct monitor_event) monitor_events;

/* events.jsonl, read on from where it was left. */
struct monitor_tail {
	ino_t inode;
	off_t offset;
	struct buf line;  /* what is there of the last one */
	bool is_cut;	  /* up to the next end of line, what comes is not whole */
	uint64_t skipped; /* bytes that were not read, since there were too many at once */
	monitor_events events;
};

/* A budget that holds for a sandbox, as the ledger has it. */
struct monitor_budget {
	char *name; /* as `purple budget` calls it */
	bool has_tokens, has_cost;
	int64_t tokens, tokens_limit, cost, cost_limit; /* cost in picodollars */
	uint32_t percent;
};

/* A sandbox as it was when it was last looked at. */
struct monitor_row {
	char *id, *created;
	char *policies; /* names, with commas; "" is none */
	char *why; /* why it stands still, has ended or cannot be read; NULL: nothing to say */
	bool is_broken; /* nothing but `why` is known */
	enum container_status status;
	pid_t pid;

	bool has_cpu, has_memory, has_pids, has_network, has_llm;
	uint64_t cpu;		       /* hundredths of a per cent of one processor */
	uint64_t memory, memory_limit; /* bytes; CGROUP_UNLIMITED: no limit */
	uint64_t pids, pids_limit;
	uint64_t denied; /* by network rules */
	int64_t calls, tokens, cost;
	LIST_OF(struct monitor_budget) budgets;

	struct monitor_tail tail;

	/* --- of the one who looks --- */
	bool is_seen;
	uint64_t cpu_ns, cpu_at; /* used, and when that was; 0: not looked at yet */
	bool has_config;	 /* `config` was looked for */
	struct gateway_config config;
};

struct monitor_ledger {
	char *path;
	ino_t inode;
	struct ledger *ledger;
};

struct monitor {
	const char *root;
	const char *ledger; /* NULL: that of each sandbox's gateway */
	bool keep_raw;
	LIST_OF(struct monitor_row) rows; /* by id */
	LIST_OF(struct monitor_ledger) ledgers;
	uint64_t events; /* read so far */
	char *complaint; /* why the ledger cannot be read; NULL: it can, or is not needed */
};

/* Looks at all sandboxes. One that vanishes meanwhile is no error. */
int monitor_look(struct monitor *m, struct err *e);
void monitor_clear(struct monitor *m);
#define _monitor_clear_ __attribute__((cleanup(monitor_clear)))

/* The budget that is nearest to its end, or NULL. */
const struct monitor_budget *monitor_tightest(const struct monitor_row *r);

/* --- monitor_events.c --- */

/* Reads what has come to ROOT/ID/events.jsonl; no such file is fine. */
int monitor_tail_read(struct monitor_tail *t, int dirfd, struct monitor *m, struct err *e);
void monitor_tail_clear(struct monitor_tail *t);

/* The newest `max` events of one sandbox, or of all (`row` NULL), by time. `ret` has room for
 * them. Returns how many there are. */
struct monitor_line {
	const struct monitor_row *row;
	const struct monitor_event *event;
};
size_t monitor_newest(const struct monitor *m, const struct monitor_row *row,
		      uint64_t after, struct monitor_line *ret, size_t max);

/* --- monitor_text.c: pure --- */

enum monitor_column {
	MONITOR_ID,
	MONITOR_POLICY,
	MONITOR_STATE,
	MONITOR_CPU,
	MONITOR_MEMORY,
	MONITOR_PIDS,
	MONITOR_DENIED,
	MONITOR_TOKENS,
	MONITOR_COST,
	MONITOR_BUDGET,
	MONITOR_COLUMNS,
};

/* The widths for a line of `width` cells with one blank between columns; 0: there is no room. */
void monitor_layout(unsigned int width, unsigned int ret[MONITOR_COLUMNS]);
const char *monitor_head(enum monitor_column c);
bool monitor_is_right(enum monitor_column c);
/* `bars`: the budget as a bar, too, `utf8` of better characters. */
void monitor_cell(const struct monitor_row *r, enum monitor_column c, unsigned int width,
		  bool utf8, struct buf *out);
const char *monitor_status_word(const struct monitor_row *r);

/*
 * A text in exactly `width` cells of a terminal: cut (with '~' at its end) or padded. What does
 * not print, or has no width of its own, is '?'; without `utf8` everything that is not ASCII.
 */
void monitor_fit(const char *text, unsigned int width, bool right, bool utf8,
		 struct buf *out);

/* Lines of text as lines of at most `width` cells (not 0): what goes on is indented. */
void monitor_wrap(const char *text, unsigned int width, bool utf8, struct buf *out);

/* "1.5G", "12k", "$0.12": at most six characters. */
struct monitor_figure {
	char s[32];
};
struct monitor_figure monitor_bytes(uint64_t v);
struct monitor_figure monitor_count(uint64_t v);
struct monitor_figure monitor_money(int64_t picodollars);
struct monitor_figure monitor_percent(uint64_t hundredths);

/* `width` cells, `percent` of them full; above 100 all. */
void monitor_bar(uint32_t percent, unsigned int width, bool utf8, struct buf *out);

enum monitor_sort {
	MONITOR_BY_ID,
	MONITOR_BY_CPU,
	MONITOR_BY_MEMORY,
	MONITOR_BY_DENIED,
	MONITOR_BY_COST,
	MONITOR_SORTS,
};
const char *monitor_sort_name(enum monitor_sort s);
/* Numbers of rows in the order to be shown; `ret` has room for all. */
void monitor_order(const struct monitor *m, enum monitor_sort s, size_t *ret);

/* A sandbox in full: lines of text, of which the rules are not part. */
void monitor_details(const struct monitor_row *r, struct buf *out);

/* --- monitor_screen.c --- */

/* Whether this terminal can show a screen. */
bool monitor_screen_works(void);
/* Until the user ends it; *ret_signal: the signal that ended it, or 0. */
int monitor_screen(struct monitor *m, unsigned int interval_ms, int *ret_signal,
		   struct err *e);

#endif
