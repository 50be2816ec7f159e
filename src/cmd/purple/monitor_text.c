/* SPDX-License-Identifier: Apache-2.0 */
/* How `purple monitor` reads: columns, figures, bars, texts cut to a width. Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "budget/money.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/monitor.h"
#include "cmd/purple/purple.h"

/* --- figures --- */

static struct monitor_figure scale(uint64_t v, unsigned int step, const char *units)
{
	struct monitor_figure f;
	double x = (double)v;

	while (x >= (step == 1024 ? 999.5 : 1000) && units[1]) {
		x /= step;
		units++;
	}
	if (*units == ' ')
		snprintf(f.s, sizeof(f.s), "%" PRIu64, v);
	else if (x < 9.95)
		snprintf(f.s, sizeof(f.s), "%.1f%c", x, *units);
	else
		snprintf(f.s, sizeof(f.s), "%.0f%c", x, *units);
	return f;
}

struct monitor_figure monitor_bytes(uint64_t v)
{
	return scale(v, 1024, " KMGTPE");
}

struct monitor_figure monitor_count(uint64_t v)
{
	return scale(v, 1000, " kMGTPE");
}

struct monitor_figure monitor_money(int64_t picodollars)
{
	struct monitor_figure f;
	double v = (double)picodollars / (double)MONEY_DOLLAR;

	if (picodollars > 0 && picodollars < MONEY_DOLLAR / 100)
		snprintf(f.s, sizeof(f.s), "<$0.01");
	else if (v < 99.995)
		snprintf(f.s, sizeof(f.s), "$%.2f", v);
	else if (v < 999.95)
		snprintf(f.s, sizeof(f.s), "$%.1f", v);
	else if (v < 99999.5)
		snprintf(f.s, sizeof(f.s), "$%.0f", v);
	else
		snprintf(f.s, sizeof(f.s), "$%.1fM", v / 1e6);
	return f;
}

struct monitor_figure monitor_percent(uint64_t hundredths)
{
	struct monitor_figure f;

	if (hundredths < 99950)
		snprintf(f.s, sizeof(f.s), "%" PRIu64 ".%" PRIu64, (hundredths + 5) / 100,
			 (hundredths + 5) / 10 % 10);
	else
		snprintf(f.s, sizeof(f.s), "%" PRIu64, (hundredths + 50) / 100);
	return f;
}

void monitor_bar(uint32_t percent, unsigned int width, bool utf8, struct buf *out)
{
	unsigned int full = percent >= 100 ? width : (unsigned int)(percent * width / 100);

	/* Something is not nothing. */
	if (percent && !full && width)
		full = 1;
	for (unsigned int i = 0; i < width; i++)
		buf_adds(out, i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : "."));
}

/* --- columns --- */

/* The narrowest and the best width, and which goes first where there is no room. */
static const struct {
	const char *head;
	unsigned int min, best, keep;
	bool right;
} columns[MONITOR_COLUMNS] = {
	[MONITOR_ID] = { "ID", 10, 40, 9, false },
	[MONITOR_POLICY] = { "POLICY", 8, 24, 4, false },
	[MONITOR_STATE] = { "STATE", 7, 8, 8, false },
	[MONITOR_CPU] = { "CPU%", 5, 6, 7, true },
	[MONITOR_MEMORY] = { "MEMORY", 9, 11, 6, true },
	[MONITOR_PIDS] = { "PIDS", 5, 9, 1, true },
	[MONITOR_DENIED] = { "DENIED", 6, 6, 5, true },
	[MONITOR_TOKENS] = { "TOKENS", 6, 6, 0, true },
	[MONITOR_COST] = { "COST", 6, 7, 3, true },
	[MONITOR_BUDGET] = { "BUDGET", 9, 20, 2, false },
};

const char *monitor_head(enum monitor_column c)
{
	return columns[c].head;
}

bool monitor_is_right(enum monitor_column c)
{
	return columns[c].right;
}

static unsigned int line_width(const unsigned int *widths)
{
	unsigned int sum = 0, n = 0;

	for (int c = 0; c < MONITOR_COLUMNS; c++) {
		sum += widths[c];
		n += widths[c] > 0;
	}
	return sum + (n ? n - 1 : 0);
}

static int first_to_go(const unsigned int *widths)
{
	int worst = -1;

	for (int c = 0; c < MONITOR_COLUMNS; c++)
		if (widths[c] && (worst < 0 || columns[c].keep < columns[worst].keep))
			worst = c;
	return worst;
}

void monitor_layout(unsigned int width, unsigned int ret[MONITOR_COLUMNS])
{
	/* Who gets what is left, one cell after the other. */
	static const enum monitor_column order[] = {
		MONITOR_STATE, MONITOR_CPU, MONITOR_COST,   MONITOR_MEMORY, MONITOR_PIDS,
		MONITOR_ID,    MONITOR_ID,  MONITOR_POLICY, MONITOR_BUDGET,
	};
	bool grown = true;

	for (int c = 0; c < MONITOR_COLUMNS; c++)
		ret[c] = columns[c].min;
	while (line_width(ret) > width && line_width(ret) > columns[MONITOR_ID].min)
		ret[first_to_go(ret)] = 0;
	if (line_width(ret) > width)
		ret[MONITOR_ID] = width;
	while (grown) {
		grown = false;
		for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
			enum monitor_column c = order[i];

			if (!ret[c] || ret[c] >= columns[c].best || line_width(ret) >= width)
				continue;
			ret[c]++;
			grown = true;
		}
	}
}

