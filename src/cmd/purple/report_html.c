/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `purple report` as a page: one file that needs nothing else and runs nothing. Its own policy forbids
 * scripts and everything that would be loaded; text that a sandbox chose is text and nothing more. Pure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "budget/money.h"
#include "cmd/purple/monitor.h"
#include "cmd/purple/report.h"

/* Of a table; a browser has to hold them all. */
#define ROWS_MAX 1000
#define TEXT_MAX 400
/* Columns up to this width, in a terminal. */
#define SHORT 14

/* --- text --- */

/* What changes the direction of text, or shows nothing: U+200B to U+200F, U+2028 to U+202E, U+2060 to
 * U+206F, U+FEFF. `s` has three bytes at least. */
static bool is_unseen(const unsigned char *s)
{
	unsigned int c = (s[0] & 0xfu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);

	return (s[0] & 0xf0) == 0xe0 &&
	       ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
		(c >= 0x2060 && c <= 0x206f) || c == 0xfeff);
}

static size_t character(const char *text)
{
	unsigned char c = (unsigned char)*text;
	size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return strnlen(text, len) == len && str_is_utf8(text, len) ? len : 0;
}

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void report_html_text(struct buf *out, const char *text)
{
	size_t n = 0, len;

	for (; *text && n < TEXT_MAX; text += len ? len : 1, n++) {
		const unsigned char *s = (const unsigned char *)text;
		const char *e = entity(*text);

		len = character(text);
		if (len == 0 || *s < 0x20 || *s == 0x7f ||
		    (len == 2 && *s == 0xc2 && s[1] < 0xa0) || (len == 3 && is_unseen(s)))
			buf_adds(out, "\xef\xbf\xbd");
		else if (e)
			buf_adds(out, e);
		else
			buf_add(out, text, len);
	}
	if (*text)
		buf_adds(out, "...");
}

static void add_time(int64_t ms, struct buf *out)
{
	time_t t = (time_t)(ms / 1000);
	char machine[32], people[32];
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		return;
	strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &tm);
	strftime(people, sizeof(people), "%Y-%m-%d %H:%M", &tm);
	buf_addf(out, "<time datetime=\"%s\">%s</time>", machine, people);
}

/* --- tables --- */

static void add_cell(const struct budget_column *column, const struct report_cell *c,
		     struct buf *out)
{
	if (!c->is_set || (column->kind == BUDGET_TEXT && !*c->text)) {
		buf_adds(out, "-");
	} else if (column->kind == BUDGET_TEXT) {
		buf_adds(out, "<bdi>");
		report_html_text(out, c->text);
		buf_adds(out, "</bdi>");
	} else if (column->kind == BUDGET_MONEY) {
		buf_adds(out, money_text(c->number).s);
	} else if (column->kind == BUDGET_TIME) {
		add_time(c->number, out);
	} else {
		buf_addf(out, "%" PRId64, c->number);
	}
}

/* The page has names of its own for columns that a terminal has no room for. */
static void add_head(const struct budget_column *column, struct buf *out)
{
	for (const char *s = column->name; *s; s++) {
		char c = s == column->name && *s >= 'a' && *s <= 'z' ? (char)(*s - 32) :
			 *s == '_'				     ? ' ' :
								       *s;

		buf_add(out, &c, 1);
	}
}

static const char *cell_class(const struct budget_column *column)
{
	if (column->kind == BUDGET_COUNT || column->kind == BUDGET_MONEY)
		return " class=\"number\"";
	/* Words of ours: not taken apart. */
	return abs(column->width) <= SHORT && column->width ? " class=\"short\"" : "";
}

/* On a narrow screen a row is a list of its cells, with their names: the roles say that it is a table
 * all the same. */
