/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reader of price files is made of: it knows where in the document it is, and reads
 * values of the kinds that such a file has. On failure the error is set and -errno returned.
 */
#ifndef PURPLE_BUDGET_PRICE_READER_H
#define PURPLE_BUDGET_PRICE_READER_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

#define PRICE_DAY (24 * 60 * 60)

/* `at` is the place, as "models[3] 'gpt-x'.price.tiers[0]". */
struct price_reader {
	const char *file;
	char at[400];
	struct err *e;
};

int price_reader_fail(struct price_reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Goes down to a member; returns where price_reader_leave() goes back to. */
size_t price_reader_enter(struct price_reader *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void price_reader_leave(struct price_reader *r, size_t len);

/* A text of the document for a message: no control characters, cut to fit. */
struct price_shown {
	char s[64];
};
struct price_shown price_reader_show(const char *text);

int price_reader_map(struct price_reader *r, const struct json *j);
int price_reader_list(struct price_reader *r, const struct json *j, size_t max);
/* All keys of the map are in one of two lists that end with NULL; `more` may be NULL itself. */
int price_reader_keys(struct price_reader *r, const struct json *j,
		      const char *const *keys, const char *const *more);

/* A whole number of 0 to max that may be absent: *ret is left then. */
int price_reader_member(struct price_reader *r, const struct json *map, const char *key,
			int64_t max, int64_t *ret);
/* A name of a model or provider, which must be there: what a URL or a request may hold. */
int price_reader_name(struct price_reader *r, const struct json *map, const char *key,
		      char **ret);
/* "HH:MM:SSZ" in seconds; a day ends at 24:00:00Z. */
int price_reader_clock(struct price_reader *r, const struct json *map, const char *key,
		       int32_t *ret);
/* "2027-01-01": when that day begins, UTC, in seconds since 1970. */
int price_reader_date(struct price_reader *r, const struct json *map, const char *key,
		      int64_t *ret);

#endif
