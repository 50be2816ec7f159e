/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must not leave in requests, with the patterns that are shipped. The examples are put together
 * here, so that no scanner takes this file for a leak. Patterns: data/, through $srcdir.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "gateway/scan.h"

static struct scan_rules *shipped;

static int load(void **state)
{
	const char *top = getenv("srcdir");
	_free_ char *path = str_printf("%s/data/sensitive_patterns", top ? top : ".");
	_free_ char *text = NULL;
	struct err e = {};
	size_t len = 0;
	FILE *f;

	(void)state;
	assert_non_null(path);
	f = fopen(path, "re");
	assert_non_null(f);
	text = calloc(1, 65536);
	assert_non_null(text);
	len = fread(text, 1, 65535, f);
	fclose(f);
	if (scan_rules_parse(text, len, path, &shipped, &e) < 0)
		fail_msg("%s", e.msg);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	scan_rules_free(shipped);
	return 0;
}

/* The body with what was found taken out. */
static void expect(const char *body, const char *want)
{
	struct scan_findings found;
	_json_free_ struct json *j = NULL;
	struct edits edits = {};
	size_t len = strlen(body), n;
	struct err e = {};
	char out[4096];

	scan_body(shipped, body, len, &found);
	assert_true(scan_redact(&found, &edits));
	n = edits_read(&edits, body, len, 0, out, sizeof(out) - 1);
	out[n] = '\0';
	assert_string_equal(out, want);
	if (json_parse(out, n, "body", &j, &e) < 0)
		fail_msg("%s", e.msg);
}

#define B16 "abcd1234EFGH5678"
#define B32 B16 B16

static void test_keys(void **state)
{
	(void)state;
	expect("{\"a\":\"use sk-" B32 " now\"}",
	       "{\"a\":\"use [REDACTED:openai-key] now\"}");
	expect("[\"sk-ant-api03-" B32 "_x\"]", "[\"[REDACTED:anthropic-key]\"]");
	expect("[\"KEY=AKIA"
	       "ABCDEFGH12345678\"]",
	       "[\"KEY=[REDACTED:aws-access-key]\"]");
	expect("[\"gh"
	       "p_" B32 "abcd\\nx\"]",
	       "[\"[REDACTED:github-token]\\nx\"]");
	/* As a key of an object; two in a text; in two texts. */
	expect("{\"AIza" B32 "abc\":1}", "{\"[REDACTED:google-api-key]\":1}");
	expect("[\"sk-" B32 ",sk-" B32 "\",\"sk-" B32 "\"]",
	       "[\"[REDACTED:openai-key],[REDACTED:openai-key]\",\"[REDACTED:openai-key]\"]");
}

