/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's lines of events.jsonl: what is in them, and that all are as the schema says. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/json.h"
#include "gateway/events.h"
#include "gateway_build.h"

static const struct timespec noon = { .tv_sec = 1767225599, .tv_nsec = 1234567 };
static const struct usage used = { .in_uncached = 100,
				   .cache_read = 20,
				   .cache_w5m = 3,
				   .out = 50,
				   .reasoning = 40,
				   .web_search = 2 };

#define HEAD(type, more)                                                    \
	"{\"@timestamp\":\"2025-12-31T23:59:59.001234Z\",\"type\":\"" type  \
	"\",\"event\":{\"sequence\":7,\"provider\":\"purple-gateway\"" more \
	"},\"container\":{\"id\":\"c1\"}"

static void check_line(const struct gateway_event *x, const char *expected)
{
	_gateway_config_clear_ struct gateway_config c = {};
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf b = {};
	struct err e;

	build_config(&c);
	gateway_event_print(&c, x, GATEWAY_PROVIDER, 7, noon, &b);
	assert_false(b.failed);
	assert_int_equal(b.s[b.len - 1], '\n');
	b.s[--b.len] = '\0';
	assert_null(strchr(b.s, '\n'));
	assert_int_equal(json_parse(b.s, b.len, "line", &j, &e), 0);
	assert_string_equal(b.s, expected);
}

static void a_call_has_its_figures_where_they_are_to_be_told(void **state)
{
	struct gateway_event x = { .type = GATEWAY_LLM_CALL,
				   .policy = -1,
				   .provider = "openai",
				   .model = "gpt-4o",
				   .answered = "gpt-4o-2024-08-06",
				   .api = gateway_event_api(LLM_CHAT),
				   .status = 200,
				   .duration_ms = 12,
				   .is_stream = true,
				   .usage = &used,
				   .has_cost = true,
				   .call_cost = INT64_C(1250000000000) };

	check_line(&x,
		   HEAD("llm_call",
			",\"duration\":12000000") ",\"verdict\":\"allow\",\"gen_ai\":{\"system\":\"openai\","
						  "\"operation\":{\"name\":\"chat\"},\"request\":{\"model\":\"gpt-4o\"},"
						  "\"response\":{\"model\":\"gpt-4o-2024-08-06\"},\"usage\":{\"input_tokens\":123,"
						  "\"output_tokens\":50,\"cache_read_tokens\":20,\"cache_write_tokens\":3,"
						  "\"reasoning_tokens\":40,\"web_searches\":2}},\"stream\":true,"
						  "\"http\":{\"response\":{\"status_code\":200}},"
						  "\"cost\":1250000000000,\"cost_text\":\"$1.25\"}");
	x.usage = NULL;
	x.has_cost = false;
	x.answered = NULL;
	x.is_stream = false;
	x.is_estimate = true;
	x.duration_ms = 0;
	check_line(&x,
		   HEAD("llm_call",
			"") ",\"verdict\":\"allow\",\"gen_ai\":{\"system\":\"openai\","
			    "\"operation\":{\"name\":\"chat\"},\"request\":{\"model\":\"gpt-4o\"}},"
			    "\"estimated\":true,\"http\":{\"response\":{\"status_code\":200}}}");
}

static void a_refusal_names_the_setting_and_its_line(void **state)
{
	struct gateway_event x = { .type = GATEWAY_LLM_DENIED,
				   .policy = BUILD_DENY,
				   .provider = "openai",
				   .model = "gpt-4o",
				   .status = 429,
				   .reason = LLM_REFUSE_BUDGET };

#define DENIED(reason, name, reference)                                                   \
	HEAD("llm_denied", "")                                                            \
	",\"verdict\":\"deny\",\"gen_ai\":{\"system\":\"openai\",\"request\":{\"model\":" \
	"\"gpt-4o\"}},\"http\":{\"response\":{\"status_code\":429}},\"reason\":\"" reason \
	"\",\"rule\":{\"name\":\"ai_policy." name                                         \
	"\",\"reference\":\"/etc/purple/policies/p.yaml:" reference                       \
	"\",\"ruleset\":\"denies\"}}"
	check_line(&x, DENIED("budget", "budget", "20"));
	x.reason = LLM_REFUSE_RATE;
	check_line(&x, DENIED("rate", "rate_limits", "21"));
	x.reason = LLM_REFUSE_MODEL;
	check_line(&x, DENIED("model", "llm_apis", "22"));
	/* No policy's doing. */
	x.reason = LLM_REFUSE_UNAVAILABLE;
	x.model = NULL;
	x.status = 0;
	x.policy = -1;
	check_line(&x, HEAD("llm_denied",
			    "") ",\"verdict\":\"deny\",\"gen_ai\":{\"system\":\"openai\"},"
				"\"reason\":\"unavailable\"}");
}

