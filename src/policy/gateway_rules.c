// SPDX-License-Identifier: Apache-2.0
/* From a policy's ai_policy section to the model that src/gateway works with. Pure. */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "budget/money.h"
#include "gateway/endpoint.h"
#include "policy/gateway.h"
#include "policy/merge_parts.h"

void policy_llm_keys_clear(policy_llm_keys *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		free(l->v[i].provider);
		free(l->v[i].env);
		free(l->v[i].file);
		free(l->v[i].place);
	}
	free(l->v);
	*l = (policy_llm_keys){ 0 };
}

/* NULL stays NULL. */
static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

/* --- providers --- */

static int find_family(const struct policy *p, const struct policy_provider *from,
		       enum llm_family *ret, struct err *e)
{
	const struct gateway_known *known = gateway_known_find(from->name);

	if (from->format) {
		if (!gateway_family_find(from->format, ret))
			return err_set(e, ERR_INTERNAL, EINVAL, "format '%s' is unknown",
				       from->format);
		return 0;
	}
	if (!known)
		return err_set(e, ERR_POLICY, EINVAL,
			       POLICY_AT
			       "ai_policy.llm_apis.providers: '%s' is no provider that Purple "
			       "knows: say what its API looks like with 'format'",
			       policy_at(p, from->pos), from->name);
	*ret = known->family;
	return 0;
}

static int add_endpoint(const struct policy *p, const struct policy_provider *from,
			const char *text, struct gateway_provider *to, struct err *e)
{
	_free_ char *url = NULL;
	int r = gateway_endpoint_make(text, &url);

	if (r == -ENOMEM)
		return err_oom(e);
	if (r < 0)
		return err_set(e, ERR_POLICY, EINVAL,
			       POLICY_AT
			       "ai_policy.llm_apis.providers.endpoints: '%s' has to name one "
			       "server: a host, HOST:PORT, or a URL without user and query",
			       policy_at(p, from->pos), text);
	if (!strv_contains(&to->endpoints, url) && strv_add(&to->endpoints, url) < 0)
		return err_oom(e);
	return 0;
}

static int add_endpoints(const struct policy *p, const struct policy_provider *from,
			 struct gateway_provider *to, struct err *e)
{
	const struct gateway_known *known = gateway_known_find(from->name);
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < from->endpoints.n; i++)
		r = add_endpoint(p, from, from->endpoints.v[i], to, e);
	if (r < 0 || from->endpoints.n)
		return r;
	if (!known)
		return err_set(e, ERR_POLICY, EINVAL,
			       POLICY_AT
			       "ai_policy.llm_apis.providers: '%s' is no provider that Purple "
			       "knows: say where it is with 'endpoints'",
			       policy_at(p, from->pos), from->name);
	return strv_add(&to->endpoints, known->endpoint) < 0 ? err_oom(e) : 0;
}

static int add_key(const struct policy *p, const struct policy_provider *from,
		   policy_llm_keys *keys, struct strv *hidden)
{
	struct policy_llm_key *slot;

	if (!from->api_key_env && !from->api_key_file)
		return 0;
	slot = list_add(keys);
	if (!slot || copy_text(from->name, &slot->provider) < 0 ||
	    copy_text(from->api_key_env, &slot->env) < 0 ||
	    copy_text(from->api_key_file, &slot->file) < 0)
		return -ENOMEM;
	slot->place = str_printf("%s:%d:%d", p->file, from->pos.line, from->pos.column);
	if (!slot->place)
		return -ENOMEM;
	if (!from->api_key_env || strv_contains(hidden, from->api_key_env))
		return 0;
	return strv_add(hidden, from->api_key_env);
}

static int add_provider(const struct policy *p, const struct policy_provider *from,
			struct gateway_provider *to, struct err *e)
{
	int r = find_family(p, from, &to->family, e);

