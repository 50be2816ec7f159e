/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines of what is traced in a container (bpf/audit.h), for its audit logs. Members are called
 * as in event.h. Pure. What comes from the kernel's rings is checked as if anybody had written it.
 */
#ifndef PURPLE_AUDIT_TRACE_EVENT_H
#define PURPLE_AUDIT_TRACE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "audit/event.h"
#include "audit/names.h"
#include "base/str.h"
#include "bpf/audit.h"

/* event.provider of its lines, which have numbers of their own. */
#define TRACE_PROVIDER "purple-trace"

/* Whether it is an event of its type, whole: all that the others below may read is there. */
bool trace_event_is_whole(const void *data, size_t size);

/*
 * Adds the line of an event that is whole. `h` has time, sequence, container; *ret_levels is of
 * audit/config.h. The line is at most so long as a recorder takes: longer texts are cut, which it
 * says. `names`: of addresses that were asked for; NULL: none is known.
 */
void trace_event_print(const struct audit_head *h, const void *data,
		       struct audit_names *names, struct buf *out, uint32_t *ret_levels);

/* Calls of one process since the last such line. */
struct trace_calls_line {
	uint32_t pid;
	const struct trace_count *v; /* `what` as it is, differences in `calls` and `failed` */
	size_t n;
};
/* How many of them the line has: at least one, and no more than a recorder takes. */
size_t trace_event_calls(const struct audit_head *h, const struct trace_calls_line *x,
			 uint32_t arch, struct buf *out);

/* So many of TRACE_DENIED or TRACE_PRIVILEGE were alike to others, and are in no count; its levels. */
uint32_t trace_event_repeated(const struct audit_head *h, enum trace_type type,
			      uint64_t count, struct buf *out);

#endif
