/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meter: what passes, what it is held to, what it is charged, and what is told. What users of
 * other gateways suffer from is in gateway_complaints_test.c, many gateways at once in
 * gateway_meter_random_test.c.
 */
#include <errno.h>
#include <sqlite3.h>

#include "gateway/meter_names.h"
#include "gateway/meter_rates.h"
#include "meter_calls.h"

/* --- what passes --- */

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{ "gpt-4o", "gpt-4o", true },
		{ "gpt-4o", "gpt-4o-mini", false },
		{ "gpt-4o", "GPT-4o", false },
		{ "gpt-*", "gpt-", true },
		{ "gpt-*", "o1-gpt-4", false },
		{ "*", "", true },
		{ "", "x", false },
		{ "*-mini", "a-mini-b-mini", true },
		{ "*-mini", "a-mini-b", false },
		{ "a*b*c", "aXbXbXc", true },
		{ "a*b*c", "aXcXb", false },
		{ "**a**", "bab", true },
		{ "a.c", "abc", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (meter_pattern_matches(rows[i].pattern, rows[i].text) != rows[i].matches)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].text);
}

/* All policies must allow; one without llm_apis takes what others name; unlisted ones by name. */
static void test_names_of_several_policies(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p"), *q;
	struct meter_verdict v;
	struct call call;

	p->block_unknown = false;
	strv_add(&p->providers.v[0].models, "*");
	q = box_policy(b, "q");
	q->any_provider = true;
	q = box_policy(b, "r");
	q->block_unknown = false;
	strv_add(&q->providers.v[0].models, "m");
	strv_add(&q->providers.v[0].models, "big*");
	box_start(b);
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	end_with(b, &call, 1, 1);
	call = chat(b, "{\"model\":\"m-dear\"," ASK "}");
	assert_refused(call, LLM_REFUSE_MODEL);
	assert_int_equal(call.v.policy, 2);
	/* Known by name, and named by none. */
	call = begin_at(b, "groq", &llm_format_chat, SMALL, 0);
	assert_true(call.v.admitted);
	end_with(b, &call, 1, 1);
	assert_refused(begin_at(b, "evil", &llm_format_chat, SMALL, 0), LLM_REFUSE_PROVIDER);
	meter_admit_free(b->meter, "openai", at(0), &v);
	assert_true(v.admitted);
	meter_admit_free(b->meter, "evil", at(0), &v);
	assert_true(!v.admitted && v.reason == LLM_REFUSE_PROVIDER);
}

/* --- rates --- */

static void test_requests_a_minute(void **state)
{
	struct meter_box *b = *state;
	struct meter_verdict v;
	struct call call;

	box_policy(b, "p")->requests_per_minute = 3;
	box_start(b);
	for (int i = 0; i < 3; i++) {
		call = begin_at(b, "openai", &llm_format_chat, SMALL, i * 10000);
		assert_true(call.v.admitted);
		end_with(b, &call, 1, 1);
	}
	call = begin_at(b, "openai", &llm_format_chat, SMALL, 20001);
	assert_refused(call, LLM_REFUSE_RATE);
	assert_in_range(call.v.retry_after, 40, 41);
	/* Lists of models count, too. */
	meter_admit_free(b->meter, "openai", at(25000), &v);
	assert_true(!v.admitted && v.reason == LLM_REFUSE_RATE);
	assert_in_range(v.retry_after, 35, 36);
	call = begin_at(b, "openai", &llm_format_chat, SMALL, 61000);
	assert_true(call.v.admitted);
	end_with(b, &call, 1, 1);
	assert_refused(begin_at(b, "openai", &llm_format_chat, SMALL, 61000),
		       LLM_REFUSE_RATE);
	/* Long after, all is forgotten; a clock that stands still or goes back harms nobody. */
	meter_admit_free(b->meter, "openai", at(10000000), &v);
	assert_true(v.admitted);
	meter_admit_free(b->meter, "openai", at(0), &v);
	assert_true(v.admitted);
}

