/* SPDX-License-Identifier: Apache-2.0 */
/* Running hooks: what a hook gets, what its end means, and that nothing of it can hold us up. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "oci/hooks.h"

static char dir[] = "/tmp/purple-hooks-test.XXXXXX";

static int set_up(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	struct err e;

	return fs_remove_tree(AT_FDCWD, dir, &e);
}

/* Every test begins with an empty folder. */
static int clean(void **state)
{
	struct err e;

	if (fs_remove_tree(AT_FDCWD, dir, &e) < 0)
		return -1;
	return mkdir(dir, 0700);
}

static void add_path(oci_hooks_list *l, const char *path)
{
	struct oci_hook *h = list_add(l);

	assert_non_null(h);
	h->path = strdup(path);
	assert_non_null(h->path);
}

/* A hook that is a shell with this script. (The shell becomes the last command of a script: those
 * that look at $$ end with ":".) */
static struct oci_hook *add_sh(oci_hooks_list *l, const char *script)
{
	struct oci_hook *h;

	add_path(l, "/bin/sh");
	h = &l->v[l->n - 1];
	assert_int_equal(strv_add(&h->args, "hook-sh"), 0);
	assert_int_equal(strv_add(&h->args, "-c"), 0);
	assert_int_equal(strv_add(&h->args, script), 0);
	/* The shell's own default would do; stated, so that the tests do not depend on it. */
	assert_int_equal(strv_add(&h->env, "PATH=/usr/bin:/bin"), 0);
	return h;
}

static void hooks_clear(oci_hooks_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		strv_free(&l->v[i].args);
		strv_free(&l->v[i].env);
	}
	free(l->v);
	l->v = NULL;
	l->n = 0;
}
#define _hooks_clear_ __attribute__((cleanup(hooks_clear)))

static char *path_of(const char *name)
{
	return fs_join(dir, name);
}

static char *content(const char *name, size_t *ret_len)
{
	_free_ char *path = path_of(name);
	char *text = NULL;
	struct err e = {};

	if (fs_read(AT_FDCWD, path, 4 << 20, &text, ret_len, &e) < 0)
		fail_msg("%s", e.msg);
	return text;
}

static bool exists(const char *name)
{
	_free_ char *path = path_of(name);

	return access(path, F_OK) == 0;
}

static void assert_content(const char *name, const char *want)
{
	_free_ char *text = content(name, NULL);

	assert_string_equal(text, want);
}

static int run(const oci_hooks_list *l, struct err *e)
{
	memset(e, 0, sizeof(*e));
	return hooks_run(l, "createRuntime", "{\"id\":\"x\"}", dir, e);
}

