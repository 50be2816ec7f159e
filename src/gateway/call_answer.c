/* SPDX-License-Identifier: Apache-2.0 */
/* A call's way to the provider and back: see call.h. Runs in purple-gateway, in its jail. */
#include "gateway/call_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/fd.h"
#include "base/num.h"
#include "gateway/endpoint.h"
#include "gateway/provider.h"

/* A client that reads so slowly that the provider has waited this long is gone. */
#define PAUSED_MS (5 * 60 * 1000)

/* --- to the agent --- */

static size_t held(const struct call *c)
{
	return c->out.len - c->out_at;
}

/* Somebody is there who gets what the provider sends. */
static bool is_heard(const struct call *c)
{
	return c->http && c->state == CALL_ANSWERING && !c->is_over;
}

/* The provider will ask money for it, as far as is known. */
static bool is_billed(const struct call *c)
{
	return c->route.kind == LLM_ROUTE_METERED && c->status < 300;
}

static bool is_paused(const struct call *c)
{
	return c->paused_since != 0;
}

static void wish(struct call *c)
{
	c->wants_more = true;
	c->g->has_wishes = true;
}

/* libmicrohttpd wants the next bytes of the answer. */
static ssize_t read_more(void *cls, uint64_t at, char *buf, size_t max)
{
	struct call *c = cls;
	size_t n = held(c);

	if (n == 0 && c->is_over)
		return c->is_broken ? MHD_CONTENT_READER_END_WITH_ERROR :
				      MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		call_suspend(c);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(buf, c->out.s + c->out_at, n);
	c->out_at += n;
	if (held(c) == 0)
		c->out.len = c->out_at = 0;
	if (is_paused(c) && held(c) < CALL_HELD_LOW)
		wish(c);
	return (ssize_t)n;
}

/* All of it is here: head and body are sent in one piece. */
static struct MHD_Response *whole_response(struct call *c)
{
	struct MHD_Response *r;

	if (!c->is_over || c->is_broken || c->out_at > 0 || c->out.len == 0 ||
	    (c->has_length && c->length != c->out.len))
		return NULL;
	r = MHD_create_response_from_buffer(c->out.len, c->out.s, MHD_RESPMEM_MUST_FREE);
	if (r)
		c->out = (struct buf){};
	return r;
}

bool call_answer_begin(struct call *c)
{
	uint64_t length = c->has_length ? c->length : MHD_SIZE_UNKNOWN;
	struct MHD_Response *r = whole_response(c);
	bool ok;

	if (!r)
		r = MHD_create_response_from_callback(length, 16 << 10, read_more, c, NULL);
	if (!r)
		return false;
	for (size_t i = 0; i < c->answer_headers.n; i++)
		MHD_add_response_header(r, c->answer_headers.k[i], c->answer_headers.v[i]);
	ok = MHD_queue_response(c->http, c->status, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}

/* Room for more, at the front of the buffer. */
static void make_room(struct call *c)
{
	if (c->out_at < CALL_HELD_LOW)
		return;
	memmove(c->out.s, c->out.s + c->out_at, held(c));
	c->out.len -= c->out_at;
	c->out_at = 0;
}

/* The agent gets no more than what it has. */
static void answer_over(struct call *c, bool is_broken)
{
	c->is_over = true;
	c->is_broken = is_broken;
	if (c->http)
		call_resume(c);
}

/* --- from the provider --- */

static size_t op_send(void *ctx, size_t at, char *buf, size_t size)
{
	struct call *c = ctx;

	if (!c->body.s)
		return 0;
	return edits_read(&c->edits, c->body.s, c->body.len, at, buf, size);
}

static bool op_header(void *ctx, const char *name, const char *value)
{
	struct call *c = ctx;
	_free_ char *text = NULL;

	if (strcasecmp(name, "content-length") == 0) {
		c->has_length = num_u64(value, &c->length) == 0;
		return true;
	}
	if (strcasecmp(name, "content-encoding") == 0 && strcasecmp(value, "identity") != 0)
		c->is_encoded = true;
	if (!check_passes_back(name))
		return true;
	text = strdup(value);
	if (!text)
		return false;
	if (c->key)
		mask_text(c->key, text);
	return strmap_set(&c->answer_headers, name, text) == 0;
}

static const char *answer_header(const struct call *c, const char *name)
{
	for (size_t i = 0; i < c->answer_headers.n; i++)
		if (strcasecmp(c->answer_headers.k[i], name) == 0)
			return c->answer_headers.v[i];
	return NULL;
}

static bool op_head(void *ctx, unsigned int status)
{
	struct call *c = ctx;
	enum llm_shape shape = LLM_WHOLE;
	struct err e = {};

	c->status = status;
	if (c->is_encoded) {
		call_refuse(c, LLM_REFUSE_UPSTREAM, 0,
			    "provider '%s' sends a compressed answer, though it was asked not to",
			    c->provider->name);
		return false;
	}
	if (status >= 300 && status < 400) {
		call_refuse(c, LLM_REFUSE_UPSTREAM, 0,
			    "provider '%s' answers with a redirect, which is not followed: check "
			    "its endpoint",
			    c->provider->name);
		return false;
	}
	c->mask.secret = c->key;
	if (c->route.kind == LLM_ROUTE_METERED && status < 300) {
		shape = llm_shape_of(c->route.format, c->request.streams,
				     answer_header(c, "content-type"));
		if (llm_reader_new(c->route.format, shape, c->hide_usage, &c->reader, &e) <
		    0) {
			call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0, "%s", e.msg);
			return false;
		}
	}
	if (shape != LLM_WHOLE)
		c->has_length = false;
	if (c->state == CALL_ASKING)
		c->state = CALL_ANSWERING;
	if (c->http)
		call_resume(c);
	return true;
}

