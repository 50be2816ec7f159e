/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger on a disk that is full, and on one that cannot be written: a tmpfs in a mount
 * namespace of a child. Refused calls change nothing, and once there is room all goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "budget/ledger.h"

#define NOON INT64_C(1795348800000)

static const struct ledger_limit limit = {
	.scope = LEDGER_SESSION, .name = "c", .has_tokens = true, .tokens = 1000000
};

static _Noreturn void die(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s\n", what, more);
	_exit(1);
}

#define CHECK(cond)                           \
	do {                                  \
		if (!(cond))                  \
			die("not so", #cond); \
	} while (0)

static void enter_namespace(const char *dir, const char *options)
{
	if (unshare(CLONE_NEWNS | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
		die("unshare", strerror(errno));
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, options) < 0)
		die("mount", strerror(errno));
}

static int reserve(struct ledger *l, struct ledger_answer *a, struct err *e)
{
	struct ledger_call c = {
		.container = "c", .model = "m", .limits = &limit, .n_limits = 1, .tokens = 7
	};

	return ledger_reserve(l, &c, NOON, a, e);
}

static void on_full_disk(const char *path, const char *dir)
{
	struct ledger_charge c = { .usage = { .out = 2 } };
	struct ledger *l = NULL, *other = NULL;
	struct ledger_answer a = {}, first = {}, refused = {};
	struct ledger_left left = {};
	struct err e = {};
	int64_t n = 0, sum;
	int r;

	enter_namespace(dir, "size=512k");
	if (ledger_open(path, LEDGER_GATEWAY, 1000, NOON, &l, &e) < 0)
		die("open", e.msg);
	while ((r = reserve(l, &a, &e)) == 0) {
		if (n++ == 0)
			first = a;
		CHECK(a.granted && n < 1000000);
	}
	/* What failed reserved nothing; all before it is there. */
	CHECK(r == -ENOSPC && n > 10);
	CHECK(strstr(e.msg, "full") || strstr(e.msg, "No space"));
	CHECK(reserve(l, &refused, &e) == -ENOSPC && !refused.granted);
	CHECK(ledger_left(l, &limit, 1, NOON, &left, &e) == 0);
	sum = 7 * n;
	CHECK(left.tokens == limit.tokens - sum);
	/* What one reservation needs is too much; to sign in may still fit, a few times. */
	for (n = 0; n < 64; n++) {
		r = ledger_open(path, LEDGER_GATEWAY, 1000, NOON, &other, &e);
		if (r < 0)
			break;
		ledger_drop(other);
		other = NULL;
	}
	CHECK(r == -ENOSPC && !other);
	CHECK(ledger_verify(l, &e) == 0);
	/* Room again. */
	if (mount("none", dir, "tmpfs", MS_REMOUNT, "size=16m") < 0)
		die("remount", strerror(errno));
	if (ledger_settle(l, first.id, &c, NOON, &e) < 0)
		die("settle", e.msg);
	CHECK(reserve(l, &a, &e) == 0 && a.granted);
	CHECK(a.left.tokens == limit.tokens - sum - 2);
	if (ledger_verify(l, &e) < 0 || ledger_close(l, NOON, &e) < 0)
		die("at the end", e.msg);
	_exit(0);
}

static void on_read_only_disk(const char *path, const char *dir)
{
	struct ledger_answer a = {};
	struct ledger *l = NULL;
	struct err e = {};

	enter_namespace(dir, "size=16m");
	if (ledger_open(path, LEDGER_GATEWAY, 1000, NOON, &l, &e) < 0 ||
	    reserve(l, &a, &e) < 0 || ledger_close(l, NOON, &e) < 0)
		die("before", e.msg);
	if (mount("none", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL) < 0)
		die("remount", strerror(errno));
	l = NULL;
	CHECK(ledger_open(path, LEDGER_GATEWAY, 1000, NOON, &l, &e) == -EROFS && !l);
	CHECK(strstr(e.msg, path));
	_exit(0);
}

static void in_child(void (*run)(const char *path, const char *dir))
{
	const char *tmp = getenv("TMPDIR");
	_free_ char *dir = str_printf("%s/purple-ledger-XXXXXX", tmp ? tmp : "/tmp");
	_free_ char *path = NULL;
	struct err e = {};
	int status = 0;
	pid_t pid;

	assert_non_null(mkdtemp(dir));
	path = str_printf("%s/ledger.db", dir);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		run(path, dir);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(fs_remove_tree(AT_FDCWD, dir, &e), 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_full(void **state)
{
	in_child(on_full_disk);
}

static void test_read_only(void **state)
{
	in_child(on_read_only_disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_read_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
