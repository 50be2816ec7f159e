/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a container ended: end.jsonl of its state folder. Whoever ends it, or sees it end, adds a
 * line in one write; what a reader makes of them is in container_end_load(). Those that have no
 * right to the folder get a descriptor (container_end_open()).
 */
#ifndef PURPLE_CONTAINER_END_H
#define PURPLE_CONTAINER_END_H

#include <stdbool.h>

#include "base/err.h"
#include "base/json.h"
#include "container/state.h"

#define CONTAINER_END "end.jsonl"

/* The reasons. The first of those that act for a policy holds; a wish of somebody's only where
 * there is none of them; and how the program ended where there is neither. */
#define END_TIMEOUT "timeout"	/* session_timeout_seconds */
#define END_OOM "oom"		/* memory_limit_bytes */
#define END_BUDGET "budget"	/* of LLM calls */
#define END_AUDIT "audit"	/* what is to be recorded cannot be */
#define END_STOPPED "stopped"	/* somebody sent it a signal, or deleted it */
#define END_EXITED "exited"	/* by itself */
#define END_SIGNALED "signaled" /* by a signal that Purple did not send */
#define END_UNKNOWN "unknown"	/* nobody saw it who could tell */

struct container_end {
	char *reason;
	char *detail; /* a sentence's part, for people; NULL: the reason says all */
	char *by;     /* who did it; NULL: the program itself */
	char *setting, *policy; /* of the policy: its key, and "FILE:LINE"; NULL: none */
	char *time;		/* RFC 3339: when that was done, or seen */
	char *ended; /* when its program was seen to have ended; NULL: nobody has */
	struct opt_i32 status; /* exit status, 128+n for a signal; not set: not known */
};
extern const struct json_type container_end_type;
void container_end_clear(struct container_end *x);
#define _container_end_clear_ __attribute__((cleanup(container_end_clear)))

/* The file, for appending and reading, by a process of any rights. */
int container_end_open(const struct container *c, int *ret_fd, struct err *e);
/* Both; a failure is warned of alone. */
void container_end_note(const struct container *c, const struct container_end *x);

/* What the lines come to; *ret_known is false where there is none that counts. Also looks at
 * limit.json, which the gateway writes. */
int container_end_load(const struct container *c, struct container_end *ret,
		       bool *ret_known, struct err *e);
/* The pure part: of the text of the file. */
int container_end_parse(char *text, struct container_end *ret, bool *ret_known,
			struct err *e);

/* Now, as RFC 3339 in UTC. NULL: no memory. */
char *container_end_time(void);

#endif
