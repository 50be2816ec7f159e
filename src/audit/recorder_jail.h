/* SPDX-License-Identifier: Apache-2.0 */
/* What the recorder keeps: its descriptors, and the folders of its logs. */
#ifndef PURPLE_AUDIT_RECORDER_JAIL_H
#define PURPLE_AUDIT_RECORDER_JAIL_H

#include <stddef.h>

#include "base/err.h"

/*
 * The folder of a log, as log_folder_open() has it. The
 * descriptor leads nowhere else, not even by "..": it is a mount of its own. *ret_name: what follows
 * the last slash. Runs as root with the host's files.
 */
int recorder_jail_open_folder(const char *path, int *ret, const char **ret_name,
			      struct err *e);
/* The rest: no other files, no capabilities, few system calls; the user stays root, whose the logs
 * are. */
int recorder_jail_enter(const int *folders, size_t n, struct err *e);

#endif