	if (r == 0)
		r = add_endpoints(p, from, to, e);
	if (r < 0)
		return r;
	to->has_key = from->api_key_env || from->api_key_file;
	to->line = (uint32_t)from->pos.line;
	if (copy_text(from->name, &to->name) < 0 ||
	    copy_text(from->prices, &to->prices) < 0 ||
	    strv_copy(&from->models, &to->models) < 0)
		return err_oom(e);
	return 0;
}

/* --- limits --- */

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int add_alerts(const struct policy *p, struct gateway_policy *to)
{
	const uint32_t *v = p->ai_policy.budget.alert_at.v;
	size_t n = p->ai_policy.budget.alert_at.n, i, kept = 0;

	for (i = 0; i < n; i++) {
		uint32_t *slot = list_add(&to->alert_at);

		if (!slot)
			return -ENOMEM;
		*slot = v[i];
	}
	if (n)
		qsort(to->alert_at.v, n, sizeof(*to->alert_at.v), by_number);
	for (i = 0; i < n; i++)
		if (kept == 0 || to->alert_at.v[i] != to->alert_at.v[kept - 1])
			to->alert_at.v[kept++] = to->alert_at.v[i];
	to->alert_at.n = kept;
	return 0;
}

static int set_scope(const struct policy *p, struct gateway_policy *to)
{
	const char *scope = p->ai_policy.budget.scope, *period = p->ai_policy.budget.period;

	if (period)
		to->period = streq(period, "day") ? LEDGER_DAY : LEDGER_MONTH;
	if (!scope || streq(scope, "session"))
		return 0;
	if (streq(scope, "policy")) {
		to->scope = LEDGER_POLICY;
		return 0;
	}
	to->scope = LEDGER_TEAM;
	return copy_text(scope + strlen("team:"), &to->team);
}

static int add_limits(const struct policy *p, struct gateway_policy *to)
{
	static const enum gateway_exceeded exceeded[] = {
		[POLICY_EXCEEDED_STOP] = GATEWAY_STOP,
		[POLICY_EXCEEDED_DENY] = GATEWAY_DENY,
		[POLICY_EXCEEDED_FREEZE] = GATEWAY_FREEZE,
	};
	const __typeof__(p->ai_policy) *ai = &p->ai_policy;

	if (ai->budget.has_max_tokens)
		to->max_tokens = (struct opt_i64){ true, (int64_t)ai->budget.max_tokens };
	if (ai->budget.has_max_cost)
		to->max_cost = (struct opt_i64){ true, ai->budget.max_cost_picodollars };
	to->on_exceeded = exceeded[ai->budget.on_exceeded];
	to->requests_per_minute = ai->rate_limits.requests_per_minute;
	to->tokens_per_minute = ai->rate_limits.tokens_per_minute;
	to->log_prompts = ai->monitoring.log_prompts;
	to->log_responses = ai->monitoring.log_responses;
	to->log_tokens = ai->monitoring.log_tokens;
	to->log_costs = ai->monitoring.log_costs;
	to->scan = ai->security.sensitive_data_scanning;
	to->detect_injection = ai->security.prompt_injection_detection;
	to->is_audit = p->enforcement == POLICY_AUDIT;
	to->budget_line = (uint32_t)ai->budget.pos.line;
	to->rates_line = (uint32_t)ai->rate_limits.pos.line;
	to->apis_line = (uint32_t)ai->llm_apis.pos.line;
	if (copy_text(p->name, &to->name) < 0 || copy_text(p->file, &to->file) < 0 ||
	    set_scope(p, to) < 0)
		return -ENOMEM;
	return add_alerts(p, to);
}

