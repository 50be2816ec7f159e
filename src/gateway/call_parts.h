/* SPDX-License-Identifier: Apache-2.0 */
/* A call from the inside: what call.c (the request) and call_answer.c (the answer) share. */
#ifndef PURPLE_GATEWAY_CALL_PARTS_H
#define PURPLE_GATEWAY_CALL_PARTS_H

#include <microhttpd.h>

#include "gateway/answer.h"
#include "gateway/call.h"
#include "gateway/check.h"
#include "gateway/gateway.h"
#include "gateway/mask.h"
#include "gateway/request.h"
#include "gateway/route.h"

/* Of an answer: beyond the first the provider waits, below the second it may go on. */
#define CALL_HELD_MAX (64U << 10)
#define CALL_HELD_LOW (16U << 10)

enum call_state {
	CALL_HEAD,
	CALL_BODY,
	CALL_WAITING,
	CALL_HELD,
	CALL_ASKING,
	CALL_ANSWERING,
	CALL_REFUSED
};

struct call {
	struct gateway *g;
	struct call *next, **link;
	struct call *next_waiting;
	struct connection *connection;
	struct MHD_Connection *http; /* NULL: the agent is done with it */
	enum call_state state;
	bool is_suspended;
	int64_t began;

	/* The request. */
	char *target, *method;
	const char *path; /* into target: what the API sees */
	bool is_http_1_0;
	const struct gateway_provider *provider;
	const char *endpoint;
	const char *key;  /* NULL: no credential of ours goes upstream */
	bool has_own_key; /* the agent's credentials go upstream */
	struct llm_route route;
	struct strv headers; /* that go to the provider */
	struct buf body;
	size_t discarded;
	struct llm_request request;
	bool hide_usage;

	struct llm_refusal refusal;
	bool has_refusal;
	struct meter_call *metered; /* it is reserved, and to be settled */

	/* The provider. */
	struct transfer *transfer;
	int64_t drains_until; /* the agent is gone: how long it is read nevertheless; 0: it is not */

	/* The answer. */
	unsigned int status;
	struct strmap answer_headers;
	struct llm_reader *reader; /* NULL: it is not metered */
	struct mask mask;
	uint64_t length;
	bool has_length, is_encoded;
	bool is_cut; /* the budget ended it */
	struct content_text stored;
	struct buf out;
	size_t out_at;
	bool is_over;	/* nothing is added to `out` any more */
	bool is_broken; /* it did not come to its end, and the agent has to be told so */
	bool wants_more;
	int64_t paused_since; /* 0: it is not */

	struct edits edits; /* of the request; the last, for most of it is never used */
};

/* Suspends, and resumes: the agent's side goes on in the server's next turn. */
void call_suspend(struct call *c);
void call_resume(struct call *c);

/* Sets the refusal that the agent gets; the call's state is CALL_REFUSED then. */
void call_refuse(struct call *c, enum llm_refusal_reason reason, unsigned int retry_after,
		 const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The same for what the meter said, which has told of it. */
void call_refuse_verdict(struct call *c, const struct meter_verdict *v);

/* A metered call waits for calls_admit(); one that costs nothing need not. False: it is refused. */
void call_wait(struct call *c);
void call_leave_queue(struct call *c);
bool call_admit_free(struct call *c);
/* It may pass, with so many tokens for its answer: the provider is asked, or it is refused. */
void call_go(struct call *c, int64_t cap);
/* The answer has grown: false, with the reason, when it must end here. */
bool call_may_go_on(struct call *c, struct meter_verdict *ret);
/* Puts marks in the place of what must not leave; false: it is refused. Tells of what looks like an
 * injected prompt. */
bool call_redact(struct call *c);

/* Settles what was reserved, once; nothing if nothing was. */
void call_settle(struct call *c, enum meter_end end);

/* Asks the provider. */
int call_ask(struct call *c, struct err *e);
/* The answer's head is here: tells the agent. False: as in call.h. */
bool call_answer_begin(struct call *c);
void call_body_free(struct call *c);
void call_free(struct call *c);

#endif
