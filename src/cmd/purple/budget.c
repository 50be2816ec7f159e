/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple budget: the budgets in the ledger, and the administrator's adjustments of them. Runs as
 * root, whose file that is. Every adjustment is a row of its own in the ledger.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "budget/money.h"
#include "cmd/purple/budget_text.h"
#include "cmd/purple/purple.h"

struct budget_options {
	const char *tokens, *cost, *format, *ledger;
};

static const struct option_row rows[] = {
	OPTION(budget_options, tokens, "tokens", 0, OPTION_STRING, "N",
	       "add: tokens that may be used besides"),
	OPTION(budget_options, cost, "cost", 0, OPTION_STRING, "SUM",
	       "add: money that may be spent besides (\"$5.00\")"),
	OPTION(budget_options, format, "format", 'f', OPTION_STRING, "FORMAT",
	       "show: table (default), json or csv"),
	OPTION(budget_options, ledger, "ledger", 0, OPTION_STRING, "FILE",
	       "the ledger (default " LEDGER_FILE ")"),
	{},
};

/* What "ID", "policy:NAME" or "team:NAME" names. */
struct target {
	const char *text;
	enum ledger_scope scope;
	const char *name;
	int64_t id;  /* of the newest counter; 0: none */
	int64_t end; /* of its period */
};

static struct target parse_target(const char *text)
{
	struct target t = { .text = text, .scope = LEDGER_SESSION, .name = text };

	if (str_has_prefix(text, "policy:"))
		t.scope = LEDGER_POLICY;
	else if (str_has_prefix(text, "team:"))
		t.scope = LEDGER_TEAM;
	if (t.scope != LEDGER_SESSION)
		t.name = strchr(text, ':') + 1;
	return t;
}

/* A session's counter has the container's id, and after an '@' which life of it. */
static bool is_target(const struct target *t, const struct ledger_counter *c)
{
	size_t len = strlen(t->name);

	if (!streq(c->scope, ledger_scope_name(t->scope)))
		return false;
	if (t->scope != LEDGER_SESSION)
		return streq(c->name, t->name);
	return strncmp(c->name, t->name, len) == 0 &&
	       (c->name[len] == '\0' || c->name[len] == '@');
}

static int take_newest(const struct ledger_counter *c, void *arg)
{
	struct target *t = arg;

	if (!is_target(t, c))
		return 0;
	t->id = c->id;
	t->end = ledger_counter_end(c);
	return 1;
}

/* The counter that an adjustment is for: the one that the next call is measured by. */
static int find_current(struct ledger *l, struct target *t, int64_t now, struct err *e)
{
	int r = ledger_counters(l, NULL, NULL, take_newest, t, e);

	if (r < 0)
		return r;
	if (t->id == 0)
		return err_set(e, ERR_USAGE, ENOENT,
			       "there is no budget '%s' (`purple budget show` lists them)",
			       t->text);
	if (t->end <= now)
		return err_set(e, ERR_USAGE, ENOENT,
			       "the last period of budget '%s' is over: the next call starts with all "
			       "of it",
			       t->text);
	return 0;
}

/* --- show --- */

struct listing {
	struct budget_table table;
	const struct target *target; /* NULL: all */
};

static int64_t left_of(int64_t limit, int64_t used, int64_t reserved)
{
	__int128 left = (__int128)limit - used - reserved;

	return left < 0 ? 0 : left > INT64_MAX ? INT64_MAX : (int64_t)left;
}

static int add_counter(const struct ledger_counter *c, void *arg)
{
	struct listing *l = arg;
	_free_ char *key = NULL;

	if (l->target && !is_target(l->target, c))
		return 0;
	key = streq(c->scope, "session") ? strdup(c->name) :
					   str_printf("%s:%s", c->scope, c->name);
	if (!key) {
		l->table.out->failed = true;
		return 1;
	}
	budget_table_row(
		&l->table,
		(struct budget_cell[]){
			{ .text = key },
			{ .text = c->period },
			{ .number = c->start },
			{ .number = c->tokens },
			{ .number = c->tokens_reserved },
			{ .number = c->tokens_limit, .is_absent = !c->has_tokens_limit },
			{ .number = c->tokens_added },
			{ .number = left_of(c->tokens_limit, c->tokens, c->tokens_reserved),
			  .is_absent = !c->has_tokens_limit },
			{ .number = c->cost },
			{ .number = c->cost_reserved },
			{ .number = c->cost_limit, .is_absent = !c->has_cost_limit },
			{ .number = c->cost_added },
			{ .number = left_of(c->cost_limit, c->cost, c->cost_reserved),
			  .is_absent = !c->has_cost_limit },
		});
	return 0;
}

