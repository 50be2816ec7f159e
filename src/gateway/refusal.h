/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals in each provider's own format, with the codes that its SDKs and agents take for what is
 * meant: those over budget are not tried again, those for the rate are.
 */
#ifndef PURPLE_GATEWAY_REFUSAL_H
#define PURPLE_GATEWAY_REFUSAL_H

#include "base/err.h"
#include "base/str.h"
#include "gateway/format.h"

enum llm_refusal_reason {
	LLM_REFUSE_BUDGET,	/* the budget is spent */
	LLM_REFUSE_RATE,	/* too many calls or tokens a minute: later */
	LLM_REFUSE_MODEL,	/* not one that the policy allows */
	LLM_REFUSE_PROVIDER,	/* neither is this provider */
	LLM_REFUSE_ROUTE,	/* a method and path that do not pass */
	LLM_REFUSE_UPGRADE,	/* a WebSocket */
	LLM_REFUSE_KEY,		/* not the placeholder that this container was given */
	LLM_REFUSE_REQUEST,	/* a body that is wrong or cannot be metered */
	LLM_REFUSE_CONTENT,	/* what the request holds must not leave */
	LLM_REFUSE_TOO_LARGE,	/* a body beyond the limit */
	LLM_REFUSE_ENCODING,	/* a Content-Encoding that is not read */
	LLM_REFUSE_UPSTREAM,	/* the provider cannot be reached or breaks off */
	LLM_REFUSE_TIMEOUT,	/* it does not answer */
	LLM_REFUSE_UNAVAILABLE, /* the ledger does not answer: nothing passes */
	LLM_REFUSE_REASONS,
};

#define LLM_RETRY_MAX 60
#define LLM_HEADERS_MAX 6

struct llm_header {
	const char *name;
	char value[64];
};

struct llm_refusal {
	unsigned int status;
	struct llm_header headers[LLM_HEADERS_MAX]; /* Content-Type is among them */
	size_t headers_n;
	struct buf body;
};

/*
 * `format`: of the call, or NULL where none was found; `message` says what happened and what to do,
 * in any bytes; `retry_after`: seconds until it is worth trying again, for LLM_REFUSE_RATE (kept to
 * 1 to 60).
 */
int llm_refusal_make(enum llm_family family, const struct llm_format *format,
		     enum llm_refusal_reason reason, const char *message,
		     unsigned int retry_after, struct llm_refusal *ret, struct err *e);
void llm_refusal_free(struct llm_refusal *r);

/* The word of the reason in x-purple-reason and in events: "budget", "rate". */
const char *llm_refusal_word(enum llm_refusal_reason reason);

/* The object of an error, without a line around it: for streams too. `retry_after` as above. */
void llm_refusal_body(enum llm_family family, const struct llm_format *format,
		      enum llm_refusal_reason reason, const char *message,
		      unsigned int retry_after, struct buf *out);
/* What OpenAI's formats call it: its type and its code. */
const char *llm_refusal_code(enum llm_refusal_reason reason);

#endif
