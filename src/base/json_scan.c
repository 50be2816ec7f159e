/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON as it passes: see json_scan.h. One state a byte; the bytes of plain text go in runs.
 * Reads foreign input; allocates nothing, needs no privileges.
 */
#include "base/json_scan.h"

#include <string.h>

enum state {
	S_VALUE,	/* a value must come */
	S_VALUE_OR_END, /* after [ */
	S_KEY,		/* after , in a map */
	S_KEY_OR_END,	/* after { */
	S_COLON,
	S_AFTER, /* after a value in a container */
	S_DONE,
	S_STRING,
	S_ESCAPE,
	S_HEX,
	S_LITERAL,
	S_MINUS, /* of a number: what was read last */
	S_ZERO,
	S_DIGITS,
	S_POINT,
	S_FRACTION,
	S_E,
	S_E_SIGN,
	S_EXPONENT,
};

void json_scan_begin(struct json_scan *s, json_scan_fn fn, void *ctx)
{
	s->fn = fn;
	s->ctx = ctx;
	s->at = 0;
	s->fault = NULL;
	s->state = S_VALUE;
	s->depth = 0;
	memset(s->maps, 0, sizeof(s->maps));
	memset(&s->token, 0, sizeof(s->token));
	s->text[0] = '\0';
	s->utf8_left = 0;
	s->hex_left = s->high = 0;
	s->path[0] = '\0';
	s->path_len[0] = 0;
	s->path_lost = 0;
}

static bool refuse(struct json_scan *s, const char *why)
{
	s->fault = why;
	return false;
}

/* Whether the container that is open now is a map. */
static bool in_map(const struct json_scan *s)
{
	unsigned int i = s->depth - 1;

	return s->depth > 0 && (s->maps[i / 64] >> (i % 64) & 1);
}

/* The path of a value at the depth where the scanner stands. */
static void path_set(struct json_scan *s, const char *part, size_t len)
{
	size_t at = s->path_len[s->depth - 1];

	s->path_len[s->depth] = at;
	if (s->path_lost && s->path_lost < s->depth)
		return;
	s->path_lost = 0;
	if (at + 1 + len > JSON_SCAN_PATH_MAX) {
		s->path_lost = s->depth;
		return;
	}
	if (at > 0)
		s->path[at++] = '.';
	memcpy(s->path + at, part, len);
	s->path[at + len] = '\0';
	s->path_len[s->depth] = at + len;
}

static void path_set_key(struct json_scan *s)
{
	const struct json_token *t = &s->token;

	if (t->len == 0 || t->is_cut || t->is_odd || memchr(t->text, '\0', t->len) ||
	    strpbrk(t->text, ".#?"))
		path_set(s, "?", 1);
	else
		path_set(s, t->text, t->len);
}

static bool emit(struct json_scan *s, enum json_token_type type)
{
	struct json_token *t = &s->token;

	t->type = type;
	t->depth = s->depth;
	t->path = s->path_lost ? "?" : s->path;
	return s->fn(s->ctx, t) || refuse(s, "is refused");
}

/* A value ends at byte `end`. */
static bool end_value(struct json_scan *s, enum json_token_type type, uint64_t end)
{
	s->token.end = end;
	s->state = s->depth > 0 ? S_AFTER : S_DONE;
	return emit(s, type);
}

static bool open_container(struct json_scan *s, bool map)
{
	unsigned int i = s->depth;

	if (i == JSON_SCAN_DEPTH_MAX)
		return refuse(s, "is nested too deeply");
	s->token.end = s->at + 1;
	if (!emit(s, map ? JSON_TOKEN_MAP : JSON_TOKEN_LIST))
		return false;
	if (map)
		s->maps[i / 64] |= UINT64_C(1) << (i % 64);
	else
		s->maps[i / 64] &= ~(UINT64_C(1) << (i % 64));
	s->depth++;
	s->state = map ? S_KEY_OR_END : S_VALUE_OR_END;
	return true;
}

