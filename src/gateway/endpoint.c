// SPDX-License-Identifier: Apache-2.0
/* Where providers are: see endpoint.h. Pure; in the runtime and in purple-gateway. */
#include "gateway/endpoint.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/list.h"
#include "base/num.h"

/* Those that speak one of the three formats at an address that all customers share. */
static const struct gateway_known known[] = {
	{ "openai", LLM_OPENAI, "https://api.openai.com/v1" },
	{ "anthropic", LLM_ANTHROPIC, "https://api.anthropic.com/v1" },
	{ "gemini", LLM_GEMINI, "https://generativelanguage.googleapis.com" },
	{ "google", LLM_GEMINI, "https://generativelanguage.googleapis.com" },
	{ "mistral", LLM_OPENAI, "https://api.mistral.ai/v1" },
	{ "deepseek", LLM_OPENAI, "https://api.deepseek.com/v1" },
	{ "xai", LLM_OPENAI, "https://api.x.ai/v1" },
	{ "openrouter", LLM_OPENAI, "https://openrouter.ai/api/v1" },
	{ "groq", LLM_OPENAI, "https://api.groq.com/openai/v1" },
	{ "together", LLM_OPENAI, "https://api.together.xyz/v1" },
	{ "fireworks", LLM_OPENAI, "https://api.fireworks.ai/inference/v1" },
	{ "cerebras", LLM_OPENAI, "https://api.cerebras.ai/v1" },
	{ "perplexity", LLM_OPENAI, "https://api.perplexity.ai/v1" },
	{ "ollama", LLM_OPENAI, "http://127.0.0.1:11434/v1", true },
};

static const char *const families[] = {
	[LLM_OPENAI] = "openai",
	[LLM_ANTHROPIC] = "anthropic",
	[LLM_GEMINI] = "gemini",
};

const struct gateway_known *gateway_known_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (streq(known[i].name, name))
			return &known[i];
	return NULL;
}

const struct gateway_known *gateway_known_at(size_t i)
{
	/* What is on the host's loopback is the host's. */
	for (size_t k = 0; k < ARRAY_SIZE(known); k++)
		if (!known[k].is_local && i-- == 0)
			return &known[k];
	return NULL;
}

const char *gateway_family_name(enum llm_family f)
{
	return families[f];
}

bool gateway_family_find(const char *name, enum llm_family *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (streq(families[i], name)) {
			*ret = (enum llm_family)i;
			return true;
		}
	}
	return false;
}

/* --- taking apart --- */

static const char *after_scheme(const char *url, bool *ret_tls)
{
	if (str_has_prefix(url, "https://")) {
		*ret_tls = true;
		return url + strlen("https://");
	}
	if (str_has_prefix(url, "http://")) {
		*ret_tls = false;
		return url + strlen("http://");
	}
	return NULL;
}

static bool is_host(const char *s, size_t len, bool is_ipv6)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!isascii(c) || isupper(c))
			return false;
		if (is_ipv6 ? !isxdigit(c) && c != ':' && c != '.' :
			      !isalnum(c) && c != '.' && c != '-' && c != '_')
			return false;
	}
	return len > 0 && len < sizeof(((struct gateway_endpoint *)0)->host);
}

/* Visible ASCII that needs no quoting, no "//" and no "..". */
static bool is_path(const char *s)
{
	for (size_t i = 0; s[i]; i++)
		if (!isascii(s[i]) ||
		    (!isalnum((unsigned char)s[i]) && !strchr("/._-~@:+,=%", s[i])))
			return false;
	return !strstr(s, "//") && !strstr(s, "/.") && !str_has_suffix(s, "/");
}

static bool read_port(const char *s, size_t len, uint16_t *ret)
{
	char text[6];
	uint64_t n;

	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	if (num_u64(text, &n) < 0 || n == 0 || n > UINT16_MAX)
		return false;
	*ret = (uint16_t)n;
	return true;
}

int gateway_endpoint_split(const char *url, struct gateway_endpoint *ret)
{
	struct gateway_endpoint p = {};
	const char *host = after_scheme(url, &p.is_tls), *end, *port;
	bool is_ipv6;
	size_t len;

	if (!host)
		return -EINVAL;
	is_ipv6 = *host == '[';
	host += is_ipv6;
	len = strcspn(host, is_ipv6 ? "]" : ":/");
	if (!is_host(host, len, is_ipv6) || (is_ipv6 && host[len] != ']'))
		return -EINVAL;
	memcpy(p.host, host, len);
	port = host + len + is_ipv6;
	end = port + strcspn(port, "/");
	p.port = p.is_tls ? 443 : 80;
	if (port != end &&
	    (*port != ':' || !read_port(port + 1, (size_t)(end - port - 1), &p.port)))
		return -EINVAL;
	p.path = end;
	if (!is_path(p.path))
		return -EINVAL;
	*ret = p;
	return 0;
}

#define PLACE_MAX 512

int gateway_url_place(const char *url, struct gateway_endpoint *ret)
{
	char place[PLACE_MAX];
	bool is_tls;
	const char *authority = after_scheme(url, &is_tls);
	size_t len;
	int r;

	if (!authority)
		return -EINVAL;
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return -EINVAL;
	len = strcspn(authority, "/?#") + (size_t)(authority - url);
	if (len >= sizeof(place))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		place[i] = (char)tolower((unsigned char)url[i]);
	place[len] = '\0';
	r = gateway_endpoint_split(place, ret);
	if (r == 0)
		ret->path = "";
	return r;
}

int gateway_endpoint_make(const char *text, char **ret)
{
	struct gateway_endpoint parts;
	_free_ char *url = NULL;
	bool tls;
	size_t len;
	char *p;

	url = after_scheme(text, &tls) ? strdup(text) : str_printf("https://%s", text);
	if (!url)
		return -ENOMEM;
	for (len = strlen(url); len > 0 && url[len - 1] == '/'; len--)
		url[len - 1] = '\0';
	p = (char *)after_scheme(url, &tls);
	if (!p)
		return -EINVAL;
	for (; *p && *p != '/'; p++)
		*p = (char)tolower((unsigned char)*p);
	if (gateway_endpoint_split(url, &parts) < 0)
		return -EINVAL;
	*ret = take_ptr(&url);
	return 0;
}

/* --- joining --- */

static size_t without(const char *url, size_t len, const char *suffix)
{
	size_t n = strlen(suffix);

	return len > n && memcmp(url + len - n, suffix, n) == 0 ? len - n : len;
}

/* What stands before a path that brings its own version. */
static size_t root_len(const char *url, enum llm_family family)
{
	size_t len = strlen(url), v1 = without(url, len, "/v1");

	if (family == LLM_GEMINI)
		return v1 != len ? v1 : without(url, len, "/v1beta");
	/* Azure's deployments: both "/openai/v1" and "/openai" are in their paths again. */
	return without(url, v1, "/openai");
}

void gateway_endpoint_join(const char *url, enum llm_family family,
			   const struct llm_route *r, struct buf *out)
{
	struct gateway_endpoint p;

	if (!r->has_prefix) {
		buf_add(out, url, root_len(url, family));
	} else {
		buf_adds(out, url);
		/* Anthropic's way is a base URL without the version, OpenAI's is one with it. */
		if (gateway_endpoint_split(url, &p) == 0 &&
		    (!*p.path ||
		     (family == LLM_ANTHROPIC && !str_has_suffix(p.path, "/v1"))))
			buf_adds(out, "/v1");
	}
	llm_target_clean(r->rest, out);
}
