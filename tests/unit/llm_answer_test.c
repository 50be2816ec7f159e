/* SPDX-License-Identifier: Apache-2.0 */
/* What whole answers used, by each provider's own figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/decimal.h"
#include "llm_feed.h"

static struct llm_answer whole(const struct llm_format *f, const char *body)
{
	struct llm_answer a = feed(f, LLM_WHOLE, false, body, true, NULL);

	assert_int_equal(a.bytes, strlen(body));
	assert_int_equal(a.end, LLM_END_DONE);
	assert_false(a.is_unclear);
	return a;
}

#define CHAT(usage)                                                                             \
	"{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":"        \
	"\"gpt-5.1-2025-11-13\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," \
	"\"content\":\"Hello there.\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":"   \
	"\"stop\"}],\"usage\":" usage                                                           \
	",\"service_tier\":\"priority\",\"system_fingerprint\":null}\n"

static void test_chat(void **state)
{
	struct llm_answer a;

	(void)state;
	/* The prompt includes what was cached, written and heard; the completion the thoughts. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":2000,\"completion_tokens\":300,\"total_tokens\":2300,"
		       "\"prompt_tokens_details\":{\"cached_tokens\":1024,\"cache_write_tokens\":256,"
		       "\"audio_tokens\":20,\"image_tokens\":7,\"text_tokens\":1973},"
		       "\"completion_tokens_details\":{\"reasoning_tokens\":192,\"audio_tokens\":5,"
		       "\"accepted_prediction_tokens\":3,\"rejected_prediction_tokens\":4}}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 700,
				     .cache_read = 1024,
				     .cache_w5m = 256,
				     .in_audio = 20,
				     .out = 300,
				     .reasoning = 192,
				     .out_audio = 5 });
	assert_string_equal(a.model, "gpt-5.1-2025-11-13");
	assert_string_equal(a.tier, "priority");
	assert_int_equal(a.text_bytes, strlen("Hello there."));
	assert_false(a.has_cost);
	/* No details at all, and details that are null. */
	a = whole(&llm_format_chat, CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,"
					 "\"total_tokens\":11}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 9, .out = 2 });
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
		       "\"prompt_tokens_details\":null,\"completion_tokens_details\":null}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 9, .out = 2 });
}

/* xAI leaves thoughts out of the completion, OpenAI does not; the total tells. */
static void test_thoughts_beside_the_completion(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":430,"
		       "\"completion_tokens_details\":{\"reasoning_tokens\":320}}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 100, .out = 330, .reasoning = 320 });
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":100,\"completion_tokens\":330,\"total_tokens\":430,"
		       "\"completion_tokens_details\":{\"reasoning_tokens\":320}}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 100, .out = 330, .reasoning = 320 });
	/* Gemini behind this format says only in the total that it thought. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":100,\"completion_tokens\":10,\"total_tokens\":430}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 100, .out = 330 });
	/* No total at all. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":100,\"completion_tokens\":10,"
		       "\"completion_tokens_details\":{\"reasoning_tokens\":320}}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 100, .out = 330, .reasoning = 320 });
}

static void test_servers_like_it(void **state)
{
	struct llm_answer a;

	(void)state;
	/* DeepSeek. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":1000,\"completion_tokens\":5,\"total_tokens\":1005,"
		       "\"prompt_tokens_details\":{\"cached_tokens\":896},"
		       "\"prompt_cache_hit_tokens\":896,\"prompt_cache_miss_tokens\":104}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 104, .cache_read = 896, .out = 5 });
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":1000,\"completion_tokens\":5,\"total_tokens\":1005,"
		       "\"prompt_cache_hit_tokens\":896,\"prompt_cache_miss_tokens\":104}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 104, .cache_read = 896, .out = 5 });
	/* A server that leaves the cache out of the prompt loses nothing. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":100,\"completion_tokens\":5,\"total_tokens\":1001,"
		       "\"prompt_tokens_details\":{\"cached_tokens\":896}}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 100, .cache_read = 896, .out = 5 });
	/* llama.cpp without usage. */
	a = whole(&llm_format_chat,
		  "{\"choices\":[{\"message\":{\"content\":\"x\"}}],\"timings\":{\"cache_n\":40,"
		  "\"prompt_n\":7,\"prompt_ms\":1.5,\"predicted_n\":12}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 7, .cache_read = 40, .out = 12 });
	/* Figures as other servers may write them. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9.0,\"completion_tokens\":2e1,\"total_tokens\":29}"));
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 9, .out = 20 });
}

static void test_costs(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
		       "\"cost\":0.00014,\"is_byok\":false,\"cost_details\":"
		       "{\"upstream_inference_cost\":null}}"));
	assert_true(a.has_cost);
	assert_int_equal(a.cost, 140000000);
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
		       "\"cost\":1.4e-05}"));
	assert_int_equal(a.cost, 14000000);
	/* With the user's own key `cost` is OpenRouter's fee alone. */
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
		       "\"cost\":0.00001,\"is_byok\":true,\"cost_details\":"
		       "{\"upstream_inference_cost\":0.0002}}"));
	assert_int_equal(a.cost, 210000000);
	a = whole(&llm_format_chat,
		  CHAT("{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11,"
		       "\"num_sources_used\":3,\"cost_in_usd_ticks\":12345678}"));
	assert_true(a.has_cost);
	assert_int_equal(a.cost, 1234567800);
	assert_int_equal(a.usage.web_search, 3);
}

