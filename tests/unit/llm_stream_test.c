/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: what they used, what the client gets of them, and how they are ended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "llm_feed.h"

static struct llm_answer events(const struct llm_format *f, const char *body)
{
	struct llm_answer a = feed(f, LLM_EVENTS, false, body, true, NULL);

	assert_false(a.is_unclear);
	return a;
}

/* Chat chunks: what stands before the choices, and after them. */
#define CHUNK(choices, after)                                                                \
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":" \
	"\"gpt-5.1\",\"choices\":[" choices "]" after "}\n\n"
#define TEXT(text) \
	"{\"index\":0,\"delta\":{\"content\":\"" text "\"},\"finish_reason\":null}"
#define STOP "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"
#define USAGE \
	"\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}"
#define DONE "data: [DONE]\n\n"

static const struct usage usage_9_2 = { .in_uncached = 9, .out = 2 };

static void test_chat(void **state)
{
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_chat,
		   CHUNK(TEXT("Hel"), ",\"usage\":null") CHUNK(TEXT("lo"), ",\"usage\":null")
			   CHUNK(STOP, ",\"usage\":null") CHUNK("", "," USAGE) DONE);
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	assert_string_equal(a.model, "gpt-5.1");
	assert_int_equal(a.text_bytes, 5);
	assert_int_equal(a.pieces, 2);
	/* Without usage: an estimate is all there is. */
	a = events(&llm_format_chat,
		   CHUNK(TEXT("Hel"), "") CHUNK(TEXT("lo"), "") CHUNK(STOP, "") DONE);
	assert_int_equal(a.end, LLM_END_DONE);
	assert_int_equal(a.known, LLM_KNOWN_NONE);
	assert_int_equal(llm_answer_output_guess(&a), 2);
}

