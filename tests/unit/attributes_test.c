/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is refused of scheduler, ioPriority, execCPUAffinity, memoryPolicy, personality and
 * netDevices before anything is made, lists of CPUs and nodes, and labels of security modules on a
 * host that has none of them. What the kernel makes of good ones is tested with containers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bitlist.h"
#include "base/fd.h"
#include "base/json.h"
#include "linux/lsm.h"
#include "linux/mempolicy.h"
#include "linux/netdev.h"
#include "linux/sched.h"

/* The flags of a list as one number, for the first 64. */
static uint64_t first_bits(const char *text)
{
	struct bitlist l;

	assert_int_equal(bitlist_parse(text, &l), 0);
	return l.bits[0];
}

static void lists_are_numbers_and_ranges(void **state)
{
	static const char *const wrong[] = { "",    " ",   ",",	 "1,",	",1",	 "1,,2",
					     "-",   "1-",  "-1", "3-1", "1-2-3", "a",
					     "0x1", "1 2", "+1", "1;2", "1\n",	 "1-a" };
	struct bitlist l = { .bits = { 77 } };

	assert_int_equal(first_bits("0"), 1);
	assert_int_equal(first_bits("0-3,7"), 0x8f);
	assert_int_equal(first_bits(" 1 - 2 , 5 "), 0x26);
	assert_int_equal(first_bits("63"), 1ULL << 63);
	assert_int_equal(first_bits("64-8191"), 0);
	assert_int_equal(first_bits("2,2,1-3"), 0xe);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(bitlist_parse(wrong[i], &l), -EINVAL);
	assert_int_equal(bitlist_parse("8192", &l), -ERANGE);
	assert_int_equal(bitlist_parse("0-99999999999999999999", &l), -ERANGE);
	assert_int_equal(l.bits[0], 77);
	assert_int_equal(bitlist_parse("64-65,8191", &l), 0);
	assert_int_equal(l.bits[1], 3);
	assert_true(l.bits[BITLIST_MAX / BITLIST_BITS_OF_LONG - 1] >> 63);
}

/* Each test reads a member's JSON into the struct and looks at what the check says. */
static struct oci_process *read_process(const char *member, const char *text)
{
	_free_ char *document = str_printf("{\"cwd\":\"/\",\"args\":[\"x\"],\"%s\":%s}",
					   member, text);
	struct oci_process *p = calloc(1, sizeof(*p));
	_json_free_ struct json *j = NULL;
	struct err e = {};

	for (char *c = document; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse(document, strlen(document), "process", &j, &e) < 0 ||
	    json_read(j, &oci_process_type, "process", p, &e) < 0)
		fail_msg("%s", e.msg);
	return p;
}

static void free_process(struct oci_process *p)
{
	json_clear(&oci_process_type, p);
	free(p);
}

static int check_all(const struct oci_process *p, struct err *e)
{
	int r = sched_check(p->scheduler, e);

	if (r == 0)
		r = sched_check_io_priority(p->io_priority, e);
	return r < 0 ? r : sched_check_affinity(p->exec_cpu_affinity, e);
}

