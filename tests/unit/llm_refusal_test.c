/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals: the codes that were measured to stop clients, and those that make them wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "gateway/refusal.h"

static const char *header(const struct llm_refusal *r, const char *name)
{
	for (size_t i = 0; i < r->headers_n; i++)
		if (streq(r->headers[i].name, name))
			return r->headers[i].value;
	return NULL;
}

static void expect(enum llm_family family, const struct llm_format *format,
		   enum llm_refusal_reason reason, unsigned int status, const char *body,
		   const char *retry)
{
	struct llm_refusal r;
	struct err e;

	assert_int_equal(llm_refusal_make(family, format, reason, "why", 30, &r, &e), 0);
	assert_int_equal(r.status, status);
	assert_string_equal(r.body.s, body);
	assert_string_equal(header(&r, "Content-Type"), "application/json");
	assert_string_equal(header(&r, "x-purple-reason"), llm_refusal_word(reason));
	assert_string_equal(header(&r, "x-should-retry"), retry);
	llm_refusal_free(&r);
}

static void test_over_budget(void **state)
{
	const char *openai = "{\"error\":{\"message\":\"why\",\"type\":\"insufficient_quota\","
			     "\"param\":null,\"code\":\"insufficient_quota\"}}";
	struct llm_refusal r;
	struct err e;

	(void)state;
	expect(LLM_OPENAI, &llm_format_chat, LLM_REFUSE_BUDGET, 429, openai, "false");
	expect(LLM_OPENAI, &llm_format_responses, LLM_REFUSE_BUDGET, 429, openai, "false");
	expect(LLM_ANTHROPIC, &llm_format_messages, LLM_REFUSE_BUDGET, 402,
	       "{\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"why\"}}",
	       "false");
	expect(LLM_GEMINI, &llm_format_generate, LLM_REFUSE_BUDGET, 429,
	       "{\"error\":{\"code\":429,\"message\":\"why\",\"status\":\"RESOURCE_EXHAUSTED\","
	       "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\","
	       "\"violations\":[{\"quotaMetric\":\"purple/budget\",\"quotaId\":"
	       "\"PurpleBudgetPerDay\"}]}]}}",
	       "false");
	/* Anthropic's SDK would sleep for as long as this says. */
	assert_int_equal(llm_refusal_make(LLM_ANTHROPIC, &llm_format_messages,
					  LLM_REFUSE_BUDGET, "why", 3600, &r, &e),
			 0);
	assert_null(header(&r, "Retry-After"));
	llm_refusal_free(&r);
}

static void test_rates(void **state)
{
	static const unsigned int asked[] = { 0, 1, 30, 60, 61, 3600 };
	static const char *const told[] = { "1", "1", "30", "60", "60", "60" };

	(void)state;
	expect(LLM_OPENAI, &llm_format_chat, LLM_REFUSE_RATE, 429,
	       "{\"error\":{\"message\":\"why\",\"type\":\"requests\",\"param\":null,\"code\":"
	       "\"rate_limit_exceeded\"}}",
	       "true");
	expect(LLM_ANTHROPIC, &llm_format_messages, LLM_REFUSE_RATE, 429,
	       "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"why\"}}",
	       "true");
	expect(LLM_GEMINI, &llm_format_generate, LLM_REFUSE_RATE, 429,
	       "{\"error\":{\"code\":429,\"message\":\"why\",\"status\":\"RESOURCE_EXHAUSTED\","
	       "\"details\":[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
	       "\"retryDelay\":\"30s\"}]}}",
	       "true");
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct llm_refusal r;
		struct err e;

		assert_int_equal(llm_refusal_make(LLM_OPENAI, NULL, LLM_REFUSE_RATE, "",
						  asked[i], &r, &e),
				 0);
		assert_string_equal(header(&r, "Retry-After"), told[i]);
		llm_refusal_free(&r);
	}
}

static void test_models(void **state)
{
	const char *openai =
		"{\"error\":{\"message\":\"why\",\"type\":\"invalid_request_error\","
		"\"param\":\"model\",\"code\":\"model_not_found\"}}";

	(void)state;
	expect(LLM_OPENAI, &llm_format_chat, LLM_REFUSE_MODEL, 404, openai, "false");
	expect(LLM_OPENAI, &llm_format_responses, LLM_REFUSE_MODEL, 400, openai, "false");
	expect(LLM_ANTHROPIC, &llm_format_messages, LLM_REFUSE_MODEL, 404,
	       "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"why\"}}",
	       "false");
	expect(LLM_GEMINI, &llm_format_generate, LLM_REFUSE_MODEL, 403,
	       "{\"error\":{\"code\":403,\"message\":\"why\",\"status\":\"PERMISSION_DENIED\"}}",
	       "false");
}

static void test_status(void **state)
{
	static const struct {
		enum llm_refusal_reason reason;
		unsigned int status;
	} cases[] = {
		{ LLM_REFUSE_PROVIDER, 403 },	 { LLM_REFUSE_ROUTE, 404 },
		{ LLM_REFUSE_UPGRADE, 426 },	 { LLM_REFUSE_KEY, 401 },
		{ LLM_REFUSE_REQUEST, 400 },	 { LLM_REFUSE_CONTENT, 400 },
		{ LLM_REFUSE_TOO_LARGE, 413 },	 { LLM_REFUSE_ENCODING, 415 },
		{ LLM_REFUSE_UPSTREAM, 502 },	 { LLM_REFUSE_TIMEOUT, 504 },
		{ LLM_REFUSE_UNAVAILABLE, 503 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (enum llm_family f = LLM_OPENAI; f <= LLM_GEMINI; f++) {
			struct llm_refusal r;
			struct err e;

			assert_int_equal(llm_refusal_make(f, NULL, cases[i].reason, "m",
							  0, &r, &e),
					 0);
			assert_int_equal(r.status, cases[i].status);
			llm_refusal_free(&r);
		}
	}
}

/* Every body is JSON in its provider's form, whatever the message holds. */
static void test_bodies_are_json(void **state)
{
	const char *message = "a \"quote\", a \\, \n, \001 and \377";

	(void)state;
	for (enum llm_refusal_reason i = 0; i < LLM_REFUSE_REASONS; i++) {
		for (enum llm_family f = LLM_OPENAI; f <= LLM_GEMINI; f++) {
			_json_free_ struct json *j = NULL;
			const struct json *error, *text;
			struct llm_refusal r;
			struct err e;

			assert_non_null(llm_refusal_word(i));
			assert_int_equal(llm_refusal_make(f, NULL, i, message, 5, &r, &e),
					 0);
			assert_int_equal(json_parse(r.body.s, r.body.len, "body", &j, &e),
					 0);
			error = json_get(j, "error");
			text = json_get(error, "message");
			assert_non_null(text);
			assert_int_equal(strncmp(text->text, "a \"quote\", a \\, \n", 15),
					 0);
			assert_non_null(
				json_get(error, f == LLM_GEMINI ? "status" : "type"));
			llm_refusal_free(&r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_budget),	cmocka_unit_test(test_rates),
		cmocka_unit_test(test_models),		cmocka_unit_test(test_status),
		cmocka_unit_test(test_bodies_are_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
