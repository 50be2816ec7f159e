/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limit.json of the state folder: which limit the container has met, and what was done. The gateway
 * writes it through a descriptor; `purple run` and `purple ps` read it. Empty: none is met.
 */
#ifndef PURPLE_GATEWAY_LIMIT_H
#define PURPLE_GATEWAY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

#define GATEWAY_LIMIT_FILE "limit.json"

struct gateway_limit {
	char *policy, *file; /* the policy, and its file as messages name it */
	uint32_t line;	     /* of ai_policy.budget; 0: not known */
	char *budget;	     /* as `purple budget` calls it */
	char *action;	     /* "stop", "deny", "freeze" */
	char *since;	     /* RFC 3339 */
	/* Charged, and of how much; not set: not limited. */
	struct opt_i64 tokens, tokens_limit, cost, cost_limit;
	char *failed; /* why the container could not be stopped or frozen; NULL: it was */
};

void gateway_limit_clear(struct gateway_limit *l);
#define _gateway_limit_clear_ __attribute__((cleanup(gateway_limit_clear)))

/* Replaces what is in the file; NULL empties it. */
int gateway_limit_write(int fd, const struct gateway_limit *l, struct err *e);
/* *ret_met: there is one, and *ret has it. A folder without the file: none. */
int gateway_limit_load(int dirfd, struct gateway_limit *ret, bool *ret_met, struct err *e);

/* "the budget of policy p is spent: $5.00 of $5.00 (ai_policy.budget, p.yaml:12)" */
void gateway_limit_text(const struct gateway_limit *l, struct buf *out);

#endif
