/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meters answers while they pass: see answer.h.
 *
 * Events are held until their blank line came: a stream can then be ended between two of them, and
 * the event that llm_request_rewrite() asked for can be left out. Elements of Gemini's list are held
 * until their brace. Whole bodies are not held.
 *
 * Pure; reads what a provider sent, which is hostile until read.
 */
#include "gateway/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/json.h"
#include "gateway/answer_read.h"

enum llm_shape llm_shape_of(const struct llm_format *format, bool streams,
			    const char *content_type)
{
	static const char events[] = "text/event-stream";

	if (content_type && strncasecmp(content_type, events, strlen(events)) == 0)
		return LLM_EVENTS;
	if (streams && format->family == LLM_GEMINI)
		return LLM_LIST;
	return LLM_WHOLE;
}

static void take_data(void *ctx, const char *p, size_t len)
{
	struct llm_reader *r = ctx;

	if (r->data_len == 0 && r->sse.lines == 1)
		r->data_at = r->held.len + (size_t)(p - r->line);
	for (size_t i = 0; i < len && r->data_len + i < sizeof(r->head); i++)
		r->head[r->data_len + i] = p[i];
	r->data_len += len;
	if (!r->is_unreadable && !json_scan_feed(&r->scan, p, len))
		r->is_unreadable = true;
}

static void begin_event(struct llm_reader *r)
{
	json_scan_begin(&r->scan, llm_document_token, r);
	memset(&r->doc, 0, sizeof(r->doc));
	r->is_spilled = r->is_unreadable = false;
	r->data_len = 0;
	r->held.len = 0;
}

int llm_reader_new(const struct llm_format *format, enum llm_shape shape, bool hide_usage,
		   struct llm_reader **ret, struct err *e)
{
	struct llm_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return err_oom(e);
	r->format = format;
	r->shape = shape;
	r->hide_usage = hide_usage && shape == LLM_EVENTS;
	sse_begin(&r->sse, take_data, r);
	begin_event(r);
	*ret = r;
	return 0;
}

void llm_reader_free(struct llm_reader *r)
{
	if (!r)
		return;
	buf_free(&r->held);
	free(r);
}

const struct llm_answer *llm_reader_answer(const struct llm_reader *r)
{
	return &r->answer;
}

uint64_t llm_answer_output_guess(const struct llm_answer *a)
{
	uint64_t guess = (a->text_bytes + 3) / 4, out = (uint64_t)a->usage.out;

	if (guess < a->pieces)
		guess = a->pieces;
	return guess > out ? guess : out;
}

/* Whether the event is the one that the client did not ask for. */
static bool is_unasked(const struct llm_reader *r)
{
	const struct llm_document *d = &r->doc;

	return r->hide_usage && d->has_choices && d->choices == 0 && d->has_usage;
}

/* Takes `"usage":null` with one comma out of the event that is held. */
static void drop_null_usage(struct llm_reader *r)
{
	size_t start = r->data_at + r->doc.null_start, end = r->data_at + r->doc.null_end;
	const char *s = r->held.s;

	while (end < r->held.len && strchr(" \t", s[end]))
		end++;
	if (end < r->held.len && s[end] == ',') {
		end++;
	} else {
		size_t at = start;

		while (at > 0 && strchr(" \t", s[at - 1]))
			at--;
		if (at > 0 && s[at - 1] == ',')
			start = at - 1;
	}
	memmove(r->held.s + start, r->held.s + end, r->held.len - end);
	r->held.len -= end - start;
}

static bool data_is_done(const struct llm_reader *r)
{
	return r->data_len == 6 && memcmp(r->head, "[DONE]", 6) == 0;
}

/* The data of an event, once it is whole. True: the client gets the event. */
static bool read_event(struct llm_reader *r)
{
	struct llm_answer *a = &r->answer;
	bool drop;

	if (r->data_len == 0)
		return true;
	if (data_is_done(r)) {
		if (a->end == LLM_END_OPEN)
			a->end = LLM_END_DONE;
		memset(&r->doc, 0, sizeof(r->doc));
		llm_document_end(r);
		return true;
	}
	if (r->is_unreadable || !json_scan_end(&r->scan)) {
		a->is_unclear = true;
		a->text_bytes += r->data_len;
		a->pieces++;
		return true;
	}
	drop = is_unasked(r);
	if (r->hide_usage && r->doc.null_end && !r->is_spilled && r->sse.lines == 1)
		drop_null_usage(r);
	llm_document_end(r);
	return !drop || r->is_spilled;
}

static void flush(struct llm_reader *r, struct buf *out)
{
	if (out && r->held.len > 0)
		buf_add(out, r->held.s, r->held.len);
	r->held.len = 0;
}

static void hold(struct llm_reader *r, const char *p, size_t len, struct buf *out)
{
	if (r->is_spilled) {
		if (out)
			buf_add(out, p, len);
		return;
	}
	buf_add(&r->held, p, len);
	if (r->held.failed)
		return;
	if (r->held.len > LLM_HELD_MAX) {
		flush(r, out);
		r->is_spilled = true;
	}
}

static void feed_events(struct llm_reader *r, const char *p, size_t len, struct buf *out)
{
	while (len > 0) {
		enum sse_at at;
		size_t n;

		r->line = p;
		at = sse_line(&r->sse, p, len, &n);
		hold(r, p, n, out);
		if (at == SSE_END) {
			flush(r, read_event(r) ? out : NULL);
			begin_event(r);
		} else if (at == SSE_COMMENT) {
			flush(r, out);
		}
		p += n;
		len -= n;
	}
}

/* What cannot be read passes, and counts as if all of it were text. */
static bool scan(struct llm_reader *r, const char *p, size_t len)
{
	uint64_t before = r->scan.at;

	if (json_scan_feed(&r->scan, p, len))
		return true;
	r->answer.is_unclear = true;
	r->answer.text_bytes += len - (r->scan.at - before);
	return false;
}

