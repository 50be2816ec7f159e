/* SPDX-License-Identifier: Apache-2.0 */
/* A call's request: see call.h. Runs in purple-gateway, in its jail. */
#include "gateway/call_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fd.h"
#include "base/json_scan.h"
#include "base/list.h"
#include "gateway/enforce.h"
#include "gateway/events.h"
#include "gateway/provider.h"

/* Of a body that is refused already: read on, so that its sender comes to read the refusal. */
#define DISCARD_MAX (UINT64_C(1) << 30)

/* --- beginning and end --- */

struct call *call_new(struct gateway *g, struct connection *connection,
		      struct MHD_Connection *http, const char *target)
{
	const size_t used = offsetof(struct call, edits) + offsetof(struct edits, v);
	struct call *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	memset(c, 0, used);
	c->target = strdup(target);
	if (!c->target) {
		free(c);
		return NULL;
	}
	c->g = g;
	c->connection = connection;
	c->http = http;
	c->began = loop_now();
	c->link = &g->calls;
	c->next = g->calls;
	if (c->next)
		c->next->link = &c->next;
	g->calls = c;
	g->calls_n++;
	return c;
}

void call_body_free(struct call *c)
{
	c->g->bodies -= c->body.len;
	buf_free(&c->body);
	c->body = (struct buf){};
}

void call_free(struct call *c)
{
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	c->g->calls_n--;
	call_leave_queue(c);
	if (c->drains_until)
		c->g->drains--;
	call_body_free(c);
	strv_free(&c->headers);
	strmap_free(&c->answer_headers);
	if (c->has_refusal)
		llm_refusal_free(&c->refusal);
	content_end(&c->g->content, &c->stored);
	llm_reader_free(c->reader);
	mask_free(&c->mask);
	buf_free(&c->out);
	free(c->target);
	free(c->method);
	free(c);
}

bool call_has_head(const struct call *c)
{
	return c->state != CALL_HEAD;
}

void call_suspend(struct call *c)
{
	if (c->is_suspended)
		return;
	c->is_suspended = true;
	MHD_suspend_connection(c->http);
}

void call_resume(struct call *c)
{
	if (!c->is_suspended)
		return;
	c->is_suspended = false;
	MHD_resume_connection(c->http);
	server_wake(c->g->server);
}

/* --- refusals --- */

static void set_refusal(struct call *c, enum llm_refusal_reason reason,
			unsigned int retry_after, const char *message)
{
	struct err e = {};

	call_body_free(c);
	call_leave_queue(c);
	c->state = CALL_REFUSED;
	/* Without memory for it the connection is closed: see queue_refusal(). */
	if (!c->has_refusal)
		c->has_refusal = llm_refusal_make(c->route.family, c->route.format,
						  reason, message, retry_after,
						  &c->refusal, &e) == 0;
}

static void tell_refused(struct call *c, enum llm_refusal_reason reason)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = -1,
				   .provider = c->provider ? c->provider->name : NULL,
				   .model = *c->request.model ? c->request.model : NULL,
				   .status = c->has_refusal ? c->refusal.status : 0,
				   .duration_ms = (uint64_t)(loop_now() - c->began),
				   .reason = reason };

	if (c->route.format)
		x.api = gateway_event_api(c->route.format->id);
	gateway_tell(c->g, &x);
}

void call_refuse(struct call *c, enum llm_refusal_reason reason, unsigned int retry_after,
		 const char *fmt, ...)
{
	char message[1024];
	va_list ap;

	if (c->has_refusal)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	if (c->key)
		mask_text(c->key, message);
	set_refusal(c, reason, retry_after, message);
	tell_refused(c, reason);
}

void call_refuse_verdict(struct call *c, const struct meter_verdict *v)
{
	set_refusal(c, v->reason, v->retry_after, v->message);
}

static bool queue_refusal(struct call *c, bool closes)
{
	struct MHD_Response *r = NULL;
	bool ok;

	if (c->has_refusal)
		r = MHD_create_response_from_buffer(c->refusal.body.len, c->refusal.body.s,
						    MHD_RESPMEM_MUST_COPY);
	if (!r)
		return false;
	for (size_t i = 0; i < c->refusal.headers_n; i++)
		MHD_add_response_header(r, c->refusal.headers[i].name,
					c->refusal.headers[i].value);
	if (closes)
		MHD_add_response_header(r, "Connection", "close");
	ok = MHD_queue_response(c->http, c->refusal.status, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}

/* --- the head --- */

struct fields {
	struct check_field v[CHECK_HEADERS_MAX + 1];
	size_t n;
};

static enum MHD_Result add_field(void *cls, enum MHD_ValueKind kind, const char *name,
				 size_t name_len, const char *value, size_t value_len)
{
	struct fields *f = cls;

	if (f->n < sizeof(f->v) / sizeof(f->v[0]))
		f->v[f->n++] = (struct check_field){ name, value ? value : "", name_len,
						     value_len };
	return MHD_YES;
}

static bool brings_placeholder(const struct call *c, const struct check_head *h)
{
	const char *given[] = { h->bearer, h->x_api_key, h->api_key, h->x_goog_api_key };
	const char *placeholder = c->g->config->placeholder;
	char query[GATEWAY_PLACEHOLDER_LEN + 8];
	bool found = false;

	if (!placeholder || strlen(placeholder) < GATEWAY_PLACEHOLDER_LEN)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(given); i++)
		found |= given[i] && check_secret_equal(given[i], placeholder);
	if (check_query_key(c->path, query, sizeof(query)))
		found |= check_secret_equal(query, placeholder);
	return found;
}

