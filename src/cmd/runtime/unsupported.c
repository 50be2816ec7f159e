/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of other runtimes that this one refuses by name. Their --help fails too: engines take
 * a `checkpoint --help` that succeeds for support of checkpoints.
 */
#include <errno.h>

#include "cmd/runtime/runtime.h"

static int run_checkpoint(const void *global, void *opts, char **args, int n,
			  int *ret_status, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "checkpoint is not supported by this version");
}

static int run_restore(const void *global, void *opts, char **args, int n,
		       int *ret_status, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "restore is not supported by this version");
}

const struct command checkpoint_command = {
	.name = "checkpoint",
	.arguments = "",
	.help = "",
	.max_args = -1,
	.stop_at_argument = true,
	.hidden = true,
	.run = run_checkpoint,
};

const struct command restore_command = {
	.name = "restore",
	.arguments = "",
	.help = "",
	.max_args = -1,
	.stop_at_argument = true,
	.hidden = true,
	.run = run_restore,
};
