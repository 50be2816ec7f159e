/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call may cost, and what it did cost: see meter_price.h. Files are read while
 * purple-gateway is still root; the rest is pure.
 */
#include "gateway/meter_price.h"

#include <errno.h>

#include "base/str.h"
#include "budget/money.h"

/* --- tables --- */

static int load_table(const char *provider, const char *shipped, const char *overlay,
		      const char *own, struct meter_prices *to, struct err *e)
{
	_prices_free_ struct prices *p = NULL;
	struct meter_table *t;
	int r = prices_load(shipped, overlay, &p, e);

	if (r == 0 && own)
		r = prices_add_file(&p, own, e);
	if (r < 0)
		return r;
	t = list_add(&to->tables);
	if (!t)
		return err_oom(e);
	*t = (struct meter_table){ provider, p };
	p = NULL;
	return 0;
}

static const struct meter_table *find_table(const struct meter_prices *p,
					    const char *provider)
{
	for (size_t i = 1; i < p->tables.n; i++)
		if (streq(p->tables.v[i].provider, provider))
			return &p->tables.v[i];
	return NULL;
}

int meter_prices_load(const struct gateway_config *c, const char *shipped,
		      const char *overlay, struct meter_prices *ret, struct err *e)
{
	struct meter_prices p = {};
	int r = load_table(NULL, shipped, overlay, NULL, &p, e);

	for (size_t i = 0; i < c->policies.n; i++) {
		const gateway_providers *l = &c->policies.v[i].providers;

		for (size_t k = 0; r == 0 && k < l->n; k++)
			if (l->v[k].prices && !find_table(&p, l->v[k].name))
				r = load_table(l->v[k].name, shipped, overlay,
					       l->v[k].prices, &p, e);
	}
	if (r < 0)
		meter_prices_free(&p);
	else
		*ret = p;
	return r;
}

void meter_prices_free(struct meter_prices *p)
{
	for (size_t i = 0; i < p->tables.n; i++)
		prices_free(p->tables.v[i].prices);
	free(p->tables.v);
	*p = (struct meter_prices){};
}

/* --- a call's model --- */