/* Of a provider that the policy does not name: the agent calls it with a key of its own. */
static int pass_own_key(struct call *c, const struct check_head *h)
{
	char query[4096];
	int r = 0;

	if (h->bearer)
		r = strv_addf(&c->headers, "Authorization: Bearer %s", h->bearer);
	if (r == 0 && h->x_api_key)
		r = strv_addf(&c->headers, "x-api-key: %s", h->x_api_key);
	if (r == 0 && h->api_key)
		r = strv_addf(&c->headers, "api-key: %s", h->api_key);
	if (r == 0 && h->x_goog_api_key)
		r = strv_addf(&c->headers, "x-goog-api-key: %s", h->x_goog_api_key);
	/* The query loses it, wherever it goes: see llm_target_clean(). */
	else if (r == 0 && check_query_key(c->path, query, sizeof(query)) &&
		 check_is_value(query))
		r = strv_addf(&c->headers, "x-goog-api-key: %s", query);
	return r;
}

static int pass_headers(struct call *c, const struct check_head *h,
			const struct fields *f, struct err *e)
{
	int r = c->has_own_key ? pass_own_key(c, h) : 0;

	for (size_t i = 0; r == 0 && i < f->n; i++)
		if (check_passes_on(f->v[i].name))
			r = strv_addf(&c->headers, "%s: %s", f->v[i].name, f->v[i].value);
	return r < 0 ? err_oom(e) : 0;
}

static bool may_call(struct call *c, const struct check_head *h)
{
	bool brings = brings_placeholder(c, h);

	if (c->has_own_key && brings)
		call_refuse(c, LLM_REFUSE_KEY, 0,
			    "provider '%s' is not one of the policy's: calls to it need a key "
			    "of their own",
			    c->provider->name);
	else if (!c->has_own_key && c->g->config->placeholder && !brings)
		call_refuse(c, LLM_REFUSE_KEY, 0,
			    "the API key of this call is not the one that this container was "
			    "given (see OPENAI_API_KEY and its like in its environment)");
	else
		return true;
	return false;
}

/* What is refused by the head alone, framing apart. */
static void look_at_head(struct call *c, const struct check_head *h, const struct fields *f)
{
	struct gateway *g = c->g;
	struct err e = {};

	if (!provider_of_call(c, h->host, &e)) {
		call_refuse(c, e.kind == ERR_POLICY ? LLM_REFUSE_PROVIDER : LLM_REFUSE_KEY,
			    0, "%s", e.msg);
		return;
	}
	llm_route_find(c->method, c->path, c->provider->family, h->is_upgrade, &c->route);
	if (c->route.kind == LLM_ROUTE_UPGRADE)
		call_refuse(c, LLM_REFUSE_UPGRADE, 0,
			    "connections are not upgraded: use plain HTTP, streams as "
			    "server-sent events");
	else if (c->route.kind == LLM_ROUTE_REFUSED || !provider_has_route(c))
		call_refuse(c, LLM_REFUSE_ROUTE, 0,
			    "%s %.*s is not among the calls that pass", c->method,
			    (int)strcspn(c->path, "?"), c->path);
	else if (!may_call(c, h))
		return;
	else if (h->has_length && h->length > LLM_REQUEST_MAX)
		call_refuse(c, LLM_REFUSE_TOO_LARGE, 0,
			    "the request is larger than %u MiB", LLM_REQUEST_MAX >> 20);
	else if (g->is_ending || g->calls_n > GATEWAY_CALLS_MAX)
		call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0,
			    g->is_ending ? "the container ends" :
					   "too many calls are under way");
	else if (pass_headers(c, h, f, &e) < 0)
		call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0, "%s", e.msg);
}

