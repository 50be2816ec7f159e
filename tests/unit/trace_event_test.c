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

#define OWN_ARCH 0xc000003e /* AUDIT_ARCH_X86_64 */

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
	denied = line_of(&x, AUDIT_FILESYSTEM | AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(denied, "verdict", NULL), "deny");
	assert_string_equal(text_at(denied, "error", "code"), "EROFS");
}

/* Fills an event of a file with its texts. */
static void put_texts(union event *x, enum trace_type type, enum trace_change change,
		      const char *const texts[TRACE_FILE_TEXTS])
{
	size_t at = sizeof(struct trace_file);

	init(x, type, 0);
	x->file.change = change;
	for (size_t i = 0; i < TRACE_FILE_TEXTS; i++) {
		x->file.lengths[i] = (uint16_t)strlen(texts[i]);
		at = put(x, at, texts[i], strlen(texts[i]));
	}
	x->head.size = (uint32_t)at;
}

static void test_changes(void **state)
{
	_json_free_ struct json *link = NULL, *symlink = NULL, *chmod = NULL,
				*chown = NULL, *attribute = NULL, *socket = NULL,
				*mount = NULL;
	const char *const both[] = { "/a", "x", "/b", "y" };
	const char *const one[] = { "/a", "x", "", "" };
	const char *const text[] = { "", "/x", "", "../y" };
	const char *const name[] = { "", "", "", "n1n" };
	union event x;

	put_texts(&x, TRACE_CHANGE, TRACE_LINK, both);
	link = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(link, "event", "action"), "link");
	assert_string_equal(text_at(link, "file", "path"), "/a/x");
	assert_string_equal(text_at(link, "file", "target_path"), "/b/y");
	put_texts(&x, TRACE_CHANGE, TRACE_SYMLINK, text);
	symlink = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(symlink, "file", "target_path"), "../y");
	put_texts(&x, TRACE_CHANGE, TRACE_SETXATTR, text);
	attribute = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(attribute, "file", "attribute"), "../y");
	assert_null(json_get(json_get(attribute, "file"), "target_path"));
	put_texts(&x, TRACE_CHANGE, TRACE_CHMOD, one);
	x.file.mode = S_IFREG | 04755;
	chmod = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(chmod, "file", "mode"), "4755");
	put_texts(&x, TRACE_CHANGE, TRACE_CHOWN, one);
	x.file.owner = 7;
	x.file.owner_group = ~0u;
	chown = line_of(&x, AUDIT_FILESYSTEM);
	assert_string_equal(text_at(chown, "file", "uid"), "7");
	assert_null(json_get(json_get(chown, "file"), "gid"));
	put_texts(&x, TRACE_CHANGE, TRACE_UNIX_CONNECT, name);
	x.bytes[sizeof(struct trace_file) + 1] = '\0';
	socket = line_of(&x, AUDIT_FILESYSTEM | AUDIT_NETWORK);
	assert_string_equal(text_at(socket, "event", "action"), "connect");
	assert_string_equal(text_at(socket, "file", "path"), "@n@n");
	put_texts(&x, TRACE_MOUNT, TRACE_NO_CHANGE, both);
	x.file.arch = 0xc000003e;
	x.file.call = 165;
	mount = line_of(&x, AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(mount, "type", NULL), "privilege");
	assert_string_equal(text_at(mount, "event", "action"), "mount");
	assert_string_equal(text_at(mount, "file", "target_path"), "/b/y");
}

static void test_others(void **state)
{
	union event x;
	_json_free_ struct json *exit = NULL, *killed = NULL, *denied = NULL, *net = NULL,
				*child = NULL, *unknown = NULL;

	init(&x, TRACE_FORK, sizeof(x.head));
	child = line_of(&x, AUDIT_EXEC);
	assert_string_equal(text_at(child, "event", "action"), "fork");
	assert_string_equal(text_at(json_get(child, "process"), "parent", "pid"), "99");
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
	x.denied.call = TRACE_CALL_UNKNOWN;
	unknown = line_of(&x, AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS);
	assert_string_equal(text_at(unknown, "event", "action"), "unknown");
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

	assert_int_equal(trace_event_calls(&head, &x, OWN_ARCH, &b), 2);
	assert_int_equal(json_parse(b.s, b.len, "line", &j, &e), 0);
	assert_string_equal(text_at(json_get(j, "calls"), "read", "count"), "3");
	assert_string_equal(text_at(json_get(j, "calls"), "32-bit:1", "count"), "2");
}

/* A process may make more calls than a line has room for: none is missing, and none is there twice. */
static void test_many_calls(void **state)
{
	static struct trace_count v[3000];
	const size_t n = sizeof(v) / sizeof(*v);
	size_t told = 0, lines = 0;

	for (size_t i = 0; i < n; i++)
		v[i] = (struct trace_count){ TRACE_COUNT_OF(5, i | TRACE_COUNT_FOREIGN),
					     UINT64_MAX, UINT64_MAX };
	for (size_t from = 0; from < n; lines++) {
		const struct trace_calls_line x = { 5, v + from, n - from };
		_buf_free_ struct buf b = {};
		_json_free_ struct json *j = NULL;
		struct err e;

		from += trace_event_calls(&head, &x, OWN_ARCH, &b);
		assert_true(b.len <= AUDIT_LINE_MAX + 1);
		assert_int_equal(json_parse(b.s, b.len, "line", &j, &e), 0);
		told += json_get(j, "calls")->n;
	}
	assert_int_equal(told, n);
	assert_true(lines > 2);
}

static void test_repeated(void **state)
{
	_buf_free_ struct buf denied = {}, privilege = {};
	_json_free_ struct json *j = NULL, *k = NULL;
	struct err e;

	assert_int_equal(trace_event_repeated(&head, TRACE_DENIED, 12, &denied),
			 AUDIT_SYSCALL | AUDIT_SECURITY_EVENTS);
	assert_int_equal(json_parse(denied.s, denied.len, "line", &j, &e), 0);
	assert_string_equal(text_at(j, "type", NULL), "syscall");
	assert_string_equal(text_at(j, "verdict", NULL), "deny");
	assert_string_equal(text_at(j, "count", NULL), "12");
	assert_int_equal(trace_event_repeated(&head, TRACE_PRIVILEGE, 1, &privilege),
			 AUDIT_SECURITY_EVENTS);
	assert_int_equal(json_parse(privilege.s, privilege.len, "line", &k, &e), 0);
	assert_string_equal(text_at(k, "type", NULL), "privilege");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exec),	  cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_files),	  cmocka_unit_test(test_others),
		cmocka_unit_test(test_any_bytes), cmocka_unit_test(test_calls),
		cmocka_unit_test(test_changes),	  cmocka_unit_test(test_many_calls),
		cmocka_unit_test(test_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
