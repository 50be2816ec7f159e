/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.json: what is written is read again, what is not understood is refused; endpoints. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/client.h"
#include "gateway/config.h"
#include "gateway/endpoint.h"

#define PLACEHOLDER "purple-0123456789abcdef0123456789abcdef"

static void fill(struct gateway_config *c)
{
	struct gateway_provider *v;
	struct gateway_policy *p;

	*c = (struct gateway_config){};
	c->container = strdup("c1");
	c->session = strdup("c1@2026-11-22T10:00:00Z");
	c->ledger = strdup("/var/lib/purple/ledger.db");
	c->placeholder = strdup(PLACEHOLDER);
	c->port = 4141;
	c->intercept = true;
	strv_add(&c->alert_command, "/bin/alert");
	strv_add(&c->alert_command, "a b");
	c->alert_webhook = strdup("https://alerts.example/x");
	p = list_add(&c->policies);
	p->name = strdup("agents");
	p->file = strdup("/etc/purple/policies/agents.yaml");
	p->block_unknown = true;
	p->max_tokens = (struct opt_i64){ true, 100000 };
	p->max_cost = (struct opt_i64){ true, INT64_C(5000000000000) };
	p->on_exceeded = GATEWAY_FREEZE;
	p->scope = LEDGER_TEAM;
	p->period = LEDGER_MONTH;
	p->team = strdup("research");
	*list_add(&p->alert_at) = 50;
	*list_add(&p->alert_at) = 95;
	p->requests_per_minute = 60;
	p->tokens_per_minute = UINT64_C(1) << 52;
	p->log_tokens = p->log_costs = p->scan = true;
	p->budget_line = 3;
	p->rates_line = 9;
	p->apis_line = 12;
	v = list_add(&p->providers);
	v->name = strdup("openai");
	v->family = LLM_OPENAI;
	strv_add(&v->endpoints, "https://api.openai.com/v1");
	strv_add(&v->models, "gpt-*");
	v->prices = strdup("/etc/prices.json");
	v->has_key = true;
	v->line = 14;
	v = list_add(&p->providers);
	v->name = strdup("claude");
	v->family = LLM_ANTHROPIC;
	strv_add(&v->endpoints, "http://127.0.0.1:8080");
	/* A second one, of which all is as it comes. */
	p = list_add(&c->policies);
	p->name = strdup("admin");
	p->file = strdup("admin.yaml");
}

static void test_round_trip(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {}, back = {};
	_buf_free_ struct buf once = {}, twice = {};
	struct err e = {};

	(void)state;
	fill(&c);
	assert_int_equal(gateway_config_write(&c, false, &once, &e), 0);
	assert_int_equal(gateway_config_read(once.s, once.len, "gateway.json", &back, &e),
			 0);
	assert_int_equal(gateway_config_write(&back, false, &twice, &e), 0);
	assert_string_equal(once.s, twice.s);
	assert_true(gateway_config_is_set(&back));
	assert_int_equal(back.policies.n, 2);
	assert_int_equal(back.port, 4141);
	assert_true(back.intercept);
	assert_int_equal(back.providers.n, 0); /* the second policy names none */
	assert_true(back.block_unknown);
	assert_string_equal(back.alert_command.v[1], "a b");
	assert_true(back.policies.v[0].max_cost.set);
	assert_int_equal(back.policies.v[0].max_cost.value, INT64_C(5000000000000));
	assert_int_equal(back.policies.v[0].on_exceeded, GATEWAY_FREEZE);
	assert_int_equal(back.policies.v[0].scope, LEDGER_TEAM);
	assert_int_equal(back.policies.v[0].period, LEDGER_MONTH);
	assert_int_equal(back.policies.v[0].alert_at.v[1], 95);
	assert_int_equal(back.policies.v[0].providers.v[1].family, LLM_ANTHROPIC);
	assert_false(back.policies.v[0].providers.v[1].has_key);
	assert_false(back.policies.v[1].max_tokens.set);
	assert_false(back.policies.v[1].block_unknown);
	assert_int_equal(back.policies.v[1].scope, LEDGER_SESSION);
	assert_int_equal(back.policies.v[1].on_exceeded, GATEWAY_STOP);
	assert_int_equal(back.policies.v[1].period, LEDGER_ALWAYS);
}

