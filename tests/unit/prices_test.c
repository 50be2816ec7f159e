/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of prices: the table that Purple ships, files that are refused, the model that a name
 * stands for, and sums, computed by hand where a rule is shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "budget/prices.h"

#define SHIPPED PURPLE_SOURCE "/data/model_prices.json"

static struct prices *shipped;

static int load_shipped(void **state)
{
	struct err e = {};

	if (prices_load(SHIPPED, NULL, &shipped, &e) < 0) {
		print_error("%s\n", e.msg);
		return -1;
	}
	return 0;
}

static int free_shipped(void **state)
{
	prices_free(shipped);
	return 0;
}

static const struct price_model *find(const struct prices *p, const char *provider,
				      const char *name)
{
	const struct price_model *m = NULL;
	enum price_answer a = prices_find(p, provider, name, &m);

	if (a != PRICE_OK)
		fail_msg("'%s': %s", name, price_answer_text(a));
	return m;
}

static const struct price_model *of(const char *name)
{
	return find(shipped, NULL, name);
}

static int64_t cost(const struct price_model *m, struct usage u, int64_t now)
{
	int64_t v = -1;
	enum price_answer a = price_of(m, &u, NULL, now, &v);

	if (a != PRICE_OK)
		fail_msg("'%s': %s", price_model_id(m), price_answer_text(a));
	return v;
}

/* --- the table that is shipped --- */

static void test_every_model(void **state)
{
	assert_int_equal(prices_count(shipped), 260);
	for (size_t i = 0; i < prices_count(shipped); i++) {
		const struct price_model *m = prices_at(shipped, i);
		const char *id = price_model_id(m), *provider = price_model_provider(m);
		_free_ char *full = str_printf("%s/%s", provider, id);
		int64_t one = cost(m, (struct usage){ .in_uncached = 1 }, 0);

		assert_ptr_equal(of(id), m);
		assert_ptr_equal(find(shipped, provider, id), m);
		assert_ptr_equal(find(shipped, provider, full), m);
		assert_true(one > 0);
		/* No kind of input but a read from the cache is below the usual rate. */
		assert_true(cost(m, (struct usage){ .cache_w5m = 1 }, 0) >= one);
		assert_true(cost(m, (struct usage){ .cache_w1h = 1 }, 0) >=
			    cost(m, (struct usage){ .cache_w5m = 1 }, 0));
		assert_true(cost(m, (struct usage){ .cache_read = 1 }, 0) <= one);
	}
}

