/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the lines of an audit log hang together. Each ends with a member that the recorder adds:
 *
 *	,"line":{"number":N,"writer":"CONTAINER","previous":"HEX"}}
 *
 * N counts from 1 over all files of a log; HEX is the SHA-256 of the line before, without its
 * newline (of the first one: zeros); writer is the container whose recorder wrote it. Beside the log
 * lies its head, LOG.head, with number and SHA-256 of the last line and the size of the file that
 * ends with it, so that lines that were taken off the end are missed. Pure.
 */
#ifndef PURPLE_AUDIT_CHAIN_H
#define PURPLE_AUDIT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define CHAIN_HASH_SIZE 32
#define CHAIN_HEX_SIZE (2 * CHAIN_HASH_SIZE + 1)

struct chain_link {
	uint64_t number; /* 0: there is no line yet */
	uint8_t hash[CHAIN_HASH_SIZE];
};

void chain_hash(const char *s, size_t len, uint8_t ret[CHAIN_HASH_SIZE]);
void chain_hex(const uint8_t hash[CHAIN_HASH_SIZE], char ret[CHAIN_HEX_SIZE]);

/* Whether a line can be one of a log: {"...}, no control characters. */
bool chain_is_line(const char *s, size_t len);
/* Appends the line after `last` with its member and a newline, and makes it the last one. */
void chain_add(struct buf *out, struct chain_link *last, const char *writer,
	       const char *line, size_t len);

/* What chain_add() has added, taken off a line (without newline). */
struct chain_tail {
	uint64_t number;
	const char *writer; /* not terminated */
	size_t writer_len;
	uint8_t previous[CHAIN_HASH_SIZE];
	size_t body; /* bytes of the line before it, without the } that ended it */
};
/* False: it is none. */
bool chain_tail_of(const char *line, size_t len, struct chain_tail *ret);

/* The head, which has always the same size. */
#define CHAIN_HEAD_SIZE 160
struct chain_head {
	struct chain_link last;
	uint64_t size; /* of the newest file, up to the end of this line */
};
void chain_head_format(const struct chain_head *h, char ret[CHAIN_HEAD_SIZE]);
bool chain_head_parse(const char *s, size_t len, struct chain_head *ret);

#endif
