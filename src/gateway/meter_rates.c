/* SPDX-License-Identifier: Apache-2.0 */
/* Requests and tokens a minute: see meter_rates.h. Pure; runs in purple-gateway. */
#include "gateway/meter_rates.h"

#define WAIT_MAX 60
/* For calls that are under way nobody knows. */
#define WAIT_HELD 2

static void move_on(struct meter_rate *r, int64_t mono)
{
	int64_t second = mono / 1000;

	if (second - r->second > METER_WINDOW)
		r->second = second - METER_WINDOW;
	while (r->second < second) {
		int64_t i = ++r->second % METER_WINDOW;

		r->requests_sum -= r->requests[i];
		r->tokens_sum -= r->tokens[i];
		r->requests[i] = r->tokens[i] = 0;
	}
}

/* Seconds until so much of a window is left behind; 0: it never was that much. */
static unsigned int wait_for(const struct meter_rate *r, const uint64_t *window,
			     uint64_t excess)
{
	uint64_t gone = 0;

	for (int64_t i = 1; i <= METER_WINDOW; i++) {
		gone += window[(r->second + i) % METER_WINDOW];
		if (gone >= excess)
			return i < WAIT_MAX ? (unsigned int)i : WAIT_MAX;
	}
	return 0;
}

static uint64_t excess_of(uint64_t used, uint64_t more, uint64_t limit)
{
	uint64_t sum;

	if (__builtin_add_overflow(used, more, &sum))
		sum = UINT64_MAX;
	return sum > limit ? sum - limit : 0;
}

unsigned int meter_rate_wait(struct meter_rate *r, int64_t mono, uint64_t input,
			     uint64_t tokens, enum meter_rate_reason *ret)
{
	uint64_t excess;

	move_on(r, mono);
	if (r->tokens_limit > 0 && input > r->tokens_limit) {
		*ret = METER_RATE_NEVER;
		return WAIT_MAX;
	}
	excess = excess_of(r->requests_sum, 1, r->requests_limit);
	if (r->requests_limit > 0 && excess > 0) {
		*ret = METER_RATE_REQUESTS;
		return wait_for(r, r->requests, excess);
	}
	/* What is beyond the limit by itself passes when nothing else does. */
	if (tokens > r->tokens_limit)
		tokens = r->tokens_limit;
	excess = excess_of(r->tokens_sum + r->held, tokens, r->tokens_limit);
	if (r->tokens_limit > 0 && excess > 0) {
		unsigned int wait = wait_for(r, r->tokens, excess);

		*ret = METER_RATE_TOKENS;
		return wait > 0 ? wait : WAIT_HELD;
	}
	return 0;
}

void meter_rate_begin(struct meter_rate *r, int64_t mono, uint64_t tokens)
{
	move_on(r, mono);
	r->requests[r->second % METER_WINDOW]++;
	r->requests_sum++;
	r->held += tokens;
}

void meter_rate_undo(struct meter_rate *r, uint64_t tokens)
{
	r->requests[r->second % METER_WINDOW]--;
	r->requests_sum--;
	r->held -= tokens < r->held ? tokens : r->held;
}

void meter_rate_use(struct meter_rate *r, int64_t mono, uint64_t tokens, uint64_t held)
{
	move_on(r, mono);
	r->tokens[r->second % METER_WINDOW] += tokens;
	r->tokens_sum += tokens;
	r->held -= held < r->held ? held : r->held;
}
