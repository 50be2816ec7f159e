/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls pass to a provider, and that all others do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/route.h"

static void metered(enum llm_family family, const char *target,
		    const struct llm_format *format, const char *model, bool streams)
{
	struct llm_route r;

	llm_route_find("POST", target, family, false, &r);
	assert_int_equal(r.kind, LLM_ROUTE_METERED);
	assert_ptr_equal(r.format, format);
	assert_int_equal(r.family, family);
	assert_string_equal(r.model, model);
	assert_int_equal(r.path_streams, streams);
	/* The same by another method, or with an upgrade, does not pass. */
	llm_route_find("GET", target, family, false, &r);
	assert_int_equal(r.kind, LLM_ROUTE_REFUSED);
	llm_route_find("post", target, family, false, &r);
	assert_int_equal(r.kind, LLM_ROUTE_REFUSED);
	llm_route_find("POST", target, family, true, &r);
	assert_int_equal(r.kind, LLM_ROUTE_UPGRADE);
	assert_null(r.format);
}

static void unmetered(enum llm_family family, const char *method, const char *target)
{
	struct llm_route r;

	llm_route_find(method, target, family, false, &r);
	assert_int_equal(r.kind, LLM_ROUTE_FREE);
	assert_null(r.format);
}

static void refused(enum llm_family family, const char *method, const char *target)
{
	struct llm_route r;

	llm_route_find(method, target, family, false, &r);
	if (r.kind != LLM_ROUTE_REFUSED)
		fail_msg("%s %s passes", method, target);
	assert_null(r.format);
	assert_int_equal(r.family, family);
}

static void test_openai(void **state)
{
	(void)state;
	metered(LLM_OPENAI, "/v1/chat/completions", &llm_format_chat, "", false);
	metered(LLM_OPENAI, "/v1/chat/completions?x=1", &llm_format_chat, "", false);
	metered(LLM_OPENAI, "/v1/completions", &llm_format_completions, "", false);
	metered(LLM_OPENAI, "/v1/embeddings", &llm_format_embeddings, "", false);
	metered(LLM_OPENAI, "/v1/responses", &llm_format_responses, "", false);
	metered(LLM_OPENAI, "/openai/v1/responses", &llm_format_responses, "", false);
	metered(LLM_OPENAI, "/api/v1/chat/completions", &llm_format_chat, "", false);
	metered(LLM_OPENAI, "/v1beta/openai/chat/completions", &llm_format_chat, "", false);
	metered(LLM_OPENAI,
		"/openai/deployments/my-gpt/chat/completions?api-version=2026-01-01",
		&llm_format_chat, "my-gpt", false);
	metered(LLM_OPENAI, "/openai/deployments/e.1/embeddings", &llm_format_embeddings,
		"e.1", false);
	unmetered(LLM_OPENAI, "GET", "/v1/models");
}

static void test_openai_refused(void **state)
{
	static const char *const paths[] = { "/",
					     "",
					     "/v1",
					     "/v1/",
					     "/v1/batches",
					     "/v1/files",
					     "/v1/assistants",
					     "/v1/realtime",
					     "/v1/audio/speech",
					     "/v1/images/generations",
					     "/v1/fine_tuning/jobs",
					     "/v1/chat/completions/",
					     "/v1//chat/completions",
					     "/v1/./chat/completions",
					     "/v1/x/../chat/completions",
					     "/v1/chat%2fcompletions",
					     "/v1/chat/completions%00",
					     "/v1/Chat/completions",
					     "/V1/chat/completions",
					     "http://a/v1/chat/completions",
					     "/v1/chat/completions#x",
					     "/v1/chat/completions;x",
					     "/v1/responses/resp_1/cancel",
					     "/v1/responses/compact",
					     "/openai/deployments//chat/completions",
					     "/openai/deployments/../chat/completions",
					     "/openai/deployments/a%2fb/embeddings",
					     "/openai/deployments/a/responses",
					     "/openai/deployments/a/models",
					     "/openai/deployments/a",
					     "/openai/deployments/a/b/chat/completions",
					     "/v1/messages",
					     "/v1beta/models/m:generateContent",
					     "/chat/completions",
					     NULL };

	(void)state;
	for (size_t i = 0; paths[i]; i++)
		refused(LLM_OPENAI, "POST", paths[i]);
	refused(LLM_OPENAI, "POST", "/v1/models");
	refused(LLM_OPENAI, "DELETE", "/v1/models");
	refused(LLM_OPENAI, "GET", "/v1/responses");
	refused(LLM_OPENAI, "CONNECT", "api.openai.com:443");
	refused(LLM_OPENAI, "OPTIONS", "*");
}