/* The client did not ask for usage: it does not see that the gateway did. */
static void test_usage_is_hidden(void **state)
{
	struct llm_answer a;

	(void)state;
	a = feed(&llm_format_chat, LLM_EVENTS, true,
		 CHUNK(TEXT("Hello"), ",\"usage\":null")
			 CHUNK(STOP, ",\"usage\":null,\"x\":1") CHUNK("", "," USAGE) DONE,
		 true, CHUNK(TEXT("Hello"), "") CHUNK(STOP, ",\"x\":1") DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	/* First member, only member, with spaces, as CRLF; nested ones stay. */
	feed(&llm_format_chat, LLM_EVENTS, true, "data: {\"usage\":null,\"a\":1}\n\n",
	     true, "data: {\"a\":1}\n\n");
	feed(&llm_format_chat, LLM_EVENTS, true, "data: {\"usage\":null}\n\n", true,
	     "data: {}\n\n");
	feed(&llm_format_chat, LLM_EVENTS, true,
	     "event: x\r\ndata:{\"a\":1 , \"usage\" : null }\r\n\r\n", true,
	     "event: x\r\ndata:{\"a\":1 }\r\n\r\n");
	feed(&llm_format_chat, LLM_EVENTS, true, "data: {\"a\":{\"usage\":null}}\n\n",
	     true, "data: {\"a\":{\"usage\":null}}\n\n");
	/* Usage beside choices was sent unasked: the client would have got it too. */
	feed(&llm_format_chat, LLM_EVENTS, true, CHUNK(STOP, "," USAGE) DONE, true,
	     CHUNK(STOP, "," USAGE) DONE);
	/* A client that asked gets everything. */
	events(&llm_format_chat, CHUNK(STOP, ",\"usage\":null") CHUNK("", "," USAGE) DONE);
}

/* Azure begins with a chunk without choices, which is not the one with the usage. */
static void test_azure(void **state)
{
	const char *first =
		"data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\","
		"\"object\":\"\",\"prompt_filter_results\":[{\"prompt_index\":0,"
		"\"content_filter_results\":{\"hate\":{\"filtered\":false}}}]}\n\n";
	struct llm_answer a;
	char body[2048], want[2048];

	(void)state;
	snprintf(body, sizeof(body), "%s%s", first,
		 CHUNK(TEXT("Hi"), ",\"usage\":null") CHUNK(STOP, "") CHUNK("", "," USAGE)
			 DONE);
	snprintf(want, sizeof(want), "%s%s", first,
		 CHUNK(TEXT("Hi"), "") CHUNK(STOP, "") DONE);
	a = feed(&llm_format_chat, LLM_EVENTS, true, body, true, want);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	assert_string_equal(a.model, "gpt-5.1");
}

static void test_servers_like_it(void **state)
{
	struct llm_answer a;

	(void)state;
	/* vLLM with continuous_usage_stats: the last holds. */
	a = events(&llm_format_chat,
		   CHUNK(TEXT("a"), ",\"usage\":{\"prompt_tokens\":9,\"total_tokens\":10,"
				    "\"completion_tokens\":1}") CHUNK(STOP, "," USAGE)
			   CHUNK("", "," USAGE) DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	/* llama.cpp: unasked in a chunk of its own, or on the last, or as timings alone. */
	a = events(&llm_format_chat,
		   CHUNK(STOP, "") CHUNK("", "," USAGE ",\"timings\":{\"prompt_n\":9,"
					     "\"predicted_n\":2,\"predicted_ms\":0.5}")
			   DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	a = events(&llm_format_chat, CHUNK(TEXT("a"), "") CHUNK(STOP, "," USAGE) DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	a = events(&llm_format_chat,
		   CHUNK(STOP, ",\"timings\":{\"cache_n\":4,\"prompt_n\":5,\"predicted_n\":2}")
			   DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 5, .cache_read = 4, .out = 2 });
	/* Groq. */
	a = events(&llm_format_chat,
		   CHUNK(STOP, ",\"x_groq\":{\"id\":\"r\"," USAGE "}") DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	/* OpenRouter: comments, and what it cost. */
	a = events(&llm_format_chat,
		   ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" CHUNK(TEXT("a"),
										  "")
			   CHUNK(STOP, ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
				       "\"total_tokens\":11,\"cost\":0.0000125}") DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	assert_true(a.has_cost);
	assert_int_equal(a.cost, 12500000);
	/* xAI: the completion without its thoughts. */
	a = events(&llm_format_chat,
		   CHUNK(STOP, ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,"
			       "\"total_tokens\":111,\"completion_tokens_details\":"
			       "{\"reasoning_tokens\":100}}") DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 9, .out = 102, .reasoning = 100 });
	/* Ollama leaves [DONE] to the end of the connection at times. */
	a = events(&llm_format_chat, CHUNK(STOP, "," USAGE));
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
}

static void test_completions(void **state)
{
	struct llm_answer a;

	(void)state;
	a = feed(&llm_format_completions, LLM_EVENTS, true,
		 "data: {\"choices\":[{\"text\":\"abc\",\"finish_reason\":null}],\"usage\":null}\n\n"
		 "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
		 "data: {\"choices\":[]," USAGE "}\n\n" DONE,
		 true,
		 "data: {\"choices\":[{\"text\":\"abc\",\"finish_reason\":null}]}\n\n"
		 "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n" DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	assert_int_equal(a.text_bytes, 3);
}

/* Lines end in LF, CRLF or CR; data may stand on several; the rest is ignored. */
static void test_lines(void **state)
{
	static const char *const bodies[] = {
		"data: {\"choices\":[]," USAGE "}\r\n\r\ndata: [DONE]\r\n\r\n",
		"data: {\"choices\":[]," USAGE "}\r\rdata: [DONE]\r\r",
		"data:{\"choices\":[]," USAGE "}\n\ndata:[DONE]\n\n",
		"data: {\"choices\":\ndata: [],\ndata:" USAGE
		"\ndata: }\n\ndata: [DONE]\n\n",
		"data: {\"choices\":\r\ndata: [],\r\ndata:" USAGE
		"}\r\n\r\ndata: [DONE]\r\n\r\n",
		"\357\273\277data: {\"choices\":[]," USAGE "}\n\ndata: [DONE]\n\n",
		"id: 1\nretry: 5\nevent: e\ndata: {\"choices\":[]," USAGE
		"}\n: c\n\ndata: [DONE]\n\n",
		": c\n:\n\n\n\n: data: {}\ndata: {\"choices\":[]," USAGE
		"}\ndataset: 1\nda: 2\n\n"
		"data\n\ndata: [DONE]\n\n",
		/* No blank line at the very end. */
		"data: {\"choices\":[]," USAGE "}\n\ndata: [DONE]",
		"data: [DONE]\n\ndata: {\"choices\":[]," USAGE "}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct llm_answer a = events(&llm_format_chat, bodies[i]);

		assert_int_equal(a.end, LLM_END_DONE);
		expect_usage(&a, LLM_KNOWN_WHOLLY, usage_9_2);
	}
	/* A line's end stands between two lines: nine and zero are not ninety. */
	assert_true(feed(&llm_format_chat, LLM_EVENTS, false,
			 "data: {\"usage\":{\"prompt_tokens\":9\ndata: 0}}\n\n", true, NULL)
			    .is_unclear);
}

static void test_streams_that_break_off(void **state)
{
	struct llm_answer a;

	(void)state;
	a = feed(&llm_format_chat, LLM_EVENTS, false,
		 CHUNK(TEXT("Hello"), "") "data: {\"choi", false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	assert_int_equal(a.known, LLM_KNOWN_NONE);
	assert_true(llm_answer_output_guess(&a) >= 2);
	/* Usage so far is no usage of the whole. */
	a = feed(&llm_format_chat, LLM_EVENTS, false, CHUNK(TEXT("Hello"), "," USAGE),
		 false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	expect_usage(&a, LLM_KNOWN_PARTLY, usage_9_2);
	a = feed(&llm_format_messages, LLM_EVENTS, false,
		 "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"c\","
		 "\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n",
		 true, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	expect_usage(&a, LLM_KNOWN_PARTLY, (struct usage){ .in_uncached = 25, .out = 1 });
	a = feed(&llm_format_chat, LLM_EVENTS, false, "", false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	/* An event that is no JSON passes and counts. */
	a = feed(&llm_format_chat, LLM_EVENTS, false, "data: <p>what</p>\n\n" DONE, true,
		 NULL);
	assert_true(a.is_unclear);
	assert_int_equal(a.text_bytes, strlen("<p>what</p>"));
}

static void test_errors_in_the_stream(void **state)
{
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_chat,
		   CHUNK(TEXT("a"),
			 "") "data: {\"error\":{\"message\":\"m\",\"code\":502}}\n\n");
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "502");
	a = events(&llm_format_messages,
		   "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
		   "\"overloaded_error\",\"message\":\"m\"}}\n\n");
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "overloaded_error");
	a = events(&llm_format_responses,
		   "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\","
		   "\"param\":null,\"sequence_number\":3}\n\n");
	assert_int_equal(a.end, LLM_END_ERROR);
	a = events(&llm_format_generate,
		   "data: {\"error\":{\"code\":503,\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}\n\n");
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "UNAVAILABLE");
}

#define CREATED                                                                                \
	"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0," \
	"\"response\":{\"id\":\"resp_9\",\"object\":\"response\",\"created_at\":1760000000,"   \
	"\"status\":\"in_progress\",\"error\":null,\"model\":\"gpt-5.1\",\"output\":[],"       \
	"\"usage\":null}}\n\n"
#define DELTA                                                                                 \
	"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\","  \
	"\"sequence_number\":4,\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0," \
	"\"delta\":\"Hello\",\"obfuscation\":\"XXXXXXXXXXX\"}\n\n"
#define SEARCHED                                                                           \
	"event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\"," \
	"\"sequence_number\":2,\"item\":{\"id\":\"ws\",\"type\":\"web_search_call\"}}\n\n"
#define ENDED(type, usage)                                                                 \
	"event: " type "\ndata: {\"type\":\"" type                                         \
	"\",\"sequence_number\":9,\"response\":{\"id\":"                                   \
	"\"resp_9\",\"model\":\"gpt-5.1\",\"output\":[{\"type\":\"message\",\"content\":[" \
	"{\"type\":\"output_text\",\"text\":\"Hello\"}]},{\"type\":\"web_search_call\"}]," \
	"\"usage\":" usage "}}\n\n"
#define RESPONSES_USAGE                                                                           \
	"{\"input_tokens\":40,\"input_tokens_details\":{\"cached_tokens\":32},\"output_tokens\":" \
	"12,\"output_tokens_details\":{\"reasoning_tokens\":8},\"total_tokens\":52}"

static void test_responses(void **state)
{
	const struct usage want = {
		.in_uncached = 8, .cache_read = 32, .out = 12, .reasoning = 8, .web_search = 1
	};
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_responses,
		   CREATED SEARCHED DELTA ENDED("response.completed", RESPONSES_USAGE));
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, want);
	assert_string_equal(a.model, "gpt-5.1");
	/* Deltas are counted, what repeats them is not. */
	assert_int_equal(a.text_bytes, strlen("Hello"));
	a = events(&llm_format_responses,
		   CREATED SEARCHED ENDED("response.incomplete", RESPONSES_USAGE));
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, want);
	/* Failed, with usage and without. */
	a = events(&llm_format_responses,
		   CREATED SEARCHED ENDED("response.failed", RESPONSES_USAGE));
	assert_int_equal(a.end, LLM_END_ERROR);
	expect_usage(&a, LLM_KNOWN_PARTLY, want);
	a = events(&llm_format_responses, CREATED ENDED("response.failed", "null"));
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_int_equal(a.known, LLM_KNOWN_NONE);
	/* Searches of a stream that breaks off are known from its items. */
	a = feed(&llm_format_responses, LLM_EVENTS, false,
		 CREATED SEARCHED SEARCHED DELTA, false, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	assert_int_equal(a.usage.web_search, 2);
}

#define MESSAGE_START                                                                              \
	"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","   \
	"\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-x\",\"content\":[],"       \
	"\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":100," \
	"\"cache_read_input_tokens\":200,\"cache_creation\":{\"ephemeral_5m_input_tokens\":60,"    \
	"\"ephemeral_1h_input_tokens\":40},\"output_tokens\":1,\"service_tier\":\"standard\"}}}\n\n"
#define MESSAGE_TEXT                                                                       \
	"event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0," \
	"\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"                         \
	"event: ping\ndata: {\"type\": \"ping\"}\n\n"                                      \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0," \
	"\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"                      \
	"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0," \
	"\"delta\":{\"type\":\"signature_delta\",\"signature\":\"AAAAAAAAAA\"}}\n\n"       \
	"event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
#define MESSAGE_DELTA(usage)                                                                  \
	"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":" \
	"\"end_turn\",\"stop_sequence\":null},\"usage\":" usage "}\n\n"
#define MESSAGE_STOP "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"

static void test_anthropic(void **state)
{
	struct usage want = { .in_uncached = 25,
			      .cache_read = 200,
			      .cache_w5m = 60,
			      .cache_w1h = 40,
			      .out = 15 };
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_messages, MESSAGE_START MESSAGE_TEXT MESSAGE_DELTA(
						 "{\"output_tokens\":15}") MESSAGE_STOP);
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, want);
	assert_int_equal(a.text_bytes, strlen("Hello"));
	assert_string_equal(a.model, "claude-x");
	assert_string_equal(a.tier, "standard");
	/* Sums, not steps; null takes nothing back, and a lower figure neither. */
	want.web_search = 3;
	a = events(&llm_format_messages,
		   MESSAGE_START MESSAGE_TEXT MESSAGE_DELTA(
			   "{\"input_tokens\":25,\"cache_creation_input_tokens\":null,"
			   "\"cache_read_input_tokens\":null,\"output_tokens\":7,"
			   "\"server_tool_use\":{\"web_search_requests\":1}}")
			   MESSAGE_DELTA("{\"input_tokens\":0,\"cache_read_input_tokens\":0,"
					 "\"output_tokens\":15,\"server_tool_use\":"
					 "{\"web_search_requests\":3}}") MESSAGE_STOP);
	expect_usage(&a, LLM_KNOWN_WHOLLY, want);
	/* The input grows where the provider's tools read. */
	want.in_uncached = 999;
	want.web_search = 0;
	a = events(&llm_format_messages,
		   MESSAGE_START MESSAGE_DELTA("{\"input_tokens\":999,\"output_tokens\":15}")
			   MESSAGE_STOP);
	expect_usage(&a, LLM_KNOWN_WHOLLY, want);
}