static const struct {
	const char *member, *text, *want; /* NULL: it is taken */
} processes[] = {
	{ "scheduler", "{'policy':'SCHED_OTHER','nice':-20}", NULL },
	{ "scheduler", "{'policy':'SCHED_FIFO','priority':99}", NULL },
	{ "scheduler", "{'policy':'SCHED_IDLE','runtime':0,'priority':0}", NULL },
	{ "scheduler",
	  "{'policy':'SCHED_DEADLINE','runtime':1,'deadline':2,'period':3,"
	  "'flags':['SCHED_FLAG_RECLAIM','SCHED_FLAG_RESET_ON_FORK']}",
	  NULL },
	{ "scheduler", "{'policy':'SCHED_X'}",
	  "process.scheduler.policy: 'SCHED_X' is unknown" },
	{ "scheduler", "{'policy':''}", "process.scheduler.policy: '' is unknown" },
	{ "scheduler", "{'policy':'SCHED_ISO'}", "SCHED_ISO is not supported" },
	{ "scheduler", "{'policy':'SCHED_OTHER','nice':20}", "process.scheduler.nice" },
	{ "scheduler", "{'policy':'SCHED_OTHER','nice':-21}", "process.scheduler.nice" },
	{ "scheduler", "{'policy':'SCHED_OTHER','priority':1}",
	  "process.scheduler.priority" },
	{ "scheduler", "{'policy':'SCHED_FIFO'}", "process.scheduler.priority" },
	{ "scheduler", "{'policy':'SCHED_RR','priority':100}", "process.scheduler.priority" },
	{ "scheduler", "{'policy':'SCHED_RR','priority':-1}", "process.scheduler.priority" },
	{ "scheduler", "{'policy':'SCHED_BATCH','deadline':1}", "are for SCHED_DEADLINE" },
	{ "scheduler", "{'policy':'SCHED_BATCH','flags':['SCHED_FLAG_RECLAIM','x']}",
	  "process.scheduler.flags[1]: 'x' is unknown" },
	{ "scheduler", "{'policy':'SCHED_BATCH','flags':['SCHED_FLAG_UTIL_CLAMP_MIN']}",
	  "SCHED_FLAG_UTIL_CLAMP_MIN is not supported" },
	{ "ioPriority", "{'class':'IOPRIO_CLASS_BE','priority':7}", NULL },
	{ "ioPriority", "{'class':'IOPRIO_CLASS_IDLE'}", NULL },
	{ "ioPriority", "{'class':'IOPRIO_CLASS_NONE'}", "process.ioPriority.class" },
	{ "ioPriority", "{'class':'IOPRIO_CLASS_RT','priority':8}",
	  "process.ioPriority.priority" },
	{ "ioPriority", "{'class':'IOPRIO_CLASS_RT','priority':-1}",
	  "process.ioPriority.priority" },
	{ "execCPUAffinity", "{}", NULL },
	{ "execCPUAffinity", "{'initial':'','final':'0-1'}", NULL },
	{ "execCPUAffinity", "{'initial':'x'}", "process.execCPUAffinity.initial: 'x'" },
	{ "execCPUAffinity", "{'initial':'0','final':'3-1'}",
	  "process.execCPUAffinity.final" },
};

static void wrong_members_of_a_process_are_refused_by_name(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(processes); i++) {
		struct oci_process *p = read_process(processes[i].member, processes[i].text);
		struct err e = {};
		int r = check_all(p, &e);

		if (!processes[i].want && r < 0)
			fail_msg("%s: %s", processes[i].text, e.msg);
		if (processes[i].want && (r >= 0 || !strstr(e.msg, processes[i].want)))
			fail_msg("%s: %s", processes[i].text, r < 0 ? e.msg : "accepted");
		free_process(p);
	}
}

static const struct {
	const char *mode, *nodes, *flags[3], *want;
} policies[] = {
	{ "MPOL_DEFAULT", NULL, {}, NULL },
	{ "MPOL_LOCAL", "", {}, NULL },
	{ "MPOL_PREFERRED", NULL, {}, NULL },
	{ "MPOL_BIND", "0-1", { "MPOL_F_NUMA_BALANCING", "MPOL_F_STATIC_NODES" }, NULL },
	{ "MPOL_WEIGHTED_INTERLEAVE", "0", {}, NULL },
	{ "MPOL_X", "0", {}, "linux.memoryPolicy.mode: 'MPOL_X' is unknown" },
	{ "MPOL_BIND", NULL, {}, "linux.memoryPolicy.nodes: is required for MPOL_BIND" },
	{ "MPOL_INTERLEAVE", "", {}, "linux.memoryPolicy.nodes: is required" },
	{ "MPOL_LOCAL", "0", {}, "linux.memoryPolicy.nodes: MPOL_LOCAL takes none" },
	{ "MPOL_DEFAULT", NULL, { "MPOL_F_STATIC_NODES" }, "flags: MPOL_DEFAULT takes none" },
	{ "MPOL_BIND", "all", {}, "linux.memoryPolicy.nodes: 'all' is no list" },
	{ "MPOL_BIND", "0", { "MPOL_F_X" }, "linux.memoryPolicy.flags[0]: 'MPOL_F_X' is unknown" },
	{ "MPOL_BIND",
	  "0",
	  { "MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES" },
	  "exclude each other" },
};