static void test_completions_and_embeddings(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_completions,
		  "{\"object\":\"text_completion\",\"model\":\"m\",\"choices\":[{\"text\":\"abc\","
		  "\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":4,"
		  "\"completion_tokens\":3,\"total_tokens\":7}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 4, .out = 3 });
	assert_int_equal(a.text_bytes, 3);
	a = whole(&llm_format_embeddings,
		  "{\"object\":\"list\",\"data\":[{\"embedding\":[0.1,-2e-3]}],\"model\":\"e\","
		  "\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 8 });
	assert_string_equal(a.model, "e");
}

static void test_responses(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_responses,
		  "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1,\"status\":\"completed\","
		  "\"error\":null,\"model\":\"gpt-5.1\",\"output\":[{\"type\":\"reasoning\",\"id\":\"r\","
		  "\"summary\":[]},{\"type\":\"web_search_call\",\"id\":\"w1\",\"status\":\"completed\"},"
		  "{\"type\":\"web_search_call\",\"id\":\"w2\"},{\"type\":\"message\",\"content\":["
		  "{\"type\":\"output_text\",\"text\":\"Hi\",\"annotations\":[]}]}],"
		  "\"service_tier\":\"default\",\"usage\":{\"input_tokens\":5000,"
		  "\"input_tokens_details\":{\"cached_tokens\":2000,\"cache_write_tokens\":1500,"
		  "\"cache_write_tokens_details\":{\"ttl_30m_tokens\":1000,\"ttl_12h_tokens\":500}},"
		  "\"output_tokens\":70,\"output_tokens_details\":{\"reasoning_tokens\":64},"
		  "\"total_tokens\":5070}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 1500,
				     .cache_read = 2000,
				     .cache_w5m = 1000,
				     .cache_w1h = 500,
				     .out = 70,
				     .reasoning = 64,
				     .web_search = 2 });
	assert_string_equal(a.tier, "default");
	/* Usage is null as long as the answer waits. */
	a = whole(&llm_format_responses,
		  "{\"id\":\"resp_1\",\"status\":\"queued\",\"model\":\"m\",\"usage\":null}");
	assert_int_equal(a.known, LLM_KNOWN_NONE);
}

