/* SPDX-License-Identifier: Apache-2.0 */
/* See program.h. Runs with the engine's privileges, as root of the host. */
#include "cmd/hook/program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/report.h"

/* Of a config.json, as the runtime's own; annotations are part of a state, too. */
#define INPUT_MAX (16u << 20)

struct options {
	const char *policy, *log;
	bool version;
};

static const struct option_row rows[] = {
	OPTION(options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "the administrator's policy for all containers"),
	OPTION(options, log, "log", 0, OPTION_STRING, "FILE",
	       "where errors are written too: engines may keep them to themselves"),
	OPTION(options, version, "version", 'v', OPTION_FLAG, NULL, "print the version"),
	{},
};

static int print_hook_help(const struct hook_program *p, struct err *e)
{
	_free_ char *text = str_printf("Usage: %s [--policy NAME] %s\n\n%s\nSee %s(8).\n",
				       p->name, p->usage, p->help, p->name);

	return text ? print_help(text, rows, e) : err_oom(e);
}

static int hook(const struct hook_program *p, const char *policy, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(STDIN_FILENO, INPUT_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "%s on stdin", p->input);
	return p->run(text, len, policy, e);
}

int hook_program_run(const struct hook_program *p, int argc, char **argv, struct err *e)
{
	_free_ char **args = calloc((size_t)argc + 1, sizeof(*args));
	struct options o = {};
	bool help = false;
	int n, r;

	if (!args)
		return err_oom(e);
	r = options_parse(rows, &o, argv + 1, argc - 1, false, args, &n, &help, e);
	if (r < 0)
		return r;
	if (n > 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "unexpected argument '%s'; see %s --help", args[0], p->name);
	if (help)
		return print_hook_help(p, e);
	if (o.version)
		return print_version(p->name, NULL, e);
	r = o.log ? log_open(o.log, LOG_FORMAT_TEXT, e) : 0;
	return r < 0 ? r : hook(p, o.policy, e);
}
