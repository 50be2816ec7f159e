/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime checkpoint and restore */
#include <errno.h>

#include "cmd/runtime/runtime.h"
#include "container/checkpoint.h"

struct checkpoint_command_options {
	struct checkpoint_options checkpoint;
	struct create_options create; /* of restore */
};

/* What criu(8) calls the same. */
#define CRIU_OPTION_ROWS(st)                                                            \
	OPTION(st, checkpoint.image_path, "image-path", 0, OPTION_STRING, "DIR",        \
	       "where the images are (default: checkpoint)"),                           \
		OPTION(st, checkpoint.work_path, "work-path", 0, OPTION_STRING, "DIR",  \
		       "where CRIU's log is written (default: beside the images)"),     \
		OPTION(st, checkpoint.tcp_established, "tcp-established", 0,            \
		       OPTION_FLAG, NULL, "with established TCP connections"),          \
		OPTION(st, checkpoint.ext_unix_sk, "ext-unix-sk", 0, OPTION_FLAG, NULL, \
		       "with Unix sockets that are connected to the outside"),          \
		OPTION(st, checkpoint.shell_job, "shell-job", 0, OPTION_FLAG, NULL,     \
		       "with a terminal of the caller's"),                              \
		OPTION(st, checkpoint.file_locks, "file-locks", 0, OPTION_FLAG, NULL,   \
		       "with locks on files")

static const struct option_row checkpoint_rows[] = {
	CRIU_OPTION_ROWS(checkpoint_command_options),
	OPTION(checkpoint_command_options, checkpoint.leave_running, "leave-running", 'R',
	       OPTION_FLAG, NULL, "let the container run on"),
	OPTION(checkpoint_command_options, checkpoint.tcp_skip_in_flight,
	       "tcp-skip-in-flight", 0, OPTION_FLAG, NULL,
	       "without TCP connections that are being made"),
	OPTION(checkpoint_command_options, checkpoint.pre_dump, "pre-dump", 'P',
	       OPTION_FLAG, NULL, "write the memory alone, and let the container run on"),
	OPTION(checkpoint_command_options, checkpoint.parent_path, "parent-path", 0,
	       OPTION_STRING, "DIR", "images of a --pre-dump, relative to the image path"),
	{},
};

static const struct option_row restore_rows[] = {
	OPTION(checkpoint_command_options, create.bundle, "bundle", 'b', OPTION_STRING,
	       "DIR", "the bundle's directory (default: the current one)"),
	OPTION(checkpoint_command_options, create.console_socket, "console-socket", 0,
	       OPTION_STRING, "PATH", "socket that receives the terminal's master"),
	OPTION(checkpoint_command_options, create.pid_file, "pid-file", 0, OPTION_STRING,
	       "FILE", "where the process's pid is written"),
	OPTION(checkpoint_command_options, create.no_pivot, "no-pivot", 0, OPTION_FLAG,
	       NULL, "refused: CRIU always uses pivot_root"),
	OPTION(checkpoint_command_options, create.no_new_keyring, "no-new-keyring", 0,
	       OPTION_FLAG, NULL, "keep the caller's session keyring"),
	OPTION(checkpoint_command_options, create.detach, "detach", 'd', OPTION_FLAG,
	       NULL, "return when the container runs"),
	OPTION(checkpoint_command_options, create.no_subreaper, "no-subreaper", 0,
	       OPTION_FLAG, NULL, "do not reap what the container leaves behind"),
	CRIU_OPTION_ROWS(checkpoint_command_options),
	OPTION(checkpoint_command_options, checkpoint.tcp_close, "tcp-close", 0,
	       OPTION_FLAG, NULL, "with TCP connections closed"),
	OPTION(checkpoint_command_options, checkpoint.lsm_profile, "lsm-profile", 0,
	       OPTION_STRING, "KIND:NAME", "the processes' profile of AppArmor or SELinux"),
	OPTION(checkpoint_command_options, checkpoint.lsm_mount_context, "lsm-mount-context",
	       0, OPTION_STRING, "CONTEXT", "the mounts' context of SELinux"),
	{},
};

static int run_checkpoint(const void *global, void *opts, char **args, int n,
			  int *ret_status, struct err *e)
{
	const struct checkpoint_command_options *o = opts;

	return container_checkpoint(((const struct runtime_globals *)global)->root,
				    args[0], &o->checkpoint, e);
}

static int run_restore(const void *global, void *opts, char **args, int n,
		       int *ret_status, struct err *e)
{
	const struct checkpoint_command_options *o = opts;
	struct container_restore_request rq = { .options = o->checkpoint,
						.detach = o->create.detach,
						.no_subreaper = o->create.no_subreaper };
	int r;

	if (o->create.no_pivot)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "--no-pivot: CRIU always uses pivot_root");
	r = create_request_fill(global, &o->create, args[0], &rq.create, e);
	if (r == 0 && rq.create.listen_fds)
		r = err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			    "LISTEN_FDS: restored processes get no further descriptors");
	/* Nothing of a restored process says that it is ready: it has been. */
	rq.create.notify_socket = NULL;
	return r < 0 ? r : container_restore(&rq, ret_status, e);
}

const struct command checkpoint_command = {
	.name = "checkpoint",
	.arguments = "ID",
	.help = "Write a container's processes to files, by CRIU, and delete it.",
	.options = checkpoint_rows,
	.options_size = sizeof(struct checkpoint_command_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_checkpoint,
};

const struct command restore_command = {
	.name = "restore",
	.arguments = "ID",
	.help = "Make a container from the files of a checkpoint, and wait for its end.",
	.options = restore_rows,
	.options_size = sizeof(struct checkpoint_command_options),
	.min_args = 1,
	.max_args = 1,
	.run = run_restore,
};
