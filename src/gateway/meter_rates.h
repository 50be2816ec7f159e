/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and tokens a minute, of one container and one policy. A sliding window in steps of a
 * second: within no 60 seconds pass more than the limit. Of meter*.c alone; pure.
 *
 * A call's tokens are known when it is over, so a call holds what it probably takes, and what it
 * took enters the window as it passes. One call that takes more than the limit is not cut: those
 * after it wait longer.
 */
#ifndef PURPLE_GATEWAY_METER_RATES_H
#define PURPLE_GATEWAY_METER_RATES_H

#include <stdint.h>

#define METER_WINDOW 61 /* seconds, of which the first and the last are parts */

struct meter_rate {
	uint64_t requests_limit, tokens_limit;		       /* a minute; 0: none */
	uint64_t requests[METER_WINDOW], tokens[METER_WINDOW]; /* by second, modulo */
	uint64_t requests_sum, tokens_sum;
	uint64_t held;	/* tokens that calls under way will probably still take */
	int64_t second; /* the newest */
};

enum meter_rate_reason { METER_RATE_REQUESTS, METER_RATE_TOKENS, METER_RATE_NEVER };

/*
 * Seconds until a call may pass, 1 to 60; 0: now. `input`: tokens that it takes for certain,
 * `tokens`: in all, probably. METER_RATE_NEVER: its input alone is beyond the limit.
 */
unsigned int meter_rate_wait(struct meter_rate *r, int64_t mono, uint64_t input,
			     uint64_t tokens, enum meter_rate_reason *ret);
/* A call passes, and holds `tokens`. */
void meter_rate_begin(struct meter_rate *r, int64_t mono, uint64_t tokens);
/* It did not, after all: before time has gone on. */
void meter_rate_undo(struct meter_rate *r, uint64_t tokens);
/* It took so many, of which so many were held. */
void meter_rate_use(struct meter_rate *r, int64_t mono, uint64_t tokens, uint64_t held);

#endif
