/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What LLM calls cost. The table is made of files in one JSON schema: the one that Purple installs
 * (data/model_prices.json) and those of the administrator, of which a later one wins. A model that
 * is in none of them has no price: that is an answer of its own, and never zero.
 *
 * Sums are exact, in picodollars. Where the table does not say what a token costs, or a usage does
 * not say which kind a token is of, the dearer rate is taken; nothing is rounded down.
 */
#ifndef PURPLE_BUDGET_PRICES_H
#define PURPLE_BUDGET_PRICES_H

#include <stdint.h>

#include "base/err.h"
#include "budget/usage.h"

/* Where Purple's own file is installed, and where the administrator's is looked for. */
#define PRICES_FILE DATADIR "/purple/model_prices.json"
#define PRICES_OVERLAY SYSCONFDIR "/purple/prices.json"

struct prices;
struct price_model;

/*
 * Adds a document to the table; *p is NULL at first. `name` begins every message, which says where
 * in the document the fault is. Refused: unknown and duplicate keys, what is negative, out of range
 * or no whole number, two models of one name, rules that no call could tell apart. On failure the
 * table is as it was.
 */
int prices_add(struct prices **p, const char *text, size_t len, const char *name,
	       struct err *e);
int prices_add_file(struct prices **p, const char *path, struct err *e);

/* Purple's own file, and the administrator's if there is one; the latter must be a regular file. */
int prices_load(const char *shipped, const char *overlay, struct prices **ret,
		struct err *e);
void prices_free(struct prices *p);

static inline void prices_freep(struct prices **p)
{
	prices_free(*p);
}
#define _prices_free_ __attribute__((cleanup(prices_freep)))

/* What came of a question to the table. All but PRICE_OK leave outputs untouched. */
enum price_answer {
	PRICE_OK,
	PRICE_UNKNOWN,	 /* no such model */
	PRICE_AMBIGUOUS, /* models of several providers go by this name */
	PRICE_NO_RATE,	 /* the model has no price for something that was used */
	PRICE_BAD_USAGE, /* negative, or a part is larger than the whole */
	PRICE_OVERFLOW,	 /* more than an int64 of picodollars holds */
	PRICE_TOO_DEAR,	 /* the input alone costs more than there is */
};
const char *price_answer_text(enum price_answer a);

/*
 * The model that a name stands for: an exact name, then without the provider before a slash
 * ("openai/", "models/"), then without the date at its end, then the longest prefix. `provider`
 * may be NULL; if the table knows it, its models come first.
 */
enum price_answer prices_find(const struct prices *p, const char *provider,
			      const char *name, const struct price_model **ret);

const char *price_model_id(const struct price_model *m);
const char *price_model_provider(const struct price_model *m);
/* The most tokens that an answer can have; 0 when the table does not say. */
int64_t price_model_max_output(const struct price_model *m);
int64_t price_model_context(const struct price_model *m);

/*
 * What a call cost that ended at `now` (seconds since 1970). `service` is the tier that the answer
 * names ("priority"), or NULL. One that the table has no prices for is charged as the usual one if
 * it is known to be cheaper (batch, flex), else PRICE_NO_RATE.
 */
enum price_answer price_of(const struct price_model *m, const struct usage *u,
			   const char *service, int64_t now, int64_t *ret);

/*
 * As above, for a call whose answer named another model than was asked for: the dearer of both;
 * `answered` may be NULL.
 */
enum price_answer price_of_either(const struct price_model *asked,
				  const struct price_model *answered, const struct usage *u,
				  const char *service, int64_t now, int64_t *ret);

/*
 * A call before it is made. Nothing set means the dearest: each token of input may be of any kind
 * and each token of output too.
 */
struct price_ask {
	int64_t in_max;	 /* tokens of input at most */
	int64_t out_max; /* tokens of output at most */
	int64_t web_search_max;
	bool no_cache_write;	/* nothing of it can be written to a cache */
	bool no_cache_write_1h; /* nor for an hour */
	bool no_audio;
	const char *service; /* as in price_of() */
	int64_t now;
};

/* No call of this shape that ends within a day costs more, whatever tier or hour it falls into. */
enum price_answer price_bound(const struct price_model *m, const struct price_ask *a,
			      int64_t *ret);

/*
 * The largest out_max with which price_bound() is at most `money`; that of `a` is not looked at.
 * INT64_MAX when output costs nothing.
 */
enum price_answer price_output_bought(const struct price_model *m,
				      const struct price_ask *a, int64_t money,
				      int64_t *ret);

/* How many there are; the i-th, for lists and tests. */
size_t prices_count(const struct prices *p);
const struct price_model *prices_at(const struct prices *p, size_t i);

#endif
