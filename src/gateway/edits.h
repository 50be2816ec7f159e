/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small changes to a large text that stays as it is: what goes out is read piece by piece, and
 * never made as a whole.
 */
#ifndef PURPLE_GATEWAY_EDITS_H
#define PURPLE_GATEWAY_EDITS_H

#include <stdbool.h>
#include <stddef.h>

#define EDITS_MAX 96
#define EDIT_TEXT_MAX 95

struct edit {
	size_t at, remove; /* bytes of the text as it was */
	char text[EDIT_TEXT_MAX + 1];
};

struct edits {
	size_t n;
	struct edit v[EDITS_MAX]; /* by place; those at one place in the order they came in */
};

/* False: there is no room, or the edit cuts into another. */
bool edits_add(struct edits *e, size_t at, size_t remove, const char *text);

/* The length of a text of `len` bytes after the edits. */
size_t edits_length(const struct edits *e, size_t len);

/* Copies up to `size` bytes of the edited text from `from` on; how many there were. */
size_t edits_read(const struct edits *e, const char *text, size_t len, size_t from,
		  char *out, size_t size);

#endif