static void run_ok(const oci_hooks_list *l)
{
	struct err e;

	if (run(l, &e) < 0)
		fail_msg("%s", e.msg);
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Gone, or a zombie that someone else has to reap. */
static bool is_dead(pid_t pid)
{
	_free_ char *path = str_printf("/proc/%d/stat", (int)pid);
	_free_ char *text = NULL;
	struct err e;
	const char *p;

	if (fs_read(AT_FDCWD, path, 4096, &text, NULL, &e) < 0)
		return true;
	p = strrchr(text, ')');
	return p && p[1] && (p[2] == 'Z' || p[2] == 'X');
}

static void no_hooks_is_no_error(void **state)
{
	oci_hooks_list l = {};

	run_ok(&l);
}

static void a_hook_gets_the_state_on_stdin_and_the_bundle_as_cwd(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *want = str_printf("%s\n", dir);

	add_sh(&l, "cat > stdin; /bin/pwd > cwd; readlink /proc/$$/fd/1 | cat > stdout");
	run_ok(&l);
	assert_content("stdin", "{\"id\":\"x\"}");
	assert_content("cwd", want);
	assert_content("stdout", "/dev/null\n");
}

static void a_hook_gets_its_own_environment_alone(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *script = path_of("script");
	_free_ char *env = NULL, *none = NULL;
	static const char text[] = "#!/bin/sh\n/bin/cat /proc/$$/environ > none\n:\n";
	struct err e;
	size_t len;

	assert_int_equal(setenv("PURPLE_LEAK", "1", 1), 0);
	assert_int_equal(strv_add(&add_sh(&l, "cat /proc/$$/environ > env; :")->env, "B=c d"),
			 0);
	assert_int_equal(fs_write_atomic(AT_FDCWD, script, text, strlen(text), 0755, &e), 0);
	add_path(&l, script);
	run_ok(&l);
	env = content("env", &len);
	assert_int_equal(len, sizeof("PATH=/usr/bin:/bin") + sizeof("B=c d"));
	assert_memory_equal(env, "PATH=/usr/bin:/bin\0B=c d", len);
	none = content("none", &len);
	assert_int_equal(len, 0);
}

static void args_are_the_whole_argv_and_default_to_the_path(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *script = path_of("script");
	_free_ char *named = NULL, *plain = NULL;
	static const char text[] = "#!/bin/sh\necho \"$#\" > count\n";
	struct err e;
	size_t len;

	add_sh(&l, "cat /proc/$$/cmdline > named; :");
	assert_int_equal(fs_write_atomic(AT_FDCWD, script, text, strlen(text), 0755, &e), 0);
	add_path(&l, script);
	run_ok(&l);
	named = content("named", &len);
	assert_string_equal(named, "hook-sh");
	plain = content("count", NULL);
	assert_string_equal(plain, "0\n");
}

static void hooks_run_in_order_and_the_first_failure_ends_it(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	struct err e;

	add_sh(&l, "echo 1 >> log");
	add_sh(&l, "echo 2 >> log; echo first >&2; echo 'the reason' >&2; exit 3");
	add_sh(&l, "echo 3 >> log");
	assert_int_equal(run(&l, &e), -ECANCELED);
	assert_string_equal(e.msg, "createRuntime hook #2 (/bin/sh) exited with code 3: "
				   "first the reason");
	assert_content("log", "1\n2\n");
}

static void a_failure_without_words_is_named_all_the_same(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	struct err e;

	add_sh(&l, "exit 1");
	assert_true(run(&l, &e) < 0);
	assert_string_equal(e.msg, "createRuntime hook #1 (/bin/sh) exited with code 1");
}

static void a_hook_killed_by_a_signal_has_failed(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	struct err e;

	add_sh(&l, "echo bye >&2; kill -TERM $$");
	assert_true(run(&l, &e) < 0);
	assert_string_equal(e.msg,
			    "createRuntime hook #1 (/bin/sh) was killed by signal 15: bye");
}

static void the_end_of_a_long_stderr_is_kept(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	struct err e;

	/* More than a pipe holds, too: the hook must not hang. */
	add_sh(&l, "head -c 300000 /dev/zero | tr '\\0' x >&2; echo THE-END >&2; exit 1");
	assert_true(run(&l, &e) < 0);
	assert_true(str_has_suffix(e.msg, "xxxTHE-END"));
	assert_true(strlen(e.msg) > 1000 && strlen(e.msg) < 1200);
}

static void what_cannot_be_executed_says_why(void **state)
{
	_hooks_clear_ oci_hooks_list absent = {}, denied = {}, no_cwd = {};
	struct err e;

	add_path(&absent, "/does/not/exist");
	assert_int_equal(run(&absent, &e), -ENOENT);
	assert_string_equal(e.msg, "createRuntime hook #1 (/does/not/exist) cannot execute: "
				   "No such file or directory");
	add_path(&denied, "/etc/passwd");
	assert_int_equal(run(&denied, &e), -EACCES);
	assert_string_equal(e.msg, "createRuntime hook #1 (/etc/passwd) cannot execute: "
				   "Permission denied");
	add_sh(&no_cwd, "true");
	assert_int_equal(hooks_run(&no_cwd, "poststart", "{}", "/does/not/exist", &e),
			 -ENOENT);
	assert_string_equal(e.msg, "poststart hook #1 (/bin/sh) cannot change to "
				   "'/does/not/exist': No such file or directory");
}

static void a_hook_that_takes_too_long_is_killed_with_its_children(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *text = NULL;
	double begin = seconds();
	struct err e;
	pid_t pid;

	add_sh(&l, "sleep 60 & echo $! > pid; wait")->timeout = (struct opt_i32){ true, 1 };
	assert_int_equal(run(&l, &e), -ETIMEDOUT);
	assert_string_equal(e.msg, "createRuntime hook #1 (/bin/sh) timed out after 1s");
	assert_true(seconds() - begin >= 1.0 && seconds() - begin < 50.0);
	text = content("pid", NULL);
	pid = atoi(text);
	assert_true(pid > 0);
	for (int i = 0; i < 1000 && !is_dead(pid); i++)
		usleep(20000);
	assert_true(is_dead(pid));
}

static void a_hook_within_its_time_succeeds(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};

	add_sh(&l, "echo done > done")->timeout = (struct opt_i32){ true, INT32_MAX };
	run_ok(&l);
	assert_content("done", "done\n");
}

