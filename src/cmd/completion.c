/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion for bash, written from the tables of commands and options when Purple is built. The
 * script knows of each command its options, which of them take a value, and what its arguments
 * are; names of policies and ids of containers it asks the program itself for.
 */
#include <ctype.h>
#include <stdlib.h>

#include "base/list.h"
#include "cmd/command.h"

/* --- what stands in place of a value --- */

/* Kinds are words that the script's _PROGRAM_values() knows. */
static const struct value_kind {
	const char *argument, *kind;
} option_kinds[] = {
	{ "BASE", "profiles" }, { "DIR", "dirs" },	     { "FILE", "files" },
	{ "PATH", "files" },	{ "NAME|FILE", "profiles" }, { "PROFILE", "profiles" },
};

static const struct value_kind argument_kinds[] = {
	{ "ID", "ids" },	  { "FILE", "files" },	  { "FIRST", "profiles" },
	{ "SECOND", "profiles" }, { "NAME", "profiles" }, { "COMMAND", "commands" },
	{ "SIGNAL", "signals" },
};

/* Words that a help text may name as an option's values: "table (default) or json". */
static const char *const choices[] = {
	"table", "text", "json", "csv", "none", "error", "warning", "info", "debug",
};

static const char *kind_of(const struct value_kind *kinds, size_t n, const char *argument)
{
	for (size_t i = 0; i < n; i++)
		if (streq(kinds[i].argument, argument))
			return kinds[i].kind;
	return "none";
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || !isalnum((unsigned char)at[-1])) &&
		    !isalnum((unsigned char)at[n]))
			return true;
	return false;
}

/* "files", or "table,json": a comma makes it a list of words. */
static void write_option_kind(const struct option_row *r, struct buf *out)
{
	bool is_choice = streq(r->argument, "FORMAT") || streq(r->argument, "LEVEL");

	if (is_choice) {
		for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
			if (has_word(r->help, choices[i]))
				buf_addf(out, "%s,", choices[i]);
	} else if (streq(r->name, "policy") || streq(r->name, "profile")) {
		buf_adds(out, "profiles");
	} else if (streq(r->name, "container")) {
		buf_adds(out, "ids");
	} else {
		buf_adds(out, kind_of(option_kinds, ARRAY_SIZE(option_kinds), r->argument));
	}
}

/* --- the tables --- */

static void write_options(const struct option_row *rows, struct buf *out)
{
	buf_adds(out, "options='--help");
	for (const struct option_row *r = rows; r && r->name; r++)
		buf_addf(out, " --%s", r->name);
	buf_adds(out, "' valued='");
	for (const struct option_row *r = rows; r && r->name; r++) {
		if (!r->argument)
			continue;
		buf_addf(out, " --%s:", r->name);
		write_option_kind(r, out);
		if (r->letter) {
			buf_addf(out, " -%c:", r->letter);
			write_option_kind(r, out);
		}
	}
	buf_adds(out, " '");
}

/* One word of "show ID | diff FIRST SECOND | check FILE...": as it is, or the kind of its value. */
static void write_argument(const char *word, size_t len, struct buf *out)
{
	char name[32];
	bool many = len > 3 && strncmp(word + len - 3, "...", 3) == 0;
	size_t n = 0;

	for (size_t i = 0; i < len && n < sizeof(name) - 1; i++)
		if (isalpha((unsigned char)word[i]) || word[i] == '-')
			name[n++] = word[i];
	name[n] = '\0';
	if (islower((unsigned char)name[0]))
		buf_addf(out, "%s ", name);
	else
		buf_addf(out, ":%s%s ",
			 kind_of(argument_kinds, ARRAY_SIZE(argument_kinds), name),
			 many ? "*" : "");
}

static void write_arguments(const char *text, struct buf *out)
{
	buf_adds(out, " forms='");
	while (*text) {
		size_t len = strcspn(text, " ");

		if (len == 1 && *text == '|')
			buf_adds(out, "|");
		else if (len > 0 && strncmp(text, "[--]", len) != 0)
			write_argument(text, len, out);
		text += len + strspn(text + len, " ");
	}
	buf_adds(out, "'");
}

static void write_commands(const struct program *p, struct buf *out)
{
	buf_adds(out, "\tcase $1 in\n");
	for (const struct command *const *c = p->commands; *c; c++) {
		if ((*c)->hidden)
			continue;
		buf_addf(out, "\t%s) ", (*c)->name);
		write_options((*c)->options, out);
		write_arguments((*c)->arguments, out);
		buf_addf(out, " stops=%s ;;\n", (*c)->stop_at_argument ? "1" : "''");
	}
	buf_adds(out, "\t'') ");
	write_options(p->options, out);
	buf_adds(out, " forms='");
	for (const struct command *const *c = p->commands; *c; c++)
		if (!(*c)->hidden)
			buf_addf(out, "%s%s ", c == p->commands ? "" : "|", (*c)->name);
	buf_adds(out,
		 "' stops='' ;;\n\t*) options='' valued='' forms='' stops='' ;;\n\tesac\n");
}

/* --- the script --- */

/*
 * In both texts @F is the program's name as a part of function names. bash splits words at '=', so
 * that --x=v is three words.
 */