static void test_tokens_a_minute(void **state)
{
	struct meter_box *b = *state;
	char *body = long_body("{\"model\":\"m\",\"max_tokens\":10,\"messages\":[{\"role\":"
			       "\"user\",\"content\":\"",
			       6000, "\"}]}");
	struct call call, other;

	box_policy(b, "p")->tokens_per_minute = 1000;
	box_start(b);
	/* Its input alone is beyond it: it would wait for ever, and is told so. */
	call = chat(b, body);
	assert_refused(call, LLM_REFUSE_REQUEST);
	assert_non_null(strstr(call.v.message, "waiting does not help"));
	/* One that takes more than thought passes; those after it wait. */
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	end_with(b, &call, 1000, 4000);
	call = begin_at(b, "openai", &llm_format_chat, SMALL, 1000);
	assert_refused(call, LLM_REFUSE_RATE);
	assert_in_range(call.v.retry_after, 59, 60);
	call = begin_at(b, "openai", &llm_format_chat, SMALL, 61000);
	assert_true(call.v.admitted);
	/* Calls under way hold what they will probably take. */
	other = begin_at(b, "openai", &llm_format_chat, SMALL, 61000);
	assert_true(other.v.admitted);
	assert_refused(begin_at(b, "openai", &llm_format_chat,
				"{\"model\":\"m\",\"max_tokens\":600," ASK "}", 61000),
		       LLM_REFUSE_RATE);
	end_at(b, &call, NULL, METER_REFUSED, 61000);
	end_at(b, &other, NULL, METER_REFUSED, 61000);
	call = begin_at(b, "openai", &llm_format_chat,
			"{\"model\":\"m\",\"max_tokens\":600," ASK "}", 61000);
	assert_true(call.v.admitted);
	end_at(b, &call, NULL, METER_REFUSED, 61000);
	free(body);
}

/* In no minute pass more than the limit, whenever they come. */
static void test_window(void **state)
{
	struct meter_rate r = { .requests_limit = 7, .tokens_limit = 100 };
	static int64_t passed[4000];
	uint64_t seed = 1;
	int n = 0, refused = 0;

	(void)state;
	for (int64_t t = 5000; t < 2000000 && n < 4000; t += (int64_t)(seed >> 33) % 12000) {
		enum meter_rate_reason why;
		unsigned int wait;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		wait = meter_rate_wait(&r, t, 1, 10, &why);
		assert_in_range(wait, 0, 60);
		if (wait > 0) {
			refused++;
			/* It passes when it was told. */
			if (wait < 60)
				assert_int_equal(meter_rate_wait(&r, t + wait * 1000, 1,
								 10, &why),
						 0);
			t += wait * 1000;
			continue;
		}
		meter_rate_begin(&r, t, 10);
		meter_rate_use(&r, t, 10, 10);
		passed[n++] = t;
		if (n > 7)
			assert_true(passed[n - 1] - passed[n - 8] > 60000);
	}
	assert_true(n > 100 && refused > 10);
}

/* --- budgets --- */

/* Policies that share a counter, and such that have one each: the least of all holds. */
static void test_limits_of_several_policies(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p"), *q;
	struct call call;

	box_limit_tokens(p, 100000);
	box_limit_cost(p, 100 * MONEY_DOLLAR);
	q = box_policy(b, "q");
	box_limit_tokens(q, 1000);
	q = box_policy(b, "team");
	q->scope = LEDGER_TEAM;
	q->team = strdup("red");
	q->period = LEDGER_ALWAYS;
	q->on_exceeded = GATEWAY_FREEZE;
	box_limit_cost(q, 1500000);
	box_start(b);
	call = chat(b, "{\"model\":\"m\",\"max_tokens\":2000," ASK "}");
	assert_true(call.v.admitted);
	/* 1,500,000 less the input at 1000, at 4000 a token. */
	assert_int_equal(call.v.out_cap,
			 (1500000 -
			  bound("{\"model\":\"m\",\"max_tokens\":2000," ASK "}") * 1000) /
				 4000);
	end_with(b, &call, 100, 300);
	assert_int_equal(session(b).tokens, 400);
	assert_int_equal(state_of(b, LEDGER_TEAM, "red").cost, 100 * 1000 + 300 * 4000);
	call = chat(b, SMALL);
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_int_equal(call.v.policy, 2);
	assert_true(call.v.exceeded);
	assert_int_equal(call.v.action, GATEWAY_FREEZE);
	assert_non_null(strstr(call.v.message, "$0.0000002 of $0.0000015 left"));
	assert_int_equal(box_last(b, GATEWAY_BUDGET_EXCEEDED)->x.policy, 2);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_EXCEEDED)->x.cost, 1300000);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_EXCEEDED)->x.cost_limit, 1500000);
	/* It is told once. */
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_EXCEEDED), 1);
	verify(b);
}

