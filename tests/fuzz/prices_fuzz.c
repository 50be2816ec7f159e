/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for price files and for the names and figures that they are asked about. The
 * first part is a file; the second a name of a model; the third, as it is, figures of a call.
 * Whatever a table says, a call within an ask never costs more than the ask's bound.
 * runs: 20000
 */
#include "budget/money.h"
#include "budget/prices.h"
#include "fuzz.h"

#define HEAD "{\"schema\":1,\"unit\":\"pUSD\",\"models\":["
#define TOKENS ((int64_t)1 << 40)

/* Figures of 0 to 2^40 from what the input has left. */
static int64_t next_figure(const uint8_t **data, size_t *size)
{
	uint64_t v = 0;
	size_t n = *size < sizeof(v) ? *size : sizeof(v);

	if (n == 0)
		return 0;
	memcpy(&v, *data, n);
	*data += n;
	*size -= n;
	return (int64_t)(v % (uint64_t)TOKENS);
}

static void check_sums(const struct price_model *m, const uint8_t *data, size_t size)
{
	struct usage u = { .in_uncached = next_figure(&data, &size),
			   .cache_read = next_figure(&data, &size),
			   .cache_w5m = next_figure(&data, &size),
			   .cache_w1h = next_figure(&data, &size),
			   .in_audio = next_figure(&data, &size),
			   .out = next_figure(&data, &size) };
	struct price_ask a = { .in_max = u.in_uncached + u.cache_read + u.cache_w5m +
					 u.cache_w1h + u.in_audio,
			       .out_max = u.out,
			       .now = next_figure(&data, &size) };
	int64_t sum = -1, bound = -1, bought = -1;
	enum price_answer told, asked;

	u.cache_audio = u.cache_read / 3;
	u.reasoning = u.out / 2;
	u.out_audio = u.out / 3;
	told = price_of(m, &u, NULL, a.now + next_figure(&data, &size) % 86400, &sum);
	asked = price_bound(m, &a, &bound);
	fuzz_require((told == PRICE_OK) == (sum >= 0) &&
		     (asked == PRICE_OK) == (bound >= 0));
	if (asked != PRICE_OK)
		return;
	fuzz_require(told == PRICE_OK && sum <= bound);
	if (price_output_bought(m, &a, bound, &bought) == PRICE_OK)
		fuzz_require(bought >= u.out);
	else
		fuzz_require(u.out == 0);
}

static void check_table(const struct prices *p, const char *name, const uint8_t *data,
			size_t size)
{
	for (size_t i = 0; i < prices_count(p); i++) {
		const struct price_model *m = prices_at(p, i), *found = NULL;

		/* A model is found by its own name, unless one before it is. */
		fuzz_require(prices_find(p, price_model_provider(m), price_model_id(m),
					 &found) == PRICE_OK);
		if (i < 16)
			check_sums(m, data, size);
	}
	if (name) {
		const struct price_model *m = NULL;

		fuzz_require((prices_find(p, NULL, name, &m) == PRICE_OK) == (m != NULL));
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char first[] = HEAD "{\"id\":\"m\",\"provider\":\"p\",\"price\":"
					 "{\"input\":1,\"output\":2}}]}";
	_free_ char *file = fuzz_next_part(&data, &size);
	_free_ char *name = fuzz_next_part(&data, &size);
	_prices_free_ struct prices *p = NULL;
	struct err e = {};
	size_t n;
	int r;

	if (!file)
		return 0;
	r = prices_add(&p, file, strlen(file), "fuzz", &e);
	if (r < 0) {
		fuzz_check_error(r, &e);
		fuzz_require(!p);
		return 0;
	}
	check_table(p, name, data, data ? size : 0);
	/* On top of another file, and refused on top of it, it leaves that one whole. */
	n = prices_count(p);
	fuzz_require(prices_add(&p, first, strlen(first), "first", &e) == 0);
	fuzz_require(prices_count(p) == n + 1);
	fuzz_require(prices_add(&p, file, 1, "half", &e) < 0 && prices_count(p) == n + 1);
	return 0;
}
