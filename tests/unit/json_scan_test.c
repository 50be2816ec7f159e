/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as it passes: what is a document, which tokens it has, and that it may be split anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/json_scan.h"

/* One line a token: kind, place, path and text. */
static bool write_token(void *ctx, const struct json_token *t)
{
	static const char kinds[] = "{}[]ksn10-";

	buf_addf(ctx, "%c%u %d-%d %s=%s%s%s\n", kinds[t->type], t->depth, (int)t->start,
		 (int)t->end, t->path, t->text, t->is_cut ? " cut" : "",
		 t->is_odd ? " odd" : "");
	return true;
}

/* The document in pieces that end at `split`, one byte at a time for SIZE_MAX. */
static bool scan(const char *doc, size_t len, size_t split, struct buf *out,
		 const char **ret_fault)
{
	static struct json_scan s;
	bool good = true;

	json_scan_begin(&s, write_token, out);
	if (split == SIZE_MAX) {
		for (size_t i = 0; i < len && good; i++)
			good = json_scan_feed(&s, doc + i, 1);
	} else {
		good = json_scan_feed(&s, doc, split) &&
		       json_scan_feed(&s, doc + split, len - split);
	}
	good = good && json_scan_end(&s);
	if (ret_fault)
		*ret_fault = s.fault;
	return good;
}

static void expect(const char *doc, const char *tokens)
{
	size_t len = strlen(doc);

	for (size_t split = 0; split <= len + 1; split++) {
		_buf_free_ struct buf out = {};

		assert_true(scan(doc, len, split > len ? SIZE_MAX : split, &out, NULL));
		assert_string_equal(out.s, tokens);
	}
}

static void expect_refused(const char *doc, size_t len, const char *why)
{
	for (size_t split = 0; split <= len + 1; split++) {
		_buf_free_ struct buf out = {};
		const char *fault = NULL;

		assert_false(scan(doc, len, split > len ? SIZE_MAX : split, &out, &fault));
		assert_non_null(fault);
		assert_string_equal(fault, why);
	}
}

static void test_tokens(void **state)
{
	(void)state;
	expect("{\"a\": 1, \"b\":[true ,{\"c\":\"x\"}, null],\"d\":-1.5e+3}",
	       "{0 0-1 =\n"
	       "k1 1-4 a=a\n"
	       "n1 6-7 a=1\n"
	       "k1 9-12 b=b\n"
	       "[1 13-14 b=\n"
	       "12 14-18 b.#=t\n"
	       "{2 20-21 b.#=\n"
	       "k3 21-24 b.#.c=c\n"
	       "s3 25-28 b.#.c=x\n"
	       "}2 28-29 b.#=\n"
	       "-2 31-35 b.#=n\n"
	       "]1 35-36 b=\n"
	       "k1 37-40 d=d\n"
	       "n1 41-48 d=-1.5e+3\n"
	       "}0 48-49 =\n");
	expect(" [] ", "[0 1-2 =\n]0 2-3 =\n");
	expect("{}\r\n", "{0 0-1 =\n}0 1-2 =\n");
	expect("0", "n0 0-1 =0\n");
	expect("\"x\"", "s0 0-3 =x\n");
}

static void test_texts(void **state)
{
	(void)state;
	expect("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\"]",
	       "[0 0-1 =\ns1 1-37 #=\"\\/\b\f\n\r\tA\303\251\342\202\254\n]0 37-38 =\n");
	expect("[\"\\ud83d\\ude00\"]", "[0 0-1 =\ns1 1-15 #=\360\237\230\200\n]0 15-16 =\n");
	/* Half a pair, before text, before another escape, at the end. */
	expect("[\"\\ud83dx\"]", "[0 0-1 =\ns1 1-10 #=\357\277\275x odd\n]0 10-11 =\n");
	expect("[\"\\ud83d\\n\"]", "[0 0-1 =\ns1 1-11 #=\357\277\275\n odd\n]0 11-12 =\n");
	expect("[\"\\ud83d\"]", "[0 0-1 =\ns1 1-9 #=\357\277\275 odd\n]0 9-10 =\n");
	expect("[\"\\ude00\"]", "[0 0-1 =\ns1 1-9 #=\357\277\275 odd\n]0 9-10 =\n");
	expect("[\"\303\251\360\237\230\200\"]",
	       "[0 0-1 =\ns1 1-9 #=\303\251\360\237\230\200\n]0 9-10 =\n");
}