static void test_too_many_budgets(void **state)
{
	struct meter_box *b = *state;
	struct ledger *l = NULL;
	struct meter *m = NULL;
	struct err e = {};

	for (int i = 0; i < 9; i++) {
		char name[16];
		struct gateway_policy *p;

		snprintf(name, sizeof(name), "p%d", i);
		p = box_policy(b, name);
		p->scope = LEDGER_POLICY;
		box_limit_tokens(p, 1);
	}
	assert_int_equal(box_start_as(b, &l, &m, &e), -E2BIG);
	assert_null(m);
	ledger_drop(l);
}

/* A maximum below what is useful is refused, unless the client wants no more. */
static void test_least(void **state)
{
	static const char tiny[] = "{\"model\":\"m\",\"max_tokens\":5," ASK "}";
	static const char thinks[] =
		"{\"model\":\"claude-x\",\"max_tokens\":3000,\"thinking\":{"
		"\"type\":\"enabled\",\"budget_tokens\":1024}," ASK "}";
	static const char four[] = "{\"model\":\"m\",\"n\":4,\"max_tokens\":400," ASK "}";
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	box_limit_tokens(p, 1200);
	box_start(b);
	/* 1200 - 150 is more than 256, and less than 1024 + 256. */
	call = messages(b, thinks);
	assert_refused(call, LLM_REFUSE_BUDGET);
	/* 256 each is too much for four; what is left is shared. */
	call = chat(b, four);
	assert_true(call.v.admitted);
	assert_int_equal(call.v.out_cap, 1200 - bound(four));
	end_with(b, &call, 50, 850);
	assert_refused(chat(b, four), LLM_REFUSE_BUDGET);
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
	call = chat(b, tiny);
	assert_true(call.v.admitted);
	assert_int_equal(call.v.out_cap, 5);
	end_with(b, &call, 20, 5);
	verify(b);
}

/* A call of so many bytes of text, and up to 300 tokens of answer, under a limit that is less. */
static void expect_too_large(struct meter_box *b, size_t text, int64_t limit,
			     bool exceeds, const char *why)
{
	char *body = long_body("{\"model\":\"m\",\"max_tokens\":300,\"messages\":[{\"role\":"
			       "\"user\",\"content\":\"",
			       text, "\"}]}");
	struct call call;

	box_limit_tokens(box_policy(b, "p"), limit);
	box_start(b);
	call = chat(b, body);
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_int_equal(call.v.exceeded, exceeds);
	assert_non_null(strstr(call.v.message, why));
	assert_int_equal(box_count(b, GATEWAY_BUDGET_EXCEEDED), exceeds);
	free(body);
}

/* A call that is too large by its bound is refused, and the budget is not spent by that. */
static void test_bound_does_not_fit(void **state)
{
	struct meter_box *b = *state;
	struct call call;

	expect_too_large(b, 2000, 2000, false, "too large for what is left");
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	end_with(b, &call, 1, 1);
}

/* A small call whose bound does not fit, though its probable size does: hardly any fits any more. */
static void test_small_bound_does_not_fit(void **state)
{
	expect_too_large(*state, 400, 700, true, "the budget is spent");
}

/* Input that nobody sees, fees that nobody can tell, and words that change prices. */
static void test_what_has_no_bound(void **state)
{
	static const char *const refused[] = {
		"{\"model\":\"blind\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
		"[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]}]}",
		"{\"model\":\"m\",\"service_tier\":\"priority\",\"max_tokens\":9," ASK "}",
		"{\"model\":\"m-dear\",\"web_search_options\":{},\"max_tokens\":9," ASK "}",
	};
	struct meter_box *b = *state;
	struct call call;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		call = chat(b, refused[i]);
		if (call.v.admitted || call.v.reason != LLM_REFUSE_REQUEST)
			fail_msg("%s: %s", refused[i], call.v.message);
	}
	call = messages(b, "{\"model\":\"claude-x\",\"speed\":\"warp\",\"max_tokens\":9," ASK
			   "}");
	assert_refused(call, LLM_REFUSE_REQUEST);
	/* Where what a model can read is known, that is reserved. */
	call = chat(b, "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\","
		       "\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
		       "\"https://x/y.png\"}}]}]}");
	assert_true(call.v.admitted);
	assert_int_equal(session(b).cost_reserved, 20000 * 1000 + 9 * 4000);
	/* And charged, when nobody says how much it was. */
	end_at(b, &call, NULL, METER_GONE, 0);
	assert_int_equal(session(b).cost, 20000 * 1000 + 9 * 4000);
	/* Searches are reserved, and charged as they were made. */
	call = chat(b, "{\"model\":\"m\",\"web_search_options\":{},\"max_tokens\":9," ASK
		       "}");
	assert_true(call.v.admitted);
	assert_int_equal(session(b).cost_reserved, 20000 * 1000 + 9 * 4000 + 25 * 7);
	end_with(b, &call, 1, 1);
	/* Fast answers cost six times as much, and a tenth more in the US. */
	call = messages(b, "{\"model\":\"claude-x\",\"speed\":\"fast\",\"inference_geo\":\"us\","
			   "\"max_tokens\":10," ASK "}");
	assert_true(call.v.admitted);
	assert_int_equal(session(b).cost_reserved,
			 (bound("{\"model\":\"claude-x\",\"speed\":\"fast\",\"inference_geo\":"
				"\"us\",\"max_tokens\":10," ASK "}") *
				  1000 +
			  10 * 5000) *
				 66 / 10);
	end_at(b, &call, NULL, METER_REFUSED, 0);
	verify(b);
}

