/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of what is traced: events of every shape, also such as the kernel would not send. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "audit/config.h"
#include "audit/recorder.h"
#include "audit/trace_event.h"
#include "base/json.h"

/* Room for an event of all texts, on its boundary. */
union event {
	struct trace_head head;
	struct trace_exec exec;
	struct trace_exit exit;
	struct trace_denied denied;
	struct trace_privilege privilege;
	struct trace_file file;
	struct trace_socket socket;
	char bytes[sizeof(struct trace_exec) + 4 * TRACE_TEXT_MAX];
};

static const struct audit_head head = { .time = { .tv_sec = 1767225599 },
					.sequence = 7,
					.container = "c1" };

static void init(union event *x, enum trace_type type, size_t size)
{
	memset(x, 0, sizeof(*x));
	x->head = (struct trace_head){ .type = (uint16_t)type,
				       .size = (uint32_t)size,
				       .pid = 100,
				       .thread = 100,
				       .parent = 99,
				       .pid_inside = 2,
				       .parent_inside = 1,
				       .comm = "a\"\n" };
}

/* It is JSON on one line; *ret is the document. */
static struct json *line_of(const union event *x, uint32_t levels)
{
	_buf_free_ struct buf b = {};
	struct json *j = NULL;
	uint32_t got = 0;
	struct err e;

	assert_true(trace_event_is_whole(x, x->head.size));
	trace_event_print(&head, x, NULL, &b, &got);
	assert_false(b.failed);
	assert_int_equal(got, levels);
	assert_true(b.len <= AUDIT_LINE_MAX + 1);
	assert_ptr_equal(memchr(b.s, '\n', b.len), b.s + b.len - 1);
	if (json_parse(b.s, b.len, "line", &j, &e) < 0)
		fail_msg("%s", e.msg);
	return j;
}

static const char *text_at(const struct json *j, const char *a, const char *b)
{
	const struct json *m = json_get(j, a);

	m = m && b ? json_get(m, b) : m;
	return m && m->text ? m->text : "";
}

static size_t put(union event *x, size_t at, const char *text, size_t len)
{
	memcpy(x->bytes + at, text, len);
	return at + len;
}

static void test_exec(void **state)
{
	static const char args[] = "sh\0-c\0a b\0";
	union event x;
	size_t at = sizeof(struct trace_exec);
	_json_free_ struct json *j = NULL;

	init(&x, TRACE_EXEC, 0);
	at = put(&x, at, "/bin/sh", 7);
	at = put(&x, at, "sh", 2);
	at = put(&x, at, args, sizeof(args) - 1);
	x.exec.lengths[TRACE_EXECUTABLE] = 7;
	x.exec.lengths[TRACE_CALLED] = 2;
	x.exec.lengths[TRACE_ARGUMENTS] = sizeof(args) - 1;
	x.exec.arguments = 3;
	x.exec.effective = 1ull << 21;
	x.head.flags = TRACE_RAISED;
	x.head.size = (uint32_t)at;
	j = line_of(&x, AUDIT_EXEC | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(j, "process", "executable"), "/bin/sh");
	assert_string_equal(text_at(j, "process", "name"), "a\"\n");
	assert_int_equal(json_get(json_get(j, "process"), "args")->n, 3);
	assert_string_equal(json_get(json_get(j, "process"), "args")->items[2]->text, "a b");
	assert_string_equal(json_get(json_get(json_get(j, "process"), "capabilities"),
				     "effective")
				    ->items[0]
				    ->text,
			    "CAP_SYS_ADMIN");
	/* Lengths beyond its end. */
	x.exec.lengths[TRACE_ARGUMENTS] = 4000;
	assert_false(trace_event_is_whole(&x, x.head.size));
}

/* Texts whose every byte takes six in JSON: the line still fits, and says that they are cut. */
static void test_long_texts(void **state)
{
	union event x;
	size_t at = sizeof(struct trace_file);
	_json_free_ struct json *j = NULL;

	init(&x, TRACE_RENAME, 0);
	memset(x.bytes + at, 1, 4 * TRACE_TEXT_MAX);
	for (size_t i = 0; i < TRACE_FILE_TEXTS; i++)
		x.file.lengths[i] = TRACE_TEXT_MAX;
	x.head.size = (uint32_t)(at + 4 * TRACE_TEXT_MAX);
	j = line_of(&x, AUDIT_FILESYSTEM);
	assert_int_equal(json_get(j, "truncated")->type, JSON_TRUE);
}