/* What the agent gets since there were so many bytes for it. */
static void store(struct call *c, size_t before)
{
	if (c->stored.call && c->out.len > before)
		content_add(&c->g->content, &c->stored, c->out.s + before,
			    c->out.len - before);
}

/* Bytes without the key, through the reader, to the agent. */
static bool take(struct call *c, const char *p, size_t len)
{
	struct err e = {};
	size_t before;
	bool ok = true;

	make_room(c);
	before = c->out.len;
	if (c->reader)
		ok = llm_reader_feed(c->reader, p, len, is_heard(c) ? &c->out : NULL,
				     &e) == 0;
	else if (is_heard(c))
		buf_add(&c->out, p, len);
	store(c, before);
	return ok && !c->out.failed;
}

/* The budget ends it here. */
static void cut(struct call *c, const struct meter_verdict *v)
{
	size_t before = c->out.len;

	c->is_cut = true;
	if (!is_heard(c))
		return;
	llm_reader_stop(c->reader, v->reason, v->message, &c->out);
	store(c, before);
	answer_over(c, c->out.len == before);
}

static enum transfer_take op_data(void *ctx, const char *p, size_t len)
{
	struct call *c = ctx;
	struct meter_verdict v = {};
	const char *plain;
	size_t plain_len;

	if (is_heard(c) && held(c) >= CALL_HELD_MAX) {
		c->paused_since = loop_now();
		return TRANSFER_PAUSE;
	}
	c->paused_since = 0;
	if (!mask_feed(&c->mask, p, len, &plain, &plain_len) || !take(c, plain, plain_len))
		return TRANSFER_STOP;
	if (!call_may_go_on(c, &v)) {
		cut(c, &v);
		return TRANSFER_STOP;
	}
	if (is_heard(c) && held(c) > 0)
		call_resume(c);
	return TRANSFER_TAKEN;
}

/* --- the end --- */

static void refuse_unanswered(struct call *c, enum transfer_end end, const char *why)
{
	const char *name = c->provider->name;

	if (end == TRANSFER_TIMED_OUT)
		call_refuse(c, LLM_REFUSE_TIMEOUT, 0, "provider '%s' does not answer", name);
	else if (end == TRANSFER_UNREACHED)
		call_refuse(c, LLM_REFUSE_UPSTREAM, 0,
			    "provider '%s' cannot be reached: %s", name, why);
	else
		call_refuse(c, LLM_REFUSE_UPSTREAM, 0, "provider '%s' broke off: %s",
			    name, why);
}

/* It has said all, by its own account. */
static bool is_complete(const struct call *c)
{
	const struct llm_answer *a = llm_reader_answer(c->reader);

	return a->end == LLM_END_DONE || a->end == LLM_END_ERROR;
}

/* In a stream the agent is told in the stream's own way; a document just breaks off. */
static bool end_broken(struct call *c, enum transfer_end end, struct buf *out)
{
	size_t before = c->out.len;
	struct err e = {};

	if (is_complete(c) || !out) {
		llm_reader_end(c->reader, false, out, &e);
		return !is_complete(c);
	}
	llm_reader_stop(c->reader,
			end == TRANSFER_TIMED_OUT ? LLM_REFUSE_TIMEOUT : LLM_REFUSE_UPSTREAM,
			"the provider broke off", out);
	return c->out.len == before;
}

static void end_answer(struct call *c, enum transfer_end end)
{
	struct buf *out = is_heard(c) ? &c->out : NULL;
	bool is_broken = end != TRANSFER_WHOLE;
	const char *rest;
	struct err e = {};
	size_t rest_len, before;

	mask_end(&c->mask, &rest, &rest_len);
	if (rest_len > 0 && !take(c, rest, rest_len))
		is_broken = true;
	before = c->out.len;
	if (c->reader && !is_broken)
		is_broken = llm_reader_end(c->reader, true, out, &e) < 0;
	else if (c->reader)
		is_broken = end_broken(c, end, out);
	store(c, before);
	if (!c->is_over)
		answer_over(c, is_broken);
}