static void test_anthropic(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_messages,
		  "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
		  "\"claude-sonnet-4-5-20250929\",\"content\":[{\"type\":\"thinking\",\"thinking\":"
		  "\"hm\",\"signature\":\"AAAAAAAAAAAA\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
		  "\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\",\"usage\":{"
		  "\"input_tokens\":30,\"cache_creation_input_tokens\":1500,"
		  "\"cache_read_input_tokens\":2000,\"cache_creation\":{"
		  "\"ephemeral_5m_input_tokens\":1000,\"ephemeral_1h_input_tokens\":500},"
		  "\"output_tokens\":250,\"output_tokens_details\":{\"thinking_tokens\":100},"
		  "\"server_tool_use\":{\"web_search_requests\":2,\"web_fetch_requests\":1},"
		  "\"service_tier\":\"standard\",\"speed\":\"fast\",\"inference_geo\":\"us\"}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 30,
				     .cache_read = 2000,
				     .cache_w5m = 1000,
				     .cache_w1h = 500,
				     .out = 250,
				     .reasoning = 100,
				     .web_search = 2 });
	assert_string_equal(a.model, "claude-sonnet-4-5-20250929");
	assert_string_equal(a.tier, "standard");
	assert_string_equal(a.speed, "fast");
	assert_string_equal(a.geo, "us");
	/* The signature is no text. */
	assert_int_equal(a.text_bytes,
			 strlen("hm") + strlen("f") + strlen("a") + strlen("1"));
	/* Without the parts, what was created is for five minutes; null is nothing. */
	a = whole(&llm_format_messages,
		  "{\"type\":\"message\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,"
		  "\"cache_creation_input_tokens\":70,\"cache_read_input_tokens\":null,"
		  "\"cache_creation\":null,\"output_tokens\":2,\"output_tokens_details\":null,"
		  "\"server_tool_use\":null}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 1, .cache_w5m = 70, .out = 2 });
}

/* Parts that other models gave are billed as theirs. */
static void test_anthropic_iterations(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_messages,
		  "{\"type\":\"message\",\"model\":\"big\",\"content\":[],\"usage\":{"
		  "\"input_tokens\":10,\"output_tokens\":20,\"iterations\":["
		  "{\"type\":\"compaction\",\"model\":\"small\",\"input_tokens\":900,"
		  "\"output_tokens\":50,\"cache_read_input_tokens\":7,\"cache_creation\":{"
		  "\"ephemeral_1h_input_tokens\":3}},"
		  "{\"type\":\"message\",\"model\":\"big\",\"input_tokens\":10,\"output_tokens\":20},"
		  "{\"type\":\"message\",\"model\":\"big\",\"input_tokens\":1,\"output_tokens\":2}]}}");
	assert_int_equal(a.shares_n, 2);
	assert_string_equal(a.shares[0].model, "small");
	assert_int_equal(a.shares[0].usage.in_uncached, 900);
	assert_int_equal(a.shares[0].usage.cache_read, 7);
	assert_int_equal(a.shares[0].usage.cache_w1h, 3);
	assert_int_equal(a.shares[0].usage.out, 50);
	assert_string_equal(a.shares[1].model, "big");
	assert_int_equal(a.shares[1].usage.in_uncached, 11);
	assert_int_equal(a.shares[1].usage.out, 22);
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 10, .out = 20 });
}

static void test_gemini(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_generate,
		  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi!\",\"thoughtSignature\":"
		  "\"AAAA\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"groundingMetadata\":{"
		  "\"webSearchQueries\":[\"a\",\"b\"]}}],\"usageMetadata\":{\"promptTokenCount\":1000,"
		  "\"cachedContentTokenCount\":600,\"candidatesTokenCount\":40,"
		  "\"thoughtsTokenCount\":260,\"toolUsePromptTokenCount\":55,\"totalTokenCount\":1355,"
		  "\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":800},"
		  "{\"modality\":\"AUDIO\",\"tokenCount\":200}],\"cacheTokensDetails\":["
		  "{\"modality\":\"AUDIO\",\"tokenCount\":50},{\"modality\":\"TEXT\",\"tokenCount\":550}],"
		  "\"candidatesTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":40}]},"
		  "\"modelVersion\":\"gemini-3-pro-preview\",\"responseId\":\"x\"}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 305,
				     .cache_read = 600,
				     .in_audio = 150,
				     .out = 300,
				     .reasoning = 260,
				     .web_search = 2 });
	assert_string_equal(a.model, "gemini-3-pro-preview");
	assert_int_equal(a.text_bytes, strlen("Hi!"));
	/* Thoughts alone: the answer was cut before it said anything. */
	a = whole(&llm_format_generate,
		  "{\"candidates\":[{\"content\":{},\"finishReason\":\"MAX_TOKENS\"}],"
		  "\"usageMetadata\":{\"promptTokenCount\":5,\"thoughtsTokenCount\":90,"
		  "\"totalTokenCount\":95}}");
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 5, .out = 90, .reasoning = 90 });
}

