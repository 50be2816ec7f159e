/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an audit log is what its recorders wrote: no line changed, removed, added or moved (chain.h).
 * Against somebody who makes the whole chain anew, head and all, it helps to keep the last line's
 * SHA-256 elsewhere. Runs in `purple`, as whoever may read the log.
 */
#ifndef PURPLE_AUDIT_LOG_VERIFY_H
#define PURPLE_AUDIT_LOG_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "audit/chain.h"
#include "audit/log_lines.h"
#include "base/err.h"
#include "base/str.h"

/* What is wrong, and where: a line of a file from 1, 0: the whole. */
typedef void log_verify_problem(void *arg, const char *file, uint64_t line,
				const char *text);

struct log_verify {
	/* in */
	log_verify_problem *tell;
	void *arg;
	/* out */
	size_t problems, files;
	/* How many, and the number of the first one: above 1, a rotation tells of having removed those
	 * before it, or there is a problem. */
	uint64_t lines, first;
	uint64_t unrecorded; /* lines at the end that the head does not know of: a killed writer's */
	uint64_t torn; /* parts of lines, likewise */
	struct chain_link last;
};

/* The whole log. An error: it cannot be read. */
int log_verify(const char *path, struct log_verify *v, struct err *e);

/* --- its parts; pure --- */

struct log_check {
	struct log_verify *v;
	const char *name;	       /* of the log; NULL: any */
	const struct chain_head *head; /* NULL: there is none */
	const char *file;
	uint64_t line; /* of the file */
	const char *last_file;
	uint64_t last_line;
	bool is_last_file, head_differs;
	const char *first_file;
	uint8_t first_previous[CHAIN_HASH_SIZE];
	/* of the last file that a rotation removed; 0: none */
	uint64_t removed_first, removed_last;
	bool is_first_told; /* that lines before the first one were removed so */
	/* lines that are none of a log, since the last one that is */
	struct buf odd;
	uint64_t odd_line, odd_n;
	size_t odd_json;
};
void log_check_file(struct log_check *c, const char *file, bool is_last);
/* `whole`: it has its newline. */
void log_check_line(struct log_check *c, const struct log_line *line, bool whole);
void log_check_end(struct log_check *c);

#endif
