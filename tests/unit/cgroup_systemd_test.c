/* SPDX-License-Identifier: Apache-2.0 */
/* Names and properties of systemd units: the pure parts, and files of a folder that stands in for a
 * group. What systemd makes of them is tests/vm's matter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/systemd.h"
#include "cgroup/systemd_wire.h"

/* --- names --- */

static void check_name(const char *path, const char *id, bool user, const char *unit,
		       const char *slice)
{
	_unit_name_clear_ struct unit_name n = {};
	struct err e = {};

	if (unit_name_choose(path, id, user, &n, &e) < 0)
		fail_msg("%s: %s", path, e.msg);
	assert_string_equal(n.unit, unit);
	if (slice)
		assert_string_equal(n.slice, slice);
	else
		assert_null(n.slice);
}

static void test_names(void **state)
{
	check_name(NULL, "c1", false, "purple-c1.scope", "system.slice");
	check_name("", "c1", true, "purple-c1.scope", "user.slice");
	check_name("machine.slice:libpod:abc", "x", false, "libpod-abc.scope",
		   "machine.slice");
	check_name("::abc", "x", false, "abc.scope", "system.slice");
	check_name("-.slice:a:b", "x", false, "a-b.scope", "-.slice");
	check_name("kubepods-pod1_2.slice:cri-containerd:f0", "x", false,
		   "cri-containerd-f0.scope", "kubepods-pod1_2.slice");
	/* What means something in a unit's name. */
	check_name(":p:a+b@c/d\\e f", "x", false,
		   "p-a\\x2bb\\x40c\\x2fd\\x5ce\\x20f.scope", "system.slice");
	/* Slices say themselves where they are. */
	check_name("::a-b.slice", "x", false, "a-b.slice", NULL);
	check_name("a.slice:p:a-b.slice", "x", false, "a-b.slice", NULL);
	check_name("-.slice::a.slice", "x", false, "a.slice", NULL);
}

static void test_bad_names(void **state)
{
	static const char *const bad[] = {
		"/a/b",
		"a",
		"a.slice:b",
		"a:b:c:d",
		"a.slice:b:",
		"a:b:c",
		"a.scope:b:c",
		".slice:a:b",
		"-a.slice:b:c",
		"a-.slice:b:c",
		"a--b.slice:c:d",
		"../x.slice:a:b",
		"a/b.slice:c:d",
		"a b.slice:c:d",
		"::-.slice",
		"::.slice",
		"b.slice::a-c.slice",
		"::a/../b.slice",
		"\n.slice:a:b",
		"a@b.slice:c:d",
	};
	_free_ char *longest = str_printf("a.slice:b:%0300d", 0);

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_unit_name_clear_ struct unit_name n = {};
		struct err e = {};

		if (unit_name_choose(bad[i], "x", false, &n, &e) != -EINVAL)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(strstr(e.msg, "linux.cgroupsPath"));
		assert_null(n.unit);
	}
	assert_int_equal(unit_name_choose(longest, "x", false, &(struct unit_name){},
					  &(struct err){}),
			 -ENAMETOOLONG);
}

