/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a run as text, for `purple run`, `ps` and `profile show`. Pure. */
#ifndef PURPLE_CMD_PURPLE_SUMMARY_H
#define PURPLE_CMD_PURPLE_SUMMARY_H

#include "base/str.h"
#include "container/record.h"

/*
 * A few lines with their ends, each within `width` columns where that can be (a command is never
 * cut). What there is nothing to tell of has no line.
 */
void summary_write(const struct run_record *x, unsigned int width, struct buf *out);

/* "exited with status 0", "out of memory (resources.memory_limit_bytes, p.yaml:7)". */
void summary_end(const struct container_end *x, struct buf *out);
/* "timeout", "exited (0)": for a column. */
void summary_end_short(const struct container_end *x, struct buf *out);

/* "1.2 s", "12 min 4 s", "3 h 7 min". */
void summary_duration(uint64_t ms, struct buf *out);
/* "312 MB" of 1024 * 1024 bytes each, as policies write them. */
void summary_bytes(uint64_t bytes, struct buf *out);

#endif
