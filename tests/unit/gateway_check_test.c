/* SPDX-License-Identifier: Apache-2.0 */
/* What the gateway refuses by a request's head alone, and how keys are kept from answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/check.h"
#include "gateway/mask.h"

#define FIELD(n, v)                                                   \
	{                                                             \
		.name = (n), .value = (v), .name_len = sizeof(n) - 1, \
		.value_len = sizeof(v) - 1                            \
	}

static enum check_answer check(const char *target, const struct check_field *f, size_t n,
			       struct check_head *head, enum llm_refusal_reason *reason)
{
	const char *message = NULL;
	enum check_answer answer = check_request("HTTP/1.1", target, f, n, head, reason,
						 &message);

	assert_true((message != NULL) == (answer != CHECK_OK));
	return answer;
}

static void test_plain(void **state)
{
	const struct check_field f[] = {
		FIELD("host", "127.0.0.1:4141"),	FIELD("Content-Length", "12"),
		FIELD("Authorization", "bearer  key1"), FIELD("X-API-Key", "key2"),
		FIELD("Content-Encoding", "identity"),	FIELD("Expect", "100-Continue"),
	};
	enum llm_refusal_reason reason;
	struct check_head head;

	assert_int_equal(check("/openai/v1/models?a=b%20c", f, 6, &head, &reason), CHECK_OK);
	assert_string_equal(head.host, "127.0.0.1:4141");
	assert_true(head.has_length && head.length == 12 && head.expects_continue);
	assert_string_equal(head.bearer, "key1");
	assert_string_equal(head.x_api_key, "key2");
	assert_null(head.api_key);
	assert_false(head.is_upgrade || head.is_chunked);
}

static void test_framing(void **state)
{
	static const struct {
		struct check_field f[3];
	} bad[] = {
		{ { FIELD("Host", "x"), FIELD("Host", "x") } },
		{ { FIELD("X-A", "x"), FIELD("X-B", "x") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "1"),
		    FIELD("content-length", "1") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "1"),
		    FIELD("Transfer-Encoding", "chunked") } },
		{ { FIELD("Host", "x"), FIELD("Transfer-Encoding", "chunked"),
		    FIELD("Transfer-Encoding", "chunked") } },
		{ { FIELD("Host", "x"), FIELD("Transfer-Encoding", "gzip, chunked") } },
		{ { FIELD("Host", "x"), FIELD("Transfer-Encoding", "") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "+1") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "1 ") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length", "18446744073709551616") } },
		{ { FIELD("Host", "x"), FIELD("Content-Length ", "1") } },
		{ { FIELD("Host", "x"), FIELD("", "1") } },
		{ { FIELD("Host", "x"), FIELD("a\0b", "1") } },
		{ { FIELD("Host", "x"), FIELD("A", "a\0b") } },
		{ { FIELD("Host", "x"), FIELD("A", "a\rb") } },
		{ { FIELD("Host", "x"), FIELD("A", "a\x7f") } },
		{ { FIELD("Host", "x"), FIELD("Expect", "x") } },
	};
	enum llm_refusal_reason reason;
	struct check_head head;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check("/", bad[i].f, bad[i].f[2].name ? 3 : 2, &head,
				       &reason),
				 CHECK_CLOSE);
}

static void test_targets(void **state)
{
	static const char *const bad[] = { "",	    "*",     "http://x/", "/a b",
					   "/a\tb", "/\x80", "/a\\b",	  "/\x01" };
	const struct check_field host[] = { FIELD("Host", "x") };
	enum llm_refusal_reason reason;
	struct check_head head;
	char *longest = malloc(CHECK_TARGET_MAX + 2);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(check(bad[i], host, 1, &head, &reason), CHECK_CLOSE);
	memset(longest, 'a', CHECK_TARGET_MAX + 1);
	longest[0] = '/';
	longest[CHECK_TARGET_MAX + 1] = '\0';
	assert_int_equal(check(longest, host, 1, &head, &reason), CHECK_CLOSE);
	longest[CHECK_TARGET_MAX] = '\0';
	assert_int_equal(check(longest, host, 1, &head, &reason), CHECK_OK);
	free(longest);
}

static void test_compressed(void **state)
{
	const struct check_field f[] = { FIELD("Host", "x"),
					 FIELD("Content-Encoding", "br") };
	enum llm_refusal_reason reason;
	struct check_head head;

	assert_int_equal(check("/", f, 2, &head, &reason), CHECK_REFUSE);
	assert_int_equal(reason, LLM_REFUSE_ENCODING);
}

static void test_lists(void **state)
{
	static const char *const on[] = { "Content-Type", "anthropic-beta",
					  "X-Stainless-OS" };
	static const char *const not_on[] = { "Authorization",
					      "x-api-key",
					      "Cookie",
					      "Host",
					      "Connection",
					      "Transfer-Encoding",
					      "TE",
					      "X-HTTP-Method-Override",
					      "X-Forwarded-For",
					      "OpenAI-Organization",
					      "OpenAI-Project",
					      "Accept-Encoding",
					      "Content-Length",
					      "x-stainless",
					      "Proxy-Authorization",
					      "Upgrade" };
	static const char *const not_back[] = { "Set-Cookie",	    "Content-Length",
						"Connection",	    "Transfer-Encoding",
						"Content-Encoding", "Location",
						"x-purple-reason" };

	for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
		assert_true(check_passes_on(on[i]));
	for (size_t i = 0; i < sizeof(not_on) / sizeof(not_on[0]); i++)
		assert_false(check_passes_on(not_on[i]));
	for (size_t i = 0; i < sizeof(not_back) / sizeof(not_back[0]); i++)
		assert_false(check_passes_back(not_back[i]));
	assert_true(check_passes_back("Retry-After"));
}

static void test_secrets(void **state)
{
	char key[16];

	assert_true(check_secret_equal("purple-1", "purple-1"));
	assert_false(check_secret_equal("purple-", "purple-1"));
	assert_false(check_secret_equal("purple-12", "purple-1"));
	assert_false(check_secret_equal("", "purple-1"));
	assert_true(check_query_key("/a?x=1&key=a%2Db&key=c", key, sizeof(key)));
	assert_string_equal(key, "a-b");
	assert_false(check_query_key("/a?monkey=1", key, sizeof(key)));
	assert_false(check_query_key("/a", key, sizeof(key)));
	assert_false(check_query_key("/a?key=0123456789abcdef", key, sizeof(key)));
	assert_true(check_is_value("a b"));
	assert_false(check_is_value("a\nb"));
	assert_false(check_is_value(""));
}

/* A text in pieces of `step` bytes. */
static void masked(const char *secret, const char *text, size_t step, const char *want)
{
	struct mask m = { .secret = secret };
	_buf_free_ struct buf out = {};
	const char *p;
	size_t len, n = strlen(text);

	for (size_t i = 0; i < n; i += step) {
		assert_true(mask_feed(&m, text + i, n - i < step ? n - i : step, &p, &len));
		buf_add(&out, p, len);
	}
	mask_end(&m, &p, &len);
	buf_add(&out, p, len);
	assert_string_equal(out.s, want);
	mask_free(&m);
}

static void test_mask(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "none", "none" },
		{ "abababac", "********" },
		{ "xabababacx", "x********x" },
		{ "ababababac", "ab********" },
		{ "abababaabababacabababac", "abababa****************" },
		{ "abababa", "abababa" },
		{ "abababaz", "abababaz" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t step = 1; step < 12; step++)
			masked("abababac", cases[i].text, step, cases[i].want);
	masked(NULL, "abababac", 3, "abababac");
	/* Too short to be a key: words would be blotted out. */
	masked("ab", "abab", 1, "abab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	cmocka_unit_test(test_framing),
		cmocka_unit_test(test_targets), cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_lists),	cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
