/* SPDX-License-Identifier: Apache-2.0 */
/* What requests ask for, what of them is refused, and how they are rewritten. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/request.h"

static const struct llm_server new_server = { .knows_new_max = true }, old_server;

static struct llm_request read_as(const struct llm_format *f, const char *model,
				  const char *body)
{
	struct llm_request r = {};
	struct err e = {};

	if (llm_request_read(f, model, false, body, strlen(body), &r, &e) < 0)
		fail_msg("%s: %s", e.msg, body);
	return r;
}

static void refused_len(const struct llm_format *f, const char *body, size_t len,
			const char *why)
{
	struct llm_request r = {};
	struct err e = {};

	assert_int_equal(llm_request_read(f, "", false, body, len, &r, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_USAGE);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not in '%s'", why, e.msg);
}

static void refused(const struct llm_format *f, const char *body, const char *why)
{
	refused_len(f, body, strlen(body), why);
}

/* The rewritten body, read in pieces of every size. */
static void rewritten(const struct llm_format *f, const struct llm_server *server,
		      int64_t cap, bool hides, const char *body, const char *want)
{
	struct llm_request r = read_as(f, f == &llm_format_generate ? "m" : "", body);
	size_t len = strlen(body), whole = strlen(want);
	bool hide = !hides;
	struct edits edits;
	struct err e = {};
	char out[2048];

	assert_int_equal(llm_request_rewrite(&r, server, cap, &edits, &hide, &e), 0);
	assert_int_equal(hide, hides);
	assert_int_equal(edits_length(&edits, len), whole);
	for (size_t piece = 1; piece <= whole + 1; piece++) {
		size_t at = 0, n;

		while ((n = edits_read(&edits, body, len, at, out + at, piece)) > 0)
			at += n;
		out[at] = '\0';
		assert_string_equal(out, want);
	}
}

