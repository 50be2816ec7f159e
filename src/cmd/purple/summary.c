/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See summary.h. Names and targets come from sandboxes: print_plain() keeps them from speaking to a
 * terminal.
 */
#include "cmd/purple/summary.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "budget/money.h"
#include "cmd/purple/purple.h"

#define LABEL 11
#define RULES_MAX 10 /* the record has them all */
#define TARGET_MAX 60

/* --- figures --- */

void summary_duration(uint64_t ms, struct buf *out)
{
	uint64_t s = ms / 1000;

	if (s < 60)
		buf_addf(out, "%" PRIu64 ".%" PRIu64 " s", s, ms % 1000 / 100);
	else if (s < 3600)
		buf_addf(out, "%" PRIu64 " min %" PRIu64 " s", s / 60, s % 60);
	else
		buf_addf(out, "%" PRIu64 " h %" PRIu64 " min", s / 3600, s % 3600 / 60);
}

void summary_bytes(uint64_t bytes, struct buf *out)
{
	static const char units[] = "kMGT";
	uint64_t tenths = bytes * 10 / 1024;
	size_t i = 0;

	if (bytes > UINT64_MAX / 10) {
		buf_addf(out, "%" PRIu64 " MB", bytes >> 20);
		return;
	}
	while (tenths >= 10240 && units[i + 1]) {
		tenths /= 1024;
		i++;
	}
	if (tenths < 100 && tenths % 10)
		buf_addf(out, "%" PRIu64 ".%" PRIu64 " %cB", tenths / 10, tenths % 10,
			 units[i]);
	else
		buf_addf(out, "%" PRIu64 " %cB", tenths / 10, units[i]);
}

static void add_cost(int64_t cost, struct buf *out)
{
	const struct money_text t = money_text(cost);
	const char *dot = strchr(t.s, '.');
	size_t len = strlen(t.s);

	/* A call costs far less than a cent: four decimals, and no more. */
	if (dot && len > (size_t)(dot - t.s) + 5)
		len = (size_t)(dot - t.s) + 5;
	buf_add(out, t.s, len);
}

/* --- why it ended --- */

static const struct {
	const char *reason, *text;
} reasons[] = {
	{ END_TIMEOUT, "stopped: its time was over" },
	{ END_OOM, "killed: out of memory" },
	{ END_BUDGET, "stopped: its budget was spent" },
	{ END_AUDIT, "stopped: what it did could not be recorded" },
	{ END_STOPPED, "stopped" },
	{ END_UNKNOWN, "ended" },
};

static void add_how(const struct container_end *x, struct buf *out)
{
	int status = x->status.set ? x->status.value : -1;
	const char *name = status > 128 ? sigabbrev_np(status - 128) : NULL;

	if (streq(x->reason, END_SIGNALED) && name)
		buf_addf(out, "killed by SIG%s", name);
	else if (status >= 0)
		buf_addf(out, "exited with status %d", status);
	else
		buf_adds(out, "ended");
}

static void add_plain(struct buf *out, const char *before, const char *text,
		      const char *after)
{
	if (!text || !*text)
		return;
	buf_adds(out, before);
	print_plain(out, text, 0);
	buf_adds(out, after);
}

void summary_end(const struct container_end *x, struct buf *out)
{
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (streq(reasons[i].reason, x->reason))
			text = reasons[i].text;
	if (text)
		buf_adds(out, text);
	else
		add_how(x, out);
	if (streq(x->reason, END_STOPPED))
		add_plain(out, " (", x->by, ")");
	if (!streq(x->reason, END_BUDGET))
		add_plain(out, ": ", x->detail, "");
	if (!x->setting)
		return;
	add_plain(out, " (", x->setting, "");
	add_plain(out, ", ", x->policy, "");
	buf_adds(out, ")");
}

void summary_end_short(const struct container_end *x, struct buf *out)
{
	print_plain(out, x->reason, 16);
	if (x->status.set &&
	    (streq(x->reason, END_EXITED) || streq(x->reason, END_SIGNALED)))
		buf_addf(out, " (%d)",
			 streq(x->reason, END_EXITED) ? x->status.value :
							x->status.value - 128);
}

/* --- lines --- */

static void begin(struct buf *out, const char *label)
{
	buf_addf(out, "  %-*s", LABEL - 2, label);
}

static void add_of(struct buf *out, const struct opt_u64 *limit, bool bytes)
{
	if (!limit->set)
		return;
	buf_adds(out, " of ");
	if (bytes)
		summary_bytes(limit->value, out);
	else
		buf_addf(out, "%" PRIu64, limit->value);
}

static void write_usage(const struct run_usage *u, struct buf *out)
{
	const char *comma = "";

	if (!u || (!u->memory_peak.set && !u->cpu_ns.set && !u->processes_peak.set))
		return;
	begin(out, "used");
	if (u->memory_peak.set) {
		buf_adds(out, "memory ");
		summary_bytes(u->memory_peak.value, out);
		add_of(out, &u->memory_limit, true);
		comma = ", ";
	}
	if (u->cpu_ns.set) {
		buf_addf(out, "%scpu ", comma);
		summary_duration(u->cpu_ns.value / 1000000, out);
		comma = ", ";
	}
	if (u->processes_peak.set) {
		buf_addf(out, "%sprocesses %" PRIu64, comma, u->processes_peak.value);
		add_of(out, &u->processes_limit, false);
	}
	buf_adds(out, "\n");
}

