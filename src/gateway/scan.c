/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what must not leave: see scan.h.
 *
 * All beginnings are one Aho-Corasick automaton: a step a character, whatever the number of rules.
 * Where one is complete its rule counts the characters that follow. A rule has one count at a time,
 * that of the text which began first: a later one begins within it and could only be shorter. So
 * the time is the body's length times the rules that count, never more.
 *
 * Pure; reads what the agent wrote.
 */
#include "gateway/scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"

#define PREFIX_MAX 32
#define STATES_MAX 1024
#define MOST_MAX 65536

struct rule {
	char name[SCAN_NAME_MAX + 1];
	char prefix[PREFIX_MAX + 1];
	size_t prefix_len;
	bool chars[256];
	size_t least, most;
};

struct scan_rules {
	struct rule v[SCAN_RULES_MAX];
	size_t n;
	char card[SCAN_NAME_MAX + 1]; /* "": cards are not looked for */
	size_t states;
	uint16_t next[STATES_MAX][256];
	uint64_t ends[STATES_MAX]; /* the rules whose beginnings end here */
};

/* --- the file --- */

struct line {
	const char *file;
	size_t number;
	struct err *e;
};

static int bad_line(const struct line *l, const char *what)
{
	return err_set(l->e, ERR_CONFIG, EINVAL, "%s:%zu: %s", l->file, l->number, what);
}

/* Undoes \s. */
static size_t read_beginning(const char *s, char *out, size_t size)
{
	size_t n = 0;

	for (; *s && n < size; s++) {
		if (s[0] == '\\' && s[1] == 's') {
			out[n++] = ' ';
			s++;
		} else {
			out[n++] = *s;
		}
	}
	return *s ? size + 1 : n;
}

static bool read_chars(const char *s, bool chars[256])
{
	for (; *s; s++) {
		unsigned char from = (unsigned char)*s, to = from;

		if (s[0] == '\\' && s[1] == 's') {
			for (const char *w = " \t\r\n"; *w; w++)
				chars[(unsigned char)*w] = true;
			s++;
			continue;
		}
		if (s[1] == '-' && s[2]) {
			to = (unsigned char)s[2];
			s += 2;
		}
		if (from > to || from <= ' ' || to > '~')
			return false;
		for (unsigned int c = from; c <= to; c++)
			chars[c] = true;
	}
	return true;
}

static bool read_range(char *s, struct rule *r)
{
	char *dash = strchr(s, '-');
	uint32_t least, most;

	if (!dash)
		return false;
	*dash = '\0';
	if (num_u32(s, &least) < 0 || num_u32(dash + 1, &most) < 0 || least < 1 ||
	    least > most || most > MOST_MAX)
		return false;
	r->least = least;
	r->most = most;
	return true;
}

