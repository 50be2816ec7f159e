/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple monitor: all sandboxes of the state root, live: on a screen where there is one, else as
 * lines. Runs with the caller's privileges; reads only.
 */
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "budget/money.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/monitor.h"
#include "cmd/purple/purple.h"

#define INTERVAL_MIN_MS 100
#define INTERVAL_MAX_MS 3600000
/* Between the two looks of --once: what the share of the CPU is measured by. */
#define ONCE_MS 200
/* Of what happened before, so many are told at first; later all that are kept. */
#define FIRST_EVENTS 10
#define EVENTS_AT_ONCE 1000

struct monitor_options {
	const char *interval, *format, *ledger;
	bool once;
};

static const struct option_row rows[] = {
	OPTION(monitor_options, interval, "interval", 'i', OPTION_STRING, "SECONDS",
	       "between two looks (1; 0.1 to 3600)"),
	OPTION(monitor_options, once, "once", 0, OPTION_FLAG, NULL,
	       "look once, print lines and end"),
	OPTION(monitor_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "of lines: text (default) or json, an object for each look"),
	OPTION(monitor_options, ledger, "ledger", 0, OPTION_STRING, "FILE",
	       "the ledger (default: that of each sandbox's gateway)"),
	{},
};

/* --- as lines --- */

static const unsigned int widths[MONITOR_COLUMNS] = {
	[MONITOR_ID] = 28,     [MONITOR_POLICY] = 20, [MONITOR_STATE] = 8,
	[MONITOR_CPU] = 6,     [MONITOR_MEMORY] = 11, [MONITOR_PIDS] = 9,
	[MONITOR_DENIED] = 6,  [MONITOR_TOKENS] = 6,  [MONITOR_COST] = 7,
	[MONITOR_BUDGET] = 15,
};

static bool is_utf8(void)
{
	return streq(nl_langinfo(CODESET), "UTF-8");
}

/* In a line, a text that is too long moves the others: nothing is cut. */
static void add_padded(struct buf *out, const char *text, enum monitor_column c)
{
	int width = (int)widths[c];

	buf_addf(out, "%*s%s", monitor_is_right(c) ? width : -width, text,
		 c + 1 < MONITOR_COLUMNS ? " " : "");
}

