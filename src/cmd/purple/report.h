/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple report, in parts: what is told is a table a section (report_table.c); where it is from,
 * ledger, records of runs and lines of events (report_data.c, report_lines.c); as text (report.c) and
 * as a page (report_html.c, report_chart.c, report_style.c). Everything only reads.
 */
#ifndef PURPLE_CMD_PURPLE_REPORT_H
#define PURPLE_CMD_PURPLE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/str.h"
#include "cmd/purple/budget_text.h"

/* --- tables (report_table.c): pure --- */

#define REPORT_COLUMNS_MAX 12
/* Of a table; what comes besides is counted. */
#define REPORT_ROWS_MAX 5000

struct report_row {
	struct report_cell {
		char *text;
		int64_t number;
		bool is_set;
	} cells[REPORT_COLUMNS_MAX];
};

/* What a section is. */
struct report_kind {
	const char *id; /* in the page */
	const char *title;
	const char *text;  /* what it shows, in a sentence */
	const char *empty; /* what is said where there is nothing */
	const struct budget_column *columns;
	int keys; /* so many columns in front say which row it is; 0: none is found again */
	int chart; /* the column that is drawn; -1: none */
	int order; /* the column by which it is sorted, the largest first; -1: as it came */
	bool wide; /* in the page, beside nothing else */
};

struct report_table {
	const struct report_kind *kind;
	LIST_OF(struct report_row) rows;
	uint32_t *slots; /* numbers of rows, plus one, by the hash of their keys */
	size_t n_slots;
	uint64_t left_out; /* additions to rows that there was no room for */
};

/* A new row at the end; NULL: there is no room, or no memory (`failed` then). */
struct report_row *report_new_row(struct report_table *t, bool *failed);
/* The row with these keys, made where there is none. */
struct report_row *report_find(struct report_table *t, const char *const *keys,
			       bool *failed);
void report_set_text(struct report_row *r, int column, const char *text, bool *failed);
void report_set_number(struct report_row *r, int column, int64_t number);
/* Adds; at most INT64_MAX. */
void report_add(struct report_row *r, int column, int64_t number);
void report_sort(struct report_table *t);
void report_table_clear(struct report_table *t);
size_t report_columns(const struct report_kind *k);

/* --- the report (report_data.c) --- */

enum report_section {
	REPORT_TIME,
	REPORT_MODELS,
	REPORT_TEAMS,
	REPORT_POLICIES,
	REPORT_ENDS,
	REPORT_DENIALS,
	REPORT_HOSTS,
	REPORT_FILES,
	REPORT_RUNS,
	REPORT_SECTIONS,
};

/* Columns, for those who draw. */
enum { REPORT_SUM_KEY, REPORT_SUM_CALLS, REPORT_SUM_TOKENS, REPORT_SUM_COST };

struct report_bucket {
	int64_t start; /* milliseconds since 1970 */
	int64_t calls, tokens, cost;
};

struct report {
	const char *root, *ledger, *policy;
	const struct strv *logs; /* NULL: all that are known of */
	int64_t since, now;	 /* milliseconds since 1970 */
	const char *since_text;	 /* as lines of events have it; NULL: all */

	struct report_table tables[REPORT_SECTIONS];
	/* Without gaps; `step` is how long each is. */
	LIST_OF(struct report_bucket) buckets;
	int64_t step;
	int64_t calls, tokens, cost, n_runs, denied;
	struct strv notes; /* what could not be read, and what is missing */
	bool failed;	   /* no memory */
};

int report_collect(struct report *r, struct err *e);
void report_clear(struct report *r);
#define _report_clear_ __attribute__((cleanup(report_clear)))

/* "2026-11-22T10", "2026-11-22" and RFC 3339, in UTC, as milliseconds since 1970; 0: it is none. */
int64_t report_time(const char *text);
/* Hours as they came from the ledger become buckets of hours, days or weeks without gaps. */
int report_make_buckets(struct report *r, const struct report_bucket *hours, size_t n,
			struct err *e);
/* "2026-11-22 10:00", or without the time where a bucket is a day. */
struct report_label {
	char s[32];
};
struct report_label report_bucket_label(const struct report *r, int64_t start);

/* --- lines of events (report_lines.c) --- */

/*
 * Where a line is from. Denials that stand in events.jsonl are in the record of the run when it is over,
 * and in audit logs as well: they are taken from the file and the record, and from a log what is in
 * logs alone. Hosts of a sandbox that is audited are taken from the log.
 */
enum report_source {
	REPORT_FROM_LOG,
	REPORT_FROM_EVENTS,
	REPORT_FROM_EVENTS_OF_AUDITED,
};

/* One line: denials, hosts and files that it tells of. */
void report_take_line(struct report *r, const struct json *j, enum report_source from);
/* events.jsonl of a state folder; no such file is fine. */
int report_read_events(struct report *r, int dirfd, enum report_source from, struct err *e);
/* Audit logs. */
int report_read_logs(struct report *r, const struct strv *logs, struct err *e);

/* --- as a page --- */

void report_write_html(const struct report *r, struct buf *out);
/* Text for a page: nothing of it is markup, and what turns the direction around is replaced. */
void report_html_text(struct buf *out, const char *text);

void report_chart_time(const struct report *r, struct buf *out);
/* The first rows of a section, as bars. */
void report_chart_rows(const struct report_table *t, struct buf *out);

extern const char report_style[];
/* SHA-256 of report_style in base64: all that the page's policy lets a browser use. */
extern const char report_style_hash[];

#endif
