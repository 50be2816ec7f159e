// SPDX-License-Identifier: Apache-2.0
/* Which names interception catches, and whom a Host means: gateway/names.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/names.h"

static void add_provider(struct gateway_config *c, const char *name,
			 const char *const *endpoints)
{
	struct gateway_provider *p = list_add(&c->providers);

	assert_non_null(p);
	p->name = strdup(name);
	for (; *endpoints; endpoints++)
		assert_int_equal(strv_add(&p->endpoints, *endpoints), 0);
}

#define URLS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static char *hosts_of(const struct gateway_config *c, bool tls_only)
{
	_gateway_names_clear_ struct gateway_names n = {};
	_strv_free_ struct strv l = {};
	_buf_free_ struct buf b = {};

	assert_int_equal(gateway_names_make(c, &n), 0);
	assert_int_equal(gateway_names_hosts(&n, tls_only, &l), 0);
	buf_adds(&b, "");
	for (size_t i = 0; i < l.n; i++)
		buf_addf(&b, "%s%s", i ? " " : "", l.v[i]);
	return strdup(b.s);
}

static void expect_hosts(const struct gateway_config *c, bool tls_only, const char *want)
{
	char *got = hosts_of(c, tls_only);

	assert_string_equal(got, want);
	free(got);
}

static void hosts_of_endpoints_and_of_known_names(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};

	add_provider(&c, "openai", URLS("https://llm.corp.example/openai/v1"));
	add_provider(&c, "anthropic", URLS("https://api.anthropic.com/v1"));
	add_provider(&c, "own", URLS("http://vllm.corp.example/v1", "https://b.example"));
	expect_hosts(&c, false,
		     "llm.corp.example api.openai.com api.anthropic.com vllm.corp.example "
		     "b.example");
	expect_hosts(&c, true,
		     "llm.corp.example api.openai.com api.anthropic.com b.example");
}

static void addresses_other_ports_and_localhost_are_left_alone(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};

	add_provider(&c, "a", URLS("https://192.0.2.1/v1", "https://[2001:db8::1]/v1"));
	add_provider(&c, "b", URLS("https://localhost/v1", "http://x.localhost/v1"));
	add_provider(&c, "c", URLS("https://c.example:8443/v1", "http://c.example:443/v1"));
	add_provider(&c, "d", URLS("https://2130706433/v1", "https://0x7f.1/v1"));
	add_provider(&c, "ollama", URLS("http://127.0.0.1:11434/v1"));
	expect_hosts(&c, false, "");
	/* The name that programs have built in is caught although the endpoint is elsewhere. */
	add_provider(&c, "openai", URLS("https://127.0.0.1:8443/v1"));
	expect_hosts(&c, false, "api.openai.com");
}

static void each_name_is_there_once(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};
	_gateway_names_clear_ struct gateway_names n = {};
	const struct gateway_name *x;

	add_provider(&c, "openai", URLS("https://api.openai.com/v1"));
	add_provider(&c, "other", URLS("https://api.openai.com/v1"));
	add_provider(&c, "openai", URLS("https://api.openai.com/v1", "https://eu.example"));
	expect_hosts(&c, false, "api.openai.com eu.example");
	assert_int_equal(gateway_names_make(&c, &n), 0);
	x = gateway_names_find(&n, "api.openai.com", "api.openai.com");
	assert_ptr_equal(x->provider, &c.providers.v[0]);
}

static void a_host_means_one_provider(void **state)
{
	_gateway_config_clear_ struct gateway_config c = {};
	_gateway_names_clear_ struct gateway_names n = {};
	const struct gateway_name *x;

	add_provider(&c, "openai",
		     URLS("https://a.example/v1", "https://b.example/v1",
			  "http://b.example/v1"));
	assert_int_equal(gateway_names_make(&c, &n), 0);

	x = gateway_names_find(&n, "B.Example:443", "b.example");
	assert_non_null(x);
	assert_string_equal(x->endpoint, "https://b.example/v1");
	assert_string_equal(x->provider->name, "openai");
	x = gateway_names_find(&n, "b.example", NULL);
	assert_string_equal(x->endpoint, "http://b.example/v1");
	assert_non_null(gateway_names_find(&n, "b.example:80", NULL));
	/* The name that is known without the policy goes to the policy's first endpoint. */
	x = gateway_names_find(&n, "api.openai.com", "api.openai.com");
	assert_string_equal(x->endpoint, "https://a.example/v1");

	assert_null(gateway_names_find(&n, "a.example", "b.example"));
	assert_null(gateway_names_find(&n, "a.example", NULL));
	assert_null(gateway_names_find(&n, "b.example:80", "b.example"));
	assert_null(gateway_names_find(&n, "b.example:443", NULL));
	assert_null(gateway_names_find(&n, "b.example:", "b.example"));
	assert_null(gateway_names_find(&n, "b.example.", "b.example"));
	assert_null(gateway_names_find(&n, "x.b.example", "x.b.example"));
	assert_null(gateway_names_find(&n, "", "b.example"));
	assert_null(gateway_names_find(&n, "evil.example", "evil.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_of_endpoints_and_of_known_names),
		cmocka_unit_test(addresses_other_ports_and_localhost_are_left_alone),
		cmocka_unit_test(each_name_is_there_once),
		cmocka_unit_test(a_host_means_one_provider),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
