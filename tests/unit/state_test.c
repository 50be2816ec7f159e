/* SPDX-License-Identifier: Apache-2.0 */
/* A state folder whose files are damaged: an error that says so, and nothing is taken from it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "container/state.h"

static char root[64];

static int make_root(void **state)
{
	struct err e;
	_free_ char *dir = NULL;

	snprintf(root, sizeof(root), "/tmp/purple-state-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	dir = fs_join(root, "one");
	return dir ? fs_mkdir_p(dir, 0700, &e) : -1;
}

static int remove_root(void **state)
{
	struct err e;

	return fs_remove_tree(AT_FDCWD, root, &e);
}

static void put(const char *name, const char *text)
{
	_free_ char *path = str_printf("%s/one/%s", root, name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void expect_refused(const char *state, const char *why)
{
	struct container c = CONTAINER_EMPTY;
	struct err e = {};

	put("state.json", state);
	assert_true(container_open(root, "one", false, &c, &e) < 0);
	assert_int_equal(c.dirfd, -1);
	if (!strstr(e.msg, why) || !strstr(e.msg, "container 'one'"))
		fail_msg("'%s' does not say '%s'", e.msg, why);
}

#define STATE(more)                                                                            \
	"{\"id\":\"one\",\"pid\":0,\"pidStart\":0,\"supervisor\":0,\"supervisorStart\":0" more \
	"}"
#define GROUP(more) STATE(",\"cgroup\":{" more "}")

static void test_a_damaged_state_is_refused(void **state)
{
	expect_refused("", "parse error");
	expect_refused("{\"id\":\"one\",", "state.json");
	expect_refused("{}", "id: is required");
	expect_refused("{\"id\":\"two\"}", "is of container 'two'");
	expect_refused("{\"id\":\"one\",\"pid\":-1}", "a pid is negative");
	expect_refused("{\"id\":\"one\",\"supervisor\":-2}", "a pid is negative");
}

/* These directories are removed with the container. */
static void test_a_group_that_is_none_is_refused(void **state)
{
	expect_refused(GROUP("\"mode\":4,\"path\":\"/a\""), "cgroup.mode: 4");
	expect_refused(GROUP("\"mode\":3"), "cgroup.path: is missing");
	expect_refused(GROUP("\"mode\":3,\"path\":\"/a\",\"unified\":\"a\""),
		       "'a' is no group's directory");
	expect_refused(GROUP("\"mode\":3,\"path\":\"/a\",\"unified\":\"/\""), "'/'");
	expect_refused(GROUP("\"mode\":3,\"path\":\"/a\",\"unified\":\"/a/../b\""),
		       "'/a/../b'");
	expect_refused(GROUP("\"mode\":1,\"path\":\"/a\",\"v1\":{\"pids\":\"/a/\"}"),
		       "'/a/'");
}

static void test_a_whole_state_is_read(void **state)
{
	struct container c = CONTAINER_EMPTY;
	struct err e = {};

	put("state.json", GROUP("\"mode\":2,\"path\":\"/a\",\"v1\":{\"pids\":\"/p/a\"},"
				"\"unified\":\"/u/a\""));
	if (container_open(root, "one", false, &c, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(strmap_get(&c.st.cgroup->v1, "pids"), "/p/a");
	container_close(&c);
}

/* exec takes the filters and limits of the container from it. */
static void test_a_damaged_configuration_is_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"}}",
		  "linux: is missing" },
		{ "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"linux\":null}",
		  "linux: is missing" },
		{ "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"\"},\"linux\":{}}",
		  "root.path" },
		{ "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"linux\":{},"
		  "\"process\":{\"cwd\":\"/\",\"args\":[]}}",
		  "process.args" },
	};
	struct container c = CONTAINER_EMPTY;
	struct oci_spec *spec = NULL;
	struct err e = {};

	put("state.json", STATE(""));
	assert_int_equal(container_open(root, "one", false, &c, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put("config.json", cases[i].text);
		assert_true(container_config_load(&c, &spec, &e) < 0);
		assert_null(spec);
		if (!strstr(e.msg, cases[i].why))
			fail_msg("'%s' does not say '%s'", e.msg, cases[i].why);
	}
	container_close(&c);
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* As an agent may, whose first thread has nothing left to do. */
static void __attribute__((noreturn)) end_first_thread(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, sleep_on, NULL) == 0)
		syscall(SYS_exit, 0);
	_exit(1);
}

static bool is_zombie(pid_t pid)
{
	char path[64], *text = NULL, *name_end;
	struct err e = {};
	bool ret;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	assert_int_equal(fs_read(AT_FDCWD, path, 4096, &text, NULL, &e), 0);
	name_end = strrchr(text, ')');
	ret = name_end && name_end[2] == 'Z';
	free(text);
	return ret;
}

static void await_zombie(pid_t pid)
{
	for (int i = 0; i < 30000 && !is_zombie(pid); i++)
		usleep(1000);
	assert_true(is_zombie(pid));
}

static void test_a_process_lives_as_long_as_a_thread(void **state)
{
	pid_t pid = fork();
	uint64_t start;

	assert_true(pid >= 0);
	if (pid == 0)
		end_first_thread();
	await_zombie(pid);
	start = process_start_time(pid);
	kill(pid, SIGKILL);
	assert_int_not_equal(start, 0);
	/* All have ended; nobody has reaped it. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){}, WEXITED | WNOWAIT), 0);
	assert_true(is_zombie(pid));
	assert_false(process_is_alive(pid, start));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_damaged_state_is_refused),
		cmocka_unit_test(test_a_group_that_is_none_is_refused),
		cmocka_unit_test(test_a_whole_state_is_read),
		cmocka_unit_test(test_a_damaged_configuration_is_refused),
		cmocka_unit_test(test_a_process_lives_as_long_as_a_thread),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
