// SPDX-License-Identifier: Apache-2.0
/* gateway.json, read and written: see config.h. In the runtime and in purple-gateway. */
#include "gateway/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "gateway/endpoint.h"

static const struct json_field provider_fields[] = {
	JSON_FR(gateway_provider, name, "name", JSON_STR),
	JSON_FR(gateway_provider, family_word, "format", JSON_STR),
	JSON_FR(gateway_provider, endpoints, "endpoints", JSON_STRV),
	JSON_F(gateway_provider, models, "models", JSON_STRV),
	JSON_F(gateway_provider, prices, "prices", JSON_STR),
	JSON_F(gateway_provider, has_key, "hasKey", JSON_BOOL),
	JSON_F(gateway_provider, line, "line", JSON_U32),
	{},
};
static const struct json_type provider_type = { sizeof(struct gateway_provider),
						provider_fields };

static const struct json_field policy_fields[] = {
	JSON_FR(gateway_policy, name, "name", JSON_STR),
	JSON_FR(gateway_policy, file, "file", JSON_STR),
	JSON_FT(gateway_policy, providers, "providers", JSON_STRUCTS, &provider_type),
	JSON_FR(gateway_policy, block_unknown, "blockUnknown", JSON_BOOL),
	JSON_F(gateway_policy, any_provider, "anyProvider", JSON_BOOL),
	JSON_F(gateway_policy, max_tokens, "maxTokens", JSON_OPT_I64),
	JSON_F(gateway_policy, max_cost, "maxCost", JSON_OPT_I64),
	JSON_F(gateway_policy, exceeded_word, "onExceeded", JSON_STR),
	JSON_F(gateway_policy, scope_word, "scope", JSON_STR),
	JSON_F(gateway_policy, team, "team", JSON_STR),
	JSON_F(gateway_policy, period_word, "period", JSON_STR),
	JSON_F(gateway_policy, alert_at, "alertAt", JSON_U32V),
	JSON_F(gateway_policy, requests_per_minute, "requestsPerMinute", JSON_U64),
	JSON_F(gateway_policy, tokens_per_minute, "tokensPerMinute", JSON_U64),
	JSON_F(gateway_policy, log_prompts, "logPrompts", JSON_BOOL),
	JSON_F(gateway_policy, log_responses, "logResponses", JSON_BOOL),
	JSON_F(gateway_policy, log_tokens, "logTokens", JSON_BOOL),
	JSON_F(gateway_policy, log_costs, "logCosts", JSON_BOOL),
	JSON_F(gateway_policy, scan, "scan", JSON_BOOL),
	JSON_F(gateway_policy, detect_injection, "detectInjection", JSON_BOOL),
	JSON_F(gateway_policy, is_audit, "audit", JSON_BOOL),
	JSON_F(gateway_policy, budget_line, "budgetLine", JSON_U32),
	JSON_F(gateway_policy, rates_line, "ratesLine", JSON_U32),
	JSON_F(gateway_policy, apis_line, "apisLine", JSON_U32),
	{},
};
static const struct json_type policy_type = { sizeof(struct gateway_policy), policy_fields };

static const struct json_field config_fields[] = {
	JSON_FR(gateway_config, container, "container", JSON_STR),
	JSON_FR(gateway_config, session, "session", JSON_STR),
	JSON_FTR(gateway_config, policies, "policies", JSON_STRUCTS, &policy_type),
	JSON_F(gateway_config, ledger, "ledger", JSON_STR),
	JSON_F(gateway_config, patterns, "patterns", JSON_STR),
	JSON_F(gateway_config, placeholder, "placeholder", JSON_STR),
	JSON_F(gateway_config, port, "port", JSON_U32),
	JSON_F(gateway_config, intercept, "intercept", JSON_BOOL),
	JSON_F(gateway_config, intercept_address, "interceptAddress", JSON_STR),
	JSON_F(gateway_config, hidden_env, "hiddenEnv", JSON_STRV),
	JSON_F(gateway_config, dropped_env, "droppedEnv", JSON_STRV),
	JSON_F(gateway_config, alert_command, "alertCommand", JSON_STRV),
	JSON_F(gateway_config, alert_webhook, "alertWebhook", JSON_STR),
	{},
};
static const struct json_type config_type = { sizeof(struct gateway_config), config_fields };

static const char *const exceeded_words[] = {
	[GATEWAY_STOP] = "stop",
	[GATEWAY_DENY] = "deny",
	[GATEWAY_FREEZE] = "freeze",
};
static const char *const scope_words[] = {
	[LEDGER_SESSION] = "session",
	[LEDGER_POLICY] = "policy",
	[LEDGER_TEAM] = "team",
};
static const char *const period_words[] = {
	[LEDGER_ALWAYS] = "always",
	[LEDGER_DAY] = "day",
	[LEDGER_MONTH] = "month",
};

