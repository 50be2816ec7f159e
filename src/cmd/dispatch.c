/* SPDX-License-Identifier: Apache-2.0 */
/* From a command line to its command: see command.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "cmd/command.h"

static int print_its_help(const struct program *p, const struct command *c, struct err *e)
{
	_buf_free_ struct buf out = {};

	if (c)
		command_write_help(p, c, &out);
	else
		program_write_help(p, &out);
	return print_text(&out, e);
}

/* Texts for the build: the man page's tables and the shell's completion. */
static int print_generated(const struct program *p, const char *what, struct err *e)
{
	_buf_free_ struct buf out = {};

	if (streq(what, "man"))
		program_write_man(p, &out);
	else if (streq(what, "completion"))
		program_write_completion(p, &out);
	else
		return err_set(e, ERR_USAGE, EINVAL, "unknown text '%s'", what);
	return print_text(&out, e);
}

static int run_command(const struct program *p, const struct command *c, const void *globals,
		       char **argv, int argc, int *ret_status, struct err *e)
{
	_free_ char **args = calloc((size_t)argc + 2, sizeof(*args));
	void *options = calloc(1, c->options_size ? c->options_size : 1);
	bool help = false;
	int n = 0, r;

	if (!args || !options) {
		free(options);
		return err_oom(e);
	}
	/* What is refused is refused with --help too (engines probe that way), and whatever options
	 * it has elsewhere. */
	if (c->hidden)
		r = c->run(globals, options, args, 0, ret_status, e);
	else
		r = options_parse(c->options, options, argv, argc, c->stop_at_argument,
				  args, &n, &help, e);
	if (r == 0 && help) {
		r = print_its_help(p, c, e);
	} else if (r == 0 && !c->hidden) {
		r = command_check_count(c, n, e);
		if (r == 0)
			r = c->run(globals, options, args, n, ret_status, e);
	}
	options_clear(c->options, options);
	free(options);
	return r;
}

/* Where the command's name stands among the words: behind the global options. */
static int find_command(const struct program *p, char **argv, int argc, void *globals,
			int *ret_at, bool *ret_help, struct err *e)
{
	_free_ char **words = calloc((size_t)argc + 1, sizeof(*words));
	int n, r;

	if (!words)
		return err_oom(e);
	r = options_parse(p->options, globals, argv + 1, argc - 1, true, words, &n,
			  ret_help, e);
	*ret_at = argc - n;
	return r;
}

static int dispatch(const struct program *p, void *globals, char **argv, int argc,
		    const struct command **ret_command, int *ret_status, struct err *e)
{
	const struct command *c;
	int at = argc, r, logged;
	struct err log_err;
	bool help = false;

	r = find_command(p, argv, argc, globals, &at, &help, e);
	/* Engines take a missing log file for a crash: it is there whatever else is wrong. */
	logged = p->open_log(globals, r < 0 ? &log_err : e);
	if (r < 0 || logged < 0)
		return r < 0 ? r : logged;
	if (help || argc == 1)
		return print_its_help(p, NULL, e);
	if (at == argc)
		return err_set(e, ERR_USAGE, EINVAL, "no command given; see %s --help",
			       p->name);
	c = program_find_command(p, argv[at]);
	if (!c)
		return program_unknown_command(p, argv[at], e);
	*ret_command = c;
	r = p->begin ? p->begin(globals, argv, c, e) : 0;
	if (r < 0)
		return r;
	return run_command(p, c, globals, argv + at + 1, argc - at - 1, ret_status, e);
}

int program_dispatch(const struct program *p, char **argv, int argc,
		     const struct command **ret_command, int *ret_status, struct err *e)
{
	_free_ void *globals = calloc(1, p->globals_size);

	*ret_status = 0;
	*ret_command = NULL;
	if (!globals)
		return err_oom(e);
	if (argc == 2 && (streq(argv[1], "--version") || streq(argv[1], "-v")))
		return print_version(p->name, p->spec, e);
	if (argc == 2 && str_has_prefix(argv[1], "--generate="))
		return print_generated(p, argv[1] + strlen("--generate="), e);
	return dispatch(p, globals, argv, argc, ret_command, ret_status, e);
}
