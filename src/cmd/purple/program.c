/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of purple, and what happens before its commands. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/purple.h"
#include "cmd/report.h"
#include "config.h"
#include "container/state.h"
#include "linux/exe.h"

static const struct option_row global_rows[] = {
	OPTION(purple_globals, root, "root", 0, OPTION_STRING, "DIR",
	       "where states are kept (default /run/purple, or $XDG_RUNTIME_DIR/purple)"),
	OPTION(purple_globals, log, "log", 0, OPTION_STRING, "FILE",
	       "where errors are logged"),
	OPTION(purple_globals, log_format, "log-format", 0, OPTION_STRING, "FORMAT",
	       "text (default) or json"),
	OPTION(purple_globals, log_level, "log-level", 0, OPTION_STRING, "LEVEL",
	       "error (default), warning, info or debug"),
	OPTION(purple_globals, debug, "debug", 0, OPTION_FLAG, NULL, "as --log-level debug"),
	{},
};

static const struct command *const commands[] = {
	&purple_run_command,	 &purple_ps_command,
	&purple_stop_command,	 &purple_explain_command,
	&purple_network_command, &purple_events_command,
	&purple_audit_command,	 &purple_profile_command,
	&purple_policy_command,	 &purple_doctor_command,
	&purple_usage_command,	 &purple_budget_command,
	&purple_monitor_command, &purple_report_command,
	&purple_learn_command,	 NULL,
};

static int open_log(const void *globals, struct err *e)
{
	const struct purple_globals *g = globals;

	return report_open_log(&(struct log_options){ .file = g->log,
						      .format = g->log_format,
						      .level = g->log_level,
						      .debug = g->debug },
			       e);
}

/* For the life of the process. Absolute: the cleaner and hooks have other directories. */
static int choose_root(struct purple_globals *g, struct err *e)
{
	char here[PATH_MAX];

	if (g->root && !*g->root)
		return err_set(e, ERR_USAGE, EINVAL, "--root must not be empty");
	if (!g->root)
		g->root = container_default_root();
	else if (g->root[0] != '/' && getcwd(here, sizeof(here)))
		g->root = fs_join(here, g->root);
	return g->root ? 0 : err_oom(e);
}

static int begin(void *globals, char **argv, const struct command *c, struct err *e)
{
	int r = choose_root(globals, e);

	if (r == 0 && c == &purple_run_command)
		r = exe_protect(argv, e);
	return r;
}

const struct program purple_program = {
	.name = "purple",
	.help = "Runs AI agents under policies that the kernel enforces.",
	.options = global_rows,
	.globals_size = sizeof(struct purple_globals),
	.commands = commands,
	.open_log = open_log,
	.begin = begin,
};
