/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers as whole ones: see decimal.h. No floating point, no locale. */
#include "gateway/decimal.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>

#define EXPONENT_MAX 100000

struct decimal {
	uint64_t digits; /* at most 19 */
	int exponent;
	bool more; /* digits beyond those were not zero */
};

static void add_digit(struct decimal *d, char c, bool fraction)
{
	if (d->digits >= UINT64_C(1000000000000000000)) {
		d->more |= c != '0';
		d->exponent += !fraction;
		return;
	}
	d->digits = d->digits * 10 + (uint64_t)(c - '0');
	d->exponent -= fraction;
}

static int read_exponent(const char *s, int *ret)
{
	bool negative = *s == '-';
	int v = 0;

	s += *s == '+' || *s == '-';
	if (!*s)
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (v < EXPONENT_MAX)
			v = v * 10 + (*s - '0');
	*ret = negative ? -v : v;
	return *s ? -EINVAL : 0;
}

static int read_decimal(const char *s, struct decimal *d)
{
	bool fraction = false;
	int exponent = 0;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s) || (*s == '.' && !fraction); s++) {
		if (*s == '.')
			fraction = true;
		else
			add_digit(d, *s, fraction);
	}
	if (*s == 'e' || *s == 'E') {
		if (read_exponent(s + 1, &exponent) < 0)
			return -EINVAL;
	} else if (*s) {
		return -EINVAL;
	}
	d->exponent += exponent;
	return 0;
}

int decimal_scale(const char *s, int shift, int64_t *ret)
{
	struct decimal d = {};
	uint64_t v;
	bool rest;

	if (read_decimal(s, &d) < 0)
		return -EINVAL;
	rest = d.more;
	v = d.digits;
	d.exponent += shift;
	for (; d.exponent > 0 && v > 0; d.exponent--)
		if (__builtin_mul_overflow(v, 10, &v))
			return -ERANGE;
	for (; d.exponent < 0 && v > 0; d.exponent++) {
		rest |= v % 10 != 0;
		v /= 10;
	}
	v += rest;
	if (v > INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)v;
	return 0;
}