/* In Anthropic's prices an hour in the cache costs twice the input, at any size of the call. */
static void test_anthropic_cache_hour(void **state)
{
	for (size_t i = 0; i < prices_count(shipped); i++) {
		const struct price_model *m = prices_at(shipped, i);

		if (!streq(price_model_provider(m), "anthropic"))
			continue;
		for (int64_t n = 1000; n <= 1000000000; n *= 1000)
			assert_int_equal(cost(m, (struct usage){ .cache_w1h = n }, 0),
					 2 * cost(m, (struct usage){ .in_uncached = n }, 0));
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *id; /* NULL: unknown */
	} rows[] = {
		{ "gpt-5.4", "gpt-5.4" },
		{ "gpt-5.4-2026-03-05", "gpt-5.4" },
		{ "openai/gpt-5.4", "gpt-5.4" },
		{ "gpt-5.6-sol-2026-12-24", "gpt-5.6-sol" }, /* a date that is in no rule */
		{ "gpt-5.6-sol-20261224", "gpt-5.6-sol" },
		{ "openai/gpt-5.6-sol-2026-12-24", "gpt-5.6-sol" },
		{ "gpt-5.6-sol-2026-12-2", NULL },
		{ "gpt-5.6-sol-1999-12-24", NULL },
		{ "claude-fable-5-20270101", "claude-fable-5" },
		{ "claude-fable-5-1-20270101", "claude-fable-5-1" },
		{ "claude-haiku-4-5-20251001", "claude-haiku-4-5" },
		{ "anthropic/claude-haiku-4.5", "claude-haiku-4-5" },
		{ "openai/claude-haiku-4.5", NULL }, /* not one of OpenAI's */
		{ "models/gemini-2.5-pro", "gemini-2.5-pro" },
		{ "gemini-2.5-pro-preview-06-05", "gemini-2.5-pro" },
		{ "gemini-2.5-pro-preview-tts", "gemini-2.5-pro-tts" },
		{ "gemini-2.5-flash-lite-preview-tts", "gemini-2.5-flash-lite-preview-tts" },
		{ "gemini-2.5-pro-unheard-tts", NULL },
		{ "gemini-3.5-flash-001", "gemini-3.5-flash" },
		{ "gemini-3.5-flash-lite-001", "gemini-3.5-flash-lite" }, /* the longest */
		{ "gemini-2.0-flash-lite-001", "gemini-2.0-flash-lite" },
		{ "gemini-2.0-flash-001", "gemini-2.0-flash" },
		{ "x-ai/grok-4.3", "grok-4.3" },
		{ "somebody/gpt-5.4", NULL },
		{ "gpt-5.44", NULL },
		{ "GPT-5.4", NULL },
		{ "gpt", NULL },
		{ "", NULL },
		{ "/", NULL },
		{ "models/", NULL },
		{ "openai/", NULL },
		{ "-2026-12-24", NULL },
		{ "-20261224", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct price_model *m = NULL;
		enum price_answer a = prices_find(shipped, NULL, rows[i].name, &m);

		if (a != (rows[i].id ? PRICE_OK : PRICE_UNKNOWN))
			fail_msg("'%s': %s", rows[i].name, price_answer_text(a));
		if (rows[i].id && !streq(price_model_id(m), rows[i].id))
			fail_msg("'%s' is '%s'", rows[i].name, price_model_id(m));
	}
	assert_string_equal(price_model_provider(of("openai/gpt-oss-120b")), "groq");
	assert_string_equal(price_model_provider(
				    find(shipped, "groq", "openai/gpt-oss-120b")),
			    "groq");
}

/* --- sums --- */

/* 2.5 and 15 dollars a million: 1000 of input, of them 400 cached at 0.25, and 200 of output. */
static void test_sum_openai(void **state)
{
	struct usage u = {
		.in_uncached = 600, .cache_read = 400, .out = 200, .reasoning = 150
	};

	assert_int_equal(cost(of("gpt-5.4"), u, 0),
			 600 * 2500000ll + 400 * 250000ll + 200 * 15000000ll);
	/* $0.01 a search. */
	u.web_search = 3;
	assert_int_equal(cost(of("gpt-5.4"), u, 0), 4600000000ll + 3 * 10000000000ll);
}

static void test_sum_anthropic(void **state)
{
	struct usage u = { .in_uncached = 10,
			   .cache_read = 5000,
			   .cache_w5m = 300,
			   .cache_w1h = 200,
			   .out = 77 };

	assert_int_equal(cost(of("claude-sonnet-4-5"), u, 0),
			 10 * 3000000ll + 5000 * 300000ll + 300 * 3750000ll +
				 200 * 6000000ll + 77 * 15000000ll);
}

/* All of a call is repriced as soon as its whole input, cache included, passes the bound. */
static void test_sum_tier(void **state)
{
	const struct price_model *m = of("claude-sonnet-4-5");
	struct usage u = { .in_uncached = 100000, .cache_read = 100000, .out = 10 };

	assert_int_equal(cost(m, u, 0),
			 100000 * 3000000ll + 100000 * 300000ll + 10 * 15000000ll);
	u.in_uncached++;
	assert_int_equal(cost(m, u, 0),
			 100001 * 6000000ll + 100000 * 600000ll + 10 * 22500000ll);
	u = (struct usage){ .cache_w5m = 200000, .cache_w1h = 1 };
	assert_int_equal(cost(m, u, 0), 200000 * 7500000ll + 12000000ll);
	/* What the tier does not name stays. */
	u = (struct usage){ .in_uncached = 200001, .web_search = 1 };
	assert_int_equal(cost(m, u, 0), 200001 * 6000000ll + 10000000000ll);
	assert_int_equal(cost(of("gpt-5.4"), (struct usage){ .in_uncached = 271999 }, 0),
			 271999 * 2500000ll);
	assert_int_equal(cost(of("gpt-5.4"), (struct usage){ .in_uncached = 272000 }, 0),
			 272000 * 5000000ll);
}

static void test_sum_audio(void **state)
{
	struct usage u = { .in_uncached = 10, .in_audio = 20, .out = 50, .out_audio = 30 };

	assert_int_equal(cost(of("gpt-audio"), u, 0), 10 * 2500000ll + 20 * 32000000ll +
							      20 * 10000000ll +
							      30 * 64000000ll);
	u = (struct usage){ .cache_read = 30, .cache_audio = 10 };
	assert_int_equal(cost(of("gemini-2.5-flash"), u, 0), 20 * 30000ll + 10 * 100000ll);
}

static void test_sum_per_call_and_reasoning(void **state)
{
	assert_int_equal(cost(of("sonar"), (struct usage){ .in_uncached = 1, .out = 1 }, 0),
			 2 * 1000000ll + 12000000000ll);
	assert_int_equal(cost(of("sonar-deep-research"),
			      (struct usage){ .out = 100, .reasoning = 60 }, 0),
			 40 * 8000000ll + 60 * 3000000ll);
}

/* Images that a usage does not tell apart from words are charged as images. */
static void test_sum_image(void **state)
{
	assert_int_equal(cost(of("gemini-2.5-flash-image"), (struct usage){ .out = 1290 }, 0),
			 1290 * 30000000ll);
}

static void test_sum_window(void **state)
{
	const struct price_model *m = of("deepseek-chat"); /* dearer from 00:30 to 16:30 */
	struct usage u = { .in_uncached = 1, .cache_read = 10, .out = 100 };
	int64_t day = 20000 * 86400ll;
	int64_t cheap = 135000 + 10 * 35000 + 100 * 550000;
	int64_t dear = 270000 + 10 * 70000 + 100 * 1100000;

	assert_int_equal(cost(m, u, day), cheap);
	assert_int_equal(cost(m, u, day + 30 * 60 - 1), cheap);
	assert_int_equal(cost(m, u, day + 30 * 60), dear);
	assert_int_equal(cost(m, u, day + 16 * 3600 + 30 * 60 - 1), dear);
	assert_int_equal(cost(m, u, day + 16 * 3600 + 30 * 60), cheap);
	assert_int_equal(cost(m, u, -1), cheap);
	/* Two windows. */
	m = of("deepseek-v4-flash");
	u = (struct usage){ .out = 1 };
	assert_int_equal(cost(m, u, day + 3600), 1320000);
	assert_int_equal(cost(m, u, day + 4 * 3600), 660000);
	assert_int_equal(cost(m, u, day + 6 * 3600), 1320000);
	assert_int_equal(cost(m, u, day + 10 * 3600), 660000);
}

static enum price_answer answer(const char *name, struct usage u, const char *service)
{
	int64_t v = -7;
	enum price_answer a = price_of(of(name), &u, service, 0, &v);

	if ((v == -7) != (a != PRICE_OK))
		fail_msg("a sum of %lld beside '%s'", (long long)v, price_answer_text(a));
	return a;
}

static void test_no_price(void **state)
{
	struct usage u = { .in_uncached = 10, .out = 10 };

	/* A reader of answers gave figures that cannot be. */
	assert_int_equal(answer("gpt-5.4", (struct usage){ .out = -1 }, NULL),
			 PRICE_BAD_USAGE);
	assert_int_equal(answer("gpt-5.4", (struct usage){ .out = 1, .reasoning = 2 }, NULL),
			 PRICE_BAD_USAGE);
	assert_int_equal(answer("gpt-5.4",
				(struct usage){ .out = 9, .reasoning = 5, .out_audio = 5 },
				NULL),
			 PRICE_BAD_USAGE);
	assert_int_equal(answer("gpt-5.4", (struct usage){ .cache_audio = 1 }, NULL),
			 PRICE_BAD_USAGE);
	/* No sum wraps. */
	assert_int_equal(answer("gpt-5.4", (struct usage){ .out = INT64_MAX }, NULL),
			 PRICE_OVERFLOW);
	assert_int_equal(answer("gpt-5.4",
				(struct usage){ .in_uncached = INT64_MAX, .cache_w5m = 1 },
				NULL),
			 PRICE_OVERFLOW);
	/* 461168601842 * 2 * 10^7 is just below 2^63, and both together above. */
	assert_int_equal(answer("gpt-5.6-sol",
				(struct usage){ .cache_w5m = 1000000000000,
						.in_uncached = 700000000000 },
				NULL),
			 PRICE_OVERFLOW);
	/* Nothing is free because the table does not know it. */
	assert_int_equal(answer("text-embedding-3-small", u, NULL), PRICE_NO_RATE);
	assert_int_equal(answer("claude-fable-5-2", (struct usage){ .web_search = 1 }, NULL),
			 PRICE_NO_RATE);
	assert_int_equal(answer("gpt-5.4", u, "priority"), PRICE_NO_RATE);
	assert_int_equal(answer("gpt-5.4", u, "unheard-of"), PRICE_NO_RATE);
	/* Known to be cheaper: the usual price. */
	assert_int_equal(answer("gpt-5.4", u, "flex"), PRICE_OK);
	assert_int_equal(answer("gpt-5.4", u, "default"), PRICE_OK);
}

/* The model that answered is charged when it is the dearer one. */
static void test_two_models(void **state)
{
	const struct price_model *cheap = of("gpt-6-luna"), *dear = of("gpt-6-astra");
	struct usage u = { .in_uncached = 100, .out = 100 };
	int64_t v = 0;

	assert_int_equal(price_of_either(cheap, dear, &u, NULL, 0, &v), PRICE_OK);
	assert_int_equal(v, cost(dear, u, 0));
	assert_int_equal(price_of_either(dear, cheap, &u, NULL, 0, &v), PRICE_OK);
	assert_int_equal(v, cost(dear, u, 0));
	assert_int_equal(price_of_either(cheap, NULL, &u, NULL, 0, &v), PRICE_OK);
	assert_int_equal(v, cost(cheap, u, 0));
}

/* --- before the call --- */

static uint64_t seed = 88172645463325252u;

static int64_t roll(int64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int64_t)(seed % (uint64_t)n);
}

