/* SPDX-License-Identifier: Apache-2.0 */
/* The chain of an audit log's lines: what is added, found again, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "audit/chain.h"

static void test_hash(void **state)
{
	uint8_t hash[CHAIN_HASH_SIZE];
	char hex[CHAIN_HEX_SIZE];

	/* FIPS 180-2, appendix B.1 */
	chain_hash("abc", 3, hash);
	chain_hex(hash, hex);
	assert_string_equal(hex,
			    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_lines(void **state)
{
	const char nul[] = "{\"a\0b\":1}";

	assert_true(chain_is_line("{\"a\":1}", 7));
	assert_false(chain_is_line("{}", 2));
	assert_false(chain_is_line("{\"a\":1", 6));
	assert_false(chain_is_line("[\"a\",1]", 7));
	assert_false(chain_is_line("{\"a\":\n1}", 8));
	assert_false(chain_is_line(nul, sizeof(nul) - 1));
	assert_false(chain_is_line("", 0));
}

static void test_add(void **state)
{
	_buf_free_ struct buf out = {};
	struct chain_link last = {};
	struct chain_tail tail;
	uint8_t hash[CHAIN_HASH_SIZE];
	const char *line = "{\"a\":1}", *second;

	chain_add(&out, &last, "box", line, strlen(line));
	assert_string_equal(out.s,
			    "{\"a\":1,\"line\":{\"number\":1,\"writer\":\"box\",\"previous\":"
			    "\"0000000000000000000000000000000000000000000000000000000000000000"
			    "\"}}\n");
	assert_int_equal(last.number, 1);
	chain_hash(out.s, out.len - 1, hash);
	assert_memory_equal(hash, last.hash, sizeof(hash));
	second = strchr(out.s, '\n') + 1;
	chain_add(&out, &last, "other", line, strlen(line));
	second = strchr(out.s, '\n') + 1;
	assert_true(chain_tail_of(second, strlen(second) - 1, &tail));
	assert_int_equal(tail.number, 2);
	assert_memory_equal(tail.previous, hash, sizeof(hash));
	assert_int_equal(tail.writer_len, 5);
	assert_memory_equal(tail.writer, "other", 5);
	assert_int_equal(tail.body, strlen(line) - 1);
}

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define TAIL(number, writer, hex)                                       \
	"{\"a\":1,\"line\":{\"number\":" number ",\"writer\":\"" writer \
	"\",\"previous\":\"" hex "\"}}"

/* A member of the same name, or its look in a string, is the line's own. */
static void test_forged(void **state)
{
	const char *const lines[] = {
		"{\"line\":{\"number\":7,\"writer\":\"x\",\"previous\":\"" ZEROS "\"}}",
		"{\"a\":\",\\\"line\\\":{\\\"number\\\":7\"}",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		_buf_free_ struct buf out = {};
		struct chain_link last = { .number = 41 };
		struct chain_tail tail;

		chain_add(&out, &last, "box", lines[i], strlen(lines[i]));
		assert_true(chain_tail_of(out.s, out.len - 1, &tail));
		assert_int_equal(tail.number, 42);
		assert_int_equal(tail.body, strlen(lines[i]) - 1);
	}
}

static void test_odd_tails(void **state)
{
	static const char *const odd[] = {
		"",
		"{\"a\":1}",
		TAIL("0", "x", ZEROS),
		TAIL("1", "", ZEROS),
		TAIL("1", "a\x1b[31m", ZEROS),
		TAIL("01", "x", ZEROS),
		TAIL("-1", "x", ZEROS),
		TAIL("", "x", ZEROS),
		TAIL("99999999999999999999", "x", ZEROS),
		TAIL("1", "x", "0" ZEROS),
		TAIL("1", "x", "A" ZEROS),
		"x,\"line\":{\"number\":1,\"writer\":\"x\",\"previous\":\"" ZEROS "\"}}",
		",\"line\":{\"number\":1,\"writer\":\"x\",\"previous\":\"" ZEROS "\"}}",
		"\",\"previous\":\"" ZEROS "\"}}",
	};
	struct chain_tail tail;

	assert_true(chain_tail_of(TAIL("1", "x", ZEROS), strlen(TAIL("1", "x", ZEROS)),
				  &tail));
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		assert_false(chain_tail_of(odd[i], strlen(odd[i]), &tail));
}

static void test_head(void **state)
{
	struct chain_head h = { .last = { .number = INT64_MAX, .hash = { 1, 2, 0xff } },
				.size = INT64_MAX },
			  got;
	char text[CHAIN_HEAD_SIZE];

	chain_head_format(&h, text);
	assert_true(chain_head_parse(text, sizeof(text), &got));
	assert_int_equal(got.last.number, h.last.number);
	assert_int_equal(got.size, h.size);
	assert_memory_equal(got.last.hash, h.last.hash, CHAIN_HASH_SIZE);
	assert_false(chain_head_parse(text, sizeof(text) - 1, &got));
	text[CHAIN_HEAD_SIZE - 2] = 'x';
	assert_false(chain_head_parse(text, sizeof(text), &got));
	memset(text, 0, sizeof(text));
	assert_false(chain_head_parse(text, sizeof(text), &got));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hash),	  cmocka_unit_test(test_lines),
		cmocka_unit_test(test_add),	  cmocka_unit_test(test_forged),
		cmocka_unit_test(test_odd_tails), cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