static void test_chat(void **state)
{
	struct llm_request r;

	(void)state;
	r = read_as(&llm_format_chat, "",
		    "{\"model\":\"gpt-5.1\",\"stream\":true,\"max_completion_tokens\":900,"
		    "\"n\":3,\"service_tier\":\"flex\",\"stream_options\":{\"include_usage\":true,"
		    "\"include_obfuscation\":false},\"tools\":[{\"type\":\"function\",\"function\":"
		    "{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],"
		    "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
	assert_string_equal(r.model, "gpt-5.1");
	assert_true(r.streams);
	assert_true(r.asks_usage);
	assert_int_equal(r.max, 900);
	assert_int_equal(r.copies, 3);
	assert_string_equal(r.tier, "flex");
	assert_int_equal(r.tools, 0);
	assert_null(r.hidden);
	assert_false(r.caches);
	r = read_as(&llm_format_chat, "",
		    "{\"model\":\"m\",\"stream\":null,\"max_tokens\":null}");
	assert_false(r.streams);
	assert_true(r.max == INT64_MAX);
	assert_int_equal(r.copies, 1);
	assert_int_equal(r.tools, 0);
	r = read_as(&llm_format_chat, "", "{\"model\":\"vendor/model:online\"}");
	assert_int_equal(r.tools, LLM_TOOL_WEB_SEARCH);
	/* The deployment in the path answers, whatever the body says. */
	r = read_as(&llm_format_chat, "dear", "{\"model\":\"cheap\"}");
	assert_string_equal(r.model, "dear");
}

static void test_copies(void **state)
{
	struct llm_request r;

	(void)state;
	r = read_as(&llm_format_completions, "",
		    "{\"model\":\"m\",\"prompt\":[\"a\",\"b\",\"c\"],\"n\":2,\"best_of\":4}");
	assert_int_equal(r.copies, 12);
	r = read_as(&llm_format_completions, "", "{\"model\":\"m\",\"prompt\":[1,2,3]}");
	assert_int_equal(r.copies, 1);
	r = read_as(&llm_format_completions, "", "{\"model\":\"m\",\"prompt\":[[1,2],[3]]}");
	assert_int_equal(r.copies, 2);
	r = read_as(&llm_format_completions, "", "{\"model\":\"m\",\"prompt\":\"x\"}");
	assert_int_equal(r.copies, 1);
	r = read_as(&llm_format_generate, "m",
		    "{\"generationConfig\":{\"candidateCount\":4}}");
	assert_int_equal(r.copies, 4);
	refused(&llm_format_chat, "{\"model\":\"m\",\"n\":0}", "'n' is not a number from 1");
	refused(&llm_format_chat, "{\"model\":\"m\",\"n\":9999}",
		"'n' is not a number from 1");
}

static void test_tools(void **state)
{
	static const struct {
		const struct llm_format *format;
		const char *member;
		unsigned int tools;
	} cases[] = {
		{ &llm_format_chat, "\"web_search_options\":{}", LLM_TOOL_WEB_SEARCH },
		{ &llm_format_chat, "\"web_search_options\":null", 0 },
		{ &llm_format_chat, "\"plugins\":[{\"id\":\"web\"}]", LLM_TOOL_WEB_SEARCH },
		{ &llm_format_chat, "\"audio\":{\"voice\":\"a\"}", LLM_TOOL_AUDIO },
		{ &llm_format_chat, "\"tools\":[{\"type\":\"new_thing\"}]",
		  LLM_TOOL_UNKNOWN },
		{ &llm_format_responses,
		  "\"tools\":[{\"type\":\"web_search_preview\"},{\"type\":\"custom\"},"
		  "{\"type\":\"code_interpreter\"},{\"type\":\"local_shell\"}]",
		  LLM_TOOL_WEB_SEARCH | LLM_TOOL_CODE },
		{ &llm_format_responses, "\"tools\":[{\"type\":\"mcp\"}]", LLM_TOOL_MCP },
		{ &llm_format_messages,
		  "\"max_tokens\":9,\"tools\":[{\"type\":\"web_search_20250305\"},"
		  "{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}},{\"type\":\"bash_20250124\"}]",
		  LLM_TOOL_WEB_SEARCH },
		{ &llm_format_messages,
		  "\"max_tokens\":9,\"mcp_servers\":[{\"url\":\"u\"}]", LLM_TOOL_MCP },
		{ &llm_format_generate, "\"tools\":[{\"googleSearch\":{}}]",
		  LLM_TOOL_WEB_SEARCH },
		{ &llm_format_generate, "\"tools\":[{\"google_search_retrieval\":{}}]",
		  LLM_TOOL_WEB_SEARCH },
		{ &llm_format_generate,
		  "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]},{\"codeExecution\":{}}]",
		  LLM_TOOL_CODE },
		{ &llm_format_generate, "\"tools\":[{\"newThing\":{}}]", LLM_TOOL_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned int fed = ~(unsigned int)(LLM_TOOL_AUDIO | LLM_TOOL_IMAGE);
		struct llm_request r;
		char body[512];

		snprintf(body, sizeof(body), "{%s%s}",
			 cases[i].format == &llm_format_generate ? "" : "\"model\":\"m\",",
			 cases[i].member);
		r = read_as(cases[i].format,
			    cases[i].format == &llm_format_generate ? "m" : "", body);
		if (r.tools != cases[i].tools)
			fail_msg("tools %x: %s", r.tools, body);
		assert_int_equal(r.hidden != NULL, (r.tools & fed) != 0);
	}
}

/* Input that the body does not hold: its bytes are no bound then. */
static void test_hidden_input(void **state)
{
	static const struct {
		const struct llm_format *format;
		const char *member;
		bool hidden;
	} cases[] = {
		{ &llm_format_responses, "\"previous_response_id\":\"resp_1\"", true },
		{ &llm_format_responses, "\"previous_response_id\":null", false },
		{ &llm_format_responses, "\"conversation\":{\"id\":\"c\"}", true },
		{ &llm_format_responses, "\"prompt\":{\"id\":\"p\"}", true },
		{ &llm_format_responses,
		  "\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]", true },
		{ &llm_format_responses,
		  "\"input\":[{\"type\":\"message\",\"id\":\"i\"}]", false },
		{ &llm_format_responses,
		  "\"input\":[{\"content\":[{\"type\":\"input_file\",\"file_id\":\"f\"}]}]",
		  true },
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"https://x/\"}}]}]",
		  true },
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]}]",
		  false },
		{ &llm_format_messages,
		  "\"max_tokens\":1,\"messages\":[{\"content\":[{\"source\":{\"type\":\"url\","
		  "\"url\":\"https://x/\"}}]}]",
		  true },
		/* Documents and films: their pages and pictures are not counted by bytes. */
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":[{\"file\":{\"file_data\":"
		  "\"data:application/pdf;base64,AA\"}}]}]",
		  true },
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":[{\"file\":{\"file_data\":\"AA\"}}]}]", true },
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":\"data:application/pdf\"}]", false },
		{ &llm_format_chat,
		  "\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:video/mp4;base64,AA\"}}]}]",
		  true },
		{ &llm_format_messages,
		  "\"max_tokens\":1,\"messages\":[{\"content\":[{\"source\":{\"type\":\"base64\","
		  "\"media_type\":\"application/pdf\",\"data\":\"AA\"}}]}]",
		  true },
		{ &llm_format_messages,
		  "\"max_tokens\":1,\"messages\":[{\"content\":[{\"source\":{\"type\":\"base64\","
		  "\"media_type\":\"image/png\",\"data\":\"AA\"}}]}]",
		  false },
		{ &llm_format_messages,
		  "\"max_tokens\":1,\"messages\":[{\"content\":[{\"input\":{"
		  "\"mime_type\":\"application/pdf\"}}]}]",
		  false },
		{ &llm_format_generate,
		  "\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"video/mp4\",\"data\":\"AA\"}}]}]",
		  true },
		{ &llm_format_generate,
		  "\"contents\":[{\"parts\":[{\"inline_data\":{\"mime_type\":\"image/png\",\"data\":\"AA\"}}]}]",
		  false },
		{ &llm_format_generate, "\"cachedContent\":\"cachedContents/1\"", true },
		{ &llm_format_generate,
		  "\"contents\":[{\"parts\":[{\"file_data\":{\"file_uri\":\"u\"}}]}]",
		  true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct llm_request r;
		char body[512];

		snprintf(body, sizeof(body), "{%s%s}",
			 cases[i].format == &llm_format_generate ? "" : "\"model\":\"m\",",
			 cases[i].member);
		r = read_as(cases[i].format,
			    cases[i].format == &llm_format_generate ? "m" : "", body);
		if ((r.hidden != NULL) != cases[i].hidden)
			fail_msg("%s: %s", r.hidden, body);
	}
}

