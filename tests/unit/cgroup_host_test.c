/* SPDX-License-Identifier: Apache-2.0 */
/* Real groups: where they are, their processes, freezing, killing, devices. See cgroup_host.h. */
#include "base/clock.h"
#include "cgroup_host.h"

static void a_group_is_made_everywhere_and_removed(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	_free_ char *path = NULL;
	_close_ int fd = -1;
	struct err e;

	needs(geteuid() == 0, "not root");
	path = test_path("x/y");
	assert_ok(cgroup_create(path, "x", NULL, &cg, &e));
	assert_int_equal(cg.mode, env.host.mode);
	assert_string_equal(cg.path, path);
	for (size_t i = 0; i < cg.v1.n; i++) {
		assert_true(exists(cg.v1.v[i]));
		assert_true(str_has_suffix(cg.v1.v[i], path));
	}
	assert_ok(cgroup_open(&cg, &fd, &e));
	assert_int_equal(fd >= 0, cg.unified != NULL);
	if (env.host.mode == CGROUP_HYBRID)
		assert_non_null(strmap_get(&cg.v1, env.host.v1.v[0].controllers.v[0]));
	assert_ok(cgroup_destroy(&cg, &e));
	for (size_t i = 0; i < cg.v1.n; i++)
		assert_false(exists(cg.v1.v[i]));
	assert_false(exists(cg.unified));
	/* A second time is fine. */
	assert_ok(cgroup_destroy(&cg, &e));
}

static void without_a_path_the_group_is_in_purple_and_leaves_nothing(void **state)
{
	_cgroup_clear_ struct cgroup cg = {}, second = {};
	_free_ char *parent = NULL;
	char id[64];
	struct err e;
	const char *dir;

	needs(geteuid() == 0, "not root");
	parent = str_printf("%s/purple", env.host.unified.mount ? env.host.unified.mount :
								  env.host.v1.v[0].mount);
	snprintf(id, sizeof(id), "purple-test-%d", (int)getpid());
	assert_ok(cgroup_create(NULL, id, NULL, &cg, &e));
	assert_string_equal(cg.path + strlen("/purple-"), id);
	dir = cg.unified ? cg.unified : cg.v1.v[0];
	assert_true(exists(dir));
	assert_ok(cgroup_create("purple-test-rel", id, NULL, &second, &e));
	assert_string_equal(second.path, "/purple/purple-test-rel");
	assert_ok(cgroup_destroy(&cg, &e));
	assert_true(exists(parent));
	assert_ok(cgroup_destroy(&second, &e));
	assert_false(exists(dir));
	/* Groups of others may keep it. */
	assert_true(!exists(parent) || rmdir(parent) < 0);
}

static void a_group_in_use_is_refused_and_an_empty_one_taken(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	_free_ char *path = NULL;
	struct err e;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	path = test_path("t");
	pid = start_in(&env.cg, sleep_long, NULL);
	wait_for_members(&env.cg, 1);
	assert_int_equal(cgroup_create(path, "t", NULL, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "is in use"));
	assert_true(exists(env.cg.unified ? env.cg.unified : env.cg.v1.v[0]));
	kill(pid, SIGKILL);
	result_of(pid);
	wait_for_members(&env.cg, 0);
	assert_ok(cgroup_create(path, "t", NULL, &cg, &e));
}

static void a_refused_path_makes_nothing(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	_free_ char *path = NULL, *made = NULL;
	struct err e;

	needs(geteuid() == 0, "not root");
	path = test_path("new/cgroup.procs/z");
	assert_true(cgroup_create(path, "t", NULL, &cg, &e) < 0);
	made = str_printf("%s%s/new",
			  env.host.unified.mount ? env.host.unified.mount :
						   env.host.v1.v[0].mount,
			  env.top);
	assert_false(exists(made));
}

static int write_self(void *arg)
{
	char pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return cgroup_write(arg, "cgroup.procs", pid) < 0 ? 98 : sleep_long(NULL);
}

static void processes_of_sub_groups_are_found_killed_and_removed(void **state)
{
	_free_ char *deep = NULL;
	struct err e;
	pid_t a, b;

	needs(geteuid() == 0, "not root");
	deep = str_printf("%s/s1/s2/s3", env.cg.unified ? env.cg.unified : env.cg.v1.v[0]);
	assert_ok(fs_mkdir_p(deep, 0755, &e));
	a = start_in(&env.cg, sleep_long, NULL);
	b = start_in(&env.cg, write_self, deep);
	wait_for_members(&env.cg, 2);
	assert_int_equal(cgroup_destroy(&(struct cgroup){ .path = env.cg.path }, &e), 0);
	assert_ok(cgroup_kill(&env.cg, SIGTERM, &e));
	assert_int_equal(result_of(a), 128 + SIGTERM);
	assert_int_equal(result_of(b), 128 + SIGTERM);
	/* Nobody left is fine for any signal. */
	assert_ok(cgroup_kill(&env.cg, SIGTERM, &e));
	assert_ok(cgroup_kill(&env.cg, SIGKILL, &e));
	assert_ok(cgroup_destroy(&env.cg, &e));
	assert_false(exists(deep));
}

