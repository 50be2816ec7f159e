/* SPDX-License-Identifier: Apache-2.0 */
/* Texts made from the tables of commands and options: see command.h. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "cmd/command.h"
#include "config.h"

const struct command *program_find_command(const struct program *p, const char *name)
{
	for (const struct command *const *c = p->commands; *c; c++)
		if (streq((*c)->name, name))
			return *c;
	return NULL;
}

static const char *command_name(const void *arg, size_t i)
{
	const struct program *p = arg;

	return p->commands[i] ? p->commands[i]->name : NULL;
}

int program_unknown_command(const struct program *p, const char *name, struct err *e)
{
	const char *near = str_suggest(name, command_name, p);

	return err_set(e, ERR_USAGE, EINVAL, "unknown command '%s'%s%s%s; see %s --help",
		       name, near ? " (did you mean '" : "", near ? near : "",
		       near ? "'?)" : "", p->name);
}

int command_check_count(const struct command *c, int n, struct err *e)
{
	if (n < c->min_args)
		return err_set(e, ERR_USAGE, EINVAL, "%s: too few arguments: expected %s",
			       c->name, c->arguments);
	if (c->max_args >= 0 && n > c->max_args)
		return err_set(e, ERR_USAGE, EINVAL, "%s: too many arguments: expected %s",
			       c->name, c->max_args ? c->arguments : "none");
	return 0;
}

static void write_option(const struct option_row *r, struct buf *out)
{
	char left[64];

	if (r->letter)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", r->letter, r->name,
			 r->argument ? " " : "", r->argument ? r->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", r->name,
			 r->argument ? " " : "", r->argument ? r->argument : "");
	buf_addf(out, "  %-30s %s\n", left, r->help);
}

static void write_options(const struct option_row *rows, const char *title, struct buf *out)
{
	if (!rows || !rows->name)
		return;
	buf_addf(out, "\n%s:\n", title);
	for (const struct option_row *r = rows; r->name; r++)
		write_option(r, out);
}

void program_write_help(const struct program *p, struct buf *out)
{
	buf_addf(out,
		 "Usage: %s [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\n%s\n\nCommands:\n",
		 p->name, p->help);
	for (const struct command *const *c = p->commands; *c; c++)
		if (!(*c)->hidden)
			buf_addf(out, "  %-12s %s\n", (*c)->name, (*c)->help);
	write_options(p->options, "Global options", out);
	buf_addf(out, "\n'%s COMMAND --help' says more of each.\n", p->name);
}

void command_write_help(const struct program *p, const struct command *c, struct buf *out)
{
	buf_addf(out, "Usage: %s %s%s%s%s\n\n%s\n", p->name, c->name,
		 c->options && c->options->name ? " [OPTIONS]" : "",
		 c->arguments[0] ? " " : "", c->arguments, c->help);
	write_options(c->options, "Options", out);
}

/* troff: a leading dot or quote would be a request, a dash is a hyphen unless escaped. */
static void write_troff(const char *s, struct buf *out)
{
	if (*s == '.' || *s == '\'')
		buf_adds(out, "\\&");
	for (; *s; s++) {
		if (*s == '-')
			buf_adds(out, "\\-");
		else if (*s == '\\')
			buf_adds(out, "\\e");
		else
			buf_add(out, s, 1);
	}
}

static void write_man_options(const struct option_row *rows, struct buf *out)
{
	for (const struct option_row *r = rows; r && r->name; r++) {
		buf_adds(out, ".TP\n");
		if (r->letter)
			buf_addf(out, "\\fB\\-%c\\fR, ", r->letter);
		buf_adds(out, "\\fB\\-\\-");
		write_troff(r->name, out);
		buf_adds(out, "\\fR");
		if (r->argument)
			buf_addf(out, " \\fI%s\\fR", r->argument);
		buf_adds(out, "\n");
		write_troff(r->help, out);
		buf_adds(out, "\n");
	}
}

void program_write_man(const struct program *p, struct buf *out)
{
	buf_adds(out, ".SH SYNOPSIS\n\\fB");
	write_troff(p->name, out);
	buf_adds(out, "\\fR [\\fIglobal options\\fR] \\fIcommand\\fR [\\fIoptions\\fR] "
		      "[\\fIarguments\\fR]\n.SH GLOBAL OPTIONS\n");
	write_man_options(p->options, out);
	buf_adds(out, ".SH COMMANDS\n");
	for (const struct command *const *c = p->commands; *c; c++) {
		if ((*c)->hidden)
			continue;
		buf_addf(out, ".SS \"%s%s%s\"\n", (*c)->name,
			 (*c)->arguments[0] ? " " : "", (*c)->arguments);
		write_troff((*c)->help, out);
		buf_adds(out, "\n");
		write_man_options((*c)->options, out);
	}
}

int print_text(const struct buf *b, struct err *e)
{
	int r;

	if (b->failed)
		return err_oom(e);
	r = fd_write_all(STDOUT_FILENO, b->s ? b->s : "", b->len);
	return r < 0 ? err_errno(e, r, "cannot write to stdout") : 0;
}

int print_help(const char *text, const struct option_row *options, struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_adds(&out, text);
	write_options(options, "Options", &out);
	return print_text(&out, e);
}

int print_version(const char *program, const char *spec, struct err *e)
{
	_buf_free_ struct buf out = {};

	/* docker takes the last line with the word "version". */
	buf_addf(&out, "%s version %s\ncommit: %s\n", program, PACKAGE_VERSION,
		 PURPLE_COMMIT);
	if (spec)
		buf_addf(&out, "spec: %s\n", spec);
	return print_text(&out, e);
}
