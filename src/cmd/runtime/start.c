/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime start, pause and resume: one container, no options. */
#include "cmd/runtime/runtime.h"
#include "container/container.h"

static int run_start(const void *global, void *opts, char **args, int n, int *ret_status,
		     struct err *e)
{
	return container_start(((const struct runtime_globals *)global)->root, args[0],
			       notify_socket(), e);
}

static int run_pause(const void *global, void *opts, char **args, int n, int *ret_status,
		     struct err *e)
{
	return container_pause(((const struct runtime_globals *)global)->root, args[0], e);
}

static int run_resume(const void *global, void *opts, char **args, int n, int *ret_status,
		      struct err *e)
{
	return container_resume(((const struct runtime_globals *)global)->root, args[0], e);
}

const struct command start_command = {
	.name = "start",
	.arguments = "ID",
	.help = "Run the program of a created container.",
	.min_args = 1,
	.max_args = 1,
	.run = run_start,
};

const struct command pause_command = {
	.name = "pause",
	.arguments = "ID",
	.help = "Freeze all processes of a container.",
	.min_args = 1,
	.max_args = 1,
	.run = run_pause,
};

const struct command resume_command = {
	.name = "resume",
	.arguments = "ID",
	.help = "Let the processes of a paused container go on.",
	.min_args = 1,
	.max_args = 1,
	.run = run_resume,
};
