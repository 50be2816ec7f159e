/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices what looks like an injected prompt: see injection.h.
 *
 * The body is read as a row of few letters: a to z, 0 to 9, one for all others, and one space for
 * each run of what is none. Characters without width are not there at all; those that only look like
 * ASCII letters because they are wide are these. All phrases are one Aho-Corasick automaton over this
 * row, with a space before and behind each: a step a letter, whatever the number of phrases.
 *
 * Pure; reads what the agent wrote.
 */
#include "gateway/injection.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"

#define STATES_MAX 8192
#define SPACE 36
#define OTHER 37
#define LETTERS 38

struct state {
	uint16_t next[LETTERS];
	uint16_t fallback;
	uint32_t ends; /* the names of which a phrase ends here */
};

struct injection_rules {
	char names[INJECTION_NAMES_MAX][INJECTION_NAME_MAX + 1];
	size_t n;
	uint32_t tags; /* names that stand for tag characters */
	LIST_OF(struct state) states;
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

static int letter_of(unsigned char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '0' && c <= '9' ? 26 + c - '0' : SPACE;
}

static bool is_name(const char *s)
{
	for (size_t i = 0; s[i]; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) &&
		    s[i] != '-')
			return false;
	return *s && strlen(s) <= INJECTION_NAME_MAX;
}

static int find_name(struct injection_rules *r, const char *name, const struct line *l,
		     size_t *ret)
{
	size_t i = 0;

	if (!is_name(name))
		return bad_line(l, "a name is 1 to 31 of a-z, 0-9 and '-'");
	while (i < r->n && !streq(r->names[i], name))
		i++;
	if (i == INJECTION_NAMES_MAX)
		return bad_line(l, "there are too many names");
	if (i == r->n) {
		memcpy(r->names[i], name, strlen(name) + 1);
		r->n++;
	}
	*ret = i;
	return 0;
}

/* One letter further in the tree of phrases; 0 is its root. */
static int descend(struct injection_rules *r, size_t *state, int letter,
		   const struct line *l)
{
	size_t next = r->states.v[*state].next[letter];

	if (!next) {
		if (r->states.n == STATES_MAX)
			return bad_line(l, "there are too many phrases");
		if (!list_add(&r->states))
			return err_oom(l->e);
		next = r->states.n - 1;
		r->states.v[*state].next[letter] = (uint16_t)next;
	}
	*state = next;
	return 0;
}

static int add_phrase(struct injection_rules *r, size_t name, char *words,
		      const struct line *l)
{
	size_t state = 0, n = 0;
	char *word;
	int c = descend(r, &state, SPACE, l);

	while (c == 0 && (word = strsep(&words, " \t"))) {
		if (!*word)
			continue;
		for (; c == 0 && *word; word++) {
			if (letter_of((unsigned char)*word) == SPACE)
				return bad_line(l, "a word is letters and digits");
			c = descend(r, &state, letter_of((unsigned char)*word), l);
		}
		if (c == 0)
			c = descend(r, &state, SPACE, l);
		n++;
	}
	if (c < 0)
		return c;
	if (n == 0)
		return bad_line(l, "a name without a phrase");
	r->states.v[state].ends |= UINT32_C(1) << name;
	return 0;
}

static int read_line(struct injection_rules *r, char *text, const struct line *l)
{
	char *name = text + strspn(text, " \t"), *words;
	size_t index = 0;
	int c;

	if (!*name || *name == '#')
		return 0;
	words = name + strcspn(name, " \t");
	if (*words)
		*words++ = '\0';
	words += strspn(words, " \t");
	c = find_name(r, name, l, &index);
	if (c == 0 && streq(words, "tags"))
		r->tags |= UINT32_C(1) << index;
	else if (c == 0)
		c = add_phrase(r, index, words, l);
	return c;
}

/* Where a letter leads that no phrase goes on with: the longest end that begins one. */
static int complete(struct injection_rules *r, struct err *e)
{
	_free_ uint16_t *queue = calloc(r->states.n, sizeof(*queue));
	size_t from = 0, to = 0;

	if (!queue)
		return err_oom(e);
	queue[to++] = 0;
	while (from < to) {
		struct state *s = &r->states.v[queue[from++]];
		bool is_root = s == r->states.v;

		for (int i = 0; i < LETTERS; i++) {
			uint16_t other = is_root ? 0 : r->states.v[s->fallback].next[i];

			if (!s->next[i]) {
				s->next[i] = other;
				continue;
			}
			r->states.v[s->next[i]].fallback = other;
			r->states.v[s->next[i]].ends |= r->states.v[other].ends;
			queue[to++] = s->next[i];
		}
	}
	return 0;
}

