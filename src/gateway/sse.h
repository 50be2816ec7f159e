/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events as they pass (WHATWG HTML, "event streams"): lines that end in LF, CRLF or CR,
 * comments, several data lines, one byte order mark, split anywhere. Keeps no data: that goes on as
 * it comes.
 */
#ifndef PURPLE_GATEWAY_SSE_H
#define PURPLE_GATEWAY_SSE_H

#include <stdbool.h>
#include <stddef.h>

struct sse {
	/* A piece of an event's data. */
	void (*data)(void *ctx, const char *p, size_t len);
	void *ctx;
	int state;
	char field[8]; /* the field's name, as far as it matters */
	size_t field_len;
	unsigned int marks; /* bytes of the byte order mark so far */
	bool after_cr;	    /* a LF that comes next belongs to it */
	unsigned int lines; /* data lines of this event */
	bool has_fields;    /* this event has lines that are no comments */
};

enum sse_at {
	SSE_INSIDE,  /* somewhere in an event */
	SSE_COMMENT, /* behind a comment line that no field came before */
	SSE_END,     /* behind an event: its data is complete, if sse->lines was not 0 */
};

void sse_begin(struct sse *s, void (*data)(void *, const char *, size_t), void *ctx);

/*
 * Reads up to the end of the line that is at hand; *ret_used bytes. After SSE_END the next call
 * begins an event; `lines` holds until then.
 */
enum sse_at sse_line(struct sse *s, const char *p, size_t len, size_t *ret_used);

#endif
