/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/linux/resctrl.c on a plain directory: which groups a configuration means, what is written to
 * which file, what is removed, and what a group that is there must have. The files that the kernel
 * makes in a new group the test makes. Needs neither root nor such hardware.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/fs.h"
#include "linux/resctrl.h"

static char dir[] = "/tmp/resctrl_test.XXXXXX";
static int root = -1;

static int set_up(void **state)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root < 0 || mkdirat(root, "mon_groups", 0755) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	struct err e;

	fd_close(&root);
	return fs_remove_tree(AT_FDCWD, dir, &e);
}

static void put(const char *path, const char *text)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void assert_file(const char *path, const char *want)
{
	_free_ char *text = NULL;
	struct err e;

	if (fs_read(root, path, 4096, &text, NULL, &e) < 0)
		fail_msg("%s", e.msg);
	assert_string_equal(text, want);
}

/* A group as the kernel makes one. */
static void fill_group(const char *name, const char *schemata)
{
	static const char *const files[] = { "schemata", "tasks" };

	for (size_t i = 0; i < 2; i++) {
		_free_ char *path = str_printf("%s/%s", name, files[i]);

		put(path, i == 0 ? schemata : "");
	}
}

static void assert_refused(const struct oci_intel_rdt *c, const char *id, const char *want)
{
	struct err e = {};

	assert_int_equal(resctrl_check(c, id, &e), -EINVAL);
	if (!strstr(e.msg, want))
		fail_msg("'%s' lacks '%s'", e.msg, want);
}

static void wrong_members_are_refused_by_name(void **state)
{
	static const char *const names[] = { "a/b",  "..",   ".",	  "/x",
					     "a\nb", "info", "mon_groups" };
	char *line[] = { "L3" };
	struct oci_intel_rdt c = { .clos_id = "good" };
	struct err e;

	assert_int_equal(resctrl_check(NULL, "c1", &e), 0);
	assert_int_equal(resctrl_check(&c, "c1", &e), 0);
	c.clos_id = "/";
	assert_int_equal(resctrl_check(&c, "info", &e), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		c.clos_id = (char *)names[i];
		assert_refused(&c, "c1", "linux.intelRdt.closID");
	}
	c = (struct oci_intel_rdt){ .mem_bw_schema = "L3:0=f" };
	assert_refused(&c, "c1", "linux.intelRdt.memBwSchema");
	c.mem_bw_schema = "MB:0=10\nL3:0=1";
	assert_refused(&c, "c1", "linux.intelRdt.memBwSchema");
	c = (struct oci_intel_rdt){ .schemata = { .v = line, .n = 1 } };
	assert_refused(&c, "c1", "linux.intelRdt.schemata[0]: 'L3'");
	/* Without closID the container's id is the name. */
	c = (struct oci_intel_rdt){};
	assert_refused(&c, "mon_data", "id 'mon_data'");
}

static void a_configuration_means_these_groups(void **state)
{
	struct oci_intel_rdt c = {};
	struct resctrl_group g = resctrl_group_of(&c, "c1");

	assert_string_equal(g.name, "c1");
	assert_true(g.own);
	assert_null(g.monitor);
	c.clos_id = "shared";
	c.enable_monitoring = true;
	g = resctrl_group_of(&c, "c1");
	assert_string_equal(g.name, "shared");
	assert_false(g.own);
	assert_string_equal(g.monitor, "c1");
	c = (struct oci_intel_rdt){ .clos_id = "/", .enable_mbm = true };
	g = resctrl_group_of(&c, "c1");
	assert_string_equal(g.name, ".");
	assert_string_equal(g.monitor, "c1");
}

static void assert_format(const char *l3, const char *mb, const char *want)
{
	struct oci_intel_rdt c = { .l3_cache_schema = (char *)l3,
				   .mem_bw_schema = (char *)mb };
	_buf_free_ struct buf out = {};
	struct err e;

	assert_int_equal(resctrl_format(&c, &out, &e), 0);
	assert_string_equal(out.s ? out.s : "", want);
}

static void bandwidth_lines_of_the_cache_schema_give_way(void **state)
{
	assert_format(NULL, NULL, "");
	assert_format("", "", "");
	assert_format("L3:0=f;1=f0", NULL, "L3:0=f;1=f0\n");
	assert_format(NULL, "MB:0=20", "MB:0=20\n");
	assert_format("L3:0=f\nMB:0=10\nL2:0=3\n", "MB:0=20", "L3:0=f\nL2:0=3\nMB:0=20\n");
	assert_format("L3:0=f\nMB:0=10", NULL, "L3:0=f\nMB:0=10\n");
	assert_format("MB:0=10", "MB:0=20", "MB:0=20\n");
}

