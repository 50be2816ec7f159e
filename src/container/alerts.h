/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is denied, for who stands in front of it: a line each, as it happens. */
#ifndef PURPLE_CONTAINER_ALERTS_H
#define PURPLE_CONTAINER_ALERTS_H

#include <stdbool.h>

#include "audit/pace.h"
#include "base/err.h"
#include "base/str.h"
#include "container/state.h"

struct alerts {
	int fd;				   /* to poll for POLLIN; -1: nothing will come */
	int events;			   /* events.jsonl */
	const struct container *container; /* borrowed */
	struct buf line;		   /* what came of the next one */
	struct pace pace;
	uint64_t untold;
};

#define ALERTS_EMPTY                    \
	{                               \
		.fd = -1, .events = -1, \
	}

/* After create. A container that has no events is fine. */
int alerts_open(struct alerts *a, const struct container *c, struct err *e);
void alerts_close(struct alerts *a);
#define _alerts_close_ __attribute__((cleanup(alerts_close)))

/*
 * After POLLIN, and at the end: lines with `newline` behind each. More than so many are counted, and
 * the count is told with the next one.
 */
void alerts_take(struct alerts *a, const char *newline, struct buf *out);

/* Pure: the text for one event, without a newline. False: it is no denial. */
struct json;
bool alerts_text(const struct container *c, const struct json *event, struct buf *out);

#endif