static void write_budgets(const struct run_llm *l, struct buf *out)
{
	for (size_t i = 0; i < l->budgets.n; i++) {
		const struct run_budget *b = &l->budgets.v[i];
		const char *comma = " ";

		begin(out, "budget");
		print_plain(out, b->name, TARGET_MAX);
		buf_adds(out, ":");
		if (b->cost.set && b->cost_limit.set) {
			int64_t left = b->cost_limit.value - b->cost.value;

			buf_adds(out, comma);
			add_cost(left > 0 ? left : 0, out);
			buf_adds(out, " of ");
			add_cost(b->cost_limit.value, out);
			comma = ", ";
		}
		if (b->tokens.set && b->tokens_limit.set) {
			int64_t left = b->tokens_limit.value - b->tokens.value;

			buf_addf(out, "%s%" PRId64 " of %" PRId64 " tokens", comma,
				 left > 0 ? left : 0, b->tokens_limit.value);
		}
		buf_adds(out, " left\n");
	}
}

static void write_llm(const struct run_llm *l, struct buf *out)
{
	if (!l || (!l->calls && !l->denied && !l->incomplete))
		return;
	begin(out, "LLM");
	buf_addf(out, "%s%" PRIu64 " calls", l->incomplete ? "at least " : "", l->calls);
	if (l->denied)
		buf_addf(out, ", %" PRIu64 " refused", l->denied);
	if (l->tokens.set)
		buf_addf(out, ", %" PRId64 " tokens", l->tokens.value);
	if (l->cost.set) {
		buf_adds(out, ", ");
		add_cost(l->cost.value, out);
	}
	buf_adds(out, l->incomplete ? " (the gateway died: see purple usage)\n" : "\n");
	write_budgets(l, out);
}

/* What of a rule fits into what is left of a line, with "..." in its end's place. */
static void add_cut(struct buf *out, const char *text, size_t room)
{
	if (strlen(text) <= room) {
		print_plain(out, text, 0);
		return;
	}
	print_plain(out, text, room > 3 ? room - 3 : 0);
	buf_adds(out, "...");
}

static void write_denial(const struct run_denial *d, unsigned int width, struct buf *out)
{
	_buf_free_ struct buf line = {};
	size_t room;

	buf_addf(&line, "%*s%" PRIu64 " x ", LABEL, "", d->count);
	print_plain(&line, d->target ? d->target : d->type, TARGET_MAX);
	if (streq(d->verdict, "audit"))
		buf_adds(&line, " (passed: enforcement is audit)");
	buf_adds(&line, ": ");
	if (line.failed) {
		out->failed = true;
		return;
	}
	room = width > line.len + 16 ? width - line.len : 16;
	buf_adds(out, line.s);
	add_cut(out, d->rule, room);
	buf_adds(out, "\n");
	if (d->reference || d->policy) {
		buf_addf(out, "%*s", LABEL + 4, "");
		print_plain(out, d->reference ? d->reference : d->policy, 0);
		buf_adds(out, "\n");
	}
	if (d->command) {
		buf_addf(out, "%*s", LABEL + 4, "");
		print_plain(out, d->command, 0);
		buf_adds(out, "\n");
	}
}

static void write_denials(const struct run_record *x, unsigned int width, struct buf *out)
{
	size_t n = x->denials.n < RULES_MAX ? x->denials.n : RULES_MAX;

	if (!x->denied && !x->audited)
		return;
	begin(out, "denied");
	buf_addf(out, "%" PRIu64 " times", x->denied);
	if (x->audited)
		buf_addf(out, ", and %" PRIu64 " times passed that would be", x->audited);
	buf_adds(out, "\n");
	for (size_t i = 0; i < n; i++)
		write_denial(&x->denials.v[i], width, out);
	if (n < x->denials.n)
		buf_addf(out, "%*sand by %zu rules more\n", LABEL, "", x->denials.n - n);
}

void summary_write(const struct run_record *x, unsigned int width, struct buf *out)
{
	buf_adds(out, "purple: ");
	print_plain(out, x->id, 0);
	buf_adds(out, ": ");
	summary_end(x->end, out);
	buf_adds(out, ", after ");
	summary_duration(x->duration_ms, out);
	buf_adds(out, "\n");
	write_usage(x->usage, out);
	write_llm(x->llm, out);
	write_denials(x, width, out);
	if (x->lost) {
		begin(out, "lost");
		buf_addf(out, "%" PRIu64 " events were not recorded one by one\n", x->lost);
	}
	for (size_t i = 0; i < x->logs.n; i++) {
		begin(out, i ? "" : "log");
		print_plain(out, x->logs.v[i], 0);
		buf_adds(out, "\n");
	}
}