static const char values_text[] =
	"@F_values() { # KIND CURRENT: the values that begin with CURRENT\n"
	"\tcase $1 in\n"
	"\tids) compgen -W \"$(@I 2>/dev/null)\" -- \"$2\" ;;\n"
	"\tprofiles) compgen -W \"$(purple profile list 2>/dev/null | awk 'NR > 1 { print $1 }')\" -- \"$2\"\n"
	"\t\tcompgen -f -X '!*.y*ml' -- \"$2\" ;;\n"
	"\tdirs) compgen -d -- \"$2\" ;;\n"
	"\tfiles) compgen -f -- \"$2\" ;;\n"
	"\tcommands) compgen -c -- \"$2\" ;;\n"
	"\tsignals) compgen -A signal -- \"$2\" ;;\n"
	"\t*,*) compgen -W \"${1//,/ }\" -- \"$2\" ;;\n"
	"\tesac\n"
	"}\n\n"
	"@F_arguments() { # CURRENT: what the forms have in the place behind those in `given`\n"
	"\tlocal form i list words word\n"
	"\tIFS='|' read -r -a list <<<\"$forms\"\n"
	"\tfor form in \"${list[@]}\"; do\n"
	"\t\tread -r -a words <<<\"$form\"\n"
	"\t\tfor ((i = 0; i < ${#given[@]}; i++)); do\n"
	"\t\t\tword=${words[i]:-}\n"
	"\t\t\t[[ $word != *'*' ]] || words[i + 1]=$word\n"
	"\t\t\t[[ $word == :* || $word == \"${given[i]}\" ]] || continue 2\n"
	"\t\tdone\n"
	"\t\tword=${words[i]:-}\n"
	"\t\tcase $word in\n"
	"\t\t'') ;;\n"
	"\t\t:*) word=${word#:}; @F_values \"${word%'*'}\" \"$1\" ;;\n"
	"\t\t*) compgen -W \"$word\" -- \"$1\" ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"}\n\n";

static const char main_text[] =
	"@F() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} options valued forms stops i w kind='' command=''\n"
	"\tlocal given=() root=() plain=''\n"
	"\t@F_tables ''\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tw=${COMP_WORDS[i]}\n"
	"\t\tif [[ -z $plain && $w == -- ]]; then\n"
	"\t\t\tplain=1\n"
	"\t\telif [[ -z $plain && $w == -* ]]; then\n"
	"\t\t\t[[ $valued == *\" $w:\"* ]] || continue\n"
	"\t\t\tkind=${valued#*\" $w:\"}\n"
	"\t\t\tkind=${kind%% *}\n"
	"\t\t\t[[ ${COMP_WORDS[i + 1]} != = ]] || ((++i))\n"
	"\t\t\tif ((++i >= COMP_CWORD)); then\n"
	"\t\t\t\t[[ $cur != = ]] || cur=''\n"
	"\t\t\t\tmapfile -t COMPREPLY < <(@F_values \"$kind\" \"$cur\" || :)\n"
	"\t\t\t\treturn\n"
	"\t\t\tfi\n"
	"\t\t\t[[ $w != --root ]] || root=(--root \"${COMP_WORDS[i]}\")\n"
	"\t\telif [[ -z $command ]]; then\n"
	"\t\t\tcommand=$w\n"
	"\t\t\t@F_tables \"$w\"\n"
	"\t\telse\n"
	"\t\t\tgiven+=(\"$w\")\n"
	"\t\t\t[[ -z $stops ]] || plain=1\n"
	"\t\tfi\n"
	"\tdone\n"
	"\tif [[ -z $plain && $cur == -* ]]; then\n"
	"\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\" || :)\n"
	"\telse\n"
	"\t\tmapfile -t COMPREPLY < <(@F_arguments \"$cur\" || :)\n"
	"\tfi\n"
	"}\n"
	"complete -o default -F @F @P\n";

/* @F, @P and @I in a text: the functions' prefix, the program, its command that lists ids. */
static void write_text(const char *text, const char *prefix, const struct program *p,
		       struct buf *out)
{
	const char *lists = program_find_command(p, "list") ? "list -q" : "ps -q";

	for (; *text; text++) {
		if (*text != '@' || !strchr("FPI", text[1]))
			buf_add(out, text, 1);
		else if (*++text == 'F')
			buf_adds(out, prefix);
		else if (*text == 'P')
			buf_adds(out, p->name);
		else
			buf_addf(out, "%s \"${root[@]}\" %s", p->name, lists);
	}
}

void program_write_completion(const struct program *p, struct buf *out)
{
	_buf_free_ struct buf prefix = {};

	buf_addf(&prefix, "_%s", p->name);
	if (prefix.failed) {
		out->failed = true;
		return;
	}
	for (char *c = prefix.s; *c; c++)
		if (*c == '-')
			*c = '_';
	buf_addf(out, "# bash completion for %s, made from its option tables\n\n", p->name);
	write_text(values_text, prefix.s, p, out);
	buf_addf(out, "%s_tables() { # COMMAND: what may follow it\n", prefix.s);
	write_commands(p, out);
	buf_adds(out, "}\n\n");
	write_text(main_text, prefix.s, p, out);
}
