/* SPDX-License-Identifier: Apache-2.0 */
/* See chain.h. Runs in purple-monitor's recorder as root without capabilities, and in `purple`. */
#include "audit/chain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <nettle/sha2.h>

#include "base/list.h"

#define MEMBER ",\"line\":{\"number\":"
#define WRITER ",\"writer\":\""
#define PREVIOUS "\",\"previous\":\""
#define END "\"}}"
#define DIGITS_MAX 19

_Static_assert(CHAIN_HASH_SIZE == SHA256_DIGEST_SIZE, "a hash is a SHA-256");

void chain_hash(const char *s, size_t len, uint8_t ret[CHAIN_HASH_SIZE])
{
	struct sha256_ctx ctx;

	sha256_init(&ctx);
	sha256_update(&ctx, len, (const uint8_t *)s);
	sha256_digest(&ctx, CHAIN_HASH_SIZE, ret);
}

void chain_hex(const uint8_t hash[CHAIN_HASH_SIZE], char ret[CHAIN_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < CHAIN_HASH_SIZE; i++) {
		ret[2 * i] = digits[hash[i] >> 4];
		ret[2 * i + 1] = digits[hash[i] & 15];
	}
	ret[2 * CHAIN_HASH_SIZE] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(const char *s, uint8_t ret[CHAIN_HASH_SIZE])
{
	for (size_t i = 0; i < CHAIN_HASH_SIZE; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* A number as it is written here: no sign, no leading zero. How many digits; 0: it is none. */
static size_t parse_number(const char *s, size_t len, uint64_t *ret)
{
	uint64_t n = 0;
	size_t i = 0;

	while (i < len && i <= DIGITS_MAX && s[i] >= '0' && s[i] <= '9')
		n = n * 10 + (uint64_t)(s[i++] - '0');
	if (i == 0 || i > DIGITS_MAX || (s[0] == '0' && i > 1))
		return 0;
	*ret = n;
	return i;
}

bool chain_is_line(const char *s, size_t len)
{
	/* {"a":1} */
	if (len < 7 || s[0] != '{' || s[1] != '"' || s[len - 1] != '}')
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < ' ')
			return false;
	return true;
}

void chain_add(struct buf *out, struct chain_link *last, const char *writer,
	       const char *line, size_t len)
{
	size_t from = out->len;
	char hex[CHAIN_HEX_SIZE];

	chain_hex(last->hash, hex);
	buf_add(out, line, len - 1);
	buf_addf(out, MEMBER "%" PRIu64 WRITER "%s" PREVIOUS "%s" END, last->number + 1,
		 writer, hex);
	if (!out->failed) {
		chain_hash(out->s + from, out->len - from, last->hash);
		last->number++;
	}
	buf_adds(out, "\n");
}

/* As ids of containers are. */
static bool is_writer(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '.' || c == '-';
}

/* From the end: what a line has before it, even a member of the same name, is its own. */
bool chain_tail_of(const char *line, size_t len, struct chain_tail *ret)
{
	const size_t hex = CHAIN_HEX_SIZE - 1, end = sizeof(END) - 1;
	const size_t previous = sizeof(PREVIOUS) - 1, writer = sizeof(WRITER) - 1;
	struct chain_tail t = {};
	const char *p, *s;
	size_t digits, left;

	if (len < hex + end + previous || memcmp(line + len - end, END, end) != 0 ||
	    !parse_hex(line + len - end - hex, t.previous))
		return false;
	p = line + len - end - hex - previous;
	if (memcmp(p, PREVIOUS, previous) != 0)
		return false;
	for (s = p; s > line && is_writer(s[-1]); s--)
		;
	if (s == p || (size_t)(s - line) < writer || memcmp(s - writer, WRITER, writer) != 0)
		return false;
	t.writer = s;
	t.writer_len = (size_t)(p - s);
	p = s - writer;
	for (s = p; s > line && s[-1] >= '0' && s[-1] <= '9'; s--)
		;
	digits = parse_number(s, (size_t)(p - s), &t.number);
	left = (size_t)(s - line);
	if (digits == 0 || digits != (size_t)(p - s) || t.number == 0 ||
	    left < sizeof(MEMBER) - 1 + 2)
		return false;
	t.body = left - (sizeof(MEMBER) - 1);
	if (memcmp(line + t.body, MEMBER, sizeof(MEMBER) - 1) != 0 || line[0] != '{')
		return false;
	*ret = t;
	return true;
}

/* --- the head --- */

void chain_head_format(const struct chain_head *h, char ret[CHAIN_HEAD_SIZE])
{
	char hex[CHAIN_HEX_SIZE], text[CHAIN_HEAD_SIZE];
	int n;

	chain_hex(h->last.hash, hex);
	n = snprintf(text, sizeof(text),
		     "{\"number\":%" PRIu64 ",\"sha256\":\"%s\",\"size\":%" PRIu64 "}",
		     h->last.number, hex, h->size);
	memset(ret, ' ', CHAIN_HEAD_SIZE);
	memcpy(ret, text, (size_t)n);
	ret[CHAIN_HEAD_SIZE - 1] = '\n';
}

static bool skip(const char **s, const char *end, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(end - *s) < n || memcmp(*s, text, n) != 0)
		return false;
	*s += n;
	return true;
}

static bool take_number(const char **s, const char *end, uint64_t *ret)
{
	size_t n = parse_number(*s, (size_t)(end - *s), ret);

	*s += n;
	return n > 0;
}

bool chain_head_parse(const char *s, size_t len, struct chain_head *ret)
{
	const char *end = s + len;
	struct chain_head h;

	if (len != CHAIN_HEAD_SIZE || !skip(&s, end, "{\"number\":") ||
	    !take_number(&s, end, &h.last.number) || !skip(&s, end, ",\"sha256\":\"") ||
	    (size_t)(end - s) < CHAIN_HEX_SIZE || !parse_hex(s, h.last.hash))
		return false;
	s += CHAIN_HEX_SIZE - 1;
	if (!skip(&s, end, "\",\"size\":") || !take_number(&s, end, &h.size) ||
	    !skip(&s, end, "}"))
		return false;
	while (s < end - 1)
		if (*s++ != ' ')
			return false;
	if (*s != '\n')
		return false;
	*ret = h;
	return true;
}
