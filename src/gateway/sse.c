/* SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events: see sse.h. Pure. */
#include "gateway/sse.h"

#include <string.h>

enum state {
	S_FIELD, /* from the line's start to a colon */
	S_SPACE, /* behind the colon: one space is no part of the value */
	S_VALUE,
	S_IGNORED, /* the rest of a comment, or of a field that says nothing here */
	S_EVENT_END,
};

void sse_begin(struct sse *s, void (*data)(void *, const char *, size_t), void *ctx)
{
	*s = (struct sse){ .data = data, .ctx = ctx };
}

/* The bytes up to the line's end, or all. */
static size_t line_rest(const char *p, size_t len)
{
	const char *lf = memchr(p, '\n', len), *cr;

	if (lf)
		len = (size_t)(lf - p);
	cr = memchr(p, '\r', len);
	return cr ? (size_t)(cr - p) : len;
}

static bool field_is_data(const struct sse *s)
{
	return s->field_len == 4 && memcmp(s->field, "data", 4) == 0;
}

/* The name is known: a data line begins. */
static void begin_value(struct sse *s)
{
	if (s->field_len > 0)
		s->has_fields = true;
	if (!field_is_data(s))
		return;
	if (s->lines++ > 0)
		s->data(s->ctx, "\n", 1);
}

static void field_byte(struct sse *s, char c)
{
	if (c == ':') {
		begin_value(s);
		s->state = field_is_data(s) ? S_SPACE : S_IGNORED;
		return;
	}
	if (s->field_len < sizeof(s->field))
		s->field[s->field_len++] = c;
}

/* What a line's end means where the line stands. */
static enum sse_at end_line(struct sse *s)
{
	bool blank = s->state == S_FIELD && s->field_len == 0;

	if (s->state == S_FIELD && !blank)
		begin_value(s);
	s->field_len = 0;
	if (blank) {
		s->state = S_EVENT_END;
		return SSE_END;
	}
	s->state = S_FIELD;
	return s->has_fields ? SSE_INSIDE : SSE_COMMENT;
}

/* Whether the byte is one of a mark at the very start. */
static bool is_mark(struct sse *s, unsigned char c)
{
	static const unsigned char mark[] = { 0xef, 0xbb, 0xbf };

	if (s->marks < 3 && c == mark[s->marks]) {
		s->marks++;
		return true;
	}
	s->marks = 3;
	return false;
}

static size_t value_bytes(struct sse *s, const char *p, size_t len)
{
	size_t n = line_rest(p, len);

	if (s->state == S_VALUE && n > 0)
		s->data(s->ctx, p, n);
	return n;
}

enum sse_at sse_line(struct sse *s, const char *p, size_t len, size_t *ret_used)
{
	size_t i = 0;

	if (s->state == S_EVENT_END) {
		s->state = S_FIELD;
		s->lines = 0;
		s->has_fields = false;
	}
	if (s->after_cr && len > 0) {
		s->after_cr = false;
		i += p[0] == '\n';
	}
	while (i < len) {
		char c = p[i];

		if (c == '\n' || c == '\r') {
			s->after_cr = c == '\r';
			*ret_used = i + 1;
			return end_line(s);
		}
		if (s->state == S_SPACE) {
			s->state = S_VALUE;
			i += c == ' ';
		} else if (s->state == S_FIELD) {
			if (!is_mark(s, (unsigned char)c))
				field_byte(s, c);
			i++;
		} else {
			i += value_bytes(s, p + i, len - i);
		}
	}
	*ret_used = i;
	return SSE_INSIDE;
}