static void test_paths(void **state)
{
	static const struct {
		const char *slice, *path;
	} rows[] = {
		{ "system.slice", "/system.slice/u.scope" },
		{ "-.slice", "/u.scope" },
		{ "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice/u.scope" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct unit_name n = { .unit = (char *)"u.scope",
				       .slice = (char *)rows[i].slice };
		_free_ char *path = unit_name_path(&n);

		assert_string_equal(path, rows[i].path);
	}
}

/* What a state file may say of a unit. */
static void test_state(void **state)
{
	struct cgroup good = { .mode = CGROUP_V2,
			       .path = (char *)"/a.slice/u.scope",
			       .unified = (char *)"/sys/fs/cgroup/a.slice/u.scope",
			       .unit = (char *)"u.scope" };
	struct cgroup service = good, nowhere = good, none = good;
	struct err e = {};

	service.unit = (char *)"sshd.service";
	nowhere.unified = NULL;
	none.mode = CGROUP_NONE;
	assert_int_equal(cgroup_check(&good, &e), 0);
	assert_int_equal(cgroup_check(&service, &e), -EINVAL);
	assert_int_equal(cgroup_check(&nowhere, &e), -EINVAL);
	assert_int_equal(cgroup_check(&none, &e), -EINVAL);
}

/* --- annotations --- */

static int of_annotation(const char *name, const char *value, unit_properties *l,
			 struct err *e)
{
	_strmap_free_ struct strmap m = {};
	_free_ char *key = str_printf("org.systemd.property.%s", name);

	assert_int_equal(strmap_set(&m, "other", "x"), 0);
	assert_int_equal(strmap_set(&m, key, value), 0);
	return unit_properties_of_annotations(&m, l, e);
}

static void test_annotations(void **state)
{
	static const struct {
		const char *name, *value, *as;
		enum unit_property_type type;
		uint64_t number;
		const char *text;
	} rows[] = {
		{ "CollectMode", "'inactive-or-failed'", "CollectMode", UNIT_STRING, 0,
		  "inactive-or-failed" },
		{ "Description", "\"it\\\"s \\\\ mine\"", "Description", UNIT_STRING, 0,
		  "it\"s \\ mine" },
		{ "TimeoutStopUSec", "uint64 5000000", "TimeoutStopUSec", UNIT_U64, 5000000 },
		{ "TimeoutStopSec", "5", "TimeoutStopUSec", UNIT_U64, 5000000 },
		{ "TimeoutStopSec", "uint32 7", "TimeoutStopUSec", UNIT_U64, 7000000 },
		{ "KillSignal", "9", "KillSignal", UNIT_I32, 9 },
		{ "KillSignal", "int32 9", "KillSignal", UNIT_I32, 9 },
		{ "KillSignal", "int64 -1", "KillSignal", UNIT_I64, (uint64_t)-1 },
		{ "SendSIGHUP", " true", "SendSIGHUP", UNIT_BOOL, 1 },
		{ "DefaultDependencies", "false", "DefaultDependencies", UNIT_BOOL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_unit_properties_clear_ unit_properties l = {};
		struct err e = {};

		if (of_annotation(rows[i].name, rows[i].value, &l, &e) < 0)
			fail_msg("%s: %s", rows[i].name, e.msg);
		assert_int_equal(l.n, 1);
		assert_string_equal(l.v[0].name, rows[i].as);
		assert_int_equal(l.v[0].type, rows[i].type);
		assert_int_equal(l.v[0].number, rows[i].number);
		if (rows[i].text)
			assert_string_equal(l.v[0].text, rows[i].text);
	}
}

static void test_annotation_lists(void **state)
{
	_unit_properties_clear_ unit_properties l = {};
	struct err e = {};

	assert_int_equal(of_annotation("After", "['a.service', \"b.service\" ]", &l, &e), 0);
	assert_int_equal(of_annotation("Before", "[]", &l, &e), 0);
	assert_int_equal(l.v[0].strings.n, 2);
	assert_string_equal(l.v[0].strings.v[1], "b.service");
	assert_int_equal(l.v[1].type, UNIT_STRINGS);
	assert_int_equal(l.v[1].strings.n, 0);
}

static void test_bad_annotations(void **state)
{
	/* Values that are none. */
	static const char *const values[] = {
		"",
		"'a",
		"a",
		"'a' b",
		"['a'",
		"['a' 'b']",
		"[a]",
		"['a',]",
		"uint64",
		"uint64 -1",
		"uint32 4294967296",
		"2147483648",
		"'\\n'",
		"5x",
	};
	/* What loosens a limit, takes from others or reaches the host. */
	static const char *const names[] = {
		"Slice",
		"Delegate",
		"DeviceAllow",
		"DevicePolicy",
		"PIDs",
		"MemoryMax",
		"MemoryMin",
		"CPUWeight",
		"BPFProgram",
		"Conflicts",
		"OnFailure",
		"Requires",
		"SuccessAction",
		"FailureAction",
		"JobTimeoutAction",
		"PropagatesStopTo",
		"TasksMax",
		"AllowedCPUs",
		"",
		"collectMode",
	};
	static const char *const seconds[] = { "'5'", "-5", "uint64 18446744073710" };
	struct err e = {};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_unit_properties_clear_ unit_properties l = {};

		if (of_annotation("CollectMode", values[i], &l, &e) == 0)
			fail_msg("%s was taken", values[i]);
		assert_non_null(strstr(e.msg, "org.systemd.property.CollectMode"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_unit_properties_clear_ unit_properties l = {};

		if (of_annotation(names[i], "'x'", &l, &e) != -EPERM)
			fail_msg("%s was taken", names[i]);
	}
	/* Seconds that are none, or more than there are. */
	for (size_t i = 0; i < ARRAY_SIZE(seconds); i++) {
		_unit_properties_clear_ unit_properties l = {};

		if (of_annotation("TimeoutStopSec", seconds[i], &l, &e) == 0)
			fail_msg("%s seconds were taken", seconds[i]);
	}
}

/* --- devices --- */

static void check_devices(const struct oci_device_cgroup *rules, size_t n, bool exact,
			  const char *policy, const char *allow)
{
	_unit_properties_clear_ unit_properties l = {};
	_buf_free_ struct buf text = {};
	struct err e = {};
	bool is_exact;

	buf_adds(&text, "");
	assert_int_equal(unit_properties_of_devices(rules, n, &l, &is_exact, &e), 0);
	assert_int_equal(is_exact, exact);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.v[0].name, "DevicePolicy");
	assert_string_equal(l.v[0].text, policy);
	assert_string_equal(l.v[1].name, "DeviceAllow");
	for (size_t i = 0; i < l.v[1].strings.n; i += 2)
		buf_addf(&text, "%s %s;", l.v[1].strings.v[i], l.v[1].strings.v[i + 1]);
	assert_string_equal(text.s, allow);
}

#define NUMBER(x)         \
	{                 \
		true, (x) \
	}
static void test_devices(void **state)
{
	struct oci_device_cgroup list[] = {
		{ .access = (char *)"rwm" },
		{ .allow = true, .type = (char *)"c", .access = (char *)"m" },
		{ .allow = true, .type = (char *)"c", .major = NUMBER(1), .minor = NUMBER(3) },
		{ .allow = true,
		  .type = (char *)"c",
		  .major = NUMBER(136),
		  .access = (char *)"rw" },
		{ .allow = true,
		  .type = (char *)"b",
		  .major = NUMBER(8),
		  .minor = NUMBER(1),
		  .access = (char *)"r" },
	};
	struct oci_device_cgroup all[] = { { .allow = true },
					   { .type = (char *)"c", .major = NUMBER(1) } };
	struct oci_device_cgroup minor[] = {
		{ .allow = true, .type = (char *)"c", .minor = NUMBER(1) }
	};
	struct oci_device_cgroup hole[] = {
		{ .allow = true, .type = (char *)"c", .major = NUMBER(1) },
		{ .type = (char *)"c", .major = NUMBER(1), .minor = NUMBER(1) },
	};

	check_devices(list, ARRAY_SIZE(list), true, "strict",
		      "char-* m;/dev/char/1:3 rwm;char-136 rw;/dev/block/8:1 r;");
	check_devices(list, 1, true, "strict", "");
	check_devices(all, 1, true, "auto", "");
	/* Beyond systemd: everything there, and the rules elsewhere. */
	check_devices(all, 2, false, "auto", "");
	check_devices(minor, 1, false, "auto", "");
	check_devices(hole, 2, false, "auto", "");
}

/* --- messages of the bus --- */

/* What purple-systemd gets is what the runtime had, bytes that are no text included. */
static void test_wire(void **state)
{
	_unit_properties_clear_ unit_properties sent = {}, got = {};
	struct wire_request request = { .call = strdup("start"), .unit = strdup("a.scope") };
	struct wire_request copy = {};
	struct unit_property *bytes;
	struct err e = {};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(unit_property_bool(&sent, "Delegate", true, &e), 0);
	assert_int_equal(unit_property_u64(&sent, "MemoryMax", UINT64_MAX, &e), 0);
	assert_int_equal(unit_property_string(&sent, "Description", "d\xc3\xa9", &e), 0);
	assert_int_equal(unit_property_strings(&sent, "Wants", "b.slice", &e), 0);
	bytes = list_add(&sent);
	assert_non_null(bytes);
	*bytes = (struct unit_property){ .name = strdup("AllowedCPUs"),
					 .type = UNIT_BYTES,
					 .text = memcpy(malloc(3), "\0\xff\3", 3),
					 .len = 3 };
	assert_int_equal(wire_from_properties(&sent, &request, &e), 0);
	assert_int_equal(wire_send(fds[0], &wire_request_type, &request, &e), 0);
	assert_int_equal(wire_receive(fds[1], &wire_request_type, &copy, &e), 1);
	assert_string_equal(copy.call, "start");
	assert_string_equal(copy.unit, "a.scope");
	assert_int_equal(wire_to_properties(&copy, &got, &e), 0);
	assert_true(unit_properties_equal(&sent, &got));
	assert_int_equal(got.v[4].len, 3);
	assert_memory_equal(got.v[4].text, "\0\xff\3", 3);
	close(fds[0]);
	json_clear(&wire_request_type, &copy);
	assert_int_equal(wire_receive(fds[1], &wire_request_type, &copy, &e), 0);
	close(fds[1]);
	json_clear(&wire_request_type, &request);
}

static void test_wire_refuses_what_is_odd(void **state)
{
	static const struct {
		uint32_t len;
		const char *text;
	} odd[] = { { 0, "" },	 { 1U << 30, "{}" }, { 9, "{}" },
		    { 2, "[]" }, { 2, "{x" },	     { 2, "{}" } /* without a call */ };

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		struct wire_request r = {};
		struct err e = {};
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
		assert_int_equal(write(fds[0], &odd[i].len, 4), 4);
		assert_int_equal(write(fds[0], odd[i].text, strlen(odd[i].text)),
				 strlen(odd[i].text));
		close(fds[0]);
		assert_true(wire_receive(fds[1], &wire_request_type, &r, &e) < 0);
		assert_true(e.code > 0);
		close(fds[1]);
	}
}

/* --- limits --- */

struct fake {
	char dir[32];
	struct cgroup cg;
};

static void put(const struct fake *f, const char *file, const char *text)
{
	struct err e = {};
	int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fs_write_atomic(fd, file, text, strlen(text), 0644, &e), 0);
	close(fd);
}

