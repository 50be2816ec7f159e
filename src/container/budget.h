/* SPDX-License-Identifier: Apache-2.0 */
/* A container's budget of LLM calls, for who stands in front of it: says so when it is spent. */
#ifndef PURPLE_CONTAINER_BUDGET_H
#define PURPLE_CONTAINER_BUDGET_H

#include <stdbool.h>

#include "base/err.h"
#include "container/state.h"
#include "gateway/limit.h"

struct budget_watch {
	int fd; /* to poll for POLLIN; -1: it has no gateway */
	int dirfd;
	bool is_quiet; /* nothing is said before the end */
	bool is_met;
	struct gateway_limit limit; /* that is met */
};

#define BUDGET_WATCH_EMPTY             \
	{                              \
		.fd = -1, .dirfd = -1, \
	}

/* After create. A container without a gateway is fine. */
int budget_watch_open(struct budget_watch *w, const struct container *c, struct err *e);
void budget_watch_close(struct budget_watch *w);
#define _budget_watch_close_ __attribute__((cleanup(budget_watch_close)))

/* After POLLIN, or at the end: true where something has changed. */
bool budget_watch_take(struct budget_watch *w);

/*
 * A line on what is met now, or that nothing is any more, and on what to do. "stopped", "frozen" or
 * "denied" leads it; `ended`: the container is gone.
 */
void budget_watch_text(const struct budget_watch *w, bool ended, struct buf *out);
/* Whether the container was, or is being, stopped for it. */
bool budget_watch_stops(const struct budget_watch *w);

#endif