static bool is_name(const char *s)
{
	return strlen(s) <= SCAN_NAME_MAX &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static int read_rule(struct scan_rules *rules, char *words[5], const struct line *l)
{
	struct rule *r = &rules->v[rules->n];

	if (rules->n == SCAN_RULES_MAX)
		return bad_line(l, "there are too many patterns");
	r->prefix_len = read_beginning(words[1], r->prefix, PREFIX_MAX);
	if (r->prefix_len > PREFIX_MAX || r->prefix_len < 2)
		return bad_line(l, "a beginning has 2 to 32 characters");
	if (!read_chars(words[2], r->chars))
		return bad_line(l, "the characters are no list of ranges");
	if (!read_range(words[3], r))
		return bad_line(l, "the lengths are not LEAST-MOST, from 1 to 65536");
	strcpy(r->name, words[0]);
	rules->n++;
	return 0;
}

static int read_line(struct scan_rules *rules, char *text, const struct line *l)
{
	char *words[5] = {}, *save = NULL, *word;
	size_t n = 0;

	for (word = strtok_r(text, " \t", &save); word && word[0] != '#';
	     word = strtok_r(NULL, " \t", &save)) {
		if (n == 4)
			return bad_line(l,
					"has more than NAME BEGINNING CHARACTERS LEAST-MOST");
		words[n++] = word;
	}
	if (n == 0)
		return 0;
	if (!is_name(words[0]))
		return bad_line(l, "a name has 1 to 31 letters (a to z), digits and '-'");
	if (n == 2 && streq(words[1], "card")) {
		if (rules->card[0])
			return bad_line(l, "cards are given twice");
		strcpy(rules->card, words[0]);
		return 0;
	}
	if (n != 4)
		return bad_line(l, "is not NAME BEGINNING CHARACTERS LEAST-MOST");
	return read_rule(rules, words, l);
}

/* --- the automaton --- */

static bool add_beginning(struct scan_rules *rules, size_t i)
{
	const struct rule *r = &rules->v[i];
	size_t at = 0;

	for (size_t k = 0; k < r->prefix_len; k++) {
		uint16_t *next = &rules->next[at][(unsigned char)r->prefix[k]];

		if (!*next) {
			if (rules->states == STATES_MAX)
				return false;
			*next = (uint16_t)rules->states++;
		}
		at = *next;
	}
	rules->ends[at] |= UINT64_C(1) << i;
	return true;
}

/* Where to go on when a character does not fit: breadth first, so shorter ones are done. */
static void link_states(struct scan_rules *rules)
{
	uint16_t queue[STATES_MAX], fail[STATES_MAX] = {};
	size_t head = 0, tail = 0;

	for (int c = 0; c < 256; c++)
		if (rules->next[0][c])
			queue[tail++] = rules->next[0][c];
	while (head < tail) {
		uint16_t at = queue[head++];

		rules->ends[at] |= rules->ends[fail[at]];
		for (int c = 0; c < 256; c++) {
			uint16_t next = rules->next[at][c],
				 other = rules->next[fail[at]][c];

			if (next) {
				fail[next] = other;
				queue[tail++] = next;
			} else {
				rules->next[at][c] = other;
			}
		}
	}
}

static int read_lines(struct scan_rules *rules, char *text, struct line *l)
{
	char *save = NULL;
	int err = 0;

	/* Not strtok: it would not count empty lines. */
	for (char *at = text; at && err == 0; at = save) {
		save = strchr(at, '\n');
		if (save)
			*save++ = '\0';
		l->number++;
		err = read_line(rules, at, l);
	}
	return err;
}

int scan_rules_parse(const char *text, size_t len, const char *name,
		     struct scan_rules **ret, struct err *e)
{
	_scan_rules_free_ struct scan_rules *rules = calloc(1, sizeof(*rules));
	_free_ char *copy = strndup(text, len);
	struct line l = { .file = name, .e = e };
	int err;

	if (!rules || !copy)
		return err_oom(e);
	if (strlen(copy) != len)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: has a NUL byte", name);
	rules->states = 1;
	err = read_lines(rules, copy, &l);
	if (err < 0)
		return err;
	for (size_t i = 0; i < rules->n; i++)
		if (!add_beginning(rules, i))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: the patterns are too long", name);
	link_states(rules);
	*ret = rules;
	rules = NULL;
	return 0;
}

void scan_rules_free(struct scan_rules *r)
{
	free(r);
}

/* --- the search --- */

/* A text that began: how many characters followed so far. */
struct count {
	size_t start, n;
	bool has_digit;
};

/* Digits without anything between them. */
struct digits {
	char v[20];
	size_t n, start, end;
};

#define GROUPS_MAX 5

struct card {
	struct digits now,
		groups[GROUPS_MAX]; /* the groups before, with one separator each */
	size_t groups_n;
	bool in_word; /* `now`, or what comes, goes on from a letter */
};

#define RING 64 /* above PREFIX_MAX + 1 */

struct search {
	const struct scan_rules *rules;
	struct scan_findings *found;
	size_t state;
	uint64_t counting;
	struct count counts[SCAN_RULES_MAX];
	struct card card;
	/* The last characters of this string, and where each began. */
	unsigned char chars[RING];
	size_t starts[RING], seen;
};

/* By place; of those that overlap one is made, as long as all: named as the first. */
static void add_finding(struct search *s, const char *rule, size_t start, size_t end)
{
	struct scan_findings *f = s->found;

	while (f->n > 0 && f->v[f->n - 1].end > start) {
		struct scan_finding *last = &f->v[f->n - 1];

		if (last->start <= start && last->end >= end)
			return;
		if (last->start < start) {
			start = last->start;
			rule = last->rule;
		}
		if (last->end > end)
			end = last->end;
		f->n--;
	}
	if (f->n == SCAN_FINDINGS_MAX) {
		f->are_more = true;
		return;
	}
	f->v[f->n++] = (struct scan_finding){ .rule = rule, .start = start, .end = end };
}

static void end_count(struct search *s, size_t i, size_t end)
{
	const struct rule *r = &s->rules->v[i];
	const struct count *c = &s->counts[i];

	s->counting &= ~(UINT64_C(1) << i);
	if (c->n >= r->least && (c->has_digit || !r->chars['0']))
		add_finding(s, r->name, c->start, end);
}

/* The next character, or the string's end (-1), for the texts that began. */
static void go_on(struct search *s, int c, size_t at)
{
	for (uint64_t left = s->counting; left; left &= left - 1) {
		size_t i = (size_t)__builtin_ctzll(left);
		const struct rule *r = &s->rules->v[i];
		struct count *n = &s->counts[i];

		if (c < 0 || !r->chars[c]) {
			end_count(s, i, at);
		} else if (n->n == r->most) {
			/* One of a fixed length that goes on is something else. */
			if (r->least == r->most)
				s->counting &= ~(UINT64_C(1) << i);
			else
				end_count(s, i, at);
		} else {
			n->n++;
			n->has_digit |= c >= '0' && c <= '9';
		}
	}
}

static bool is_alnum(int c)
{
	return c >= 0 && c < 128 && isalnum(c);
}

/* Beginnings that are complete with this character. */
static void begin(struct search *s, uint64_t ends)
{
	for (; ends; ends &= ends - 1) {
		size_t i = (size_t)__builtin_ctzll(ends), len = s->rules->v[i].prefix_len;
		const char *prefix = s->rules->v[i].prefix;

		if (s->counting >> i & 1)
			continue;
		if (s->seen > len && is_alnum(prefix[0]) &&
		    is_alnum(s->chars[(s->seen - len - 1) % RING]))
			continue;
		s->counting |= UINT64_C(1) << i;
		s->counts[i] = (struct count){ .start = s->starts[(s->seen - len) % RING] };
	}
}

static bool is_luhn(const char *digits, size_t n)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int d = (unsigned int)(digits[n - 1 - i] - '0');

		if (i % 2 == 1)
			d = d * 2 > 9 ? d * 2 - 9 : d * 2;
		sum += d;
	}
	return sum % 10 == 0;
}

