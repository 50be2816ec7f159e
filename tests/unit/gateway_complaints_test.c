/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of other gateways suffer from, as far as the meter decides it: each has a test here,
 * with its number in the list of issues that the tests were drawn from. The rest of the meter is in
 * gateway_meter_test.c.
 */
#include "meter_calls.h"

/* 1: the check and the charge are one step, so calls that run at once do not all pass. */
static void test_parallel_calls_all_pass(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call calls[64];
	int admitted = 0, waiting = 0;

	box_limit_tokens(p, 2000);
	box_start(b);
	for (int i = 0; i < 64; i++) {
		calls[i] = chat(b, SMALL);
		admitted += calls[i].v.admitted;
		if (calls[i].v.admitted)
			continue;
		/* Others hold the rest: it is not spent, and worth another try. */
		assert_refused(calls[i], LLM_REFUSE_RATE);
		assert_true(calls[i].v.retry_after >= 1 && calls[i].v.retry_after <= 60);
		assert_false(calls[i].v.exceeded);
		waiting++;
	}
	assert_true(admitted >= 4 && admitted <= 6 && waiting == 64 - admitted);
	assert_true(session(b).tokens_reserved <= 2000);
	for (int i = 0; i < 64; i++)
		if (calls[i].c)
			end_with(b, &calls[i], 20, 300);
	assert_int_equal(session(b).tokens, 320 * admitted);
	assert_int_equal(session(b).tokens_reserved, 0);
	verify(b);
}

/* 3: a large maximum neither fills the budget nor refuses the call beside it. */
static void test_large_maximum_blocks(void **state)
{
	static const char body[] = "{\"model\":\"claude-x\",\"max_tokens\":128000," ASK "}";
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call one, two, three;

	box_limit_cost(p, 128000 * INT64_C(5000) / 2);
	box_start(b);
	one = messages(b, body);
	assert_true(one.v.admitted && one.v.out_cap > 30000);
	two = messages(b, body);
	assert_true(two.v.admitted && two.v.out_cap > 14000);
	three = messages(b, body);
	assert_true(three.v.admitted && three.v.out_cap >= METER_USEFUL_MAX);
	/* What was not used is there again. */
	for (int i = 0; i < 3; i++) {
		struct call *c = i == 0 ? &one : i == 1 ? &two : &three;
		struct llm_answer a =
			answer(&llm_format_messages, false, true,
			       "{\"model\":\"claude-x\",\"content\":[],\"stop_reason\":\"end_turn\","
			       "\"usage\":{\"input_tokens\":10,\"output_tokens\":5}}");

		end_at(b, c, &a, METER_WHOLE, 0);
	}
	assert_int_equal(session(b).cost, 3 * (10 * 1000 + 5 * 5000));
	assert_int_equal(session(b).cost_reserved, 0);
	assert_int_equal(box_count(b, GATEWAY_BUDGET_EXCEEDED), 0);
	verify(b);
}

/* 3: neither does one without a maximum: it gets the model's. */
static void test_absent_maximum_takes_all(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call known, unknown;

	box_limit_tokens(p, 1000000);
	box_start(b);
	known = chat(b, "{\"model\":\"m\"," ASK "}");
	assert_true(known.v.admitted);
	assert_int_equal(known.v.out_cap, 2000);
	assert_string_equal(known.edits.v[0].text, "\"max_completion_tokens\":2000,");
	unknown = chat(b, "{\"model\":\"of-nobody\"," ASK "}");
	assert_true(unknown.v.admitted);
	assert_int_equal(unknown.v.out_cap, 8192);
	end_with(b, &known, 5, 5);
	end_with(b, &unknown, 5, 5);
	assert_int_equal(session(b).tokens, 20);
}

/* 4: a call whose input reaches the dearer tier is reserved at that. */
static void test_reserved_at_the_base_tier(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	char *body = long_body("{\"model\":\"big\",\"max_tokens\":1000,\"messages\":[{\"role\":"
			       "\"user\",\"content\":\"",
			       1000, "\"}]}");
	struct call call;

	box_limit_cost(p, 100000000);
	box_start(b);
	call = chat(b, body);
	assert_true(call.v.admitted);
	assert_int_equal(session(b).cost_reserved, bound(body) * 2000 + 1000 * 8000);
	end_with(b, &call, 1001, 1000);
	assert_int_equal(session(b).cost, 1001 * 2000 + 1000 * 8000);
	free(body);
}

