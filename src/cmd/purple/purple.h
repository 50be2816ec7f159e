/* SPDX-License-Identifier: Apache-2.0 */
/* purple's global options and commands, and what several of its commands share. */
#ifndef PURPLE_CMD_PURPLE_PURPLE_H
#define PURPLE_CMD_PURPLE_PURPLE_H

#include <sys/types.h>

#include "cmd/command.h"
#include "policy/diff.h"

struct purple_globals {
	const char *root; /* absolute; never NULL when a command runs */
	const char *log;
	const char *log_format;
	const char *log_level;
	bool debug;
};

extern const struct program purple_program;
extern const struct command purple_run_command, purple_profile_command,
	purple_policy_command, purple_explain_command, purple_ps_command,
	purple_stop_command, purple_doctor_command, purple_network_command,
	purple_events_command, purple_audit_command, purple_usage_command,
	purple_budget_command, purple_monitor_command, purple_report_command,
	purple_learn_command;

/* `purple policy why` (policy_why.c): *ret_status is not 0 when the policy denies it. */
int policy_why(const char *file, const char *target, int *ret_status, struct err *e);

/* `purple policy diff` (policy_diff.c): *ret_status is 1 when they differ. Files. */
int policy_diff_files(const char *first, const char *second, int *ret_status, struct err *e);
/* Its text. */
void policy_diff_write(const char *first, const char *second, const policy_differences *l,
		       struct buf *out);

/* `purple policy reload` (policy_reload.c); `policy` NULL: the container's own, read again. */
int policy_reload_container(const char *root, const char *id, const char *policy,
			    bool strict, struct err *e);

/* --- profiles by name (profile_find.c) --- */

/* True for root of the host: its policies are the machine's. */
bool is_host_root(void);

/* Where the caller's own policies are: the administrator's folder for root of the host, else
 * $XDG_CONFIG_HOME/purple/policies or ~/.config/purple/policies. */
int profile_own_dir(char **ret, struct err *e);

/* The file of a profile: of the caller's own folder, else installed (policy_find()). */
int profile_find(const char *name, char **ret_path, struct err *e);

/* What `purple run --profile` was given, a name or a path of the caller's, as a path. */
int profile_resolve(const char *profile, char **ret_path, struct err *e);

/* "user", "admin" or "system": the folder that the path lies in. */
const char *profile_where(const char *path);

/* All profiles, sorted by name, the caller's own in front of an installed one of that name. */
int profile_list(struct strv *ret_names, struct strv *ret_paths, struct err *e);

/* --- the cleaner of `purple run` (cleaner.c) --- */

struct cleaner {
	pid_t pid;
	int fd; /* -1: none */
};

/*
 * Starts a process that waits for the caller's end. If the caller ends without cleaner_finish()
 * (SIGKILL), it deletes the caller's container.
 */
int cleaner_start(struct cleaner *c, const char *root, const char *id, struct err *e);
/* The caller has cleaned up itself: ends the cleaner. */
void cleaner_finish(struct cleaner *c);

/* --- states without an owner (stale.c) --- */

/* Sandboxes of `purple run` whose supervisor is dead and whose program does not run. */
int stale_list(const char *root, struct strv *ret_ids, struct err *e);

/* A text from a container or a file for a table: control characters replaced, at most `max`
 * bytes, 0 for no limit. */
void print_plain(struct buf *out, const char *text, size_t max);
/* The same as a cell of CSV; one that a spreadsheet would compute begins with an apostrophe. */
void print_csv(struct buf *out, const char *text);

#endif
