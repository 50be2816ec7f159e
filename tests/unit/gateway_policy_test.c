/* SPDX-License-Identifier: Apache-2.0 */
/* From a policy's ai_policy to the gateway's configuration, and to a container's environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "gateway/environment.h"
#include "policy/gateway.h"

struct made {
	struct gateway_config c;
	policy_llm_keys keys;
};

static void made_clear(struct made *m)
{
	gateway_config_clear(&m->c);
	policy_llm_keys_clear(&m->keys);
}
#define _made_clear_ __attribute__((cleanup(made_clear)))

static int make(const char *ai_policy, struct made *m, struct err *e)
{
	_free_ char *text = str_printf("name: t\nai_policy: %s\n", ai_policy);
	_policy_free_ struct policy *p = NULL;

	if (policy_parse(text, strlen(text), "f.yaml", &p, e) < 0)
		fail_msg("%s", e->msg);
	return policy_gateway_add(p, &m->c, &m->keys, e);
}

static void test_providers(void **state)
{
	_made_clear_ struct made m = {};
	const struct gateway_policy *p;
	struct err e = {};

	(void)state;
	assert_int_equal(make("{ llm_apis: { block_unknown: false, providers: ["
			      "{ name: OpenAI, models: ['gpt-*'], api_key_env: K1 }, { name: gemini }, "
			      "{ name: claude, format: anthropic, endpoints: [Proxy.example, "
			      "'https://proxy.example/'], api_key_file: /k, prices: /p.json }] } }",
			      &m, &e),
			 0);
	p = &m.c.policies.v[0];
	assert_string_equal(p->file, "f.yaml");
	assert_false(p->block_unknown);
	assert_false(p->any_provider);
	assert_int_equal(p->apis_line, 2);
	assert_int_equal(p->providers.n, 3);
	assert_string_equal(p->providers.v[0].name, "openai");
	assert_string_equal(p->providers.v[0].endpoints.v[0], "https://api.openai.com/v1");
	assert_string_equal(p->providers.v[0].models.v[0], "gpt-*");
	assert_true(p->providers.v[0].has_key);
	assert_int_equal(p->providers.v[1].family, LLM_GEMINI);
	assert_false(p->providers.v[1].has_key);
	/* One place, written in two ways. */
	assert_int_equal(p->providers.v[2].family, LLM_ANTHROPIC);
	assert_int_equal(p->providers.v[2].endpoints.n, 1);
	assert_string_equal(p->providers.v[2].endpoints.v[0], "https://proxy.example");
	assert_string_equal(p->providers.v[2].prices, "/p.json");
	assert_int_equal(m.keys.n, 2);
	assert_string_equal(m.keys.v[0].env, "K1");
	assert_string_equal(m.keys.v[1].file, "/k");
	assert_string_equal(m.keys.v[1].provider, "claude");
	assert_non_null(strstr(m.keys.v[1].place, "f.yaml:2:"));
	assert_int_equal(m.c.hidden_env.n, 1);
}

static void test_limits(void **state)
{
	_made_clear_ struct made m = {};
	const struct gateway_policy *p;
	struct err e = {};

	(void)state;
	assert_int_equal(make("{ budget: { max_cost: '$0.000000000001', on_exceeded: freeze, "
			      "scope: 'team:research', period: month, "
			      "alert_at: [95, 50, 95, 80] }, "
			      "rate_limits: { requests_per_minute: 3 }, "
			      "monitoring: { log_costs: true }, "
			      "security: { sensitive_data_scanning: true } }",
			      &m, &e),
			 0);
	p = &m.c.policies.v[0];
	assert_true(p->any_provider);
	assert_true(p->block_unknown);
	assert_false(p->max_tokens.set);
	assert_true(p->max_cost.set);
	assert_int_equal(p->max_cost.value, 1);
	assert_int_equal(p->on_exceeded, GATEWAY_FREEZE);
	assert_int_equal(p->scope, LEDGER_TEAM);
	assert_string_equal(p->team, "research");
	assert_int_equal(p->period, LEDGER_MONTH);
	assert_int_equal(p->alert_at.n, 3);
	assert_int_equal(p->alert_at.v[0], 50);
	assert_int_equal(p->alert_at.v[2], 95);
	assert_int_equal(p->requests_per_minute, 3);
	assert_int_equal(p->tokens_per_minute, 0);
	assert_true(p->log_costs && p->scan);
	assert_false(p->log_tokens || p->detect_injection || p->is_audit);
}

static void refused(const char *provider, const char *what)
{
	_free_ char *text = str_printf("{ llm_apis: { providers: [%s] } }", provider);
	_made_clear_ struct made m = {};
	struct err e = {};

	assert_true(make(text, &m, &e) < 0);
	assert_int_equal(e.kind, ERR_POLICY);
	if (!strstr(e.msg, what) || !strstr(e.msg, "policy f.yaml:2:"))
		fail_msg("'%s' does not say '%s'", e.msg, what);
}

static void test_refused(void **state)
{
	(void)state;
	refused("{ name: mine }", "format");
	refused("{ name: mine, format: openai }", "endpoints");
	refused("{ name: openai, endpoints: ['*.openai.com'] }", "one server");
	refused("{ name: openai, endpoints: ['host:8000-8010'] }", "one server");
}

/* --- environment --- */