/* Cells are padded; a line is not. */
static void end_line(struct buf *out)
{
	while (!out->failed && out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	buf_adds(out, "\n");
}

static void write_time(struct buf *out)
{
	time_t now = time(NULL);
	char text[32];
	struct tm tm;

	if (gmtime_r(&now, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		buf_adds(out, text);
}

static void write_head(struct buf *out)
{
	for (int c = 0; c < MONITOR_COLUMNS; c++)
		add_padded(out, monitor_head((enum monitor_column)c),
			   (enum monitor_column)c);
	buf_adds(out, "\n");
}

static void write_row(const struct monitor_row *r, struct buf *out)
{
	for (int c = 0; c < MONITOR_COLUMNS; c++) {
		_buf_free_ struct buf cell = {};

		monitor_cell(r, (enum monitor_column)c, widths[c], is_utf8(), &cell);
		add_padded(out, cell.s ? cell.s : "", (enum monitor_column)c);
		out->failed |= cell.failed;
	}
	if (r->why) {
		buf_adds(out, " ");
		print_plain(out, r->why, 0);
	}
	end_line(out);
}

static void write_event(const struct monitor_line *x, struct buf *out)
{
	print_plain(out, x->event->time, 0);
	buf_addf(out, " %s: %s\n", x->row->id, x->event->text);
}

static void write_text(const struct monitor *m, const struct monitor_line *events,
		       size_t n, struct buf *out)
{
	write_time(out);
	buf_addf(out, " %zu sandbox%s\n", m->rows.n, m->rows.n == 1 ? "" : "es");
	if (m->rows.n)
		write_head(out);
	for (size_t i = 0; i < m->rows.n; i++)
		write_row(&m->rows.v[i], out);
	if (m->complaint) {
		buf_adds(out, "tokens and costs are not known: ");
		print_plain(out, m->complaint, 0);
		buf_adds(out, "\n");
	}
	for (size_t i = 0; i < n; i++)
		write_event(&events[i], out);
}

/* --- as JSON --- */

static void add_text(struct buf *out, const char *name, const char *value)
{
	buf_addf(out, ",\"%s\":", name);
	json_quote(out, value);
}

static void add_used(struct buf *out, const char *name, bool has, const char *what,
		     uint64_t used, uint64_t limit)
{
	if (!has)
		return;
	buf_addf(out, ",\"%s\":{\"%s\":%" PRIu64, name, what, used);
	if (limit != CGROUP_UNLIMITED)
		buf_addf(out, ",\"limit\":%" PRIu64, limit);
	buf_adds(out, "}");
}

static void add_budgets(const struct monitor_row *r, struct buf *out)
{
	buf_adds(out, ",\"budgets\":[");
	for (size_t i = 0; i < r->budgets.n; i++) {
		const struct monitor_budget *b = &r->budgets.v[i];

		buf_addf(out, "%s{\"percent\":%" PRIu32, i ? "," : "", b->percent);
		add_text(out, "name", b->name);
		if (b->has_tokens)
			buf_addf(out, ",\"tokens\":%" PRId64 ",\"tokens_limit\":%" PRId64,
				 b->tokens, b->tokens_limit);
		if (b->has_cost)
			buf_addf(out,
				 ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\""
				 ",\"cost_limit\":%" PRId64 ",\"cost_limit_text\":\"%s\"",
				 b->cost, money_text(b->cost).s, b->cost_limit,
				 money_text(b->cost_limit).s);
		buf_adds(out, "}");
	}
	buf_adds(out, "]");
}

static void write_object(const struct monitor_row *r, struct buf *out)
{
	buf_adds(out, "{\"id\":");
	json_quote(out, r->id);
	if (r->why)
		add_text(out, "why", r->why);
	if (!r->is_broken) {
		add_text(out, "policies", r->policies);
		add_text(out, "status", container_status_name(r->status));
		add_text(out, "created", r->created);
		buf_addf(out, ",\"pid\":%d", (int)r->pid);
		if (r->has_cpu)
			buf_addf(out, ",\"cpu_percent\":%" PRIu64 ".%02u", r->cpu / 100,
				 (unsigned int)(r->cpu % 100));
		add_used(out, "memory", r->has_memory, "usage", r->memory, r->memory_limit);
		add_used(out, "pids", r->has_pids, "current", r->pids, r->pids_limit);
		add_used(out, "network", r->has_network, "denied", r->denied,
			 CGROUP_UNLIMITED);
		if (r->has_llm)
			buf_addf(out,
				 ",\"llm\":{\"calls\":%" PRId64 ",\"tokens\":%" PRId64
				 ",\"cost\":%" PRId64 ",\"cost_text\":\"%s\"}",
				 r->calls, r->tokens, r->cost, money_text(r->cost).s);
		if (r->has_llm)
			add_budgets(r, out);
	}
	buf_adds(out, "}");
}

static void write_json(const struct monitor *m, const struct monitor_line *events,
		       size_t n, struct buf *out)
{
	buf_adds(out, "{\"@timestamp\":\"");
	write_time(out);
	buf_adds(out, "\",\"sandboxes\":[");
	for (size_t i = 0; i < m->rows.n; i++) {
		buf_adds(out, i ? "," : "");
		write_object(&m->rows.v[i], out);
	}
	buf_adds(out, "]");
	if (m->complaint)
		add_text(out, "ledger_error", m->complaint);
	buf_adds(out, ",\"events\":[");
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s%s", i ? "," : "", events[i].event->raw);
	buf_adds(out, "]}\n");
}

/* --- the loop of lines --- */

/* False: nobody reads any more. */
static bool wait_ms(unsigned int ms)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return poll(&p, 1, (int)ms) <= 0 || !(p.revents & POLLERR);
}

/* *ret_gone: nobody reads what is printed. */
static int print_look(struct monitor *m, bool json, uint64_t after, size_t max,
		      bool *ret_gone, struct err *e)
{
	_free_ struct monitor_line *events = calloc(max, sizeof(*events));
	_buf_free_ struct buf out = {};
	size_t n;
	int r;

	if (!events)
		return err_oom(e);
	n = monitor_newest(m, NULL, after, events, max);
	if (json)
		write_json(m, events, n, &out);
	else
		write_text(m, events, n, &out);
	if (out.failed)
		return err_oom(e);
	r = fd_write_all(STDOUT_FILENO, out.s, out.len);
	*ret_gone = r == -EPIPE;
	return r < 0 && !*ret_gone ? err_errno(e, r, "cannot write to stdout") : 0;
}

static int print_looks(struct monitor *m, bool json, bool once, unsigned int interval,
		       struct err *e)
{
	size_t max = FIRST_EVENTS;
	uint64_t told = 0;
	bool gone = false;
	int r = monitor_look(m, e);

	if (r == 0 && !wait_ms(once || interval > ONCE_MS ? ONCE_MS : interval))
		return 0;
	while (r == 0 && !gone) {
		r = monitor_look(m, e);
		if (r == 0)
			r = print_look(m, json, told, max, &gone, e);
		max = EVENTS_AT_ONCE;
		told = m->events;
		if (once || gone || (r == 0 && !wait_ms(interval)))
			break;
	}
	return r;
}

/* --- the command --- */

static int parse_interval(const char *text, unsigned int *ret, struct err *e)
{
	const char *s = text;
	uint64_t ms;

	*ret = 1000;
	if (!text)
		return 0;
	if (num_decimal(&s, 3, &ms) < 0 || *s || ms < INTERVAL_MIN_MS || ms > INTERVAL_MAX_MS)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--interval '%s': expected seconds, from 0.1 to 3600", text);
	*ret = (unsigned int)ms;
	return 0;
}

static int parse_format(const char *text, bool *ret_json, struct err *e)
{
	*ret_json = text && streq(text, "json");
	if (text && !*ret_json && !streq(text, "text"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--format '%s': expected text or json", text);
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct purple_globals *g = global;
	const struct monitor_options *o = opts;
	_monitor_clear_ struct monitor m = { .root = g->root, .ledger = o->ledger };
	unsigned int interval;
	int r = parse_interval(o->interval, &interval, e), signum = 0;

	if (r == 0)
		r = parse_format(o->format, &m.keep_raw, e);
	if (r < 0)
		return r;
	/* Of the terminal alone: numbers are written as everywhere. */
	setlocale(LC_CTYPE, "");
	if (o->once || o->format || !monitor_screen_works())
		return print_looks(&m, m.keep_raw, o->once, interval, e);
	r = monitor_screen(&m, interval, &signum, e);
	if (r == 0 && signum) {
		monitor_clear(&m);
		/* As if it had not been caught; the terminal is as it was. */
		signal(signum, SIG_DFL);
		raise(signum);
	}
	return r;
}

const struct command purple_monitor_command = {
	.name = "monitor",
	.arguments = "",
	.help = "Show all sandboxes live: what they use, are denied and spend.",
	.options = rows,
	.options_size = sizeof(struct monitor_options),
	.run = run,
};
