/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of purple-runtime, and what happens before its commands. */
#include <errno.h>
#include <stdlib.h>

#include "cmd/report.h"
#include "cmd/runtime/runtime.h"
#include "config.h"
#include "container/container.h"
#include "oci/state.h"

#define NAME_PREFIX "purple-runtime-"

static const struct option_row global_rows[] = {
	OPTION(runtime_globals, root, "root", 0, OPTION_STRING, "DIR",
	       "where states are kept (default /run/purple)"),
	OPTION(runtime_globals, log, "log", 0, OPTION_STRING, "FILE",
	       "where errors are logged"),
	OPTION(runtime_globals, log_format, "log-format", 0, OPTION_STRING, "FORMAT",
	       "text (default) or json"),
	OPTION(runtime_globals, log_level, "log-level", 0, OPTION_STRING, "LEVEL",
	       "error (default), warning, info or debug"),
	OPTION(runtime_globals, debug, "debug", 0, OPTION_FLAG, NULL, "as --log-level debug"),
	OPTION(runtime_globals, policy, "policy", 0, OPTION_STRING, "NAME",
	       "the administrator's policy for the container"),
	OPTION(runtime_globals, cgroup_manager, "cgroup-manager", 0, OPTION_STRING,
	       "MANAGER", "cgroupfs (default), systemd or disabled"),
	OPTION(runtime_globals, systemd_cgroup, "systemd-cgroup", 0, OPTION_FLAG, NULL,
	       "as --cgroup-manager systemd"),
	OPTION(runtime_globals, rootless, "rootless", 0, OPTION_STRING, "BOOL",
	       "true, false or auto; told from the user namespace in any case"),
	{},
};

static const struct command *const commands[] = {
	&create_command,  &start_command, &state_command,    &kill_command,
	&delete_command,  &run_command,	  &exec_command,     &ps_command,
	&list_command,	  &pause_command, &resume_command,   &update_command,
	&events_command,  &spec_command,  &features_command, &checkpoint_command,
	&restore_command, NULL,
};

static int open_log(const void *globals, struct err *e)
{
	const struct runtime_globals *g = globals;

	return report_open_log(&(struct log_options){ .file = g->log,
						      .format = g->log_format,
						      .level = g->log_level,
						      .debug = g->debug },
			       e);
}

/* purple-runtime-NAME is the runtime with the policy NAME: one handler per policy. */
static int policy_from_name(const char *argv0, struct runtime_globals *g, struct err *e)
{
	const char *base = argv0 ? strrchr(argv0, '/') : NULL;

	base = base ? base + 1 : argv0;
	g->policy_chosen_by = "--policy";
	if (!base || !str_has_prefix(base, NAME_PREFIX) || !base[strlen(NAME_PREFIX)])
		return 0;
	base += strlen(NAME_PREFIX);
	if (g->policy && !streq(g->policy, base))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--policy %s contradicts the program's name, which says %s",
			       g->policy, base);
	g->policy = base;
	g->policy_chosen_by = "program name";
	return 0;
}

/* Commands whose process, or whose child, ends up in a container. */
static bool enters_container(const struct command *c)
{
	return c == &create_command || c == &run_command || c == &exec_command;
}

static int begin(void *globals, char **argv, const struct command *c, struct err *e)
{
	struct runtime_globals *g = globals;
	int r = policy_from_name(argv[0], g, e);

	if (r == 0 && g->root && !*g->root)
		return err_set(e, ERR_USAGE, EINVAL, "--root must not be empty");
	if (r == 0 && !g->root) {
		/* For the life of the process. */
		g->root = container_default_root();
		if (!g->root)
			r = err_oom(e);
	}
	if (r == 0 && enters_container(c))
		r = container_protect_program(argv, e);
	return r;
}

const struct program runtime_program = {
	.name = "purple-runtime",
	.help = "An OCI container runtime that holds containers to a policy.",
	.options = global_rows,
	.globals_size = sizeof(struct runtime_globals),
	.commands = commands,
	.spec = OCI_STATE_VERSION,
	.open_log = open_log,
	.begin = begin,
};