static void a_very_deep_tree_is_removed(void **state)
{
	_close_ int fd = -1;
	struct err e;

	needs(geteuid() == 0, "not root");
	fd = open(env.cg.unified ? env.cg.unified : env.cg.v1.v[0],
		  O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < 300; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "a-name-that-makes-the-path-long", 0755), 0);
		if (i % 50 == 0)
			assert_int_equal(mkdirat(fd, "b", 0755), 0);
		next = openat(fd, "a-name-that-makes-the-path-long",
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	assert_ok(cgroup_destroy(&env.cg, &e));
	assert_false(exists(env.cg.unified ? env.cg.unified : env.cg.v1.v[0]));
}

static void a_busy_group_cannot_be_removed_and_says_who(void **state)
{
	char who[32];
	struct err e;
	int64_t start;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	pid = start_in(&env.cg, sleep_long, NULL);
	wait_for_members(&env.cg, 1);
	start = clock_ms(CLOCK_MONOTONIC);
	assert_int_equal(cgroup_destroy(&env.cg, &e), -EBUSY);
	assert_true(clock_ms(CLOCK_MONOTONIC) - start < 60000);
	snprintf(who, sizeof(who), "process %d ", (int)pid);
	assert_non_null(strstr(e.msg, who));
}

static void a_dying_process_is_waited_for(void **state)
{
	struct err e;

	needs(geteuid() == 0, "not root");
	for (int i = 0; i < 20; i++)
		start_in(&env.cg, sleep_long, NULL);
	wait_for_members(&env.cg, 20);
	assert_ok(cgroup_kill(&env.cg, SIGKILL, &e));
	assert_ok(cgroup_destroy(&env.cg, &e));
	assert_false(exists(env.cg.unified ? env.cg.unified : env.cg.v1.v[0]));
}

_Noreturn static int count_up(void *arg)
{
	volatile uint64_t *n = arg;

	for (;;)
		(*n)++;
}

static void freezing_stops_and_thawing_continues(void **state)
{
	volatile uint64_t *n;
	uint64_t before;
	bool frozen = true;
	struct err e;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(n, MAP_FAILED);
	assert_ok(cgroup_is_frozen(&env.cg, &frozen, &e));
	assert_false(frozen);
	pid = start_in(&env.cg, count_up, (void *)n);
	while (*n == 0)
		cgroup_sleep_ms(1);
	assert_ok(cgroup_freeze(&env.cg, true, &e));
	assert_ok(cgroup_is_frozen(&env.cg, &frozen, &e));
	assert_true(frozen);
	before = *n;
	cgroup_sleep_ms(50);
	assert_int_equal(*n, before);
	assert_ok(cgroup_freeze(&env.cg, true, &e)); /* again is fine */
	assert_ok(cgroup_freeze(&env.cg, false, &e));
	assert_ok(cgroup_is_frozen(&env.cg, &frozen, &e));
	assert_false(frozen);
	cgroup_sleep_ms(50);
	assert_true(*n > before);

	/* SIGTERM to a group that the v1 freezer holds waits for the thaw. */
	assert_ok(cgroup_freeze(&env.cg, true, &e));
	assert_ok(cgroup_kill(&env.cg, SIGTERM, &e));
	if (strmap_get(&env.cg.v1, "freezer")) {
		assert_ok(cgroup_is_frozen(&env.cg, &frozen, &e));
		assert_true(frozen);
		cgroup_sleep_ms(20);
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	}
	assert_ok(cgroup_freeze(&env.cg, false, &e));
	assert_int_equal(result_of(pid), 128 + SIGTERM);
	munmap((void *)n, 4096);
}

static void kill_reaches_a_frozen_group(void **state)
{
	struct err e;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	pid = start_in(&env.cg, sleep_long, NULL);
	wait_for_members(&env.cg, 1);
	assert_ok(cgroup_freeze(&env.cg, true, &e));
	assert_ok(cgroup_kill(&env.cg, SIGKILL, &e));
	assert_int_equal(result_of(pid), 128 + SIGKILL);
}

static int fork_on(void *arg)
{
	for (;;) {
		pid_t pid = fork();

		if (pid == 0)
			usleep(2000);
		if (pid > 0 && *(volatile int *)arg)
			_exit(0);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(500);
	}
}