int policy_gateway_add(const struct policy *p, struct gateway_config *ret,
		       policy_llm_keys *keys, struct err *e)
{
	const __typeof__(p->ai_policy.llm_apis) *apis = &p->ai_policy.llm_apis;
	struct gateway_policy *to = list_add(&ret->policies);
	size_t i;
	int r = 0;

	if (!to || add_limits(p, to) < 0)
		return err_oom(e);
	to->any_provider = !apis->pos.line;
	to->block_unknown = to->any_provider || apis->block_unknown;
	for (i = 0; r == 0 && i < apis->providers.n; i++) {
		struct gateway_provider *slot = list_add(&to->providers);

		r = slot ? add_provider(p, &apis->providers.v[i], slot, e) : err_oom(e);
		if (r == 0 && add_key(p, &apis->providers.v[i], keys, &ret->hidden_env) < 0)
			r = err_oom(e);
	}
	return r;
}

/* --- for people --- */

static int explain_providers(const struct gateway_config *c, struct strv *to)
{
	size_t i;

	for (i = 0; i < c->providers.n; i++) {
		const struct gateway_provider *v = &c->providers.v[i];

		if (strv_addf(to, "llm: calls to %s (%s) go through the gateway%s",
			      v->name, v->endpoints.v[0],
			      v->has_key ? ", which alone has the API key" :
					   ", without an API key") < 0)
			return -ENOMEM;
	}
	if (!c->block_unknown)
		return strv_add(to, "llm: other providers that are known may be called, with "
				    "the agent's own key");
	return 0;
}

static int explain_budget(const struct gateway_policy *p, struct strv *to)
{
	static const char *const ends[] = {
		[GATEWAY_STOP] = "the container is stopped",
		[GATEWAY_DENY] = "calls are refused",
		[GATEWAY_FREEZE] = "the container is frozen",
	};
	static const char *const scopes[] = {
		[LEDGER_SESSION] = "container",
		[LEDGER_POLICY] = "policy",
		[LEDGER_TEAM] = "team",
	};
	static const char *const periods[] = {
		[LEDGER_ALWAYS] = "",
		[LEDGER_DAY] = " a day",
		[LEDGER_MONTH] = " a month",
	};
	_buf_free_ struct buf text = { 0 };

	if (p->max_tokens.set)
		buf_addf(&text, "%lld tokens", (long long)p->max_tokens.value);
	if (p->max_cost.set)
		buf_addf(&text, "%s%s", text.len ? " and " : "",
			 money_text(p->max_cost.value).s);
	if (text.failed)
		return -ENOMEM;
	if (!text.len)
		return 0;
	return strv_addf(to, "llm: %s lets the %s%s%s use %s%s; then %s", p->name,
			 scopes[p->scope], p->team ? " " : "", p->team ? p->team : "",
			 text.s, periods[p->period], ends[p->on_exceeded]);
}

static int explain_policy(const struct gateway_policy *p, struct strv *to)
{
	int r = explain_budget(p, to);

	if (r == 0 && p->requests_per_minute)
		r = strv_addf(to, "llm: %s allows %llu calls a minute", p->name,
			      (unsigned long long)p->requests_per_minute);
	if (r == 0 && p->tokens_per_minute)
		r = strv_addf(to, "llm: %s allows %llu tokens a minute", p->name,
			      (unsigned long long)p->tokens_per_minute);
	if (r == 0 && p->scan)
		r = strv_addf(to,
			      "llm: %s looks for keys, card numbers and the like in prompts",
			      p->name);
	if (r == 0 && p->detect_injection)
		r = strv_addf(to, "llm: %s looks for prompt injection", p->name);
	if (r == 0 && (p->log_prompts || p->log_responses))
		r = strv_addf(to, "llm: %s has %s stored", p->name,
			      p->log_prompts && p->log_responses ? "prompts and answers" :
			      p->log_prompts			 ? "prompts" :
								   "answers");
	return r;
}

int policy_gateway_explain(const struct gateway_config *c, struct strv *explanations,
			   struct err *e)
{
	size_t i;
	int r = explain_providers(c, explanations);

	for (i = 0; r == 0 && i < c->policies.n; i++)
		r = explain_policy(&c->policies.v[i], explanations);
	return r < 0 ? err_oom(e) : 0;
}