static void test_cache_writes_are_reserved(void **state)
{
	static const char plain[] = "{\"model\":\"claude-x\",\"max_tokens\":10," ASK "}";
	static const char caches[] = "{\"model\":\"claude-x\",\"cache_control\":{\"type\":"
				     "\"ephemeral\"},\"max_tokens\":10," ASK "}";
	static const char hour[] = "{\"model\":\"claude-x\",\"cache_control\":{\"type\":"
				   "\"ephemeral\",\"ttl\":\"1h\"},\"max_tokens\":10," ASK
				   "}";
	static const struct {
		const char *body;
		int64_t price;
	} rows[] = { { plain, 1000 }, { caches, 1250 }, { hour, 2000 } };
	struct meter_box *b = *state;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct call call = messages(b, rows[i].body);

		assert_true(call.v.admitted);
		assert_int_equal(session(b).cost_reserved,
				 bound(rows[i].body) * rows[i].price + 10 * 5000);
		end_at(b, &call, NULL, METER_REFUSED, 0);
	}
}

static void test_embeddings(void **state)
{
	static const char body[] = "{\"model\":\"embed\",\"input\":\"hello\"}";
	struct meter_box *b = *state;
	struct llm_answer a;
	struct call call;

	box_limit_cost(box_policy(b, "p"), bound(body) * 1000);
	box_start(b);
	call = begin_at(b, "openai", &llm_format_embeddings, body, 0);
	assert_true(call.v.admitted);
	assert_int_equal(call.v.out_cap, INT64_MAX);
	a = answer(&llm_format_embeddings, false, true,
		   "{\"model\":\"embed\",\"data\":[],\"usage\":{\"prompt_tokens\":2,"
		   "\"total_tokens\":2}}");
	end_at(b, &call, &a, METER_WHOLE, 0);
	assert_int_equal(session(b).cost, 2000);
	assert_refused(begin_at(b, "openai", &llm_format_embeddings, body, 0),
		       LLM_REFUSE_BUDGET);
}

/* --- the end of a call --- */

static void test_dearer_model_answers(void **state)
{
	struct meter_box *b = *state;
	struct call call;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m-dear\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
	    "\"completion_tokens\":10,\"total_tokens\":20}}");
	assert_int_equal(session(b).cost, 10 * 2000 + 10 * 8000);
	/* The provider's own bill comes first. */
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m-dear\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
	    "\"completion_tokens\":10,\"total_tokens\":20,\"cost\":0.000001}}");
	assert_int_equal(session(b).cost, 100000 + 1000000);
	/* A tier without a price: all that was reserved. */
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m\",\"service_tier\":\"priority\",\"choices\":[],\"usage\":{"
	    "\"prompt_tokens\":10,\"completion_tokens\":10,\"total_tokens\":20}}");
	assert_int_equal(session(b).cost, 1100000 + bound(SMALL) * 1000 + 300 * 4000);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->x.is_estimate);
	verify(b);
}

/* Calls that cost nothing do not fill the disk: what the provider refused is forgotten. */
static void test_refused_calls_are_forgotten(void **state)
{
	enum { ROUNDS = 9000 };
	struct meter_box *b = *state;
	sqlite3_stmt *s = NULL;
	sqlite3 *db = NULL;
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 10000);
	box_start(b);
	call = chat(b, SMALL);
	end_with(b, &call, 1, 1);
	for (int i = 0; i < ROUNDS; i++) {
		call = chat(b, SMALL);
		end_at(b, &call, NULL, METER_REFUSED, 0);
	}
	verify(b);
	assert_int_equal(session(b).tokens, 2);
	assert_int_equal(session(b).tokens_reserved, 0);
	assert_int_equal(sqlite3_open(b->ledger_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT count(*), (SELECT count(*) FROM part),"
					    " sum(state = 'settled') FROM call",
					    -1, &s, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_in_range(sqlite3_column_int64(s, 0), 8192, 8200);
	assert_int_equal(sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 0));
	assert_int_equal(sqlite3_column_int64(s, 2), 1);
	sqlite3_finalize(s);
	sqlite3_close(db);
}

