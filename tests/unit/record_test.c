/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of events.jsonl and end.jsonl: lines as they are, odd ones, and too many of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fd.h"
#include "container/alerts.h"
#include "container/record.h"

/* A container with one policy. */
static struct container make_container(void)
{
	static struct container_policy policy = { .name = (char *)"p",
						  .path = (char *)"/etc/p.yaml" };
	struct container c = CONTAINER_EMPTY;

	c.st.id = (char *)"c";
	c.st.policies.v = &policy;
	c.st.policies.n = 1;
	return c;
}

static void take(struct run_record *x, const char *line)
{
	const struct container c = make_container();
	_json_free_ struct json *j = NULL;
	struct err e;

	if (json_parse(line, strlen(line), "line", &j, &e) < 0)
		fail_msg("%s", e.msg);
	run_record_take_event(x, &c, j);
}

#define NETWORK                                                                                \
	"{\"type\":\"network\",\"verdict\":\"deny\",\"event\":{\"action\":\"connect\"},"       \
	"\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"},"                               \
	"\"destination\":{\"ip\":\"192.0.2.1\",\"port\":443},"                                 \
	"\"rule\":{\"name\":\"blocked\",\"reference\":\"/etc/p.yaml:3:4\",\"ruleset\":\"p\"}," \
	"\"count\":"

static void denials_are_counted_by_rule(void **state)
{
	_run_record_clear_ struct run_record x = {};

	take(&x, NETWORK "1}");
	take(&x, NETWORK "4}");
	take(&x, "{\"type\":\"dns\",\"verdict\":\"deny\",\"dns\":{\"question\":{\"name\":\"a.test\"}},"
		 "\"rule\":{\"name\":\"no rule\",\"ruleset\":\"p\"}}");
	take(&x,
	     "{\"type\":\"network\",\"verdict\":\"audit\",\"rule\":{\"name\":\"blocked\"},\"count\":2}");
	assert_int_equal(x.denied, 6);
	assert_int_equal(x.audited, 2);
	assert_int_equal(x.denials.n, 3);
	assert_int_equal(x.denials.v[0].count, 5);
	assert_string_equal(x.denials.v[0].target, "192.0.2.1:443");
	assert_string_equal(x.denials.v[0].command,
			    "purple policy why /etc/p.yaml 192.0.2.1:443");
	assert_string_equal(x.denials.v[1].command,
			    "purple policy why /etc/p.yaml a.test:443");
	assert_null(x.denials.v[2].command);
	/* What was not told one by one. */
	take(&x, "{\"type\":\"denials\",\"denials\":[{\"count\":9,\"rule\":{\"name\":\"blocked\","
		 "\"reference\":\"/etc/p.yaml:3:4\",\"ruleset\":\"p\"}}]}");
	assert_int_equal(x.denials.v[0].count, 9);
	take(&x,
	     "{\"type\":\"end\",\"denied\":12,\"lost\":{\"full\":1,\"limited\":2,\"dns\":3,\"log\":4}}");
	assert_int_equal(x.denied, 12);
	assert_int_equal(x.lost, 10);
}

/* What an agent had a hand in does not become another command than it is. */
static void targets_are_no_part_of_a_command_when_they_are_odd(void **state)
{
	static const char *const odd[] = {
		"a.test; reboot", "$(reboot)", "-rf", "a b", "`x`", "a\\nb", "\\u001b[2J"
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		_run_record_clear_ struct run_record x = {};
		char line[512];

		snprintf(line, sizeof(line),
			 "{\"type\":\"dns\",\"verdict\":\"deny\",\"dns\":{\"question\":{\"name\":\"%s\"}},"
			 "\"rule\":{\"name\":\"no rule\"}}",
			 odd[i]);
		take(&x, line);
		assert_int_equal(x.denials.n, 1);
		assert_null(x.denials.v[0].command);
	}
}

static void odd_lines_are_passed_over(void **state)
{
	static const char *const odd[] = {
		"{}",
		"[]",
		"1",
		"null",
		"{\"type\":1}",
		"{\"type\":\"network\",\"verdict\":{}}",
		"{\"type\":\"denials\",\"denials\":{\"count\":1}}",
		"{\"type\":\"denials\",\"denials\":[1,null,{\"count\":-1}]}",
		"{\"type\":\"end\",\"lost\":7}",
		"{\"type\":\"end\",\"lost\":{\"full\":\"x\",\"dns\":-3}}",
		"{\"type\":\"lost\",\"lost\":{\"full\":7}}",
	};
	_run_record_clear_ struct run_record x = {};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		take(&x, odd[i]);
	assert_int_equal(x.denied, 0);
	assert_int_equal(x.denials.n, 0);
	assert_int_equal(x.lost, 0);
	assert_null(x.llm);
	/* Members of other types than they have. */
	take(&x,
	     "{\"type\":\"network\",\"verdict\":\"deny\",\"rule\":3,\"destination\":[],\"count\":\"9\"}");
	assert_int_equal(x.denied, 1);
	assert_string_equal(x.denials.v[0].rule, "");
	assert_null(x.denials.v[0].target);
}

static void many_rules_are_counted_and_not_kept(void **state)
{
	_run_record_clear_ struct run_record x = {};
	char line[512], name[400];

	for (int i = 0; i < 500; i++) {
		snprintf(line, sizeof(line),
			 "{\"type\":\"network\",\"verdict\":\"deny\",\"rule\":{\"name\":\"%d\"},\"count\":1}",
			 i);
		take(&x, line);
	}
	assert_int_equal(x.denied, 500);
	assert_int_equal(x.denials.n, 64);
	/* A long name is cut, and known again. */
	run_record_clear(&x);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	snprintf(line, sizeof(line),
		 "{\"type\":\"network\",\"verdict\":\"deny\",\"rule\":{\"name\":\"%s\"}}",
		 name);
	take(&x, line);
	take(&x, line);
	assert_int_equal(x.denials.n, 1);
	assert_int_equal(x.denials.v[0].count, 2);
	assert_int_equal(strlen(x.denials.v[0].rule), 256);
}