bool call_head(struct call *c, const char *method, const char *version)
{
	enum llm_refusal_reason reason;
	enum check_answer answer;
	struct check_head head;
	struct fields fields; /* not cleared: it is large */
	const char *message;

	c->state = CALL_BODY;
	c->path = c->target;
	c->is_http_1_0 = streq(version, "HTTP/1.0");
	connection_phase(c->connection, SERVER_BODY);
	fields.n = 0;
	MHD_get_connection_values_n(c->http, MHD_HEADER_KIND, add_field, &fields);
	c->route.family = provider_guess_family(c->g, c->target);
	answer = check_request(version, c->target, fields.v, fields.n, &head, &reason,
			       &message);
	c->method = strdup(method);
	if (!c->method)
		return false;
	if (answer != CHECK_OK)
		call_refuse(c, reason, 0, "%s", message);
	else
		look_at_head(c, &head, &fields);
	/* Who waits to be told that it may send its body is told that it may not. */
	if (answer == CHECK_CLOSE || (c->state == CALL_REFUSED && head.expects_continue))
		return queue_refusal(c, true);
	return true;
}

/* --- the body --- */

bool call_body(struct call *c, const char *data, size_t len)
{
	struct gateway *g = c->g;

	if (c->state == CALL_BODY && c->body.len + len > LLM_REQUEST_MAX)
		call_refuse(c, LLM_REFUSE_TOO_LARGE, 0,
			    "the request is larger than %u MiB", LLM_REQUEST_MAX >> 20);
	else if (c->state == CALL_BODY && g->bodies + len > GATEWAY_BODIES_MAX)
		call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0,
			    "too many large requests are under way");
	if (c->state != CALL_BODY) {
		c->discarded += len;
		return c->discarded <= DISCARD_MAX;
	}
	buf_add(&c->body, data, len);
	if (c->body.failed) {
		c->body.len = 0;
		return false;
	}
	g->bodies += len;
	return true;
}

static bool never_stop(void *ctx, const struct json_token *t)
{
	return true;
}

/* Of a call that is not metered: that it is JSON, so that it can be searched. */
static bool body_is_json(const struct call *c)
{
	struct json_scan *scan = calloc(1, sizeof(*scan));
	bool ok = false;

	if (scan) {
		json_scan_begin(scan, never_stop, NULL);
		ok = json_scan_feed(scan, c->body.s, c->body.len) && json_scan_end(scan);
	}
	free(scan);
	return ok;
}

static bool read_request(struct call *c)
{
	struct err e = {};

	if (c->route.kind == LLM_ROUTE_METERED) {
		if (llm_request_read(c->route.format, c->route.model,
				     c->route.path_streams, c->body.s ? c->body.s : "",
				     c->body.len, &c->request, &e) == 0)
			return true;
		call_refuse(c,
			    e.kind == ERR_USAGE ? LLM_REFUSE_REQUEST : LLM_REFUSE_UNAVAILABLE,
			    0, "%s", e.msg);
		return false;
	}
	if (streq(c->method, "POST") && !body_is_json(c)) {
		call_refuse(c, LLM_REFUSE_REQUEST, 0, "the request's body is not JSON");
		return false;
	}
	return true;
}

static bool rewrite_request(struct call *c, int64_t out_cap)
{
	struct llm_server server = llm_server_by_name(c->provider->name);
	struct err e = {};

	if (c->route.kind != LLM_ROUTE_METERED)
		return true;
	if (llm_request_rewrite(&c->request, &server, out_cap, &c->edits, &c->hide_usage,
				&e) == 0)
		return true;
	call_refuse(c, e.code == ENOSPC ? LLM_REFUSE_BUDGET : LLM_REFUSE_UNAVAILABLE, 0,
		    "%s", e.msg);
	return false;
}

void call_go(struct call *c, int64_t cap)
{
	struct err e;

	if (rewrite_request(c, cap) && call_redact(c)) {
		c->state = CALL_ASKING;
		if (call_ask(c, &e) < 0)
			call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0, "%s", e.msg);
	}
	if (c->state == CALL_REFUSED)
		call_settle(c, METER_REFUSED);
}

static void begin(struct call *c)
{
	if (!read_request(c))
		return;
	if (c->route.kind == LLM_ROUTE_METERED)
		call_wait(c);
	else if (call_admit_free(c))
		call_go(c, INT64_MAX);
}

bool call_ready(struct call *c)
{
	if (c->state == CALL_BODY && c->g->is_ending)
		call_refuse(c, LLM_REFUSE_UNAVAILABLE, 0, "the container ends");
	else if (c->state == CALL_BODY)
		begin(c);
	connection_phase(c->connection, SERVER_BUSY);
	switch (c->state) {
	case CALL_HEAD:
	case CALL_BODY:
		break;
	case CALL_WAITING:
	case CALL_HELD:
	case CALL_ASKING:
		call_suspend(c);
		return true;
	case CALL_ANSWERING:
		return call_answer_begin(c);
	case CALL_REFUSED:
		return queue_refusal(c, c->g->is_ending);
	}
	return false;
}
