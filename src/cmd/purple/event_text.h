/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of events.jsonl (docs/events.schema.json) as text, for all commands that show them. Pure. */
#ifndef PURPLE_CMD_PURPLE_EVENT_TEXT_H
#define PURPLE_CMD_PURPLE_EVENT_TEXT_H

#include "base/json.h"
#include "base/str.h"

/* A member by its path (`b` may be NULL); "" where it is none. Numbers as they are written. */
const char *event_text_at(const struct json *j, const char *a, const char *b);

/* One line, a map, without its end: the time first. What came from the container is cleaned. */
void event_write_text(struct buf *out, const struct json *j);

bool event_type_is_known(const char *type);
/* All of them, for messages: "network, dns, lost". */
void event_type_names(struct buf *out);

#endif
