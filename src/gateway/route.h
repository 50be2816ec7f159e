/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which calls pass: a table of methods and paths. What is not in it is refused, so that no call goes
 * unmetered.
 */
#ifndef PURPLE_GATEWAY_ROUTE_H
#define PURPLE_GATEWAY_ROUTE_H

#include "base/str.h"
#include "gateway/format.h"

enum llm_route_kind {
	LLM_ROUTE_REFUSED, /* 404 */
	LLM_ROUTE_UPGRADE, /* 426: a WebSocket would go unmetered; clients fall back */
	LLM_ROUTE_METERED,
	LLM_ROUTE_FREE, /* passes without a budget */
};

struct llm_route {
	enum llm_route_kind kind;
	enum llm_family family; /* of a refusal too: its errors are in this format */
	const struct llm_format *format; /* metered calls */
	const char *rest; /* of the target: after the API's own prefix, "/chat/completions"; with
			   * the query */
	bool has_prefix; /* false: rest is the whole path (Gemini, deployments of Azure) */
	char model[LLM_MODEL_MAX + 1]; /* of the path; "" when the body names it */
	bool path_streams; /* Gemini: the path says that the answer is a stream */
};

/*
 * `method` and `target` (path and query) as they stand in the request line; `family`: the format of
 * the provider that the call is for, which picks between equal paths and formats refusals;
 * `upgrade`: there is an Upgrade header. Never fails: what cannot be read is refused.
 */
void llm_route_find(const char *method, const char *target, enum llm_family family,
		    bool upgrade, struct llm_route *ret);

/*
 * The target with those parameters of its query alone that are known to do no harm: no credential is
 * among them, and none that changes what an answer looks like. Appended to `out`; for what goes
 * upstream, and for messages.
 */
void llm_target_clean(const char *target, struct buf *out);

#endif
