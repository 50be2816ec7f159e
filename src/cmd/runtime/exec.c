/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime exec */
#include <errno.h>

#include "base/fd.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

struct exec_options {
	const char *process, *pid_file, *console_socket, *pidfd_socket, *cwd, *user;
	struct strv env, caps, gids, cgroups;
	unsigned int preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused;
};

static const struct option_row rows[] = {
	OPTION(exec_options, process, "process", 'p', OPTION_STRING, "FILE",
	       "what to run, as an OCI process object"),
	OPTION(exec_options, detach, "detach", 'd', OPTION_FLAG, NULL,
	       "return when the program runs"),
	OPTION(exec_options, tty, "tty", 't', OPTION_FLAG, NULL,
	       "give the process a terminal"),
	OPTION(exec_options, console_socket, "console-socket", 0, OPTION_STRING, "PATH",
	       "socket that receives the terminal's master"),
	OPTION(exec_options, pidfd_socket, "pidfd-socket", 0, OPTION_STRING, "PATH",
	       "socket that receives a pidfd of the process"),
	OPTION(exec_options, pid_file, "pid-file", 0, OPTION_STRING, "FILE",
	       "where the process's pid is written"),
	OPTION(exec_options, cwd, "cwd", 0, OPTION_STRING, "DIR", "working directory"),
	OPTION(exec_options, user, "user", 'u', OPTION_STRING, "UID[:GID]",
	       "ids of the process"),
	OPTION(exec_options, gids, "additional-gids", 'g', OPTION_LIST, "GID",
	       "a supplementary group"),
	OPTION(exec_options, env, "env", 'e', OPTION_LIST, "NAME=VALUE",
	       "a further environment variable"),
	OPTION(exec_options, caps, "cap", 'c', OPTION_LIST, "CAP", "a further capability"),
	OPTION(exec_options, cgroups, "cgroup", 0, OPTION_LIST, "[CONTROLLER:]PATH",
	       "a group below the container's, where the process runs"),
	OPTION(exec_options, no_new_privs, "no-new-privs", 0, OPTION_FLAG, NULL,
	       "set no_new_privs"),
	OPTION(exec_options, preserve_fds, "preserve-fds", 0, OPTION_UINT, "N",
	       "descriptors 3 to 2+N are passed on"),
	OPTION(exec_options, ignore_paused, "ignore-paused", 0, OPTION_FLAG, NULL,
	       "allow it in a paused container"),
	{},
};

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct runtime_globals *g = global;
	const struct exec_options *o = opts;
	struct container_exec_request rq = {
		.root = g->root,
		.id = args[0],
		.process_file = o->process,
		.env = o->env,
		.caps = o->caps,
		.additional_gids = o->gids,
		.sub_cgroups = o->cgroups,
		.cwd = o->cwd,
		.user = o->user,
		.tty = o->tty,
		.no_new_privileges = o->no_new_privs,
		.detach = o->detach,
		.pid_file = o->pid_file,
		.console_socket = o->console_socket,
		.pidfd_socket = o->pidfd_socket,
		.preserve_fds = o->preserve_fds,
		.ignore_paused = o->ignore_paused,
		.args = { .v = args + 1, .n = (size_t)n - 1 },
	};
	int r;

	if (o->process && n > 1)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--process and a command exclude each other");
	if (!o->process && n < 2)
		return err_set(e, ERR_USAGE, EINVAL,
			       "exec needs a command, or --process FILE");
	r = fd_keep_inherited(rq.preserve_fds, e);
	if (r < 0)
		return err_wrap(e, "--preserve-fds");
	return container_exec(&rq, ret_status, e);
}

const struct command exec_command = {
	.name = "exec",
	.arguments = "ID [COMMAND [ARGUMENT...]]",
	.help = "Run a further process in a running container.",
	.options = rows,
	.options_size = sizeof(struct exec_options),
	.min_args = 1,
	.max_args = -1,
	.stop_at_argument = true,
	.run = run,
};
