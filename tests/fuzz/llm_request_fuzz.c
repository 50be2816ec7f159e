/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for requests to LLM providers: the first byte picks the format, the second how
 * much is left, the rest is a body. What is accepted is JSON that other readers accept, with one
 * model; rewritten and read again it is below the cap, asks for usage, and says all else as before.
 * The bound of its input holds. A target of a route never holds a credential.
 * runs: 10000
 */
#include "fuzz.h"
#include "gateway/request.h"
#include "gateway/route.h"

static const struct llm_format *const formats[] = {
	&llm_format_chat,      &llm_format_completions, &llm_format_embeddings,
	&llm_format_responses, &llm_format_messages,	&llm_format_generate,
};

/* Another reader takes it too, but for what only that one forbids. */
static void check_json(const char *body, size_t len)
{
	static const char *const forbidden[] = { "NUL byte",	     "surrogate",
						 "duplicate key",    "nested too deeply",
						 "too many members", NULL };
	_json_free_ struct json *j = NULL;
	struct err e = {};

	if (json_parse(body, len, "body", &j, &e) == 0)
		return;
	for (size_t i = 0; forbidden[i]; i++)
		if (strstr(e.msg, forbidden[i]))
			return;
	fuzz_die("accepted, and no JSON", e.msg);
}

static void check_same(const struct llm_request *a, const struct llm_request *b)
{
	fuzz_require(streq(a->model, b->model) && a->streams == b->streams);
	fuzz_require(a->copies == b->copies && a->tools == b->tools);
	fuzz_require(a->thinking == b->thinking && a->caches == b->caches);
	fuzz_require((a->hidden == NULL) == (b->hidden == NULL));
	fuzz_require(a->media == b->media && a->media_bytes == b->media_bytes);
}

static void check_rewrite(const struct llm_request *r, const char *body, size_t len,
			  const struct llm_server *server, int64_t cap)
{
	struct llm_request again;
	struct err e = {};
	struct edits edits;
	size_t size, half;
	bool hide;
	char *out;
	int err;

	err = llm_request_rewrite(r, server, cap, &edits, &hide, &e);
	if (err < 0) {
		fuzz_check_error(err, &e);
		fuzz_require(err == -ENOSPC);
		return;
	}
	size = edits_length(&edits, len);
	half = size / 2;
	out = malloc(size + 1);
	fuzz_require(out);
	fuzz_require(edits_read(&edits, body, len, 0, out, half) == half);
	fuzz_require(edits_read(&edits, body, len, half, out + half, size + 1 - half) ==
		     size - half);
	if (llm_request_read(r->format, r->format == &llm_format_generate ? "m" : "",
			     false, out, size, &again, &e) < 0)
		fuzz_die("what was rewritten is refused", e.msg);
	check_same(r, &again);
	if (r->format->max_new)
		fuzz_require(again.max <= cap / r->copies && again.max <= r->max);
	for (size_t i = 0; i < again.maxima_n && r->format->max_new; i++)
		fuzz_require(again.maxima[i].is_null || again.maxima[i].tokens <= cap);
	if (r->format->has_stream_options && r->streams && !server->sends_usage)
		fuzz_require(again.asks_usage && hide == !r->asks_usage);
	free(out);
}

static void check_route(const char *target)
{
	struct buf out = {};
	const char *query;

	for (enum llm_family f = LLM_OPENAI; f <= LLM_GEMINI; f++) {
		struct llm_route r;

		llm_route_find("POST", target, f, false, &r);
		fuzz_require(r.kind == LLM_ROUTE_REFUSED || str_has_prefix(target, "/"));
		fuzz_require((r.kind == LLM_ROUTE_METERED) == (r.format != NULL));
		fuzz_require(strlen(r.model) <= LLM_MODEL_MAX);
	}
	llm_target_clean(target, &out);
	fuzz_require(out.len <= strlen(target));
	query = out.s ? strchr(out.s, '?') : NULL;
	fuzz_require(!query || (!str_has_prefix(query, "?key=") && !strstr(query, "&key=")));
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct llm_format *f;
	struct llm_server server;
	struct llm_request r;
	struct err e = {};
	const char *body;
	char *target;
	int err;

	if (size < 2)
		return 0;
	f = formats[data[0] % (sizeof(formats) / sizeof(formats[0]))];
	server = (struct llm_server){ .knows_new_max = data[1] & 1,
				      .sends_usage = data[1] & 2 };
	body = (const char *)data + 2;
	target = strndup(body, size - 2);
	fuzz_require(target);
	check_route(target);
	free(target);
	err = llm_request_read(f, f == &llm_format_generate ? "m" : "", false, body,
			       size - 2, &r, &e);
	if (err < 0) {
		fuzz_check_error(err, &e);
		return 0;
	}
	check_json(body, size - 2);
	fuzz_require(r.model[0] && r.copies >= 1);
	fuzz_require(r.text_bytes + r.media_bytes <= 2 * size);
	fuzz_require(llm_request_input_bound(&r) >= size - 2);
	check_rewrite(&r, body, size - 2, &server, (int64_t)(data[1] >> 2) * 100);
	return 0;
}
