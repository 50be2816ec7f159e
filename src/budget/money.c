/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of money as text: see money.h. Pure; the text may be foreign. */
#include "budget/money.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

int money_parse(const char *s, int64_t *ret)
{
	const char *p = *s == '$' ? s + 1 : s;
	uint64_t v = 0;
	int r = num_decimal(&p, 12, &v);

	if (r == -EINVAL || *p)
		return -EINVAL;
	if (r < 0 || v > INT64_MAX)
		return -ERANGE;
	*ret = (int64_t)v;
	return 0;
}

struct money_text money_text(int64_t picodollars)
{
	uint64_t v = picodollars < 0 ? 0 - (uint64_t)picodollars : (uint64_t)picodollars;
	struct money_text t;
	size_t len;

	snprintf(t.s, sizeof(t.s), "%s$%" PRIu64 ".%012" PRIu64,
		 picodollars < 0 ? "-" : "", v / MONEY_DOLLAR, v % MONEY_DOLLAR);
	len = strlen(t.s);
	/* Two decimals stay: the dot is then the third character from the end. */
	while (t.s[len - 1] == '0' && t.s[len - 3] != '.')
		t.s[--len] = '\0';
	return t;
}
