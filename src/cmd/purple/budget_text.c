/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the ledger as table, JSON or CSV: see budget_text.h. Names of models and containers come
 * from sandboxes: none of them can leave its cell, speak to a terminal or be a spreadsheet's formula.
 */
#include "cmd/purple/budget_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "budget/money.h"
#include "cmd/purple/purple.h"

#define WAIT_MS 5000

int64_t budget_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

int budget_open(const char *path, struct ledger **ret, struct err *e)
{
	int r = ledger_open(path ? path : LEDGER_FILE, LEDGER_ADMIN, WAIT_MS,
			    budget_now(), ret, e);

	if (r == -ENOENT)
		return err_wrap(e, "nothing was metered here yet");
	return r;
}

int budget_format_parse(const char *text, enum budget_format *ret, struct err *e)
{
	if (!text || streq(text, "table"))
		*ret = BUDGET_TABLE;
	else if (streq(text, "json"))
		*ret = BUDGET_JSON;
	else if (streq(text, "csv"))
		*ret = BUDGET_CSV;
	else
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown format '%s': expected table, json or csv", text);
	return 0;
}

/* --- cells --- */

struct cell_text {
	char s[64];
};

static struct cell_text show_number(enum budget_kind kind, int64_t v)
{
	time_t t = (time_t)(v / 1000);
	struct cell_text c = {};
	struct tm tm;

	if (kind == BUDGET_MONEY)
		snprintf(c.s, sizeof(c.s), "%s", money_text(v).s);
	else if (kind == BUDGET_TIME && gmtime_r(&t, &tm))
		strftime(c.s, sizeof(c.s), "%Y-%m-%dT%H:%M:%SZ", &tm);
	else
		snprintf(c.s, sizeof(c.s), "%" PRId64, v);
	return c;
}

static bool is_empty(const struct budget_column *column, const struct budget_cell *cell)
{
	return cell->is_absent || (column->kind == BUDGET_TEXT && !cell->text[0]) ||
	       (column->kind == BUDGET_TIME && cell->number == 0);
}

static void add_table_cell(struct buf *out, const struct budget_column *column,
			   const struct budget_cell *cell)
{
	_buf_free_ struct buf plain = {};

	if (!column->head[0])
		return;
	if (is_empty(column, cell))
		buf_adds(&plain, "-");
	else if (column->kind == BUDGET_TEXT)
		print_plain(&plain, cell->text, 0);
	else
		buf_adds(&plain, show_number(column->kind, cell->number).s);
	if (plain.failed)
		out->failed = true;
	else
		buf_addf(out, "%*s ", column->width, plain.s);
}

/* Money twice: as a number of picodollars, and as people read it. */
static void add_json_cell(struct buf *out, const struct budget_column *column,
			  const struct budget_cell *cell)
{
	json_quote(out, column->name);
	buf_adds(out, ":");
	if (cell->is_absent || (column->kind == BUDGET_TIME && cell->number == 0))
		buf_adds(out, "null");
	else if (column->kind == BUDGET_TEXT)
		json_quote(out, cell->text);
	else if (column->kind == BUDGET_TIME)
		json_quote(out, show_number(column->kind, cell->number).s);
	else
		buf_addf(out, "%" PRId64, cell->number);
	if (column->kind == BUDGET_MONEY) {
		buf_addf(out, ",\"%s_text\":", column->name);
		if (cell->is_absent)
			buf_adds(out, "null");
		else
			json_quote(out, money_text(cell->number).s);
	}
}

static void add_csv_cell(struct buf *out, const struct budget_column *column,
			 const struct budget_cell *cell)
{
	if (is_empty(column, cell))
		return;
	if (column->kind == BUDGET_TEXT)
		print_csv(out, cell->text);
	else if (column->kind == BUDGET_TIME)
		buf_adds(out, show_number(column->kind, cell->number).s);
	else
		buf_addf(out, "%" PRId64, cell->number);
}

/* --- tables --- */

/* Cells are padded; a line is not. */
static void end_line(struct buf *out)
{
	while (!out->failed && out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	buf_adds(out, "\n");
}

void budget_table_begin(struct budget_table *t)
{
	if (t->format == BUDGET_JSON)
		buf_adds(t->out, "[");
	for (const struct budget_column *c = t->columns; c->name; c++) {
		if (t->format == BUDGET_TABLE && c->head[0])
			buf_addf(t->out, "%*s ", c->width, c->head);
		else if (t->format == BUDGET_CSV)
			buf_addf(t->out, "%s%s", c == t->columns ? "" : ",", c->name);
	}
	if (t->format == BUDGET_TABLE)
		end_line(t->out);
	else if (t->format == BUDGET_CSV)
		buf_adds(t->out, "\r\n");
}

void budget_table_row(struct budget_table *t, const struct budget_cell *cells)
{
	if (t->format == BUDGET_JSON)
		buf_adds(t->out, t->rows ? ",{" : "{");
	for (size_t i = 0; t->columns[i].name; i++) {
		if (t->format != BUDGET_TABLE && i)
			buf_adds(t->out, ",");
		if (t->format == BUDGET_TABLE)
			add_table_cell(t->out, &t->columns[i], &cells[i]);
		else if (t->format == BUDGET_JSON)
			add_json_cell(t->out, &t->columns[i], &cells[i]);
		else
			add_csv_cell(t->out, &t->columns[i], &cells[i]);
	}
	if (t->format == BUDGET_TABLE)
		end_line(t->out);
	else
		buf_adds(t->out, t->format == BUDGET_JSON ? "}" : "\r\n");
	t->rows++;
}

void budget_table_end(struct budget_table *t)
{
	if (t->format == BUDGET_JSON)
		buf_adds(t->out, "]\n");
}
