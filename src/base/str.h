/* SPDX-License-Identifier: Apache-2.0 */
/* Strings, string vectors, string maps, growing buffers. Allocation failure ends in NULL or -ENOMEM. */
#ifndef PURPLE_BASE_STR_H
#define PURPLE_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A vector of owned strings; v is NULL-terminated whenever it is not NULL itself. */
struct strv {
	char **v;
	size_t n;
};

/* An ordered map of owned strings. Keys are unique when filled by strmap_set(). */
struct strmap {
	char **k;
	char **v;
	size_t n;
};

/* A growing byte buffer that is always NUL-terminated once something was added. `failed` latches. */
struct buf {
	char *s;
	size_t len;
	size_t cap;
	bool failed;
};

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* NULL is equal to NULL only. */
bool streq_null(const char *a, const char *b);
bool str_has_prefix(const char *s, const char *prefix);
bool str_has_suffix(const char *s, const char *suffix);

/* Whether all len bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates). */
bool str_is_utf8(const char *s, size_t len);

/* \040 and the like, as mountinfo writes blanks, in place. */
void str_unescape_octal(char *s);

/* asprintf() that returns the string, or NULL when out of memory. */
char *str_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

int strv_add(struct strv *l, const char *s);
int strv_addf(struct strv *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strv_contains(const struct strv *l, const char *s);
void strv_remove(struct strv *l, size_t at);
/* As strcmp() orders them. */
void strv_sort(struct strv *l);
int strv_copy(const struct strv *from, struct strv *ret);
void strv_free(struct strv *l);

const char *strmap_get(const struct strmap *m, const char *k);
int strmap_set(struct strmap *m, const char *k, const char *v);
int strmap_copy(const struct strmap *from, struct strmap *ret);
void strmap_free(struct strmap *m);

void buf_add(struct buf *b, const char *s, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_free(struct buf *b);

#define _strv_free_ __attribute__((cleanup(strv_free)))
#define _strmap_free_ __attribute__((cleanup(strmap_free)))
#define _buf_free_ __attribute__((cleanup(buf_free)))

/*
 * The candidate nearest to `word` by edit distance, for "did you mean": NULL when none is near
 * (distance above a third of the length, at least 1, at most 3). `next(arg, i)` gives candidate
 * i, NULL at the end.
 */
const char *str_suggest(const char *word, const char *(*next)(const void *arg, size_t i),
			const void *arg);

#endif