static bool close_container(struct json_scan *s)
{
	bool map = in_map(s);

	s->depth--;
	if (s->path_lost > s->depth)
		s->path_lost = 0;
	s->path[s->path_len[s->depth]] = '\0';
	s->token.start = s->token.key_start = s->at;
	s->token.text = "";
	s->token.len = 0;
	s->token.is_cut = s->token.is_odd = false;
	return end_value(s, map ? JSON_TOKEN_MAP_END : JSON_TOKEN_LIST_END, s->at + 1);
}

static void text_begin(struct json_scan *s)
{
	s->token.start = s->at;
	s->token.text = s->text;
	s->token.len = 0;
	s->token.is_cut = s->token.is_odd = false;
	s->text[0] = '\0';
}

static void text_add(struct json_scan *s, const char *p, size_t len)
{
	size_t room = JSON_SCAN_TEXT_MAX - s->token.len;

	if (len > room) {
		s->token.is_cut = true;
		len = room;
	}
	memcpy(s->text + s->token.len, p, len);
	s->token.len += len;
	s->text[s->token.len] = '\0';
}

static void text_add_code(struct json_scan *s, unsigned int c)
{
	char out[4];
	size_t n;

	if (c < 0x80) {
		out[0] = (char)c;
		n = 1;
	} else if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		out[0] = (char)(0xf0 | c >> 18);
		out[1] = (char)(0x80 | (c >> 12 & 0x3f));
		out[2] = (char)(0x80 | (c >> 6 & 0x3f));
		out[3] = (char)(0x80 | (c & 0x3f));
		n = 4;
	}
	text_add(s, out, n);
}

/* The first half of a pair had no second one. */
static void text_end_pair(struct json_scan *s)
{
	if (!s->high)
		return;
	s->high = 0;
	s->token.is_odd = true;
	text_add_code(s, 0xfffd);
}

static void text_add_escaped(struct json_scan *s, unsigned int c)
{
	if (c >= 0xdc00 && c <= 0xdfff && s->high) {
		text_add_code(s, 0x10000 + ((s->high - 0xd800) << 10) + (c - 0xdc00));
		s->high = 0;
		return;
	}
	text_end_pair(s);
	if (c >= 0xd800 && c <= 0xdbff) {
		s->high = c;
		return;
	}
	if (c >= 0xdc00 && c <= 0xdfff) {
		s->token.is_odd = true;
		c = 0xfffd;
	}
	if (c == 0)
		s->token.is_odd = true;
	text_add_code(s, c);
}

/* A byte of a character of several: the first tells how many follow and bounds the second. */
static bool utf8_byte(struct json_scan *s, unsigned char c)
{
	if (s->utf8_left > 0) {
		if (c < s->utf8_low || c > s->utf8_high)
			return refuse(s, "is not UTF-8");
		s->utf8_left--;
		s->utf8_low = 0x80;
		s->utf8_high = 0xbf;
	} else if (c >= 0xc2 && c <= 0xdf) {
		s->utf8_left = 1;
		s->utf8_low = 0x80;
		s->utf8_high = 0xbf;
	} else if (c >= 0xe0 && c <= 0xef) {
		s->utf8_left = 2;
		s->utf8_low = c == 0xe0 ? 0xa0 : 0x80;
		s->utf8_high = c == 0xed ? 0x9f : 0xbf;
	} else if (c >= 0xf0 && c <= 0xf4) {
		s->utf8_left = 3;
		s->utf8_low = c == 0xf0 ? 0x90 : 0x80;
		s->utf8_high = c == 0xf4 ? 0x8f : 0xbf;
	} else {
		return refuse(s, "is not UTF-8");
	}
	text_add(s, (const char *)&c, 1);
	return true;
}

