/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused by its head alone: see check.h. Reads what the agent sent; pure. */
#include "gateway/check.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "base/list.h"
#include "base/str.h"

/* RFC 9110, 5.6.2. */
static bool is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isascii(s[i]) || (!isalnum((unsigned char)s[i]) &&
				       (!s[i] || !strchr("!#$%&'*+-.^_`|~", s[i]))))
			return false;
	return len > 0;
}

static bool has_control(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)s[i] < ' ' && s[i] != '\t') || s[i] == 0x7f)
			return true;
	return false;
}

static bool target_is_plain(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] <= ' ' || (unsigned char)s[n] >= 0x7f || s[n] == '\\')
			return false;
	return s[0] == '/' && n <= CHECK_TARGET_MAX;
}

static bool read_length(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*ret = v;
	return true;
}

struct reading {
	struct check_head *head;
	unsigned int hosts, lengths, codings;
	enum llm_refusal_reason reason;
	const char *message;
	enum check_answer answer;
};

static void refuse(struct reading *r, enum check_answer answer,
		   enum llm_refusal_reason reason, const char *message)
{
	if (r->answer >= answer)
		return;
	r->answer = answer;
	r->reason = reason;
	r->message = message;
}

static void bad(struct reading *r, const char *message)
{
	refuse(r, CHECK_CLOSE, LLM_REFUSE_REQUEST, message);
}

static void see_host(struct reading *r, const char *value)
{
	r->hosts++;
	r->head->host = value;
}

static void see_length(struct reading *r, const char *value)
{
	r->lengths++;
	r->head->has_length = true;
	if (!read_length(value, &r->head->length))
		bad(r, "the Content-Length is no number");
}

static void see_coding(struct reading *r, const char *value)
{
	r->codings++;
	r->head->is_chunked = true;
	if (strcasecmp(value, "chunked") != 0)
		bad(r, "only 'chunked' can be read as a Transfer-Encoding");
}

static void see_encoding(struct reading *r, const char *value)
{
	if (*value && strcasecmp(value, "identity") != 0)
		refuse(r, CHECK_REFUSE, LLM_REFUSE_ENCODING,
		       "the request's body is compressed: send it as it is, without a "
		       "Content-Encoding");
}

static void see_upgrade(struct reading *r, const char *value)
{
	r->head->is_upgrade = true;
}

static void see_expect(struct reading *r, const char *value)
{
	if (strcasecmp(value, "100-continue") == 0)
		r->head->expects_continue = true;
	else
		bad(r, "only '100-continue' can be expected");
}

static void see_authorization(struct reading *r, const char *value)
{
	if (strncasecmp(value, "Bearer ", 7) == 0)
		r->head->bearer = value + 7 + strspn(value + 7, " ");
}

static void see_x_api_key(struct reading *r, const char *value)
{
	r->head->x_api_key = value;
}

static void see_api_key(struct reading *r, const char *value)
{
	r->head->api_key = value;
}

static void see_x_goog_api_key(struct reading *r, const char *value)
{
	r->head->x_goog_api_key = value;
}

static const struct {
	const char *name;
	void (*see)(struct reading *r, const char *value);
} seen[] = {
	{ "host", see_host },
	{ "content-length", see_length },
	{ "transfer-encoding", see_coding },
	{ "content-encoding", see_encoding },
	{ "upgrade", see_upgrade },
	{ "expect", see_expect },
	{ "authorization", see_authorization },
	{ "x-api-key", see_x_api_key },
	{ "api-key", see_api_key },
	{ "x-goog-api-key", see_x_goog_api_key },
};

