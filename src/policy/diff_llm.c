// SPDX-License-Identifier: Apache-2.0
/* What one policy lets an agent do with LLMs, and the other does not. Pure. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>

#include "base/fd.h"
#include "budget/money.h"
#include "policy/diff_parts.h"

typedef __typeof__(((struct policy *)NULL)->ai_policy) ai_policy;

static void write_money(struct buf *out, uint64_t value)
{
	buf_adds(out, money_text((int64_t)value).s);
}

/* A maximum that may be absent, or 0. */
static int add_maximum(policy_differences *ret, const char *key, bool has_first,
		       uint64_t first, bool has_second, uint64_t second,
		       void (*write)(struct buf *out, uint64_t value))
{
	_buf_free_ struct buf x = {}, y = {};

	if (has_first == has_second && (!has_first || first == second))
		return 0;
	if (has_first)
		write(&x, first);
	if (has_second)
		write(&y, second);
	if (x.failed || y.failed)
		return -ENOMEM;
	return diff_add(ret,
			has_second && (!has_first || second < first) ? POLICY_STRICTER :
								       POLICY_LOOSER,
			key, x.s ? x.s : "none", y.s ? y.s : "none");
}

static int add_text(policy_differences *ret, const char *key, const char *first,
		    const char *second)
{
	return streq(first, second) ? 0 : diff_add(ret, POLICY_OTHER, key, first, second);
}

static const char *or_default(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static const char *exceeded_word(enum policy_exceeded x)
{
	static const char *const words[] = {
		[POLICY_EXCEEDED_STOP] = "stop", [POLICY_EXCEEDED_DENY] = "deny", [POLICY_EXCEEDED_FREEZE] = "freeze"
	};

	return words[x];
}

static int compare_alerts(const ai_policy *a, const ai_policy *b, policy_differences *ret)
{
	const ai_policy *const both[] = { a, b };
	struct buf texts[2] = {};
	int r = 0;

	for (size_t i = 0; i < 2; i++) {
		buf_adds(&texts[i], "");
		for (size_t k = 0; k < both[i]->budget.alert_at.n; k++)
			buf_addf(&texts[i], "%s%u", k ? ", " : "",
				 both[i]->budget.alert_at.v[k]);
	}
	r = texts[0].failed || texts[1].failed ?
		    -ENOMEM :
		    add_text(ret, "ai_policy.budget.alert_at", texts[0].s, texts[1].s);
	buf_free(&texts[0]);
	buf_free(&texts[1]);
	return r;
}

static int compare_budget(const ai_policy *a, const ai_policy *b, policy_differences *ret)
{
	const __typeof__(a->budget) *x = &a->budget, *y = &b->budget;
	int r = add_maximum(ret, "ai_policy.budget.max_tokens", x->has_max_tokens,
			    x->max_tokens, y->has_max_tokens, y->max_tokens,
			    diff_write_number);

	if (r == 0)
		r = add_maximum(ret, "ai_policy.budget.max_cost", x->has_max_cost,
				(uint64_t)x->max_cost_picodollars, y->has_max_cost,
				(uint64_t)y->max_cost_picodollars, write_money);
	if (r == 0)
		r = add_text(ret, "ai_policy.budget.on_exceeded",
			     exceeded_word(x->on_exceeded), exceeded_word(y->on_exceeded));
	if (r == 0)
		r = add_text(ret, "ai_policy.budget.scope", or_default(x->scope, "session"),
			     or_default(y->scope, "session"));
	if (r == 0)
		r = add_text(ret, "ai_policy.budget.period", or_default(x->period, ""),
			     or_default(y->period, ""));
	return r < 0 ? r : compare_alerts(a, b, ret);
}

static int compare_rates(const ai_policy *a, const ai_policy *b, policy_differences *ret)
{
	int r = diff_add_limit(ret, "ai_policy.rate_limits.requests_per_minute",
			       a->rate_limits.requests_per_minute,
			       b->rate_limits.requests_per_minute, diff_write_number);

	return r ? r :
		   diff_add_limit(ret, "ai_policy.rate_limits.tokens_per_minute",
				  a->rate_limits.tokens_per_minute,
				  b->rate_limits.tokens_per_minute, diff_write_number);
}

/* --- providers --- */

static const struct policy_provider *find_provider(const ai_policy *x, const char *name)
{
	for (size_t i = 0; i < x->llm_apis.providers.n; i++)
		if (streq(x->llm_apis.providers.v[i].name, name))
			return &x->llm_apis.providers.v[i];
	return NULL;
}

static int add_names(const ai_policy *x, struct strv *ret)
{
	for (size_t i = 0; i < x->llm_apis.providers.n; i++)
		if (strv_add(ret, x->llm_apis.providers.v[i].name) < 0)
			return -ENOMEM;
	return 0;
}

/* Whether a pattern of the list stands for all that the model, which may be one, stands for. */
static bool is_covered(const char *model, const struct strv *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->v[i], model) || fnmatch(l->v[i], model, FNM_NOESCAPE) == 0)
			return true;
	return false;
}

/* What of `l` the other list does not stand for. */
static int add_uncovered(const struct strv *l, const struct strv *other, struct strv *ret)
{
	for (size_t i = 0; i < l->n; i++)
		if (!is_covered(l->v[i], other) && strv_add(ret, l->v[i]) < 0)
			return -ENOMEM;
	return 0;
}