static enum meter_end how_it_ended(const struct call *c, enum transfer_end end)
{
	if (c->is_cut)
		return METER_CUT;
	if (c->status >= 300 || (c->status == 0 && end == TRANSFER_UNREACHED))
		return METER_REFUSED;
	return end == TRANSFER_WHOLE && c->status != 0 ? METER_WHOLE : METER_BROKEN;
}

static void op_end(void *ctx, enum transfer_end end, const char *why)
{
	struct call *c = ctx;

	c->transfer = NULL;
	c->paused_since = 0;
	strv_free(&c->headers);
	call_body_free(c);
	if (c->state == CALL_ASKING)
		refuse_unanswered(c, end, why);
	else if (c->status != 0 && !c->is_cut)
		end_answer(c, end);
	call_settle(c, how_it_ended(c, end));
	if (!c->http)
		call_free(c);
	else
		call_resume(c);
}

static const struct transfer_ops ops = {
	.send = op_send,
	.header = op_header,
	.head = op_head,
	.data = op_data,
	.end = op_end,
};

int call_ask(struct call *c, struct err *e)
{
	_buf_free_ struct buf url = {};
	struct transfer_ask ask = { .is_post = streq(c->method, "POST"),
				    .headers = &c->headers };
	struct gateway_endpoint at;
	int r = provider_credential(c, e);

	if (r == 0)
		r = provider_address(c, &url, e);
	/* No "Expect: 100-continue", which costs a round trip. */
	if (r == 0 && (strv_add(&c->headers, "Accept-Encoding: identity") < 0 ||
		       strv_add(&c->headers, "Expect:") < 0))
		r = err_oom(e);
	if (r < 0)
		return r;
	ask.url = url.s;
	if (gateway_endpoint_split(c->endpoint, &at) == 0 && at.is_tls)
		ask.host = at.host;
	ask.body_len = edits_length(&c->edits, c->body.len);
	r = transfer_start(c->g->upstream, &ask, &ops, c, &c->transfer, e);
	if (r == 0)
		content_begin(&c->g->content, c->provider->name, &c->edits, c->body.s,
			      c->body.len, &c->stored);
	return r;
}

/* --- the agent is done --- */

static void stop(struct call *c)
{
	if (c->transfer)
		transfer_stop(c->transfer);
	c->transfer = NULL;
	call_settle(c, c->status >= 300 ? METER_REFUSED : METER_GONE);
}

static void stop_and_free(struct call *c)
{
	stop(c);
	call_free(c);
}

void call_client_done(struct call *c)
{
	struct gateway *g = c->g;

	c->http = NULL;
	c->connection = NULL;
	c->is_suspended = false;
	buf_free(&c->out);
	c->out = (struct buf){};
	c->out_at = 0;
	if (!c->transfer) {
		call_settle(c, METER_REFUSED);
		call_free(c);
		return;
	}
	/* What it will have cost is known at its end: it is read until then. */
	if (!is_billed(c) || (g->drains >= GATEWAY_DRAINS_MAX && !g->is_ending)) {
		stop_and_free(c);
		return;
	}
	g->drains++;
	c->drains_until = loop_now() + GATEWAY_DRAIN_MS;
	if (is_paused(c))
		wish(c);
}

/* --- the loop --- */

static void call_turn(struct call *c, int64_t now)
{
	if (c->drains_until && now >= c->drains_until) {
		stop_and_free(c);
		return;
	}
	if (c->http && is_paused(c) && now - c->paused_since > PAUSED_MS)
		connection_shut(c->connection);
	if (c->wants_more) {
		c->wants_more = false;
		c->paused_since = 0;
		if (c->transfer)
			transfer_go_on(c->transfer);
	}
}

void calls_turn(struct gateway *g)
{
	int64_t now = loop_now();

	g->has_wishes = false;
	for (struct call *c = g->calls, *next; c; c = next) {
		next = c->next;
		call_turn(c, now);
	}
}

void calls_abandon(struct gateway *g)
{
	for (struct call *c = g->calls; c; c = c->next) {
		if (!c->http)
			continue;
		if (c->state == CALL_ANSWERING && !c->is_over) {
			c->out.len = c->out_at = 0;
			answer_over(c, true);
		} else if (c->state == CALL_ASKING || c->state == CALL_WAITING ||
			   c->state == CALL_HELD) {
			call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0, "the container ends");
		} else if (c->state == CALL_HEAD || c->state == CALL_BODY) {
			/* One whose request is not even here. */
			connection_shut(c->connection);
		}
		call_resume(c);
	}
}

void calls_thaw(struct gateway *g)
{
	for (struct call *c = g->calls; c; c = c->next) {
		if (c->state != CALL_HELD)
			continue;
		c->state = CALL_BODY;
		call_resume(c);
	}
}

void calls_drop(struct gateway *g)
{
	for (struct call *c = g->calls, *next; c; c = next) {
		next = c->next;
		stop(c);
		/* What the agent's side still has of it goes with that: see call_client_done(). */
		if (c->http)
			call_resume(c);
		else
			call_free(c);
	}
}
