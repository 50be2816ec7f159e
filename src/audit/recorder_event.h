/* SPDX-License-Identifier: Apache-2.0 */
/* The recorder's own lines. Pure. */
#ifndef PURPLE_AUDIT_RECORDER_EVENT_H
#define PURPLE_AUDIT_RECORDER_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/chain.h"
#include "base/str.h"

#define RECORDER_PROVIDER "purple-recorder"

struct recorder_self {
	const char *container;
	uint64_t sequence; /* of its last line */
};

/* What was found at the end of a log, and wrong. */
struct recorder_repair {
	uint64_t lines; /* whole ones that its head did not know of: their writer was killed */
	uint64_t torn; /* bytes of what is no whole line; then: */
	uint8_t torn_hash[CHAIN_HASH_SIZE];
	/* What no killed writer leaves behind; NULL: none. "head": there was none, or it was no
	 * head. "cut": lines are missing at the end. "changed": the last line is another one. */
	const char *cause;
};
/* A rotated file that is not kept any more. */
struct recorder_removal {
	const char *file; /* its name */
	uint64_t first; /* number of its first line, and its last line; 0: it is none of a log */
	struct chain_link last;
};

bool recorder_repair_is_needed(const struct recorder_repair *x);

/* With newline. */
void recorder_event_repaired(struct recorder_self *self, const struct recorder_repair *x,
			     struct buf *out);
void recorder_event_removed(struct recorder_self *self, const struct recorder_removal *x,
			    struct buf *out);
void recorder_event_lost(struct recorder_self *self, uint64_t lines, struct buf *out);
void recorder_event_died(struct recorder_self *self, struct buf *out);

#endif