static void the_model_is_shortened_and_cannot_leave_its_string(void **state)
{
	char model[200];
	struct gateway_event x = { .type = GATEWAY_LLM_INJECTION,
				   .policy = BUILD_STOP,
				   .provider = "openai",
				   .model = model };
	_gateway_config_clear_ struct gateway_config c = {};
	_json_free_ struct json *j = NULL;
	_buf_free_ struct buf b = {};
	const struct json *shown;
	struct err e;

	/* A character of two bytes is where it is cut. */
	memset(model, 'x', sizeof(model));
	memcpy(model + 126, "\"\xc3\xa4", 3);
	model[199] = '\0';
	build_config(&c);
	gateway_event_print(&c, &x, GATEWAY_PROVIDER, 7, noon, &b);
	assert_int_equal(json_parse(b.s, b.len, "line", &j, &e), 0);
	shown = json_get(json_get(json_get(j, "gen_ai"), "request"), "model");
	assert_int_equal(strlen(shown->text), 127);
	assert_string_equal(shown->text + 125, "x\"");
}

static void budgets_are_called_as_purple_budget_calls_them(void **state)
{
	struct gateway_event x = { .type = GATEWAY_BUDGET_ALERT,
				   .policy = BUILD_STOP,
				   .percent = 80,
				   .has_cost_limit = true,
				   .cost = INT64_C(4000000000000),
				   .cost_limit = INT64_C(5000000000000) };

	check_line(&x,
		   HEAD("budget_alert",
			"") ",\"budget\":{\"name\":\"c1\",\"percent\":80,\"cost\":4000000000000,"
			    "\"cost_text\":\"$4.00\",\"cost_limit\":5000000000000,"
			    "\"cost_limit_text\":\"$5.00\"},"
			    "\"rule\":{\"name\":\"ai_policy.budget\","
			    "\"reference\":\"/etc/purple/policies/p.yaml:10\",\"ruleset\":\"stops\"}}");
	x = (struct gateway_event){ .type = GATEWAY_BUDGET_EXCEEDED,
				    .policy = BUILD_DENY,
				    .has_tokens = true,
				    .tokens = 999,
				    .tokens_limit = 1000,
				    .action = GATEWAY_DENY };
	check_line(&x,
		   HEAD("budget_exceeded",
			"") ",\"budget\":{\"name\":\"policy:denies\",\"period\":\"day\","
			    "\"tokens\":999,\"tokens_limit\":1000,\"action\":\"deny\"},"
			    "\"rule\":{\"name\":\"ai_policy.budget\","
			    "\"reference\":\"/etc/purple/policies/p.yaml:20\",\"ruleset\":\"denies\"}}");
	x.type = GATEWAY_BUDGET_LIFTED;
	x.policy = BUILD_FREEZE;
	check_line(&x,
		   HEAD("budget_lifted",
			"") ",\"budget\":{\"name\":\"team:research\",\"tokens\":999,"
			    "\"tokens_limit\":1000},"
			    "\"rule\":{\"name\":\"ai_policy.budget\","
			    "\"reference\":\"/etc/purple/policies/p.yaml:30\",\"ruleset\":\"freezes\"}}");
}

/* --- all of them, by the schema --- */

static int lines_fd(void)
{
	char path[] = "/tmp/purple-events-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	return fd;
}

static void all_lines_are_as_the_schema_says(void **state)
{
	static const char *const kinds[] = { "aws-access-key", "card" };
	_gateway_config_clear_ struct gateway_config c = {};
	_close_ int fd = lines_fd();
	struct gateway_events ev;
	_free_ char *command = NULL;
	size_t written = 0;

	build_config(&c);
	gateway_events_init(&ev, &c, fd, -1);
	for (int type = 0; type < GATEWAY_EVENT_TYPES; type++) {
		for (int full = 0; full < 2; full++) {
			const struct gateway_event x = {
				.type = (enum gateway_event_type)type,
				.policy = full ? type % 3 : BUILD_STOP,
				.provider = full ? "anthropic" : NULL,
				.model = full ? "claude \"\n\x01\xff" : NULL,
				.answered = full ? "claude" : NULL,
				.api = full ? gateway_event_api(LLM_MESSAGES) : NULL,
				.status = full ? 200 : 0,
				.duration_ms = full ? 1 : 0,
				.is_stream = full,
				.is_estimate = full,
				.usage = full ? &used : NULL,
				.has_cost = full,
				.call_cost = 1,
				.reason = full ? LLM_REFUSE_CONTENT : LLM_REFUSE_BUDGET,
				.is_audit = full && type == GATEWAY_LLM_DENIED,
				.kinds = kinds,
				.n_kinds = full ? 2 : 0,
				.percent = 80,
				.has_tokens = full,
				.has_cost_limit = true,
				.cost = 0,
				.cost_limit = full ? -1 : 5,
				.action = full ? GATEWAY_FREEZE : GATEWAY_STOP,
				.failed = full ? "freeze" : "note",
				.error = full || type == GATEWAY_ACTION_FAILED ||
							 type == GATEWAY_DIED ?
						 "why" :
						 NULL,
			};

			gateway_events_write(&ev, &x);
			written++;
		}
	}
	assert_int_equal(ev.log.sequence, written);
	assert_int_equal(ev.log.lost, 0);
	command = str_printf("python3 -W ignore '" PURPLE_SOURCE
			     "/tests/unit/validate_lines.py' '" PURPLE_SOURCE
			     "/docs/events.schema.json' /proc/%d/fd/%d",
			     (int)getpid(), fd);
	assert_int_equal(system(command), 0);
}