static int show(struct ledger *l, const char *name, enum budget_format format, struct err *e)
{
	static const struct budget_column columns[] = {
		{ "BUDGET", "budget", BUDGET_TEXT, -30 },
		{ "PERIOD", "period", BUDGET_TEXT, -7 },
		{ "SINCE", "since", BUDGET_TIME, -20 },
		{ "TOKENS", "tokens", BUDGET_COUNT, 12 },
		{ "", "tokens_reserved", BUDGET_COUNT, 0 },
		{ "OF", "tokens_limit", BUDGET_COUNT, 12 },
		{ "", "tokens_added", BUDGET_COUNT, 0 },
		{ "LEFT", "tokens_left", BUDGET_COUNT, 12 },
		{ "COST", "cost", BUDGET_MONEY, 16 },
		{ "", "cost_reserved", BUDGET_MONEY, 0 },
		{ "OF", "cost_limit", BUDGET_MONEY, 12 },
		{ "", "cost_added", BUDGET_MONEY, 0 },
		{ "LEFT", "cost_left", BUDGET_MONEY, 16 },
		{},
	};
	struct target target = parse_target(name ? name : "");
	_buf_free_ struct buf out = {};
	struct listing list = {
		.table = { .columns = columns, .out = &out, .format = format },
		.target = name ? &target : NULL,
	};
	int r;

	budget_table_begin(&list.table);
	r = ledger_counters(l, NULL, NULL, add_counter, &list, e);
	budget_table_end(&list.table);
	if (r < 0)
		return r;
	if (name && list.table.rows == 0)
		return err_set(e, ERR_USAGE, ENOENT,
			       "there is no budget '%s' (`purple budget show` lists them)",
			       name);
	return print_text(&out, e);
}

/* --- add, reset --- */

static int parse_sums(const struct budget_options *o, int64_t *ret_tokens,
		      int64_t *ret_cost, struct err *e)
{
	*ret_tokens = *ret_cost = 0;
	if (!o->tokens && !o->cost)
		return err_set(e, ERR_USAGE, EINVAL, "give --tokens, --cost or both");
	if (o->tokens && (num_i64(o->tokens, ret_tokens) < 0 || *ret_tokens <= 0))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--tokens '%s' is not a number above 0", o->tokens);
	if (o->cost && (money_parse(o->cost, ret_cost) < 0 || *ret_cost == 0))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--cost '%s' is not a sum of US dollars above 0 (\"$5.00\")",
			       o->cost);
	return 0;
}

static int add(struct ledger *l, const char *name, const struct budget_options *o,
	       struct err *e)
{
	struct target t = parse_target(name);
	int64_t tokens, cost, now = budget_now();
	int r = parse_sums(o, &tokens, &cost, e);

	if (r == 0)
		r = find_current(l, &t, now, e);
	return r < 0 ? r : ledger_add(l, t.id, tokens, cost, now, e);
}

static int reset(struct ledger *l, const char *name, struct err *e)
{
	struct target t = parse_target(name);
	int64_t now = budget_now();
	int r = find_current(l, &t, now, e);

	return r < 0 ? r : ledger_reset(l, t.id, now, e);
}

static int check_words(char **args, int n, const struct budget_options *o, struct err *e)
{
	bool is_show = streq(args[0], "show"), is_add = streq(args[0], "add");

	if (!is_show && !is_add && !streq(args[0], "reset"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown word '%s': expected show, add or reset", args[0]);
	if (!is_show && n != 2)
		return err_set(e, ERR_USAGE, EINVAL,
			       "%s: which budget? Give a container's id, policy:NAME or team:NAME",
			       args[0]);
	if (!is_show && o->format)
		return err_set(e, ERR_USAGE, EINVAL, "%s takes no --format", args[0]);
	if (!is_add && (o->tokens || o->cost))
		return err_set(e, ERR_USAGE, EINVAL, "%s takes no --tokens or --cost",
			       args[0]);
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct budget_options *o = opts;
	enum budget_format format;
	struct ledger *l = NULL;
	struct err ignored;
	int r = check_words(args, n, o, e);

	if (r == 0)
		r = budget_format_parse(o->format, &format, e);
	if (r == 0)
		r = budget_open(o->ledger, &l, e);
	if (r < 0)
		return r;
	if (streq(args[0], "show"))
		r = show(l, n > 1 ? args[1] : NULL, format, e);
	else if (streq(args[0], "add"))
		r = add(l, args[1], o, e);
	else
		r = reset(l, args[1], e);
	if (r < 0)
		ledger_close(l, budget_now(), &ignored);
	else
		r = ledger_close(l, budget_now(), e);
	return r;
}

const struct command purple_budget_command = {
	.name = "budget",
	.arguments = "show [BUDGET] | add BUDGET | reset BUDGET",
	.help = "Show the budgets of LLM calls, add to one, or let it start anew.",
	.options = rows,
	.options_size = sizeof(struct budget_options),
	.min_args = 1,
	.max_args = 2,
	.run = run,
};
