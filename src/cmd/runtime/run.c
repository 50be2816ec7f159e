/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime run */
#include "cmd/runtime/runtime.h"
#include "container/container.h"

static const struct option_row options[] = {
	CREATE_OPTION_ROWS(create_options),
	OPTION(create_options, detach, "detach", 'd', OPTION_FLAG, NULL,
	       "return when the program runs"),
	OPTION(create_options, keep, "keep", 0, OPTION_FLAG, NULL,
	       "do not delete the container when it has stopped"),
	OPTION(create_options, no_subreaper, "no-subreaper", 0, OPTION_FLAG, NULL,
	       "do not reap what the container leaves behind"),
	{},
};

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	const struct create_options *o = opts;
	struct container_run_request rq = { .detach = o->detach,
					    .keep = o->keep,
					    .no_subreaper = o->no_subreaper };
	int r;

	r = create_request_fill(global, o, args[0], &rq.create, e);
	return r < 0 ? r : container_run(&rq, ret_status, e);
}

const struct command run_command = {
	.name = "run",
	.arguments = "ID",
	.help = "Make a container, start it, and wait for its end.",
	.options = options,
	.options_size = sizeof(struct create_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
