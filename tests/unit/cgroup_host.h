/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of src/cgroup with real groups: on the host as it is, then on views of it without
 * cgroup2 and with nothing but cgroup2. They need root. Groups are made below /purple-test-PID,
 * where a sleeping process keeps the parent in use, and removed again.
 */
#ifndef PURPLE_TESTS_UNIT_CGROUP_HOST_H
#define PURPLE_TESTS_UNIT_CGROUP_HOST_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

#define ANY                  \
	{                    \
		.set = false \
	}
#define NUM(n)                            \
	{                                 \
		.set = true, .value = (n) \
	}
#define RULE(al, t, ma, mi, acc)                                              \
	{                                                                     \
		.allow = (al), .type = (char *)(t), .major = ma, .minor = mi, \
		.access = (char *)(acc)                                       \
	}

/* Set up for each group of tests; each test makes its own group below `top`. */
static struct {
	char top[64];
	pid_t holder;
	char unified[256]; /* mount point of cgroup2, also after it was unmounted */
	enum cgroup_mode mode;
	struct cgroup cg;
	struct cgroup_host host;
} env;

static inline char *test_path(const char *name)
{
	char *path = str_printf("%s/%s", env.top, name);

	assert_non_null(path);
	return path;
}

#define assert_ok(call)                                   \
	do {                                              \
		if ((call) < 0)                           \
			fail_msg("%s: %s", #call, e.msg); \
	} while (0)

#define needs(cond, reason)                                     \
	do {                                                    \
		if (!(cond)) {                                  \
			print_message("skipped: %s\n", reason); \
			skip();                                 \
		}                                               \
	} while (0)

static inline void needs_controller(const char *name)
{
	if (!cgroup_host_has(&env.host, name)) {
		print_message("skipped: this view of the host has no %s controller\n", name);
		skip();
	}
}

#define MIB (1LL << 20)

/* A child in the group: does `work(arg)` there and exits with what it returns. */
static inline pid_t start_in(const struct cgroup *cg, int (*work)(void *), void *arg)
{
	pid_t pid = fork();
	struct err e;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (cgroup_enter(cg, 0, false, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			_exit(99);
		}
		_exit(work(arg));
	}
	return pid;
}

static inline int result_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline int run_in(const struct cgroup *cg, int (*work)(void *), void *arg)
{
	return result_of(start_in(cg, work, arg));
}

_Noreturn static inline int sleep_long(void *arg)
{
	for (;;)
		pause();
}

/* In the first hierarchy that start_in() enters, and in the last. */
static inline void wait_for_members(const struct cgroup *cg, size_t n)
{
	for (int i = 0; i < 500; i++) {
		cgroup_pid_list l = {}, last = {};
		struct err e;
		bool there;

		assert_ok(cgroup_pids(cg, &l, &e));
		if (cg->v1.n)
			assert_ok(cgroup_dir_pids(cg->v1.v[cg->v1.n - 1], &last, &e));
		there = l.n == n && (!cg->v1.n || last.n == n);
		free(l.v);
		free(last.v);
		if (there)
			return;
		cgroup_sleep_ms(10);
	}
	fail_msg("the group never had %zu processes", n);
}

static inline int make_group(void **state)
{
	_free_ char *path = test_path("t");
	struct err e;
	int r;

	if (geteuid() != 0)
		return 0;
	r = cgroup_create(path, "t", NULL, &env.cg, &e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	return r;
}

static inline int remove_group(void **state)
{
	struct err e = {};
	int r;

	if (geteuid() != 0)
		return 0;
	cgroup_kill(&env.cg, SIGKILL, &e);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	r = cgroup_destroy(&env.cg, &e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	cgroup_clear(&env.cg);
	return r;
}

static inline void assert_file(const char *controller, const char *file_v1,
			       const char *file_v2, const char *want)
{
	_free_ char *text = NULL;
	bool v2;
	const char *dir = cgroup_find(&env.cg, controller, &v2);

	assert_non_null(dir);
	assert_int_equal(cgroup_read(dir, v2 ? file_v2 : file_v1, &text), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, want);
}

static inline int exists(const char *dir)
{
	return dir && access(dir, F_OK) == 0;
}

static inline int set_up(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	_free_ char *path = NULL;
	struct err e;

	if (cgroup_host_detect(&env.host, &e) < 0)
		return -1;
	env.mode = env.host.mode;
	if (env.host.unified.mount)
		snprintf(env.unified, sizeof(env.unified), "%s", env.host.unified.mount);
	if (geteuid() != 0)
		return 0;
	snprintf(env.top, sizeof(env.top), "/purple-test-%d", (int)getpid());
	path = test_path("holder");
	if (cgroup_create(path, "holder", NULL, &cg, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return -1;
	}
	env.holder = start_in(&cg, sleep_long, NULL);
	wait_for_members(&cg, 1);
	return 0;
}

static inline int tear_down(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	struct err e;
	int r;

	cgroup_host_clear(&env.host);
	if (geteuid() != 0)
		return 0;
	kill(env.holder, SIGKILL);
	waitpid(env.holder, NULL, 0);
	for (int i = 0; i < 100; i++) {
		r = cgroup_create(env.top, "top", NULL, &cg, &e);
		if (r != -EBUSY)
			break;
		cgroup_sleep_ms(10);
	}
	if (r == 0)
		r = cgroup_destroy(&cg, &e);
	if (r < 0)
		fprintf(stderr, "%s\n", e.msg);
	return r;
}

/* This process, and it alone, loses the cgroup2 mount. */
static inline bool become_v1_host(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2(env.unified, MNT_DETACH) == 0;
}

/* This process, and it alone, sees cgroup2 on /sys/fs/cgroup and nothing else. */
static inline bool become_v2_host(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2("/sys/fs/cgroup", MNT_DETACH) == 0 &&
	       mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0;
}

#define GROUP_TEST(f) cmocka_unit_test_setup_teardown(f, make_group, remove_group)

/* Runs the tests in every view of the host that can be had; returns how many failed. */
static inline int run_in_all_views(const struct CMUnitTest *tests, size_t n)
{
	int failed = _cmocka_run_group_tests("cgroup, this host", tests, n, set_up,
					     tear_down);

	if (geteuid() != 0 || env.mode == CGROUP_V2)
		return failed;
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("no other views of the host: unshare: %s\n", strerror(errno));
		return failed;
	}
	if (env.mode == CGROUP_HYBRID && become_v1_host())
		failed += _cmocka_run_group_tests("cgroup, v1 alone", tests, n, set_up,
						  tear_down);
	else
		print_message("no view of the host without cgroup2\n");
	if (become_v2_host())
		failed += _cmocka_run_group_tests("cgroup, cgroup2 alone", tests, n,
						  set_up, tear_down);
	else
		print_message("no view of the host with cgroup2 alone\n");
	return failed;
}

#endif
