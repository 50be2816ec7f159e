/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of src/cgroup that need no cgroups: rules, conversions, parsing, and what is written
 * to the files of cgroup2 (on plain files; cgroup_host_test.c has real groups). Needs no root.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

#define assert_ok(call)                                   \
	do {                                              \
		if ((call) < 0)                           \
			fail_msg("%s: %s", #call, e.msg); \
	} while (0)

static void shares_become_weights_with_the_defaults_equal(void **state)
{
	assert_int_equal(cgroup_shares_to_weight(2), 1);
	assert_int_equal(cgroup_shares_to_weight(1), 1);
	assert_int_equal(cgroup_shares_to_weight(1024), 100);
	assert_int_equal(cgroup_shares_to_weight(262144), 10000);
	assert_int_equal(cgroup_shares_to_weight(UINT64_MAX), 10000);
	for (uint64_t s = 2; s < 262144; s += 7)
		assert_true(cgroup_shares_to_weight(s) <= cgroup_shares_to_weight(s + 7));
}

static void block_io_weights_span_both_ranges(void **state)
{
	assert_int_equal(cgroup_blkio_to_io_weight(10), 1);
	assert_int_equal(cgroup_blkio_to_io_weight(1000), 10000);
	assert_int_equal(cgroup_blkio_to_io_weight(500), 4950);
}

static void swap_is_what_exceeds_memory(void **state)
{
	struct err e;
	int64_t v;

	assert_int_equal(cgroup_swap_to_v2(300, 100, &v, &e), 0);
	assert_int_equal(v, 200);
	assert_int_equal(cgroup_swap_to_v2(100, 100, &v, &e), 0);
	assert_int_equal(v, 0);
	assert_int_equal(cgroup_swap_to_v2(-1, 100, &v, &e), 0);
	assert_int_equal(v, -1);
	assert_int_equal(cgroup_swap_to_v2(99, 100, &v, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.resources.memory.swap"));
	assert_int_equal(cgroup_swap_to_v2(99, -1, &v, &e), -EINVAL);
}

static void check_path_rule(const char *given, bool privileged, const char *want,
			    bool want_own)
{
	_free_ char *path = NULL;
	struct err e;
	bool own;

	assert_int_equal(cgroup_path_choose(given, "c1", privileged, &own, &path, &e), 0);
	assert_string_equal(path, want);
	assert_int_equal(own, want_own);
}

static void paths_follow_the_rules(void **state)
{
	check_path_rule("/libpod_parent/libpod-1", true, "/libpod_parent/libpod-1", false);
	check_path_rule("/a//b/", true, "/a/b", false);
	check_path_rule("/a/b", false, "/a/b", false);
	check_path_rule("a/b", true, "/purple/a/b", false);
	check_path_rule("a/b", false, "/a/b", true);
	check_path_rule(NULL, true, "/purple-c1", false);
	check_path_rule("", true, "/purple-c1", false);
	check_path_rule(NULL, false, "/purple-c1", true);
	check_path_rule("/kubepods/a:b:c", true, "/kubepods/a:b:c", false);
	check_path_rule("/a/..b/c..", true, "/a/..b/c..", false);
}

static void bad_paths_are_refused(void **state)
{
	static const char *const bad[] = { "/a/../b", "..",	    "../x",  "/",
					   "/a/./b",  "/..",	    "/a/..", "///",
					   "a\nb",    "s.slice:p:n" };
	struct err e;
	char *path = NULL;
	bool own;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_true(cgroup_path_choose(bad[i], "c1", true, &own, &path, &e) < 0);
		assert_null(path);
		assert_non_null(strstr(e.msg, "linux.cgroupsPath"));
	}
	assert_non_null(strstr(e.msg, "slice:prefix:name"));
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
}

static void a_hybrid_host_is_recognised(void **state)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	struct err e;

	assert_int_equal(
		cgroup_host_parse(
			"25 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
			"31 23 0:28 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755\n"
			"32 31 0:29 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw,nsdelegate\n"
			"33 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
			"34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
			"35 31 0:32 / /mnt/with\\040blank rw - cgroup cgroup rw,memory\n"
			"36 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"5:memory:/user/me\n4:cpu,cpuacct:/\n1:name=systemd:/user/me\n0::/user/me\n",
			&h, &e),
		0);
	assert_int_equal(h.mode, CGROUP_HYBRID);
	assert_int_equal(h.v1.n, 3);
	assert_string_equal(h.unified.mount, "/sys/fs/cgroup/unified");
	assert_string_equal(h.unified.own, "/user/me");
	assert_string_equal(h.v1.v[1].mount, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(h.v1.v[1].controllers.n, 2);
	assert_string_equal(h.v1.v[2].mount, "/sys/fs/cgroup/memory");
	assert_true(cgroup_host_has(&h, "cpuacct"));
	assert_false(cgroup_host_has(&h, "io"));
}

static void a_v2_host_is_recognised_beside_a_stray_v1_mount(void **state)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	struct err e;

	assert_int_equal(cgroup_host_parse("32 31 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
					   "33 31 0:30 / /run/vpn/net_cls rw - cgroup cgroup rw,net_cls\n",
					   "2:net_cls:/\n0::/\n", &h, &e),
			 0);
	assert_int_equal(h.mode, CGROUP_V2);
	assert_int_equal(h.v1.n, 0);
}

static void a_mount_of_a_part_shortens_the_callers_path(void **state)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	struct err e;

	assert_int_equal(
		cgroup_host_parse(
			"36 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
			"37 31 0:33 /docker/abc /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
			"38 31 0:34 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n",
			"3:memory:/docker/abc/sub\n2:pids:/docker/abcd\n1:cpu:/../other\n",
			&h, &e),
		0);
	assert_int_equal(h.mode, CGROUP_V1);
	assert_string_equal(h.v1.v[0].own, "/sub");
	assert_string_equal(h.v1.v[1].own, "/");
	assert_string_equal(h.v1.v[2].own, "/");
}