/* Lengths that issuers give, by how a number begins. */
static bool is_card(const char *d, size_t n)
{
	switch (d[0]) {
	case '2':
	case '5':
		return n == 16 && is_luhn(d, n);
	case '3':
		return (d[1] == '4' || d[1] == '7' ? n == 15 : n == 14 || n == 16) &&
		       is_luhn(d, n);
	case '4':
		return (n == 13 || n == 16 || n == 19) && is_luhn(d, n);
	case '6':
		return n >= 16 && n <= 19 && is_luhn(d, n);
	default:
		return false;
	}
}

/* The groups from `first` on as one number. */
static bool groups_are_card(const struct card *c, size_t first)
{
	char all[GROUPS_MAX * 6 + 1];
	size_t n = 0;

	if (c->groups[first].n != 4)
		return false;
	for (size_t i = first; i < c->groups_n; i++) {
		memcpy(all + n, c->groups[i].v, c->groups[i].n);
		n += c->groups[i].n;
	}
	return n >= 13 && n <= 19 && is_card(all, n);
}

/* Digits that may be a part of a number as it is printed: 4 4 4 4, or 4 6 5. */
static void end_group(struct search *s)
{
	struct card *c = &s->card;

	if (c->groups_n == GROUPS_MAX)
		memmove(c->groups, c->groups + 1, --c->groups_n * sizeof(c->groups[0]));
	c->groups[c->groups_n++] = c->now;
	for (size_t i = 0; i + 1 < c->groups_n; i++) {
		if (groups_are_card(c, i)) {
			add_finding(s, s->rules->card, c->groups[i].start, c->now.end);
			c->groups_n = 0;
		}
	}
}