static void read_field(struct reading *r, const struct check_field *f)
{
	if (!is_token(f->name, f->name_len)) {
		bad(r, "the name of a header holds characters that no name may have");
		return;
	}
	if (has_control(f->value, f->value_len)) {
		bad(r, "a header holds control characters");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		if (strcasecmp(seen[i].name, f->name) == 0)
			seen[i].see(r, f->value);
}

enum check_answer check_request(const char *version, const char *target,
				const struct check_field *fields, size_t n,
				struct check_head *ret, enum llm_refusal_reason *ret_reason,
				const char **ret_message)
{
	struct reading r = { .head = ret };

	*ret = (struct check_head){};
	if (!streq(version, "HTTP/1.1") && !streq(version, "HTTP/1.0"))
		bad(&r, "only HTTP/1.1 is spoken here");
	if (!target_is_plain(target))
		bad(&r, "the request's target is not a plain path");
	if (n > CHECK_HEADERS_MAX)
		bad(&r, "there are too many headers");
	for (size_t i = 0; i < n && i < CHECK_HEADERS_MAX; i++)
		read_field(&r, &fields[i]);
	if (r.hosts != 1)
		bad(&r, "there must be one Host header");
	if (r.lengths > 1)
		bad(&r, "there is more than one Content-Length");
	if (r.codings > 1)
		bad(&r, "there is more than one Transfer-Encoding");
	if (r.lengths && r.codings)
		bad(&r, "there is a Content-Length beside a Transfer-Encoding");
	if (r.codings && streq(version, "HTTP/1.0"))
		bad(&r, "HTTP/1.0 has no Transfer-Encoding");
	if (r.answer != CHECK_OK) {
		*ret_reason = r.reason;
		*ret_message = r.message;
	}
	return r.answer;
}

/*
 * Lists of what passes. Not among them: credentials, the organisation and project that a key is
 * used for (those are the key's owner's to choose), X-HTTP-Method-Override and its like, what
 * belongs to one connection (RFC 9110, 7.6.1), cookies, addresses.
 */
static bool is_listed(const char *name, const char *const *exact, size_t n,
		      const char *const *prefixes, size_t n_prefixes)
{
	for (size_t i = 0; i < n; i++)
		if (strcasecmp(name, exact[i]) == 0)
			return true;
	for (size_t i = 0; i < n_prefixes; i++)
		if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

bool check_passes_on(const char *name)
{
	static const char *const exact[] = {
		"accept",
		"accept-language",
		"anthropic-beta",
		"anthropic-dangerous-direct-browser-access",
		"anthropic-version",
		"content-type",
		"http-referer",
		"idempotency-key",
		"openai-beta",
		"user-agent",
		"x-app",
		"x-client-request-id",
		"x-goog-api-client",
		"x-request-id",
		"x-title",
	};
	static const char *const prefixes[] = { "x-stainless-" };

	return is_listed(name, exact, ARRAY_SIZE(exact), prefixes, ARRAY_SIZE(prefixes));
}

bool check_passes_back(const char *name)
{
	static const char *const exact[] = {
		"cache-control", "content-disposition",	 "content-type",
		"openai-model",	 "openai-processing-ms", "openai-version",
		"request-id",	 "retry-after",		 "retry-after-ms",
		"x-request-id",	 "x-should-retry",
	};
	static const char *const prefixes[] = { "anthropic-ratelimit-", "x-ratelimit-" };

	return is_listed(name, exact, ARRAY_SIZE(exact), prefixes, ARRAY_SIZE(prefixes));
}

bool check_is_value(const char *text)
{
	return *text && !has_control(text, strlen(text));
}

bool check_secret_equal(const char *given, const char *secret)
{
	size_t n = strlen(secret), len = strlen(given);
	unsigned char diff = len != n;

	for (size_t i = 0; i < n; i++)
		diff |= (unsigned char)(secret[i] ^ (i < len ? given[i] : 0));
	return diff == 0;
}

bool check_query_key(const char *target, char *ret, size_t size)
{
	const char *s = strchr(target, '?');
	size_t n = 0;

	while (s && strncmp(s + 1, "key=", 4) != 0)
		s = strchr(s + 1, '&');
	if (!s)
		return false;
	for (s += 5; *s && *s != '&'; s++) {
		char c = *s;

		if (n + 1 >= size)
			return false;
		if (c == '%' && isxdigit((unsigned char)s[1]) &&
		    isxdigit((unsigned char)s[2])) {
			char hex[3] = { s[1], s[2], '\0' };

			c = (char)strtoul(hex, NULL, 16);
			s += 2;
		}
		ret[n++] = c;
	}
	ret[n] = '\0';
	return true;
}
