/* SPDX-License-Identifier: Apache-2.0 */
/* The option parser: see command.h. Runs first thing, with the caller's privileges. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/num.h"
#include "cmd/command.h"

struct parser {
	const struct option_row *rows;
	void *options;
	char **argv;
	int argc, at;
	bool help;
	struct err *e;
};

static const struct option_row *find_long(const struct option_row *rows, const char *name,
					  size_t len)
{
	for (const struct option_row *r = rows; r && r->name; r++)
		if (strlen(r->name) == len && memcmp(r->name, name, len) == 0)
			return r;
	return NULL;
}

static const struct option_row *find_letter(const struct option_row *rows, char letter)
{
	for (const struct option_row *r = rows; r && r->name; r++)
		if (r->letter == letter)
			return r;
	return NULL;
}

static const char *row_name(const void *arg, size_t i)
{
	const struct option_row *rows = arg;

	/* rows end with a NULL name, which also ends the candidates */
	return rows ? rows[i].name : NULL;
}

static int unknown_option(struct parser *p, const char *text, size_t len)
{
	char name[80];
	const char *near;

	snprintf(name, sizeof(name), "%.*s", (int)len, text);
	near = str_suggest(name, row_name, p->rows);
	return err_set(p->e, ERR_USAGE, EINVAL, "unknown option '--%s'%s%s%s", name,
		       near ? " (did you mean '--" : "", near ? near : "",
		       near ? "'?)" : "");
}

static int set_value(struct parser *p, const struct option_row *r, const char *value)
{
	void *at = (char *)p->options + r->offset;
	uint32_t number;

	switch (r->kind) {
	case OPTION_FLAG:
		*(bool *)at = true;
		return 0;
	case OPTION_STRING:
		*(const char **)at = value;
		return 0;
	case OPTION_UINT:
		if (num_u32(value, &number) < 0)
			return err_set(p->e, ERR_USAGE, EINVAL,
				       "option '--%s' needs a number, not '%s'", r->name,
				       value);
		*(unsigned int *)at = number;
		return 0;
	case OPTION_LIST:
		return strv_add(at, value) < 0 ? err_oom(p->e) : 0;
	}
	return 0;
}

/* `inline_value`: what stood behind "=" or the letter; NULL: take the next word. */
static int take_option(struct parser *p, const struct option_row *r, const char *inline_value)
{
	if (r->kind == OPTION_FLAG) {
		if (inline_value && streq(inline_value, "false"))
			return 0;
		if (inline_value && !streq(inline_value, "true"))
			return err_set(p->e, ERR_USAGE, EINVAL,
				       "option '--%s' takes no value", r->name);
		return set_value(p, r, NULL);
	}
	if (inline_value)
		return set_value(p, r, inline_value);
	if (p->at + 1 >= p->argc)
		return err_set(p->e, ERR_USAGE, EINVAL,
			       "option '--%s' requires an argument", r->name);
	return set_value(p, r, p->argv[++p->at]);
}

static int parse_long(struct parser *p, const char *text)
{
	size_t len = strcspn(text, "=");
	const struct option_row *r = find_long(p->rows, text, len);

	if (!r && len == 4 && memcmp(text, "help", 4) == 0) {
		p->help = true;
		return 0;
	}
	if (!r)
		return unknown_option(p, text, len);
	return take_option(p, r, text[len] == '=' ? text + len + 1 : NULL);
}

static int parse_letters(struct parser *p, const char *text)
{
	/* go-runc writes some long names with one dash. */
	if (find_long(p->rows, text, strcspn(text, "=")) && text[1] != '\0')
		return parse_long(p, text);
	for (; *text; text++) {
		const struct option_row *r = find_letter(p->rows, *text);
		int code;

		if (!r && *text == 'h') {
			p->help = true;
			continue;
		}
		if (!r)
			return err_set(p->e, ERR_USAGE, EINVAL, "unknown option '-%c'",
				       *text);
		if (r->kind != OPTION_FLAG) {
			const char *value = text[1] == '=' ? text + 2 : text + 1;

			return take_option(p, r, *value ? value : NULL);
		}
		code = set_value(p, r, NULL);
		if (code < 0)
			return code;
	}
	return 0;
}

int options_parse(const struct option_row *rows, void *options, char **argv, int argc,
		  bool stop_at_argument, char **args, int *ret_n, bool *ret_help,
		  struct err *e)
{
	struct parser p = { rows, options, argv, argc, 0, false, e };
	bool only_arguments = false;
	int n = 0;

	for (; p.at < argc; p.at++) {
		const char *word = argv[p.at];
		int r = 0;

		if (only_arguments || word[0] != '-' || word[1] == '\0') {
			args[n++] = argv[p.at];
			only_arguments |= stop_at_argument;
			continue;
		}
		if (streq(word, "--"))
			only_arguments = true;
		else if (word[1] == '-')
			r = parse_long(&p, word + 2);
		else
			r = parse_letters(&p, word + 1);
		if (r < 0)
			return r;
	}
	args[n] = NULL;
	*ret_n = n;
	*ret_help = p.help;
	return 0;
}

void options_clear(const struct option_row *rows, void *options)
{
	for (const struct option_row *r = rows; r && r->name; r++)
		if (r->kind == OPTION_LIST)
			strv_free((struct strv *)((char *)options + r->offset));
}

int format_is_json(const char *format, bool *ret, struct err *e)
{
	*ret = format && streq(format, "json");
	if (format && !*ret && !streq(format, "table"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown format '%s': expected table or json", format);
	return 0;
}