static void test_anthropic(void **state)
{
	struct llm_request r;

	(void)state;
	r = read_as(&llm_format_messages, "",
		    "{\"model\":\"claude-x\",\"max_tokens\":128000,\"thinking\":{\"type\":"
		    "\"enabled\",\"budget_tokens\":31999},\"speed\":\"fast\",\"inference_geo\":\"us\","
		    "\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":"
		    "\"ephemeral\",\"ttl\":\"1h\"}}],\"messages\":[]}");
	assert_int_equal(r.max, 128000);
	assert_int_equal(r.thinking, 31999);
	assert_true(r.caches);
	assert_true(r.caches_1h);
	assert_string_equal(r.speed, "fast");
	assert_string_equal(r.geo, "us");
	r = read_as(&llm_format_messages, "",
		    "{\"model\":\"c\",\"max_tokens\":5,\"messages\":[{\"content\":[{\"type\":\"text\","
		    "\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]}");
	assert_true(r.caches);
	assert_false(r.caches_1h);
	refused(&llm_format_messages, "{\"model\":\"c\"}", "has no 'max_tokens'");
}

static void test_refused(void **state)
{
	static const struct {
		const char *body, *why;
	} cases[] = {
		{ "", "is empty" },
		{ "[]", "" },
		{ "null", "is not an object" },
		{ "{}", "names no model" },
		{ "{\"model\":\"\"}", "names no model" },
		{ "{\"model\":5}", "'model' is not a text" },
		{ "{\"model\":\"a\",\"model\":\"b\"}", "'model' is there twice" },
		{ "{\"model\":\"a\",\"Model\":\"b\"}", "'Model': write it 'model'" },
		{ "{\"model\":\"a\",\"m\\u006fdel\":\"b\"}", "'model' is there twice" },
		{ "{\"model\":\"a\",\"max_token\\u017f\":9}", "write it 'max_tokens'" },
		{ "{\"model\":\"a\",\"max_to\\u212aens\":9}", "write it 'max_tokens'" },
		{ "{\"model\":\"a\",\"stream_options\":{\"Include_Usage\":false}}",
		  "write it 'stream_options.include_usage'" },
		{ "{\"model\":\"a\\u0000b\"}", "'model' has a control character" },
		{ "{\"model\":\"a\\nb\"}", "'model' has a control character" },
		{ "{\"model\":\"a\\ud800\"}", "'model' has a control character" },
		{ "{\"model\":\"a\",\"max_tokens\":1e9}",
		  "'max_tokens' is not a whole number" },
		{ "{\"model\":\"a\",\"max_tokens\":1.5}",
		  "'max_tokens' is not a whole number" },
		{ "{\"model\":\"a\",\"max_tokens\":\"128000\"}", "is not a whole number" },
		{ "{\"model\":\"a\",\"max_tokens\":99999999999999999999}",
		  "is not a whole number" },
		{ "{\"model\":\"a\",\"max_tokens\":[1]}", "is not a whole number" },
		{ "{\"model\":\"a\",\"max_tokens\":1,\"max_tokens\":2}", "is there twice" },
		{ "{\"model\":\"a\",\"stream\":\"true\"}", "neither true nor false" },
		{ "{\"model\":\"a\",\"stream\":1}", "neither true nor false" },
		{ "{\"model\":\"a\",\"stream_options\":[]}", "is not an object" },
		{ "{\"model\":\"a\",\"stream_options\":{},\"stream_options\":{}}",
		  "is there twice" },
		{ "{\"model\":\"a\",\"models\":[\"b\"]}", "'models' asks for other models" },
		{ "{\"model\":\"a\",\"background\":true}", "usage later" },
		{ "{\"model\":\"a\",\"deferred\":true}", "usage later" },
		{ "{\"model\":\"a\"} x", "something after its end" },
		{ "{\"model\":\"a\",}", "is not JSON" },
		{ "{\"model\":\"\377\"}", "is not UTF-8" },
		{ "{\"x\":\"\300\200\",\"model\":\"a\"}", "is not UTF-8" },
	};
	char deep[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(&llm_format_chat, cases[i].body, cases[i].why);
	refused_len(&llm_format_chat, "{\"model\":\"a\0b\"}", 15, "control character");
	refused_len(&llm_format_chat, "{\"model\":\"a\"}\0", 14, "after its end");
	memset(deep, '[', sizeof(deep));
	memcpy(deep, "{\"x\":", 5);
	refused_len(&llm_format_chat, deep, sizeof(deep), "nested too deeply");
	/* What does not matter may be there twice, and background may be false. */
	read_as(&llm_format_responses, "",
		"{\"model\":\"a\",\"x\":1,\"x\":2,\"background\":false}");
	refused(&llm_format_responses, "{\"model\":\"a\",\"background\":true}",
		"usage later");
	refused(&llm_format_generate,
		"{\"generationConfig\":{},\"generation_config\":{\"maxOutputTokens\":5}}",
		"twice");
	refused(&llm_format_generate, "{\"generationConfig\":5}", "is not an object");
}

static void test_input_bounds(void **state)
{
	const char *text = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":"
			   "\"the quick brown fox jumps over the lazy dog\"}]}";
	struct llm_request r = read_as(&llm_format_chat, "", text), with;

	(void)state;
	assert_int_equal(llm_request_input_bound(&r), strlen(text));
	assert_true(llm_request_input_guess(&r, 400) < strlen(text) / 3);
	assert_true(llm_request_input_guess(&r, 400) > 10);
	/* A picture of few bytes may be a large one. */
	with = read_as(&llm_format_messages, "",
		       "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"content\":[{\"source\":{"
		       "\"type\":\"base64\",\"data\":\"AAAA\"}}]}]}");
	assert_int_equal(with.media, 1);
	assert_true(llm_request_input_bound(&with) > 65536);
	assert_true(llm_request_input_guess(&with, 400) > 1600);
	assert_true(llm_request_input_guess(&with, 400) < 2000);
	/* The call of tools is explained to the model in words that the body lacks. */
	with = read_as(&llm_format_chat, "",
		       "{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]}");
	assert_true(llm_request_input_bound(&with) > 1024);
}

static void test_lower_the_maximum(void **state)
{
	const struct llm_format *chat = &llm_format_chat, *gemini = &llm_format_generate;

	(void)state;
	rewritten(chat, &new_server, 500, false, "{ \"model\" : \"m\" }",
		  "{\"max_completion_tokens\":500, \"model\" : \"m\" }");
	rewritten(chat, &old_server, 500, false, "{\"model\":\"m\"}",
		  "{\"max_tokens\":500,\"model\":\"m\"}");
	rewritten(chat, &old_server, 500, false,
		  "{\"model\":\"m\",\"max_completion_tokens\":9999}",
		  "{\"model\":\"m\",\"max_completion_tokens\":500}");
	rewritten(chat, &new_server, 500, false, "{\"model\":\"m\",\"max_tokens\": 499 }",
		  "{\"model\":\"m\",\"max_tokens\": 499 }");
	/* Each spelling, since servers differ in which they take. */
	rewritten(chat, &new_server, 500, false,
		  "{\"max_tokens\":600,\"model\":\"m\",\"n_predict\":-1,\"max_completion_tokens\":5}",
		  "{\"max_tokens\":500,\"model\":\"m\",\"n_predict\":500,\"max_completion_tokens\":5}");
	rewritten(chat, &new_server, 500, false, "{\"model\":\"m\",\"max_tokens\":null}",
		  "{\"model\":\"m\",\"max_tokens\":500}");
	rewritten(chat, &new_server, 500, false,
		  "{\"model\":\"m\",\"max_tokens\":null,\"max_completion_tokens\":800}",
		  "{\"model\":\"m\",\"max_tokens\":null,\"max_completion_tokens\":500}");
	rewritten(chat, &new_server, 500, false,
		  "{\"model\":\"m\",\"n\":4,\"max_tokens\":200}",
		  "{\"model\":\"m\",\"n\":4,\"max_tokens\":125}");
	rewritten(&llm_format_completions, &new_server, 500, false, "{\"model\":\"m\"}",
		  "{\"max_tokens\":500,\"model\":\"m\"}");
	rewritten(&llm_format_responses, &new_server, 500, false,
		  "{\"model\":\"m\",\"stream\":true}",
		  "{\"max_output_tokens\":500,\"model\":\"m\",\"stream\":true}");
	rewritten(&llm_format_messages, &new_server, 500, false,
		  "{\"model\":\"m\",\"max_tokens\":128000,\"stream\":true}",
		  "{\"model\":\"m\",\"max_tokens\":500,\"stream\":true}");
	rewritten(gemini, &new_server, 500, false, "{}",
		  "{\"generationConfig\":{\"maxOutputTokens\":500}}");
	rewritten(gemini, &new_server, 500, false, "{\"generationConfig\":null,\"a\":1}",
		  "{\"generationConfig\":{\"maxOutputTokens\":500},\"a\":1}");
	rewritten(gemini, &new_server, 500, false, "{\"generation_config\":{\"topK\":1}}",
		  "{\"generation_config\":{\"maxOutputTokens\":500,\"topK\":1}}");
	rewritten(gemini, &new_server, 500, false,
		  "{\"generationConfig\":{\"max_output_tokens\":65536}}",
		  "{\"generationConfig\":{\"max_output_tokens\":500}}");
	rewritten(&llm_format_embeddings, &new_server, 0, false, "{\"model\":\"m\"}",
		  "{\"model\":\"m\"}");
}

static void test_ask_for_usage(void **state)
{
	const struct llm_format *chat = &llm_format_chat;
	const struct llm_server mistral = llm_server_by_name("mistral");

	(void)state;
	rewritten(chat, &old_server, 9, true,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true}",
		  "{\"stream_options\":{\"include_usage\":true},\"model\":\"m\",\"max_tokens\":1,"
		  "\"stream\":true}");
	rewritten(chat, &old_server, 9, true,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":{ }}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true }}");
	rewritten(chat, &old_server, 9, true,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_obfuscation\":false}}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true,\"include_obfuscation\":false}}");
	rewritten(chat, &old_server, 9, true,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":null}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true}}");
	rewritten(chat, &old_server, 9, true,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":false}}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true}}");
	rewritten(chat, &old_server, 9, false,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true}}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true,\"stream_options\":"
		  "{\"include_usage\":true}}");
	rewritten(chat, &mistral, 9, false,
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true}",
		  "{\"model\":\"m\",\"max_tokens\":1,\"stream\":true}");
	rewritten(chat, &old_server, 9, true, "{\"model\":\"m\",\"stream\":true}",
		  "{\"max_tokens\":9,\"stream_options\":{\"include_usage\":true},\"model\":\"m\","
		  "\"stream\":true}");
}

