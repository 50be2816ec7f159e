/* SPDX-License-Identifier: Apache-2.0 */
/* See recorder_event.h. Runs in purple-monitor's recorder. */
#include "audit/recorder_event.h"

#include <inttypes.h>
#include <time.h>

#include "audit/event.h"
#include "base/json.h"

static struct audit_head head_of(struct recorder_self *self)
{
	struct audit_head head = { .sequence = ++self->sequence,
				   .container = self->container,
				   .provider = RECORDER_PROVIDER };

	clock_gettime(CLOCK_REALTIME, &head.time);
	return head;
}

bool recorder_repair_is_needed(const struct recorder_repair *x)
{
	return x->lines || x->torn || x->cause;
}

void recorder_event_repaired(struct recorder_self *self, const struct recorder_repair *x,
			     struct buf *out)
{
	struct audit_head head = head_of(self);
	char hex[CHAIN_HEX_SIZE];

	audit_event_begin(out, &head, "log_repaired", NULL);
	buf_addf(out, ",\"repaired\":{\"lines\":%" PRIu64, x->lines);
	if (x->torn) {
		chain_hex(x->torn_hash, hex);
		buf_addf(out, ",\"torn\":{\"bytes\":%" PRIu64 ",\"sha256\":\"%s\"}",
			 x->torn, hex);
	}
	if (x->cause)
		buf_addf(out, ",\"cause\":\"%s\"", x->cause);
	buf_adds(out, "}");
	audit_event_close(out);
}

void recorder_event_removed(struct recorder_self *self, const struct recorder_removal *x,
			    struct buf *out)
{
	struct audit_head head = head_of(self);
	char hex[CHAIN_HEX_SIZE];

	audit_event_begin(out, &head, "log_removed", NULL);
	buf_adds(out, ",\"removed\":{\"file\":");
	json_quote(out, x->file);
	if (x->first && x->last.number >= x->first) {
		chain_hex(x->last.hash, hex);
		buf_addf(out,
			 ",\"first\":%" PRIu64 ",\"last\":%" PRIu64 ",\"lines\":%" PRIu64
			 ",\"sha256\":\"%s\"",
			 x->first, x->last.number, x->last.number - x->first + 1, hex);
	}
	buf_adds(out, "}");
	audit_event_close(out);
}

void recorder_event_lost(struct recorder_self *self, uint64_t lines, struct buf *out)
{
	struct audit_head head = head_of(self);

	audit_event_lost(&head, &(struct audit_lost){ .log = lines }, out);
}

void recorder_event_died(struct recorder_self *self, struct buf *out)
{
	struct audit_head head = head_of(self);

	audit_event_begin(out, &head, "monitor_died", NULL);
	audit_event_close(out);
}
