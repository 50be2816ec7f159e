/* SPDX-License-Identifier: Apache-2.0 */
/* See webhook.h. Runs in purple-gateway and purple-alert, in their jail. What the other end says is not looked at. */
#include "gateway/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct webhook {
	struct webhooks *all;
	void *arg;
	struct webhook *next, **link;
	struct transfer *transfer;
	unsigned int status;
	size_t len;
	char text[]; /* a long one is sent piece by piece, until the end */
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

	if (w->status)
		snprintf(text, sizeof(text), "it answered with status %u", w->status);
	else
		snprintf(text, sizeof(text), "%s",
			 end == TRANSFER_TIMED_OUT ? "it did not answer" : why);
	w->all->posted(w->arg, w->status >= 200 && w->status < 300 ? NULL : text);
	webhook_free(w);
}

void webhook_post(struct webhooks *all, const char *url, const char *text, size_t len,
		  void *arg)
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
	const struct transfer_ask ask = {
		.url = url, .is_post = true, .body_len = len, .headers = &headers
	};
	struct webhook *w = calloc(1, sizeof(*w) + len);
	struct err e = {};

	if (!w) {
		all->posted(arg, "out of memory");
		return;
	}
	*w = (struct webhook){
		.all = all, .arg = arg, .next = all->first, .link = &all->first, .len = len
	};
	memcpy(w->text, text, len);
	if (w->next)
		w->next->link = &w->next;
	all->first = w;
	if (transfer_start(all->upstream, &ask, &ops, w, &w->transfer, &e) < 0) {
		webhook_free(w);
		all->posted(arg, e.msg);
	}
}

void webhooks_drop(struct webhooks *all)
{
	while (all->first) {
		transfer_stop(all->first->transfer);
		all->posted(all->first->arg,
			    "it has not answered, and nobody waits any more");
		webhook_free(all->first);
	}
}
