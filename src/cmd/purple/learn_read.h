/* SPDX-License-Identifier: Apache-2.0 */
/* From lines of an audit log (docs/events.schema.json) to what was seen of a run. Pure. */
#ifndef PURPLE_CMD_PURPLE_LEARN_READ_H
#define PURPLE_CMD_PURPLE_LEARN_READ_H

#include "base/json.h"
#include "policy/learn.h"

/* What could not be learnt: a policy from it may be too small. */
struct learn_gaps {
	bool ran;	     /* a program was executed */
	uint64_t lost;	     /* events that were not told */
	struct strv refused; /* what was denied while it was learnt, a line each, once */
};
void learn_gaps_clear(struct learn_gaps *g);

/* Adds what a line says; -ENOMEM. What it does not know says nothing. */
int learn_read_line(const struct json *j, struct policy_seen *seen, struct learn_gaps *gaps);

#endif
