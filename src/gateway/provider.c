/* SPDX-License-Identifier: Apache-2.0 */
/* See provider.h. */
#include "gateway/provider.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"
#include "gateway/authority.h"
#include "gateway/call_parts.h"
#include "gateway/endpoint.h"

/* The first segment of a target, without its slashes. */
static size_t first_segment(const char *target)
{
	return *target == '/' ? strcspn(target + 1, "/?") : 0;
}

static const struct gateway_provider *find_in(const gateway_providers *l,
					      const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (strlen(l->v[i].name) == len && memcmp(l->v[i].name, name, len) == 0)
			return &l->v[i];
	return NULL;
}

static const struct gateway_provider *find(const struct gateway *g, const char *name,
					   size_t len)
{
	const struct gateway_provider *p = find_in(&g->config->providers, name, len);

	return p ? p : find_in(&g->known, name, len);
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

/* By the first segment of the path. */
static bool find_by_path(struct call *c, struct err *e)
{
	size_t len = first_segment(c->target);

	c->provider = find(c->g, c->target + 1, len);
	if (!c->provider) {
		err_set(e, ERR_POLICY, EPERM,
			"there is no provider '%.*s' that may be called: a base URL is that of "
			"this gateway with the name of one of the policy's, see OPENAI_BASE_URL "
			"and its like in the environment",
			(int)(len > 64 ? 64 : len), c->target + 1);
		return false;
	}
	c->endpoint = c->provider->endpoints.v[0];
	c->path = c->target + 1 + len;
	return true;
}

/* By the host: what the agent believes to talk to. */
static bool find_by_host(struct call *c, const char *host, struct err *e)
{
	const struct gateway_name *name;
	char sni[AUTHORITY_NAME_MAX + 1];
	const union MHD_ConnectionInfo *info;
	bool is_tls = connection_kind(c->connection) == SERVER_TLS;

	if (is_tls) {
		info = MHD_get_connection_info(c->http, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		if (!info || authority_session_name(info->tls_session, sni) < 0)
			sni[0] = '\0';
	}
	name = gateway_names_find(&c->g->names, host, is_tls ? sni : NULL);
	if (!name) {
		err_set(e, ERR_POLICY, EPERM, "'%.64s' is no provider that may be called",
			host);
		return false;
	}
	c->provider = name->provider;
	c->endpoint = name->endpoint;
	c->path = c->target;
	return true;
}

bool provider_of_call(struct call *c, const char *host, struct err *e)
{
	bool ok = connection_kind(c->connection) == SERVER_BASE_URL ?
			  find_by_path(c, e) :
			  find_by_host(c, host, e);

	if (!ok)
		return false;
	c->has_own_key = find_in(&c->g->known, c->provider->name, strlen(c->provider->name));
	c->key = c->provider->has_key ? strmap_get(&c->g->keys, c->provider->name) : NULL;
	if (c->provider->has_key && !c->key) {
		err_set(e, ERR_CONFIG, ENOKEY, "there is no API key for provider '%s'",
			c->provider->name);
		return false;
	}
	return true;
}

int provider_make_known(struct gateway *g, struct err *e)
{
	const struct gateway_known *k;

	if (g->config->block_unknown)
		return 0;
	for (size_t i = 0; (k = gateway_known_at(i)); i++) {
		struct gateway_provider *p;

		if (gateway_provider_find(&g->config->providers, k->name))
			continue;
		p = list_add(&g->known);
		if (!p)
			return err_oom(e);
		p->name = strdup(k->name);
		p->family = k->family;
		if (!p->name || strv_add(&p->endpoints, k->endpoint) < 0)
			return err_oom(e);
	}
	return 0;
}

void provider_free_known(struct gateway *g)
{
	for (size_t i = 0; i < g->known.n; i++) {
		free(g->known.v[i].name);
		strv_free(&g->known.v[i].endpoints);
	}
	free(g->known.v);
}

int provider_address(const struct call *c, struct buf *ret_url, struct err *e)
{
	gateway_endpoint_join(c->endpoint, c->provider->family, &c->route, ret_url);
	return ret_url->failed ? err_oom(e) : 0;
}

static bool is_azure(const struct gateway_provider *p, const char *endpoint)
{
	struct gateway_endpoint at;

	return streq(p->name, "azure") || (gateway_endpoint_split(endpoint, &at) == 0 &&
					   str_has_suffix(at.host, ".azure.com"));
}

/* The model is in the path there, and elsewhere in the body: what is metered must be what is used. */
bool provider_has_route(const struct call *c)
{
	return c->route.has_prefix || c->route.family != LLM_OPENAI ||
	       is_azure(c->provider, c->endpoint);
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
	else if (is_azure(c->provider, c->endpoint))
		prefix = "api-key: ";
	return strv_addf(&c->headers, "%s%s", prefix, c->key) < 0 ? err_oom(e) : 0;
}
