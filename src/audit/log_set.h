/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of one audit log, oldest first, as they were at one moment: LOG.head is locked while
 * they are opened. Runs in `purple`, as whoever may read them.
 */
#ifndef PURPLE_AUDIT_LOG_SET_H
#define PURPLE_AUDIT_LOG_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "audit/chain.h"
#include "base/err.h"
#include "base/list.h"

struct log_set_file {
	char *path;
	uint32_t number; /* LOG.number; 0: the newest */
	int fd;
	struct stat st;
};

struct log_set {
	LIST_OF(struct log_set_file) files;
	bool has_head;
	struct chain_head head;
};

/* A log of which there is nothing has no files. */
int log_set_open(const char *path, struct log_set *ret, struct err *e);
void log_set_close(struct log_set *s);
#define _log_set_close_ __attribute__((cleanup(log_set_close)))

#endif