/* One absurd figure of a provider neither fills a counter nor locks the gateway up. */
static void test_absurd_bills(void **state)
{
	struct meter_box *b = *state;
	struct ledger_limit limit = { .scope = LEDGER_SESSION };
	struct ledger_call full = { .limits = &limit, .n_limits = 1 };
	struct ledger_charge charge = { .cost = INT64_MAX - 5 };
	struct ledger_answer a = {};
	struct err e = {};
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 1000000);
	box_start(b);
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
	    "\"completion_tokens\":10,\"total_tokens\":20,\"cost\":9000000.0}}");
	assert_int_equal(session(b).cost, 50000);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->x.is_estimate);
	call = chat(b, "{\"model\":\"of-nobody\",\"max_tokens\":300," ASK "}");
	end(b, &call,
	    "{\"model\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
	    "\"completion_tokens\":10,\"total_tokens\":20,\"cost\":9000000.0}}");
	assert_int_equal(session(b).cost, 50000);
	/* A counter that is full, whoever filled it. */
	limit.name = b->config.session;
	assert_int_equal(ledger_reserve(b->ledger, &full, NOON, &a, &e), 0);
	charge.cost -= 50000;
	assert_int_equal(ledger_settle(b->ledger, a.id, &charge, NOON, &e), 0);
	for (int i = 0; i < 3; i++) {
		call = chat(b, SMALL);
		assert_true(call.v.admitted);
		end_with(b, &call, 10, 10);
		assert_int_equal(meter_wait_ms(b->meter, at(0)), -1);
	}
	assert_int_equal(session(b).tokens_reserved, 0);
	verify(b);
}

/* What a call is charged that ended so, of 10 tokens of text or none. */
static int64_t charged_for(struct meter_box *b, const char *provider,
			   const struct llm_format *f, const char *body, const char *text,
			   enum meter_end how, int64_t ms)
{
	struct call call = begin_at(b, provider, f, body, 0);
	struct llm_answer a = {};

	if (text)
		a = answer(f, call.r.streams, how == METER_WHOLE, text);
	end_at(b, &call, text ? &a : NULL, how, ms);
	return box_last(b, GATEWAY_LLM_CALL)->usage.out;
}

/* What was not seen may be all: nobody gets out of a call cheaper than by waiting for its end. */
static void test_what_was_not_seen_is_charged(void **state)
{
	static const char document[] = "{\"model\":\"m\",\"max_tokens\":1500," ASK "}";
	static const char stream[] =
		"{\"model\":\"m\",\"stream\":true,\"max_tokens\":1500," ASK "}";
	static const char part[] = "{\"choices\":[{\"message\":{\"content\":\"aaaaaaaa";
	struct meter_box *b = *state;
	const struct llm_format *f = &llm_format_chat;

	box_limit_tokens(box_policy(b, "p"), 1000000);
	box_start(b);
	/* A document that nobody waits for is finished by its provider. */
	assert_int_equal(charged_for(b, "openai", f, document, NULL, METER_GONE, 100), 1500);
	assert_int_equal(charged_for(b, "openai", f, document, part, METER_GONE, 100), 1500);
	assert_int_equal(charged_for(b, "openai", f, document, part, METER_BROKEN, 31000),
			 1500);
	assert_in_range(charged_for(b, "openai", f, document, part, METER_BROKEN, 100), 1,
			9);
	/* One without figures, however it was brought about. */
	assert_int_equal(charged_for(b, "openai", f, document,
				     "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
				     METER_WHOLE, 100),
			 1500);
	/* A stream, by what was seen of it. */
	assert_int_equal(charged_for(b, "openai", f, stream, NULL, METER_GONE, 100), 1500);
	assert_in_range(charged_for(b, "openai", f, stream, CHUNK("aaaaaaaa"), METER_GONE,
				    100),
			2, 9);
	assert_in_range(charged_for(b, "openai", f, stream,
				    CHUNK("aaaaaaaa") "data: [DONE]\n\n", METER_WHOLE, 100),
			2, 9);
	verify(b);
}