const char *gateway_exceeded_name(enum gateway_exceeded x)
{
	return exceeded_words[x];
}

static void providers_clear(gateway_providers *l)
{
	for (size_t i = 0; i < l->n; i++)
		json_clear(&provider_type, &l->v[i]);
	free(l->v);
	*l = (gateway_providers){};
}

void gateway_config_clear(struct gateway_config *c)
{
	providers_clear(&c->providers);
	json_clear(&config_type, c);
}

/* --- several policies --- */

const struct gateway_provider *gateway_provider_find(const gateway_providers *l,
						     const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

/* Takes from `to` what another policy does not have; false: it does not have the provider. */
static bool narrow(struct gateway_provider *to, const struct gateway_policy *p)
{
	const struct gateway_provider *v = gateway_provider_find(&p->providers, to->name);

	if (p->any_provider)
		return true;
	if (!v || v->family != to->family)
		return false;
	to->has_key |= v->has_key;
	for (size_t i = to->endpoints.n; i > 0; i--)
		if (!strv_contains(&v->endpoints, to->endpoints.v[i - 1]))
			strv_remove(&to->endpoints, i - 1);
	return to->endpoints.n > 0;
}

int gateway_config_merge(struct gateway_config *c)
{
	const struct gateway_policy *first = NULL;
	struct err e = {};

	providers_clear(&c->providers);
	c->block_unknown = false;
	for (size_t i = 0; i < c->policies.n; i++) {
		c->block_unknown |= c->policies.v[i].block_unknown;
		if (!first && !c->policies.v[i].any_provider)
			first = &c->policies.v[i];
	}
	for (size_t i = 0; first && i < first->providers.n; i++) {
		struct gateway_provider *to = list_add(&c->providers);
		bool is_allowed = true;

		if (!to || json_copy(&provider_type, &first->providers.v[i], to, &e) < 0)
			return -ENOMEM;
		to->family = first->providers.v[i].family;
		for (size_t k = 0; is_allowed && k < c->policies.n; k++)
			is_allowed = narrow(to, &c->policies.v[k]);
		if (!is_allowed) {
			json_clear(&provider_type, to);
			c->providers.n--;
		}
	}
	return 0;
}

/* --- writing --- */

static int set_word(char **word, const char *to)
{
	free(*word);
	*word = strdup(to);
	return *word ? 0 : -ENOMEM;
}

static int policy_set_words(struct gateway_policy *p)
{
	for (size_t i = 0; i < p->providers.n; i++) {
		struct gateway_provider *v = &p->providers.v[i];

		if (set_word(&v->family_word, gateway_family_name(v->family)) < 0)
			return -ENOMEM;
	}
	if (set_word(&p->exceeded_word, exceeded_words[p->on_exceeded]) < 0 ||
	    set_word(&p->scope_word, scope_words[p->scope]) < 0 ||
	    set_word(&p->period_word, period_words[p->period]) < 0)
		return -ENOMEM;
	return 0;
}

int gateway_config_write(struct gateway_config *c, bool pretty, struct buf *out,
			 struct err *e)
{
	for (size_t i = 0; i < c->policies.n; i++)
		if (policy_set_words(&c->policies.v[i]) < 0)
			return err_oom(e);
	return json_write(&config_type, c, pretty, out, e);
}

/* --- reading --- */

/* Whoever mistypes a limit is not to find out by the bill. */
static int refuse_unknown(const struct json *j, const struct json_type *t,
			  const char *name, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->n; i++) {
		const struct json_field *f = t->fields;

		while (f->name && !streq(f->name, j->keys[i]))
			f++;
		if (!f->name)
			return err_set(e, ERR_CONFIG, EINVAL, "%s: unknown key '%.64s'",
				       name, j->keys[i]);
		if (f->kind != JSON_STRUCTS || j->items[i]->type != JSON_LIST)
			continue;
		for (size_t k = 0; r == 0 && k < j->items[i]->n; k++)
			if (j->items[i]->items[k]->type == JSON_MAP)
				r = refuse_unknown(j->items[i]->items[k], f->type, name, e);
	}
	return r;
}

/* NULL is the first of the words. */
static int find_word(const char *word, const char *const *words, size_t n,
		     const char *key, const char *name, int *ret, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (!word || streq(word, words[i])) {
			*ret = (int)i;
			return 0;
		}
	}
	return err_set(e, ERR_CONFIG, EINVAL, "%s: '%.64s' is no value of '%s'", name,
		       word, key);
}

static int check_provider(const struct gateway_policy *p, size_t at, const char *name,
			  struct err *e)
{
	struct gateway_provider *v = &p->providers.v[at];
	struct gateway_endpoint parts;

