/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple report: what LLM calls cost, what was denied, which hosts and files were touched and how runs
 * ended; as tables, or as a page in one file. Runs as root, whose the ledger, the records and the audit
 * logs are; without, of what the caller may read. Writes nothing but that page.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "budget/money.h"
#include "cmd/purple/audit_time.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/report.h"

/* The page has all. */
#define TEXT_ROWS 20
#define TEXT_CELL 60

struct report_options {
	const char *html, *since, *policy, *ledger;
	struct strv logs;
};

static const struct option_row rows[] = {
	OPTION(report_options, logs, "audit", 0, OPTION_LIST, "FILE",
	       "an audit log to read, instead of all that are known of"),
	OPTION(report_options, html, "html", 0, OPTION_STRING, "FILE",
	       "write a page into this file (\"-\": to stdout) instead of tables"),
	OPTION(report_options, ledger, "ledger", 0, OPTION_STRING, "FILE",
	       "the ledger (default " LEDGER_FILE ")"),
	OPTION(report_options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "only of this policy"),
	OPTION(report_options, since, "since", 0, OPTION_STRING, "TIME",
	       "only from then on: 2026-11-22, 2026-11-22T15:04 (UTC), or 10m, 2h, 7d ago"),
	{},
};

/* --- as text --- */

static void write_time(int64_t ms, struct buf *out)
{
	time_t t = (time_t)(ms / 1000);
	char text[32];
	struct tm tm;

	if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm))
		buf_adds(out, text);
}

static void write_row(const struct report_table *t, const struct report_row *row,
		      struct budget_table *to)
{
	size_t n = report_columns(t->kind);
	struct budget_cell cells[REPORT_COLUMNS_MAX] = {};
	struct buf texts[REPORT_COLUMNS_MAX] = {};

	for (size_t i = 0; i < n; i++) {
		const struct report_cell *c = &row->cells[i];

		print_plain(&texts[i], c->text ? c->text : "", TEXT_CELL);
		cells[i] = (struct budget_cell){ .text = texts[i].s ? texts[i].s : "",
						 .number = c->number,
						 .is_absent = !c->is_set };
	}
	budget_table_row(to, cells);
	for (size_t i = 0; i < n; i++) {
		to->out->failed |= texts[i].failed;
		buf_free(&texts[i]);
	}
}

static void write_table(const struct report_table *t, struct buf *out)
{
	struct budget_table to = { .columns = t->kind->columns, .out = out };
	size_t n = t->rows.n < TEXT_ROWS ? t->rows.n : TEXT_ROWS;

	buf_addf(out, "\n%s\n", t->kind->title);
	if (n == 0) {
		buf_addf(out, "%s\n", t->kind->empty);
		return;
	}
	budget_table_begin(&to);
	for (size_t i = 0; i < n; i++)
		write_row(t, &t->rows.v[i], &to);
	budget_table_end(&to);
	if (t->rows.n > n)
		buf_addf(out, "and %zu more (--html has them)\n", t->rows.n - n);
	if (t->left_out)
		buf_addf(out, "and %" PRIu64 " times others than these %d\n", t->left_out,
			 REPORT_ROWS_MAX);
}

static void write_text(const struct report *r, struct buf *out)
{
	buf_adds(out, "Report of ");
	if (r->since)
		write_time(r->since, out);
	else
		buf_adds(out, "all that is recorded");
	buf_adds(out, " until ");
	write_time(r->now, out);
	if (r->policy) {
		buf_adds(out, ", policy ");
		print_plain(out, r->policy, 0);
	}
	buf_addf(out,
		 "\n%s for %" PRId64 " LLM calls (%" PRId64
		 " tokens); runs that ended: %" PRId64 "; denials: %" PRId64 "\n",
		 money_text(r->cost).s, r->calls, r->tokens, r->n_runs, r->denied);
	for (size_t i = 0; i < r->notes.n; i++) {
		print_plain(out, r->notes.v[i], 0);
		buf_adds(out, "\n");
	}
	for (int s = 0; s < REPORT_SECTIONS; s++)
		write_table(&r->tables[s], out);
}

/* --- the command --- */

/* Whole or not at all: nobody sees half a page. Root's alone, since what is in it is. */
static int write_page(const struct buf *page, const char *path, struct err *e)
{
	if (streq(path, "-"))
		return print_text(page, e);
	return fs_write_atomic(AT_FDCWD, path, page->s, page->len, 0600, e);
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct report_options *o = opts;
	_report_clear_ struct report r = { .root = g->root,
					   .ledger = o->ledger,
					   .policy = o->policy,
					   .logs = o->logs.n ? &o->logs : NULL,
					   .now = budget_now() };
	_buf_free_ struct buf out = {};
	char since[AUDIT_TIME_SIZE];
	int code = 0;

	if (o->since) {
		code = audit_time_parse(o->since, (time_t)(r.now / 1000), since, e);
		r.since = code < 0 || report_time(since) < 0 ? 0 : report_time(since);
		r.since_text = since;
	}
	if (code == 0 && o->html && !*o->html)
		code = err_set(e, ERR_USAGE, EINVAL, "--html must not be empty");
	if (code == 0)
		code = report_collect(&r, e);
	if (code < 0)
		return code;
	if (o->html)
		report_write_html(&r, &out);
	else
		write_text(&r, &out);
	if (out.failed)
		return err_oom(e);
	return o->html ? write_page(&out, o->html, e) : print_text(&out, e);
}

const struct command purple_report_command = {
	.name = "report",
	.arguments = "",
	.help = "Report costs, denials, hosts, files and runs, as tables or as a page.",
	.options = rows,
	.options_size = sizeof(struct report_options),
	.run = run,
};