static void schemata_are_compared_by_value(void **state)
{
	const char *have = "    MB:0=100;1= 70\n    L3:0=007ff;1=00fff\nL3CODE:0=1\n";

	assert_true(resctrl_schemata_hold(have, ""));
	assert_true(resctrl_schemata_hold(have, "L3:0=7ff;1=fff"));
	assert_true(resctrl_schemata_hold(have, "L3:1=FFF;0=7ff\nMB:0=100;1=70\n"));
	assert_true(resctrl_schemata_hold(have, "L3:1=fff"));
	assert_true(resctrl_schemata_hold(have, "L3CODE:0=1"));
	assert_false(resctrl_schemata_hold(have, "L3:0=7fe"));
	assert_false(resctrl_schemata_hold(have, "L3:0=7ff;2=f"));
	assert_false(resctrl_schemata_hold(have, "L2:0=7ff"));
	assert_false(resctrl_schemata_hold(have, "L3:0=7ff\nMB:0=64"));
	assert_false(resctrl_schemata_hold(have, "MB:0=256"));
	assert_false(resctrl_schemata_hold(have, "L3:nonsense"));
	assert_false(resctrl_schemata_hold(have, "L3"));
	assert_false(resctrl_schemata_hold("", "L3:0=f"));
	assert_false(resctrl_schemata_hold("L3:", "L3:0=f"));
	assert_false(resctrl_schemata_hold("L3:0=", "L3:0=f"));
}

static void a_group_of_its_own_is_made_filled_and_removed(void **state)
{
	char *more[] = { "L2:0=3", "MB:0=30" };
	struct oci_intel_rdt c = { .l3_cache_schema = "L3:0=f",
				   .schemata = { .v = more, .n = 2 },
				   .enable_monitoring = true };
	struct resctrl_group g = resctrl_group_of(&c, "c1");
	bool made, monitor;
	struct err e = {};
	struct stat st;

	/* The directory for monitoring groups is the kernel's. */
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), -ENOENT);
	assert_true(made);
	assert_false(monitor);
	assert_int_equal(mkdirat(root, "c1/mon_groups", 0755), 0);
	/* The name is taken: it is not this container's. */
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "'c1' is there already"));
	assert_false(made);
	assert_int_equal(unlinkat(root, "c1/mon_groups", AT_REMOVEDIR), 0);
	assert_int_equal(resctrl_remove(root, &g, &e), 0);
	assert_int_equal(fstatat(root, "c1", &st, 0), -1);

	c.enable_monitoring = false;
	g = resctrl_group_of(&c, "c1");
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), 0);
	assert_true(made);
	fill_group("c1", "");
	assert_int_equal(resctrl_enter(root, &g, 4711, &e), 0);
	assert_file("c1/tasks", "4711");
	/* A plain file keeps the last write; the kernel takes both. */
	c.schemata.n = 0;
	assert_int_equal(resctrl_write_schemata(root, &g, &c, true, &e), 0);
	assert_file("c1/schemata", "L3:0=f\n");
	put("c1/schemata", "");
	c.schemata.n = 2;
	c.l3_cache_schema = NULL;
	assert_int_equal(resctrl_write_schemata(root, &g, &c, true, &e), 0);
	assert_file("c1/schemata", "L2:0=3\nMB:0=30\n");
	/* Here the files are in the way; in resctrl a group goes with them. */
	assert_int_equal(unlinkat(root, "c1/tasks", 0), 0);
	assert_int_equal(unlinkat(root, "c1/schemata", 0), 0);
	assert_int_equal(resctrl_remove(root, &g, &e), 0);
	assert_int_equal(fstatat(root, "c1", &st, 0), -1);
	assert_int_equal(resctrl_remove(root, &g, &e), 0);
}

