/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of runs that are over: one file each, the newest HISTORY_MAX. Root of the host has
 * /var/lib/purple/runs, others $XDG_STATE_HOME/purple/runs or ~/.local/state/purple/runs; 0700 the
 * folder, 0600 the files.
 */
#ifndef PURPLE_CONTAINER_HISTORY_H
#define PURPLE_CONTAINER_HISTORY_H

#include "base/err.h"
#include "base/str.h"
#include "container/record.h"

#define HISTORY_MAX 1000

/* Adds a record, whole or not at all, and takes away what is more than HISTORY_MAX. */
int history_write(const struct run_record *x, struct err *e);

/* Names of records, the newest first; no folder is none. */
int history_list(struct strv *ret, struct err *e);
/* One of them. ERR_NOT_EXIST: it is not there, or not any more. */
int history_read(const char *name, struct run_record *ret, struct err *e);

#endif