static void calls_are_summed_until_the_gateway_says_its_sums(void **state)
{
	_run_record_clear_ struct run_record x = {};
	static const char call[] =
		"{\"type\":\"llm_call\",\"verdict\":\"allow\",\"cost\":5,"
		"\"gen_ai\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":3}}}";

	take(&x, call);
	take(&x, call);
	take(&x,
	     "{\"type\":\"llm_denied\",\"verdict\":\"deny\",\"reason\":\"budget\","
	     "\"gen_ai\":{\"request\":{\"model\":\"m\"}},\"rule\":{\"name\":\"ai_policy.budget\"}}");
	assert_true(x.llm->incomplete);
	assert_int_equal(x.llm->calls, 2);
	assert_int_equal(x.llm->tokens.value, 26);
	assert_int_equal(x.llm->cost.value, 10);
	assert_string_equal(x.denials.v[0].target, "m");
	assert_string_equal(x.denials.v[0].command, "purple budget show");
	take(&x, "{\"type\":\"gateway_stopped\",\"calls\":7,\"denied\":4,\"tokens\":100,\"cost\":9223372036854775807,"
		 "\"budgets\":[{\"name\":\"team:t\",\"tokens\":1,\"tokens_limit\":2},3]}");
	assert_false(x.llm->incomplete);
	assert_int_equal(x.llm->calls, 7);
	assert_int_equal(x.llm->denied, 4);
	assert_int_equal(x.llm->tokens.value, 100);
	assert_int_equal(x.llm->cost.value, INT64_MAX);
	assert_int_equal(x.llm->budgets.n, 1);
	assert_int_equal(x.llm->budgets.v[0].tokens_limit.value, 2);
	/* Others that come after it change nothing. */
	take(&x, call);
	assert_int_equal(x.llm->calls, 7);
}

static void check_end(const char *lines, const char *reason, int status)
{
	_container_end_clear_ struct container_end x = {};
	_free_ char *text = strdup(lines);
	struct err e;
	bool known;

	assert_int_equal(container_end_parse(text, &x, &known, &e), 0);
	assert_int_equal(known, reason != NULL);
	if (reason)
		assert_string_equal(x.reason, reason);
	assert_int_equal(x.status.set ? x.status.value : -1, status);
}

static void the_first_that_acted_for_a_policy_is_the_reason(void **state)
{
#define EXITED "{\"reason\":\"exited\",\"status\":143,\"ended\":\"t\"}\n"
	check_end("", NULL, -1);
	check_end("odd\n{}\n{\"reason\":3}\n[]\n", NULL, -1);
	check_end(EXITED, "exited", 143);
	check_end("{\"reason\":\"stopped\"}\n" EXITED, "stopped", 143);
	check_end(EXITED "{\"reason\":\"timeout\"}\n", "timeout", 143);
	check_end("{\"reason\":\"stopped\"}\n{\"reason\":\"oom\"}\n{\"reason\":\"timeout\"}\n" EXITED,
		  "oom", 143);
	check_end("{\"reason\":\"made up\"}\n" EXITED, "exited", 143);
	check_end("{\"reason\":\"audit\",\"status\":2147483648}\n" EXITED, "exited", 143);
}

static void an_alert_holds_plain_characters_alone(void **state)
{
	static const char line[] =
		"{\"type\":\"dns\",\"verdict\":\"deny\",\"dns\":{\"question\":{\"name\":\"a\\u001b[2J\\r\\n\\u009bb\"}},"
		"\"rule\":{\"name\":\"no rule\"}}";
	const struct container c = make_container();
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf out = {};
	struct err e;

	assert_int_equal(json_parse(line, strlen(line), "line", &j, &e), 0);
	assert_true(alerts_text(&c, j, &out));
	assert_string_equal(out.s, "purple: denied: the lookup of a?[2J????b: no rule");
}

static void what_the_kernel_denied_is_told_without_a_rule(void **state)
{
	static const char line[] =
		"{\"type\":\"syscall\",\"verdict\":\"deny\",\"event\":{\"action\":\"mount\"},\"count\":3}";
	const struct container c = make_container();
	_run_record_clear_ struct run_record x = {};
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf out = {};
	struct err e;

	assert_int_equal(json_parse(line, strlen(line), "line", &j, &e), 0);
	assert_true(alerts_text(&c, j, &out));
	assert_string_equal(out.s, "purple: denied: the system call mount: mount; see: "
				   "purple profile show p");
	take(&x, line);
	take(&x, "{\"type\":\"file\",\"verdict\":\"deny\",\"event\":{\"action\":\"open\"},"
		 "\"file\":{\"path\":\"/etc/shadow\"}}");
	assert_int_equal(x.denied, 4);
	assert_int_equal(x.denials.n, 2);
	assert_string_equal(x.denials.v[1].target, "/etc/shadow");
	assert_string_equal(x.denials.v[1].rule, "open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denials_are_counted_by_rule),
		cmocka_unit_test(targets_are_no_part_of_a_command_when_they_are_odd),
		cmocka_unit_test(odd_lines_are_passed_over),
		cmocka_unit_test(many_rules_are_counted_and_not_kept),
		cmocka_unit_test(calls_are_summed_until_the_gateway_says_its_sums),
		cmocka_unit_test(the_first_that_acted_for_a_policy_is_the_reason),
		cmocka_unit_test(an_alert_holds_plain_characters_alone),
		cmocka_unit_test(what_the_kernel_denied_is_told_without_a_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
