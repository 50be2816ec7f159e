/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers: see num.h. */
#include "base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static int parse_digits(const char *s, unsigned int base, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int d = (unsigned int)digit_value(*s);

		if (d >= base)
			return -EINVAL;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v)) {
			/* Junk after an overflow is junk all the same. */
			for (; *s; s++)
				if ((unsigned int)digit_value(*s) >= base)
					return -EINVAL;
			return -ERANGE;
		}
	}
	*ret = v;
	return 0;
}

int num_u64(const char *s, uint64_t *ret)
{
	return parse_digits(s, 10, ret);
}

int num_i64(const char *s, int64_t *ret)
{
	uint64_t v = 0;
	int r;

	if (*s != '-') {
		r = parse_digits(s, 10, &v);
		if (r == 0 && v > INT64_MAX)
			r = -ERANGE;
		if (r == 0)
			*ret = (int64_t)v;
		return r;
	}
	r = parse_digits(s + 1, 10, &v);
	if (r == 0 && v > (uint64_t)INT64_MAX + 1)
		r = -ERANGE;
	if (r == 0)
		*ret = (int64_t)(0 - v);
	return r;
}

int num_u32(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r = num_u64(s, &v);

	if (r == 0 && v > UINT32_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

int num_i32(const char *s, int32_t *ret)
{
	int64_t v;
	int r = num_i64(s, &v);

	if (r == 0 && (v > INT32_MAX || v < INT32_MIN))
		r = -ERANGE;
	if (r == 0)
		*ret = (int32_t)v;
	return r;
}

int num_u64_any_base(const char *s, uint64_t *ret)
{
	if (s[0] != '0' || s[1] == '\0')
		return parse_digits(s, 10, ret);
	if (s[1] == 'x' || s[1] == 'X')
		return parse_digits(s + 2, 16, ret);
	if (s[1] == 'o')
		return parse_digits(s + 2, 8, ret);
	return -EINVAL;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int num_decimal(const char **s, int decimals, uint64_t *ret)
{
	const char *p = *s;
	bool overflow = false;
	uint64_t v = 0;
	int part = -1;

	if (!is_digit(*p))
		return -EINVAL;
	for (;; p++) {
		if (*p == '.' && part < 0 && is_digit(p[1])) {
			part = 0;
			continue;
		}
		if (!is_digit(*p))
			break;
		if (part >= 0 && ++part > decimals)
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			overflow = true;
	}
	for (part = part < 0 ? 0 : part; part < decimals; part++) {
		if (__builtin_mul_overflow(v, 10, &v))
			overflow = true;
	}
	*s = p;
	if (overflow)
		return -ERANGE;
	*ret = v;
	return 0;
}