/* The list of iterations comes again with each sum: the last holds. */
static void test_anthropic_iterations(void **state)
{
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_messages,
		   MESSAGE_START MESSAGE_DELTA(
			   "{\"output_tokens\":5,\"iterations\":[{\"model\":\"a\","
			   "\"input_tokens\":1,\"output_tokens\":2}]}")
			   MESSAGE_DELTA(
				   "{\"output_tokens\":15,\"iterations\":[{\"model\":\"a\","
				   "\"input_tokens\":1,\"output_tokens\":2},{\"model\":\"b\","
				   "\"input_tokens\":3,\"output_tokens\":4}]}")
				   MESSAGE_STOP);
	assert_int_equal(a.shares_n, 2);
	assert_string_equal(a.shares[0].model, "a");
	assert_int_equal(a.shares[0].usage.out, 2);
	assert_string_equal(a.shares[1].model, "b");
	assert_int_equal(a.shares[1].usage.in_uncached, 3);
}

#define GEMINI(text, finish, usage)                                                  \
	"{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"" text                \
	"\"}],\"role\":\"model\"}" finish                                            \
	"}],\"usageMetadata\":{\"promptTokenCount\":100" usage "},\"modelVersion\":" \
	"\"gemini-3-pro\"}"
#define GEMINI_1 GEMINI("Hel", "", ",\"totalTokenCount\":100")
#define GEMINI_2 GEMINI("lo", "", ",\"candidatesTokenCount\":1,\"totalTokenCount\":101")
#define GEMINI_3                                                        \
	GEMINI("!", ",\"finishReason\":\"STOP\"",                       \
	       ",\"candidatesTokenCount\":3,\"thoughtsTokenCount\":20," \
	       "\"cachedContentTokenCount\":60,\"totalTokenCount\":123")