static void progress(struct meter_box *b, struct call *call, struct llm_reader *r,
		     const char *text, struct meter_verdict *v)
{
	struct err e = {};

	assert_int_equal(llm_reader_feed(r, text, strlen(text), NULL, &e), 0);
	meter_progress(b->meter, call->c, llm_reader_answer(r), at(0), v);
}

/* A server that does not keep to the maximum: the reservation grows, and then the stream is cut. */
static void test_grows_and_is_cut(void **state)
{
	struct meter_box *b = *state;
	_llm_reader_free_ struct llm_reader *r = NULL;
	_buf_free_ struct buf out = {};
	struct meter_verdict v = { .admitted = true };
	int64_t reserved;
	struct err e = {};
	struct call call;
	int pieces = 0;

	box_limit_tokens(box_policy(b, "p"), 2000);
	box_start(b);
	call = chat(b, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":300," ASK "}");
	assert_true(call.v.admitted);
	reserved = session(b).tokens_reserved;
	assert_int_equal(llm_reader_new(&llm_format_chat, LLM_EVENTS, false, &r, &e), 0);
	for (; v.admitted && pieces < 5000; pieces++)
		progress(b, &call, r, CHUNK("word"), &v);
	assert_true(session(b).tokens_reserved > reserved);
	assert_in_range(session(b).tokens_reserved, 1900, 2000);
	assert_in_range(pieces, 1800, 2000);
	assert_int_equal(v.reason, LLM_REFUSE_BUDGET);
	assert_true(v.exceeded);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_EXCEEDED), 1);
	llm_reader_stop(r, v.reason, v.message, &out);
	end_at(b, &call, llm_reader_answer(r), METER_CUT, 0);
	assert_in_range(session(b).tokens, 1800, 2000);
	assert_int_equal(session(b).tokens_reserved, 0);
	verify(b);
}

/* One that has sent far more before it was looked at is charged all that is left. */
static void test_cut_takes_the_rest(void **state)
{
	struct meter_box *b = *state;
	_llm_reader_free_ struct llm_reader *r = NULL;
	char *text =
		long_body("data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"",
			  36000, "\"}}]}\n\n");
	_buf_free_ struct buf out = {};
	struct meter_verdict v;
	struct err e = {};
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 2000);
	box_limit_cost(box_policy(b, "q"), 10 * MONEY_DOLLAR);
	box_start(b);
	call = chat(b, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":300," ASK "}");
	assert_true(call.v.admitted);
	assert_int_equal(llm_reader_new(&llm_format_chat, LLM_EVENTS, false, &r, &e), 0);
	progress(b, &call, r, text, &v);
	assert_false(v.admitted);
	assert_int_equal(session(b).tokens_reserved, 2000);
	llm_reader_stop(r, v.reason, v.message, &out);
	end_at(b, &call, llm_reader_answer(r), METER_CUT, 0);
	assert_int_equal(session(b).tokens, 2000);
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
	verify(b);
	free(text);
}

/* One that keeps to it is not cut, however its tokens look. */
static void test_long_tokens_are_not_cut(void **state)
{
	struct meter_box *b = *state;
	_llm_reader_free_ struct llm_reader *r = NULL;
	struct meter_verdict v;
	struct err e = {};
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 420);
	box_start(b);
	call = chat(b, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":300," ASK "}");
	assert_true(call.v.admitted);
	assert_int_equal(llm_reader_new(&llm_format_chat, LLM_EVENTS, false, &r, &e), 0);
	for (int i = 0; i < 300; i++) {
		progress(b, &call, r, CHUNK("fifteen letters"), &v);
		assert_true(v.admitted);
	}
	progress(b, &call, r,
		 "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":20,"
		 "\"completion_tokens\":300,\"total_tokens\":320}}\n\n",
		 &v);
	assert_true(v.admitted);
	end_at(b, &call, llm_reader_answer(r), METER_WHOLE, 0);
	assert_int_equal(session(b).tokens, 320);
}

/* --- what is told --- */