static struct usage random_usage(const struct price_ask *a)
{
	int64_t left = roll(a->in_max + 1), out = roll(a->out_max + 1);
	struct usage u = {};

	/* Often one kind alone, or all there may be: the worst cases are there. */
	if (roll(2))
		left = a->in_max;
	u.cache_read = roll(2) ? roll(left + 1) : 0;
	left -= u.cache_read;
	u.cache_audio = a->no_audio ? 0 : roll(u.cache_read + 1);
	u.cache_w5m = a->no_cache_write ? 0 : roll(left + 1);
	left -= u.cache_w5m;
	u.cache_w1h = a->no_cache_write || a->no_cache_write_1h ? 0 : roll(left + 1);
	left -= u.cache_w1h;
	u.in_audio = a->no_audio ? 0 : roll(left + 1);
	u.in_uncached = left - u.in_audio;
	u.out = roll(2) ? out : a->out_max;
	u.reasoning = roll(2) ? roll(u.out + 1) : 0;
	u.out_audio = a->no_audio ? 0 : roll(u.out - u.reasoning + 1);
	u.web_search = roll(a->web_search_max + 1);
	return u;
}

/* No call costs more than its bound, in any model, tier or hour. */
static void test_bound_holds(void **state)
{
	int told = 0;

	for (int i = 0; i < 40000; i++) {
		const struct price_model *m = prices_at(shipped, (size_t)roll(260));
		struct price_ask a = { .in_max = roll(2) ? roll(2000) : roll(1500000),
				       .out_max = roll(100000),
				       .no_cache_write = roll(2),
				       .no_cache_write_1h = roll(2),
				       .no_audio = roll(2),
				       .web_search_max = roll(4) ? 0 : 3,
				       .now = roll(2000000000) };
		struct usage u = random_usage(&a);
		int64_t bound = -1, v = -1;
		enum price_answer answered = price_bound(m, &a, &bound);

		if (answered == PRICE_NO_RATE)
			continue;
		assert_int_equal(answered, PRICE_OK);
		assert_int_equal(price_of(m, &u, NULL, a.now + roll(86400), &v), PRICE_OK);
		if (v > bound)
			fail_msg("%s: %lld, bound %lld", price_model_id(m), (long long)v,
				 (long long)bound);
		told++;
	}
	assert_true(told > 20000);
}

