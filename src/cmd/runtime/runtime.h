/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime's global options and commands. */
#ifndef PURPLE_CMD_RUNTIME_RUNTIME_H
#define PURPLE_CMD_RUNTIME_RUNTIME_H

#include "cmd/command.h"

struct runtime_globals {
	const char *root; /* never NULL when a command runs */
	const char *log;
	const char *log_format;
	const char *log_level;
	const char *cgroup_manager;
	const char *policy;
	const char *policy_chosen_by; /* not an option: told from how it was given */
	const char *rootless; /* accepted for go-runc's sake; told from the user namespace */
	bool debug;
	bool systemd_cgroup;
};

extern const struct program runtime_program;
extern const struct command create_command, start_command, state_command, kill_command,
	delete_command, run_command, exec_command, ps_command, list_command,
	pause_command, resume_command, update_command, spec_command, features_command,
	events_command, checkpoint_command, restore_command;

/* The part of container_create_request that create and run share. */
struct create_options {
	const char *bundle, *config, *pid_file, *console_socket, *pidfd_socket;
	unsigned int preserve_fds;
	bool no_pivot, no_new_keyring;
	/* run only */
	bool detach, keep, no_subreaper;
};

struct container_create_request;
int create_request_fill(const struct runtime_globals *g, const struct create_options *o,
			const char *id, struct container_create_request *ret,
			struct err *e);

/* The service manager's socket, from the environment; NULL: none. */
const char *notify_socket(void);

#define CREATE_OPTION_ROWS(st)                                                          \
	OPTION(st, bundle, "bundle", 'b', OPTION_STRING, "DIR",                         \
	       "the bundle's directory (default: the current one)"),                    \
		OPTION(st, config, "config", 'f', OPTION_STRING, "FILE",                \
		       "the configuration (default: config.json of the bundle)"),       \
		OPTION(st, console_socket, "console-socket", 0, OPTION_STRING, "PATH",  \
		       "socket that receives the terminal's master"),                   \
		OPTION(st, pidfd_socket, "pidfd-socket", 0, OPTION_STRING, "PATH",      \
		       "socket that receives a pidfd of the container's process"),      \
		OPTION(st, pid_file, "pid-file", 0, OPTION_STRING, "FILE",              \
		       "where the process's pid is written"),                           \
		OPTION(st, preserve_fds, "preserve-fds", 0, OPTION_UINT, "N",           \
		       "descriptors 3 to 2+N are passed on"),                           \
		OPTION(st, no_pivot, "no-pivot", 0, OPTION_FLAG, NULL,                  \
		       "move the root instead of pivot_root, for a root on a ramdisk"), \
		OPTION(st, no_new_keyring, "no-new-keyring", 0, OPTION_FLAG, NULL,      \
		       "keep the caller's session keyring")

#endif
