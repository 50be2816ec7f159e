/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as it passes: a scanner that takes a document in pieces of any size and tells of each token
 * where it stands and at which path. Its memory is fixed, however long a string or a document is:
 * of a text only the beginning is kept. Strict as RFC 8259: UTF-8 without overlong forms, no raw
 * control characters, no second document. Escapes of half a surrogate pair are let pass, since
 * programs that cut strings send them, and marked.
 *
 * A path names the way to a value: keys with '.' between them, '#' for the place in a list, as in
 * "choices.#.delta.content". A key that is empty, or has one of ".#?" in it, stands there as "?",
 * and so does what no longer fits: no key can pretend to be a path. The document itself is "".
 */
#ifndef PURPLE_BASE_JSON_SCAN_H
#define PURPLE_BASE_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_DEPTH_MAX 128
#define JSON_SCAN_TEXT_MAX 511
#define JSON_SCAN_PATH_MAX 255

enum json_token_type {
	JSON_TOKEN_MAP,
	JSON_TOKEN_MAP_END,
	JSON_TOKEN_LIST,
	JSON_TOKEN_LIST_END,
	JSON_TOKEN_KEY,
	JSON_TOKEN_TEXT,
	JSON_TOKEN_NUMBER,
	JSON_TOKEN_TRUE,
	JSON_TOKEN_FALSE,
	JSON_TOKEN_NULL,
};

struct json_token {
	enum json_token_type type;
	unsigned int depth;  /* containers around it */
	uint64_t start, end; /* bytes of the document, quotes included */
	uint64_t key_start;  /* of a member's value: where the key begins */
	const char *path;    /* of the value; a key has that of its value */
	const char *text;    /* keys and texts decoded, numbers as written; ends in NUL */
	size_t len;
	bool is_cut; /* text is only the beginning */
	bool is_odd; /* text had a NUL or half a surrogate pair (then U+FFFD) */
};

/* What is done with a token; false ends the scan. */
typedef bool (*json_scan_fn)(void *ctx, const struct json_token *t);

struct json_scan {
	json_scan_fn fn;
	void *ctx;
	uint64_t at;
	const char *fault; /* NULL: none so far */
	int state;
	unsigned int depth;
	uint64_t maps[JSON_SCAN_DEPTH_MAX / 64]; /* a bit by depth: map, else list */
	struct json_token token;
	char text[JSON_SCAN_TEXT_MAX + 1];
	/* Inside a string. */
	unsigned int utf8_left, utf8_low, utf8_high;
	unsigned int hex, hex_left, high; /* high: the first half of a pair */
	const char *literal;		  /* what is still to come of true, false, null */
	char path[JSON_SCAN_PATH_MAX + 1];
	size_t path_len[JSON_SCAN_DEPTH_MAX + 1];
	unsigned int path_lost; /* the depth from which on the path did not fit; 0: it does */
};

void json_scan_begin(struct json_scan *s, json_scan_fn fn, void *ctx);

/* The next bytes. False: s->fault says why the document is refused, and nothing more is taken. */
bool json_scan_feed(struct json_scan *s, const void *data, size_t len);

/* No more bytes come: whether one whole document was there. */
bool json_scan_end(struct json_scan *s);

/* Whether the document is complete: nothing but white space may follow. A number at the top is
 * complete only at json_scan_end(). */
bool json_scan_is_done(const struct json_scan *s);

#endif
