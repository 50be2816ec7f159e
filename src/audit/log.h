/* SPDX-License-Identifier: Apache-2.0 */
/* The file of lines: bounded, and what does not fit or cannot be written is counted. */
#ifndef PURPLE_AUDIT_LOG_H
#define PURPLE_AUDIT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* What each of its writers (the monitor, the gateway of LLM calls) may write, and room behind that
 * for the last lines: what was lost, and the end. */
#define AUDIT_LOG_MAX (16u << 20)
#define AUDIT_LOG_RESERVE 4096
#define AUDIT_LOG_WRITERS 2
/* No file is larger. */
#define AUDIT_LOG_FILE_MAX (AUDIT_LOG_WRITERS * (AUDIT_LOG_MAX + AUDIT_LOG_RESERVE))

struct audit_log {
	int fd;	      /* borrowed, opened for appending: others write there, too */
	uint64_t max; /* bytes of its own; AUDIT_LOG_RESERVE more for last lines */
	uint64_t size;
	uint64_t sequence; /* of the last line, written or not */
	uint64_t lost;	   /* lines that were not written */
	bool torn;	   /* the last one is not whole */
};

/* A line with its end. False: it is counted as lost. `last`: it may use the reserve. */
bool audit_log_write(struct audit_log *l, const struct buf *line, bool last);

#endif
