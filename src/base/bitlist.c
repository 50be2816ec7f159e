/* SPDX-License-Identifier: Apache-2.0 */
/* See bitlist.h. Pure. */
#include "base/bitlist.h"

#include <ctype.h>
#include <errno.h>

static const char *skip_spaces(const char *p)
{
	while (*p == ' ')
		p++;
	return p;
}

/* One number at *p, which is moved behind it and the spaces that follow. */
static int read_number(const char **p, unsigned int *ret)
{
	unsigned int n = 0;

	if (!isdigit((unsigned char)**p))
		return -EINVAL;
	for (; isdigit((unsigned char)**p); (*p)++) {
		n = n * 10 + (unsigned int)(**p - '0');
		if (n >= BITLIST_MAX)
			return -ERANGE;
	}
	*p = skip_spaces(*p);
	*ret = n;
	return 0;
}

int bitlist_parse(const char *text, struct bitlist *ret)
{
	struct bitlist l = {};
	const char *p = skip_spaces(text);

	for (;; p = skip_spaces(p + 1)) {
		unsigned int from, to;
		int r = read_number(&p, &from);

		to = from;
		if (r == 0 && *p == '-') {
			p = skip_spaces(p + 1);
			r = read_number(&p, &to);
		}
		if (r < 0)
			return r;
		if (to < from)
			return -EINVAL;
		for (unsigned int i = from; i <= to; i++)
			l.bits[i / BITLIST_BITS_OF_LONG] |= 1UL
							    << (i % BITLIST_BITS_OF_LONG);
		if (*p != ',')
			break;
	}
	if (*p)
		return -EINVAL;
	*ret = l;
	return 0;
}
