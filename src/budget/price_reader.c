/* SPDX-License-Identifier: Apache-2.0 */
/* Checked values of a price file, and faults with their place: see price_reader.h. Pure. */
#include "budget/price_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/num.h"

#define NAME_MAX_LEN 128

int price_reader_fail(struct price_reader *r, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(r->e, ERR_CONFIG, EINVAL, "%s: %s%s%s", r->file, r->at,
		       r->at[0] ? ": " : "", text);
}

/* Goes down to a member; returns where to go back to. */
size_t price_reader_enter(struct price_reader *r, const char *fmt, ...)
{
	size_t len = strlen(r->at);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->at + len, sizeof(r->at) - len, fmt, ap);
	va_end(ap);
	return len;
}

void price_reader_leave(struct price_reader *r, size_t len)
{
	r->at[len] = '\0';
}

struct price_shown price_reader_show(const char *text)
{
	struct price_shown t;
	size_t n = 0;

	for (; *text && n < sizeof(t.s) - 4; text++)
		t.s[n++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
	/* Not in the middle of a character. */
	while (*text && n > 0 && ((unsigned char)t.s[n - 1] & 0xc0) == 0x80)
		n--;
	if (*text && n > 0 && ((unsigned char)t.s[n - 1] & 0x80))
		n--;
	snprintf(t.s + n, sizeof(t.s) - n, "%s", *text ? "..." : "");
	return t;
}

int price_reader_map(struct price_reader *r, const struct json *j)
{
	return j->type == JSON_MAP ? 0 : price_reader_fail(r, "this is not an object");
}

int price_reader_list(struct price_reader *r, const struct json *j, size_t max)
{
	if (j->type != JSON_LIST)
		return price_reader_fail(r, "this is not a list");
	if (j->n > max)
		return price_reader_fail(r, "there are more than %zu", max);
	return 0;
}

static bool is_among(const char *s, const char *const *words)
{
	for (; words && *words; words++) {
		if (streq(s, *words))
			return true;
	}
	return false;
}

int price_reader_keys(struct price_reader *r, const struct json *j,
		      const char *const *keys, const char *const *more)
{
	for (size_t i = 0; i < j->n; i++) {
		if (!is_among(j->keys[i], keys) && !is_among(j->keys[i], more))
			return price_reader_fail(r, "unknown key '%s'",
						 price_reader_show(j->keys[i]).s);
	}
	return 0;
}

static int read_integer(struct price_reader *r, const struct json *j, int64_t max,
			int64_t *ret)
{
	int64_t v = 0;
	int c;

	if (j->type != JSON_NUMBER)
		return price_reader_fail(r, "this is not a number");
	c = num_i64(j->text, &v);
	if (c == -EINVAL)
		return price_reader_fail(r, "'%s' is not a whole number",
					 price_reader_show(j->text).s);
	if (v < 0 || (c < 0 && j->text[0] == '-'))
		return price_reader_fail(r, "'%s' is negative",
					 price_reader_show(j->text).s);
	if (c < 0 || v > max)
		return price_reader_fail(r, "'%s' is out of range (0 to %lld)",
					 price_reader_show(j->text).s, (long long)max);
	*ret = v;
	return 0;
}

/* A member that may be absent: *ret is left then. */
int price_reader_member(struct price_reader *r, const struct json *map, const char *key,
			int64_t max, int64_t *ret)
{
	const struct json *j = json_get(map, key);
	size_t back;
	int c;

	if (!j)
		return 0;
	back = price_reader_enter(r, ".%s", key);
	c = read_integer(r, j, max, ret);
	price_reader_leave(r, back);
	return c;
}

/* Names of models and providers: what a URL or a JSON string of a request may hold. */
int price_reader_name(struct price_reader *r, const struct json *map, const char *key,
		      char **ret)
{
	const struct json *j = json_get(map, key);

	if (!j)
		return price_reader_fail(r, "'%s' is missing", key);
	if (j->type != JSON_TEXT)
		return price_reader_fail(r, "'%s' is not a string", key);
	if (!j->text[0] || strlen(j->text) > NAME_MAX_LEN)
		return price_reader_fail(r, "'%s' is empty or longer than %d bytes", key,
					 NAME_MAX_LEN);
	for (const char *p = j->text; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return price_reader_fail(r,
						 "'%s' has a space or a character that is not ASCII",
						 key);
	}
	*ret = strdup(j->text);
	return *ret ? 0 : err_oom(r->e);
}

/* The shape first, since nothing else may stand there. */
int price_reader_clock(struct price_reader *r, const struct json *map, const char *key,
		       int32_t *ret)
{
	const struct json *j = json_get(map, key);
	const char *s = j && j->type == JSON_TEXT ? j->text : "";
	int h, m, sec;

	/* The shape first: sscanf() is lenient. */
	if (strlen(s) != strlen("00:00:00Z") || s[2] != ':' || s[5] != ':' ||
	    s[8] != 'Z' || strspn(s, "0123456789") != 2 ||
	    strspn(s + 3, "0123456789") != 2 || strspn(s + 6, "0123456789") != 2)
		return price_reader_fail(r,
					 "'%s' is missing or not a time of day (01:00:00Z)",
					 key);
	h = (s[0] - '0') * 10 + s[1] - '0';
	m = (s[3] - '0') * 10 + s[4] - '0';
	sec = (s[6] - '0') * 10 + s[7] - '0';
	if (m > 59 || sec > 59 || h * 3600 + m * 60 + sec > PRICE_DAY)
		return price_reader_fail(r, "'%s' is not a time of day", key);
	*ret = h * 3600 + m * 60 + sec;
	return 0;
}

int price_reader_date(struct price_reader *r, const struct json *map, const char *key,
		      int64_t *ret)
{
	const struct json *j = json_get(map, key);
	const char *s = j && j->type == JSON_TEXT ? j->text : "";
	struct tm tm = {}, back;
	time_t t;

	if (strlen(s) != strlen("2027-01-01") || strspn(s, "0123456789") != 4 ||
	    s[4] != '-' || strspn(s + 5, "0123456789") != 2 || s[7] != '-' ||
	    strspn(s + 8, "0123456789") != 2)
		return price_reader_fail(r, "'%s' is missing or not a date (2027-01-01)",
					 key);
	tm.tm_year = (s[0] - '0') * 1000 + (s[1] - '0') * 100 + (s[2] - '0') * 10 + s[3] -
		     '0' - 1900;
	tm.tm_mon = (s[5] - '0') * 10 + s[6] - '0' - 1;
	tm.tm_mday = (s[8] - '0') * 10 + s[9] - '0';
	back = tm;
	t = timegm(&back);
	if (back.tm_year != tm.tm_year || back.tm_mon != tm.tm_mon ||
	    back.tm_mday != tm.tm_mday)
		return price_reader_fail(r, "'%s' is not a date", key);
	*ret = t;
	return 0;
}