/* A call of what was bought is within the sum, and one token more is not. */
static void test_bought_is_exact(void **state)
{
	int bought = 0, dear = 0;

	for (int i = 0; i < 40000; i++) {
		const struct price_model *m = prices_at(shipped, (size_t)roll(260));
		struct price_ask a = { .in_max = roll(2) ? roll(2000) : roll(1500000),
				       .no_cache_write = roll(2),
				       .now = roll(2000000000) };
		int64_t money = roll(2) ? roll(10000000000ll) : roll(100000000000000ll);
		int64_t n = -1, bound = -1;
		enum price_answer answered = price_output_bought(m, &a, money, &n);

		if (answered == PRICE_NO_RATE)
			continue;
		if (answered == PRICE_TOO_DEAR) {
			dear++;
			assert_int_equal(price_bound(m, &a, &bound), PRICE_OK);
			assert_true(bound > money);
			continue;
		}
		assert_int_equal(answered, PRICE_OK);
		bought++;
		a.out_max = n;
		assert_int_equal(price_bound(m, &a, &bound), PRICE_OK);
		assert_true(bound <= money);
		a.out_max = n + 1;
		assert_int_equal(price_bound(m, &a, &bound), PRICE_OK);
		assert_true(bound > money);
	}
	assert_true(bought > 10000 && dear > 1000);
}

