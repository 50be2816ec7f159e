/* SPDX-License-Identifier: Apache-2.0 */
/* Where audit logs are. */
#ifndef PURPLE_CMD_PURPLE_AUDIT_LOGS_H
#define PURPLE_CMD_PURPLE_AUDIT_LOGS_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Paths of audit logs, each once: those in AUDIT_LOG_FOLDER, those that the policies name that are
 * known by name, and those of the containers in the state root. `container`, `policy` (a name):
 * those alone in which there may be lines of it; NULL: all.
 */
int audit_logs_find(const char *root, const char *container, const char *policy,
		    struct strv *ret, struct err *e);

#endif
