/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals: see refusal.h. The codes were chosen by what clients were seen to do with them:
 *
 *   Over budget. OpenAI's SDK and Codex stop at 429 insufficient_quota with x-should-retry: false.
 *   Anthropic's clients try 429 again and wait as long as Retry-After says (days), but show 402
 *   and stop. Gemini's CLI stops at 429 only when a QuotaFailure speaks of a quota per day.
 *   Model not allowed. Codex tries 403 six times and shows 400 at once; Claude Code calls 403 a
 *   failed login, and tries 400 six times.
 *   Rates. A Retry-After above 60 s is ignored by OpenAI's SDK, which then tries at once.
 *
 * x-should-retry: false is heeded by the SDKs of OpenAI and Anthropic, whatever the status. Pure.
 */
#include "gateway/refusal.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

struct reason_row {
	const char *word;
	unsigned int openai, anthropic, gemini;
	const char *type, *code; /* OpenAI */
	const char *anthropic_type;
	const char *gemini_status;
	bool may_retry;
};

static const struct reason_row rows[LLM_REFUSE_REASONS] = {
	[LLM_REFUSE_BUDGET] = { "budget", 429, 402, 429, "insufficient_quota",
				"insufficient_quota", "billing_error",
				"RESOURCE_EXHAUSTED", false },
	[LLM_REFUSE_RATE] = { "rate", 429, 429, 429, "requests", "rate_limit_exceeded",
			      "rate_limit_error", "RESOURCE_EXHAUSTED", true },
	[LLM_REFUSE_MODEL] = { "model", 404, 404, 403, "invalid_request_error",
			       "model_not_found", "not_found_error", "PERMISSION_DENIED",
			       false },
	[LLM_REFUSE_PROVIDER] = { "provider", 403, 403, 403, "invalid_request_error",
				  "provider_not_allowed", "permission_error",
				  "PERMISSION_DENIED", false },
	[LLM_REFUSE_ROUTE] = { "route", 404, 404, 404, "invalid_request_error",
			       "unknown_url", "not_found_error", "NOT_FOUND", false },
	[LLM_REFUSE_UPGRADE] = { "upgrade", 426, 426, 426, "invalid_request_error",
				 "upgrade_refused", "invalid_request_error",
				 "INVALID_ARGUMENT", false },
	[LLM_REFUSE_KEY] = { "key", 401, 401, 401, "invalid_request_error", "invalid_api_key",
			     "authentication_error", "UNAUTHENTICATED", false },
	[LLM_REFUSE_REQUEST] = { "request", 400, 400, 400, "invalid_request_error",
				 "invalid_request", "invalid_request_error",
				 "INVALID_ARGUMENT", false },
	[LLM_REFUSE_CONTENT] = { "content", 400, 400, 400, "invalid_request_error",
				 "content_refused", "invalid_request_error",
				 "INVALID_ARGUMENT", false },
	[LLM_REFUSE_TOO_LARGE] = { "size", 413, 413, 413, "invalid_request_error",
				   "request_too_large", "request_too_large",
				   "INVALID_ARGUMENT", false },
	[LLM_REFUSE_ENCODING] = { "encoding", 415, 415, 415, "invalid_request_error",
				  "unsupported_encoding", "invalid_request_error",
				  "INVALID_ARGUMENT", false },
	[LLM_REFUSE_UPSTREAM] = { "upstream", 502, 502, 502, "server_error",
				  "upstream_failed", "api_error", "UNAVAILABLE", true },
	[LLM_REFUSE_TIMEOUT] = { "timeout", 504, 504, 504, "server_error", "upstream_timeout",
				 "api_error", "DEADLINE_EXCEEDED", true },
	[LLM_REFUSE_UNAVAILABLE] = { "unavailable", 503, 503, 503, "server_error",
				     "ledger_unavailable", "api_error", "UNAVAILABLE",
				     true },
};

const char *llm_refusal_word(enum llm_refusal_reason reason)
{
	return rows[reason].word;
}