static const char *get(const struct strv *env, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < env->n; i++) {
		size_t len = strlen(name);

		if (strncmp(env->v[i], name, len) != 0 || env->v[i][len] != '=')
			continue;
		if (found)
			fail_msg("%s is there twice", name);
		found = env->v[i] + len + 1;
	}
	return found;
}

static void has(const struct strv *env, const char *name, const char *value)
{
	const char *found = get(env, name);

	if (!value && found)
		fail_msg("%s is '%s'", name, found);
	if (value && (!found || strcmp(found, value) != 0))
		fail_msg("%s is '%s', not '%s'", name, found ? found : "not there", value);
}

static void add_all(struct strv *env, const char *const *from)
{
	for (; *from; from++)
		strv_add(env, *from);
}

#define PLACEHOLDER "purple-0123456789abcdef0123456789abcdef"

static void test_environment(void **state)
{
	static const char *const before[] = { "PATH=/bin",
					      "OPENAI_API_KEY=sk-real",
					      "OPENAI_API_KEY=sk-again",
					      "OPENAI_BASE_URL=x",
					      "ANTHROPIC_API_KEY=real",
					      "ANTHROPIC_AUTH_TOKEN=real",
					      "GEMINI_API_KEY=real",
					      "OPENAI_ORG_ID=o",
					      "MY_KEY=sk-real",
					      "HELD=sk-real",
					      "OPENAI_API_KEYS=stays",
					      "http_proxy=http://p",
					      "NO_PROXY=corp",
					      NULL };
	_made_clear_ struct made m = {};
	_strv_free_ struct strv env = {}, once = {};
	struct err e = {};

	(void)state;
	assert_int_equal(make("{ llm_apis: { providers: [{ name: vllm, format: openai, "
			      "endpoints: [h], api_key_env: MY_KEY }, { name: mistral }, "
			      "{ name: claude-eu, format: anthropic, endpoints: [h] }] } }",
			      &m, &e),
			 0);
	assert_int_equal(gateway_config_merge(&m.c), 0);
	m.c.placeholder = strdup(PLACEHOLDER);
	m.c.port = 4141;
	strv_add(&m.c.dropped_env, "HELD");
	add_all(&env, before);
	assert_int_equal(gateway_environment(&m.c, &env, &e), 0);
	has(&env, "PATH", "/bin");
	has(&env, "PURPLE_GATEWAY_URL", "http://127.0.0.1:4141");
	/* The first of its family, where none has its name. */
	has(&env, "OPENAI_BASE_URL", "http://127.0.0.1:4141/vllm/v1");
	has(&env, "OPENAI_API_BASE", "http://127.0.0.1:4141/vllm/v1");
	has(&env, "OPENAI_API_KEY", PLACEHOLDER);
	has(&env, "OPENAI_ORG_ID", NULL);
	has(&env, "OPENAI_API_KEYS", "stays");
	has(&env, "MY_KEY", PLACEHOLDER);
	has(&env, "HELD", NULL);
	has(&env, "ANTHROPIC_BASE_URL", "http://127.0.0.1:4141/claude-eu");
	has(&env, "ANTHROPIC_API_KEY", PLACEHOLDER);
	has(&env, "ANTHROPIC_AUTH_TOKEN", NULL);
	/* A family that nobody listed: no key of it, whoever brought it. */
	has(&env, "GEMINI_API_KEY", NULL);
	has(&env, "GOOGLE_GEMINI_BASE_URL", NULL);
	has(&env, "MISTRAL_BASE_URL", "http://127.0.0.1:4141/mistral/v1");
	has(&env, "MISTRAL_API_KEY", PLACEHOLDER);
	has(&env, "CLAUDE_EU_API_KEY", PLACEHOLDER);
	has(&env, "NO_PROXY", "corp,127.0.0.1,localhost,::1");
	has(&env, "no_proxy", "127.0.0.1,localhost,::1");
	/* A second time, as exec does it, it is the same. */
	assert_int_equal(strv_copy(&env, &once), 0);
	assert_int_equal(gateway_environment(&m.c, &env, &e), 0);
	assert_int_equal(env.n, once.n);
	for (size_t i = 0; i < env.n; i++)
		assert_true(strv_contains(&once, env.v[i]));
}

static void test_unlisted(void **state)
{
	_made_clear_ struct made m = {};
	_strv_free_ struct strv env = {};
	struct err e = {};

	(void)state;
	assert_int_equal(make("{ llm_apis: { block_unknown: false, "
			      "providers: [{ name: openai }] } }",
			      &m, &e),
			 0);
	assert_int_equal(gateway_config_merge(&m.c), 0);
	m.c.placeholder = strdup(PLACEHOLDER);
	assert_true(gateway_environment(&m.c, &env, &e) < 0); /* it has no place yet */
	m.c.port = 4141;
	strv_add(&env, "ANTHROPIC_API_KEY=the agent's own");
	assert_int_equal(gateway_environment(&m.c, &env, &e), 0);
	has(&env, "ANTHROPIC_API_KEY", "the agent's own");
	has(&env, "ANTHROPIC_BASE_URL", "http://127.0.0.1:4141/anthropic");
	has(&env, "OPENAI_API_KEY", PLACEHOLDER);
	has(&env, "NO_PROXY", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_providers), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_environment),
		cmocka_unit_test(test_unlisted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
