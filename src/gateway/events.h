/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway tells of: lines of events.jsonl (docs/events.schema.json), and the JSON that the
 * administrator's alerts get. No word of a prompt or an answer is in any of them; the name of a
 * model is all that an agent puts there, shortened.
 */
#ifndef PURPLE_GATEWAY_EVENTS_H
#define PURPLE_GATEWAY_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/log.h"
#include "audit/pace.h"
#include "base/str.h"
#include "budget/usage.h"
#include "gateway/config.h"
#include "gateway/refusal.h"

#define GATEWAY_EVENT_MODEL_MAX 128

enum gateway_event_type {
	GATEWAY_STARTED,
	GATEWAY_LLM_CALL,	 /* a call is over and charged */
	GATEWAY_LLM_DENIED,	 /* a call was refused, or cut off: `reason` */
	GATEWAY_LLM_SENSITIVE,	 /* a request held what must not leave; `kinds` */
	GATEWAY_LLM_INJECTION,	 /* a request looks like an injected prompt; `kinds` */
	GATEWAY_BUDGET_ALERT,	 /* a threshold is passed: `percent` */
	GATEWAY_BUDGET_EXCEEDED, /* nothing is left that a call could be made with */
	GATEWAY_BUDGET_LIFTED,	 /* there is again, and the container goes on */
	GATEWAY_ACTION_FAILED,	 /* stopping, freezing, alerting: `failed`, `error` */
	GATEWAY_STOPPED,	 /* the gateway ends; `denied` calls in all */
	GATEWAY_DIED,		 /* the warden's word for it; `is_frozen`, `error` */
	GATEWAY_EVENT_TYPES,
};

/* What all calls of a gateway took, and what that leaves of the budgets. */
#define GATEWAY_BUDGETS_MAX 8
struct gateway_spent {
	int64_t tokens, cost;
	size_t n;
	struct gateway_left {
		int policy;		   /* whose budget it is */
		bool has_tokens, has_cost; /* what it limits */
		int64_t tokens,
			tokens_limit; /* charged, and of how many: additions included */
		int64_t cost, cost_limit;
	} budgets[GATEWAY_BUDGETS_MAX];
};

/* Only what belongs to the type is looked at; texts may be NULL: not known. */
struct gateway_event {
	enum gateway_event_type type;
	int policy; /* index in the configuration; -1: none */

	/* --- of calls --- */
	const char *provider;	      /* as the policy names it */
	const char *model, *answered; /* as the request and the answer name it */
	const char *api;     /* "chat", "responses", "messages": gateway_event_api() */
	unsigned int status; /* of HTTP; 0: there was none */
	uint64_t duration_ms;
	bool is_stream;
	bool is_estimate;	   /* the provider gave no figures */
	const struct usage *usage; /* NULL: no tokens are told (log_tokens) */
	bool has_cost;		   /* log_costs */
	int64_t call_cost;
	enum llm_refusal_reason reason;
	bool is_audit; /* it would be refused, and passed: enforcement: audit */
	bool is_redacted;
	const char *const *kinds; /* names of patterns, not what they found */
	size_t n_kinds;
	uint64_t count; /* alike; 0 is 1 */

	/* --- of budgets --- */
	uint32_t percent;
	bool has_tokens, has_cost_limit; /* what is limited */
	int64_t tokens, tokens_limit; /* charged, and of how many: additions included */
	int64_t cost, cost_limit;
	enum gateway_exceeded action;

	const char *failed; /* "stop", "freeze", "thaw", "alert", "webhook" */
	const char *error;
	bool is_frozen;
	uint64_t denied, calls;
	const struct gateway_spent *spent; /* with GATEWAY_STOPPED; NULL: not known */
	struct {
		uint64_t limited, log; /* lines not written: too many, or no room */
		uint64_t record;       /* not taken by the recorder */
	} lost;
};

struct gateway_events {
	struct audit_log log;
	const struct gateway_config *config; /* borrowed */
	int copy_fd;			     /* GATEWAY_FD_COPY */
	struct pace calls, refusals;
	uint64_t limited, not_copied;
	uint64_t untold; /* of not_copied: no line of the audit logs tells of them */
};

/* event.provider: whose lines they are, and who counts them. */
#define GATEWAY_PROVIDER "purple-gateway"

/* `fd`: for appending; `copy_fd`: GATEWAY_FD_COPY. Both are borrowed; -1: nothing is written. */
void gateway_events_init(struct gateway_events *ev, const struct gateway_config *c,
			 int fd, int copy_fd);
/* A line for the audit logs. Does not wait; false: it is lost. */
bool gateway_events_copy(int fd, enum gateway_event_type type, const struct buf *line);
/* The line, with its end. */
void gateway_event_print(const struct gateway_config *c, const struct gateway_event *x,
			 const char *provider, uint64_t sequence, struct timespec now,
			 struct buf *out);
/* Writes it; what cannot be written is counted and told later. */
void gateway_events_write(struct gateway_events *ev, const struct gateway_event *x);

const char *gateway_event_name(enum gateway_event_type t); /* "llm_call" */
/* The API of a call, for `api`. */
const char *gateway_event_api(enum llm_format_id id);
/* What `purple budget` calls the budget of a policy: the container's id, "policy:NAME", "team:NAME". */
void gateway_budget_name(const struct gateway_config *c, const struct gateway_policy *p,
			 struct buf *out);
#endif