static void a_forking_group_is_killed_without_cgroup_kill_too(void **state)
{
	_cgroup_clear_ struct cgroup v1_only = {};
	static int stop;
	struct err e;

	needs(geteuid() == 0, "not root");
	needs(strmap_get(&env.cg.v1, "freezer"), "no v1 freezer here");
	assert_int_equal(strmap_copy(&env.cg.v1, &v1_only.v1), 0);
	v1_only.mode = CGROUP_V1;
	v1_only.path = strdup(env.cg.path);
	/* Bounded by pids.max, should the kill fail. */
	if (strmap_get(&env.cg.v1, "pids"))
		assert_int_equal(cgroup_write(strmap_get(&env.cg.v1, "pids"), "pids.max",
					      "40"),
				 0);
	start_in(&env.cg, fork_on, &stop);
	cgroup_sleep_ms(100);
	assert_ok(cgroup_kill(&v1_only, SIGKILL, &e));
	wait_for_members(&env.cg, 0);
	wait_for_members(&v1_only, 0);
}

static int devices_allowed(void *arg)
{
	int result = 0, fd;

	fd = open("/dev/null", O_RDWR);
	result |= fd >= 0 ? 1 : 0;
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	result |= fd >= 0 ? 2 : 0;
	close(fd);
	fd = open("/dev/zero", O_WRONLY);
	result |= fd >= 0 ? 4 : 0;
	close(fd);
	unlink(arg);
	result |= mknod(arg, S_IFCHR | 0600, makedev(1, 7)) == 0 ? 8 : 0;
	result |= access(arg, F_OK) == 0 && (fd = open(arg, O_RDONLY)) >= 0 ? 16 : 0;
	unlink(arg);
	return result;
}

static int try_devices(const struct oci_device_cgroup *rules, size_t n)
{
	char node[64];
	struct err e;

	snprintf(node, sizeof(node), "/tmp/purple-test-node-%d", (int)getpid());
	assert_ok(cgroup_apply_devices(&env.cg, rules, n, &e));
	return run_in(&env.cg, devices_allowed, node);
}

static void device_rules_hold(void **state)
{
	struct oci_device_cgroup some[] = {
		RULE(false, NULL, ANY, ANY, "rwm"),
		RULE(true, "c", NUM(1), NUM(3), "rw"),
		RULE(true, "c", NUM(1), NUM(5), "r"),
	};
	struct oci_device_cgroup node_only[] = { RULE(true, "c", ANY, ANY, "m") };
	struct oci_device_cgroup all[] = { RULE(true, "a", ANY, ANY, "rwm") };
	struct oci_device_cgroup all_but[] = {
		RULE(true, "a", ANY, ANY, "rwm"),
		RULE(false, "c", NUM(1), NUM(5), "w"),
	};
	struct oci_device_cgroup last_wins[] = {
		RULE(true, "c", NUM(1), NUM(3), "rwm"),
		RULE(false, "a", ANY, ANY, "rwm"),
		RULE(true, "c", NUM(1), NUM(5), "rw"),
		RULE(false, "c", NUM(1), NUM(5), "w"),
	};

	needs(geteuid() == 0, "not root");
	assert_int_equal(try_devices(some, ARRAY_SIZE(some)), 1 | 2);
	assert_int_equal(try_devices(node_only, 1), 8);
	assert_int_equal(try_devices(all, 1), 31);
	assert_int_equal(try_devices(all_but, ARRAY_SIZE(all_but)), 31 & ~4);
	assert_int_equal(try_devices(last_wins, ARRAY_SIZE(last_wins)), 2);
	/* Nothing is named, nothing is allowed. */
	assert_int_equal(try_devices(NULL, 0), 0);
}

static void a_hole_in_a_wildcard_holds(void **state)
{
	struct oci_device_cgroup hole[] = {
		RULE(false, "a", ANY, ANY, "rwm"),
		RULE(true, "c", ANY, ANY, "rwm"),
		RULE(false, "c", NUM(1), NUM(5), "r"),
	};

	needs(geteuid() == 0, "not root");
	needs(env.cg.unified, "no cgroup2 mount");
	assert_int_equal(try_devices(hole, ARRAY_SIZE(hole)), 31 & ~2);
}