/* The first character of a text that is not empty, and its length; 0: it is not UTF-8. */
static size_t decode(const char *text, wchar_t *ret)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (len > strnlen(text, len) || !str_is_utf8(text, len))
		return 0;
	*ret = len == 1 ? s[0] : s[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++)
		*ret = *ret << 6 | (s[i] & 0x3f);
	return len;
}

/* What a character is shown as, and in how many cells. */
static size_t next_glyph(const char *text, bool utf8, const char **ret, size_t *ret_len,
			 unsigned int *ret_width)
{
	wchar_t c = 0;
	size_t len = decode(text, &c);
	int width = len ? wcwidth(c) : -1;

	if (width < 1 || (!utf8 && len != 1)) {
		*ret = "?";
		*ret_len = *ret_width = 1;
		return len ? len : 1;
	}
	*ret = text;
	*ret_len = len;
	*ret_width = (unsigned int)width;
	return len;
}

static unsigned int text_width(const char *text, bool utf8)
{
	unsigned int sum = 0, width;
	const char *glyph;
	size_t len;

	while (*text) {
		text += next_glyph(text, utf8, &glyph, &len, &width);
		sum += width;
	}
	return sum;
}

static void pad(struct buf *out, unsigned int n)
{
	while (n--)
		buf_adds(out, " ");
}

void monitor_fit(const char *text, unsigned int width, bool right, bool utf8, struct buf *out)
{
	unsigned int whole = text_width(text, utf8), used = 0, w;
	unsigned int room = whole > width && width ? width - 1 : width;
	const char *glyph;
	size_t len;

	if (right && whole < width)
		pad(out, width - whole);
	while (*text) {
		size_t step = next_glyph(text, utf8, &glyph, &len, &w);

		if (used + w > room)
			break;
		buf_add(out, glyph, len);
		used += w;
		text += step;
	}
	if (whole > width && width) {
		pad(out, room - used);
		buf_adds(out, "~");
	} else if (!right && whole < width) {
		pad(out, width - whole);
	}
}

/* How much of a line goes into `width` cells: whole words, where there are any. */
static size_t fitting(const char *text, size_t len, unsigned int width, bool utf8)
{
	unsigned int used = 0, w;
	size_t at = 0, word = 0, glyph_len;
	const char *glyph;

	while (at < len) {
		size_t step = next_glyph(text + at, utf8, &glyph, &glyph_len, &w);

		if (used + w > width)
			return word ? word : at ? at : step;
		used += w;
		at += step;
		if (text[at - 1] == ' ')
			word = at;
	}
	return len;
}

void monitor_wrap(const char *text, unsigned int width, bool utf8, struct buf *out)
{
	const unsigned int indent = width > 20 ? 4 : 0;

	while (*text) {
		size_t len = strcspn(text, "\n"), n = fitting(text, len, width, utf8);

		buf_add(out, text, n);
		while (n < len) {
			text += n;
			len -= n;
			n = fitting(text, len, width - indent, utf8);
			buf_adds(out, "\n");
			pad(out, indent);
			buf_add(out, text, n);
		}
		buf_adds(out, "\n");
		text += n + (text[n] ? 1 : 0);
	}
}

const char *monitor_status_word(const struct monitor_row *r)
{
	if (r->is_broken)
		return "?";
	return r->status == CONTAINER_PAUSED ? "frozen" : container_status_name(r->status);
}

const struct monitor_budget *monitor_tightest(const struct monitor_row *r)
{
	const struct monitor_budget *worst = NULL;

	for (size_t i = 0; i < r->budgets.n; i++)
		if (!worst || r->budgets.v[i].percent > worst->percent)
			worst = &r->budgets.v[i];
	return worst;
}

static void add_budget(const struct monitor_row *r, unsigned int width, bool utf8,
		       struct buf *out)
{
	const struct monitor_budget *b = monitor_tightest(r);
	char percent[16];

	if (!b) {
		buf_adds(out, "-");
		return;
	}
	snprintf(percent, sizeof(percent), "%4" PRIu32 "%%",
		 b->percent > 999 ? 999 : b->percent);
	if (width > strlen(percent))
		monitor_bar(b->percent, width - (unsigned int)strlen(percent), utf8, out);
	buf_adds(out, percent);
}

static void add_of(struct buf *out, bool has, struct monitor_figure used, uint64_t limit,
		   struct monitor_figure of)
{
	if (!has)
		buf_adds(out, "-");
	else if (limit == CGROUP_UNLIMITED)
		buf_adds(out, used.s);
	else
		buf_addf(out, "%s/%s", used.s, of.s);
}