/* No list of models is all of them. */
static int compare_models(const char *key, const struct policy_provider *a,
			  const struct policy_provider *b, policy_differences *ret)
{
	_strv_free_ struct strv gone = {}, come = {};
	int r;

	if (a->models.n == 0 && b->models.n == 0)
		return 0;
	if (a->models.n == 0 || b->models.n == 0)
		return diff_add(ret, b->models.n ? POLICY_STRICTER : POLICY_LOOSER, key,
				a->models.n ? "some" : "all", b->models.n ? "some" : "all");
	r = add_uncovered(&a->models, &b->models, &gone);
	if (r == 0)
		r = add_uncovered(&b->models, &a->models, &come);
	return r < 0 ? r :
		       diff_add_sets(ret, key, &gone, &come, POLICY_STRICTER, POLICY_LOOSER);
}

static int compare_provider(const struct policy_provider *a,
			    const struct policy_provider *b, policy_differences *ret)
{
	const struct {
		const char *name, *first, *second;
	} texts[] = { { "format", a->format, b->format },
		      { "prices", a->prices, b->prices },
		      { "api_key_env", a->api_key_env, b->api_key_env },
		      { "api_key_file", a->api_key_file, b->api_key_file } };
	_free_ char *models = str_printf("ai_policy.llm_apis.providers: %s: models",
					 a->name),
		    *endpoints = str_printf("ai_policy.llm_apis.providers: %s: endpoints",
					    a->name);
	int r;

	if (!models || !endpoints)
		return -ENOMEM;
	r = compare_models(models, a, b, ret);
	if (r == 0)
		r = diff_add_sets(ret, endpoints, &a->endpoints, &b->endpoints,
				  POLICY_STRICTER, POLICY_LOOSER);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++) {
		_free_ char *key = str_printf("ai_policy.llm_apis.providers: %s: %s",
					      a->name, texts[i].name);

		r = key ? add_text(ret, key, or_default(texts[i].first, ""),
				   or_default(texts[i].second, "")) :
			  -ENOMEM;
	}
	return r;
}

static int compare_providers(const ai_policy *a, const ai_policy *b, policy_differences *ret)
{
	_strv_free_ struct strv x = {}, y = {};
	int r = add_names(a, &x);

	if (r == 0)
		r = add_names(b, &y);
	/* Where others may be called, too, one that is not listed may be, and without limits. */
	if (r == 0)
		r = diff_add_sets(ret, "ai_policy.llm_apis.providers", &x, &y,
				  b->llm_apis.block_unknown ? POLICY_STRICTER : POLICY_OTHER,
				  a->llm_apis.block_unknown ? POLICY_LOOSER : POLICY_OTHER);
	for (size_t i = 0; r == 0 && i < a->llm_apis.providers.n; i++) {
		const struct policy_provider *p = &a->llm_apis.providers.v[i],
					     *q = find_provider(b, p->name);

		if (q)
			r = compare_provider(p, q, ret);
	}
	if (r == 0)
		r = diff_add_bool(ret, "ai_policy.llm_apis.block_unknown",
				  a->llm_apis.block_unknown, b->llm_apis.block_unknown);
	return r;
}

static int compare_content(const ai_policy *a, const ai_policy *b, policy_differences *ret)
{
	const char *const words[] = { "false", "true" };
	const __typeof__(a->monitoring) *x = &a->monitoring, *y = &b->monitoring;
	const struct {
		const char *key;
		bool first, second;
	} kept[] = { { "ai_policy.monitoring.log_prompts", x->log_prompts, y->log_prompts },
		     { "ai_policy.monitoring.log_responses", x->log_responses,
		       y->log_responses },
		     { "ai_policy.monitoring.log_tokens", x->log_tokens, y->log_tokens },
		     { "ai_policy.monitoring.log_costs", x->log_costs, y->log_costs } };
	int r = diff_add_bool(ret, "ai_policy.security.sensitive_data_scanning",
			      a->security.sensitive_data_scanning,
			      b->security.sensitive_data_scanning);

	if (r == 0)
		r = diff_add_bool(ret, "ai_policy.security.prompt_injection_detection",
				  a->security.prompt_injection_detection,
				  b->security.prompt_injection_detection);
	/* Keeping what was said is neither stricter nor looser for the agent. */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(kept); i++)
		r = add_text(ret, kept[i].key, words[kept[i].first], words[kept[i].second]);
	return r;
}

/* Without providers an agent calls no LLM, whatever else the section says. */
int diff_llm(const struct policy *a, const struct policy *b, policy_differences *ret)
{
	const bool calls[] = { a->ai_policy.llm_apis.providers.n > 0,
			       b->ai_policy.llm_apis.providers.n > 0 };
	int r;

	if (!calls[0] && !calls[1])
		return 0;
	if (calls[0] != calls[1])
		return diff_add(ret, calls[1] ? POLICY_LOOSER : POLICY_STRICTER,
				"ai_policy", calls[0] ? "LLM calls" : "no LLM calls",
				calls[1] ? "LLM calls" : "no LLM calls");
	r = compare_budget(&a->ai_policy, &b->ai_policy, ret);
	if (r == 0)
		r = compare_rates(&a->ai_policy, &b->ai_policy, ret);
	if (r == 0)
		r = compare_providers(&a->ai_policy, &b->ai_policy, ret);
	return r ? r : compare_content(&a->ai_policy, &b->ai_policy, ret);
}
