/* SPDX-License-Identifier: Apache-2.0 */
/* Real groups: limits and figures. See cgroup_host.h. */
#include "cgroup_host.h"

#include <time.h>

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
	m = (struct oci_memory){
		.limit = NUM(0), .swap = NUM(0), .kernel = NUM(0), .reservation = NUM(0)
	};
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
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

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
	m = (struct oci_memory){ .limit = NUM(64 * MIB),
				 .swap = NUM(64 * MIB),
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
	struct oci_cpu c = { .quota = NUM(25000),
			     .period = NUM(50000),
			     .shares = NUM(512),
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
	struct oci_block_io b = { .throttle_read_bps = { &t, 1 },
				  .throttle_write_iops = { &w, 1 } };
	struct oci_resources r = { .block_io = &b };
	char want[64];
	struct err e;

	needs(geteuid() == 0, "not root");
	needs_controller("io");
	needs(stat("/dev/vda", &st) == 0 || stat("/dev/sda", &st) == 0 ||
		      stat("/dev/nvme0n1", &st) == 0,
	      "needs a block device");
	t.major = w.major = major(st.st_rdev);
	t.minor = w.minor = minor(st.st_rdev);
	assert_ok(cgroup_apply(&env.cg, &r, false, &e));
	if (strmap_get(&env.cg.v1, "blkio")) {
		snprintf(want, sizeof(want), "%u:%u 1048576", major(st.st_rdev),
			 minor(st.st_rdev));
		assert_file("io", "blkio.throttle.read_bps_device", "", want);
		snprintf(want, sizeof(want), "%u:%u 50", major(st.st_rdev),
			 minor(st.st_rdev));
		assert_file("io", "blkio.throttle.write_iops_device", "", want);
	} else {
		snprintf(want, sizeof(want),
			 "%u:%u rbps=1048576 wbps=max riops=max wiops=50",
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
		assert_file("io", "blkio.bfq.weight", "io.bfq.weight",
			    v2 ? "default 300" : "300");
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
	needs(access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0,
	      "needs 2 MB pages");
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
		assert_refused(&r, false, "linux.resources.memory.limit",
			       "memory controller");
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
	const char *bad[] = { "cgroup.procs",	"cgroup.freeze", "../x.y", "a/b.c", "x",
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

/* 100 ms of a processor, however long that takes. */
static int burn(void *arg)
{
	struct timespec t;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	while (t.tv_sec == 0 && t.tv_nsec < 100000000);
	return 0;
}

static void cpu_time_is_counted(void **state)
{
	_cgroup_stats_clear_ struct cgroup_stats s = {};
	struct err e;

	needs(geteuid() == 0, "not root");
	assert_int_equal(run_in(&env.cg, burn, NULL), 0);
	assert_ok(cgroup_stats(&env.cg, &s, &e));
	needs(s.has_cpu, "needs CPU accounting");
	assert_true(s.cpu_usage_ns > 20000000 && s.cpu_usage_ns < 5000000000);
	assert_true(s.cpu_user_ns + s.cpu_system_ns > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return run_in_all_views(tests, ARRAY_SIZE(tests));
}
