/* SPDX-License-Identifier: Apache-2.0 */
/* The part of event_text.h for what is traced and watched: see there. Each adds what follows the
 * line's type. Pure. */
#ifndef PURPLE_CMD_PURPLE_EVENT_TRACE_TEXT_H
#define PURPLE_CMD_PURPLE_EVENT_TRACE_TEXT_H

#include "base/json.h"
#include "base/str.h"

void event_write_process(struct buf *out, const struct json *j);
void event_write_file(struct buf *out, const struct json *j);
void event_write_syscall(struct buf *out, const struct json *j);
void event_write_privilege(struct buf *out, const struct json *j);
void event_write_syscalls(struct buf *out, const struct json *j);
void event_write_limit(struct buf *out, const struct json *j);
void event_write_usage(struct buf *out, const struct json *j);
void event_write_failure(struct buf *out, const struct json *j);
void event_write_repaired(struct buf *out, const struct json *j);
void event_write_removed(struct buf *out, const struct json *j);
void event_write_died(struct buf *out, const struct json *j);

/* A text that is cleaned, between two that are not; nothing where it is empty. */
void event_text_add(struct buf *out, const char *before, const char *text,
		    const char *after);

#endif
