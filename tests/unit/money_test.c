/* SPDX-License-Identifier: Apache-2.0 */
/* Unit tests of src/budget/money.c: sums of money as text, and arithmetic that does not wrap. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "budget/money.h"

static void test_parse(void **state)
{
	static const struct {
		const char *text;
		int r;
		int64_t want;
	} rows[] = {
		{ "$5.00", 0, 5 * MONEY_DOLLAR },
		{ "5", 0, 5 * MONEY_DOLLAR },
		{ "0", 0, 0 },
		{ "$0.000000000001", 0, 1 },
		{ "0.1", 0, 100000000000 },
		{ "007.50", 0, 7500000000000 },
		{ "9223372.036854775807", 0, INT64_MAX },
		{ "9223372.036854775808", -ERANGE, 0 },
		{ "9223373", -ERANGE, 0 },
		{ "99999999999999999999999999", -ERANGE, 0 },
		{ "0.0000000000001", -EINVAL, 0 },
		{ "1.0000000000000", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "$", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "$-1", -EINVAL, 0 },
		{ "$$1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ ".5", -EINVAL, 0 },
		{ "1.2.3", -EINVAL, 0 },
		{ "1e3", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1,000", -EINVAL, 0 },
		{ "99999999999999999999999999x", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t v = -7;
		int r = money_parse(rows[i].text, &v);

		if (r != rows[i].r || v != (r < 0 ? -7 : rows[i].want))
			fail_msg("'%s': %d, %lld", rows[i].text, r, (long long)v);
	}
}

static void test_text(void **state)
{
	static const struct {
		int64_t sum;
		const char *want;
	} rows[] = {
		{ 0, "$0.00" },
		{ 1, "$0.000000000001" },
		{ MONEY_DOLLAR / 10, "$0.10" },
		{ MONEY_DOLLAR / 1000, "$0.001" },
		{ 5 * MONEY_DOLLAR, "$5.00" },
		{ 1234500000000, "$1.2345" },
		{ 100 * MONEY_DOLLAR, "$100.00" },
		{ INT64_MAX, "$9223372.036854775807" },
		{ -1, "-$0.000000000001" },
		{ -5 * MONEY_DOLLAR, "-$5.00" },
		{ INT64_MIN, "-$9223372.036854775808" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(money_text(rows[i].sum).s, rows[i].want);
}

/* What is written is read again, as the same sum. */
static void test_round_trip(void **state)
{
	uint64_t v = 88172645463325252u;

	for (int i = 0; i < 100000; i++) {
		int64_t sum, back = -1;

		v ^= v << 13;
		v ^= v >> 7;
		v ^= v << 17;
		sum = (int64_t)(v >> (1 + v % 63));
		assert_int_equal(money_parse(money_text(sum).s, &back), 0);
		assert_int_equal(back, sum);
	}
}

static void test_arithmetic(void **state)
{
	int64_t v = 3;

	assert_true(money_add(INT64_MAX - 1, 1, &v));
	assert_int_equal(v, INT64_MAX);
	v = 3;
	assert_false(money_add(INT64_MAX, 1, &v));
	assert_false(money_add(INT64_MIN, -1, &v));
	assert_false(money_mul(INT64_MAX, 2, &v));
	assert_false(money_mul(INT64_MIN, -1, &v));
	assert_int_equal(v, 3);
	assert_true(money_mul(1000000, 150000000, &v));
	assert_int_equal(v, 150 * MONEY_DOLLAR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_arithmetic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