static void a_shared_group_must_be_there_or_be_so(void **state)
{
	struct oci_intel_rdt c = { .clos_id = "gold" };
	struct resctrl_group g = resctrl_group_of(&c, "c1");
	bool made, monitor;
	struct err e = {};
	struct stat st;

	/* Nothing is asked of it: somebody else has to have made it. */
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'gold' must be there"));
	c.mem_bw_schema = "MB:0=50";
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), 0);
	assert_true(made);
	fill_group("gold", "MB:0=50\n");
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), 0);
	assert_false(made);
	assert_int_equal(resctrl_write_schemata(root, &g, &c, made, &e), 0);
	c.mem_bw_schema = "MB:0=60";
	assert_int_equal(resctrl_write_schemata(root, &g, &c, made, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "'gold' is there with other schemata"));
	assert_file("gold/schemata", "MB:0=50\n");
	/* It outlives the container. */
	assert_int_equal(resctrl_remove(root, &g, &e), 0);
	assert_int_equal(fstatat(root, "gold", &st, 0), 0);
}

static void a_monitoring_group_is_the_containers(void **state)
{
	struct oci_intel_rdt c = { .clos_id = "/", .enable_monitoring = true };
	struct resctrl_group g = resctrl_group_of(&c, "c1");
	bool made, monitor;
	struct err e = {};
	struct stat st;

	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), 0);
	assert_false(made);
	assert_true(monitor);
	put("tasks", "");
	put("mon_groups/c1/tasks", "");
	assert_int_equal(resctrl_enter(root, &g, 42, &e), 0);
	assert_file("tasks", "42");
	assert_file("mon_groups/c1/tasks", "42");
	assert_int_equal(resctrl_make(root, &g, &c, &made, &monitor, &e), -EEXIST);
	assert_false(monitor);
	assert_int_equal(unlinkat(root, "mon_groups/c1/tasks", 0), 0);
	assert_int_equal(resctrl_remove(root, &g, &e), 0);
	assert_int_equal(fstatat(root, "mon_groups/c1", &st, 0), -1);
	assert_int_equal(fstatat(root, "mon_groups", &st, 0), 0);
}

static void an_update_writes_the_schemata_and_can_be_taken_back(void **state)
{
	struct oci_intel_rdt c = { .clos_id = "gold", .mem_bw_schema = "MB:0=50" };
	struct oci_intel_rdt want = { .l3_cache_schema = "L3:0=f\nMB:0=1",
				      .mem_bw_schema = "MB:0=20" };
	struct resctrl_group g = resctrl_group_of(&c, "c1");
	_free_ char *before = NULL;
	struct err e = {};

	/* A group that has gone is not made again: nobody would be in it. */
	assert_int_equal(resctrl_update_schemata(root, &g, &want, &before, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'gold'"));
	assert_null(before);
	assert_int_equal(mkdirat(root, "gold", 0755), 0);
	fill_group("gold", "MB:0=50\nL3:0=3\n");
	assert_int_equal(resctrl_update_schemata(root, &g, &want, &before, &e), 0);
	assert_string_equal(before, "MB:0=50\nL3:0=3\n");
	/* A plain file keeps what was longer; the kernel reads lines. */
	assert_file("gold/schemata", "L3:0=f\nMB:0=20\n");
	resctrl_restore_schemata(root, &g, before);
	assert_file("gold/schemata", "MB:0=50\nL3:0=3\n");
	/* The default group's are those of the root. */
	c.clos_id = "/";
	g = resctrl_group_of(&c, "c1");
	put("schemata", "");
	want.mem_bw_schema = NULL;
	ptr_free(&before);
	assert_int_equal(resctrl_update_schemata(root, &g, &want, &before, &e), 0);
	assert_file("schemata", "L3:0=f\nMB:0=1\n");
}

static void the_kernels_words_are_in_the_error(void **state)
{
	struct oci_intel_rdt c = { .l3_cache_schema = "L3:0=fffff" };
	struct resctrl_group g = resctrl_group_of(&c, "c1");
	struct err e = {};

	assert_int_equal(mkdirat(root, "info", 0755), 0);
	put("info/last_cmd_status", "Mask out of range\n");
	assert_int_equal(resctrl_write_schemata(root, &g, &c, true, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "'L3:0=fffff' (Mask out of range)"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_members_are_refused_by_name),
		cmocka_unit_test(a_configuration_means_these_groups),
		cmocka_unit_test(bandwidth_lines_of_the_cache_schema_give_way),
		cmocka_unit_test(schemata_are_compared_by_value),
		cmocka_unit_test_setup_teardown(a_group_of_its_own_is_made_filled_and_removed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_shared_group_must_be_there_or_be_so,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_monitoring_group_is_the_containers,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_update_writes_the_schemata_and_can_be_taken_back,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_kernels_words_are_in_the_error,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