static void add_provider(struct gateway_policy *p, const char *name, const char *first,
			 const char *second)
{
	struct gateway_provider *v = list_add(&p->providers);

	v->name = strdup(name);
	strv_add(&v->endpoints, first);
	if (second)
		strv_add(&v->endpoints, second);
}

/* What one policy does not name, or elsewhere, none has. */
static void test_merge(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};
	struct gateway_policy *p;

	(void)state;
	p = list_add(&c.policies);
	p->any_provider = p->block_unknown = true;
	assert_int_equal(gateway_config_merge(&c), 0);
	assert_int_equal(c.providers.n, 0);
	assert_true(c.block_unknown);
	p = list_add(&c.policies);
	add_provider(p, "openai", "https://a/v1", "https://b/v1");
	add_provider(p, "other", "https://o/v1", NULL);
	add_provider(p, "gone", "https://g/v1", NULL);
	p->providers.v[0].has_key = true;
	assert_int_equal(gateway_config_merge(&c), 0);
	assert_int_equal(c.providers.n, 3);
	p = list_add(&c.policies);
	add_provider(p, "other", "https://elsewhere/v1", NULL);
	add_provider(p, "more", "https://m/v1", NULL);
	add_provider(p, "openai", "https://c/v1", "https://b/v1");
	assert_int_equal(gateway_config_merge(&c), 0);
	assert_int_equal(c.providers.n, 1);
	assert_string_equal(c.providers.v[0].name, "openai");
	assert_int_equal(c.providers.v[0].endpoints.n, 1);
	assert_string_equal(c.providers.v[0].endpoints.v[0], "https://b/v1");
	assert_true(c.providers.v[0].has_key);
	assert_non_null(gateway_provider_find(&c.providers, "openai"));
	assert_null(gateway_provider_find(&c.providers, "other"));
}

static void test_file(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {}, back = {}, third = {};
	char dir[] = "/tmp/gateway-config-XXXXXX";
	struct err e = {};
	int dirfd, fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(gateway_config_load(dirfd, &back, &e), -ENOENT);
	fill(&c);
	assert_int_equal(gateway_config_save(dirfd, &c, &e), 0);
	assert_int_equal(gateway_config_load(dirfd, &back, &e), 0);
	assert_string_equal(back.placeholder, PLACEHOLDER);
	fd = openat(dirfd, GATEWAY_CONFIG_FILE, O_RDONLY | O_CLOEXEC);
	assert_int_equal(gateway_config_read_fd(fd, "fd 0", &third, &e), 0);
	assert_string_equal(third.session, back.session);
	close(fd);
	unlinkat(dirfd, GATEWAY_CONFIG_FILE, 0);
	close(dirfd);
	rmdir(dir);
}

/* A document of one policy and one provider, with more in each of them. */
static char *document(const char *top, const char *policy, const char *provider)
{
	return str_printf("{\"container\":\"c\",\"session\":\"c@1\"%s,\"policies\":[{\"name\":\"p\","
			  "\"file\":\"p.yaml\",\"blockUnknown\":true%s,\"providers\":[{\"name\":"
			  "\"openai\",\"format\":\"openai\",\"line\":1%s}]}]}",
			  top, policy, provider);
}

#define ENDPOINT ",\"endpoints\":[\"https://api.openai.com/v1\"]"

static void refused(const char *top, const char *policy, const char *provider,
		    const char *what)
{
	char *text = document(top, policy, provider);
	struct gateway_config c = {};
	struct err e = {};

	if (gateway_config_read(text, strlen(text), "gateway.json", &c, &e) == 0)
		fail_msg("%s is read", text);
	assert_int_equal(e.kind, ERR_CONFIG);
	if (!strstr(e.msg, what))
		fail_msg("'%s' does not say '%s'", e.msg, what);
	free(text);
}