static void test_alerts_once(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct meter *first;
	struct ledger *first_ledger;
	struct call call;

	p->scope = LEDGER_TEAM;
	p->team = strdup("red");
	box_limit_tokens(p, 10000);
	*(uint32_t *)list_add(&p->alert_at) = 50;
	*(uint32_t *)list_add(&p->alert_at) = 80;
	*(uint32_t *)list_add(&p->alert_at) = 100;
	box_start(b);
	call = chat(b, SMALL);
	end_with(b, &call, 10, 4980);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 0);
	call = chat(b, SMALL);
	end_with(b, &call, 10, 10);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 1);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_ALERT)->x.percent, 50);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_ALERT)->x.tokens, 5010);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_ALERT)->x.tokens_limit, 10000);
	/* Another gateway: nobody is told twice. */
	first = b->meter;
	first_ledger = b->ledger;
	box_start(b);
	call = chat(b, SMALL);
	end_with(b, &call, 10, 10);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 1);
	/* Both marks at once, by the truth of a provider. */
	call = chat(b, SMALL);
	end_with(b, &call, 10, 5000);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 3);
	assert_int_equal(box_last(b, GATEWAY_BUDGET_ALERT)->x.percent, 100);
	meter_free(b->meter);
	ledger_drop(b->ledger);
	b->meter = first;
	b->ledger = first_ledger;
	call = chat(b, "{\"model\":\"m\",\"max_tokens\":1," ASK "}");
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 3);
}

/* enforcement: audit lets all pass, and tells what it would have refused. */
static void test_audit(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	p->is_audit = true;
	p->on_exceeded = GATEWAY_STOP;
	p->requests_per_minute = 1;
	strv_add(&p->providers.v[0].models, "none");
	box_limit_tokens(p, 100);
	box_start(b);
	for (int i = 0; i < 2; i++) {
		call = chat(b, SMALL);
		assert_true(call.v.admitted);
		/* Nothing is rewritten. */
		assert_int_equal(call.v.out_cap, INT64_MAX);
		assert_int_equal(call.edits.n, 0);
		end_with(b, &call, 100, 300);
	}
	/* Twice the model and the budget, and once the rate. */
	assert_int_equal(box_count(b, GATEWAY_LLM_DENIED), 5);
	for (size_t i = 0; i < b->told_n; i++)
		if (b->told[i].x.type == GATEWAY_LLM_DENIED)
			assert_true(b->told[i].x.is_audit);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_EXCEEDED), 1);
	/* Its counter is kept nevertheless. */
	assert_int_equal(session(b).tokens, 800);
	/* One beside it that enforces is not weakened. */
	meter_free(b->meter);
	ledger_drop(b->ledger);
	box_limit_tokens(box_policy(b, "q"), 1000);
	box_start(b);
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
}

static void test_figures_only_where_asked_for(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	p->log_tokens = p->log_costs = false;
	box_start(b);
	call = chat(b, SMALL);
	assert_int_equal(call.v.out_cap, INT64_MAX);
	end_with(b, &call, 10, 20);
	assert_null(box_last(b, GATEWAY_LLM_CALL)->x.usage);
	assert_false(box_last(b, GATEWAY_LLM_CALL)->x.has_cost);
	assert_int_equal(box_last(b, GATEWAY_LLM_CALL)->x.status, 200);
}

/* --- the ledger fails --- */

/* The end of a call is written with the next reservation, or when its time has come. */
static void test_deferred(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct ledger *kept;
	struct err e = {};
	struct call call;

	*(uint32_t *)list_add(&p->alert_at) = 1;
	box_limit_tokens(p, 10000);
	b->defers = true;
	box_start(b);
	call = chat(b, SMALL);
	assert_int_equal(meter_wait_ms(b->meter, at(0)), -1);
	end_with(b, &call, 100, 200);
	/* Still reserved: nothing is lost if the gateway dies now. */
	assert_int_equal(session(b).tokens, 0);
	assert_true(session(b).tokens_reserved >= 300);
	assert_in_range(meter_wait_ms(b->meter, at(0)), 1, 10);
	assert_int_equal(meter_wait_ms(b->meter, at(1000)), 0);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 0);
	assert_int_equal(meter_tick(b->meter, at(1000), &e), 0);
	assert_int_equal(session(b).tokens, 300);
	assert_int_equal(session(b).tokens_reserved, 0);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_ALERT), 1);
	assert_int_equal(meter_wait_ms(b->meter, at(1000)), -1);
	/* Two ends and a beginning at once; a refusal takes ends along as well. */
	call = chat(b, SMALL);
	end_with(b, &call, 1, 1);
	call = chat(b, SMALL);
	end_at(b, &call, NULL, METER_REFUSED, 0);
	call = chat(b, SMALL);
	assert_int_equal(session(b).tokens, 302);
	end_with(b, &call, 1, 9690);
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
	assert_int_equal(session(b).tokens, 9993);
	assert_int_equal(session(b).tokens_reserved, 0);
	/* And what is not written when it dies is charged in full. */
	assert_int_equal(ledger_add(b->ledger, 1, 10000, 0, NOON, &e), 0);
	call = chat(b, SMALL);
	end_with(b, &call, 1, 1);
	kept = b->ledger;
	b->ledger = NULL;
	meter_free(b->meter);
	ledger_drop(kept);
	b->meter = NULL;
	box_start(b);
	assert_int_equal(session(b).tokens, 9993 + bound(SMALL) + 300);
	verify(b);
}

