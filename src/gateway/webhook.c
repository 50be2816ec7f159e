/* SPDX-License-Identifier: Apache-2.0 */
/* See webhook.h. Runs in purple-gateway, in its jail. What the other end says is not looked at. */
#include "gateway/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "gateway/enforce.h"
#include "gateway/gateway.h"

struct webhook {
	struct gateway *g;
	struct webhook *next, **link;
	struct transfer *transfer;
	const char *text; /* until the transfer has begun, which copies it */
	size_t len;
	unsigned int status;
};

static void webhook_free(struct webhook *w)
{
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	free(w);
}

static size_t send_text(void *ctx, size_t at, char *buf, size_t size)
{
	const struct webhook *w = ctx;
	size_t n = at < w->len ? w->len - at : 0;

	if (n > size)
		n = size;
	memcpy(buf, w->text + at, n);
	return n;
}

static bool take_header(void *ctx, const char *name, const char *value)
{
	return true;
}

static bool take_head(void *ctx, unsigned int status)
{
	((struct webhook *)ctx)->status = status;
	/* The rest is of no interest, and need not be awaited. */
	return false;
}

static enum transfer_take take_data(void *ctx, const char *p, size_t len)
{
	return TRANSFER_STOP;
}

static void ended(void *ctx, enum transfer_end end, const char *why)
{
	struct webhook *w = ctx;
	char text[300];

	if (w->status >= 200 && w->status < 300) {
		enforce_posted(w->g->enforce, NULL);
	} else if (w->status) {
		snprintf(text, sizeof(text), "it answered with status %u", w->status);
		enforce_posted(w->g->enforce, text);
	} else {
		enforce_posted(w->g->enforce,
			       end == TRANSFER_TIMED_OUT ? "it did not answer" : why);
	}
	webhook_free(w);
}

void webhook_post(struct gateway *g, const char *text, size_t len)
{
	static const struct transfer_ops ops = { .send = send_text,
						 .header = take_header,
						 .head = take_head,
						 .data = take_data,
						 .end = ended };
	static char type[] = "Content-Type: application/json",
		    agent[] = "User-Agent: purple";
	char *lines[] = { type, agent, NULL };
	const struct strv headers = { .v = lines, .n = ARRAY_SIZE(lines) - 1 };
	const struct transfer_ask ask = { .url = g->config->alert_webhook,
					  .is_post = true,
					  .body_len = len,
					  .headers = &headers };
	struct webhook *w = calloc(1, sizeof(*w));
	struct err e = {};

	if (!w) {
		enforce_posted(g->enforce, "out of memory");
		return;
	}
	*w = (struct webhook){
		.g = g, .next = g->webhooks, .link = &g->webhooks, .text = text, .len = len
	};
	if (w->next)
		w->next->link = &w->next;
	g->webhooks = w;
	if (transfer_start(g->upstream, &ask, &ops, w, &w->transfer, &e) < 0) {
		webhook_free(w);
		enforce_posted(g->enforce, e.msg);
		return;
	}
	w->text = NULL;
}

void webhooks_drop(struct gateway *g)
{
	while (g->webhooks) {
		transfer_stop(g->webhooks->transfer);
		enforce_posted(g->enforce, "it has not answered, and the gateway ends");
		webhook_free(g->webhooks);
	}
}
