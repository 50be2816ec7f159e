/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts: which lines are some, what a message may be, and how bursts are merged. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "audit/alert.h"

#define SECOND 1000000000ull
#define LINE(type) \
	"{\"@timestamp\":\"2026-11-22T20:00:00.000000Z\",\"type\":\"" type "\",\"x\":1}"

static int type_of(const char *line)
{
	return alert_type_of(line, strlen(line));
}

static void types_are_those_of_lines(void **state)
{
	assert_int_equal(type_of(LINE("network")), ALERT_NETWORK);
	assert_int_equal(type_of(LINE("gateway_died")), ALERT_GATEWAY_DIED);
	assert_int_equal(type_of(LINE("llm_call")), -1);
	assert_int_equal(type_of(LINE("networks")), -1);
	/* What an agent wrote stands further behind. */
	assert_int_equal(type_of("{\"@timestamp\":\"2026-11-22T20:00:00.000000Z\",\"typ\":\"padding of "
				 "the line\",\"type\":\"network\"}"),
			 -1);
	assert_int_equal(type_of(""), -1);
}

/* As it is sent. */
static bool parses(uint32_t type, uint64_t count, const char *line)
{
	const struct alert_message m = { .type = type, .count = count };
	struct alert_message got;
	char text[512];
	const char *ret;
	size_t len, n = strlen(line);

	memcpy(text, &m, sizeof(m));
	memcpy(text + sizeof(m), line, n);
	return alert_parse(text, sizeof(m) + n, &got, &ret, &len) && len == n;
}

static void a_message_is_one_line(void **state)
{
	assert_true(parses(ALERT_FILE, 1, LINE("file")));
	assert_true(parses(ALERT_FILE, 7, ""));
	assert_true(parses(ALERT_BYE, 0, ""));
	assert_false(parses(ALERT_FILE, 0, LINE("file")));
	assert_false(parses(ALERT_BYE + 1, 1, LINE("file")));
	assert_false(parses(ALERT_FILE, 1, LINE("file") "\n" LINE("file")));
	assert_false(parses(ALERT_FILE, 1, "text"));
}

static void bursts_are_merged_by_type(void **state)
{
	const struct alert_message file = { .type = ALERT_FILE, .count = 1 },
				   limit = { .type = ALERT_LIMIT, .count = 1 };
	struct alert_queue q;
	uint64_t now = 1000 * SECOND, count;

	alert_queue_init(&q);
	assert_true(alert_queue_is_empty(&q));
	for (int i = 0; i < ALERT_BURST; i++) {
		assert_int_equal(alert_queue_add(&q, &file, LINE("file"),
						 strlen(LINE("file"))),
				 0);
		assert_int_equal(alert_queue_take(&q, now, false, &count), ALERT_FILE);
		assert_int_equal(count, 1);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(alert_queue_add(&q, &file, LINE("file"),
						 strlen(LINE("file"))),
				 0);
	assert_int_equal(alert_queue_take(&q, now, false, &count), -1);
	/* A flood of one hides no other. */
	assert_int_equal(alert_queue_add(&q, &limit, LINE("limit"), strlen(LINE("limit"))),
			 0);
	assert_int_equal(alert_queue_take(&q, now, false, &count), ALERT_LIMIT);
	assert_int_equal(alert_queue_due(&q), now + SECOND);
	assert_int_equal(alert_queue_take(&q, now + SECOND, false, &count), ALERT_FILE);
	assert_int_equal(count, 5);
	/* At the end, whatever the pace. */
	assert_int_equal(alert_queue_add(&q, &file, NULL, 0), 0);
	assert_int_equal(alert_queue_take(&q, now + SECOND, true, &count), ALERT_FILE);
	assert_true(alert_queue_is_empty(&q));
	alert_queue_clear(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_those_of_lines),
		cmocka_unit_test(a_message_is_one_line),
		cmocka_unit_test(bursts_are_merged_by_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