	if (!gateway_family_find(v->family_word, &v->family))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: '%.64s' is no value of 'format'", name, v->family_word);
	if (v->endpoints.n == 0)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: provider '%.64s' has no endpoint", name, v->name);
	for (size_t i = 0; i < v->endpoints.n; i++)
		if (gateway_endpoint_split(v->endpoints.v[i], &parts) < 0)
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: '%.200s' is not the URL of an endpoint", name,
				       v->endpoints.v[i]);
	for (size_t i = 0; i < at; i++)
		if (streq(p->providers.v[i].name, v->name))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: provider '%.64s' is given twice", name,
				       v->name);
	return 0;
}

static int check_alerts(const struct gateway_policy *p, const char *name, struct err *e)
{
	for (size_t i = 0; i < p->alert_at.n; i++)
		if (p->alert_at.v[i] < 1 || p->alert_at.v[i] > 100 ||
		    (i > 0 && p->alert_at.v[i] <= p->alert_at.v[i - 1]))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: alertAt is not an ascending list of 1 to 100",
				       name);
	return 0;
}

static int check_policy(struct gateway_policy *p, const char *name, struct err *e)
{
	int exceeded = 0, scope = 0, period = 0, r;

	r = find_word(p->exceeded_word, exceeded_words, ARRAY_SIZE(exceeded_words),
		      "onExceeded", name, &exceeded, e);
	if (r == 0)
		r = find_word(p->scope_word, scope_words, ARRAY_SIZE(scope_words),
			      "scope", name, &scope, e);
	if (r == 0)
		r = find_word(p->period_word, period_words, ARRAY_SIZE(period_words),
			      "period", name, &period, e);
	for (size_t i = 0; r == 0 && i < p->providers.n; i++)
		r = check_provider(p, i, name, e);
	if (r == 0)
		r = check_alerts(p, name, e);
	if (r < 0)
		return r;
	p->on_exceeded = (enum gateway_exceeded)exceeded;
	p->scope = (enum ledger_scope)scope;
	p->period = (enum ledger_period)period;
	if ((p->scope == LEDGER_TEAM) != (p->team != NULL))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: 'team' belongs to the scope team, and only there",
			       name);
	if (p->any_provider && p->providers.n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: 'anyProvider' and providers contradict each other",
			       name);
	if ((p->max_tokens.set && p->max_tokens.value < 0) ||
	    (p->max_cost.set && p->max_cost.value < 0))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: a limit is below zero", name);
	return 0;
}

static int check_config(struct gateway_config *c, const char *name, struct err *e)
{
	int r = 0;

	if (c->policies.n == 0)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: there is no policy", name);
	if (c->port > UINT16_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: port is not a port", name);
	/* An empty one would be a key that everybody has. */
	if (c->placeholder && strlen(c->placeholder) != GATEWAY_PLACEHOLDER_LEN)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "%s: the placeholder has not %d characters", name,
			       GATEWAY_PLACEHOLDER_LEN);
	for (size_t i = 0; r == 0 && i < c->policies.n; i++)
		r = check_policy(&c->policies.v[i], name, e);
	return r;
}

int gateway_config_read(const char *text, size_t len, const char *name,
			struct gateway_config *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	struct gateway_config c;
	int r = json_parse(text, len, name, &j, e);

	if (r == 0)
		r = json_read(j, &config_type, name, &c, e);
	if (r < 0)
		return r;
	r = refuse_unknown(j, &config_type, name, e);
	if (r == 0)
		r = check_config(&c, name, e);
	if (r == 0 && gateway_config_merge(&c) < 0)
		r = err_oom(e);
	if (r < 0)
		gateway_config_clear(&c);
	else
		*ret = c;
	return r;
}

/* --- files --- */

int gateway_config_read_fd(int fd, const char *name, struct gateway_config *ret,
			   struct err *e)
{
	_buf_free_ struct buf text = {};
	char piece[4096];
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "cannot read '%s'", name);
		buf_add(&text, piece, (size_t)n);
		if (text.failed)
			return err_oom(e);
		if (text.len > GATEWAY_CONFIG_MAX)
			return err_set(e, ERR_CONFIG, EFBIG, "%s is too large", name);
	}
	return gateway_config_read(text.s ? text.s : "", text.len, name, ret, e);
}

int gateway_config_save(int dirfd, struct gateway_config *c, struct err *e)
{
	_buf_free_ struct buf out = {};
	int r = gateway_config_write(c, false, &out, e);

	return r < 0 ? r :
		       fs_write_atomic(dirfd, GATEWAY_CONFIG_FILE, out.s, out.len, 0600, e);
}

int gateway_config_load(int dirfd, struct gateway_config *ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r;

	r = fs_read(dirfd, GATEWAY_CONFIG_FILE, GATEWAY_CONFIG_MAX, &text, &len, e);
	return r < 0 ? r : gateway_config_read(text, len, GATEWAY_CONFIG_FILE, ret, e);
}