static void test_anthropic(void **state)
{
	(void)state;
	metered(LLM_ANTHROPIC, "/v1/messages", &llm_format_messages, "", false);
	metered(LLM_ANTHROPIC, "/v1/messages?beta=true", &llm_format_messages, "", false);
	unmetered(LLM_ANTHROPIC, "POST", "/v1/messages/count_tokens?beta=true");
	unmetered(LLM_ANTHROPIC, "GET", "/v1/models");
	refused(LLM_ANTHROPIC, "POST", "/v1/messages/batches");
	refused(LLM_ANTHROPIC, "POST", "/v1/complete");
	refused(LLM_ANTHROPIC, "POST", "/v1/chat/completions");
	refused(LLM_ANTHROPIC, "GET", "/api/claude_code/settings");
	refused(LLM_ANTHROPIC, "HEAD", "/v1/messages");
}

static void test_gemini(void **state)
{
	(void)state;
	metered(LLM_GEMINI, "/v1beta/models/gemini-3-pro:generateContent",
		&llm_format_generate, "gemini-3-pro", false);
	metered(LLM_GEMINI, "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
		&llm_format_generate, "gemini-3-pro", true);
	metered(LLM_GEMINI, "/v1/models/m:streamGenerateContent", &llm_format_generate,
		"m", true);
	unmetered(LLM_GEMINI, "POST", "/v1beta/models/gemini-3-pro:countTokens");
	refused(LLM_GEMINI, "POST", "/v1beta/models/a:batchGenerateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/a:generateContent:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/a/b:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/..:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/a%3agenerateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/tunedModels/a:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/models/a?x=:generateContent");
	refused(LLM_GEMINI, "POST", "/v1beta/cachedContents");
	refused(LLM_GEMINI, "POST", "/upload/v1beta/files");
	refused(LLM_GEMINI, "POST", "/v1/chat/completions");
}

static void test_what_goes_upstream(void **state)
{
	struct llm_route r;

	(void)state;
	llm_route_find("POST", "/openai/v1/chat/completions?a=b", LLM_OPENAI, false, &r);
	assert_true(r.has_prefix);
	assert_string_equal(r.rest, "/chat/completions?a=b");
	llm_route_find("POST", "/openai/deployments/d/embeddings?a=b", LLM_OPENAI, false,
		       &r);
	assert_false(r.has_prefix);
	assert_string_equal(r.rest, "/openai/deployments/d/embeddings?a=b");
	llm_route_find("POST", "/v1/models/m:countTokens", LLM_GEMINI, false, &r);
	assert_false(r.has_prefix);
	assert_string_equal(r.rest, "/v1/models/m:countTokens");
}

static void clean(const char *target, const char *want)
{
	_buf_free_ struct buf out = {};

	llm_target_clean(target, &out);
	assert_string_equal(out.s, want);
}

static void test_credentials_leave_the_query(void **state)
{
	(void)state;
	clean("/p", "/p");
	clean("/p?", "/p");
	clean("/p?key=SECRET", "/p");
	clean("/p?alt=sse&key=SECRET", "/p?alt=sse");
	clean("/p?key=SECRET&alt=sse", "/p?alt=sse");
	clean("/p?limit=1&key=S&beta=true&access_token=T&KEY=U", "/p?limit=1&beta=true");
	clean("/p?%6bey=SECRET&ke%79=x&beta=%6b", "/p?beta=%6b");
	clean("/p?&&beta&&", "/p?beta");
	clean("/p?key&monkey=1&keys=2&api-version=3", "/p?api-version=3");
}

/* Parameters of Google's APIs by which an answer has no usage, or is no JSON. */
static void test_what_changes_answers_leaves_the_query(void **state)
{
	(void)state;
	clean("/p?fields=candidates", "/p");
	clean("/p?alt=sse&$fields=candidates&%66ields=x&FIELDS=y", "/p?alt=sse");
	clean("/p?alt=proto&alt=media&alt=json&alt=ssex&alt=", "/p?alt=json");
	clean("/p?callback=f&prettyPrint=false&upload_protocol=x", "/p");
	clean("/p?api-versionx=1&xbeta=1", "/p");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openai),
		cmocka_unit_test(test_openai_refused),
		cmocka_unit_test(test_anthropic),
		cmocka_unit_test(test_gemini),
		cmocka_unit_test(test_what_goes_upstream),
		cmocka_unit_test(test_credentials_leave_the_query),
		cmocka_unit_test(test_what_changes_answers_leaves_the_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