static struct fake fake_group(enum cgroup_mode mode)
{
	struct fake f = { .dir = "/tmp/purple-unit.XXXXXX", .cg = { .mode = mode } };

	assert_non_null(mkdtemp(f.dir));
	return f;
}

static void fake_end(struct fake *f)
{
	struct err e = {};

	assert_int_equal(fs_remove_tree(AT_FDCWD, f->dir, &e), 0);
}

static const struct unit_property *find(const unit_properties *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

static void check_number(const unit_properties *l, const char *name, uint64_t number)
{
	const struct unit_property *p = find(l, name);

	if (!p || p->type != UNIT_U64 || p->number != number)
		fail_msg("%s is %" PRIu64 ", not %" PRIu64, name, p ? p->number : 0, number);
}

static void test_v2_limits(void **state)
{
	struct fake f = fake_group(CGROUP_V2);
	_unit_properties_clear_ unit_properties l = {}, again = {}, old = {};
	const struct unit_property *cpus;
	struct err e = {};

	f.cg.unified = f.dir;
	put(&f, "memory.max", "67108864\n");
	put(&f, "memory.swap.max", "0\n");
	put(&f, "memory.low", "0\n");
	put(&f, "memory.high", "max\n");
	put(&f, "memory.zswap.max", "max\n");
	put(&f, "pids.max", "33\n");
	put(&f, "cpu.weight", "59\n");
	put(&f, "cpu.idle", "0\n");
	put(&f, "cpu.max", "50500 100000\n");
	put(&f, "cpuset.cpus", "0-1,9\n");
	put(&f, "cpuset.mems", "\n");
	put(&f, "io.bfq.weight", "default 550\n8:0 200\n");
	assert_int_equal(unit_properties_of_files(&f.cg, 255, &l, &e), 0);
	check_number(&l, "MemoryMax", 67108864);
	check_number(&l, "MemorySwapMax", 0);
	check_number(&l, "MemoryLow", 0);
	check_number(&l, "MemoryHigh", UINT64_MAX);
	check_number(&l, "MemoryZSwapMax", UINT64_MAX);
	check_number(&l, "TasksMax", 33);
	check_number(&l, "CPUWeight", 59);
	check_number(&l, "CPUQuotaPeriodUSec", 100000);
	check_number(&l, "CPUQuotaPerSecUSec", 510000); /* a whole percent, rounded up */
	check_number(&l, "IOWeight", 5050);
	assert_null(find(&l, "MemoryMin")); /* no such file */
	assert_null(find(&l, "AllowedMemoryNodes"));
	cpus = find(&l, "AllowedCPUs");
	assert_non_null(cpus);
	assert_int_equal(cpus->len, 2);
	assert_memory_equal(cpus->text, "\x03\x02", 2);

	assert_int_equal(unit_properties_of_files(&f.cg, 255, &again, &e), 0);
	assert_true(unit_properties_equal(&l, &again));
	unit_properties_clear(&again);
	put(&f, "cpuset.cpus", "0-1,10\n");
	assert_int_equal(unit_properties_of_files(&f.cg, 255, &again, &e), 0);
	assert_false(unit_properties_equal(&l, &again));

	/* Words that an older systemd does not know; idle; no limit of 0; no quota. */
	put(&f, "cpu.idle", "1\n");
	put(&f, "pids.max", "0\n");
	put(&f, "cpu.max", "max 50000\n");
	put(&f, "io.weight", "default 70\n");
	assert_int_equal(unit_properties_of_files(&f.cg, 251, &old, &e), 0);
	assert_null(find(&old, "MemoryZSwapMax"));
	assert_null(find(&old, "CPUWeight"));
	check_number(&old, "TasksMax", 1);
	check_number(&old, "CPUQuotaPerSecUSec", UINT64_MAX);
	check_number(&old, "IOWeight", 70);
	unit_properties_clear(&old);
	assert_int_equal(unit_properties_of_files(&f.cg, 252, &old, &e), 0);
	check_number(&old, "CPUWeight", 0);

	put(&f, "cpu.max", "nonsense\n");
	unit_properties_clear(&old);
	assert_int_equal(unit_properties_of_files(&f.cg, 252, &old, &e), -EINVAL);
	fake_end(&f);
}

static void test_v1_limits(void **state)
{
	struct fake f = fake_group(CGROUP_HYBRID);
	_unit_properties_clear_ unit_properties l = {}, none = {};
	struct err e = {};

	assert_int_equal(strmap_set(&f.cg.v1, "memory", f.dir), 0);
	assert_int_equal(strmap_set(&f.cg.v1, "cpu", f.dir), 0);
	assert_int_equal(strmap_set(&f.cg.v1, "pids", f.dir), 0);
	put(&f, "memory.limit_in_bytes", "9223372036854771712\n");
	put(&f, "cpu.shares", "512\n");
	put(&f, "cpu.cfs_period_us", "100000\n");
	put(&f, "cpu.cfs_quota_us", "-1\n");
	put(&f, "pids.max", "max\n");
	assert_int_equal(unit_properties_of_files(&f.cg, 252, &none, &e), 0);
	check_number(&none, "MemoryMax", UINT64_MAX);
	check_number(&none, "CPUQuotaPerSecUSec", UINT64_MAX);
	check_number(&none, "TasksMax", UINT64_MAX);
	put(&f, "memory.limit_in_bytes", "33554432\n");
	put(&f, "cpu.cfs_quota_us", "25000\n");
	assert_int_equal(unit_properties_of_files(&f.cg, 252, &l, &e), 0);
	check_number(&l, "MemoryMax", 33554432);
	check_number(&l, "CPUShares", 512);
	check_number(&l, "CPUQuotaPerSecUSec", 250000);
	strmap_free(&f.cg.v1);
	fake_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_state),
		cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_annotation_lists),
		cmocka_unit_test(test_bad_annotations),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_wire),
		cmocka_unit_test(test_wire_refuses_what_is_odd),
		cmocka_unit_test(test_v2_limits),
		cmocka_unit_test(test_v1_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
