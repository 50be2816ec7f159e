/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/cgroup with real groups: on the host as it is, then on views of it without cgroup2 and with
 * nothing but cgroup2. Needs root. Groups are made below /purple-test-PID, where a sleeping
 * process keeps the parent in use, and removed again.
 */
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

#define ANY { .set = false }
#define NUM(n) { .set = true, .value = (n) }
#define RULE(al, t, ma, mi, acc) \
	{ .allow = (al), .type = (char *)(t), .major = ma, .minor = mi, .access = (char *)(acc) }

/* Set up for each group of tests; each test makes its own group below `top`. */
static struct {
	char top[64];
	pid_t holder;
	char unified[256]; /* mount point of cgroup2, also after it was unmounted */
	enum cgroup_mode mode;
	struct cgroup cg;
	struct cgroup_host host;
} env;

static char *test_path(const char *name)
{
	char *path = str_printf("%s/%s", env.top, name);

	assert_non_null(path);
	return path;
}

#define assert_ok(call) \
	do { \
		if ((call) < 0) \
			fail_msg("%s: %s", #call, e.msg); \
	} while (0)

#define needs(cond, reason) \
	do { \
		if (!(cond)) { \
			print_message("skipped: %s\n", reason); \
			skip(); \
		} \
	} while (0)

static void needs_controller(const char *name)
{
	if (!cgroup_host_has(&env.host, name)) {
		print_message("skipped: this view of the host has no %s controller\n", name);
		skip();
	}
}

/* A child in the group: does `work(arg)` there and exits with what it returns. */
static pid_t start_in(const struct cgroup *cg, int (*work)(void *), void *arg)
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

static int result_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_in(const struct cgroup *cg, int (*work)(void *), void *arg)
{
	return result_of(start_in(cg, work, arg));
}

_Noreturn static int sleep_long(void *arg)
{
	for (;;)
		pause();
}

static void wait_for_members(const struct cgroup *cg, size_t n)
{
	for (int i = 0; i < 500; i++) {
		cgroup_pid_list l = {};
		struct err e;
		size_t have;

		assert_ok(cgroup_pids(cg, &l, &e));
		have = l.n;
		free(l.v);
		if (have == n)
			return;
		cgroup_sleep_ms(10);
	}
	fail_msg("the group never had %zu processes", n);
}

static int make_group(void **state)
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

static int remove_group(void **state)
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

static void assert_file(const char *controller, const char *file_v1, const char *file_v2,
			const char *want)
{
	_free_ char *text = NULL;
	bool v2;
	const char *dir = cgroup_find(&env.cg, controller, &v2);

	assert_non_null(dir);
	assert_int_equal(cgroup_read(dir, v2 ? file_v2 : file_v1, &text), 0);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(text, want);
}

static int exists(const char *dir)
{
	return dir && access(dir, F_OK) == 0;
}

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
	bool was_there;
	const char *dir;

	needs(geteuid() == 0, "not root");
	parent = str_printf("%s/purple", env.host.unified.mount ? env.host.unified.mount :
								  env.host.v1.v[0].mount);
	was_there = exists(parent);
	snprintf(id, sizeof(id), "purple-test-%d", (int)getpid());
	assert_ok(cgroup_create(NULL, id, NULL, &cg, &e));
	assert_string_equal(cg.path + strlen("/purple/"), id);
	dir = cg.unified ? cg.unified : cg.v1.v[0];
	assert_true(exists(dir));
	assert_ok(cgroup_create("purple-test-rel", id, NULL, &second, &e));
	assert_string_equal(second.path, "/purple/purple-test-rel");
	assert_ok(cgroup_destroy(&cg, &e));
	assert_true(exists(parent));
	assert_ok(cgroup_destroy(&second, &e));
	assert_false(exists(dir));
	assert_int_equal(exists(parent), was_there);
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
	made = str_printf("%s%s/new", env.host.unified.mount ? env.host.unified.mount :
							       env.host.v1.v[0].mount, env.top);
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
	uint64_t start;
	pid_t pid;

	needs(geteuid() == 0, "not root");
	pid = start_in(&env.cg, sleep_long, NULL);
	wait_for_members(&env.cg, 1);
	start = cgroup_now_ms();
	assert_int_equal(cgroup_destroy(&env.cg, &e), -EBUSY);
	assert_true(cgroup_now_ms() - start < 8000);
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
		assert_int_equal(cgroup_write(strmap_get(&env.cg.v1, "pids"), "pids.max", "40"), 0);
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

/* The error of a limit that cannot be set. */
static void assert_refused(const struct oci_resources *r, bool update, const char *field,
			   const char *also)
{
	struct err e;

	assert_true(cgroup_apply(&env.cg, r, update, &e) < 0);
	if (!strstr(e.msg, field) || (also && !strstr(e.msg, also)))
		fail_msg("'%s' does not name %s and %s", e.msg, field, also ? also : "-");
	assert_null(strstr(e.msg, "o such file"));
}

#define MIB (1LL << 20)

static void memory_limits_go_up_and_down(void **state)
{
	struct oci_memory m = { .limit = NUM(64 * MIB), .swap = NUM(64 * MIB) };
	struct oci_resources r = { .memory = &m };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("memory");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_file("memory", "memory.limit_in_bytes", "memory.max", "67108864");
	m.limit.value = m.swap.value = 256 * MIB;
	m.reservation = (struct opt_i64)NUM(32 * MIB);
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("memory", "memory.limit_in_bytes", "memory.max", "268435456");
	assert_file("memory", "memory.soft_limit_in_bytes", "memory.low", "33554432");
	m.limit.value = m.swap.value = 32 * MIB;
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("memory", "memory.limit_in_bytes", "memory.max", "33554432");
	m = (struct oci_memory){ .limit = NUM(0), .swap = NUM(0), .kernel = NUM(0),
				 .reservation = NUM(0) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("memory", "memory.limit_in_bytes", "memory.max", "33554432");
	m.limit.value = -1;
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("memory", "memory.limit_in_bytes", "memory.max",
		    strmap_get(&env.cg.v1, "memory") ? "9223372036854771712" : "max");
}

static int eat_memory(void *arg)
{
	size_t size = 96 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	return 0;
}

_Noreturn static int hold_memory(void *arg)
{
	eat_memory(NULL);
	sleep_long(NULL);
}

static void bad_memory_limits_are_refused(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct err e;
	struct oci_memory m = { .kernel = NUM(MIB) };
	struct oci_resources r = { .memory = &m };

	needs(geteuid() == 0, "not root");
	assert_refused(&r, false, "linux.resources.memory.kernel", NULL);
	needs_controller("memory");
	m = (struct oci_memory){ .limit = NUM(64 * MIB), .swap = NUM(32 * MIB) };
	assert_refused(&r, false, "linux.resources.memory.swap", NULL);
	m = (struct oci_memory){ .limit = NUM(256 * MIB), .swap = NUM(256 * MIB) };
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	start_in(&env.cg, hold_memory, NULL);
	for (int i = 0; i < 500 && s.memory_usage < 90 * MIB; i++) {
		cgroup_stats_clear(&s);
		assert_ok(cgroup_stats(&env.cg, &s, &e));
		cgroup_sleep_ms(10);
	}
	assert_true(s.memory_usage >= 90 * MIB);
	m = (struct oci_memory){ .limit = NUM(64 * MIB), .swap = NUM(64 * MIB),
				 .check_before_update = NUM(true) };
	assert_refused(&r, true, "linux.resources.memory.limit", "present usage");
	assert_file("memory", "memory.limit_in_bytes", "memory.max", "268435456");
	wait_for_members(&env.cg, 1);
}

static void a_memory_limit_holds_and_is_counted(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct oci_memory m = { .limit = NUM(32 * MIB), .swap = NUM(32 * MIB) };
	struct oci_resources r = { .memory = &m };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("memory");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_int_equal(run_in(&env.cg, eat_memory, NULL), 128 + SIGKILL);
	assert_ok(cgroup_stats(&env.cg, &s, &e));
	assert_true(s.has_memory);
	assert_int_equal(s.memory_limit, 32 * MIB);
	assert_true(s.memory_peak > 16 * MIB && s.memory_peak <= 32 * MIB);
	assert_true(s.oom_kills >= 1);
	assert_true(s.memory_raw.n > 5);
}

static int fork_thrice(void *arg)
{
	int made = 0;

	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();

		if (pid == 0)
			sleep_long(NULL);
		made += pid > 0;
	}
	return made;
}

static void a_pids_limit_holds(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct oci_pids p = { .limit = NUM(2) };
	struct oci_resources r = { .pids = &p };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("pids");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_int_equal(run_in(&env.cg, fork_thrice, NULL), 1);
	assert_ok(cgroup_stats(&env.cg, &s, &e));
	assert_int_equal(s.pids_limit, 2);
	assert_int_equal(s.pids_current, 1);
	assert_ok(cgroup_kill(&env.cg, SIGKILL, &e));
	p.limit.value = 0; /* unchanged in an update, a limit in a new container */
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("pids", "pids.max", "pids.max", "2");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_file("pids", "pids.max", "pids.max", "0");
	assert_int_equal(run_in(&env.cg, fork_thrice, NULL), 0);
	p.limit.value = -1;
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("pids", "pids.max", "pids.max", "max");
}

static void cpu_limits_are_set(void **state)
{
	struct oci_cpu c = { .quota = NUM(25000), .period = NUM(50000), .shares = NUM(512),
			     .burst = NUM(10000) };
	struct oci_resources r = { .cpu = &c };
	bool v1 = strmap_get(&env.cg.v1, "cpu");
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("cpu");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_file("cpu", "cpu.cfs_quota_us", "cpu.max", v1 ? "25000" : "25000 50000");
	assert_file("cpu", "cpu.cfs_burst_us", "cpu.max.burst", "10000");
	assert_file("cpu", "cpu.shares", "cpu.weight", v1 ? "512" : "59");
	/* Period alone, then a quota below the burst together with a new burst. */
	c = (struct oci_cpu){ .period = NUM(100000), .quota = NUM(0), .shares = NUM(0) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("cpu", "cpu.cfs_quota_us", "cpu.max", v1 ? "25000" : "25000 100000");
	c = (struct oci_cpu){ .quota = NUM(5000), .burst = NUM(4000) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	c = (struct oci_cpu){ .quota = NUM(50000), .burst = NUM(40000) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("cpu", "cpu.cfs_burst_us", "cpu.max.burst", "40000");
	c = (struct oci_cpu){ .quota = NUM(-1), .burst = NUM(0) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("cpu", "cpu.cfs_quota_us", "cpu.max", v1 ? "-1" : "max 100000");
	c = (struct oci_cpu){ .idle = NUM(1), .shares = NUM(1024) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("cpu", "cpu.idle", "cpu.idle", "1");
	c = (struct oci_cpu){ .idle = NUM(0), .shares = NUM(2048) };
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("cpu", "cpu.idle", "cpu.idle", "0");
	c = (struct oci_cpu){ .quota = NUM(10) };
	assert_refused(&r, false, "linux.resources.cpu.quota", "Invalid argument");
}

static void cpusets_are_set(void **state)
{
	struct oci_cpu c = { .cpus = (char *)"0", .mems = (char *)"0" };
	struct oci_resources r = { .cpu = &c };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("cpuset");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_file("cpuset", "cpuset.cpus", "cpuset.cpus", "0");
	c.cpus = (char *)"0-100000";
	assert_refused(&r, false, "linux.resources.cpu.cpus", "cpuset.cpus'");
}

static void block_io_limits_are_set(void **state)
{
	struct stat st;
	struct oci_throttle t = { .rate = 1 << 20 }, w = { .rate = 50 };
	struct oci_block_io b = { .throttle_read_bps = { &t, 1 }, .throttle_write_iops = { &w, 1 } };
	struct oci_resources r = { .block_io = &b };
	char want[64];
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("io");
	needs(stat("/dev/vda", &st) == 0 || stat("/dev/sda", &st) == 0 ||
	      stat("/dev/nvme0n1", &st) == 0, "no block device");
	t.major = w.major = major(st.st_rdev);
	t.minor = w.minor = minor(st.st_rdev);
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	if (strmap_get(&env.cg.v1, "blkio")) {
		snprintf(want, sizeof(want), "%u:%u 1048576", major(st.st_rdev), minor(st.st_rdev));
		assert_file("io", "blkio.throttle.read_bps_device", "", want);
		snprintf(want, sizeof(want), "%u:%u 50", major(st.st_rdev), minor(st.st_rdev));
		assert_file("io", "blkio.throttle.write_iops_device", "", want);
	} else {
		snprintf(want, sizeof(want), "%u:%u rbps=1048576 wbps=max riops=max wiops=50",
			 major(st.st_rdev), minor(st.st_rdev));
		assert_file("io", "", "io.max", want);
	}
	t.rate = w.rate = 0;
	assert_ok(cgroup_apply(&env.cg, &r, true, &e));
	assert_file("io", "blkio.throttle.read_bps_device", "io.max", "");
	t.major = 4095;
	assert_refused(&r, false, "linux.resources.blockIO.throttleReadBpsDevice", "4095:");
}

static void block_io_weight_is_set_or_refused_by_name(void **state)
{
	struct oci_block_io b = { .weight = NUM(300) };
	struct oci_resources r = { .block_io = &b };
	const char *dir;
	struct err e;
	bool v2;

	needs(geteuid() == 0, "not root");
	needs_controller("io");
	dir = cgroup_find(&env.cg, "io", &v2);
	assert_non_null(dir);
	if (cgroup_has_file(dir, v2 ? "io.bfq.weight" : "blkio.bfq.weight")) {
		assert_ok(cgroup_apply(&env.cg, &r, false, &e));
		assert_file("io", "blkio.bfq.weight", "io.bfq.weight", v2 ? "default 300" : "300");
	} else if (v2 && cgroup_has_file(dir, "io.weight")) {
		assert_ok(cgroup_apply(&env.cg, &r, false, &e));
		assert_file("io", "", "io.weight", "default 2930");
	} else if (!v2 && cgroup_has_file(dir, "blkio.weight")) {
		assert_ok(cgroup_apply(&env.cg, &r, false, &e));
		assert_file("io", "blkio.weight", "", "300");
	} else {
		assert_refused(&r, false, "linux.resources.blockIO.weight", dir);
	}
	b = (struct oci_block_io){ .leaf_weight = NUM(300) };
	if (!cgroup_has_file(dir, "blkio.leaf_weight"))
		assert_refused(&r, false, "linux.resources.blockIO.leafWeight", NULL);
}

static void hugepage_limits_are_set(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct oci_hugepage_limit l = { .page_size = (char *)"2MB", .limit = 4 * MIB };
	struct oci_resources r = { .hugepage_limits = { &l, 1 } };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("hugetlb");
	needs(access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0, "no 2 MB pages");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	assert_file("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max", "4194304");
	assert_ok(cgroup_stats(&env.cg, &s, &e));
	assert_true(s.hugetlb.n >= 1);
	for (size_t i = 0; i < s.hugetlb.n; i++)
		if (streq(s.hugetlb.v[i].page_size, "2MB"))
			assert_int_equal(s.hugetlb.v[i].limit, 4 * MIB);
	l.page_size = (char *)"3MB";
	assert_refused(&r, false, "linux.resources.hugepageLimits", "hugetlb.3MB.");
	l.page_size = (char *)"2MB/../x";
	assert_refused(&r, false, "linux.resources.hugepageLimits", "pageSize");
}

static void limits_without_a_controller_are_refused_by_name(void **state)
{
	struct oci_memory m = { .limit = NUM(64 * MIB) };
	struct oci_pids p = { .limit = NUM(5) };
	struct oci_network n = { .class_id = NUM(1) };
	struct oci_rdma rdma = { .device = (char *)"mlx4_0", .hca_handles = NUM(1) };
	struct oci_cpu c = { .quota = NUM(20000) };
	struct oci_resources r = { .memory = &m };

	needs(geteuid() == 0, "not root");
	if (!cgroup_host_has(&env.host, "memory"))
		assert_refused(&r, false, "linux.resources.memory.limit", "memory controller");
	r = (struct oci_resources){ .pids = &p };
	if (!cgroup_host_has(&env.host, "pids"))
		assert_refused(&r, false, "linux.resources.pids.limit", "pids controller");
	r = (struct oci_resources){ .cpu = &c };
	if (!cgroup_host_has(&env.host, "cpu"))
		assert_refused(&r, false, "linux.resources.cpu.quota", "cpu controller");
	r = (struct oci_resources){ .network = &n };
	if (!cgroup_host_has(&env.host, "net_cls"))
		assert_refused(&r, false, "linux.resources.network.classID", "net_cls");
	r = (struct oci_resources){ .rdma = { &rdma, 1 } };
	if (!cgroup_host_has(&env.host, "rdma"))
		assert_refused(&r, false, "linux.resources.rdma", "rdma controller");
}

static void unified_keys_are_set_or_refused_by_name(void **state)
{
	struct oci_resources r = {};
	const char *bad[] = { "cgroup.procs", "cgroup.freeze", "../x.y", "a/b.c", "x",
			      "cgroup.nothing", "bogus.max" };
	struct err e;

	needs(geteuid() == 0, "not root");
	needs(env.cg.unified, "no cgroup2 mount");
	strmap_set(&r.unified, "cgroup.max.depth", "7");
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	{
		_free_ char *text = NULL;

		assert_int_equal(cgroup_read(env.cg.unified, "cgroup.max.depth", &text), 0);
		assert_string_equal(text, "7\n");
	}
	strmap_free(&r.unified);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		r.unified = (struct strmap){};
		strmap_set(&r.unified, bad[i], "1");
		assert_refused(&r, false, bad[i], "linux.resources.unified");
		strmap_free(&r.unified);
	}
	if (strmap_get(&env.cg.v1, "memory") || !cgroup_host_has(&env.host, "memory")) {
		r.unified = (struct strmap){};
		strmap_set(&r.unified, "memory.max", "67108864");
		assert_refused(&r, false, "linux.resources.unified['memory.max']", NULL);
		strmap_free(&r.unified);
	}
}

static int burn(void *arg)
{
	uint64_t end = cgroup_now_ms() + 100;

	while (cgroup_now_ms() < end)
		;
	return 0;
}

static void cpu_time_is_counted(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct err e;

	needs(geteuid() == 0, "not root");
	assert_int_equal(run_in(&env.cg, burn, NULL), 0);
	assert_ok(cgroup_stats(&env.cg, &s, &e));
	needs(s.has_cpu, "no CPU accounting here");
	assert_true(s.cpu_usage_ns > 20000000 && s.cpu_usage_ns < 5000000000);
	assert_true(s.cpu_user_ns + s.cpu_system_ns > 0);
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
	needs(!strmap_get(&env.cg.v1, "hugetlb"), "hugetlb is a v1 hierarchy");
	path = test_path("holder/x");
	assert_int_equal(cgroup_create(path, "x", &r, &cg, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "holds processes itself"));
	assert_non_null(strstr(e.msg, "/holder"));
	/* And the other way round. */
	sub = str_printf("%s/sub", env.cg.unified);
	assert_ok(cgroup_v2_enable(&env.cg, "hugetlb", &e));
	assert_int_equal(mkdir(sub, 0755), 0);
	assert_int_equal(cgroup_write(env.cg.unified, "cgroup.subtree_control", "+hugetlb"), 0);
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
		if (cgroup_create(NULL, id, NULL, &cg, &e) < 0 || cgroup_destroy(&cg, &e) < 0) {
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

static int set_up(void **state)
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

static int tear_down(void **state)
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
static bool become_v1_host(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2(env.unified, MNT_DETACH) == 0;
}

/* This process, and it alone, sees cgroup2 on /sys/fs/cgroup and nothing else. */
static bool become_v2_host(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2("/sys/fs/cgroup", MNT_DETACH) == 0 &&
	       mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) == 0;
}

#define GROUP_TEST(f) cmocka_unit_test_setup_teardown(f, make_group, remove_group)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_is_made_everywhere_and_removed),
		cmocka_unit_test(without_a_path_the_group_is_in_purple_and_leaves_nothing),
		cmocka_unit_test(a_refused_path_makes_nothing),
		cmocka_unit_test(a_user_without_rights_goes_without_but_never_silently_unlimited),
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
		GROUP_TEST(memory_limits_go_up_and_down),
		GROUP_TEST(bad_memory_limits_are_refused),
		GROUP_TEST(a_memory_limit_holds_and_is_counted),
		GROUP_TEST(a_pids_limit_holds),
		GROUP_TEST(cpu_limits_are_set),
		GROUP_TEST(cpusets_are_set),
		GROUP_TEST(block_io_limits_are_set),
		GROUP_TEST(block_io_weight_is_set_or_refused_by_name),
		GROUP_TEST(hugepage_limits_are_set),
		GROUP_TEST(limits_without_a_controller_are_refused_by_name),
		GROUP_TEST(unified_keys_are_set_or_refused_by_name),
		GROUP_TEST(cpu_time_is_counted),
		GROUP_TEST(processes_above_a_limited_group_are_explained),
		GROUP_TEST(a_process_can_be_moved_everywhere_but_cgroup2),
		cmocka_unit_test(containers_that_start_and_end_at_once_do_not_meet),
	};
	int failed;

	failed = cmocka_run_group_tests_name("cgroup, this host", tests, set_up, tear_down);
	if (geteuid() != 0 || env.mode == CGROUP_V2)
		return failed;
	if (unshare(CLONE_NEWNS) < 0) {
		print_message("skipped: other views of the host: unshare: %s\n", strerror(errno));
		return failed;
	}
	if (env.mode == CGROUP_HYBRID && become_v1_host())
		failed += cmocka_run_group_tests_name("cgroup, v1 alone", tests, set_up, tear_down);
	else
		print_message("skipped: the view of the host without cgroup2\n");
	if (become_v2_host())
		failed += cmocka_run_group_tests_name("cgroup, cgroup2 alone", tests, set_up,
						      tear_down);
	else
		print_message("skipped: the view of the host with cgroup2 alone\n");
	return failed;
}