static void test_refused(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};
	char *text = document("", "", ENDPOINT);
	struct err e = {};

	(void)state;
	assert_int_equal(gateway_config_read(text, strlen(text), "gateway.json", &c, &e), 0);
	free(text);
	refused(",\"bugdet\":1", "", ENDPOINT, "unknown key 'bugdet'");
	refused("", ",\"maxToken\":1", ENDPOINT, "unknown key 'maxToken'");
	refused("", "", ENDPOINT ",\"apiKey\":\"x\"", "unknown key 'apiKey'");
	refused("", "", "", "endpoints");
	refused("", "", ",\"endpoints\":[]", "no endpoint");
	refused("", "", ",\"endpoints\":[\"api.openai.com\"]", "not the URL");
	refused("", ",\"onExceeded\":\"warn\"", ENDPOINT, "onExceeded");
	refused("", ",\"scope\":\"Session\"", ENDPOINT, "scope");
	refused("", ",\"period\":\"week\"", ENDPOINT, "period");
	refused("", ",\"scope\":\"team\"", ENDPOINT, "team");
	refused("", ",\"team\":\"x\"", ENDPOINT, "team");
	refused("", ",\"maxTokens\":-1", ENDPOINT, "below zero");
	refused("", ",\"maxTokens\":1.5", ENDPOINT, "integer");
	refused("", ",\"alertAt\":[95,50]", ENDPOINT, "alertAt");
	refused("", ",\"alertAt\":[101]", ENDPOINT, "alertAt");
	refused(",\"placeholder\":\"\"", "", ENDPOINT, "placeholder");
	refused(",\"port\":65536", "", ENDPOINT, "port");
	refused("", "",
		ENDPOINT "},{\"name\":\"openai\",\"format\":\"gemini\",\"line\":2" ENDPOINT,
		"given twice");
	refused("", "", ENDPOINT "},{\"name\":\"x\",\"format\":\"gpt\",\"line\":2" ENDPOINT,
		"'gpt'");
	text = str_printf("{\"container\":\"c\",\"session\":\"c@1\",\"policies\":[]}");
	assert_true(gateway_config_read(text, strlen(text), "gateway.json", &c, &e) < 0);
	free(text);
}

