/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent and its models said, for policies that want it stored (monitoring.log_prompts,
 * log_responses): lines of llm.jsonl, and nowhere else. A request is what went to the provider, with
 * what must not leave taken out; an answer is what the agent got. Both are as they stood in the
 * body, in parts of some kilobytes. Runs in purple-gateway.
 */
#ifndef PURPLE_GATEWAY_CONTENT_H
#define PURPLE_GATEWAY_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/log.h"
#include "base/str.h"
#include "gateway/config.h"
#include "gateway/edits.h"

/* Of one container. Further lines are counted in the last one that there is room for. */
#define CONTENT_MAX (256U << 20)

struct content {
	struct audit_log log;
	const char *container;
	bool has_prompts, has_answers;
	uint64_t calls;
};

/* A text on its way into the file. */
struct content_text {
	uint64_t call; /* 0: it is not stored */
	const char *provider;
	bool is_answer;
	unsigned int part;
	struct buf held;
};

/* `fd`: for appending, borrowed; -1: nothing is stored. */
void content_init(struct content *c, const struct gateway_config *config, int fd);

/* A call is made: its request, and, in *ret, where its answer goes. */
void content_begin(struct content *c, const char *provider, const struct edits *edits,
		   const char *body, size_t len, struct content_text *ret);
void content_add(struct content *c, struct content_text *t, const char *p, size_t len);
/* No more comes. Frees it. */
void content_end(struct content *c, struct content_text *t);

#endif