/* The text in which a document breaks off. */
static void count_open_text(struct llm_reader *r)
{
	if (r->scan.token.end <= r->scan.token.start)
		r->answer.text_bytes += r->scan.at - r->scan.token.start;
}

static void feed_whole(struct llm_reader *r, const char *p, size_t len, struct buf *out)
{
	scan(r, p, len);
	if (out)
		buf_add(out, p, len);
}

static void release(struct llm_reader *r, size_t len, struct buf *out)
{
	if (out && len > 0)
		buf_add(out, r->held.s, len);
	memmove(r->held.s, r->held.s + len, r->held.len - len);
	r->held.len -= len;
	r->passed += len;
}

static void feed_list(struct llm_reader *r, const char *p, size_t len, struct buf *out)
{
	bool readable = scan(r, p, len), done;

	buf_add(&r->held, p, len);
	if (r->held.failed)
		return;
	if (!readable) {
		release(r, r->held.len, out);
		return;
	}
	if (r->element_end > r->passed) {
		release(r, (size_t)(r->element_end - r->passed), out);
		r->is_spilled = false;
	}
	done = json_scan_is_done(&r->scan);
	if (done || r->is_spilled || r->held.len > LLM_HELD_MAX) {
		r->is_spilled = !done;
		release(r, r->held.len, out);
	}
}

int llm_reader_feed(struct llm_reader *r, const void *data, size_t len, struct buf *out,
		    struct err *e)
{
	if (r->answer.end == LLM_END_STOPPED || len == 0)
		return 0;
	r->answer.bytes += len;
	switch (r->shape) {
	case LLM_EVENTS:
		feed_events(r, data, len, out);
		break;
	case LLM_LIST:
		feed_list(r, data, len, out);
		break;
	case LLM_WHOLE:
		feed_whole(r, data, len, out);
		break;
	}
	return r->held.failed || (out && out->failed) ? err_oom(e) : 0;
}

int llm_reader_end(struct llm_reader *r, bool is_whole, struct buf *out, struct err *e)
{
	struct llm_answer *a = &r->answer;
	bool readable;

	if (a->end == LLM_END_STOPPED)
		return 0;
	if (r->shape == LLM_EVENTS) {
		/* Clients take the last event without its blank line too. */
		flush(r, read_event(r) ? out : NULL);
		begin_event(r);
		if (a->end == LLM_END_OPEN)
			a->end = r->is_finishing && is_whole ? LLM_END_DONE : LLM_END_CUT;
	} else {
		flush(r, out);
		readable = json_scan_end(&r->scan);
		a->is_unclear |= !readable;
		if (!readable)
			count_open_text(r);
		is_whole &= readable && (r->shape == LLM_WHOLE || r->is_finishing);
		if (r->doc.has_error && a->end == LLM_END_OPEN)
			a->end = LLM_END_ERROR;
		if (a->end == LLM_END_OPEN)
			a->end = is_whole ? LLM_END_DONE : LLM_END_CUT;
	}
	llm_document_end(r);
	return r->held.failed || (out && out->failed) ? err_oom(e) : 0;
}

static void stop_responses(struct llm_reader *r, enum llm_refusal_reason reason,
			   const char *message, struct buf *out)
{
	buf_addf(out,
		 "event: response.failed\ndata: {\"type\":\"response.failed\","
		 "\"sequence_number\":%" PRId64 ",\"response\":{\"id\":",
		 llm_has_figure(&r->figures, LLM_N_SEQUENCE) ?
			 r->figures.v[LLM_N_SEQUENCE] + 1 :
			 0);
	json_quote(out, r->id[0] ? r->id : "resp_purple");
	buf_addf(out,
		 ",\"object\":\"response\",\"created_at\":%" PRId64
		 ",\"status\":\"failed\",\"error\":{\"code\":\"%s\",\"message\":",
		 llm_figure(&r->figures, LLM_N_CREATED), llm_refusal_code(reason));
	json_quote(out, message);
	buf_adds(out, "},\"incomplete_details\":null,\"model\":");
	json_quote(out, r->answer.model);
	buf_adds(out, ",\"output\":[],\"usage\":null}}\n\n");
}

static void stop_events(struct llm_reader *r, enum llm_refusal_reason reason,
			const char *message, struct buf *out)
{
	const struct llm_format *f = r->format;

	/* An event of which a part has passed is ended first. */
	if (r->is_spilled)
		buf_adds(out, "\n\n");
	if (f->id == LLM_RESPONSES) {
		stop_responses(r, reason, message, out);
		return;
	}
	buf_adds(out, f->id == LLM_MESSAGES ? "event: error\ndata: " : "data: ");
	llm_refusal_body(f->family, f, reason, message, LLM_RETRY_MAX, out);
	buf_adds(out, "\n\n");
}

void llm_reader_stop(struct llm_reader *r, enum llm_refusal_reason reason,
		     const char *message, struct buf *out)
{
	if (r->answer.end == LLM_END_OPEN && r->shape == LLM_EVENTS) {
		stop_events(r, reason, message, out);
	} else if (r->answer.end == LLM_END_OPEN && r->shape == LLM_LIST &&
		   !r->is_spilled && !r->scan.fault && !json_scan_is_done(&r->scan)) {
		buf_adds(out, r->elements > 0 ? ",\r\n" : "[");
		llm_refusal_body(r->format->family, r->format, reason, message,
				 LLM_RETRY_MAX, out);
		buf_adds(out, "]");
	}
	r->held.len = 0;
	if (r->answer.end == LLM_END_OPEN)
		r->answer.end = LLM_END_STOPPED;
}