void monitor_cell(const struct monitor_row *r, enum monitor_column c, unsigned int width,
		  bool utf8, struct buf *out)
{
	switch (c) {
	case MONITOR_ID:
		print_plain(out, r->id, 0);
		break;
	case MONITOR_POLICY:
		print_plain(out, r->policies && *r->policies ? r->policies : "-", 0);
		break;
	case MONITOR_STATE:
		buf_adds(out, monitor_status_word(r));
		break;
	case MONITOR_CPU:
		buf_adds(out, r->has_cpu ? monitor_percent(r->cpu).s : "-");
		break;
	case MONITOR_MEMORY:
		add_of(out, r->has_memory, monitor_bytes(r->memory), r->memory_limit,
		       monitor_bytes(r->memory_limit));
		break;
	case MONITOR_PIDS:
		add_of(out, r->has_pids, monitor_count(r->pids), r->pids_limit,
		       monitor_count(r->pids_limit));
		break;
	case MONITOR_DENIED:
		buf_adds(out, r->has_network ? monitor_count(r->denied).s : "-");
		break;
	case MONITOR_TOKENS:
		buf_adds(out, r->has_llm ? monitor_count((uint64_t)r->tokens).s : "-");
		break;
	case MONITOR_COST:
		buf_adds(out, r->has_llm ? monitor_money(r->cost).s : "-");
		break;
	case MONITOR_BUDGET:
		add_budget(r, width, utf8, out);
		break;
	case MONITOR_COLUMNS:
		break;
	}
}

/* --- the order --- */

const char *monitor_sort_name(enum monitor_sort s)
{
	static const char *const names[] = {
		[MONITOR_BY_ID] = "id",		[MONITOR_BY_CPU] = "cpu",
		[MONITOR_BY_MEMORY] = "memory", [MONITOR_BY_DENIED] = "denied",
		[MONITOR_BY_COST] = "cost",
	};

	return names[s];
}

static uint64_t sort_key(const struct monitor_row *r, enum monitor_sort s)
{
	if (s == MONITOR_BY_CPU)
		return r->has_cpu ? r->cpu : 0;
	if (s == MONITOR_BY_MEMORY)
		return r->has_memory ? r->memory : 0;
	if (s == MONITOR_BY_DENIED)
		return r->has_network ? r->denied : 0;
	return s == MONITOR_BY_COST && r->has_llm ? (uint64_t)r->cost : 0;
}

/* The rows are by id, and equal ones stay so. */
void monitor_order(const struct monitor *m, enum monitor_sort s, size_t *ret)
{
	for (size_t i = 0; i < m->rows.n; i++) {
		size_t at = i;

		while (at > 0 && sort_key(&m->rows.v[i], s) >
					 sort_key(&m->rows.v[ret[at - 1]], s)) {
			ret[at] = ret[at - 1];
			at--;
		}
		ret[at] = i;
	}
}

/* --- one sandbox --- */

static void add_budget_line(const struct monitor_budget *b, struct buf *out)
{
	buf_adds(out, "budget ");
	print_plain(out, b->name, 0);
	buf_addf(out, ": %" PRIu32 " %%", b->percent);
	if (b->has_cost)
		buf_addf(out, ", %s of %s", money_text(b->cost).s,
			 money_text(b->cost_limit).s);
	if (b->has_tokens)
		buf_addf(out, ", %" PRId64 " of %" PRId64 " tokens", b->tokens,
			 b->tokens_limit);
	buf_adds(out, "\n");
}

void monitor_details(const struct monitor_row *r, struct buf *out)
{
	buf_addf(out, "sandbox: %s\nstate: %s", r->id, monitor_status_word(r));
	if (r->pid)
		buf_addf(out, ", process %d", (int)r->pid);
	if (r->created)
		buf_addf(out, ", since %s", r->created);
	buf_adds(out, "\n");
	if (r->why) {
		print_plain(out, r->why, 0);
		buf_adds(out, "\n");
	}
	buf_adds(out, "policies: ");
	print_plain(out, r->policies && *r->policies ? r->policies : "none", 0);
	buf_adds(out, "\n");
	if (r->has_cpu)
		buf_addf(out, "CPU: %s %% of a processor\n", monitor_percent(r->cpu).s);
	if (r->has_memory) {
		buf_addf(out, "memory: %s", monitor_bytes(r->memory).s);
		if (r->memory_limit != CGROUP_UNLIMITED)
			buf_addf(out, " of %s", monitor_bytes(r->memory_limit).s);
		buf_adds(out, "\n");
	}
	if (r->has_pids) {
		buf_addf(out, "processes: %" PRIu64, r->pids);
		if (r->pids_limit != CGROUP_UNLIMITED)
			buf_addf(out, " of %" PRIu64, r->pids_limit);
		buf_adds(out, "\n");
	}
	if (r->has_llm)
		buf_addf(out, "LLM: %" PRId64 " calls, %" PRId64 " tokens, %s\n",
			 r->calls, r->tokens, money_text(r->cost).s);
	for (size_t i = 0; i < r->budgets.n; i++)
		add_budget_line(&r->budgets.v[i], out);
}