static void no_mounts_is_no_error(void **state)
{
	_cgroup_host_clear_ struct cgroup_host h = {};
	struct err e;

	assert_int_equal(cgroup_host_parse("1 0 8:1 / / rw - ext4 /dev/sda rw\nbroken line\n",
					   "0::/\n", &h, &e),
			 0);
	assert_int_equal(h.mode, CGROUP_NONE);
	assert_true(cgroup_host_parse("", "nonsense\n", &h, &e) < 0);
	assert_true(cgroup_host_parse("", "0::relative\n", &h, &e) < 0);
}

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

static int fold(const struct oci_device_cgroup *rules, size_t n, bool *allow,
		cgroup_device_rules *out)
{
	cgroup_device_rules list = {};
	struct err e;
	int r;

	assert_int_equal(cgroup_device_rules_read(rules, n, &list, &e), 0);
	r = cgroup_device_rules_to_v1(&list, allow, out);
	free(list.v);
	return r;
}

static void ordered_rules_become_a_default_and_exceptions(void **state)
{
	struct oci_device_cgroup rules[] = {
		RULE(true, "c", NUM(9), NUM(9), "rwm"), /* forgotten at the next */
		RULE(false, NULL, ANY, ANY, NULL),
		RULE(true, "c", NUM(1), NUM(3), "rw"),
		RULE(true, "c", NUM(1), NUM(3), "m"),
		RULE(true, "b", NUM(8), NUM(-1), "r"),
		RULE(false, "c", NUM(1), NUM(3), "w"),
		RULE(false, "b", NUM(8), ANY, "rwm"),
	};
	cgroup_device_rules out = {};
	bool allow = true;

	assert_int_equal(fold(rules, ARRAY_SIZE(rules), &allow, &out), 0);
	assert_false(allow);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.v[0].access, CGROUP_DEV_READ | CGROUP_DEV_MKNOD);
	free(out.v);
}