static void what_a_hook_leaves_running_does_not_hold_us_up(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *text = NULL;
	double begin = seconds();
	pid_t pid;

	/* It holds stdin and stderr, and fills stderr as fast as it can. */
	add_sh(&l, "yes >&2 & echo $! > pid; exit 0");
	run_ok(&l);
	assert_true(seconds() - begin < 50.0);
	text = content("pid", NULL);
	pid = atoi(text);
	assert_true(pid > 0);
	kill(pid, SIGKILL);
}

static char *big_state(size_t len)
{
	char *s = malloc(len + 1);

	assert_non_null(s);
	memset(s, 'x', len);
	s[len] = '\0';
	return s;
}

static void a_hook_that_does_not_read_its_stdin_is_fine(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *big = big_state(1 << 20);
	struct err e = {};

	add_sh(&l, "exec 0<&-; sleep 0.2; exit 0");
	add_sh(&l, "exit 0");
	if (hooks_run(&l, "prestart", big, dir, &e) < 0)
		fail_msg("%s", e.msg);
}

static void a_state_beyond_the_size_of_a_pipe_arrives_whole(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *big = big_state(1 << 20);
	struct err e = {};

	add_sh(&l, "sleep 0.1; wc -c > count");
	if (hooks_run(&l, "prestart", big, dir, &e) < 0)
		fail_msg("%s", e.msg);
	assert_content("count", "1048576\n");
}

static void a_hook_gets_no_descriptor_but_stdio(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	int leak = dup(2), high = fcntl(2, F_DUPFD, 700);

	assert_true(leak >= 0 && high >= 700);
	/* The descriptor that the shell lists the folder with is gone when the names are tried. */
	add_sh(&l, "set -- /proc/$$/fd/*; for f; do [ -e \"$f\" ] && o=\"$o${f##*/} \"; done; "
		   "echo \"$o\" > fds");
	run_ok(&l);
	close(leak);
	close(high);
	assert_content("fds", "0 1 2 \n");
}

static void a_hook_gets_default_signals_and_ours_are_as_before(void **state)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN },
			 dfl = { .sa_handler = SIG_DFL }, now;
	_hooks_clear_ oci_hooks_list l = {};
	sigset_t block, old;
	struct err e;
	int r;

	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGCHLD, &ignore, NULL); /* children would be reaped behind our back */
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, &old);
	add_sh(&l, "grep -E '^Sig(Blk|Ign)' /proc/$$/status | tr -d '\\t\\n' > signals; :");
	add_sh(&l, "exit 4");
	r = run(&l, &e);
	sigprocmask(SIG_SETMASK, &old, NULL);
	sigaction(SIGCHLD, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_IGN);
	sigaction(SIGPIPE, NULL, &now);
	assert_ptr_equal(now.sa_handler, SIG_DFL);
	sigaction(SIGHUP, &dfl, NULL);
	sigaction(SIGCHLD, &dfl, NULL);
	assert_true(r < 0);
	assert_non_null(strstr(e.msg, "hook #2 (/bin/sh) exited with code 4"));
	assert_content("signals", "SigBlk:0000000000000000SigIgn:0000000000000000");
}