/* The closing quote: of a key (then a colon follows), or of a value. */
static bool string_end(struct json_scan *s)
{
	text_end_pair(s);
	s->token.end = s->at + 1;
	if (s->token.key_start != UINT64_MAX)
		return end_value(s, JSON_TOKEN_TEXT, s->at + 1);
	s->token.key_start = s->token.start;
	path_set_key(s);
	s->state = S_COLON;
	return emit(s, JSON_TOKEN_KEY);
}

static bool string_byte(struct json_scan *s, unsigned char c)
{
	if (s->utf8_left > 0)
		return utf8_byte(s, c);
	if (c == '\\') {
		s->state = S_ESCAPE;
		return true;
	}
	if (c == '"')
		return string_end(s);
	text_end_pair(s);
	if (c < 0x20)
		return refuse(s, "has a control character in a string");
	if (c >= 0x80)
		return utf8_byte(s, c);
	text_add(s, (const char *)&c, 1);
	return true;
}

static bool escape_byte(struct json_scan *s, unsigned char c)
{
	static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (c == 'u') {
		s->hex = 0;
		s->hex_left = 4;
		s->state = S_HEX;
		return true;
	}
	found = c ? strchr(names, c) : NULL;
	if (!found)
		return refuse(s, "has an unknown escape in a string");
	s->state = S_STRING;
	text_add_escaped(s, (unsigned char)codes[found - names]);
	return true;
}

static bool hex_byte(struct json_scan *s, unsigned char c)
{
	unsigned int v;

	if (c >= '0' && c <= '9')
		v = c - '0';
	else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		v = (c | 0x20) - 'a' + 10;
	else
		return refuse(s, "has an unknown escape in a string");
	s->hex = s->hex << 4 | v;
	if (--s->hex_left == 0) {
		s->state = S_STRING;
		text_add_escaped(s, s->hex);
	}
	return true;
}

static bool value_byte(struct json_scan *s, unsigned char c)
{
	if (s->depth > 0 && !in_map(s))
		path_set(s, "#", 1);
	if (s->depth == 0 || !in_map(s))
		s->token.key_start = s->at;
	text_begin(s);
	switch (c) {
	case '{':
		return open_container(s, true);
	case '[':
		return open_container(s, false);
	case '"':
		s->state = S_STRING;
		return true;
	case 't':
		s->literal = "rue";
		break;
	case 'f':
		s->literal = "alse";
		break;
	case 'n':
		s->literal = "ull";
		break;
	default:
		if (c != '-' && (c < '0' || c > '9'))
			return refuse(s, "is not JSON");
		text_add(s, (const char *)&c, 1);
		s->state = c == '-' ? S_MINUS : c == '0' ? S_ZERO : S_DIGITS;
		return true;
	}
	text_add(s, (const char *)&c, 1);
	s->state = S_LITERAL;
	return true;
}

static bool literal_byte(struct json_scan *s, unsigned char c)
{
	if (c != (unsigned char)*s->literal)
		return refuse(s, "is not JSON");
	if (*++s->literal)
		return true;
	return end_value(s,
			 s->text[0] == 't' ? JSON_TOKEN_TRUE :
			 s->text[0] == 'f' ? JSON_TOKEN_FALSE :
					     JSON_TOKEN_NULL,
			 s->at + 1);
}

static bool is_number_end(int state)
{
	return state == S_ZERO || state == S_DIGITS || state == S_FRACTION ||
	       state == S_EXPONENT;
}

/* The state after a number's byte; -1 when the byte is no part of it. */
static int number_next(int state, unsigned char c)
{
	bool digit = c >= '0' && c <= '9', e = c == 'e' || c == 'E';

	switch (state) {
	case S_MINUS:
		return c == '0' ? S_ZERO : digit ? S_DIGITS : -1;
	case S_ZERO:
		return c == '.' ? S_POINT : e ? S_E : -1;
	case S_DIGITS:
		return digit ? S_DIGITS : c == '.' ? S_POINT : e ? S_E : -1;
	case S_POINT:
		return digit ? S_FRACTION : -1;
	case S_FRACTION:
		return digit ? S_FRACTION : e ? S_E : -1;
	case S_E:
		return c == '+' || c == '-' ? S_E_SIGN : digit ? S_EXPONENT : -1;
	default: /* S_E_SIGN, S_EXPONENT */
		return digit ? S_EXPONENT : -1;
	}
}