static void end_digits(struct search *s, bool goes_on)
{
	struct card *c = &s->card;
	size_t n = c->now.n;

	if (c->in_word || goes_on || n == 0 || n >= sizeof(c->now.v)) {
		c->groups_n = 0;
	} else if (n >= 13) {
		if (is_card(c->now.v, n))
			add_finding(s, s->rules->card, c->now.start, c->now.end);
		c->groups_n = 0;
	} else if (n >= 3 && n <= 6) {
		end_group(s);
	} else {
		c->groups_n = 0;
	}
	c->now.n = 0;
}

static void look_for_card(struct search *s, int ch, size_t at, size_t end)
{
	struct card *c = &s->card;

	if (ch < '0' || ch > '9') {
		end_digits(s, is_alnum(ch));
		if (ch != ' ' && ch != '-')
			c->groups_n = 0;
		c->in_word = is_alnum(ch);
		return;
	}
	if (c->now.n == 0)
		c->now.start = at;
	if (c->now.n < sizeof(c->now.v))
		c->now.v[c->now.n++] = (char)ch;
	c->now.end = end;
}

static void character(struct search *s, int c, size_t at, size_t end)
{
	if (s->counting)
		go_on(s, c, at);
	s->chars[s->seen % RING] = (unsigned char)c;
	s->starts[s->seen % RING] = at;
	s->seen++;
	s->state = s->rules->next[s->state][c];
	if (s->rules->ends[s->state])
		begin(s, s->rules->ends[s->state]);
	if (s->rules->card[0])
		look_for_card(s, c, at, end);
}

static void end_string(struct search *s, size_t at)
{
	go_on(s, -1, at);
	if (s->rules->card[0])
		end_digits(s, false);
	s->card = (struct card){};
	s->state = 0;
	s->seen = 0;
}

/* An escape as the character that it is; what is not ASCII fits no pattern. */
static int escaped(const char *p, size_t left, size_t *ret_len)
{
	static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *found;
	char hex[5] = {};
	unsigned long c;

	*ret_len = 2;
	if (left < 2)
		return 0xff;
	if (p[1] == 'u' && left >= 6) {
		*ret_len = 6;
		memcpy(hex, p + 2, 4);
		c = strtoul(hex, NULL, 16);
		return c < 128 ? (int)c : 0xff;
	}
	found = p[1] ? strchr(names, p[1]) : NULL;
	return found ? (unsigned char)codes[found - names] : 0xff;
}

void scan_body(const struct scan_rules *r, const char *body, size_t len,
	       struct scan_findings *ret)
{
	struct search s = { .rules = r, .found = ret };
	bool in_string = false;
	size_t step;

	*ret = (struct scan_findings){};
	for (size_t i = 0; i < len; i += step) {
		step = 1;
		if (body[i] == '"') {
			if (in_string)
				end_string(&s, i);
			in_string = !in_string;
		} else if (in_string) {
			int c = (unsigned char)body[i];

			if (c == '\\')
				c = escaped(body + i, len - i, &step);
			character(&s, c, i, i + step);
		}
	}
}

bool scan_redact(const struct scan_findings *f, struct edits *edits)
{
	char text[EDIT_TEXT_MAX + 1];

	if (f->are_more)
		return false;
	for (size_t i = 0; i < f->n; i++) {
		snprintf(text, sizeof(text), "[REDACTED:%s]", f->v[i].rule);
		if (!edits_add(edits, f->v[i].start, f->v[i].end - f->v[i].start, text))
			return false;
	}
	return true;
}
