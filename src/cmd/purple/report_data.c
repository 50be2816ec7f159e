/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `purple report` tells: the ledger has what LLM calls took, records of runs what ended how and
 * what was denied, state folders the same of what still runs, audit logs which hosts and files were
 * touched. Runs with the caller's privileges. What is missing or cannot be read becomes a note of
 * the report, which is about the rest.
 */
#include "cmd/purple/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "audit/config.h"
#include "base/fd.h"
#include "cmd/purple/audit_logs.h"
#include "cmd/purple/summary.h"
#include "container/history.h"
#include "container/state.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
/* A span is shown by hours, days or weeks. */
#define HOURS_MAX 72
#define DAYS_MAX 120
#define BUCKETS_MAX 5000

static const struct budget_column time_columns[] = {
	{ "TIME (UTC)", "time", BUDGET_TEXT, -16 },
	{ "CALLS", "calls", BUDGET_COUNT, 8 },
	{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
	{ "COST", "cost", BUDGET_MONEY, 16 },
	{},
};
static const struct budget_column model_columns[] = {
	{ "MODEL", "model", BUDGET_TEXT, -30 },
	{ "CALLS", "calls", BUDGET_COUNT, 8 },
	{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
	{ "COST", "cost", BUDGET_MONEY, 16 },
	{},
};
static const struct budget_column team_columns[] = {
	{ "TEAM", "team", BUDGET_TEXT, -30 },
	{ "CALLS", "calls", BUDGET_COUNT, 8 },
	{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
	{ "COST", "cost", BUDGET_MONEY, 16 },
	{},
};
static const struct budget_column policy_columns[] = {
	{ "POLICY", "policy", BUDGET_TEXT, -30 },
	{ "CALLS", "calls", BUDGET_COUNT, 8 },
	{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
	{ "COST", "cost", BUDGET_MONEY, 16 },
	{},
};
static const struct budget_column end_columns[] = {
	{ "END", "end", BUDGET_TEXT, -20 },
	{ "RUNS", "runs", BUDGET_COUNT, 8 },
	{},
};
enum {
	RUN_ENDED,
	RUN_ID,
	RUN_POLICY,
	RUN_COMMAND,
	RUN_TIME,
	RUN_END,
	RUN_MEMORY,
	RUN_CPU,
	RUN_TOKENS,
	RUN_COST,
	RUN_DENIED
};
static const struct budget_column run_columns[] = {
	{ "ENDED (UTC)", "ended", BUDGET_TIME, -20 },
	{ "SANDBOX", "sandbox", BUDGET_TEXT, -24 },
	{ "POLICY", "policy", BUDGET_TEXT, -20 },
	{ "", "command", BUDGET_TEXT, 0 },
	{ "TOOK", "took", BUDGET_TEXT, 12 },
	{ "END", "end", BUDGET_TEXT, -14 },
	{ "MEMORY", "memory", BUDGET_TEXT, 9 },
	{ "CPU", "CPU", BUDGET_TEXT, 12 },
	{ "TOKENS", "tokens", BUDGET_COUNT, 9 },
	{ "COST", "cost", BUDGET_MONEY, 12 },
	{ "DENIED", "denied", BUDGET_COUNT, 6 },
	{},
};
static const struct budget_column denial_columns[] = {
	{ "RULE", "rule", BUDGET_TEXT, -30 },
	{ "PLACE", "place", BUDGET_TEXT, -24 },
	{ "POLICY", "policy", BUDGET_TEXT, -20 },
	{ "OF", "type", BUDGET_TEXT, -10 },
	{ "DENIED", "denied", BUDGET_COUNT, 8 },
	{ "WOULD BE", "audited", BUDGET_COUNT, 8 },
	{ "FOR ONE", "target", BUDGET_TEXT, -30 },
	{},
};
static const struct budget_column host_columns[] = {
	{ "HOST", "host", BUDGET_TEXT, -40 },
	{ "ALLOWED", "allowed", BUDGET_COUNT, 8 },
	{ "DENIED", "denied", BUDGET_COUNT, 8 },
	{ "LOOKUPS", "lookups", BUDGET_COUNT, 8 },
	{ "", "all", BUDGET_COUNT, 0 },
	{},
};
static const struct budget_column file_columns[] = {
	{ "FILE", "file", BUDGET_TEXT, -40 },
	{ "READ", "read", BUDGET_COUNT, 8 },
	{ "WRITTEN", "written", BUDGET_COUNT, 8 },
	{ "REMOVED", "removed", BUDGET_COUNT, 8 },
	{ "DENIED", "denied", BUDGET_COUNT, 8 },
	{ "", "all", BUDGET_COUNT, 0 },
	{},
};

static const struct report_kind kinds[REPORT_SECTIONS] = {
	[REPORT_TIME] = { "time", "Spend over time",
			  "Cost of LLM calls, by when they began (UTC).",
			  "No LLM call was metered in this time.", time_columns, 0, 3, -1,
			  true },
	[REPORT_MODELS] = { "models", "Spend by model", "Cost of LLM calls of each model.",
			    "No LLM call was metered in this time.", model_columns, 1, 3,
			    3 },
	[REPORT_TEAMS] = { "teams", "Spend by team",
			   "Cost of LLM calls under policies with a team's budget.",
			   "No LLM call was metered for a team in this time.",
			   team_columns, 1, 3, 3 },
	[REPORT_POLICIES] = { "policies", "Spend by policy",
			      "Cost of LLM calls under each policy.",
			      "No LLM call was metered in this time.", policy_columns, 1,
			      3, 3 },
	[REPORT_ENDS] = { "ends", "How runs ended", "Runs that are over, by why they ended.",
			  "No run that ended in this time is recorded.", end_columns, 1,
			  1, 1 },
	[REPORT_RUNS] = { "runs", "Runs", "Runs that are over, the last one first.",
			  "No run that ended in this time is recorded.", run_columns, 0,
			  -1, -1 },
	[REPORT_DENIALS] = { "denials", "Denials by rule",
			     "What was denied, by the rule that did it; \"would be\": by policies that only audit.",
			     "Nothing that was denied is recorded of this time.",
			     denial_columns, 4, 4, 4, true },
	[REPORT_HOSTS] = { "hosts", "Hosts",
			   "Hosts that sandboxes called or asked for, as audit logs and running sandboxes tell.",
			   "No host is recorded for this time. (What is allowed is told by audit logs alone.)",
			   host_columns, 1, 4, 4 },
	[REPORT_FILES] = { "files", "Files",
			   "Files that sandboxes opened or removed, as audit logs tell.",
			   "No file is recorded for this time. (Audit logs tell of files, where a policy "
			   "audits the filesystem.)",
			   file_columns, 1, 5, 5 },
};

static void add_note(struct report *r, const char *what, const char *why)
{
	r->failed |= strv_addf(&r->notes, "%s: %s", what, why) < 0;
}

/* --- time --- */

int64_t report_time(const char *text)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H",
					     "%Y-%m-%d" };

	for (size_t i = 0; text && i < ARRAY_SIZE(forms); i++) {
		struct tm tm = {};

		if (strptime(text, forms[i], &tm))
			return (int64_t)timegm(&tm) * 1000;
	}
	return 0;
}

struct report_label report_bucket_label(const struct report *r, int64_t start)
{
	struct report_label l = {};
	time_t t = (time_t)(start / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(l.s, sizeof(l.s),
			 r->step < DAY_MS ? "%Y-%m-%d %H:00" : "%Y-%m-%d", &tm);
	return l;
}

int report_make_buckets(struct report *r, const struct report_bucket *hours, size_t n,
			struct err *e)
{
	int64_t first = n ? hours[0].start : r->now, from;

	/* From the time that was asked for, where that is not long before anything happened. */
	if (r->since > 0 && (!n || first - r->since < DAYS_MAX * DAY_MS))
		first = r->since;
	if (first > r->now)
		first = r->now;
	if (r->now - first <= HOURS_MAX * HOUR_MS)
		r->step = HOUR_MS;
	else
		r->step = r->now - first <= DAYS_MAX * DAY_MS ? DAY_MS : 7 * DAY_MS;
	from = first - first % (r->step > DAY_MS ? DAY_MS : r->step);
	if (n == 0 || (r->now - from) / r->step >= BUCKETS_MAX)
		return 0;
	for (int64_t t = from; t <= r->now; t += r->step) {
		struct report_bucket *b = list_add(&r->buckets);

		if (!b)
			return err_oom(e);
		b->start = t;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t at = (hours[i].start - from) / r->step;
		struct report_bucket *b;

		/* A clock that was set back. */
		if (hours[i].start < from || at >= (int64_t)r->buckets.n)
			continue;
		b = &r->buckets.v[at];
		b->calls += hours[i].calls;
		b->tokens += hours[i].tokens;
		b->cost += hours[i].cost;
	}
	return 0;
}

/* The table has those in which something happened. */
static void fill_time_table(struct report *r)
{
	for (size_t i = 0; i < r->buckets.n; i++) {
		const struct report_bucket *b = &r->buckets.v[i];
		struct report_row *row;

		if (b->calls == 0)
			continue;
		row = report_new_row(&r->tables[REPORT_TIME], &r->failed);
		if (!row)
			return;
		report_set_text(row, REPORT_SUM_KEY, report_bucket_label(r, b->start).s,
				&r->failed);
		report_set_number(row, REPORT_SUM_CALLS, b->calls);
		report_set_number(row, REPORT_SUM_TOKENS, b->tokens);
		report_set_number(row, REPORT_SUM_COST, b->cost);
	}
}

/* --- the ledger --- */

struct hours {
	struct report *r;
	LIST_OF(struct report_bucket) list;
};

static int add_hour(const struct ledger_sum *s, void *arg)
{
	struct hours *h = arg;
	struct report_bucket *b = list_add(&h->list);

	if (!b) {
		h->r->failed = true;
		return 1;
	}
	*b = (struct report_bucket){ report_time(s->key), s->calls, s->tokens, s->cost };
	h->r->calls += s->calls;
	h->r->tokens += s->tokens;
	h->r->cost += s->cost;
	return 0;
}

struct sums {
	struct report *r;
	enum report_section section;
};

static int add_sum(const struct ledger_sum *s, void *arg)
{
	struct sums *x = arg;
	struct report_table *t = &x->r->tables[x->section];
	const char *key = s->key && *s->key ? s->key : "(none)";
	struct report_row *row;

	if (x->section == REPORT_TEAMS && (!s->key || !*s->key))
		return 0;
	row = report_find(t, &key, &x->r->failed);
	if (!row)
		return 0;
	report_add(row, REPORT_SUM_CALLS, s->calls);
	report_add(row, REPORT_SUM_TOKENS, s->tokens);
	report_add(row, REPORT_SUM_COST, s->cost);
	return 0;
}

static int sum_up(struct report *r, struct ledger *l, struct err *e)
{
	static const enum ledger_group groups[] = {
		[REPORT_MODELS] = LEDGER_BY_MODEL,
		[REPORT_TEAMS] = LEDGER_BY_TEAM,
		[REPORT_POLICIES] = LEDGER_BY_POLICY,
	};
	const struct ledger_filter f = { .since = r->since, .policy = r->policy };
	struct hours h = { .r = r };
	int code = ledger_usage(l, LEDGER_BY_HOUR, &f, add_hour, &h, e);

	for (enum report_section s = REPORT_MODELS; code == 0 && s <= REPORT_POLICIES; s++) {
		struct sums x = { r, s };

		code = ledger_usage(l, groups[s], &f, add_sum, &x, e);
	}
	if (code == 0)
		code = report_make_buckets(r, h.list.v, h.list.n, e);
	free(h.list.v);
	return code;
}

/* No ledger is no call; one that cannot be read is said to be so. */
static void collect_ledger(struct report *r)
{
	struct ledger *l = NULL;
	struct err e;
	int code = budget_open(r->ledger, &l, &e);

	if (code == 0)
		code = sum_up(r, l, &e);
	ledger_drop(l);
	if (code == -ENOENT)
		add_note(r, "LLM calls", "nothing was metered here yet");
	else if (code < 0)
		add_note(r, "LLM calls are missing", e.msg);
	fill_time_table(r);
}

/* --- runs --- */

static void set_summary(struct report *r, struct report_row *row, int column,
			void (*write)(uint64_t v, struct buf *out), uint64_t v)
{
	_buf_free_ struct buf text = {};

	write(v, &text);
	r->failed |= text.failed;
	if (text.s)
		report_set_text(row, column, text.s, &r->failed);
}

static void set_joined(struct report *r, struct report_row *row, int column,
		       const struct strv *words, const char *between)
{
	_buf_free_ struct buf text = {};

	for (size_t i = 0; i < words->n; i++)
		buf_addf(&text, "%s%s", i ? between : "", words->v[i]);
	r->failed |= text.failed;
	report_set_text(row, column, text.s ? text.s : "", &r->failed);
}

static void add_run(struct report *r, const struct run_record *x)
{
	struct report_row *row = report_new_row(&r->tables[REPORT_RUNS], &r->failed);
	_buf_free_ struct buf end = {};

	if (!row)
		return;
	report_set_number(row, RUN_ENDED, report_time(x->ended));
	report_set_text(row, RUN_ID, x->id ? x->id : "", &r->failed);
	set_joined(r, row, RUN_POLICY, &x->policies, ",");
	set_joined(r, row, RUN_COMMAND, &x->command, " ");
	set_summary(r, row, RUN_TIME, summary_duration, x->duration_ms);
	summary_end_short(x->end, &end);
	report_set_text(row, RUN_END, end.s ? end.s : "", &r->failed);
	if (x->usage && x->usage->memory_peak.set)
		set_summary(r, row, RUN_MEMORY, summary_bytes, x->usage->memory_peak.value);
	if (x->usage && x->usage->cpu_ns.set)
		set_summary(r, row, RUN_CPU, summary_duration,
			    x->usage->cpu_ns.value / 1000000);
	if (x->llm && x->llm->tokens.set)
		report_set_number(row, RUN_TOKENS, x->llm->tokens.value);
	if (x->llm && x->llm->cost.set)
		report_set_number(row, RUN_COST, x->llm->cost.value);
	report_set_number(row, RUN_DENIED, (int64_t)x->denied);
}

static void add_end(struct report *r, const struct run_record *x)
{
	const char *key = x->end && x->end->reason ? x->end->reason : END_UNKNOWN;
	struct report_row *row = report_find(&r->tables[REPORT_ENDS], &key, &r->failed);

	if (row)
		report_add(row, 1, 1);
	r->n_runs++;
}

static void add_denial(struct report *r, const struct run_denial *d)
{
	const char *keys[] = { d->rule ? d->rule : "", d->reference ? d->reference : "",
			       d->policy ? d->policy : "", d->type ? d->type : "" };
	bool is_deny = d->verdict && streq(d->verdict, "deny");
	int64_t n = d->count > INT64_MAX ? INT64_MAX : (int64_t)d->count;
	struct report_row *row;

	if (r->policy && d->policy && !streq(d->policy, r->policy))
		return;
	row = report_find(&r->tables[REPORT_DENIALS], keys, &r->failed);
	if (!row)
		return;
	report_add(row, is_deny ? 4 : 5, n);
	if (d->target && !row->cells[6].is_set)
		report_set_text(row, 6, d->target, &r->failed);
}

static void take_record(struct report *r, const struct run_record *x, struct strv *logs)
{
	if (report_time(x->ended) < r->since ||
	    (r->policy && !strv_contains(&x->policies, r->policy)))
		return;
	add_run(r, x);
	add_end(r, x);
	r->denied += (int64_t)x->denied;
	for (size_t i = 0; i < x->denials.n; i++)
		add_denial(r, &x->denials.v[i]);
	for (size_t i = 0; i < x->logs.n; i++)
		if (!strv_contains(logs, x->logs.v[i]))
			r->failed |= strv_add(logs, x->logs.v[i]) < 0;
}

static void collect_runs(struct report *r, struct strv *logs)
{
	_strv_free_ struct strv names = {};
	size_t odd = 0;
	struct err e;

	if (history_list(&names, &e) < 0) {
		add_note(r, "runs are missing", e.msg);
		return;
	}
	for (size_t i = 0; i < names.n; i++) {
		_run_record_clear_ struct run_record x = {};
		int code = history_read(names.v[i], &x, &e);

		/* One that is not there any more was too old. */
		if (code == 0)
			take_record(r, &x, logs);
		else if (e.kind != ERR_NOT_EXIST && odd++ == 0)
			add_note(r, "a run is missing", e.msg);
	}
}

/* --- what runs --- */

static bool has_policy(const struct container *c, const char *policy)
{
	for (size_t i = 0; i < c->st.policies.n; i++)
		if (streq(c->st.policies.v[i].name, policy))
			return true;
	return false;
}

static bool is_audited(const struct container *c)
{
	_audit_config_clear_ struct audit_config x = {};
	struct err unused;

	return audit_config_load(c->dirfd, &x, &unused) == 0 && x.logs.n > 0;
}

static void collect_running(struct report *r)
{
	_strv_free_ struct strv ids = {};
	struct err e;

	if (container_list_ids(r->root, &ids, &e) < 0) {
		add_note(r, "what runs is missing", e.msg);
		return;
	}
	for (size_t i = 0; i < ids.n; i++) {
		_container_close_ struct container c = CONTAINER_EMPTY;

		/* It may vanish at any moment: its record is what the next report reads. */
		if (container_open(r->root, ids.v[i], false, &c, &e) < 0 ||
		    (r->policy && !has_policy(&c, r->policy)))
			continue;
		if (report_read_events(r, c.dirfd,
				       is_audited(&c) ? REPORT_FROM_EVENTS_OF_AUDITED :
							REPORT_FROM_EVENTS,
				       &e) < 0)
			add_note(r, ids.v[i], e.msg);
	}
}

/* `more`: those that records name. Which policy a line is of is told by the log in which it is. */
static void collect_logs(struct report *r, const struct strv *more)
{
	_strv_free_ struct strv logs = {};
	struct err e;
	int code = 0;

	if (!r->logs)
		code = audit_logs_find(r->root, NULL, r->policy, &logs, &e);
	for (size_t i = 0; code == 0 && !r->logs && !r->policy && i < more->n; i++)
		if (!strv_contains(&logs, more->v[i]) && strv_add(&logs, more->v[i]) < 0)
			code = err_oom(&e);
	if (code == 0)
		code = report_read_logs(r, r->logs ? r->logs : &logs, &e);
	if (code < 0)
		add_note(r, "audit logs are missing", e.msg);
}

/* --- all of it --- */

int report_collect(struct report *r, struct err *e)
{
	_strv_free_ struct strv logs = {};

	for (int s = 0; s < REPORT_SECTIONS; s++)
		r->tables[s].kind = &kinds[s];
	collect_ledger(r);
	collect_runs(r, &logs);
	collect_running(r);
	collect_logs(r, &logs);
	for (int s = 0; s < REPORT_SECTIONS; s++)
		report_sort(&r->tables[s]);
	return r->failed ? err_oom(e) : 0;
}

void report_clear(struct report *r)
{
	for (int s = 0; s < REPORT_SECTIONS; s++)
		report_table_clear(&r->tables[s]);
	free(r->buckets.v);
	strv_free(&r->notes);
	*r = (struct report){};
}