static void test_what_is_no_key(void **state)
{
	static const char *const bodies[] = {
		"[\"task-" B32 "\"]", /* in the midst of a word */
		"[\"sk-" B16 "\"]",   /* too short */
		"[\"sk-this-is-where-your-own-key-goes-ok\"]", /* no digit */
		"[\"AKIAABCDEFGH12345678X\"]", /* too long for one of a fixed length */
		"[\"AKIA\",\"ABCDEFGH12345678\"]", /* two texts */
		"[\"AKIAABCDEFGH1234567\\u00e9\"]",
		"[]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		expect(bodies[i], bodies[i]);
}

/* What is written with escapes is the same to who reads it. */
static void test_escapes(void **state)
{
	(void)state;
	expect("[\"\\u0073k\\u002d" B32 "\"]", "[\"[REDACTED:openai-key]\"]");
	expect("[\"x\\\"sk-" B32 "\\\"x\"]", "[\"x\\\"[REDACTED:openai-key]\\\"x\"]");
	expect("[\"\\\\sk-" B32 "\\\\\"]", "[\"\\\\[REDACTED:openai-key]\\\\\"]");
	expect("[\"AKIA\\u0041BCDEFGH12345678\"]", "[\"[REDACTED:aws-access-key]\"]");
	expect("[\"-----BEGIN RSA PRIVATE KEY-----\\n" B32 B32 "\\n" B32 "==\\n-----END RSA "
	       "PRIVATE KEY-----\\n\"]",
	       "[\"-----BEGIN RSA [REDACTED:private-key]\"]");
}

static void test_cards(void **state)
{
	(void)state;
	expect("[\"4111"
	       "111111111111\"]",
	       "[\"[REDACTED:payment-card]\"]");
	expect("[\"card 4111 1111 "
	       "1111 1111 12/27\"]",
	       "[\"card [REDACTED:payment-card] 12/27\"]");
	expect("[\"4111-1111-"
	       "1111-1111.\"]",
	       "[\"[REDACTED:payment-card].\"]");
	expect("[\"no 1234 5555 5555 "
	       "5555 4444 5678\"]",
	       "[\"no 1234 [REDACTED:payment-card] 5678\"]");
	expect("[\"3782 822463 "
	       "10005\"]",
	       "[\"[REDACTED:payment-card]\"]");
	expect("[\"2223003"
	       "122003222\"]",
	       "[\"[REDACTED:payment-card]\"]");
}

static void test_what_is_no_card(void **state)
{
	static const char *const bodies[] = {
		"[\"4111"
		"111111111112\"]", /* the check digit */
		"[\"14111"
		"1111111111110\"]", /* no issuer */
		"[\"x4111"
		"111111111111\"]", /* a part of a word */
		"[\"4111"
		"111111111111x\"]",
		"[\"4111"
		"11111111111100000000\"]", /* a part of a number */
		"[\"4111  1111 "
		"1111 1111\"]", /* two spaces */
		"[\"4111,1111,"
		"1111,1111\"]",
		"[\"41 11 11 11 11 11 "
		"11 11\"]",
		"[4111"
		"111111111111]", /* a number is no text */
		"[\"2025-11-22 09:41:42.123456\"]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		expect(bodies[i], bodies[i]);
}

static void test_many(void **state)
{
	_buf_free_ struct buf body = {};
	struct scan_findings found;
	struct edits edits = {};

	(void)state;
	buf_adds(&body, "[\"");
	for (int i = 0; i < SCAN_FINDINGS_MAX; i++)
		buf_adds(&body, "sk-" B32 " ");
	scan_body(shipped, body.s, body.len, &found);
	assert_int_equal(found.n, SCAN_FINDINGS_MAX);
	assert_false(found.are_more);
	assert_true(scan_redact(&found, &edits));
	buf_adds(&body, "sk-" B32 "\"]");
	scan_body(shipped, body.s, body.len, &found);
	assert_true(found.are_more);
	edits.n = 0;
	assert_false(scan_redact(&found, &edits));
}

/* A beginning within one that does not come to its end. */
static void test_beginnings_within_others(void **state)
{
	const char *text = "long a-bz 0-9 1-9\nshort -b 0-9 1-9\n",
		   *body = "[\"a-b12 a-bz34\"]";
	_scan_rules_free_ struct scan_rules *r = NULL;
	struct scan_findings found;
	struct err e = {};

	(void)state;
	assert_int_equal(scan_rules_parse(text, strlen(text), "f", &r, &e), 0);
	scan_body(r, body, strlen(body), &found);
	assert_int_equal(found.n, 2);
	assert_string_equal(found.v[0].rule, "short");
	assert_int_equal(found.v[0].start, 3);
	assert_int_equal(found.v[0].end, 7);
	assert_string_equal(found.v[1].rule, "long");
	assert_int_equal(found.v[1].start, 8);
	assert_int_equal(found.v[1].end, 14);
}

static void refused(const char *text, const char *why)
{
	struct scan_rules *r = NULL;
	struct err e = {};

	assert_int_equal(scan_rules_parse(text, strlen(text), "f", &r, &e), -EINVAL);
	if (!strstr(e.msg, why))
		fail_msg("'%s' is not in '%s'", why, e.msg);
}

static void test_files(void **state)
{
	(void)state;
	refused("# c\n\na b", "f:3: is not NAME");
	refused("a ab x 1-2 y\n", "f:1: has more than");
	refused("A ab x 1-2", "a name has");
	refused("a b x 1-2", "a beginning has 2 to 32");
	refused("a abcdefghijklmnopqrstuvwxyz0123456 x 1-2", "a beginning has 2 to 32");
	refused("a ab z-a 1-2", "no list of ranges");
	refused("a ab \303\251 1-2", "no list of ranges");
	refused("a ab x 2-1", "not LEAST-MOST");
	refused("a ab x 0-1", "not LEAST-MOST");
	refused("a ab x 5", "not LEAST-MOST");
	refused("a ab x 1-99999", "not LEAST-MOST");
	refused("a ab x -1-5", "not LEAST-MOST");
	refused("a card\nb card", "f:2: cards are given twice");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_what_is_no_key),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_cards),
		cmocka_unit_test(test_what_is_no_card),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_beginnings_within_others),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, load, unload);
}