static void test_too_little_is_left(void **state)
{
	struct edits edits;
	struct err e = {};
	struct llm_request r;
	bool hide;

	(void)state;
	r = read_as(&llm_format_messages, "",
		    "{\"model\":\"m\",\"max_tokens\":9000,\"thinking\":{\"budget_tokens\":4000}}");
	assert_int_equal(llm_request_rewrite(&r, &old_server, 4000, &edits, &hide, &e),
			 -ENOSPC);
	assert_int_equal(llm_request_rewrite(&r, &old_server, 4001, &edits, &hide, &e), 0);
	/* Without a cap nothing is put in that a server may not take. */
	assert_int_equal(llm_request_rewrite(&r, &old_server, INT64_MAX, &edits, &hide, &e),
			 0);
	assert_int_equal(edits.n, 0);
	r = read_as(&llm_format_chat, "", "{\"model\":\"m\",\"n\":10}");
	assert_int_equal(llm_request_rewrite(&r, &old_server, 9, &edits, &hide, &e),
			 -ENOSPC);
	assert_int_equal(llm_request_rewrite(&r, &old_server, 10, &edits, &hide, &e), 0);
}

static void test_edits(void **state)
{
	struct edits e = {};
	char out[64];

	(void)state;
	assert_true(edits_add(&e, 4, 2, "XYZ"));
	assert_true(edits_add(&e, 0, 0, "a"));
	assert_true(edits_add(&e, 0, 0, "b"));
	assert_true(edits_add(&e, 8, 2, ""));
	assert_false(edits_add(&e, 5, 1, "cuts"));
	assert_false(edits_add(&e, 3, 2, "cuts"));
	assert_false(edits_add(&e, 9, 1, "cuts"));
	out[edits_read(&e, "0123456789", 10, 0, out, sizeof(out))] = '\0';
	assert_string_equal(out, "ab0123XYZ67");
	assert_int_equal(edits_length(&e, 10), 11);
}

/* The reader keeps a bit and a length for each row. */
static void test_tables_fit(void **state)
{
	const struct llm_format *const formats[] = {
		&llm_format_chat,      &llm_format_completions, &llm_format_embeddings,
		&llm_format_responses, &llm_format_messages,	&llm_format_generate,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		size_t n = 0;

		while (formats[i]->fields[n].path)
			n++;
		assert_true(n < 64);
	}
	assert_true(LLM_N_LIMIT < 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chat),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_hidden_input),
		cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_input_bounds),
		cmocka_unit_test(test_lower_the_maximum),
		cmocka_unit_test(test_ask_for_usage),
		cmocka_unit_test(test_too_little_is_left),
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_tables_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