static void wrong_memory_policies_are_refused_by_name(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct oci_memory_policy m = { .mode = (char *)policies[i].mode,
					       .nodes = (char *)policies[i].nodes };
		struct err e = {};
		int r;

		m.flags.v = (char **)policies[i].flags;
		while (policies[i].flags[m.flags.n])
			m.flags.n++;
		r = mempolicy_check(&m, &e);
		if (!policies[i].want && r < 0)
			fail_msg("%zu: %s", i, e.msg);
		if (policies[i].want && (r >= 0 || !strstr(e.msg, policies[i].want)))
			fail_msg("%zu: %s", i, r < 0 ? e.msg : "accepted");
	}
}

static void personality_has_two_domains_and_no_flags(void **state)
{
	char *flags[] = { "ADDR_NO_RANDOMIZE" };
	struct oci_personality p = { .domain = "LINUX32" };
	struct err e = {};

	assert_int_equal(personality_check(NULL, &e), 0);
	assert_int_equal(personality_check(&p, &e), 0);
	p.flags.v = flags;
	p.flags.n = 1;
	assert_int_equal(personality_check(&p, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.personality.flags[0]: 'ADDR_NO_RANDOMIZE'"));
	p = (struct oci_personality){ .domain = "linux" };
	assert_int_equal(personality_check(&p, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "linux.personality.domain: 'linux' is unknown"));
}

static void names_of_network_devices_are_the_kernels(void **state)
{
	static const char *const wrong[] = {
		".",  "..", "a/b",  "a:b", "a b", "a\t", "0123456789abcdef",
		"%s", "a%", "%d%d", "%%d"
	};
	struct oci_net_device d = { .host_name = "eth0" };
	struct err e = {};

	assert_int_equal(netdev_check(&d, &e), 0);
	d.name = "";
	assert_int_equal(netdev_check(&d, &e), 0);
	d.name = "net%d";
	assert_int_equal(netdev_check(&d, &e), 0);
	d.name = "0123456789abcde";
	assert_int_equal(netdev_check(&d, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		d.name = (char *)wrong[i];
		assert_int_equal(netdev_check(&d, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "linux.netDevices.eth0.name"));
		d = (struct oci_net_device){ .host_name = (char *)wrong[i] };
		assert_int_equal(netdev_check(&d, &e), -EINVAL);
		d.host_name = "eth0";
	}
	d = (struct oci_net_device){ .host_name = "" };
	assert_int_equal(netdev_check(&d, &e), -EINVAL);
	d.host_name = "eth%d";
	assert_int_equal(netdev_check(&d, &e), -EINVAL);
}

static void a_label_that_cannot_be_applied_is_refused(void **state)
{
	static const struct {
		enum lsm module;
		const char *path;
	} all[] = { { LSM_APPARMOR, "`/proc/thread-self/attr/apparmor/exec`" },
		    { LSM_SELINUX, "`/proc/thread-self/attr/exec`" } };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct err e = {};

		assert_int_equal(lsm_check(all[i].module, "m", NULL, &e), 0);
		assert_int_equal(lsm_check(all[i].module, "m", "", &e), 0);
		assert_int_equal(lsm_set_exec_label(all[i].module, "m", NULL, &e), 0);
		assert_int_equal(lsm_set_exec_label(all[i].module, "m", "", &e), 0);
		if (lsm_is_enabled(all[i].module))
			continue;
		assert_int_equal(lsm_check(all[i].module, "m", "label", &e), -ENOTSUP);
		assert_non_null(strstr(e.msg, "m 'label' is not possible"));
		assert_non_null(strstr(e.msg, all[i].path));
		/* Nobody takes it: the kernel says so, and with it the path that engines know. */
		assert_true(lsm_set_exec_label(all[i].module, "m", "label", &e) < 0);
		assert_non_null(strstr(e.msg, "cannot apply m 'label'"));
		assert_non_null(strstr(e.msg, "write `/proc/thread-self/attr/"));
	}
	if (!lsm_is_enabled(LSM_SELINUX)) {
		struct err e = {};

		assert_int_equal(lsm_set_key_label("m", "", &e), 0);
		assert_true(lsm_set_key_label("m", "label", &e) < 0);
		assert_non_null(strstr(e.msg, "cannot label keys with m 'label'"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_numbers_and_ranges),
		cmocka_unit_test(wrong_members_of_a_process_are_refused_by_name),
		cmocka_unit_test(wrong_memory_policies_are_refused_by_name),
		cmocka_unit_test(personality_has_two_domains_and_no_flags),
		cmocka_unit_test(names_of_network_devices_are_the_kernels),
		cmocka_unit_test(a_label_that_cannot_be_applied_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
