/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left of a run when its container is gone: how long, why it ended, what it used, what LLM
 * calls it made, what it was denied (docs/run.schema.json). Collected before the container's cgroup
 * and state folder are removed; kept by history.h; told by `purple run`, `purple ps -a` and others.
 */
#ifndef PURPLE_CONTAINER_RECORD_H
#define PURPLE_CONTAINER_RECORD_H

#include "base/err.h"
#include "base/json.h"
#include "container/end.h"
#include "container/state.h"

/* Denials of one rule. Texts are what an agent had a hand in: they go to no terminal as they are. */
struct run_denial {
	char *type;	 /* of the event: "network", "dns", "llm_denied" */
	char *verdict;	 /* "deny"; "audit": it would be, and was not */
	char *rule;	 /* as it stands in the policy, or why without one */
	char *reference; /* FILE:LINE:COLUMN; NULL: of no line */
	char *policy;	 /* its name; NULL: not known */
	uint64_t count;
	char *target;  /* what the first one was for: "example.com:443", a model */
	char *command; /* that shows or allows it; NULL: there is none */
};

/* Figures of its cgroup; not set: not counted on this host. */
struct run_usage {
	struct opt_u64 memory_peak, memory_limit; /* bytes */
	struct opt_u64 oom_kills;
	struct opt_u64 cpu_ns, throttled_ns;
	struct opt_u64 processes_peak, processes_limit;
	struct opt_u64 read_bytes, written_bytes;
};

struct run_budget {
	char *name; /* as `purple budget` calls it */
	struct opt_i64 tokens, tokens_limit, cost, cost_limit; /* cost: picodollars */
};

struct run_llm {
	uint64_t calls, denied;
	struct opt_i64 tokens, cost; /* not set: not known */
	bool incomplete; /* the gateway died: what is known of its calls, one by one */
	LIST_OF(struct run_budget) budgets;
};

struct run_record {
	uint32_t version; /* RUN_VERSION */
	char *id, *root, *owner;
	struct strv policies;  /* names, the administrator's first */
	struct strv command;   /* shortened */
	char *started, *ended; /* RFC 3339 */
	uint64_t duration_ms;
	struct container_end *end;
	struct run_usage *usage;	    /* NULL: no cgroup */
	struct run_llm *llm;		    /* NULL: no gateway */
	LIST_OF(struct run_denial) denials; /* the most frequent first */
	uint64_t denied; /* in all, also of rules beyond those, and what was not told one by one */
	uint64_t audited; /* would have been denied */
	uint64_t lost;	  /* events that nobody recorded */
	struct strv logs; /* files that outlive the container */

	char *not_kept; /* why it is not in the history; no part of the document. NULL: it is */
};
#define RUN_VERSION 1

extern const struct json_type run_record_type, run_denial_type;
void run_record_clear(struct run_record *x);
#define _run_record_clear_ __attribute__((cleanup(run_record_clear)))

/*
 * Of a container whose init is dead, and whose gateway and monitor have ended. What cannot be read is
 * left out.
 */
int run_record_collect(const struct container *c, const struct oci_spec *spec,
		       struct run_record *ret, struct err *e);

/* Takes a line of events.jsonl into the record (record_events.c); what is odd is passed over. */
struct json;
void run_record_take_event(struct run_record *x, const struct container *c,
			   const struct json *event);
/* The denial that it tells, with a count of 0, for json_clear(). False: it tells none. */
bool run_denial_read(const struct container *c, const struct json *event,
		     struct run_denial *ret);
/* All lines of the file. */
int run_record_take_events(struct run_record *x, const struct container *c, struct err *e);

#endif
