/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes calls in a ledger, for tests of what people see of it:
 *   ledger_fill FILE CALL...
 * A call is a list of KEY=VALUE with commas between: container, policy, team, model, scope (session,
 * policy or team: whose budget it is), period (always, day, month), max_tokens and max_cost (the
 * limits), tokens and cost (what is reserved), in, out, spent (what it took), estimated, day (days
 * before today), open (it never ends: its gateway dies).
 * Prints what each call was told: granted, or refused with what is left.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/num.h"
#include "base/str.h"
#include "budget/ledger.h"

static _Noreturn void die(const char *what, const char *more)
{
	fprintf(stderr, "ledger_fill: %s: %s\n", what, more);
	_exit(1);
}

/* The value of a key; `none` where it is not there. */
static int64_t number(const struct strmap *m, const char *key, int64_t none)
{
	const char *text = strmap_get(m, key);
	int64_t v;

	if (!text)
		return none;
	if (num_i64(text, &v) < 0)
		die(key, text);
	return v;
}

static void read_call(char *text, struct strmap *m)
{
	for (char *word = strtok(text, ","); word; word = strtok(NULL, ",")) {
		char *value = strchr(word, '=');

		if (!value)
			die("not KEY=VALUE", word);
		*value++ = '\0';
		if (strmap_set(m, word, value) < 0)
			die(word, "out of memory");
	}
}

/* Which of a list of names; the first when there is none. */
static unsigned int choose(const struct strmap *m, const char *key,
			   const char *(*name)(unsigned int), unsigned int n)
{
	const char *text = strmap_get(m, key);

	for (unsigned int i = 0; text && i < n; i++) {
		if (streq(text, name(i)))
			return i;
	}
	if (text)
		die(key, text);
	return 0;
}

static const char *scope_name(unsigned int i)
{
	return ledger_scope_name((enum ledger_scope)i);
}

static const char *period_name(unsigned int i)
{
	return ledger_period_name((enum ledger_period)i);
}

static struct ledger_limit limit_of(const struct strmap *m)
{
	static const char *const names[] = { "container", "policy", "team" };
	struct ledger_limit limit = {
		.scope = (enum ledger_scope)choose(m, "scope", scope_name, 3),
		.period = (enum ledger_period)choose(m, "period", period_name, 3),
		.has_tokens = strmap_get(m, "max_tokens"),
		.has_cost = strmap_get(m, "max_cost"),
		.tokens = number(m, "max_tokens", 0),
		.cost = number(m, "max_cost", 0),
	};

	limit.name = strmap_get(m, names[limit.scope]);
	return limit;
}

static void make_call(struct ledger *l, const struct strmap *m)
{
	struct ledger_limit limit = limit_of(m);
	struct ledger_call c = { .container = strmap_get(m, "container"),
				 .policy = strmap_get(m, "policy"),
				 .team = strmap_get(m, "team"),
				 .model = strmap_get(m, "model"),
				 .limits = &limit,
				 .n_limits = 1,
				 .tokens = number(m, "tokens", 0),
				 .cost = number(m, "cost", 0) };
	struct ledger_charge charge = { .usage = { .in_uncached = number(m, "in", 0),
						   .out = number(m, "out", 0) },
					.cost = number(m, "spent", 0),
					.is_estimate = number(m, "estimated", 0) };
	int64_t now = (int64_t)(time(NULL) - number(m, "day", 0) * 86400) * 1000;
	struct ledger_answer a = {};
	struct err e = {};

	if (ledger_reserve(l, &c, now, &a, &e) < 0)
		die("reserve", e.msg);
	if (!a.granted) {
		printf("refused %" PRId64 " %" PRId64 "\n", a.left.tokens, a.left.cost);
		return;
	}
	printf("granted\n");
	if (!strmap_get(m, "open") && ledger_settle(l, a.id, &charge, now, &e) < 0)
		die("settle", e.msg);
}

int main(int argc, char **argv)
{
	struct ledger *l = NULL;
	struct err e = {};

	if (argc < 2)
		die("usage", "ledger_fill FILE CALL...");
	if (ledger_open(argv[1], LEDGER_GATEWAY, 5000, (int64_t)time(NULL) * 1000, &l,
			&e) < 0)
		die("open", e.msg);
	for (int i = 2; i < argc; i++) {
		_strmap_free_ struct strmap m = {};

		read_call(argv[i], &m);
		make_call(l, &m);
	}
	/* As a gateway that is killed: what is open stays open. */
	fflush(stdout);
	_exit(0);
}