static void other_children_are_left_to_their_owner(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(9);
	assert_true(pid > 0);
	add_sh(&l, "sleep 0.2");
	run_ok(&l);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void poststop_goes_on_after_a_failure_and_warns(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *log = path_of("log");
	_free_ char *text = NULL;
	enum log_level old = log_get_level();
	struct err e = {};
	int status;
	pid_t pid;

	add_sh(&l, "echo no >&2; exit 5");
	add_sh(&l, "echo ran > ran");
	/* In a process of its own: the log file stays open for good. */
	pid = fork();
	if (pid == 0) {
		if (log_open(log, LOG_FORMAT_TEXT, &e) < 0)
			_exit(1);
		log_set_level(LOG_LEVEL_WARN);
		hooks_run_all(&l, "poststop", "{}", dir);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(log_get_level(), old);
	assert_content("ran", "ran\n");
	text = content("log", NULL);
	assert_non_null(strstr(text, "poststop hook #1 (/bin/sh) exited with code 5: no"));
	assert_null(strstr(text, "hook #2"));
}

/* Runs in a forked process; the exit code says what came of it. */
static int run_apart(const oci_hooks_list *l)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct err e;

		for (int fd = 0; fd < 3; fd++)
			close(fd);
		_exit(run(l, &e) < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void hooks_run_when_our_stdio_is_closed(void **state)
{
	_hooks_clear_ oci_hooks_list l = {}, bad = {};

	add_sh(&l, "cat > stdin; echo x; echo y >&2; readlink /proc/$$/fd/1 | cat > stdout");
	assert_int_equal(run_apart(&l), 0);
	assert_content("stdin", "{\"id\":\"x\"}");
	assert_content("stdout", "/dev/null\n");
	add_path(&bad, "/does/not/exist");
	assert_int_equal(run_apart(&bad), 1);
}

/* As in the container's init: process 1 of a namespace, whose /proc shows another one. */
static void hooks_run_from_a_namespaces_init(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	int status;
	pid_t pid;

	add_sh(&l, "echo $$ > pid")->timeout = (struct opt_i32){ true, 20 };
	add_sh(&l, "sleep 60")->timeout = (struct opt_i32){ true, 1 };
	pid = fork();
	if (pid == 0) {
		struct err e;
		pid_t init;

		if (unshare(CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0)) < 0)
			_exit(2);
		init = fork();
		if (init == 0)
			_exit(run(&l, &e) == -ETIMEDOUT && getpid() == 1 ? 0 : 1);
		_exit(waitpid(init, &status, 0) == init && WIFEXITED(status) ?
			      WEXITSTATUS(status) :
			      3);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_content("pid", "2\n");
}

/* Should the runtime be killed, the hook does not go on behind its back. */
static void a_hook_dies_with_the_runtime(void **state)
{
	_hooks_clear_ oci_hooks_list l = {};
	_free_ char *text = NULL;
	int status;
	pid_t pid, hook;

	add_sh(&l, "echo $$ > tmp; mv tmp pid; exec sleep 60");
	pid = fork();
	if (pid == 0) {
		struct err e;

		run(&l, &e);
		_exit(0);
	}
	assert_true(pid > 0);
	for (int i = 0; i < 500 && !exists("pid"); i++)
		usleep(20000);
	text = content("pid", NULL);
	hook = atoi(text);
	assert_true(hook > 0 && !is_dead(hook));
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 1000 && !is_dead(hook); i++)
		usleep(20000);
	assert_true(is_dead(hook));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_hooks_is_no_error, clean),
		cmocka_unit_test_setup(a_hook_gets_the_state_on_stdin_and_the_bundle_as_cwd,
				       clean),
		cmocka_unit_test_setup(a_hook_gets_its_own_environment_alone, clean),
		cmocka_unit_test_setup(args_are_the_whole_argv_and_default_to_the_path,
				       clean),
		cmocka_unit_test_setup(hooks_run_in_order_and_the_first_failure_ends_it,
				       clean),
		cmocka_unit_test_setup(a_failure_without_words_is_named_all_the_same, clean),
		cmocka_unit_test_setup(a_hook_killed_by_a_signal_has_failed, clean),
		cmocka_unit_test_setup(the_end_of_a_long_stderr_is_kept, clean),
		cmocka_unit_test_setup(what_cannot_be_executed_says_why, clean),
		cmocka_unit_test_setup(a_hook_that_takes_too_long_is_killed_with_its_children,
				       clean),
		cmocka_unit_test_setup(a_hook_within_its_time_succeeds, clean),
		cmocka_unit_test_setup(what_a_hook_leaves_running_does_not_hold_us_up, clean),
		cmocka_unit_test_setup(a_hook_that_does_not_read_its_stdin_is_fine, clean),
		cmocka_unit_test_setup(a_state_beyond_the_size_of_a_pipe_arrives_whole,
				       clean),
		cmocka_unit_test_setup(a_hook_gets_no_descriptor_but_stdio, clean),
		cmocka_unit_test_setup(a_hook_gets_default_signals_and_ours_are_as_before,
				       clean),
		cmocka_unit_test_setup(other_children_are_left_to_their_owner, clean),
		cmocka_unit_test_setup(poststop_goes_on_after_a_failure_and_warns, clean),
		cmocka_unit_test_setup(hooks_run_when_our_stdio_is_closed, clean),
		cmocka_unit_test_setup(hooks_run_from_a_namespaces_init, clean),
		cmocka_unit_test_setup(a_hook_dies_with_the_runtime, clean),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