static void test_errors_in_the_body(void **state)
{
	struct llm_answer a;

	(void)state;
	a = feed(&llm_format_chat, LLM_WHOLE, false,
		 "{\"error\":{\"message\":\"m\",\"code\":\"server_error\"}}", true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "server_error");
	a = feed(&llm_format_chat, LLM_WHOLE, false, "{\"error\":\"no such model\"}",
		 true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "");
	a = feed(&llm_format_messages, LLM_WHOLE, false,
		 "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}",
		 true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "overloaded_error");
	a = feed(&llm_format_generate, LLM_WHOLE, false,
		 "{\"error\":{\"code\":500,\"message\":\"m\",\"status\":\"INTERNAL\"}}",
		 true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "INTERNAL");
}

/* Nothing is believed that cannot be, and everything passes. */
static void test_unclear(void **state)
{
	static const char *const bodies[] = {
		CHAT("{\"prompt_tokens\":-5,\"completion_tokens\":2}"),
		CHAT("{\"prompt_tokens\":1,\"completion_tokens\":1.5e-3000000000x}"),
		CHAT("{\"prompt_tokens\":1,\"completion_tokens\":99999999999999999999}"),
		CHAT("{\"prompt_tokens\":1,\"completion_tokens\":9e99}"),
		CHAT("{\"prompt_tokens\":1,\"completion_tokens\":\"2\"}"),
		CHAT("{\"prompt_tokens\":1,\"completion_tokens\":[2]}"),
		"<html>502</html>",
		"{\"usage\":{\"prompt_tokens\":1}} and more",
		"{\"usage\":{\"prompt_tokens\":\"\377\"}}",
		"",
	};
	struct llm_answer a;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		a = feed(&llm_format_chat, LLM_WHOLE, false, bodies[i], true, NULL);
		if (!a.is_unclear)
			fail_msg("is not unclear: %s", bodies[i]);
	}
	/* Half of an answer: what there was. */
	a = feed(&llm_format_chat, LLM_WHOLE, false,
		 "{\"choices\":[{\"message\":{\"content\":\"Hello the", false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	assert_int_equal(a.known, LLM_KNOWN_NONE);
	assert_true(a.is_unclear);
	assert_int_equal(a.text_bytes, strlen("\"Hello the"));
	/* A whole document, of which HTTP says that it was cut. */
	a = feed(&llm_format_chat, LLM_WHOLE, false, CHAT("null"), false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
}

/* A provider that says it generated nothing while it sent pages is not believed. */
static void test_too_little_is_unclear(void **state)
{
	char body[4096];
	struct llm_answer a;
	struct fed fed;

	(void)state;
	snprintf(body, sizeof(body),
		 "{\"choices\":[{\"message\":{\"content\":\"%03000d\"}}],\"usage\":{"
		 "\"prompt_tokens\":1,\"completion_tokens\":1}}",
		 0);
	feed_pieces(&llm_format_chat, LLM_WHOLE, false, body, strlen(body), 0, true, &fed);
	a = fed.answer;
	buf_free(&fed.out);
	assert_true(a.is_unclear);
	assert_int_equal(llm_answer_output_guess(&a), 750);
}

/* What the provider's tools gave, and pictures, were not generated as text. */
static void test_results_are_no_text(void **state)
{
	struct llm_answer a;

	(void)state;
	a = whole(&llm_format_messages,
		  "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"abc\"},"
		  "{\"type\":\"code_execution_tool_result\",\"content\":{\"stdout\":\"12345678\"}},"
		  "{\"type\":\"tool_use\",\"name\":\"f\",\"input\":{\"k\":[true,12]}}]}");
	assert_int_equal(a.text_bytes,
			 strlen("abc") + strlen("f") + strlen("k") + strlen("12"));
	a = whole(&llm_format_responses,
		  "{\"output\":[{\"type\":\"image_generation_call\",\"result\":\"AAAAAAAA\"},"
		  "{\"type\":\"mcp_call\",\"arguments\":\"{}\",\"output\":\"12345678\"},"
		  "{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"abc\","
		  "\"annotations\":[{\"title\":\"12345678\"}]}]}]}");
	assert_int_equal(a.text_bytes, strlen("abc") + strlen("{}"));
	a = whole(&llm_format_chat,
		  "{\"choices\":[{\"message\":{\"content\":\"abc\",\"reasoning\":\"de\","
		  "\"reasoning_details\":[{\"text\":\"de\"}],\"images\":[{\"image_url\":{\"url\":"
		  "\"data:image/png;base64,AAAA\"}}],\"tool_calls\":[{\"function\":{\"name\":\"f\","
		  "\"arguments\":\"{}\"}}]}}]}");
	assert_int_equal(a.text_bytes,
			 strlen("abc") + strlen("de") + strlen("f") + strlen("{}"));
	a = whole(&llm_format_generate,
		  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"abc\"},{\"functionCall\":"
		  "{\"name\":\"f\",\"args\":{\"k\":\"v\"}}},{\"codeExecutionResult\":{\"output\":"
		  "\"12345678\"}},{\"inlineData\":{\"data\":\"AAAA\"}}]}}]}");
	assert_int_equal(a.text_bytes,
			 strlen("abc") + strlen("f") + strlen("k") + strlen("v"));
}

static void test_decimals(void **state)
{
	static const struct {
		const char *s;
		int shift, r;
		int64_t v;
	} cases[] = {
		{ "0", 12, 0, 0 },
		{ "1", 12, 0, 1000000000000 },
		{ "0.000000000001", 12, 0, 1 },
		{ "0.0000000000001", 12, 0, 1 },
		{ "0.0000000000000", 12, 0, 0 },
		{ "1.0000000000001", 12, 0, 1000000000001 },
		{ "1e-400", 12, 0, 1 },
		{ "1e-99999999999", 12, 0, 1 },
		{ "0e99999999999", 12, 0, 0 },
		{ "1e99999999999", 12, -34, 0 },
		{ "9223372.036854775807", 12, 0, INT64_MAX },
		{ "9223372.036854775808", 12, -34, 0 },
		{ "9223372036854775807", 0, 0, INT64_MAX },
		{ "9223372036854775808", 0, -34, 0 },
		{ "0.99999999999999999999999999", 12, 0, 1000000000000 },
		{ "12.5e1", 0, 0, 125 },
		{ "-1", 0, -22, 0 },
		{ "", 0, -22, 0 },
		{ "1.5x", 0, -22, 0 },
		{ "1e", 0, -22, 0 },
		{ "1e+", 0, -22, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = 0;
		int r = decimal_scale(cases[i].s, cases[i].shift, &v);

		if (r != cases[i].r || v != cases[i].v)
			fail_msg("%s: %d, %lld", cases[i].s, r, (long long)v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_thoughts_beside_the_completion),
		cmocka_unit_test(test_servers_like_it),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_completions_and_embeddings),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_anthropic_iterations),
		cmocka_unit_test(test_gemini),
		cmocka_unit_test(test_errors_in_the_body),
		cmocka_unit_test(test_unclear),
		cmocka_unit_test(test_too_little_is_unclear),
		cmocka_unit_test(test_results_are_no_text),
		cmocka_unit_test(test_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
