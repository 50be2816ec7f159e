/* SPDX-License-Identifier: Apache-2.0 */
/* Where the chain of a log's file ends. */
#ifndef PURPLE_AUDIT_LOG_SCAN_H
#define PURPLE_AUDIT_LOG_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/chain.h"

/* The line that ends, with its newline, at `end`; number 0: that is none. 0 or -errno. */
int log_scan_last(int fd, uint64_t end, struct chain_link *ret);
/* The number of the line at the beginning; 0: that is none. 0 or -errno. */
int log_scan_first(int fd, uint64_t size, uint64_t *ret);
/* Whether the last byte before `size` is a newline. */
bool log_scan_ends(int fd, uint64_t size);

struct log_scan {
	struct chain_link last; /* in: before the first line; out: the last one of the chain */
	uint64_t lines;		/* of the chain */
	uint64_t rest; /* bytes behind them, without a newline at their end; then: */
	uint8_t rest_hash[CHAIN_HASH_SIZE];
	bool broken; /* there is no newline at the end */
};

/* Lines from `from` on, whatever is between them, up to `size`. 0 or -errno. */
int log_scan_rest(int fd, uint64_t from, uint64_t size, struct log_scan *x);
/* The whole file; the first line of a chain counts, whatever came before. */
int log_scan_all(int fd, uint64_t size, struct log_scan *x);

#endif