static void test_bound_by_hand(void **state)
{
	struct price_ask a = { .in_max = 272000, .out_max = 1000 };
	int64_t v = 0;

	/* At the dearer tier, which the input may just reach; 5.4 has no price for writes. */
	assert_int_equal(price_bound(of("gpt-5.4"), &a, &v), PRICE_OK);
	assert_int_equal(v, 272000 * 5000000ll + 1000 * 22500000ll);
	a.in_max = 271999;
	assert_int_equal(price_bound(of("gpt-5.4"), &a, &v), PRICE_OK);
	assert_int_equal(v, 271999 * 2500000ll + 1000 * 15000000ll);
	/* 5.6 writes to its cache unasked. */
	assert_int_equal(price_bound(of("gpt-5.6-sol"), &a, &v), PRICE_OK);
	assert_int_equal(v, 271999 * 5000000ll + 1000 * 20000000ll);
	/* $1 buys: (10^12 - 1000 * 6 * 10^6) / 15 * 10^6. */
	a = (struct price_ask){ .in_max = 1000 };
	assert_int_equal(price_output_bought(of("claude-sonnet-4-5"), &a, 1000000000000, &v),
			 PRICE_OK);
	assert_int_equal(v, 66266);
	a.no_cache_write = true;
	assert_int_equal(price_output_bought(of("claude-sonnet-4-5"), &a, 1000000000000, &v),
			 PRICE_OK);
	assert_int_equal(v, 66466);
	assert_int_equal(price_output_bought(of("claude-sonnet-4-5"), &a, 2999999999, &v),
			 PRICE_TOO_DEAR);
	assert_int_equal(price_output_bought(of("claude-sonnet-4-5"), &a, 3000000000, &v),
			 PRICE_OK);
	assert_int_equal(v, 0);
	/* The dearest hour. */
	a = (struct price_ask){ .in_max = 1, .out_max = 1 };
	assert_int_equal(price_bound(of("deepseek-chat"), &a, &v), PRICE_OK);
	assert_int_equal(v, 270000 + 1100000);
	a.in_max = -1;
	assert_int_equal(price_bound(of("gpt-5.4"), &a, &v), PRICE_BAD_USAGE);
	a.in_max = INT64_MAX;
	assert_int_equal(price_bound(of("gpt-5.4"), &a, &v), PRICE_OVERFLOW);
	assert_int_equal(price_output_bought(of("gpt-5.4"), &a, INT64_MAX, &v),
			 PRICE_TOO_DEAR);
}

/* --- files --- */

#define HEAD "{\"schema\":1,\"unit\":\"pUSD\",\"models\":["
#define ONE(rest) HEAD "{\"id\":\"m\",\"provider\":\"p\"," rest "}]}"

static struct prices *read_ok(struct prices *p, const char *text)
{
	struct err e = {};