const char *llm_refusal_code(enum llm_refusal_reason reason)
{
	return rows[reason].code;
}

static unsigned int status_of(enum llm_family family, const struct llm_format *format,
			      enum llm_refusal_reason reason)
{
	if (family == LLM_ANTHROPIC)
		return rows[reason].anthropic;
	if (family == LLM_GEMINI)
		return rows[reason].gemini;
	/* As OpenAI itself does in this API. */
	if (reason == LLM_REFUSE_MODEL && format && format->id == LLM_RESPONSES)
		return 400;
	return rows[reason].openai;
}

static void gemini_details(enum llm_refusal_reason reason, unsigned int retry_after,
			   struct buf *out)
{
	if (reason == LLM_REFUSE_BUDGET)
		buf_adds(out, ",\"details\":[{\"@type\":\"type.googleapis.com/"
			      "google.rpc.QuotaFailure\",\"violations\":[{\"quotaMetric\":"
			      "\"purple/budget\",\"quotaId\":\"PurpleBudgetPerDay\"}]}]");
	if (reason == LLM_REFUSE_RATE)
		buf_addf(out,
			 ",\"details\":[{\"@type\":\"type.googleapis.com/"
			 "google.rpc.RetryInfo\",\"retryDelay\":\"%us\"}]",
			 retry_after);
}

static unsigned int clamp_retry(unsigned int seconds)
{
	return seconds < 1 ? 1 : seconds > LLM_RETRY_MAX ? LLM_RETRY_MAX : seconds;
}

void llm_refusal_body(enum llm_family family, const struct llm_format *format,
		      enum llm_refusal_reason reason, const char *message,
		      unsigned int retry_after, struct buf *out)
{
	const struct reason_row *row = &rows[reason];

	switch (family) {
	case LLM_OPENAI:
		buf_adds(out, "{\"error\":{\"message\":");
		json_quote(out, message);
		buf_addf(out, ",\"type\":\"%s\",\"param\":%s,\"code\":\"%s\"}}", row->type,
			 reason == LLM_REFUSE_MODEL ? "\"model\"" : "null", row->code);
		return;
	case LLM_ANTHROPIC:
		buf_addf(out, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":",
			 row->anthropic_type);
		json_quote(out, message);
		buf_adds(out, "}}");
		return;
	case LLM_GEMINI:
		buf_addf(out, "{\"error\":{\"code\":%u,\"message\":",
			 status_of(family, format, reason));
		json_quote(out, message);
		buf_addf(out, ",\"status\":\"%s\"", row->gemini_status);
		gemini_details(reason, clamp_retry(retry_after), out);
		buf_adds(out, "}}");
		return;
	}
}

static void header(struct llm_refusal *r, const char *name, const char *value)
{
	struct llm_header *h = &r->headers[r->headers_n++];

	h->name = name;
	snprintf(h->value, sizeof(h->value), "%s", value);
}

int llm_refusal_make(enum llm_family family, const struct llm_format *format,
		     enum llm_refusal_reason reason, const char *message,
		     unsigned int retry_after, struct llm_refusal *ret, struct err *e)
{
	struct llm_refusal r = { .status = status_of(family, format, reason) };
	char seconds[16];

	llm_refusal_body(family, format, reason, message, retry_after, &r.body);
	if (r.body.failed) {
		buf_free(&r.body);
		return err_oom(e);
	}
	header(&r, "Content-Type", "application/json");
	header(&r, "x-purple-reason", rows[reason].word);
	header(&r, "x-should-retry", rows[reason].may_retry ? "true" : "false");
	if (reason == LLM_REFUSE_RATE) {
		snprintf(seconds, sizeof(seconds), "%u", clamp_retry(retry_after));
		header(&r, "Retry-After", seconds);
	}
	*ret = r;
	return 0;
}

void llm_refusal_free(struct llm_refusal *r)
{
	buf_free(&r->body);
}