static void add_table(const struct report_table *t, struct buf *out)
{
	size_t columns = report_columns(t->kind);
	size_t n = t->rows.n < ROWS_MAX ? t->rows.n : ROWS_MAX;

	buf_addf(out,
		 "<table role=\"table\"><caption>%s</caption>\n<thead role=\"rowgroup\">"
		 "<tr role=\"row\">",
		 t->kind->title);
	for (size_t i = 0; i < columns; i++) {
		buf_addf(out, "<th role=\"columnheader\" scope=\"col\"%s>",
			 cell_class(&t->kind->columns[i]));
		add_head(&t->kind->columns[i], out);
		buf_adds(out, "</th>");
	}
	buf_adds(out, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
	for (size_t i = 0; i < n; i++) {
		buf_adds(out, "<tr role=\"row\">");
		for (size_t k = 0; k < columns; k++) {
			const struct budget_column *column = &t->kind->columns[k];

			buf_addf(out, "<td role=\"cell\"%s data-name=\"",
				 cell_class(column));
			add_head(column, out);
			buf_adds(out, "\">");
			add_cell(column, &t->rows.v[i].cells[k], out);
			buf_adds(out, "</td>");
		}
		buf_adds(out, "</tr>\n");
	}
	buf_adds(out, "</tbody></table>\n");
	if (t->rows.n > n)
		buf_addf(out, "<p class=\"note\">And %zu more.</p>\n", t->rows.n - n);
	if (t->left_out)
		buf_addf(out,
			 "<p class=\"note\">And %" PRIu64
			 " times others than these %d.</p>\n",
			 t->left_out, REPORT_ROWS_MAX);
}

/* --- sections --- */

static void add_section(const struct report *r, enum report_section s, struct buf *out)
{
	const struct report_table *t = &r->tables[s];
	const struct report_kind *k = t->kind;
	bool has_chart = k->chart >= 0;

	buf_addf(out,
		 "<section aria-labelledby=\"%s\"%s><h2 id=\"%s\">%s</h2>\n<p class=\"what\">%s</p>\n",
		 k->id, k->wide ? " class=\"wide\"" : "", k->id, k->title, k->text);
	if (t->rows.n == 0) {
		buf_addf(out, "<p class=\"empty\">%s</p>\n</section>\n", k->empty);
		return;
	}
	if (s == REPORT_TIME)
		report_chart_time(r, out);
	else if (has_chart)
		report_chart_rows(t, out);
	if (has_chart)
		buf_adds(out, "<details><summary>As a table</summary>\n");
	add_table(t, out);
	buf_adds(out, has_chart ? "</details>\n</section>\n" : "</section>\n");
}

static void add_figure(const char *name, const char *value, struct buf *out)
{
	buf_addf(out, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static void add_figures(const struct report *r, struct buf *out)
{
	buf_adds(out, "<dl class=\"figures\">\n");
	add_figure("Spent on LLM calls", monitor_money(r->cost).s, out);
	add_figure("LLM calls", monitor_count((uint64_t)r->calls).s, out);
	add_figure("Tokens", monitor_count((uint64_t)r->tokens).s, out);
	add_figure("Runs that ended", monitor_count((uint64_t)r->n_runs).s, out);
	add_figure("Denials", monitor_count((uint64_t)r->denied).s, out);
	buf_adds(out, "</dl>\n");
}

static void add_header(const struct report *r, struct buf *out)
{
	buf_adds(out, "<header><h1>Purple report</h1>\n<p>");
	if (r->since) {
		buf_adds(out, "From ");
		add_time(r->since, out);
		buf_adds(out, " to ");
	} else {
		buf_adds(out, "All that is recorded, until ");
	}
	add_time(r->now, out);
	buf_adds(out, " (UTC)");
	if (r->policy) {
		buf_adds(out, ", of policy <bdi>");
		report_html_text(out, r->policy);
		buf_adds(out, "</bdi>");
	}
	buf_adds(out, "</p></header>\n");
}

static void add_notes(const struct report *r, struct buf *out)
{
	if (r->notes.n == 0)
		return;
	buf_adds(out, "<ul class=\"notes\">\n");
	for (size_t i = 0; i < r->notes.n; i++) {
		buf_adds(out, "<li>");
		report_html_text(out, r->notes.v[i]);
		buf_adds(out, "</li>\n");
	}
	buf_adds(out, "</ul>\n");
}

void report_write_html(const struct report *r, struct buf *out)
{
	buf_addf(out,
		 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		 "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
		 "'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n"
		 "<meta name=\"referrer\" content=\"no-referrer\">\n"
		 "<title>Purple report</title>\n<style>",
		 report_style_hash);
	buf_adds(out, report_style);
	buf_adds(out, "</style>\n</head>\n<body>\n<main>\n");
	add_header(r, out);
	add_notes(r, out);
	add_figures(r, out);
	buf_adds(out, "<div class=\"sections\">\n");
	for (int s = 0; s < REPORT_SECTIONS; s++)
		add_section(r, (enum report_section)s, out);
	buf_adds(out, "</div>\n</main>\n</body>\n</html>\n");
}
