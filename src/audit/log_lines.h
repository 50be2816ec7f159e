/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a part of a file, one by one, however long they are. */
#ifndef PURPLE_AUDIT_LOG_LINES_H
#define PURPLE_AUDIT_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_lines {
	int fd;	      /* borrowed; read with pread() */
	uint64_t end; /* of the part; may be moved on */
	/* private */
	uint64_t at; /* of the next line */
	char *buf;
	size_t from, have;
};

struct log_line {
	const char *s; /* until the next call; not terminated */
	size_t len;    /* without newline */
	uint64_t offset;
	bool too_long; /* above LOG_LINE_MAX: only its beginning is in s; len is all of it */
};

/* From the beginning of a line. -ENOMEM */
int log_lines_open(struct log_lines *l, int fd, uint64_t from, uint64_t end);
/*
 * 1; 0: there is no whole line any more, and what is left begins at l->at; -errno. A file that
 * is shorter than `end` ends there.
 */
int log_lines_next(struct log_lines *l, struct log_line *ret);
/* What is left then, without a newline: 1; 0: nothing; -errno. */
int log_lines_rest(struct log_lines *l, struct log_line *ret);
void log_lines_close(struct log_lines *l);

#endif
