/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charts of the page of `purple report`: drawings of bars alone, which stretch with the page; all words
 * are text of the page beside them, so that they stay as large as other text. Pure.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cmd/purple/monitor.h"
#include "cmd/purple/report.h"

#define ROWS 10
/* Units of the drawing. */
#define HEIGHT 100
#define STEP 10
#define GAP 2

static void add_value(enum budget_kind kind, int64_t v, struct buf *out)
{
	buf_adds(out, kind == BUDGET_MONEY ? monitor_money(v).s :
					     monitor_count((uint64_t)(v < 0 ? 0 : v)).s);
}

/* In hundredths of `full`. */
static unsigned int share(int64_t v, int64_t max, unsigned int full)
{
	if (v <= 0 || max <= 0)
		return 0;
	return (unsigned int)((__int128)v * full * 100 / max);
}

static void add_bar(const struct report *r, size_t i, int64_t max, struct buf *out)
{
	const struct report_bucket *b = &r->buckets.v[i];
	unsigned int h = share(b->cost, max, HEIGHT);

	/* Something is not nothing. */
	if (b->cost > 0 && h < 100)
		h = 100;
	buf_addf(out,
		 "<rect x=\"%zu\" y=\"%u.%02u\" width=\"%d\" height=\"%u.%02u\"><title>%s: ",
		 i * STEP + GAP / 2, (HEIGHT * 100 - h) / 100, (HEIGHT * 100 - h) % 100,
		 STEP - GAP, h / 100, h % 100, report_bucket_label(r, b->start).s);
	add_value(BUDGET_MONEY, b->cost, out);
	buf_addf(out, ", calls: %" PRId64 "</title></rect>\n", b->calls);
}

void report_chart_time(const struct report *r, struct buf *out)
{
	const char *step = r->step < 24 * 3600000 ? "hour" :
			   r->step > 24 * 3600000 ? "week" :
						    "day";
	int64_t max = 0;
	size_t n = r->buckets.n, at = 0;

	for (size_t i = 0; i < n; i++) {
		if (r->buckets.v[i].cost > max) {
			max = r->buckets.v[i].cost;
			at = i;
		}
	}
	buf_adds(out, "<figure class=\"chart\"><p class=\"axis\"><span>");
	add_value(BUDGET_MONEY, max, out);
	buf_addf(out, "</span><span>a %s</span></p>\n", step);
	buf_addf(out,
		 "<svg class=\"time\" viewBox=\"0 0 %zu %d\" preserveAspectRatio=\"none\" role=\"img\" "
		 "aria-labelledby=\"time-title time-desc\">\n<title id=\"time-title\">Cost of LLM calls "
		 "by %s</title>\n<desc id=\"time-desc\">%zu bars, from %s to ",
		 n * STEP, HEIGHT, step, n,
		 report_bucket_label(r, r->buckets.v[0].start).s);
	buf_addf(out, "%s. The highest is ",
		 report_bucket_label(r, r->buckets.v[n - 1].start).s);
	add_value(BUDGET_MONEY, max, out);
	buf_addf(out, ", of %s.</desc>\n", report_bucket_label(r, r->buckets.v[at].start).s);
	for (int y = 0; y <= HEIGHT; y += HEIGHT / 2)
		buf_addf(out,
			 "<line class=\"grid\" x1=\"0\" y1=\"%d\" x2=\"%zu\" y2=\"%d\"/>\n",
			 y, n * STEP, y);
	for (size_t i = 0; i < n; i++)
		if (r->buckets.v[i].calls)
			add_bar(r, i, max, out);
	buf_addf(out, "</svg>\n<p class=\"axis\"><span>%s</span>",
		 report_bucket_label(r, r->buckets.v[0].start).s);
	if (n > 1)
		buf_addf(out, "<span>%s</span>",
			 report_bucket_label(r, r->buckets.v[n - 1].start).s);
	buf_adds(out, "</p></figure>\n");
}

/* The first key, and the others smaller. */
static void add_label(const struct report_table *t, const struct report_row *row,
		      struct buf *out)
{
	const char *between = " <small>";
	const char *label = row->cells[0].text;

	buf_adds(out, "<bdi>");
	report_html_text(out, label && *label ? label : "(no name)");
	buf_adds(out, "</bdi>");
	for (int i = 1; i < t->kind->keys; i++) {
		if (!row->cells[i].text || !*row->cells[i].text)
			continue;
		buf_addf(out, "%s<bdi>", between);
		report_html_text(out, row->cells[i].text);
		buf_adds(out, "</bdi>");
		between = ", ";
	}
	if (streq(between, ", "))
		buf_adds(out, "</small>");
}

void report_chart_rows(const struct report_table *t, struct buf *out)
{
	int column = t->kind->chart;
	enum budget_kind kind = t->kind->columns[column].kind;
	size_t n = 0;
	int64_t max = 0;

	/* They are sorted by what is drawn. */
	while (n < t->rows.n && n < ROWS && t->rows.v[n].cells[column].number > 0)
		n++;
	if (n == 0)
		return;
	max = t->rows.v[0].cells[column].number;
	buf_adds(out, "<ul class=\"bars\">\n");
	for (size_t i = 0; i < n; i++) {
		int64_t v = t->rows.v[i].cells[column].number;
		unsigned int w = share(v, max, 100);

		buf_adds(out, "<li><span class=\"label\">");
		add_label(t, &t->rows.v[i], out);
		buf_adds(out, "</span><span class=\"value\">");
		add_value(kind, v, out);
		/* The text beside it says the same. */
		buf_addf(out,
			 "</span><svg class=\"bar\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" "
			 "aria-hidden=\"true\"><rect width=\"%u.%02u\" height=\"1\"/></svg></li>\n",
			 w / 100, w % 100);
	}
	buf_adds(out, "</ul>\n");
}