	if (prices_add(&p, text, strlen(text), "prices.json", &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "prices.json: " },
		{ "[]", "prices.json: this is not an object" },
		{ "{}", "prices.json: 'schema' is missing" },
		{ "{\"schema\":2}", "not 1, which this version" },
		{ "{\"schema\":1}", "'unit' is missing" },
		{ "{\"schema\":1,\"unit\":\"USD\",\"models\":[]}",
		  "$1 for a million tokens" },
		{ "{\"schema\":1,\"unit\":\"pUSD\"}", "'models' is missing" },
		{ "{\"schema\":1,\"schema\":1}", "duplicate" },
		{ "{\"schema\":1,\"unit\":\"pUSD\",\"modles\":[]}", "unknown key 'modles'" },
		{ "{\"schema\":1,\"unit\":\"pUSD\",\"models\":{}}",
		  "models: this is not a list" },
		{ HEAD "7]}", "models[0]: this is not an object" },
		{ HEAD "{}]}", "models[0]: 'id' is missing" },
		{ HEAD "{\"id\":\"\"}]}", "'id' is empty" },
		{ HEAD "{\"id\":\"a b\"}]}", "a space" },
		{ HEAD "{\"id\":\"m\"}]}", "models[0] 'm': 'provider' is missing" },
		{ ONE("\"src\":1"), "models[0] 'm': 'price' is missing" },
		{ ONE("\"price\":{}"), "models[0] 'm'.price: 'input' is missing" },
		{ ONE("\"price\":{\"input\":-1}"), "'m'.price.input: '-1' is negative" },
		{ ONE("\"price\":{\"input\":-99999999999999999999}"), "is negative" },
		{ ONE("\"price\":{\"input\":0.5}"), "'0.5' is not a whole number" },
		{ ONE("\"price\":{\"input\":1e6}"), "'1e6' is not a whole number" },
		{ ONE("\"price\":{\"input\":\"1\"}"), "price.input: this is not a number" },
		{ ONE("\"price\":{\"input\":null}"), "price.input: this is not a number" },
		{ ONE("\"price\":{\"input\":10000000001}"),
		  "out of range (0 to 10000000000)" },
		{ ONE("\"price\":{\"input\":99999999999999999999}"), "out of range" },
		{ ONE("\"price\":{\"input\":1,\"output\":1,\"output\":2}"), "duplicate" },
		{ ONE("\"price\":{\"input\":1,\"inptu\":1}"), "price: unknown key 'inptu'" },
		{ ONE("\"price\":{\"input\":1,\"tiers\":[{}]}"),
		  "price.tiers[0]: 'above_input_tokens' is missing" },
		{ ONE("\"price\":{\"input\":1,\"tiers\":[{\"above_input_tokens\":1}]}"),
		  "price.tiers[0]: there is no price" },
		{ ONE("\"price\":{\"input\":1,\"tiers\":[{\"above_input_tokens\":5,\"input\":1},"
		      "{\"above_input_tokens\":5,\"input\":1}]}"),
		  "price.tiers[1]: 'above_input_tokens' is not above" },
		{ ONE("\"price\":{\"input\":1},\"windows\":[{}]"),
		  "windows[0]: 'from_utc' is missing" },
		{ ONE("\"price\":{\"input\":1},\"windows\":[{\"from_utc\":\"1:00:00Z\"}]"),
		  "'from_utc' is missing or not a time" },
		{ ONE("\"price\":{\"input\":1},\"windows\":[{\"from_utc\":\"00:00:00Z\","
		      "\"to_utc\":\"24:00:01Z\"}]"),
		  "'to_utc' is not a time" },
		{ ONE("\"price\":{\"input\":1},\"windows\":[{\"from_utc\":\"01:00:00Z\","
		      "\"to_utc\":\"01:00:00Z\",\"input\":2}]"),
		  "make no part of a day" },
		{ ONE("\"price\":{\"input\":1},\"windows\":["
		      "{\"from_utc\":\"22:00:00Z\",\"to_utc\":\"02:00:00Z\",\"input\":2},"
		      "{\"from_utc\":\"01:00:00Z\",\"to_utc\":\"03:00:00Z\",\"input\":2}]"),
		  "windows[1]: this overlaps" },
		{ ONE("\"price\":{\"input\":1,\"tiers\":[{\"above_input_tokens\":5,\"input\":1}]},"
		      "\"windows\":[{\"from_utc\":\"01:00:00Z\",\"to_utc\":\"02:00:00Z\","
		      "\"input\":2}]"),
		  "together are not supported" },
		{ ONE("\"price\":{\"input\":1},\"steps\":[{}]"),
		  "steps[0]: 'from' is missing" },
		{ ONE("\"price\":{\"input\":1},\"steps\":[{\"from\":\"2027-02-30\"}]"),
		  "'from' is not a date" },
		{ ONE("\"price\":{\"input\":1},\"steps\":["
		      "{\"from\":\"2027-02-03\",\"price\":{\"input\":1}},"
		      "{\"from\":\"2027-02-03\",\"price\":{\"input\":1}}]"),
		  "steps[1]: 'from' is not after" },
		{ ONE("\"price\":{\"input\":1},\"service_tiers\":{\"default\":{}}"),
		  "'default' is not the name of another tier" },
		{ ONE("\"price\":{\"input\":1},\"service_tiers\":{\"flex\":{}}"),
		  "service_tiers.flex: 'price' is missing" },
		{ ONE("\"price\":{\"input\":1},\"match\":[{\"regex\":\"x\"}]"),
		  "match[0]: unknown key 'regex'" },
		{ ONE("\"price\":{\"input\":1},\"match\":[{}]"),
		  "one of 'exact' and 'prefix'" },
		{ ONE("\"price\":{\"input\":1},\"match\":[{\"prefix\":\"\"}]"), "is empty" },
		{ ONE("\"price\":{\"input\":1},\"match\":[{\"prefix\":\"a\"},{\"prefix\":\"a\"}]"),
		  "both have the prefix 'a'" },
		{ HEAD "{\"id\":\"m\",\"provider\":\"p\",\"price\":{\"input\":1}},"
		       "{\"id\":\"m\",\"provider\":\"p\",\"price\":{\"input\":1}}]}",
		  "the models 'm' and 'm' of 'p' both have the name 'm'" },
		{ ONE("\"price\":{\"input\":1}") "x", "prices.json: " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct prices *p = NULL;
		struct err e = {};
		int r = prices_add(&p, rows[i].text, strlen(rows[i].text), "prices.json",
				   &e);

		if (r == 0 || p || !strstr(e.msg, rows[i].want) ||
		    !str_has_prefix(e.msg, "prices.json"))
			fail_msg("%s: %d '%s'", rows[i].text, r, e.msg);
	}
}

/* A later file's model takes the place of one of the same name; the rest stays. */
static void test_overlay(void **state)
{
	_prices_free_ struct prices *p =
		read_ok(NULL,
			HEAD "{\"id\":\"a\",\"provider\":\"p\",\"price\":{\"input\":1},"
			     "\"match\":[{\"prefix\":\"a-\"}]},"
			     "{\"id\":\"b\",\"provider\":\"p\",\"price\":{\"input\":2}},"
			     "{\"id\":\"c\",\"provider\":\"p\",\"price\":{\"input\":3},"
			     "\"match\":[{\"exact\":\"c-1\"}]}]}");
	struct err e = {};
	const char *bad = ONE("\"price\":{\"input\":-1}");
	const struct price_model *m;

	p = read_ok(p, HEAD "{\"id\":\"a\",\"provider\":\"p\",\"price\":{\"input\":10}},"
			    "{\"id\":\"n\",\"provider\":\"p\",\"price\":{\"input\":0},"
			    "\"match\":[{\"prefix\":\"c\"},{\"exact\":\"c-1\"}]}]}");
	assert_int_equal(cost(find(p, "p", "a"), (struct usage){ .in_uncached = 1 }, 0), 10);
	assert_int_equal(cost(find(p, "p", "b"), (struct usage){ .in_uncached = 1 }, 0), 2);
	/* The rules of a model that was replaced are gone with it. */
	assert_int_equal(prices_find(p, "p", "a-1", &m), PRICE_UNKNOWN);
	/* Exact names come before prefixes, and of two equal ones that of the later file. */
	assert_string_equal(price_model_id(find(p, "p", "c")), "c");
	assert_string_equal(price_model_id(find(p, "p", "c-1")), "n");
	assert_string_equal(price_model_id(find(p, "p", "c-2")), "n");
	/* A file that is refused changes nothing. */
	assert_true(prices_add(&p, bad, strlen(bad), "bad.json", &e) < 0);
	assert_int_equal(cost(find(p, "p", "a"), (struct usage){ .in_uncached = 1 }, 0), 10);
}

static void test_two_providers(void **state)
{
	_prices_free_ struct prices *p =
		read_ok(NULL, HEAD
			"{\"id\":\"a\",\"provider\":\"p\",\"price\":{\"input\":1}},"
			"{\"id\":\"a\",\"provider\":\"q\",\"price\":{\"input\":2}}]}");
	const struct price_model *m = NULL;

	assert_string_equal(price_model_provider(find(p, "q", "a")), "q");
	assert_string_equal(price_model_provider(find(p, NULL, "q/a")), "q");
	assert_string_equal(price_model_provider(find(p, "p", "q/a")), "q");
	assert_int_equal(prices_find(p, NULL, "a", &m), PRICE_AMBIGUOUS);
	assert_int_equal(prices_find(p, "unheard-of", "a", &m), PRICE_AMBIGUOUS);
	assert_null(m);
}

static void test_steps_and_services(void **state)
{
	_prices_free_ struct prices *p = read_ok(
		NULL,
		ONE("\"price\":{\"input\":100},\"steps\":["
		    "{\"from\":\"2027-01-01\",\"price\":{\"input\":50}},"
		    "{\"from\":\"2027-02-01\",\"price\":{\"input\":200},\"windows\":["
		    "{\"from_utc\":\"23:00:00Z\",\"to_utc\":\"01:00:00Z\","
		    "\"input\":7}]}],\"service_tiers\":{\"priority\":"
		    "{\"price\":{\"input\":1000}},\"flex\":{\"price\":{\"input\":9},"
		    "\"steps\":[{\"from\":\"2027-01-01\",\"price\":{\"input\":8}}]}}"));
	const struct price_model *m = find(p, NULL, "m");
	const int64_t january = 1798761600, february = january + 31 * 86400;
	struct usage u = { .in_uncached = 1 };
	struct price_ask a = { .in_max = 1, .now = february - 90000 };
	int64_t v = 0;

	assert_int_equal(cost(m, u, 0), 100);
	assert_int_equal(cost(m, u, january - 1), 100);
	assert_int_equal(cost(m, u, january), 50);
	assert_int_equal(cost(m, u, february - 1), 50);
	assert_int_equal(cost(m, u, february), 7);
	assert_int_equal(cost(m, u, february + 3599), 7);
	assert_int_equal(cost(m, u, february + 3600), 200);
	assert_int_equal(cost(m, u, february + 82800), 7);
	/* The bound looks a day ahead. */
	assert_int_equal(price_bound(m, &a, &v), PRICE_OK);
	assert_int_equal(v, 50);
	a.now = february - 3600;
	assert_int_equal(price_bound(m, &a, &v), PRICE_OK);
	assert_int_equal(v, 200);
	assert_int_equal(price_of(m, &u, "priority", february, &v), PRICE_OK);
	assert_int_equal(v, 1000);
	assert_int_equal(price_of(m, &u, "flex", january - 1, &v), PRICE_OK);
	assert_int_equal(v, 9);
	assert_int_equal(price_of(m, &u, "flex", january, &v), PRICE_OK);
	assert_int_equal(v, 8);
	assert_int_equal(price_of(m, &u, "batch", january, &v), PRICE_OK);
	assert_int_equal(v, 50);
	a.service = "priority";
	assert_int_equal(price_bound(m, &a, &v), PRICE_OK);
	assert_int_equal(v, 1000);
	/* The chunk of output has no price here. */
	a.out_max = 1;
	assert_int_equal(price_bound(m, &a, &v), PRICE_NO_RATE);
	assert_int_equal(price_output_bought(m, &a, 1000000, &v), PRICE_NO_RATE);
}

static void test_load(void **state)
{
	char dir[] = "/tmp/purple-prices-XXXXXX";
	_free_ char *file = NULL, *fifo = NULL;
	struct prices *p = NULL;
	struct err e = {};
	FILE *f;

	assert_non_null(mkdtemp(dir));
	file = str_printf("%s/prices.json", dir);
	fifo = str_printf("%s/fifo", dir);
	/* The administrator's file may be missing, Purple's own not. */
	assert_int_equal(prices_load(SHIPPED, file, &p, &e), 0);
	prices_free(p);
	p = NULL;
	assert_int_equal(prices_load(file, NULL, &p, &e), -ENOENT);
	assert_non_null(strstr(e.msg, file));
	f = fopen(file, "we");
	assert_non_null(f);
	fputs(ONE("\"price\":{\"input\":5,\"ouput\":5}"), f);
	fclose(f);
	assert_int_equal(prices_load(SHIPPED, file, &p, &e), -EINVAL);
	assert_non_null(
		strstr(e.msg, "prices.json: models[0] 'm'.price: unknown key 'ouput'"));
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(prices_load(SHIPPED, fifo, &p, &e), -EINVAL);
	assert_null(p);
	unlink(file);
	unlink(fifo);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_model),
		cmocka_unit_test(test_anthropic_cache_hour),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sum_openai),
		cmocka_unit_test(test_sum_anthropic),
		cmocka_unit_test(test_sum_tier),
		cmocka_unit_test(test_sum_audio),
		cmocka_unit_test(test_sum_per_call_and_reasoning),
		cmocka_unit_test(test_sum_image),
		cmocka_unit_test(test_sum_window),
		cmocka_unit_test(test_no_price),
		cmocka_unit_test(test_two_models),
		cmocka_unit_test(test_bound_holds),
		cmocka_unit_test(test_bought_is_exact),
		cmocka_unit_test(test_bound_by_hand),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_overlay),
		cmocka_unit_test(test_two_providers),
		cmocka_unit_test(test_steps_and_services),
		cmocka_unit_test(test_load),
	};

	return cmocka_run_group_tests(tests, load_shipped, free_shipped);
}
