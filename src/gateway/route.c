/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls pass: see route.h. Reads what the agent sent; pure. */
#include "gateway/route.h"

#include <ctype.h>

/* What stands before the paths of OpenAI's API, there and at those who speak it. */
static const char *const openai_prefixes[] = {
	"/v1",
	"/openai/v1",	  /* Azure, Groq */
	"/api/v1",	  /* OpenRouter */
	"/v1beta/openai", /* Gemini's own */
	NULL,
};

struct row {
	const char *method, *path;
	enum llm_family family;
	const struct llm_format *format; /* NULL: free */
};

static const struct row openai_rows[] = {
	{ "POST", "/chat/completions", LLM_OPENAI, &llm_format_chat },
	{ "POST", "/completions", LLM_OPENAI, &llm_format_completions },
	{ "POST", "/embeddings", LLM_OPENAI, &llm_format_embeddings },
	{ "POST", "/responses", LLM_OPENAI, &llm_format_responses },
	{ "GET", "/models", LLM_OPENAI, NULL },
	{},
};

static const struct row anthropic_rows[] = {
	{ "POST", "/messages", LLM_ANTHROPIC, &llm_format_messages },
	{ "POST", "/messages/count_tokens", LLM_ANTHROPIC, NULL },
	{ "GET", "/models", LLM_ANTHROPIC, NULL },
	{},
};

static bool span_is(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* Names of models and deployments: what needs no decoding and cannot leave its place. */
static bool take_name(const char *s, size_t len, char ret[LLM_MODEL_MAX + 1])
{
	if (len == 0 || len > LLM_MODEL_MAX || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isascii(s[i]) || (!isalnum(s[i]) && !strchr("._-@", s[i])))
			return false;
	memcpy(ret, s, len);
	ret[len] = '\0';
	return true;
}

static void found(struct llm_route *r, const struct row *row, const char *rest,
		  bool has_prefix)
{
	r->kind = row->format ? LLM_ROUTE_METERED : LLM_ROUTE_FREE;
	r->family = row->family;
	r->format = row->format;
	r->rest = rest;
	r->has_prefix = has_prefix;
}

static bool find_row(const struct row *rows, const char *method, const char *path,
		     size_t len, bool has_prefix, struct llm_route *r)
{
	for (; rows->path; rows++) {
		if (streq(rows->method, method) && span_is(path, len, rows->path)) {
			found(r, rows, path, has_prefix);
			return true;
		}
	}
	return false;
}

static bool find_prefixed(const char *method, const char *target, size_t len,
			  enum llm_family family, struct llm_route *r)
{
	if (family == LLM_ANTHROPIC)
		return len > 3 && str_has_prefix(target, "/v1") &&
		       find_row(anthropic_rows, method, target + 3, len - 3, true, r);
	for (size_t i = 0; openai_prefixes[i]; i++) {
		size_t n = strlen(openai_prefixes[i]);

		if (len > n && str_has_prefix(target, openai_prefixes[i]) &&
		    find_row(openai_rows, method, target + n, len - n, true, r))
			return true;
	}
	return false;
}

/* Azure: /openai/deployments/NAME/chat/completions. The name is the customer's own, no model's. */
static bool find_deployment(const char *method, const char *target, size_t len,
			    struct llm_route *r)
{
	static const char prefix[] = "/openai/deployments/";
	char name[LLM_MODEL_MAX + 1];
	const char *at, *slash;

	if (!str_has_prefix(target, prefix))
		return false;
	at = target + strlen(prefix);
	slash = memchr(at, '/', len - strlen(prefix));
	if (!slash || !take_name(at, (size_t)(slash - at), name))
		return false;
	if (!find_row(openai_rows, method, slash, len - (size_t)(slash - target), false, r) ||
	    r->kind != LLM_ROUTE_METERED || r->format == &llm_format_responses) {
		*r = (struct llm_route){ .kind = LLM_ROUTE_REFUSED, .family = LLM_OPENAI };
		return false;
	}
	r->rest = target;
	memcpy(r->model, name, sizeof(name));
	return true;
}

/* /v1beta/models/NAME:generateContent and its like. */
static bool find_gemini(const char *method, const char *target, size_t len,
			struct llm_route *r)
{
	static const struct row rows[] = {
		{ "POST", ":generateContent", LLM_GEMINI, &llm_format_generate },
		{ "POST", ":streamGenerateContent", LLM_GEMINI, &llm_format_generate },
		{ "POST", ":countTokens", LLM_GEMINI, NULL },
		{},
	};
	const char *at, *colon;

	if (str_has_prefix(target, "/v1beta/models/"))
		at = target + strlen("/v1beta/models/");
	else if (str_has_prefix(target, "/v1/models/"))
		at = target + strlen("/v1/models/");
	else
		return false;
	colon = memchr(at, ':', len - (size_t)(at - target));
	if (!colon || !take_name(at, (size_t)(colon - at), r->model) ||
	    !find_row(rows, method, colon, len - (size_t)(colon - target), false, r)) {
		r->model[0] = '\0';
		return false;
	}
	r->rest = target;
	r->path_streams = str_has_prefix(colon, ":stream");
	return true;
}

void llm_route_find(const char *method, const char *target, enum llm_family family,
		    bool upgrade, struct llm_route *ret)
{
	size_t len = strcspn(target, "?");

	*ret = (struct llm_route){ .kind = LLM_ROUTE_REFUSED, .family = family };
	if (upgrade) {
		ret->kind = LLM_ROUTE_UPGRADE;
		return;
	}
	if (strchr(target, '#'))
		return;
	switch (family) {
	case LLM_OPENAI:
		if (!find_prefixed(method, target, len, family, ret))
			find_deployment(method, target, len, ret);
		return;
	case LLM_ANTHROPIC:
		find_prefixed(method, target, len, family, ret);
		return;
	case LLM_GEMINI:
		find_gemini(method, target, len, ret);
		return;
	}
}

/*
 * Parameters that pass. There are others by which an answer is what cannot be metered: "fields" and
 * "$fields" leave the usage out, "alt=proto" and "callback" are no JSON; and credentials.
 */
static bool is_harmless(const char *s, size_t len)
{
	static const char *const words[] = { "alt=sse", "alt=json", NULL };
	static const char *const names[] = { "api-version", "beta",	"limit",
					     "order",	    "after",	"after_id",
					     "before_id",   "pageSize", "pageToken",
					     NULL };
	size_t n = strcspn(s, "=&");

	for (size_t i = 0; words[i]; i++)
		if (span_is(s, len, words[i]))
			return true;
	for (size_t i = 0; names[i]; i++)
		if (span_is(s, n < len ? n : len, names[i]))
			return true;
	return false;
}

void llm_target_clean(const char *target, struct buf *out)
{
	size_t len = strcspn(target, "?");
	char mark = '?';

	buf_add(out, target, len);
	target += len;
	while (*target) {
		target++;
		len = strcspn(target, "&");
		if (is_harmless(target, len)) {
			buf_add(out, &mark, 1);
			buf_add(out, target, len);
			mark = '&';
		}
		target += len;
	}
}