/* The table's name of a provider. */
static const char *name_in_table(const char *provider)
{
	static const char *const names[][2] = {
		{ "gemini", "google" },
		{ "xai", "x-ai" },
		{ "moonshot", "moonshotai" },
		{ "azure", "openai" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (streq(names[i][0], provider))
			return names[i][1];
	return provider;
}

static const char *home_of(enum llm_family f)
{
	return f == LLM_ANTHROPIC ? "anthropic" : f == LLM_GEMINI ? "google" : "openai";
}

/* Where several have a model of that name, it is of whose API is spoken. */
static enum price_answer find_model(const struct meter_price *p, const char *name,
				    const struct price_model **ret)
{
	enum price_answer a = prices_find(p->table, p->provider, name, ret);

	return a == PRICE_AMBIGUOUS ? prices_find(p->table, p->home, name, ret) : a;
}

/* Tiers that an answer must name before they count: a provider may serve a call at the usual one. */
static bool is_cheaper(const char *tier)
{
	return streq(tier, "flex") || streq(tier, "batch");
}

/* As find_model(), for what a call asks for. `provider`: as the configuration names it. */
static void find_asked(struct meter_prices *prices, const char *provider,
		       enum llm_family family, struct meter_price *p)
{
	const bool is_last = prices->last.table == p->table &&
			     prices->last.family == family &&
			     streq(prices->last.asked, p->asked) &&
			     streq(prices->last.provider, provider);

	if (!is_last) {
		prices->last.table = NULL;
		prices->last.why = find_model(p, p->asked, &prices->last.model);
	}
	p->why = prices->last.why;
	p->model = p->why == PRICE_OK ? prices->last.model : NULL;
	if (is_last || strlen(provider) >= sizeof(prices->last.provider))
		return;
	prices->last.table = p->table;
	prices->last.family = family;
	memcpy(prices->last.provider, provider, strlen(provider) + 1);
	memcpy(prices->last.asked, p->asked, strlen(p->asked) + 1);
}

void meter_price_find(struct meter_prices *prices, const char *provider,
		      enum llm_family family, const struct llm_request *r,
		      struct meter_price *ret)
{
	const struct meter_table *t = find_table(prices, provider);
	struct meter_price p = {
		.table = (t ? t : &prices->tables.v[0])->prices,
		.provider = name_in_table(provider),
		.home = home_of(family),
		.asked = r->model,
		.tier = is_cheaper(r->tier) ? "" : r->tier,
		.speed = r->speed,
		.geo = r->geo,
		.is_anthropic = family == LLM_ANTHROPIC,
	};

	find_asked(prices, provider, family, &p);
	p.ask = (struct price_ask){
		/* Anthropic's cache is written when asked to; others do that by themselves. */
		.no_cache_write = p.is_anthropic && !r->caches,
		.no_cache_write_1h = p.is_anthropic && !r->caches_1h,
		.no_audio = !(r->tools & LLM_TOOL_AUDIO) && r->media == 0 && !r->hidden,
		.web_search_max = r->tools & LLM_TOOL_WEB_SEARCH ? METER_SEARCHES_MAX : 0,
		.service = p.tier,
	};
	*ret = p;
}

/* --- what multiplies prices (Anthropic) --- */

struct factor {
	int64_t n, of;
};

/* Fast answers cost six times as much, those that stay in the US a tenth more. False: unknown. */
static bool find_factor(const struct meter_price *p, const char *speed, const char *geo,
			struct factor *ret)
{
	bool is_us = streq(geo, "us");

	*ret = (struct factor){ 1, 1 };
	if (!p->is_anthropic)
		return true;
	if (*speed && !streq(speed, "standard") && !streq(speed, "fast"))
		return false;
	if (*geo && !is_us && !streq(geo, "global") && !streq(geo, "not_available"))
		return false;
	if (streq(speed, "fast"))
		ret->n = 6;
	if (is_us)
		*ret = (struct factor){ ret->n * 11, 10 };
	return true;
}

/* Rounded up. */
static bool multiply(int64_t sum, struct factor f, int64_t *ret)
{
	__int128 v = ((__int128)sum * f.n + f.of - 1) / f.of;

	if (v > INT64_MAX)
		return false;
	*ret = (int64_t)v;
	return true;
}

/* --- before the call --- */

static const char *fee_of(unsigned int tools)
{
	static const struct {
		unsigned int tool;
		const char *text;
	} fees[] = {
		{ LLM_TOOL_FILE_SEARCH, "each file search has a price of its own" },
		{ LLM_TOOL_CODE, "running code has a price by the hour" },
		{ LLM_TOOL_IMAGE, "making images has a price of its own" },
		{ LLM_TOOL_MAPS, "each question to maps has a price of its own" },
		{ LLM_TOOL_UNKNOWN, "it has a tool of which the price is not known" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fees); i++)
		if (tools & fees[i].tool)
			return fees[i].text;
	return NULL;
}

const char *meter_price_fault(const struct meter_price *p, const struct llm_request *r,
			      int64_t now)
{
	struct factor f;
	int64_t sum;

	if (!p->model)
		return price_answer_text(p->why);
	if (fee_of(r->tools))
		return fee_of(r->tools);
	if (!find_factor(p, r->speed, r->geo, &f))
		return "the price of its 'speed' or 'inference_geo' is not known";
	if (!meter_price_bound(p, 0, r->format->max_new ? 1 : 0, now, &sum))
		return "the model has no price for what it asks for (its service tier, audio "
		       "or web search)";
	return NULL;
}

bool meter_price_bound(const struct meter_price *p, int64_t in, int64_t out, int64_t now,
		       int64_t *ret)
{
	struct price_ask ask = p->ask;
	struct factor f;
	int64_t sum;

	ask.in_max = in;
	ask.out_max = out;
	ask.now = now;
	return p->model && find_factor(p, p->speed, p->geo, &f) &&
	       price_bound(p->model, &ask, &sum) == PRICE_OK && multiply(sum, f, ret);
}

int64_t meter_price_buys(const struct meter_price *p, int64_t in, int64_t money, int64_t now)
{
	struct price_ask ask = p->ask;
	struct factor f;
	int64_t tokens;

	ask.in_max = in;
	ask.now = now;
	if (!p->model || !find_factor(p, p->speed, p->geo, &f))
		return -1;
	money = (int64_t)((__int128)money * f.of / f.n);
	return price_output_bought(p->model, &ask, money, &tokens) == PRICE_OK ? tokens :
										 -1;
}

/* --- after the call --- */

/* By the model that the answer names, where that is dearer. */
static bool price_part(const struct meter_price *p, const char *answered,
		       const struct usage *u, const char *tier, int64_t now, int64_t *ret)
{
	const struct price_model *other = NULL;

	if (*answered && !streq(answered, p->asked) &&
	    find_model(p, answered, &other) != PRICE_OK)
		other = NULL;
	return price_of_either(p->model, other, u, tier, now, ret) == PRICE_OK;
}

/* Each part by its own model; one that the table does not know, as the one that was asked for. */
static bool price_shares(const struct meter_price *p, const struct llm_answer *a,
			 const char *tier, int64_t now, int64_t *ret)
{
	struct usage searches = { .web_search = a->usage.web_search };
	int64_t sum = 0, part = 0;

	for (size_t i = 0; i < a->shares_n; i++) {
		const struct llm_share *s = &a->shares[i];
		const struct price_model *m = NULL;

		if (!*s->model || find_model(p, s->model, &m) != PRICE_OK)
			m = p->model;
		if (price_of(m, &s->usage, tier, now, &part) != PRICE_OK ||
		    !money_add(sum, part, &sum))
			return false;
	}
	if (price_of(p->model, &searches, tier, now, &part) != PRICE_OK)
		return false;
	return money_add(sum, part, ret);
}

bool meter_price_of(const struct meter_price *p, const struct llm_answer *a,
		    const struct usage *u, int64_t now, int64_t *ret)
{
	const char *tier = a && *a->tier ? a->tier : p->tier;
	const char *speed = a && *a->speed ? a->speed : p->speed;
	const char *geo = a && *a->geo ? a->geo : p->geo;
	struct factor f;
	int64_t sum;

	if (!p->model || !find_factor(p, speed, geo, &f))
		return false;
	if (a && a->shares_n > 0 && u == &a->usage) {
		if (!price_shares(p, a, tier, now, &sum))
			return false;
	} else if (!price_part(p, a ? a->model : "", u, tier, now, &sum)) {
		return false;
	}
	return multiply(sum, f, ret);
}