static void test_refused(void **state)
{
	static const struct {
		const char *doc, *why;
	} cases[] = {
		{ "", "is empty" },
		{ " ", "ends too early" },
		{ "{", "ends too early" },
		{ "{\"a\"", "ends too early" },
		{ "[1,]", "is not JSON" },
		{ "{\"a\":1,}", "is not JSON" },
		{ "{,}", "is not JSON" },
		{ "[1 2]", "is not JSON" },
		{ "{\"a\" 1}", "is not JSON" },
		{ "{a:1}", "is not JSON" },
		{ "[1}", "is not JSON" },
		{ "{\"a\":1]", "is not JSON" },
		{ "[]]", "has something after its end" },
		{ "{} {}", "has something after its end" },
		{ "tru", "ends too early" },
		{ "[True]", "is not JSON" },
		{ "[nul]", "is not JSON" },
		{ "[NaN]", "is not JSON" },
		{ "[+1]", "is not JSON" },
		{ "[.5]", "is not JSON" },
		{ "[01]", "is not JSON" },
		{ "[1.]", "has a number that is not whole" },
		{ "[-]", "has a number that is not whole" },
		{ "[1e]", "has a number that is not whole" },
		{ "[1e+]", "has a number that is not whole" },
		{ "1.", "ends too early" },
		{ "['a']", "is not JSON" },
		{ "[\"\\x\"]", "has an unknown escape in a string" },
		{ "[\"\\u12g4\"]", "has an unknown escape in a string" },
		{ "[\"\n\"]", "has a control character in a string" },
		{ "[\"\300\257\"]", "is not UTF-8" },
		{ "[\"\355\240\200\"]", "is not UTF-8" },
		{ "[\"\360\217\277\277\"]", "is not UTF-8" },
		{ "[\"\364\220\200\200\"]", "is not UTF-8" },
		{ "[\"\200\"]", "is not UTF-8" },
		{ "[\"\342\202\"]", "is not UTF-8" },
		{ "\357\273\277{}", "is not JSON" },
		{ "/**/{}", "is not JSON" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refused(cases[i].doc, strlen(cases[i].doc), cases[i].why);
	expect_refused("[\"a\0b\"]", 7, "has a control character in a string");
	expect_refused("[1,\0]", 5, "is not JSON");
}

static void test_depth(void **state)
{
	_buf_free_ struct buf doc = {}, out = {};
	const char *why = NULL;

	(void)state;
	for (int i = 0; i < JSON_SCAN_DEPTH_MAX; i++)
		buf_adds(&doc, "[");
	for (int i = 0; i < JSON_SCAN_DEPTH_MAX; i++)
		buf_adds(&doc, "]");
	assert_true(scan(doc.s, doc.len, 0, &out, NULL));
	doc.s[JSON_SCAN_DEPTH_MAX] = '[';
	assert_false(scan(doc.s, doc.len, 0, &out, &why));
	assert_string_equal(why, "is nested too deeply");
}

/* No key can stand for a path, or for the place in a list. */
static void test_paths_cannot_be_faked(void **state)
{
	(void)state;
	expect("{\"a.b\":{\"\":1,\"#\":{\"?\":2}}}", "{0 0-1 =\n"
						     "k1 1-6 ?=a.b\n"
						     "{1 7-8 ?=\n"
						     "k2 8-10 ?.?=\n"
						     "n2 11-12 ?.?=1\n"
						     "k2 13-16 ?.?=#\n"
						     "{2 17-18 ?.?=\n"
						     "k3 18-21 ?.?.?=?\n"
						     "n3 22-23 ?.?.?=2\n"
						     "}2 23-24 ?.?=\n"
						     "}1 24-25 ?=\n"
						     "}0 25-26 =\n");
	expect("{\"a\\u0000\":1}", "{0 0-1 =\nk1 1-10 ?=a odd\nn1 11-12 ?=1\n}0 12-13 =\n");
}

struct seen {
	unsigned int lost, found;
};

static bool watch_paths(void *ctx, const struct json_token *t)
{
	struct seen *s = ctx;

	if (t->type == JSON_TOKEN_NUMBER) {
		s->lost += strcmp(t->path, "?") == 0;
		s->found += strcmp(t->path, "z") == 0;
	}
	return true;
}

/* A path that is too long is none; what comes after has its own again. */
static void test_long_paths(void **state)
{
	_buf_free_ struct buf doc = {};
	struct seen seen = {};
	struct json_scan s;

	(void)state;
	for (int i = 0; i < 20; i++)
		buf_addf(&doc, "{\"%020d\":", i);
	buf_adds(&doc, "{\"z\":1,\"z\":[2,{\"z\":3}]}");
	for (int i = 0; i < 19; i++)
		buf_adds(&doc, "}");
	buf_adds(&doc, ",\"z\":4}");
	json_scan_begin(&s, watch_paths, &seen);
	assert_true(json_scan_feed(&s, doc.s, doc.len));
	assert_true(json_scan_end(&s));
	assert_int_equal(seen.lost, 3);
	assert_int_equal(seen.found, 1);
}

static bool take_last(void *ctx, const struct json_token *t)
{
	if (t->type == JSON_TOKEN_TEXT)
		*(struct json_token *)ctx = *t;
	return true;
}

static void test_long_texts_are_cut(void **state)
{
	_buf_free_ struct buf doc = {};
	struct json_token last = {};
	struct json_scan s;

	(void)state;
	buf_adds(&doc, "[\"");
	for (int i = 0; i < 1000; i++)
		buf_adds(&doc, "\303\251x");
	buf_adds(&doc, "\"]");
	json_scan_begin(&s, take_last, &last);
	assert_true(json_scan_feed(&s, doc.s, doc.len));
	assert_true(json_scan_end(&s));
	assert_true(last.is_cut);
	assert_int_equal(last.len, JSON_SCAN_TEXT_MAX);
	assert_int_equal(last.end - last.start, 3002);
}

static bool refuse_numbers(void *ctx, const struct json_token *t)
{
	(void)ctx;
	return t->type != JSON_TOKEN_NUMBER;
}

static void test_reader_may_refuse(void **state)
{
	struct json_scan s;

	(void)state;
	json_scan_begin(&s, refuse_numbers, NULL);
	assert_false(json_scan_feed(&s, "[1,2]", 5));
	assert_false(json_scan_feed(&s, "]", 1));
	assert_false(json_scan_end(&s));
	assert_string_equal(s.fault, "is refused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_paths_cannot_be_faked),
		cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_reader_may_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
