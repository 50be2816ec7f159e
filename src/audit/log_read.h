/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading audit logs: of each the rotated files, oldest first, and the newest one; several logs
 * together in the order of time, a line that is in more than one of them once. Runs in `purple`, as
 * whoever may read them. What lines hold is untrusted: see cmd/purple/event_text.h for printing.
 */
#ifndef PURPLE_AUDIT_LOG_READ_H
#define PURPLE_AUDIT_LOG_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

enum audit_decision { AUDIT_ANY, AUDIT_DENIED, AUDIT_ALLOWED };

/* What is wanted of them: all that is given. */
struct audit_query {
	const char *container;	   /* its id */
	const char *type;	   /* of the line: "network" */
	const char *since, *until; /* @timestamp: not before, and before; compared as text */
	enum audit_decision decision; /* by verdict; lines without one are of neither */
};

struct audit_line {
	const char *text; /* with the member `line` of a log, without newline; not terminated */
	size_t len;
	const struct json *json; /* an object */
	const char *log;	 /* its path */
};

struct audit_reader;

/* A log that is not there is empty, until it comes. `logs` and the query are the caller's, and must
 * stay. Free with audit_reader_free(). */
int audit_reader_open(const struct strv *logs, const struct audit_query *q,
		      struct audit_reader **ret, struct err *e);
/* Adds a file of such lines that is no log: no number, no rotation, as a container's events.jsonl. */
int audit_reader_add_plain(struct audit_reader *r, const char *path, struct err *e);
/*
 * The next line: 1; 0 when there is none now (later there may be: ask again); -errno. What it gives
 * stays until the next call.
 */
int audit_reader_next(struct audit_reader *r, struct audit_line *ret, struct err *e);
/* A descriptor for poll(): readable when there may be more. audit_reader_next() empties it. */
int audit_reader_watch(struct audit_reader *r, struct err *e);
/* Lines that were no lines of a log, or no JSON: those were left out. */
size_t audit_reader_odd(const struct audit_reader *r);
void audit_reader_free(struct audit_reader *r);

#endif