static bool scan_byte(struct json_scan *s, unsigned char c);

static bool number_byte(struct json_scan *s, unsigned char c)
{
	int next = number_next(s->state, c);

	if (next >= 0) {
		text_add(s, (const char *)&c, 1);
		s->state = next;
		return true;
	}
	if (!is_number_end(s->state))
		return refuse(s, "has a number that is not whole");
	/* The byte belongs to what comes after. */
	return end_value(s, JSON_TOKEN_NUMBER, s->at) && scan_byte(s, c);
}

static bool after_byte(struct json_scan *s, unsigned char c)
{
	bool map = in_map(s);

	if (c == ',') {
		s->state = map ? S_KEY : S_VALUE;
		return true;
	}
	if (c == (map ? '}' : ']'))
		return close_container(s);
	return refuse(s, "is not JSON");
}

/* Between tokens. */
static bool structure_byte(struct json_scan *s, unsigned char c)
{
	if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
		return true;
	switch (s->state) {
	case S_VALUE_OR_END:
		if (c == ']')
			return close_container(s);
		return value_byte(s, c);
	case S_VALUE:
		return value_byte(s, c);
	case S_KEY_OR_END:
		if (c == '}')
			return close_container(s);
		/* fall through */
	case S_KEY:
		if (c != '"')
			return refuse(s, "is not JSON");
		text_begin(s);
		s->token.key_start = UINT64_MAX; /* so string_end() knows */
		s->state = S_STRING;
		return true;
	case S_COLON:
		if (c != ':')
			return refuse(s, "is not JSON");
		s->state = S_VALUE;
		return true;
	case S_AFTER:
		return after_byte(s, c);
	default:
		return refuse(s, "has something after its end");
	}
}

static bool scan_byte(struct json_scan *s, unsigned char c)
{
	switch (s->state) {
	case S_STRING:
		return string_byte(s, c);
	case S_ESCAPE:
		return escape_byte(s, c);
	case S_HEX:
		return hex_byte(s, c);
	case S_LITERAL:
		return literal_byte(s, c);
	default:
		return s->state >= S_MINUS ? number_byte(s, c) : structure_byte(s, c);
	}
}

/* How many bytes of plain text begin here. */
static size_t plain_run(const unsigned char *p, size_t len)
{
	size_t n = 0;

	while (n < len && p[n] >= 0x20 && p[n] < 0x80 && p[n] != '"' && p[n] != '\\')
		n++;
	return n;
}

bool json_scan_feed(struct json_scan *s, const void *data, size_t len)
{
	const unsigned char *p = data, *end = p + len;

	if (s->fault)
		return false;
	while (p < end) {
		if (s->state == S_STRING && s->utf8_left == 0 && !s->high) {
			size_t n = plain_run(p, (size_t)(end - p));

			text_add(s, (const char *)p, n);
			p += n;
			s->at += n;
			if (p == end)
				return true;
		}
		if (!scan_byte(s, *p))
			return false;
		p++;
		s->at++;
	}
	return true;
}

bool json_scan_is_done(const struct json_scan *s)
{
	return !s->fault && s->state == S_DONE;
}

bool json_scan_end(struct json_scan *s)
{
	if (s->fault)
		return false;
	if (s->depth == 0 && is_number_end(s->state))
		return end_value(s, JSON_TOKEN_NUMBER, s->at);
	if (s->state != S_DONE)
		return refuse(s, s->at == 0 ? "is empty" : "ends too early");
	return true;
}
