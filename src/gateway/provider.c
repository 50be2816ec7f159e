/* SPDX-License-Identifier: Apache-2.0 */
/* See provider.h. */
#include "gateway/provider.h"

#include <errno.h>
#include <strings.h>

#include "gateway/call_parts.h"
#include "gateway/endpoint.h"

/* The first segment of a target, without its slashes. */
static size_t first_segment(const char *target)
{
	return *target == '/' ? strcspn(target + 1, "/?") : 0;
}

static const struct gateway_provider *find_in(const struct gateway_policy *p,
					      const char *name, size_t len)
{
	for (size_t i = 0; i < p->providers.n; i++)
		if (strlen(p->providers.v[i].name) == len &&
		    memcmp(p->providers.v[i].name, name, len) == 0)
			return &p->providers.v[i];
	return NULL;
}

static const struct gateway_provider *find(const struct gateway *g, const char *name,
					   size_t len)
{
	const struct gateway_provider *p = NULL;

	for (size_t i = 0; !p && i < g->config->policies.n; i++)
		p = find_in(&g->config->policies.v[i], name, len);
	return p;
}

enum llm_family provider_guess_family(const struct gateway *g, const char *target)
{
	const struct gateway_provider *p = find(g, target + 1, first_segment(target));

	if (p)
		return p->family;
	if (strstr(target, "/messages"))
		return LLM_ANTHROPIC;
	return strstr(target, "enerateContent") ? LLM_GEMINI : LLM_OPENAI;
}

/* Every policy must know it. */
static bool all_allow(const struct gateway *g, const struct gateway_provider *p,
		      struct err *e)
{
	for (size_t i = 0; i < g->config->policies.n; i++) {
		const struct gateway_policy *policy = &g->config->policies.v[i];

		if (!find_in(policy, p->name, strlen(p->name)) &&
		    (policy->block_unknown || !gateway_known_find(p->name))) {
			err_set(e, ERR_POLICY, EPERM,
				"policy %s: provider '%s' is not one that may be called",
				policy->name, p->name);
			return false;
		}
	}
	return true;
}

bool provider_of_call(struct call *c, const char *host, struct err *e)
{
	const struct gateway *g = c->g;
	size_t len = first_segment(c->target);
	const struct gateway_provider *p = find(g, c->target + 1, len);

	if (!p) {
		err_set(e, ERR_POLICY, EPERM,
			"there is no provider at '/%.*s': the base URL is that of this gateway, "
			"with the name of a provider of the policy, as in OPENAI_BASE_URL",
			(int)(len > 64 ? 64 : len), c->target + 1);
		return false;
	}
	if (!all_allow(g, p, e))
		return false;
	c->provider = p;
	c->path = c->target + 1 + len;
	c->key = p->has_key ? strmap_get(&g->keys, p->name) : NULL;
	if (p->has_key && !c->key) {
		err_set(e, ERR_CONFIG, ENOKEY, "there is no API key for provider '%s'",
			p->name);
		return false;
	}
	return true;
}

int provider_address(const struct call *c, struct buf *ret_url, struct err *e)
{
	gateway_endpoint_join(c->provider->endpoints.v[0], c->provider->family, &c->route,
			      ret_url);
	return ret_url->failed ? err_oom(e) : 0;
}

static bool is_azure(const struct gateway_provider *p)
{
	struct gateway_endpoint at;

	return streq(p->name, "azure") ||
	       (gateway_endpoint_split(p->endpoints.v[0], &at) == 0 &&
		str_has_suffix(at.host, ".azure.com"));
}

int provider_credential(struct call *c, struct err *e)
{
	const char *prefix = "Authorization: Bearer ";

	if (!c->key)
		return 0;
	if (c->provider->family == LLM_ANTHROPIC)
		prefix = "x-api-key: ";
	else if (c->provider->family == LLM_GEMINI)
		prefix = "x-goog-api-key: ";
	else if (is_azure(c->provider))
		prefix = "api-key: ";
	return strv_addf(&c->headers, "%s%s", prefix, c->key) < 0 ? err_oom(e) : 0;
}
