/* SPDX-License-Identifier: Apache-2.0 */
/* Small changes to a large text: see edits.h. Pure. */
#include "gateway/edits.h"

#include <string.h>

bool edits_add(struct edits *e, size_t at, size_t remove, const char *text)
{
	size_t i = e->n;

	if (e->n == EDITS_MAX || strlen(text) > EDIT_TEXT_MAX)
		return false;
	while (i > 0 && e->v[i - 1].at > at)
		i--;
	if (i > 0 && e->v[i - 1].at + e->v[i - 1].remove > at)
		return false;
	if (i < e->n && at + remove > e->v[i].at)
		return false;
	memmove(&e->v[i + 1], &e->v[i], (e->n - i) * sizeof(e->v[0]));
	e->v[i] = (struct edit){ .at = at, .remove = remove };
	strcpy(e->v[i].text, text);
	e->n++;
	return true;
}

size_t edits_length(const struct edits *e, size_t len)
{
	for (size_t i = 0; i < e->n; i++)
		len = len - e->v[i].remove + strlen(e->v[i].text);
	return len;
}

struct piece_out {
	size_t skip, room;
	char *out;
};

static void put(struct piece_out *o, const char *s, size_t len)
{
	size_t n = len < o->skip ? len : o->skip;

	o->skip -= n;
	s += n;
	len -= n;
	n = len < o->room ? len : o->room;
	memcpy(o->out, s, n);
	o->out += n;
	o->room -= n;
}

size_t edits_read(const struct edits *e, const char *text, size_t len, size_t from,
		  char *out, size_t size)
{
	struct piece_out o = { .skip = from, .room = size, .out = out };
	size_t at = 0;

	for (size_t i = 0; i < e->n && o.room > 0; i++) {
		put(&o, text + at, e->v[i].at - at);
		put(&o, e->v[i].text, strlen(e->v[i].text));
		at = e->v[i].at + e->v[i].remove;
	}
	put(&o, text + at, len - at);
	return size - o.room;
}
