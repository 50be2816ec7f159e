/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that join namespaces of others, and the state folder's lock: what is seen only from
 * inside. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "container/state.h"
#include "linux/ns.h"

/* Tells by its exit code whether it can be dumped, which is whether others may look into it. */
static void tell_dumpable(void *arg)
{
	_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 10 : 11);
}

/* From its very first step: a container's process may be waiting for it there. */
static void test_joining_child_is_undumpable(void **state)
{
	struct ns_join join = { .flag = CLONE_NEWPID, .fd = -1 };
	struct ns_plan plan = { .needs_stage = true };
	bool in_cgroup;
	struct err e;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("skipped: needs root\n");
		skip();
	}
	join.fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	assert_true(join.fd >= 0);
	plan.joins.v = &join;
	plan.joins.n = 1;
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	if (ns_spawn(&plan, -1, tell_dumpable, NULL, &pid, &in_cgroup, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 10);
	assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
	close(join.fd);
}

struct folder {
	char root[64];
};

static int make_folder(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	snprintf(f->root, sizeof(f->root), "/tmp/purple-container-XXXXXX");
	*state = f;
	return mkdtemp(f->root) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *f = *state;
	struct err e;
	int r = fs_remove_tree(AT_FDCWD, f->root, &e);

	free(f);
	return r;
}

/* A create that finds the folder taken under its hands must not remove what another one made. */
static void test_create_leaves_a_foreign_folder_alone(void **state)
{
	struct folder *f = *state;
	_free_ char *dir = fs_join(f->root, "one"),
		    *file = fs_join(f->root, "one/state.json");
	struct container first = CONTAINER_EMPTY, second = CONTAINER_EMPTY;
	struct err e = {};

	assert_int_equal(container_state_create(f->root, "one", &first, &e), 0);
	first.st.id = strdup("one");
	assert_int_equal(container_state_save(&first, &e), 0);
	assert_int_equal(container_state_create(f->root, "one", &second, &e), -EEXIST);
	assert_int_equal(e.kind, ERR_EXISTS);
	assert_int_equal(access(file, F_OK), 0);
	container_close(&first);
	assert_int_equal(access(dir, F_OK), 0);
}

/* Waits for the lock as a second command does, while the first one removes the container. */
static int open_locked(const char *root)
{
	struct container c = CONTAINER_EMPTY;
	struct err e = {};
	int r = container_open(root, "one", true, &c, &e);

	if (r == 0) {
		container_close(&c);
		return 1;
	}
	return e.kind == ERR_NOT_EXIST ? 0 : 2;
}

static void test_lock_of_a_removed_container_is_no_container(void **state)
{
	struct folder *f = *state;
	struct container c = CONTAINER_EMPTY;
	struct err e = {};
	int status;
	pid_t pid;

	assert_int_equal(container_state_create(f->root, "one", &c, &e), 0);
	c.st.id = strdup("one");
	assert_int_equal(container_state_save(&c, &e), 0);
	pid = fork();
	if (pid == 0)
		_exit(open_locked(f->root));
	assert_true(pid > 0);
	usleep(300 * 1000);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(container_state_remove(&c, &e), 0);
	container_close(&c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joining_child_is_undumpable),
		cmocka_unit_test_setup_teardown(test_create_leaves_a_foreign_folder_alone,
						make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_lock_of_a_removed_container_is_no_container,
						make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
