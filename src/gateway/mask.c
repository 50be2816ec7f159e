/* SPDX-License-Identifier: Apache-2.0 */
/* See mask.h. Runs in purple-gateway. */
#include "gateway/mask.h"

#include <stdlib.h>

static size_t secret_len(const char *secret)
{
	size_t n = secret ? strlen(secret) : 0;

	return n < MASK_LEAST ? 0 : n;
}

/* How many of the last bytes could be the beginning of the secret. */
static size_t begun(const char *p, size_t len, const char *secret, size_t n)
{
	for (size_t k = len < n - 1 ? len : n - 1; k > 0; k--)
		if (p[len - k] == secret[0] && memcmp(p + len - k, secret, k) == 0)
			return k;
	return 0;
}

static void blot(char *p, size_t len, const char *secret, size_t n)
{
	char *end = p + len;

	while ((p = memmem(p, (size_t)(end - p), secret, n))) {
		memset(p, '*', n);
		p += n;
	}
}

/* What passed the last time is in front of what was held back. */
static void drop_passed(struct mask *m)
{
	if (m->passed == 0)
		return;
	m->held.len -= m->passed;
	memmove(m->held.s, m->held.s + m->passed, m->held.len);
	m->passed = 0;
}

bool mask_feed(struct mask *m, const char *p, size_t len, const char **ret, size_t *ret_len)
{
	size_t n = secret_len(m->secret);

	*ret = p;
	*ret_len = len;
	if (n == 0)
		return true;
	drop_passed(m);
	if (m->held.len == 0 && begun(p, len, m->secret, n) == 0 &&
	    !memmem(p, len, m->secret, n))
		return true;
	buf_add(&m->held, p, len);
	if (m->held.failed)
		return false;
	blot(m->held.s, m->held.len, m->secret, n);
	m->passed = m->held.len - begun(m->held.s, m->held.len, m->secret, n);
	*ret = m->held.s;
	*ret_len = m->passed;
	return true;
}

void mask_end(struct mask *m, const char **ret, size_t *ret_len)
{
	drop_passed(m);
	*ret = m->held.s;
	*ret_len = m->held.len;
	m->passed = m->held.len;
}

void mask_text(const char *secret, char *text)
{
	size_t n = secret_len(secret);

	if (n > 0)
		blot(text, strlen(text), secret, n);
}

void mask_free(struct mask *m)
{
	buf_free(&m->held);
}