static void test_ledger_is_locked(void **state)
{
	struct meter_box *b = *state;
	struct meter_setup setup;
	sqlite3 *other = NULL;
	struct err e = {};
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 10000);
	assert_int_equal(ledger_open(b->ledger_path, LEDGER_GATEWAY, 20, NOON, &b->ledger,
				     &e),
			 0);
	setup = (struct meter_setup){ .config = &b->config,
				      .ledger = b->ledger,
				      .prices = b->prices_path,
				      .overlay = "/nonexistent/prices.json",
				      .event = box_on_event,
				      .ctx = b };
	assert_int_equal(meter_new(&setup, &b->meter, &e), 0);
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	assert_int_equal(sqlite3_open(b->ledger_path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
			 SQLITE_OK);
	/* Nothing passes, and the agent is not told where the ledger is. */
	{
		struct call refused = chat(b, SMALL);

		assert_refused(refused, LLM_REFUSE_UNAVAILABLE);
		assert_null(strstr(refused.v.message, b->dir));
		assert_non_null(strstr(box_last(b, GATEWAY_LLM_DENIED)->error, "locked"));
	}
	/* What is over cannot be written, and is kept. */
	end_with(b, &call, 100, 200);
	assert_int_equal(meter_calls(b->meter), 0);
	assert_int_equal(meter_tick(b->meter, at(0), &e), -EBUSY);
	sqlite3_close(other);
	assert_true(session(b).tokens_reserved > 0);
	/* The next one that passes writes it first. */
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	assert_int_equal(session(b).tokens, 300);
	end_with(b, &call, 1, 1);
	assert_int_equal(session(b).tokens, 302);
	assert_int_equal(session(b).tokens_reserved, 0);
	assert_int_equal(meter_tick(b->meter, at(0), &e), 0);
	verify(b);
}

/* What a dead gateway held does not keep others waiting. */
static void test_dead_gateway_holds_nothing(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	p->scope = LEDGER_POLICY;
	box_limit_tokens(p, 1000);
	box_start(b);
	{
		struct ledger *dead = NULL;
		struct meter *m = NULL, *mine = b->meter;
		struct err e = {};

		assert_int_equal(box_start_as(b, &dead, &m, &e), 0);
		b->meter = m;
		call = chat(b, SMALL);
		assert_true(call.v.admitted);
		ledger_drop(dead);
		b->meter = mine;
		/* The call is of a process that is gone. */
		free(call.c);
		meter_free(m);
	}
	call = chat(b, "{\"model\":\"m\",\"n\":3,\"max_tokens\":300," ASK "}");
	assert_refused(call, LLM_REFUSE_RATE);
	/* It was charged now, so the next one is told the truth. */
	call = begin_at(b, "openai", &llm_format_chat,
			"{\"model\":\"m\",\"n\":3,\"max_tokens\":300," ASK "}", 2000);
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_true(state_of(b, LEDGER_POLICY, "p").tokens > 300);
	verify(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_patterns),
		T(test_names_of_several_policies),
		T(test_requests_a_minute),
		T(test_tokens_a_minute),
		T(test_window),
		T(test_limits_of_several_policies),
		T(test_too_many_budgets),
		T(test_least),
		T(test_bound_does_not_fit),
		T(test_small_bound_does_not_fit),
		T(test_what_has_no_bound),
		T(test_cache_writes_are_reserved),
		T(test_embeddings),
		T(test_dearer_model_answers),
		T(test_refused_calls_are_forgotten),
		T(test_absurd_bills),
		T(test_what_was_not_seen_is_charged),
		T(test_grows_and_is_cut),
		T(test_cut_takes_the_rest),
		T(test_long_tokens_are_not_cut),
		T(test_alerts_once),
		T(test_audit),
		T(test_figures_only_where_asked_for),
		T(test_deferred),
		T(test_ledger_is_locked),
		T(test_dead_gateway_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