int injection_rules_parse(const char *text, size_t len, const char *name,
			  struct injection_rules **ret, struct err *e)
{
	_injection_rules_free_ struct injection_rules *r = calloc(1, sizeof(*r));
	_free_ char *copy = strndup(text, len);
	struct line l = { name, 0, e };
	char *rest = copy, *line;
	int c = 0;

	if (!r || !copy || !list_add(&r->states))
		return err_oom(e);
	if (strlen(copy) != len)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: holds a NUL", name);
	while (c == 0 && (line = strsep(&rest, "\n"))) {
		l.number++;
		c = read_line(r, line, &l);
	}
	if (c == 0 && r->n == 0)
		c = err_set(e, ERR_CONFIG, EINVAL, "%s: there is no phrase", name);
	if (c == 0)
		c = complete(r, e);
	if (c == 0)
		*ret = take_ptr(&r);
	return c;
}

void injection_rules_free(struct injection_rules *r)
{
	if (r)
		free(r->states.v);
	free(r);
}

/* --- the body --- */

struct reader {
	const struct injection_rules *rules;
	size_t state;
	bool after_space;
	uint32_t found;
};

static void step(struct reader *d, int letter)
{
	if (letter == SPACE && d->after_space)
		return;
	d->after_space = letter == SPACE;
	d->state = d->rules->states.v[d->state].next[letter];
	d->found |= d->rules->states.v[d->state].ends;
}

static bool is_without_width(uint32_t c)
{
	return c == 0xad || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x2064) || c == 0xfeff;
}

static void take(struct reader *d, uint32_t c)
{
	if (c >= 0xe0000 && c <= 0xe007f) {
		d->found |= d->rules->tags;
		c -= 0xe0000; /* it is the ASCII character for those who read it */
		if (c < ' ')
			return;
	}
	if (c >= 0xff01 && c <= 0xff5e)
		c -= 0xff01 - '!';
	if (is_without_width(c))
		return;
	if (c < 0x80)
		step(d, letter_of((unsigned char)c));
	else
		step(d, c == 0xa0 || c == 0x3000 || (c >= 0x2000 && c <= 0x206f) ? SPACE :
										   OTHER);
}

/* UTF-8 that was checked when the body was read; what is broken all the same is one character. */
static size_t decode(const char *s, size_t len, uint32_t *ret)
{
	unsigned char c = (unsigned char)s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	*ret = c;
	if (n == 1 || n > len)
		return 1;
	*ret = c & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*ret = *ret << 6 | ((unsigned char)s[i] & 0x3f);
	return n;
}

static bool read_hex(const char *s, size_t len, uint32_t *ret)
{
	uint32_t v = 0;

	if (len < 6 || s[0] != '\\' || s[1] != 'u')
		return false;
	for (int i = 2; i < 6; i++) {
		int x = isdigit((unsigned char)s[i]) ?
				s[i] - '0' :
			isxdigit((unsigned char)s[i]) ?
				tolower((unsigned char)s[i]) - 'a' + 10 :
				-1;

		if (x < 0)
			return false;
		v = v << 4 | (uint32_t)x;
	}
	*ret = v;
	return true;
}

/* "\n" and the like are what separates words. */
static size_t decode_escape(const char *s, size_t len, uint32_t *ret)
{
	uint32_t low;

	*ret = ' ';
	if (!read_hex(s, len, ret))
		return len > 1 ? 2 : 1;
	if (*ret >= 0xd800 && *ret < 0xdc00 && read_hex(s + 6, len - 6, &low) &&
	    low >= 0xdc00 && low < 0xe000) {
		*ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
		return 12;
	}
	return 6;
}

size_t injection_find(const struct injection_rules *r, const char *body, size_t len,
		      const char *ret[INJECTION_NAMES_MAX])
{
	struct reader d = { .rules = r };
	size_t n = 0;

	step(&d, SPACE);
	for (size_t i = 0; i < len;) {
		uint32_t c;

		i += body[i] == '\\' ? decode_escape(body + i, len - i, &c) :
				       decode(body + i, len - i, &c);
		take(&d, c);
	}
	step(&d, SPACE);
	for (size_t i = 0; i < r->n; i++)
		if (d.found >> i & 1)
			ret[n++] = r->names[i];
	return n;
}