static void expect_gemini(const struct llm_answer *a)
{
	assert_int_equal(a->end, LLM_END_DONE);
	assert_false(a->is_unclear);
	expect_usage(a, LLM_KNOWN_WHOLLY,
		     (struct usage){ .in_uncached = 40,
				     .cache_read = 60,
				     .out = 23,
				     .reasoning = 20 });
	assert_string_equal(a->model, "gemini-3-pro");
	assert_int_equal(a->text_bytes, strlen("Hello!"));
	assert_int_equal(a->pieces, 3);
}

static void test_gemini(void **state)
{
	struct llm_answer a;

	(void)state;
	a = events(&llm_format_generate, "data: " GEMINI_1 "\r\n\r\ndata: " GEMINI_2
					 "\r\n\r\ndata: " GEMINI_3 "\r\n\r\n");
	expect_gemini(&a);
	a = feed(&llm_format_generate, LLM_LIST, false,
		 "[" GEMINI_1 "\r\n,\r\n" GEMINI_2 ",\r\n" GEMINI_3 "\r\n]\r\n", true,
		 NULL);
	expect_gemini(&a);
	a = feed(&llm_format_generate, LLM_LIST, false, "[" GEMINI_1 ",\r\n" GEMINI_2,
		 true, NULL);
	assert_int_equal(a.end, LLM_END_CUT);
	assert_int_equal(a.known, LLM_KNOWN_PARTLY);
	assert_int_equal(a.usage.out, 1);
	/* An error in place of the list, and in it. */
	a = feed(&llm_format_generate, LLM_LIST, false,
		 "{\"error\":{\"status\":\"INTERNAL\"}}", true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	a = feed(&llm_format_generate, LLM_LIST, false,
		 "[" GEMINI_1 ",{\"error\":{\"status\":\"INTERNAL\"}}]", true, NULL);
	assert_int_equal(a.end, LLM_END_ERROR);
	assert_string_equal(a.error, "INTERNAL");
	/* What is no list passes. */
	a = feed(&llm_format_generate, LLM_LIST, false, "[" GEMINI_1 " oh no", true, NULL);
	assert_true(a.is_unclear);
	/* A prompt that was refused. */
	a = events(&llm_format_generate,
		   "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":"
		   "{\"promptTokenCount\":5,\"totalTokenCount\":5}}\n\n");
	assert_int_equal(a.end, LLM_END_DONE);
	expect_usage(&a, LLM_KNOWN_WHOLLY, (struct usage){ .in_uncached = 5 });
}

static void test_shapes(void **state)
{
	(void)state;
	assert_int_equal(llm_shape_of(&llm_format_chat, true, "text/event-stream"),
			 LLM_EVENTS);
	assert_int_equal(llm_shape_of(&llm_format_chat, true,
				      "Text/Event-Stream; charset=utf-8"),
			 LLM_EVENTS);
	assert_int_equal(llm_shape_of(&llm_format_chat, true, "application/json"),
			 LLM_WHOLE);
	assert_int_equal(llm_shape_of(&llm_format_generate, true, "application/json"),
			 LLM_LIST);
	assert_int_equal(llm_shape_of(&llm_format_generate, false, "application/json"),
			 LLM_WHOLE);
	assert_int_equal(llm_shape_of(&llm_format_chat, false, NULL), LLM_WHOLE);
}

/* Feeds `body`, then stops, wherever in it the stream stands. */
static void stop_after(const struct llm_format *f, enum llm_shape shape, const char *body,
		       size_t len, struct buf *out, enum llm_end *ret_end)
{
	struct llm_reader *r = NULL;
	struct err e = {};

	assert_int_equal(llm_reader_new(f, shape, false, &r, &e), 0);
	assert_int_equal(llm_reader_feed(r, body, len, out, &e), 0);
	llm_reader_stop(r, LLM_REFUSE_BUDGET, "over \"budget\"", out);
	/* What comes late is not taken. */
	assert_int_equal(llm_reader_feed(r, body, strlen(body), out, &e), 0);
	assert_int_equal(llm_reader_end(r, true, out, &e), 0);
	*ret_end = llm_reader_answer(r)->end;
	llm_reader_free(r);
}

/* At each byte of the stream: the events that were whole, then the error. */
static void stop_events(const struct llm_format *f, const char *body, const char *error)
{
	for (size_t len = 0; len <= strlen(body); len++) {
		_buf_free_ struct buf out = {}, want = {};
		size_t whole = 0;
		enum llm_end end;
		const char *at;

		for (at = body;
		     (at = strstr(at, "\n\n")) && (size_t)(at + 2 - body) <= len; at += 2)
			whole = (size_t)(at + 2 - body);
		buf_add(&want, body, whole);
		buf_adds(&want, error);
		stop_after(f, LLM_EVENTS, body, len, &out, &end);
		assert_string_equal(out.s, want.s);
		assert_int_equal(end, LLM_END_STOPPED);
	}
}

static void test_stop_events(void **state)
{
	(void)state;
	stop_events(&llm_format_chat, CHUNK(TEXT("Hel"), "") CHUNK(TEXT("lo"), ""),
		    "data: {\"error\":{\"message\":\"over \\\"budget\\\"\",\"type\":"
		    "\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}\n\n");
	stop_events(&llm_format_messages, MESSAGE_START MESSAGE_TEXT,
		    "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"billing_error\","
		    "\"message\":\"over \\\"budget\\\"\"}}\n\n");
	stop_events(&llm_format_generate, "data: " GEMINI_1 "\n\ndata: " GEMINI_2 "\n\n",
		    "data: {\"error\":{\"code\":429,\"message\":\"over \\\"budget\\\"\",\"status\":"
		    "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/"
		    "google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":\"purple/budget\","
		    "\"quotaId\":\"PurpleBudgetPerDay\"}]}]}}\n\n");
}

/* Codex stops at response.failed with this code, and tries again at any other error. */
static void test_stop_responses(void **state)
{
	const char *body = CREATED DELTA, *line;
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf out = {};
	const struct json *response;
	enum llm_end end;
	struct err e;

	(void)state;
	stop_after(&llm_format_responses, LLM_EVENTS, body, strlen(body), &out, &end);
	assert_int_equal(strncmp(out.s, body, strlen(body)), 0);
	line = out.s + strlen(body);
	assert_true(str_has_prefix(line, "event: response.failed\ndata: "));
	assert_true(str_has_suffix(line, "}\n\n"));
	line = strchr(line, '{');
	assert_int_equal(json_parse(line, strlen(line) - 2, "event", &j, &e), 0);
	assert_string_equal(json_get(j, "type")->text, "response.failed");
	assert_string_equal(json_get(j, "sequence_number")->text, "5");
	response = json_get(j, "response");
	assert_string_equal(json_get(response, "id")->text, "resp_9");
	assert_string_equal(json_get(response, "created_at")->text, "1760000000");
	assert_string_equal(json_get(response, "model")->text, "gpt-5.1");
	assert_string_equal(json_get(response, "status")->text, "failed");
	assert_string_equal(json_get(json_get(response, "error"), "code")->text,
			    "insufficient_quota");
	assert_string_equal(json_get(json_get(response, "error"), "message")->text,
			    "over \"budget\"");
}

/* A list that is stopped is still one. */
static void test_stop_list(void **state)
{
	const char *body = "[" GEMINI_1 ",\r\n" GEMINI_2 ",\r\n" GEMINI_2;

	(void)state;
	for (size_t len = 0; len <= strlen(body); len++) {
		_json_free_ struct json *j = NULL;
		_buf_free_ struct buf out = {};
		enum llm_end end;
		struct err e = {};

		stop_after(&llm_format_generate, LLM_LIST, body, len, &out, &end);
		if (json_parse(out.s, out.len, "list", &j, &e) < 0)
			fail_msg("%s: %s", e.msg, out.s);
		assert_int_equal(j->type, JSON_LIST);
		assert_non_null(json_get(j->items[j->n - 1], "error"));
		assert_int_equal(j->n,
				 1 + (len > strlen("[" GEMINI_1) - 1) +
					 (len > strlen("[" GEMINI_1 ",\r\n" GEMINI_2) - 1) +
					 (len == strlen(body)));
	}
}

/* An answer that has come to its end is not ended again, and a whole body cannot be. */
static void test_stop_is_too_late(void **state)
{
	_buf_free_ struct buf out = {}, whole = {}, list = {};
	enum llm_end end;

	(void)state;
	stop_after(&llm_format_chat, LLM_EVENTS, CHUNK(STOP, "") DONE,
		   strlen(CHUNK(STOP, "") DONE), &out, &end);
	assert_true(str_has_prefix(out.s, CHUNK(STOP, "") DONE));
	assert_null(strstr(out.s, "insufficient"));
	assert_int_equal(end, LLM_END_DONE);
	stop_after(&llm_format_chat, LLM_WHOLE, "{\"choices\"", 10, &whole, &end);
	assert_string_equal(whole.s, "{\"choices\"");
	stop_after(&llm_format_generate, LLM_LIST, "[" GEMINI_3 "]",
		   strlen("[" GEMINI_3 "]"), &list, &end);
	assert_true(str_has_prefix(list.s, "[" GEMINI_3 "]"));
	assert_null(strstr(list.s, "budget"));
}

/* One event without end: it passes in parts, and the reader does not grow with it. */
static void test_long_events_pass(void **state)
{
	static char piece[16384];
	_buf_free_ struct buf out = {};
	struct llm_reader *r = NULL;
	size_t passed = 0, held;
	struct err e = {};

	(void)state;
	memset(piece, 'x', sizeof(piece));
	assert_int_equal(llm_reader_new(&llm_format_chat, LLM_EVENTS, true, &r, &e), 0);
	assert_int_equal(llm_reader_feed(r, "data: {\"choices\":[{\"delta\":{\"content\":\"",
					 39, &out, &e),
			 0);
	assert_int_equal(out.len, 0);
	for (int i = 1; i <= 640; i++) {
		assert_int_equal(llm_reader_feed(r, piece, sizeof(piece), &out, &e), 0);
		passed += out.len;
		out.len = 0;
		held = 39 + (size_t)i * sizeof(piece) - passed;
		assert_true(held <= LLM_HELD_MAX);
	}
	assert_int_equal(passed, 39 + 640 * sizeof(piece));
	/* Stopped in its midst: the event is ended, then comes the error. */
	llm_reader_stop(r, LLM_REFUSE_BUDGET, "m", &out);
	assert_true(str_has_prefix(out.s, "\n\ndata: {\"error\""));
	llm_reader_free(r);
}

/* Goes on to the usage when the client is gone. */
static void test_without_a_client(void **state)
{
	const char *first = CHUNK(TEXT("Hel"), ""), *rest = CHUNK("", "," USAGE) DONE;
	_buf_free_ struct buf out = {};
	struct llm_reader *r = NULL;
	struct err e = {};

	(void)state;
	assert_int_equal(llm_reader_new(&llm_format_chat, LLM_EVENTS, true, &r, &e), 0);
	assert_int_equal(llm_reader_feed(r, first, strlen(first), &out, &e), 0);
	for (const char *p = rest; *p; p++)
		assert_int_equal(llm_reader_feed(r, p, 1, NULL, &e), 0);
	assert_int_equal(llm_reader_end(r, true, NULL, &e), 0);
	assert_string_equal(out.s, first);
	expect_usage(llm_reader_answer(r), LLM_KNOWN_WHOLLY, usage_9_2);
	llm_reader_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_usage_is_hidden),
		cmocka_unit_test(test_azure),
		cmocka_unit_test(test_servers_like_it),
		cmocka_unit_test(test_completions),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_streams_that_break_off),
		cmocka_unit_test(test_errors_in_the_stream),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_anthropic_iterations),
		cmocka_unit_test(test_gemini),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_stop_events),
		cmocka_unit_test(test_stop_responses),
		cmocka_unit_test(test_stop_list),
		cmocka_unit_test(test_stop_is_too_late),
		cmocka_unit_test(test_long_events_pass),
		cmocka_unit_test(test_without_a_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
