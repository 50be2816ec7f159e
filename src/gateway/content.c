/* SPDX-License-Identifier: Apache-2.0 */
/* See content.h. */
#include "gateway/content.h"

#include <inttypes.h>
#include <time.h>

#include "audit/event.h"
#include "base/json.h"

/* Of a line. */
#define PART (16U << 10)

void content_init(struct content *c, const struct gateway_config *config, int fd)
{
	*c = (struct content){ .log = { .fd = fd, .max = CONTENT_MAX },
			       .container = config->container };
	for (size_t i = 0; fd >= 0 && i < config->policies.n; i++) {
		c->has_prompts |= config->policies.v[i].log_prompts;
		c->has_answers |= config->policies.v[i].log_responses;
	}
}

/* How many of the bytes are whole characters, so that none is torn between two lines. */
static size_t whole_characters(const char *s, size_t len)
{
	size_t back = 0;

	while (back < 3 && back < len && ((unsigned char)s[len - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < len && (unsigned char)s[len - 1 - back] >= 0xc0 &&
	    !str_is_utf8(s + len - 1 - back, back + 1))
		return len - 1 - back;
	return len;
}

static void write_part(struct content *c, struct content_text *t, size_t len, bool is_last)
{
	struct audit_head head = { .sequence = ++c->log.sequence,
				   .container = c->container,
				   .provider = "purple-gateway" };
	_buf_free_ struct buf line = {};
	char rest[4] = ""; /* of a character that is not whole */

	clock_gettime(CLOCK_REALTIME, &head.time);
	audit_event_begin(&line, &head, t->is_answer ? "llm_response" : "llm_prompt", NULL);
	buf_adds(&line, ",\"gen_ai\":{\"system\":");
	json_quote(&line, t->provider);
	buf_addf(&line,
		 "},\"call\":%" PRIu64 ",\"part\":%u,\"last\":%s,\"content\":", t->call,
		 t->part++, is_last ? "true" : "false");
	/* What is cut off comes with the next. */
	for (size_t i = len; i < t->held.len; i++)
		rest[i - len] = t->held.s[i];
	for (size_t i = 0; i < len; i++)
		if (!t->held.s[i])
			t->held.s[i] = ' ';
	if (t->held.s)
		t->held.s[len] = '\0';
	json_quote(&line, t->held.s ? t->held.s : "");
	if (c->log.lost > 0)
		buf_addf(&line, ",\"lost\":%" PRIu64, c->log.lost);
	audit_event_close(&line);
	audit_log_write(&c->log, &line, false);
	t->held.len -= len;
	if (t->held.s)
		memcpy(t->held.s, rest, t->held.len);
}

void content_add(struct content *c, struct content_text *t, const char *p, size_t len)
{
	while (t->call && len > 0) {
		size_t n = PART - t->held.len;

		n = n < len ? n : len;
		buf_add(&t->held, p, n);
		if (t->held.failed) {
			t->held.len = 0;
			return;
		}
		p += n;
		len -= n;
		if (t->held.len >= PART)
			write_part(c, t, whole_characters(t->held.s, t->held.len), false);
	}
}

void content_end(struct content *c, struct content_text *t)
{
	if (t->call)
		write_part(c, t, t->held.len, true);
	buf_free(&t->held);
	*t = (struct content_text){};
}

void content_begin(struct content *c, const char *provider, const struct edits *edits,
		   const char *body, size_t len, struct content_text *ret)
{
	struct content_text prompt = { .provider = provider };
	char piece[4096];
	size_t at = 0, n;

	*ret = (struct content_text){ .provider = provider, .is_answer = true };
	if (!c->has_prompts && !c->has_answers)
		return;
	c->calls++;
	if (c->has_answers)
		ret->call = c->calls;
	if (!c->has_prompts || !body)
		return;
	prompt.call = c->calls;
	while ((n = edits_read(edits, body, len, at, piece, sizeof(piece))) > 0) {
		content_add(c, &prompt, piece, n);
		at += n;
	}
	content_end(c, &prompt);
}