static void a_hole_in_a_wildcard_is_not_for_v1(void **state)
{
	struct oci_device_cgroup rules[] = {
		RULE(false, "a", ANY, ANY, "rwm"),
		RULE(true, "c", ANY, ANY, "rwm"),
		RULE(false, "c", NUM(1), NUM(5), "rw"),
	};
	cgroup_device_rules out = {};
	bool allow;

	assert_int_equal(fold(rules, ARRAY_SIZE(rules), &allow, &out), -ENOTSUP);
	free(out.v);
}

static void bad_device_rules_are_named(void **state)
{
	struct oci_device_cgroup bad[] = {
		RULE(true, "p", ANY, ANY, "rwm"),
		RULE(true, "cc", ANY, ANY, "rwm"),
		RULE(true, "c", NUM(-2), ANY, "rwm"),
		RULE(true, "c", NUM(1), NUM(1LL << 33), "rwm"),
		RULE(true, "c", ANY, ANY, "rx"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cgroup_device_rules list = {};
		struct err e;

		assert_true(cgroup_device_rules_read(&bad[i], 1, &list, &e) < 0);
		assert_non_null(strstr(e.msg, "linux.resources.devices[0]."));
		assert_int_equal(e.kind, ERR_CONFIG);
		free(list.v);
	}
}

static void the_state_table_keeps_a_group(void **state)
{
	_cgroup_clear_ struct cgroup cg = { .mode = CGROUP_HYBRID, .path = strdup("/a") };
	_cgroup_clear_ struct cgroup copy = {};
	_buf_free_ struct buf text = {};
	_json_free_ struct json *j = NULL;
	struct err e;

	strmap_set(&cg.v1, "memory", "/sys/fs/cgroup/memory/a");
	cg.unified = strdup("/sys/fs/cgroup/unified/a");
	assert_int_equal(json_write(&cgroup_type, &cg, false, &text, &e), 0);
	assert_int_equal(json_parse(text.s, text.len, "state", &j, &e), 0);
	assert_int_equal(json_read(j, &cgroup_type, "state", &copy, &e), 0);
	assert_int_equal(copy.mode, CGROUP_HYBRID);
	assert_string_equal(copy.path, "/a");
	assert_string_equal(copy.unified, cg.unified);
	assert_string_equal(strmap_get(&copy.v1, "memory"), "/sys/fs/cgroup/memory/a");
}

static void needs_follow_what_is_given(void **state)
{
	struct oci_memory memory = { .limit = NUM(0), .kernel = NUM(0), .swap = NUM(-1) };
	struct oci_cpu cpu = { .shares = NUM(0), .cpus = (char *)"" };
	struct oci_pids pids = { .limit = NUM(0) };
	struct oci_resources r = { .memory = &memory, .cpu = &cpu };

	assert_int_equal(cgroup_needs(NULL), 0);
	assert_int_equal(cgroup_needs(&r), 0);
	memory.limit.value = 1;
	cpu.cpus = (char *)"0";
	r.pids = &pids;
	strmap_set(&r.unified, "io.max", "x");
	assert_int_equal(cgroup_needs(&r), CGROUP_NEEDS_MEMORY | CGROUP_NEEDS_CPUSET |
						   CGROUP_NEEDS_PIDS | CGROUP_NEEDS_IO);
	strmap_free(&r.unified);
}

static void no_group_does_nothing_and_refuses_limits(void **state)
{
	struct cgroup none = {};
	struct oci_pids p = { .limit = NUM(5) };
	struct oci_resources r = { .pids = &p }, empty = {};
	cgroup_pid_list l = {};
	bool frozen = true;
	struct err e;
	int fd = 7;

	assert_ok(cgroup_apply(&none, &empty, false, &e));
	assert_true(cgroup_apply(&none, &r, false, &e) < 0);
	assert_non_null(strstr(e.msg, "linux.resources.pids.limit"));
	assert_ok(cgroup_open(&none, &fd, &e));
	assert_int_equal(fd, -1);
	assert_ok(cgroup_enter(&none, 0, false, &e));
	assert_ok(cgroup_is_frozen(&none, &frozen, &e));
	assert_false(frozen);
	assert_true(cgroup_freeze(&none, true, &e) < 0);
	assert_ok(cgroup_pids(&none, &l, &e));
	assert_int_equal(l.n, 0);
	assert_ok(cgroup_kill(&none, SIGKILL, &e));
	assert_ok(cgroup_destroy(&none, &e));
	assert_true(cgroup_apply_devices(&none, NULL, 0, &e) < 0);
}

/* --- what is written to the files of cgroup2 --- */

static const char *const v2_files[] = {
	"cgroup.subtree_control",
	"memory.max",
	"memory.low",
	"memory.swap.max",
	"cpu.max",
	"cpu.max.burst",
	"cpu.weight",
	"cpu.idle",
	"cpuset.cpus",
	"cpuset.mems",
	"pids.max",
	"io.max",
	"io.weight",
	"hugetlb.2MB.max",
	"hugetlb.2MB.rsvd.max",
	"rdma.max",
	"memory.high",
};

static char fake_dir[] = "/tmp/purple-test-XXXXXX";
static struct cgroup fake;

static void put(const char *file, const char *text)
{
	_free_ char *path = fs_join(fake.unified, file);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Plain files, so writes go over what is there: each is emptied before the next use. */
static void empty_files(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(v2_files); i++)
		put(v2_files[i], "");
	put("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
}

static void assert_written(const char *file, const char *want)
{
	_free_ char *text = NULL;

	assert_int_equal(cgroup_read(fake.unified, file, &text), 0);
	assert_string_equal(text, want);
}

static int make_fake(void **state)
{
	snprintf(fake_dir, sizeof(fake_dir), "/tmp/purple-test-XXXXXX");
	if (!mkdtemp(fake_dir))
		return -1;
	fake = (struct cgroup){ .mode = CGROUP_V2,
				.path = strdup("/group"),
				.unified = str_printf("%s/group", fake_dir) };
	if (!fake.path || !fake.unified || mkdir(fake.unified, 0755) < 0)
		return -1;
	empty_files();
	return 0;
}

static int remove_fake(void **state)
{
	struct err e;

	cgroup_clear(&fake);
	return fs_remove_tree(AT_FDCWD, fake_dir, &e);
}

/* What the kernel may leave behind of a group whose last process died while it was frozen. */
static void a_group_without_processes_is_not_frozen(void **state)
{
	bool frozen = true;
	struct err e;

	put("cgroup.freeze", "");
	put("cgroup.events", "populated 0\nfrozen 1\n");
	assert_ok(cgroup_freeze(&fake, false, &e));
	assert_ok(cgroup_is_frozen(&fake, &frozen, &e));
	assert_false(frozen);
	assert_ok(cgroup_freeze(&fake, true, &e));
	put("cgroup.events", "populated 1\nfrozen 1\n");
	assert_ok(cgroup_is_frozen(&fake, &frozen, &e));
	assert_true(frozen);
}

static void v2_memory_is_written(void **state)
{
	struct oci_memory m = { .limit = NUM(1000),
				.swap = NUM(1500),
				.reservation = NUM(400) };
	struct oci_resources r = { .memory = &m };
	struct err e;

	assert_ok(cgroup_apply(&fake, &r, false, &e));
	assert_written("memory.max", "1000");
	assert_written("memory.swap.max", "500");
	assert_written("memory.low", "400");

	/* Swap alone counts from the present limit. */
	empty_files();
	put("memory.max", "1000\n");
	m = (struct oci_memory){ .swap = NUM(1200), .limit = NUM(0) };
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("memory.swap.max", "200");
	assert_written("memory.max", "1000\n");

	empty_files();
	m = (struct oci_memory){ .limit = NUM(-1), .reservation = NUM(-1) };
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("memory.max", "max");
	assert_written("memory.swap.max", "max");
	assert_written("memory.low", "0");
}

static void v2_refuses_what_only_v1_has(void **state)
{
	struct oci_memory m[] = {
		{ .swappiness = NUM(10) },
		{ .disable_oom_killer = NUM(true) },
		{ .kernel_tcp = NUM(100) },
		{ .use_hierarchy = NUM(false) },
	};
	const char *names[] = { "swappiness", "disableOOMKiller", "kernelTCP",
				"useHierarchy" };
	struct oci_cpu c = { .realtime_runtime = NUM(100) };
	struct oci_block_io b = { .leaf_weight = NUM(100) };
	struct oci_interface_priority p = { .name = (char *)"lo", .priority = 1 };
	struct oci_network n = { .priorities = { &p, 1 } };
	struct oci_resources r = {};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
		r.memory = &m[i];
		assert_int_equal(cgroup_apply(&fake, &r, false, &e), -EOPNOTSUPP);
		assert_non_null(strstr(e.msg, names[i]));
	}
	r = (struct oci_resources){ .cpu = &c };
	assert_int_equal(cgroup_apply(&fake, &r, false, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "linux.resources.cpu.realtimeRuntime"));
	r = (struct oci_resources){ .block_io = &b };
	assert_int_equal(cgroup_apply(&fake, &r, false, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "linux.resources.blockIO.leafWeight"));
	r = (struct oci_resources){ .network = &n };
	assert_int_equal(cgroup_apply(&fake, &r, false, &e), -EOPNOTSUPP);
	assert_non_null(strstr(e.msg, "linux.resources.network.priorities"));
}

static void v2_cpu_is_written(void **state)
{
	struct oci_cpu c = { .quota = NUM(5000),
			     .period = NUM(20000),
			     .shares = NUM(1024),
			     .burst = NUM(100),
			     .cpus = (char *)"0-1",
			     .mems = (char *)"0" };
	struct oci_resources r = { .cpu = &c };
	struct err e;

	assert_ok(cgroup_apply(&fake, &r, false, &e));
	assert_written("cpu.max", "5000 20000");
	assert_written("cpu.max.burst", "100");
	assert_written("cpu.weight", "100");
	assert_written("cpuset.cpus", "0-1");
	assert_written("cpuset.mems", "0");

	/* A quota alone keeps the period, a period alone the quota. */
	empty_files();
	c = (struct oci_cpu){ .quota = NUM(7000) };
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("cpu.max", "7000");
	put("cpu.max", "max 1\n");
	c = (struct oci_cpu){ .period = NUM(50000) };
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("cpu.max", "max 50000");
	empty_files();
	c = (struct oci_cpu){ .quota = NUM(-1), .idle = NUM(1) };
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("cpu.max", "max");
	assert_written("cpu.idle", "1");
}

static void v2_other_limits_are_written(void **state)
{
	struct oci_pids p = { .limit = NUM(0) };
	struct oci_throttle t = { .major = 8, .minor = 16, .rate = 1000 };
	struct oci_block_io b = { .throttle_write_bps = { &t, 1 }, .weight = NUM(1000) };
	struct oci_hugepage_limit l = { .page_size = (char *)"2MB", .limit = 9 };
	struct oci_rdma d = { .device = (char *)"mlx",
			      .hca_handles = NUM(3),
			      .hca_objects = NUM(4) };
	struct oci_resources r = {
		.pids = &p, .block_io = &b, .hugepage_limits = { &l, 1 }, .rdma = { &d, 1 }
	};
	struct err e;

	strmap_set(&r.unified, "memory.high", "77");
	assert_ok(cgroup_apply(&fake, &r, false, &e));
	strmap_free(&r.unified);
	assert_written("pids.max", "0");
	assert_written("io.max", "8:16 wbps=1000");
	assert_written("io.weight", "default 10000");
	assert_written("hugetlb.2MB.max", "9");
	assert_written("hugetlb.2MB.rsvd.max", "9");
	assert_written("rdma.max", "mlx hca_handle=3 hca_object=4");
	assert_written("memory.high", "77");
	put("pids.max", "");
	put("io.max", "");
	t.rate = 0;
	assert_ok(cgroup_apply(&fake, &r, true, &e));
	assert_written("pids.max", ""); /* zero in an update is no change */
	assert_written("io.max", "8:16 wbps=max");
}

static void v2_controllers_are_passed_on_from_the_root(void **state)
{
	_free_ char *root = strdup(fake_dir), *text = NULL,
		    *file = fs_join(fake_dir, "cgroup.subtree_control");
	struct err e;
	FILE *f = fopen(file, "we");

	assert_non_null(f);
	fputs("cpu", f);
	fclose(f);
	assert_ok(cgroup_v2_enable(&fake, "cpu", &e)); /* is there: no write */
	assert_int_equal(cgroup_read(root, "cgroup.subtree_control", &text), 0);
	assert_string_equal(text, "cpu");
	assert_ok(cgroup_v2_enable(&fake, "io", &e));
	free(text);
	assert_int_equal(cgroup_read(root, "cgroup.subtree_control", &text), 0);
	assert_string_equal(text, "+io");
	/* The group itself passes nothing on. */
	assert_written("cgroup.subtree_control", "");
}

static void pids_are_those_of_processes(void **state)
{
	cgroup_pid_list l = {};
	struct err e;

	put("cgroup.procs", "12\n0\n7\n12\n");
	assert_ok(cgroup_pids(&fake, &l, &e));
	assert_int_equal(l.n, 2);
	assert_int_equal(l.v[0], 7);
	assert_int_equal(l.v[1], 12);
	free(l.v);
	put("cgroup.procs", "7\n-1\n");
	assert_true(cgroup_pids(&fake, &l, &e) < 0);
	assert_non_null(strstr(e.msg, "cgroup.procs': '-1'"));
	put("cgroup.procs", "");
}

static void v2_figures_are_read(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct err e;

	put("memory.current", "4096\n");
	put("memory.peak", "8192\n");
	put("memory.max", "max\n");
	put("memory.swap.current", "10\n");
	put("memory.swap.max", "20\n");
	put("memory.stat", "anon 1\nfile 2\nkernel 7\ninactive_file 3\n");
	put("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\n");
	put("cpu.stat", "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 4\n"
			"nr_throttled 3\nthrottled_usec 2\n");
	put("pids.current", "6\n");
	put("pids.max", "9\n");
	put("io.stat",
	    "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n254:1 rbytes=5\n");
	put("hugetlb.2MB.current", "11\n");
	put("hugetlb.2MB.rsvd.current", "99\n");
	put("hugetlb.2MB.max", "12\n");
	put("hugetlb.2MB.events", "max 13\n");
	put("cpu.pressure", "some avg10=1.05 avg60=20.30 avg300=0.00 total=4711\n"
			    "full avg10=0.00 avg60=0.00 avg300=100.00 total=5\n");
	put("memory.pressure", "some of another kind\n");
	put("cpuset.cpus.effective", "0-3,8\n");
	assert_ok(cgroup_stats(&fake, &s, &e));
	assert_true(s.has_memory && s.has_swap && s.has_kernel_memory && s.has_cpu &&
		    s.has_pids && s.has_io);
	assert_int_equal(s.memory_usage, 4096);
	assert_int_equal(s.memory_peak, 8192);
	assert_true(s.memory_limit == CGROUP_UNLIMITED);
	assert_int_equal(s.memory_cache, 2);
	assert_int_equal(s.memory_inactive_file, 3);
	assert_int_equal(s.memory_failures, 5);
	assert_int_equal(s.oom_kills, 2);
	assert_int_equal(s.swap_usage, 10);
	assert_int_equal(s.swap_limit, 20);
	assert_int_equal(s.kernel_usage, 7);
	assert_int_equal(s.cpu_usage_ns, 30000);
	assert_int_equal(s.cpu_throttled_ns, 2000);
	assert_int_equal(s.pids_limit, 9);
	assert_int_equal(s.io.n, 2);
	assert_int_equal(s.io.v[0].writes, 4);
	assert_int_equal(s.io.v[1].major, 254);
	assert_int_equal(s.io.v[1].read_bytes, 5);
	assert_int_equal(s.hugetlb.n, 1);
	assert_int_equal(s.hugetlb.v[0].usage, 11);
	assert_int_equal(s.hugetlb.v[0].failures, 13);
	assert_true(s.cpu_pressure.set && !s.memory_pressure.set && !s.io_pressure.set);
	assert_int_equal(s.cpu_pressure.some.avg[0], 105);
	assert_int_equal(s.cpu_pressure.some.avg[1], 2030);
	assert_int_equal(s.cpu_pressure.some.total_us, 4711);
	assert_int_equal(s.cpu_pressure.full.avg[2], 10000);
	assert_string_equal(s.cpuset.cpus, "0-3,8");
	assert_null(s.cpuset.mems);
	put("pids.current", "not a number\n");
	assert_true(cgroup_stats(&fake, &s, &e) < 0);
	assert_non_null(strstr(e.msg, "pids.current"));
}

/* The kernel writes to memory.events for more reasons than one. */
static void v2_kills_are_heard_of(void **state)
{
	_cgroup_oom_watch_close_ struct cgroup_oom_watch w = CGROUP_OOM_WATCH_EMPTY;
	struct pollfd p = { .events = POLLIN };
	struct err e;

	put("memory.events", "max 0\noom_kill 1\n");
	assert_ok(cgroup_oom_watch_open(&fake, &w, &e));
	p.fd = w.fd;
	assert_int_equal(poll(&p, 1, 0), 0);
	put("memory.events", "max 1\noom_kill 1\n");
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_false(cgroup_oom_watch_take(&w));
	put("memory.events", "max 1\noom_kill 2\n");
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_true(cgroup_oom_watch_take(&w));
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_false(cgroup_oom_watch_take(&w));
}

#define FAKE_TEST(f) cmocka_unit_test_setup_teardown(f, make_fake, remove_fake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_become_weights_with_the_defaults_equal),
		cmocka_unit_test(block_io_weights_span_both_ranges),
		cmocka_unit_test(swap_is_what_exceeds_memory),
		cmocka_unit_test(paths_follow_the_rules),
		cmocka_unit_test(bad_paths_are_refused),
		cmocka_unit_test(a_hybrid_host_is_recognised),
		cmocka_unit_test(a_v2_host_is_recognised_beside_a_stray_v1_mount),
		cmocka_unit_test(a_mount_of_a_part_shortens_the_callers_path),
		cmocka_unit_test(no_mounts_is_no_error),
		cmocka_unit_test(ordered_rules_become_a_default_and_exceptions),
		cmocka_unit_test(a_hole_in_a_wildcard_is_not_for_v1),
		cmocka_unit_test(bad_device_rules_are_named),
		cmocka_unit_test(the_state_table_keeps_a_group),
		cmocka_unit_test(needs_follow_what_is_given),
		cmocka_unit_test(no_group_does_nothing_and_refuses_limits),
		FAKE_TEST(a_group_without_processes_is_not_frozen),
		FAKE_TEST(v2_memory_is_written),
		FAKE_TEST(v2_refuses_what_only_v1_has),
		FAKE_TEST(v2_cpu_is_written),
		FAKE_TEST(v2_other_limits_are_written),
		FAKE_TEST(v2_controllers_are_passed_on_from_the_root),
		FAKE_TEST(pids_are_those_of_processes),
		FAKE_TEST(v2_figures_are_read),
		FAKE_TEST(v2_kills_are_heard_of),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