static void processes_above_a_limited_group_are_explained(void **state)
{
	_cgroup_clear_ struct cgroup cg = {};
	_free_ char *path = NULL, *sub = NULL;
	struct oci_hugepage_limit l = { .page_size = (char *)"2MB", .limit = 4 * MIB };
	struct oci_resources r = { .hugepage_limits = { &l, 1 } };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs(env.cg.unified, "no cgroup2 mount");
	needs_controller("hugetlb");
	needs(!strmap_get(&env.cg.v1, "hugetlb"), "needs a controller in cgroup2");
	path = test_path("holder/x");
	assert_int_equal(cgroup_create(path, "x", &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "holds processes itself"));
	assert_non_null(strstr(e.msg, "/holder"));
	/* And the other way round. */
	sub = str_printf("%s/sub", env.cg.unified);
	assert_ok(cgroup_v2_enable(&env.cg, "hugetlb", &e));
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(cgroup_write(env.cg.unified, "cgroup.subtree_control", "+hugetlb"),
			 0);
	assert_int_equal(cgroup_enter(&env.cg, env.holder, false, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "passes controllers on"));
}

static int create_and_destroy(void *arg)
{
	for (int i = 0; i < 40; i++) {
		struct cgroup cg = {};
		char id[64];
		struct err e;

		snprintf(id, sizeof(id), "purple-test-%d", (int)getpid());
		if (cgroup_create(NULL, id, NULL, &cg, &e) < 0 ||
		    cgroup_destroy(&cg, &e) < 0) {
			fprintf(stderr, "%s\n", e.msg);
			return 1;
		}
		cgroup_clear(&cg);
	}
	return 0;
}

/* /purple comes and goes with its last container. */
static void containers_that_start_and_end_at_once_do_not_meet(void **state)
{
	pid_t pids[4];

	needs(geteuid() == 0, "not root");
	fflush(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(create_and_destroy(NULL));
	}
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		assert_int_equal(result_of(pids[i]), 0);
}

static void a_process_can_be_moved_everywhere_but_cgroup2(void **state)
{
	cgroup_pid_list l = {}, v1 = {};
	struct err e;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	needs(env.host.mode == CGROUP_HYBRID, "not a hybrid host");
	pid = fork();
	if (pid == 0)
		sleep_long(NULL);
	assert_ok(cgroup_enter(&env.cg, pid, true, &e));
	assert_ok(cgroup_dir_pids(env.cg.v1.v[0], &v1, &e));
	assert_ok(cgroup_pids(&env.cg, &l, &e));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(l.n, 0);
	assert_int_equal(v1.n, 1);
	assert_int_equal(v1.v[0], pid);
	free(l.v);
	free(v1.v);
	assert_true(cgroup_enter(&env.cg, pid, false, &e) < 0);
}

/* What an ordinary user gets who has no rights on any group; runs in a child. */
static int create_as_user(void *arg)
{
	struct oci_pids p = { .limit = NUM(5) };
	struct oci_resources r = { .pids = &p };
	struct cgroup cg = {};
	struct err e;

	if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
		return 1;
	if (cgroup_create(NULL, "t", NULL, &cg, &e) < 0 || cg.mode != CGROUP_NONE)
		return 2;
	if (cgroup_create(NULL, "t", &r, &cg, &e) == 0 || !strstr(e.msg, "linux.resources"))
		return 3;
	if (cgroup_create("/purple-test-user/x", "t", NULL, &cg, &e) == 0 ||
	    !strstr(e.msg, "linux.cgroupsPath"))
		return 4;
	return 0;
}

static void a_user_without_rights_goes_without_but_never_silently_unlimited(void **state)
{
	pid_t pid;

	needs(geteuid() == 0, "not root");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(create_as_user(NULL));
	assert_int_equal(result_of(pid), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_made_everywhere_and_removed),
		cmocka_unit_test(without_a_path_the_group_is_in_purple_and_leaves_nothing),
		cmocka_unit_test(a_refused_path_makes_nothing),
		cmocka_unit_test(
			a_user_without_rights_goes_without_but_never_silently_unlimited),
		GROUP_TEST(a_group_in_use_is_refused_and_an_empty_one_taken),
		GROUP_TEST(processes_of_sub_groups_are_found_killed_and_removed),
		GROUP_TEST(a_very_deep_tree_is_removed),
		GROUP_TEST(a_busy_group_cannot_be_removed_and_says_who),
		GROUP_TEST(a_dying_process_is_waited_for),
		GROUP_TEST(freezing_stops_and_thawing_continues),
		GROUP_TEST(kill_reaches_a_frozen_group),
		GROUP_TEST(a_forking_group_is_killed_without_cgroup_kill_too),
		GROUP_TEST(device_rules_hold),
		GROUP_TEST(a_hole_in_a_wildcard_holds),
		GROUP_TEST(processes_above_a_limited_group_are_explained),
		GROUP_TEST(a_process_can_be_moved_everywhere_but_cgroup2),
		cmocka_unit_test(containers_that_start_and_end_at_once_do_not_meet),
	};

	return run_in_all_views(tests, ARRAY_SIZE(tests));
}