static void makes(const char *text, const char *url, const char *host, uint16_t port,
		  const char *path)
{
	struct gateway_endpoint p;
	char *got = NULL;
	int r = gateway_endpoint_make(text, &got);

	if (!url) {
		if (r != -EINVAL)
			fail_msg("'%s' is an endpoint: %s", text, got);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(got, url);
	assert_int_equal(gateway_endpoint_split(got, &p), 0);
	assert_string_equal(p.host, host);
	assert_int_equal(p.port, port);
	assert_string_equal(p.path, path);
	assert_int_equal(p.is_tls, str_has_prefix(url, "https"));
	free(got);
}

static void test_endpoints(void **state)
{
	(void)state;
	makes("api.openai.com", "https://api.openai.com", "api.openai.com", 443, "");
	makes("API.OpenAI.com:8443", "https://api.openai.com:8443", "api.openai.com",
	      8443, "");
	makes("https://Host.example/V1/", "https://host.example/V1", "host.example", 443,
	      "/V1");
	makes("http://127.0.0.1:8080", "http://127.0.0.1:8080", "127.0.0.1", 8080, "");
	makes("http://127.0.0.1/", "http://127.0.0.1", "127.0.0.1", 80, "");
	makes("http://[::1]:11434/v1", "http://[::1]:11434/v1", "::1", 11434, "/v1");
	makes("*.openai.azure.com", NULL, NULL, 0, NULL);
	makes("host:8000-8010", NULL, NULL, 0, NULL);
	makes("https://user@host/v1", NULL, NULL, 0, NULL);
	makes("https://host/v1?key=1", NULL, NULL, 0, NULL);
	makes("https://host/a//b", NULL, NULL, 0, NULL);
	makes("https://host/../b", NULL, NULL, 0, NULL);
	makes("https://host:0", NULL, NULL, 0, NULL);
	makes("https://host:99999", NULL, NULL, 0, NULL);
	makes("ftp://host", NULL, NULL, 0, NULL);
	makes("", NULL, NULL, 0, NULL);
	makes("https://", NULL, NULL, 0, NULL);
	makes("https:///v1", NULL, NULL, 0, NULL);
	makes("https://[::1", NULL, NULL, 0, NULL);
}

static void test_known(void **state)
{
	const struct gateway_known *k;
	struct gateway_endpoint p;

	(void)state;
	for (size_t i = 0; (k = gateway_known_at(i)); i++) {
		assert_ptr_equal(gateway_known_find(k->name), k);
		assert_int_equal(gateway_endpoint_split(k->endpoint, &p), 0);
		/* Who names none gets none of the host's own. */
		assert_true(p.is_tls);
		assert_false(k->is_local);
	}
	k = gateway_known_find("ollama");
	assert_non_null(k);
	assert_true(k->is_local);
	assert_non_null(gateway_known_find("anthropic"));
	assert_null(gateway_known_find("nobody"));
	assert_null(gateway_known_find("OpenAI"));
}

static void joins(const char *endpoint, enum llm_family family, const char *target,
		  const char *url)
{
	_buf_free_ struct buf out = {};
	struct llm_route r;

	llm_route_find("POST", target, family, false, &r);
	assert_int_equal(r.kind, LLM_ROUTE_METERED);
	gateway_endpoint_join(endpoint, family, &r, &out);
	assert_string_equal(out.s, url);
}

static void test_joining(void **state)
{
	static const char chat[] = "/v1/chat/completions";

	(void)state;
	joins("https://api.openai.com/v1", LLM_OPENAI, chat,
	      "https://api.openai.com/v1/chat/completions");
	joins("https://api.openai.com", LLM_OPENAI, "/v1/responses?limit=1&api_key=s",
	      "https://api.openai.com/v1/responses?limit=1");
	/* Whatever the agent took for the version: the endpoint knows. */
	joins("https://openrouter.ai/api/v1", LLM_OPENAI, chat,
	      "https://openrouter.ai/api/v1/chat/completions");
	joins("https://openrouter.ai/api/v1", LLM_OPENAI, "/api/v1/chat/completions",
	      "https://openrouter.ai/api/v1/chat/completions");
	joins("https://api.groq.com/openai/v1", LLM_OPENAI, chat,
	      "https://api.groq.com/openai/v1/chat/completions");
	joins("https://generativelanguage.googleapis.com/v1beta/openai", LLM_OPENAI, chat,
	      "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions");
	joins("https://x.openai.azure.com", LLM_OPENAI,
	      "/openai/deployments/d1/chat/completions?api-version=1",
	      "https://x.openai.azure.com/openai/deployments/d1/chat/completions?api-version=1");
	joins("https://x.openai.azure.com/openai/v1", LLM_OPENAI,
	      "/openai/deployments/d1/chat/completions",
	      "https://x.openai.azure.com/openai/deployments/d1/chat/completions");
	joins("https://api.anthropic.com/v1", LLM_ANTHROPIC, "/v1/messages?beta=true",
	      "https://api.anthropic.com/v1/messages?beta=true");
	joins("https://api.deepseek.com/anthropic", LLM_ANTHROPIC, "/v1/messages",
	      "https://api.deepseek.com/anthropic/v1/messages");
	joins("https://generativelanguage.googleapis.com", LLM_GEMINI,
	      "/v1beta/models/gemini-2.5-pro:generateContent?key=s&alt=sse",
	      "https://generativelanguage.googleapis.com/v1beta/models/"
	      "gemini-2.5-pro:generateContent?alt=sse");
	joins("http://127.0.0.1:9/v1beta", LLM_GEMINI, "/v1beta/models/m:generateContent",
	      "http://127.0.0.1:9/v1beta/models/m:generateContent");
	joins("http://127.0.0.1:9/proxy", LLM_GEMINI, "/v1beta/models/m:generateContent",
	      "http://127.0.0.1:9/proxy/v1beta/models/m:generateContent");
}

static void test_keys(void **state)
{
	_strmap_free_ struct strmap keys = {};
	struct err e = {};
	char text[256] = "", *large;
	int fd = -1;

	(void)state;
	strmap_set(&keys, "openai", "sk-\"1\"");
	strmap_set(&keys, "claude", "k2");
	assert_int_equal(gateway_keys_pipe(&keys, &fd, &e), 0);
	/* Whole, and then its end. */
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "{\"openai\":\"sk-\\\"1\\\"\",\"claude\":\"k2\"}");
	assert_int_equal(read(fd, text, sizeof(text)), 0);
	close(fd);
	large = malloc(70000);
	memset(large, 'x', 69999);
	large[69999] = '\0';
	strmap_set(&keys, "openai", large);
	assert_true(gateway_keys_pipe(&keys, &fd, &e) < 0);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_file),
		cmocka_unit_test(test_merge),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_endpoints),  cmocka_unit_test(test_known),
		cmocka_unit_test(test_joining),	   cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
