/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, vectors, maps and buffers: see str.h. */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

bool streq_null(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return streq(a, b);
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t ls = strlen(s), lx = strlen(suffix);

	return ls >= lx && streq(s + ls - lx, suffix);
}

bool str_is_utf8(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s, *end = p + len;

	while (p < end) {
		/* The range of the second byte is what rules out overlong forms and surrogates. */
		unsigned char c = *p++, lo = 0x80, hi = 0xbf;
		int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;

		if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || end - p < more)
			return false;
		if (c == 0xe0)
			lo = 0xa0;
		else if (c == 0xf0)
			lo = 0x90;
		if (c == 0xed)
			hi = 0x9f;
		else if (c == 0xf4)
			hi = 0x8f;
		for (; more > 0; more--, lo = 0x80, hi = 0xbf, p++)
			if (*p < lo || *p > hi)
				return false;
	}
	return true;
}

void str_unescape_octal(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' &&
		    s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

char *str_printf(const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : s;
}

/* Takes ownership of s, which may be NULL (out of memory). */
static int strv_push(struct strv *l, char *s)
{
	char **v;

	if (!s)
		return -ENOMEM;
	v = realloc(l->v, (l->n + 2) * sizeof(*v));
	if (!v) {
		free(s);
		return -ENOMEM;
	}
	v[l->n++] = s;
	v[l->n] = NULL;
	l->v = v;
	return 0;
}

int strv_add(struct strv *l, const char *s)
{
	return strv_push(l, strdup(s));
}

int strv_addf(struct strv *l, const char *fmt, ...)
{
	char text[256], *s = NULL;
	va_list ap;
	int n;

	/* Most are short: one allocation of the right size. */
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(text))
		return strv_add(l, text);
	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return strv_push(l, n < 0 ? NULL : s);
}

bool strv_contains(const struct strv *l, const char *s)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->v[i], s))
			return true;
	return false;
}

void strv_remove(struct strv *l, size_t at)
{
	if (at >= l->n)
		return;
	free(l->v[at]);
	memmove(&l->v[at], &l->v[at + 1], (l->n - at) * sizeof(*l->v));
	l->n--;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(struct strv *l)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), compare_strings);
}

int strv_copy(const struct strv *from, struct strv *ret)
{
	struct strv l = {};

	for (size_t i = 0; i < from->n; i++) {
		if (strv_add(&l, from->v[i]) < 0) {
			strv_free(&l);
			return -ENOMEM;
		}
	}
	*ret = l;
	return 0;
}

void strv_free(struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct strv){};
}

const char *strmap_get(const struct strmap *m, const char *k)
{
	for (size_t i = 0; i < m->n; i++)
		if (streq(m->k[i], k))
			return m->v[i];
	return NULL;
}

static int strmap_append(struct strmap *m, const char *k, const char *v)
{
	char **ks, **vs, *key, *value;

	ks = realloc(m->k, (m->n + 1) * sizeof(*ks));
	if (!ks)
		return -ENOMEM;
	m->k = ks;
	vs = realloc(m->v, (m->n + 1) * sizeof(*vs));
	if (!vs)
		return -ENOMEM;
	m->v = vs;
	key = strdup(k);
	value = strdup(v);
	if (!key || !value) {
		free(key);
		free(value);
		return -ENOMEM;
	}
	m->k[m->n] = key;
	m->v[m->n++] = value;
	return 0;
}

int strmap_set(struct strmap *m, const char *k, const char *v)
{
	for (size_t i = 0; i < m->n; i++) {
		char *copy;

		if (!streq(m->k[i], k))
			continue;
		copy = strdup(v);
		if (!copy)
			return -ENOMEM;
		free(m->v[i]);
		m->v[i] = copy;
		return 0;
	}
	return strmap_append(m, k, v);
}

int strmap_copy(const struct strmap *from, struct strmap *ret)
{
	struct strmap m = {};

	for (size_t i = 0; i < from->n; i++) {
		if (strmap_append(&m, from->k[i], from->v[i]) < 0) {
			strmap_free(&m);
			return -ENOMEM;
		}
	}
	*ret = m;
	return 0;
}

void strmap_free(struct strmap *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->k[i]);
		free(m->v[i]);
	}
	free(m->k);
	free(m->v);
	*m = (struct strmap){};
}

void buf_add(struct buf *b, const char *s, size_t len)
{
	if (b->failed)
		return;
	if (b->len + len + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 256;
		char *p;

		while (cap < b->len + len + 1)
			cap *= 2;
		p = realloc(b->s, cap);
		if (!p) {
			b->failed = true;
			return;
		}
		b->s = p;
		b->cap = cap;
	}
	/* memcpy() must not be given NULL, which is what an empty buffer is. */
	if (len > 0)
		memcpy(b->s + b->len, s, len);
	b->len += len;
	b->s[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *s = NULL;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
		return;
	}
	buf_add(b, s, (size_t)n);
	free(s);
}

void buf_free(struct buf *b)
{
	free(b->s);
	*b = (struct buf){};
}

#define SUGGEST_MAX 64

/* Edits from a to b: insert, remove, change, or swap two neighbours. Both are shorter than
 * SUGGEST_MAX. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t rows[3][SUGGEST_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= lb; j++)
		above[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *spare;

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);

			if (above[j] + 1 < best)
				best = above[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			row[j] = best;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[lb];
}

const char *str_suggest(const char *word, const char *(*next)(const void *arg, size_t i),
			const void *arg)
{
	size_t len = strlen(word), limit = len / 3, nearest = SIZE_MAX;
	const char *candidate, *best = NULL;

	if (len == 0 || len >= SUGGEST_MAX)
		return NULL;
	if (limit < 1)
		limit = 1;
	if (limit > 3)
		limit = 3;
	for (size_t i = 0; (candidate = next(arg, i)); i++) {
		size_t d;

		if (strlen(candidate) >= SUGGEST_MAX)
			continue;
		d = edit_distance(word, candidate);
		if (d <= limit && d < nearest) {
			nearest = d;
			best = candidate;
		}
	}
	return best;
}
