/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime kill and delete */
#include <errno.h>
#include <signal.h>

#include "cmd/runtime/runtime.h"
#include "container/container.h"

struct kill_options {
	bool all;
};

static const struct option_row kill_rows[] = {
	OPTION(kill_options, all, "all", 'a', OPTION_FLAG, NULL,
	       "signal every process of the container"),
	{},
};

static int run_kill(const void *global, void *opts, char **args, int n, int *ret_status,
		    struct err *e)
{
	const struct runtime_globals *g = global;
	const struct kill_options *o = opts;
	int signum = SIGTERM;

	if (n > 1 && signal_parse(args[1], &signum) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "unknown signal '%s'", args[1]);
	return container_kill(g->root, args[0], signum, o->all, e);
}

const struct command kill_command = {
	.name = "kill",
	.arguments = "ID [SIGNAL]",
	.help = "Send a signal (default TERM) to a container's init.",
	.options = kill_rows,
	.options_size = sizeof(struct kill_options),
	.min_args = 1,
	.max_args = 2,
	.run = run_kill,
};

struct delete_options {
	bool force;
};

static const struct option_row delete_rows[] = {
	OPTION(delete_options, force, "force", 'f', OPTION_FLAG, NULL,
	       "kill it first; a container that is not there is no error"),
	{},
};

static int run_delete(const void *global, void *opts, char **args, int n, int *ret_status,
		      struct err *e)
{
	const struct runtime_globals *g = global;
	const struct delete_options *o = opts;

	return container_delete(g->root, args[0], o->force, e);
}

const struct command delete_command = {
	.name = "delete",
	.arguments = "ID",
	.help = "Remove a stopped container and all that belongs to it.",
	.options = delete_rows,
	.options_size = sizeof(struct delete_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_delete,
};
