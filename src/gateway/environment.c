// SPDX-License-Identifier: Apache-2.0
/*
 * A container's environment for its gateway: see environment.h. Runs in the runtime, on text that
 * engines, images and policies gave.
 */
#include "gateway/environment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "base/fd.h"
#include "gateway/endpoint.h"

/* What clients of each API read. The URLs are the gateway's own, with the provider's name. */
static const struct family_variables {
	const char *keys[3];
	const char *urls[3];
	const char *version;	/* that the client's base URL has at its end */
	const char *removed[5]; /* other credentials, and other ways to a server */
} families[] = {
	[LLM_OPENAI] = { .keys = { "OPENAI_API_KEY" },
			 .urls = { "OPENAI_BASE_URL", "OPENAI_API_BASE" },
			 .version = "/v1",
			 .removed = { "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID",
				      "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS" } },
	[LLM_ANTHROPIC] = { .keys = { "ANTHROPIC_API_KEY" },
			    .urls = { "ANTHROPIC_BASE_URL" },
			    .version = "",
			    .removed = { "ANTHROPIC_AUTH_TOKEN",
					 "ANTHROPIC_CUSTOM_HEADERS" } },
	[LLM_GEMINI] = { .keys = { "GEMINI_API_KEY", "GOOGLE_API_KEY" },
			 .urls = { "GOOGLE_GEMINI_BASE_URL" },
			 .version = "",
			 .removed = { "GOOGLE_VERTEX_BASE_URL" } },
};

static bool is_named(const char *entry, const char *name)
{
	size_t len = strlen(name);

	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

static const char *find(const struct strv *env, const char *name)
{
	for (size_t i = env->n; i > 0; i--)
		if (is_named(env->v[i - 1], name))
			return env->v[i - 1] + strlen(name) + 1;
	return NULL;
}

static void take_out(struct strv *env, const char *name)
{
	for (size_t i = env->n; i > 0; i--)
		if (is_named(env->v[i - 1], name))
			strv_remove(env, i - 1);
}

static int set(struct strv *env, const char *name, const char *value)
{
	take_out(env, name);
	return strv_addf(env, "%s=%s", name, value);
}

/* "my-vllm" with "_API_KEY" is MY_VLLM_API_KEY. NULL: no memory. */
static char *own_variable(const char *provider, const char *end)
{
	char *name = str_printf("%s%s", provider, end);

	for (char *p = name; p && *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
	return name;
}

static int set_url(struct strv *env, const char *variable, const struct gateway_config *c,
		   const char *provider, const char *version)
{
	take_out(env, variable);
	return strv_addf(env, "%s=http://127.0.0.1:%u/%s%s", variable,
			 (unsigned int)c->port, provider, version);
}

static int set_family(struct strv *env, const struct gateway_config *c, const char *provider,
		      const struct family_variables *f, bool has_placeholder)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->urls) && f->urls[i]; i++)
		if (set_url(env, f->urls[i], c, provider, f->version) < 0)
			return -ENOMEM;
	for (size_t i = 0; has_placeholder && i < ARRAY_SIZE(f->keys) && f->keys[i]; i++)
		if (set(env, f->keys[i], c->placeholder) < 0)
			return -ENOMEM;
	return 0;
}

/* NAME_BASE_URL and NAME_API_KEY of the provider's own: what clients of the smaller ones read. */
static int set_own(struct strv *env, const struct gateway_config *c,
		   const struct gateway_provider *v)
{
	_free_ char *url = own_variable(v->name, "_BASE_URL");
	_free_ char *key = own_variable(v->name, "_API_KEY");

	if (!url || !key || set(env, key, c->placeholder) < 0)
		return -ENOMEM;
	return set_url(env, url, c, v->name, families[v->family].version);
}

const char *gateway_environment_provider(const struct gateway_config *c,
					 enum llm_family family)
{
	const char *name = gateway_family_name(family);
	const struct gateway_provider *v = gateway_provider_find(&c->providers, name);

	if (v && v->family == family)
		return v->name;
	for (size_t i = 0; i < c->providers.n; i++)
		if (c->providers.v[i].family == family)
			return c->providers.v[i].name;
	return NULL;
}

static void take_out_family(struct strv *env, const struct family_variables *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->keys) && f->keys[i]; i++)
		take_out(env, f->keys[i]);
	for (size_t i = 0; i < ARRAY_SIZE(f->urls) && f->urls[i]; i++)
		take_out(env, f->urls[i]);
	for (size_t i = 0; i < ARRAY_SIZE(f->removed) && f->removed[i]; i++)
		take_out(env, f->removed[i]);
}

/* A family of which no provider is listed: it may be called with the agent's own key, if at all. */
static int set_unlisted(struct strv *env, const struct gateway_config *c,
			enum llm_family family)
{
	if (c->block_unknown) {
		take_out_family(env, &families[family]);
		return 0;
	}
	return set_family(env, c, gateway_family_name(family), &families[family], false);
}

static int go_around_proxy(struct strv *env)
{
	static const char *const proxies[] = { "http_proxy", "HTTP_PROXY", "all_proxy",
					       "ALL_PROXY" };
	static const char *const around[] = { "no_proxy", "NO_PROXY" };
	static const char own[] = "127.0.0.1,localhost,::1";
	bool has_proxy = false;

	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		has_proxy |= find(env, proxies[i]) != NULL;
	for (size_t i = 0; has_proxy && i < ARRAY_SIZE(around); i++) {
		const char *old = find(env, around[i]);
		_free_ char *value = NULL;

		/* As it was set for the container's own program. */
		if (old && str_has_suffix(old, own))
			continue;
		value = old && *old ? str_printf("%s,%s", old, own) : strdup(own);

		if (!value || set(env, around[i], value) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int make(const struct gateway_config *c, struct strv *env)
{
	for (size_t i = 0; i < c->dropped_env.n; i++)
		take_out(env, c->dropped_env.v[i]);
	for (size_t i = 0; i < c->hidden_env.n; i++) {
		take_out(env, c->hidden_env.v[i]);
		/* Who reads the key from where the policy has it finds the placeholder there. */
		if (strv_addf(env, "%s=%s", c->hidden_env.v[i], c->placeholder) < 0)
			return -ENOMEM;
	}
	for (size_t i = 0; i < c->providers.n; i++)
		if (set_own(env, c, &c->providers.v[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		const char *provider = gateway_environment_provider(c, (enum llm_family)i);
		int r;

		if (provider) {
			take_out_family(env, &families[i]);
			r = set_family(env, c, provider, &families[i], true);
		} else {
			r = set_unlisted(env, c, (enum llm_family)i);
		}
		if (r < 0)
			return r;
	}
	take_out(env, "PURPLE_GATEWAY_URL");
	if (strv_addf(env, "PURPLE_GATEWAY_URL=http://127.0.0.1:%u",
		      (unsigned int)c->port) < 0)
		return -ENOMEM;
	return go_around_proxy(env);
}

int gateway_environment(const struct gateway_config *c, struct strv *env, struct err *e)
{
	if (!c->placeholder || !c->port)
		return err_set(e, ERR_INTERNAL, EINVAL, "the gateway has no place yet");
	return make(c, env) < 0 ? err_oom(e) : 0;
}