static void test_files(void **state)
{
	union event x;
	_json_free_ struct json *denied = NULL, *joined = NULL;
	size_t at = sizeof(struct trace_file);

	init(&x, TRACE_OPEN, 0);
	at = put(&x, at, "/tmp", 4);
	at = put(&x, at, "a/../b", 6);
	x.file.lengths[TRACE_BASE] = 4;
	x.file.lengths[TRACE_PATH] = 6;
	x.file.open_flags = O_WRONLY | O_CREAT | O_TRUNC;
	x.file.mode = S_IFREG | 0644;
	x.head.size = (uint32_t)at;
	joined = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(joined, "file", "path"), "/tmp/a/../b");
	assert_string_equal(text_at(joined, "file", "access"), "write");
	assert_string_equal(text_at(joined, "verdict", NULL), "allow");
	x.file.result = -EROFS;
	denied = line_of(&x, AUDIT_FILESYSTEM | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(denied, "verdict", NULL), "deny");
	assert_string_equal(text_at(denied, "error", "code"), "EROFS");
}

static void test_others(void **state)
{
	union event x;
	_json_free_ struct json *exit = NULL, *killed = NULL, *denied = NULL, *net = NULL;

	init(&x, TRACE_EXIT, sizeof(x.exit));
	x.exit.code = 3;
	x.exit.call = TRACE_NO_CALL;
	exit = line_of(&x, AUDIT_EXEC);
	assert_string_equal(text_at(exit, "process", "exit_code"), "3");
	x.exit.signal = 31;
	x.exit.call = 165;
	killed = line_of(&x, AUDIT_EXEC | AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(killed, "denied_by", NULL), "seccomp");
	init(&x, TRACE_DENIED, sizeof(x.denied));
	x.denied.error = EPERM;
	x.denied.denier = TRACE_BY_KERNEL;
	denied = line_of(&x, AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(denied, "denied_by", NULL), "kernel");
	assert_string_equal(text_at(denied, "count", NULL), "1");
	init(&x, TRACE_CONNECT, sizeof(x.socket));
	x.socket.family = AF_INET;
	memcpy(x.socket.address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	x.socket.port = 80;
	net = line_of(&x, AUDIT_NETWORK);
	assert_string_equal(text_at(net, "destination", "ip"), "127.0.0.1");
}

/* Whatever bytes there are: no line, or one that is JSON. */
static void test_any_bytes(void **state)
{
	union event x;

	srand(1);
	for (int round = 0; round < 20000; round++) {
		_buf_free_ struct buf b = {};
		_json_free_ struct json *j = NULL;
		uint32_t levels;
		struct err e;

		for (size_t i = 0; i < 256; i++)
			x.bytes[i] = (char)rand();
		x.head.type = (uint16_t)(rand() % (TRACE_TYPES + 1));
		x.head.size = (uint32_t)(rand() % (int)sizeof(x));
		if (!trace_event_is_whole(&x, sizeof(x)))
			continue;
		trace_event_print(&head, &x, NULL, &b, &levels);
		if (json_parse(b.s, b.len, "line", &j, &e) < 0)
			fail_msg("%s: %s", e.msg, b.s);
	}
	for (size_t size = 0; size < sizeof(struct trace_head); size++)
		assert_false(trace_event_is_whole(&x, size));
}

static void test_calls(void **state)
{
	const struct trace_count v[] = { { TRACE_COUNT_OF(5, 0), 3, 1 },
					 { TRACE_COUNT_OF(5, 1 | TRACE_COUNT_FOREIGN), 2,
					   0 } };
	const struct trace_calls_line x = { 5, v, 2 };
	_buf_free_ struct buf b = {};
	_json_free_ struct json *j = NULL;
	struct err e;

	trace_event_calls(&head, &x, 0xc000003e /* AUDIT_ARCH_X86_64 */, &b);
	assert_int_equal(json_parse(b.s, b.len, "line", &j, &e), 0);
	assert_string_equal(text_at(json_get(j, "calls"), "read", "count"), "3");
	assert_string_equal(text_at(json_get(j, "calls"), "32-bit:1", "count"), "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec),	  cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_others),
		cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
