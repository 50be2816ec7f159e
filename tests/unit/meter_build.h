/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A meter with a ledger and prices of its own, requests and answers from text as they come over the
 * wire, and what the meter told.
 */
#ifndef PURPLE_TESTS_METER_BUILD_H
#define PURPLE_TESTS_METER_BUILD_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "budget/money.h"
#include "budget/prices.h"
#include "gateway/events.h"
#include "gateway/meter.h"

#define NOON INT64_C(1795348800000) /* 2026-11-22 12:00:00 UTC */
#define TOLD_MAX 64

/*
 * Picodollars a token, whole and small, so that sums can be done in the head. m: 1000 in, 100 from
 * the cache, 4000 out. big: dearer above 1000 tokens. claude-x writes caches.
 */
static const char meter_prices_text[] =
	"{\"schema\":1,\"unit\":\"pUSD\",\"models\":["
	"{\"id\":\"m\",\"provider\":\"openai\",\"match\":[{\"exact\":\"m\"}],\"context\":20000,"
	"\"max_output\":2000,\"price\":{\"input\":1000,\"cache_read\":100,\"output\":4000,"
	"\"web_search_call\":7}},"
	"{\"id\":\"m-dear\",\"provider\":\"openai\",\"match\":[{\"exact\":\"m-dear\"}],"
	"\"price\":{\"input\":2000,\"output\":8000}},"
	"{\"id\":\"blind\",\"provider\":\"openai\",\"match\":[{\"exact\":\"blind\"}],"
	"\"price\":{\"input\":1000,\"output\":4000}},"
	"{\"id\":\"big\",\"provider\":\"openai\",\"match\":[{\"exact\":\"big\"}],\"context\":400000,"
	"\"max_output\":128000,\"price\":{\"input\":1000,\"output\":4000,"
	"\"tiers\":[{\"above_input_tokens\":1000,\"input\":2000,\"output\":8000}]}},"
	"{\"id\":\"embed\",\"provider\":\"openai\",\"match\":[{\"exact\":\"embed\"}],"
	"\"price\":{\"input\":1000}},"
	"{\"id\":\"claude-x\",\"provider\":\"anthropic\",\"match\":[{\"exact\":\"claude-x\"}],"
	"\"context\":200000,\"max_output\":64000,\"price\":{\"input\":1000,\"cache_read\":100,"
	"\"cache_write\":1250,\"cache_write_1h\":2000,\"output\":5000,\"web_search_call\":10000}}"
	"]}";

/* What was told, with its texts. */
struct told {
	struct gateway_event x;
	char model[64], error[256];
	struct usage usage;
};

struct meter_box {
	char dir[256], ledger_path[300], prices_path[300];
	struct gateway_config config;
	struct ledger *ledger;
	struct meter *meter;
	bool defers;
	struct told told[TOLD_MAX];
	size_t told_n;
};

static inline void box_on_event(void *ctx, const struct gateway_event *x)
{
	struct meter_box *b = ctx;
	struct told *t = &b->told[b->told_n++ % TOLD_MAX];

	*t = (struct told){ .x = *x };
	snprintf(t->model, sizeof(t->model), "%s", x->model ? x->model : "");
	snprintf(t->error, sizeof(t->error), "%s", x->error ? x->error : "");
	if (x->usage)
		t->usage = *x->usage;
}

static inline void box_open(struct meter_box *b)
{
	const char *tmp = getenv("TMPDIR");
	FILE *f;

	snprintf(b->dir, sizeof(b->dir), "%s/purple-meter-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(b->dir))
		abort();
	snprintf(b->ledger_path, sizeof(b->ledger_path), "%s/ledger.db", b->dir);
	snprintf(b->prices_path, sizeof(b->prices_path), "%s/prices.json", b->dir);
	f = fopen(b->prices_path, "we");
	if (!f)
		abort();
	fputs(meter_prices_text, f);
	fclose(f);
	b->config.container = strdup("c1");
	b->config.session = strdup("c1@2026-11-22T10:00:00Z");
}

static inline struct gateway_provider *
box_provider(struct gateway_policy *p, const char *name, enum llm_family family)
{
	struct gateway_provider *to = list_add(&p->providers);

	to->name = strdup(name);
	to->family = family;
	strv_add(&to->endpoints, "https://api.example/v1");
	return to;
}

/* A policy of scope session, with the providers openai and anthropic, that allows all models. */
static inline struct gateway_policy *box_policy(struct meter_box *b, const char *name)
{
	struct gateway_policy *p = list_add(&b->config.policies);

	p->name = strdup(name);
	p->file = strdup("/etc/purple/policies/p.yaml");
	p->block_unknown = true;
	p->on_exceeded = GATEWAY_DENY;
	p->budget_line = 10;
	p->rates_line = 20;
	p->apis_line = 30;
	p->log_tokens = p->log_costs = true;
	box_provider(p, "openai", LLM_OPENAI);
	box_provider(p, "anthropic", LLM_ANTHROPIC);
	return p;
}

static inline void box_limit_tokens(struct gateway_policy *p, int64_t v)
{
	p->max_tokens.set = true;
	p->max_tokens.value = v;
}

static inline void box_limit_cost(struct gateway_policy *p, int64_t v)
{
	p->max_cost.set = true;
	p->max_cost.value = v;
}

/* Another meter on the same ledger file, as another gateway has it. */
static inline int box_start_as(struct meter_box *b, struct ledger **ret_ledger,
			       struct meter **ret, struct err *e)
{
	struct meter_setup setup = { .config = &b->config,
				     .prices = b->prices_path,
				     .overlay = "/nonexistent/prices.json",
				     .defers = b->defers,
				     .event = box_on_event,
				     .ctx = b };
	int r = ledger_open(b->ledger_path, LEDGER_GATEWAY, 60000, NOON, ret_ledger, e);

	setup.ledger = *ret_ledger;
	return r < 0 ? r : meter_new(&setup, ret, e);
}

static inline void box_start(struct meter_box *b)
{
	struct err e = {};

	if (box_start_as(b, &b->ledger, &b->meter, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		abort();
	}
}

static inline void box_close(struct meter_box *b)
{
	struct err e = {};

	meter_free(b->meter);
	ledger_drop(b->ledger);
	gateway_config_clear(&b->config);
	fs_remove_tree(AT_FDCWD, b->dir, &e);
}

/* How many events of a type were told. */
static inline size_t box_count(const struct meter_box *b, enum gateway_event_type type)
{
	size_t n = 0;

	for (size_t i = 0; i < b->told_n && i < TOLD_MAX; i++)
		n += b->told[i].x.type == type;
	return n;
}

/* The newest event of a type, or NULL. */
static inline const struct told *box_last(const struct meter_box *b,
					  enum gateway_event_type type)
{
	for (size_t i = b->told_n < TOLD_MAX ? b->told_n : TOLD_MAX; i > 0; i--)
		if (b->told[i - 1].x.type == type)
			return &b->told[i - 1];
	return NULL;
}

static inline struct meter_time at(int64_t ms)
{
	return (struct meter_time){ NOON + ms, 1000000 + ms };
}

#endif
