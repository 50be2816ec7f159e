/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands and options as tables: parsing, --help, the man pages' synopsis and shell completion
 * all come from the same rows.
 */
#ifndef PURPLE_CMD_COMMAND_H
#define PURPLE_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_STRING, /* const char *, borrowed from argv */
	OPTION_UINT,   /* unsigned int */
	OPTION_LIST,   /* struct strv, one string an occurrence */
};

struct option_row {
	const char *name; /* without dashes */
	char letter;	  /* 0: none */
	enum option_kind kind;
	size_t offset;	      /* in the command's options struct */
	const char *argument; /* "PATH"; NULL for flags */
	const char *help;
};

#define OPTION(st, member, n, l, k, arg, h)                                           \
	{                                                                             \
		.name = (n), .letter = (l), .kind = (k),                              \
		.offset = offsetof(struct st, member), .argument = (arg), .help = (h) \
	}

/* What every command gets: the program's global options, in a struct of the program's own. */
struct command {
	const char *name;
	const char *arguments;		  /* "ID [SIGNAL]" */
	const char *help;		  /* one line */
	const struct option_row *options; /* ends with a NULL name; may be NULL */
	size_t options_size;
	int min_args, max_args; /* max -1: any number */
	bool stop_at_argument;	/* what follows the first argument is not ours to parse */
	/* `args` has n arguments and a NULL behind them. *ret_status is the exit code on success;
	 * a command that fails may set another one than that of the error. */
	int (*run)(const void *global, void *options, char **args, int n, int *ret_status,
		   struct err *e);
	bool hidden;
};

struct program {
	const char *name;
	const char *help;		       /* one line */
	const struct option_row *options;      /* global ones */
	size_t globals_size;		       /* of the struct that they fill */
	const struct command *const *commands; /* ends with NULL */
	const char *spec; /* for --version: of the specification that is followed; NULL: none */
	/* Opens the log; called even when the global options were wrong. */
	int (*open_log)(const void *globals, struct err *e);
	/* Before the command's options are parsed. argv is the whole command line. */
	int (*begin)(void *globals, char **argv, const struct command *c, struct err *e);
};

/*
 * A whole command line: global options, command, its options and arguments, --help, --version.
 * *ret_command is set as soon as it is known; *ret_status on success.
 */
int program_dispatch(const struct program *p, char **argv, int argc,
		     const struct command **ret_command, int *ret_status, struct err *e);

/*
 * Parses options in front of, between and behind arguments (until one if stop_at_argument): --x v,
 * --x=v, -x v, -xv, grouped flags, and long names with one dash. "--" ends them. args receives
 * what is left, argv's strings; *ret_help is set by --help or -h (unless -h is an option).
 */
int options_parse(const struct option_row *rows, void *options, char **argv, int argc,
		  bool stop_at_argument, char **args, int *ret_n, bool *ret_help,
		  struct err *e);

const struct command *program_find_command(const struct program *p, const char *name);
int program_unknown_command(const struct program *p, const char *name, struct err *e);
int command_check_count(const struct command *c, int n, struct err *e);

void program_write_help(const struct program *p, struct buf *out);
void command_write_help(const struct program *p, const struct command *c, struct buf *out);
/* Bash completion for the whole program. */
void program_write_completion(const struct program *p, struct buf *out);
/* SYNOPSIS, COMMANDS and OPTIONS of a man page, as troff. */
void program_write_man(const struct program *p, struct buf *out);

/* To stdout; an error when that fails. */
int print_text(const struct buf *b, struct err *e);
/* --help of a program without commands: `text` is all that stands above its options. */
int print_help(const char *text, const struct option_row *options, struct err *e);
/* --version of any program; `spec` as above. */
int print_version(const char *program, const char *spec, struct err *e);

/* The value of a --format option that takes table (also when it is NULL: not given) or json. */
int format_is_json(const char *format, bool *ret, struct err *e);

/* Takes the options struct's lists apart. */
void options_clear(const struct option_row *rows, void *options);

#endif
