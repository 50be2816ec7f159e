/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of an audit log, which nobody but root can put another one in the place of: neither it
 * nor what it lies in belongs to somebody else, or may be written by somebody else.
 */
#ifndef PURPLE_AUDIT_LOG_FOLDER_H
#define PURPLE_AUDIT_LOG_FOLDER_H

#include "base/err.h"

/*
 * Opens it (O_PATH); what is missing of its path is made, mode 0700. ERR_STATE, with the folder that
 * is to blame, where one on the way is not root's alone. In a folder that others write to, but where
 * all keep what is theirs (sticky, as /tmp), what is root's is passed through, and no link is
 * followed; the last one is not such a folder.
 * Runs as root, with the host's files.
 */
int log_folder_open(const char *path, int *ret, struct err *e);

#endif