static void an_agent_cannot_fill_the_file_with_refusals(void **state)
{
	const struct gateway_event refusal = { .type = GATEWAY_LLM_DENIED, .policy = -1 };
	const struct gateway_event end = { .type = GATEWAY_STOPPED, .policy = -1 };
	_gateway_config_clear_ struct gateway_config c = {};
	_close_ int fd = lines_fd();
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	struct gateway_events ev;
	const struct json *n;
	size_t len, lines = 0;
	char *last;
	struct err e;

	build_config(&c);
	gateway_events_init(&ev, &c, fd, -1);
	for (int i = 0; i < 100000; i++)
		gateway_events_write(&ev, &refusal);
	gateway_events_write(&ev, &end);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(fd_read_all(fd, 1 << 24, &text, &len, &e), 0);
	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	/* 200 at once and ten a second, on a machine however slow. */
	assert_true(lines > 200 && lines < 100000);
	text[len - 1] = '\0';
	last = strrchr(text, '\n') + 1;
	assert_int_equal(json_parse(last, strlen(last), "line", &j, &e), 0);
	n = json_get(json_get(j, "lost"), "limited");
	assert_int_equal(strtoull(n->text, NULL, 10) + lines - 1, 100000);
}

static bool next_record(int fd, char *buf, size_t size)
{
	ssize_t n = recv(fd, buf, size - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static void what_the_recorder_did_not_take_is_told_with_the_next_line(void **state)
{
	const struct gateway_event x = { .type = GATEWAY_ACTION_FAILED,
					 .policy = -1,
					 .failed = "alert",
					 .error = "none" };
	_gateway_config_clear_ struct gateway_config c = {};
	int log = memfd_create("events", MFD_CLOEXEC), fds[2], told = 0, sent = 0;
	struct gateway_events ev;
	char text[4096], lost[64];

	build_config(&c);
	assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	gateway_events_init(&ev, &c, log, fds[0]);
	while (ev.not_copied < 3) {
		gateway_events_write(&ev, &x);
		sent++;
	}
	while (next_record(fds[1], text, sizeof(text))) {
		assert_null(strstr(text, "\"lost\""));
		told++;
	}
	assert_int_equal(told, sent - 3);
	gateway_events_write(&ev, &x);
	assert_true(next_record(fds[1], text, sizeof(text)));
	assert_non_null(strstr(text, "\n0{\"@timestamp\""));
	assert_non_null(strstr(text, "\"type\":\"lost\""));
	assert_non_null(strstr(text, "\"log\":0,\"record\":3}"));
	/* Its number is the next one in events.jsonl, too. */
	snprintf(lost, sizeof(lost), "\"sequence\":%d,", sent + 2);
	assert_non_null(strstr(text, lost));
	memset(text, 0, sizeof(text));
	assert_true(pread(log, text, sizeof(text) - 1, lseek(log, 0, SEEK_END) - 300) > 0);
	assert_non_null(strstr(text, lost));
	gateway_events_write(&ev, &x);
	assert_true(next_record(fds[1], text, sizeof(text)));
	assert_null(strstr(text, "\"lost\""));
	assert_int_equal(ev.not_copied, 3);
	close(fds[0]);
	close(fds[1]);
	close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_has_its_figures_where_they_are_to_be_told),
		cmocka_unit_test(a_refusal_names_the_setting_and_its_line),
		cmocka_unit_test(the_model_is_shortened_and_cannot_leave_its_string),
		cmocka_unit_test(budgets_are_called_as_purple_budget_calls_them),
		cmocka_unit_test(all_lines_are_as_the_schema_says),
		cmocka_unit_test(an_agent_cannot_fill_the_file_with_refusals),
		cmocka_unit_test(what_the_recorder_did_not_take_is_told_with_the_next_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
