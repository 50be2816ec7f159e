/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple usage: what LLM calls took, from the ledger. Runs as root, whose file that is. Besides
 * reading it charges what gateways that died had reserved, as everyone who opens the ledger does.
 */
#include <errno.h>
#include <time.h>

#include "cmd/purple/budget_text.h"
#include "cmd/purple/purple.h"

struct usage_options {
	const char *by, *container, *policy, *team, *since, *until, *format, *ledger;
};

static const struct option_row rows[] = {
	OPTION(usage_options, by, "by", 'b', OPTION_STRING, "KEY",
	       "one row for each container, policy (default), team, model, day or hour"),
	OPTION(usage_options, container, "container", 0, OPTION_STRING, "ID",
	       "calls of this container alone"),
	OPTION(usage_options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "calls under this policy alone"),
	OPTION(usage_options, team, "team", 0, OPTION_STRING, "NAME",
	       "calls of this team alone"),
	OPTION(usage_options, since, "since", 0, OPTION_STRING, "DATE",
	       "calls from this day on (2026-11-22, UTC)"),
	OPTION(usage_options, until, "until", 0, OPTION_STRING, "DATE",
	       "calls before this day"),
	OPTION(usage_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "table (default), json or csv"),
	OPTION(usage_options, ledger, "ledger", 0, OPTION_STRING, "FILE",
	       "the ledger (default " LEDGER_FILE ")"),
	{},
};

static int parse_group(const char *by, enum ledger_group *ret, struct err *e)
{
	static const char *const names[] = {
		[LEDGER_BY_CONTAINER] = "container",
		[LEDGER_BY_POLICY] = "policy",
		[LEDGER_BY_TEAM] = "team",
		[LEDGER_BY_MODEL] = "model",
		[LEDGER_BY_DAY] = "day",
		[LEDGER_BY_HOUR] = "hour",
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (streq(by ? by : "policy", names[i])) {
			*ret = (enum ledger_group)i;
			return 0;
		}
	}
	return err_set(e, ERR_USAGE, EINVAL,
		       "unknown key '%s': expected container, policy, team, model, day or hour",
		       by);
}

/* A day of UTC; NULL is 0. */
static int parse_day(const char *text, int64_t *ret, struct err *e)
{
	struct tm tm = {}, back;
	const char *end;

	*ret = 0;
	if (!text)
		return 0;
	end = strptime(text, "%Y-%m-%d", &tm);
	back = tm;
	*ret = end && !*end ? (int64_t)timegm(&back) * 1000 : -1;
	if (*ret < 0 || back.tm_mday != tm.tm_mday)
		return err_set(e, ERR_USAGE, EINVAL, "'%s' is not a day (2026-11-22)", text);
	return 0;
}

static int add_row(const struct ledger_sum *s, void *arg)
{
	const struct usage *u = &s->usage;
	const int64_t cached = u->cache_read + u->cache_w5m + u->cache_w1h;
	const struct budget_cell cells[] = {
		{ .text = s->key },	     { .number = s->calls },
		{ .number = s->open },	     { .number = s->estimated },
		{ .number = s->tokens },     { .number = u->in_uncached + u->in_audio },
		{ .number = cached },	     { .number = u->cache_read },
		{ .number = u->cache_w5m },  { .number = u->cache_w1h },
		{ .number = u->in_audio },   { .number = u->out },
		{ .number = u->reasoning },  { .number = u->out_audio },
		{ .number = u->web_search }, { .number = s->cost },
	};

	budget_table_row(arg, cells);
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	static const struct budget_column columns[] = {
		{ "KEY", "key", BUDGET_TEXT, -30 },
		{ "CALLS", "calls", BUDGET_COUNT, 8 },
		{ "OPEN", "open", BUDGET_COUNT, 5 },
		{ "ESTIM.", "estimated", BUDGET_COUNT, 6 },
		{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
		{ "INPUT", "input", BUDGET_COUNT, 12 },
		{ "CACHED", "cached", BUDGET_COUNT, 12 },
		{ "", "cache_read", BUDGET_COUNT, 0 },
		{ "", "cache_write", BUDGET_COUNT, 0 },
		{ "", "cache_write_1h", BUDGET_COUNT, 0 },
		{ "", "input_audio", BUDGET_COUNT, 0 },
		{ "OUTPUT", "output", BUDGET_COUNT, 12 },
		{ "", "reasoning", BUDGET_COUNT, 0 },
		{ "", "output_audio", BUDGET_COUNT, 0 },
		{ "", "web_search", BUDGET_COUNT, 0 },
		{ "COST", "cost", BUDGET_MONEY, 16 },
		{},
	};
	const struct usage_options *o = opts;
	struct ledger_filter f = { .container = o->container,
				   .policy = o->policy,
				   .team = o->team };
	_buf_free_ struct buf out = {};
	struct budget_table t = { .columns = columns, .out = &out };
	struct ledger *l = NULL;
	enum ledger_group group = LEDGER_BY_POLICY;
	int r = parse_group(o->by, &group, e);

	if (r == 0)
		r = budget_format_parse(o->format, &t.format, e);
	if (r == 0)
		r = parse_day(o->since, &f.since, e);
	if (r == 0)
		r = parse_day(o->until, &f.until, e);
	if (r == 0)
		r = budget_open(o->ledger, &l, e);
	if (r < 0)
		return r;
	budget_table_begin(&t);
	r = ledger_usage(l, group, &f, add_row, &t, e);
	budget_table_end(&t);
	ledger_drop(l);
	return r < 0 ? r : print_text(&out, e);
}

const struct command purple_usage_command = {
	.name = "usage",
	.arguments = "",
	.help = "Show what LLM calls took: tokens and money.",
	.options = rows,
	.options_size = sizeof(struct usage_options),
	.run = run,
};
