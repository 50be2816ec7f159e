/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Money: whole picodollars (10^-12 US dollars) in an int64, at most $9223372. Prices per token are
 * whole picodollars, and not all are whole nanodollars. Nothing here rounds, wraps or saturates.
 */
#ifndef PURPLE_BUDGET_MONEY_H
#define PURPLE_BUDGET_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#define MONEY_DOLLAR INT64_C(1000000000000)

/* *ret = a + b and *ret = a * b; false, with *ret as it was, when that does not fit. */
static inline bool money_add(int64_t a, int64_t b, int64_t *ret)
{
	int64_t v;

	if (__builtin_add_overflow(a, b, &v))
		return false;
	*ret = v;
	return true;
}

static inline bool money_mul(int64_t a, int64_t b, int64_t *ret)
{
	int64_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return false;
	*ret = v;
	return true;
}

/* "$5.00", "5", "0.000000000001": exactly. 0, -EINVAL (no sum, or more than 12 decimals), -ERANGE. */
int money_parse(const char *s, int64_t *ret);

/* The sum as "$5.00": exact, with two decimals at least; "-$5.00" below zero. */
struct money_text {
	char s[32];
};
struct money_text money_text(int64_t picodollars);

#endif