/* 5: who hangs up pays what was generated, and no more; a refusal of the provider is free. */
static void test_hanging_up_is_free(void **state)
{
	static const char stream[] =
		"{\"model\":\"m\",\"stream\":true,\"max_tokens\":2000," ASK "}";
	struct meter_box *b = *state;
	struct llm_answer a;
	struct call call;

	box_limit_tokens(box_policy(b, "p"), 100000);
	box_start(b);
	call = chat(b, stream);
	a = answer(&llm_format_chat, true, false,
		   CHUNK("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") CHUNK("bbbbbbbb"));
	end_at(b, &call, &a, METER_GONE, 1000);
	/* 40 bytes are ten tokens; a word of the request some. */
	assert_true(session(b).tokens >= 10 + 1 && session(b).tokens < 100);
	assert_true(session(b).cost >= 10 * 4000 + 1000);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->x.is_estimate);

	/* Gone before anything came: what was sent is charged, and the thoughts of half a minute. */
	call = chat(b, stream);
	end_at(b, &call, NULL, METER_GONE, 33000);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->usage.in_uncached > 0);
	assert_int_equal(box_last(b, GATEWAY_LLM_CALL)->usage.out, 2000);
	/* The same, when the provider did not answer. */
	call = chat(b, stream);
	end_at(b, &call, NULL, METER_BROKEN, 1000);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->usage.in_uncached > 0);

	/* Refused by the provider, or an error in place of an answer: nothing. */
	call = chat(b, stream);
	end_at(b, &call, NULL, METER_REFUSED, 1000);
	assert_int_equal(box_last(b, GATEWAY_LLM_CALL)->usage.in_uncached, 0);
	call = chat(b, stream);
	a = answer(&llm_format_chat, true, true,
		   "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n");
	end_at(b, &call, &a, METER_WHOLE, 1000);
	assert_int_equal(box_last(b, GATEWAY_LLM_CALL)->usage.in_uncached, 0);
	assert_int_equal(session(b).tokens_reserved, 0);
	verify(b);
}

/* 6: usage is asked for where the client did not; without any the estimate is charged. */
static void test_streams_without_usage(void **state)
{
	struct meter_box *b = *state;
	struct llm_answer a;
	struct call call;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	call = chat(b, "{\"model\":\"m\",\"stream\":true,\"max_tokens\":2000," ASK "}");
	assert_true(call.hides_usage);
	assert_non_null(strstr(call.edits.v[0].text, "include_usage"));
	a = answer(&llm_format_chat, true, true,
		   CHUNK("0123456789012345678901234567890123456789") "data: [DONE]\n\n");
	end_at(b, &call, &a, METER_WHOLE, 0);
	assert_true(box_last(b, GATEWAY_LLM_CALL)->x.is_estimate);
	assert_int_equal(box_last(b, GATEWAY_LLM_CALL)->usage.out, 10);
	assert_true(session(b).cost > 10 * 4000);
	verify(b);
}

/* 7: a token from the cache is counted once, and at its own price, in either way of telling. */
static void test_cache_counted_twice(void **state)
{
	struct meter_box *b = *state;
	struct llm_answer a;
	struct call call;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
	    "\"completion_tokens\":10,\"total_tokens\":110,"
	    "\"prompt_tokens_details\":{\"cached_tokens\":80}}}");
	assert_int_equal(session(b).cost, 20 * 1000 + 80 * 100 + 10 * 4000);
	assert_int_equal(session(b).tokens, 110);
	call = messages(b, "{\"model\":\"claude-x\",\"max_tokens\":300," ASK "}");
	a = answer(&llm_format_messages, false, true,
		   "{\"model\":\"claude-x\",\"content\":[],\"stop_reason\":\"end_turn\","
		   "\"usage\":{\"input_tokens\":20,\"cache_read_input_tokens\":80,"
		   "\"cache_creation_input_tokens\":40,\"output_tokens\":10}}");
	end_at(b, &call, &a, METER_WHOLE, 0);
	assert_int_equal(session(b).tokens, 110 + 150);
	assert_int_equal(session(b).cost, 20 * 1000 + 80 * 100 + 10 * 4000 + 20 * 1000 +
						  80 * 100 + 40 * 1250 + 10 * 5000);
	verify(b);
}

/* 8: thoughts that are left out of the output are not left out of the bill. */
static void test_thoughts_outside_completion_tokens(void **state)
{
	struct meter_box *b = *state;
	struct call call;

	box_limit_cost(box_policy(b, "p"), MONEY_DOLLAR);
	box_start(b);
	call = chat(b, SMALL);
	end(b, &call,
	    "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
	    "\"completion_tokens\":10,\"total_tokens\":310,"
	    "\"completion_tokens_details\":{\"reasoning_tokens\":200}}}");
	assert_int_equal(session(b).cost, 100 * 1000 + 210 * 4000);
}

/* 10: a limit that was too low, or a wrong price, is corrected, and calls pass again. */
static void test_blocked_for_ever(void **state)
{
	struct meter_box *b = *state;
	struct call call;
	struct err e = {};

	box_limit_cost(box_policy(b, "p"), 3000000);
	box_start(b);
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	/* Something in the answer has no price: all that was reserved, and no more. */
	end(b, &call,
	    "{\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":100,"
	    "\"completion_tokens\":500,\"total_tokens\":600,\"cost\":2.5e-6}}");
	assert_int_equal(session(b).cost, 2500000);
	call = chat(b, SMALL);
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_true(call.v.exceeded);
	assert_true(meter_is_spent(b->meter, 0, at(0)));
	assert_int_equal(ledger_add(b->ledger, 1, 0, 1000000, NOON, &e), 0);
	assert_false(meter_is_spent(b->meter, 0, at(0)));
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	end_with(b, &call, 100, 300);
	call = chat(b, SMALL);
	assert_refused(call, LLM_REFUSE_BUDGET);
	assert_int_equal(ledger_reset(b->ledger, 1, NOON, &e), 0);
	assert_false(meter_is_spent(b->meter, 0, at(0)));
	call = chat(b, SMALL);
	assert_true(call.v.admitted);
	end_with(b, &call, 100, 100);
	verify(b);
}

/* 10: a budget of a day starts anew, without anyone doing anything. */
static void test_never_resets(void **state)
{
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	box_limit_tokens(p, 750);
	p->period = LEDGER_DAY;
	box_start(b);
	call = chat(b, SMALL);
	end_with(b, &call, 100, 300);
	call = chat(b, SMALL);
	assert_true(call.v.admitted && call.v.out_cap < 300);
	end_with(b, &call, 100, 200);
	assert_refused(chat(b, SMALL), LLM_REFUSE_BUDGET);
	assert_true(meter_is_spent(b->meter, 0, at(0)));
	assert_false(meter_is_spent(b->meter, 0, at(86400000)));
	call = begin_at(b, "openai", &llm_format_chat, SMALL, 86400000);
	assert_true(call.v.admitted);
	assert_int_equal(call.v.out_cap, 300);
	end_with(b, &call, 1, 1);
}

/* 11: a model without a price is refused where cost is limited, and only there. */
static void test_unknown_model_is_free(void **state)
{
	static const char body[] = "{\"model\":\"of-nobody\",\"max_tokens\":300," ASK "}";
	struct meter_box *b = *state;
	struct gateway_policy *p = box_policy(b, "p");
	struct call call;

	box_limit_cost(p, MONEY_DOLLAR);
	box_start(b);
	call = chat(b, body);
	assert_refused(call, LLM_REFUSE_MODEL);
	assert_non_null(strstr(call.v.message, "no price for the model 'of-nobody'"));
	assert_non_null(strstr(call.v.message, PRICES_OVERLAY));
	meter_free(b->meter);
	ledger_drop(b->ledger);
	p->max_cost.set = false;
	box_limit_tokens(p, 10000);
	box_start(b);
	call = chat(b, body);
	assert_true(call.v.admitted);
	end_with(b, &call, 10, 20);
	assert_int_equal(session(b).tokens, 30);
}

/* 2: each limit that a policy can have refuses: none is read and forgotten. */
static void test_limit_not_wired_in(void **state)
{
	static const struct {
		const char *what;
		enum llm_refusal_reason reason;
	} limits[] = {
		{ "max_tokens", LLM_REFUSE_BUDGET },
		{ "max_cost", LLM_REFUSE_BUDGET },
		{ "requests_per_minute", LLM_REFUSE_RATE },
		{ "tokens_per_minute", LLM_REFUSE_RATE },
		{ "models", LLM_REFUSE_MODEL },
		{ "block_unknown", LLM_REFUSE_PROVIDER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct meter_box b = {};
		struct gateway_policy *p;
		struct call call = {};

		box_open(&b);
		p = box_policy(&b, "p");
		switch (i) {
		case 0:
			box_limit_tokens(p, 700);
			break;
		case 1:
			box_limit_cost(p, 700 * 4000);
			break;
		case 2:
			p->requests_per_minute = 1;
			break;
		case 3:
			p->tokens_per_minute = 700;
			break;
		case 4:
			strv_add(&p->providers.v[0].models, "gpt-*");
			break;
		case 5:
			free(p->providers.v[0].name);
			p->providers.v[0].name = strdup("local");
			break;
		}
		box_start(&b);
		if (i < 4) {
			call = chat(&b, SMALL);
			assert_true(call.v.admitted);
			end_with(&b, &call, 100, 600);
		}
		call = chat(&b, SMALL);
		if (call.v.admitted || call.v.reason != limits[i].reason)
			fail_msg("%s: %s", limits[i].what, call.v.message);
		assert_int_equal(call.v.policy, 0);
		assert_non_null(strstr(call.v.message, "(policy p, line "));
		assert_int_equal(box_count(&b, GATEWAY_LLM_DENIED), 1);
		box_close(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_parallel_calls_all_pass),
		T(test_large_maximum_blocks),
		T(test_absent_maximum_takes_all),
		T(test_reserved_at_the_base_tier),
		T(test_hanging_up_is_free),
		T(test_streams_without_usage),
		T(test_cache_counted_twice),
		T(test_thoughts_outside_completion_tokens),
		T(test_blocked_for_ever),
		T(test_never_resets),
		T(test_unknown_model_is_free),
		T(test_limit_not_wired_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
