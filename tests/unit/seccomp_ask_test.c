/* SPDX-License-Identifier: Apache-2.0 */
/* What profiles of other runtimes say to sockets of a family. Needs no privileges. */
#include <sys/socket.h>

#include "seccomp_profile.h"

static bool denies(const struct oci_seccomp *p, int family)
{
	bool denied = !p;
	struct err e;

	if (seccomp_denies_family(p, family, &denied, &e) < 0)
		fail_msg("%s", e.msg);
	return denied;
}

/* A profile that allows all but io_uring. */
static void init_without_rings(struct oci_seccomp *p)
{
	profile_init(p, "SCMP_ACT_ALLOW");
	profile_rule(p, "io_uring_setup", "SCMP_ACT_ERRNO");
}

/* Of the register as the kernel sees it. */
static void rule_family(struct oci_syscall *s, uint64_t family)
{
	rule_arg(s, 0, "SCMP_CMP_MASKED_EQ", UINT32_MAX, family);
}

static void test_no_profile(void **state)
{
	assert_false(denies(NULL, AF_VSOCK));
}

static void test_default(void **state)
{
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
	profile_init(&p, "SCMP_ACT_ERRNO");
	assert_true(denies(&p, AF_VSOCK));
	profile_rule(&p, "socket", "SCMP_ACT_ALLOW");
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
}

/* What does not end the call: somebody else may let it go on. */
static void test_actions(void **state)
{
	static const struct {
		const char *action;
		bool denied;
	} cases[] = {
		{ "SCMP_ACT_KILL", true },	  { "SCMP_ACT_KILL_PROCESS", true },
		{ "SCMP_ACT_KILL_THREAD", true }, { "SCMP_ACT_TRAP", true },
		{ "SCMP_ACT_ERRNO", true },	  { "SCMP_ACT_TRACE", false },
		{ "SCMP_ACT_NOTIFY", false },	  { "SCMP_ACT_LOG", false },
	};
	struct oci_seccomp p;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		init_without_rings(&p);
		profile_rule(&p, "socket", cases[i].action);
		p.listener_path = strdup("/run/agent");
		if (denies(&p, AF_VSOCK) != cases[i].denied)
			fail_msg("%s", cases[i].action);
		profile_clear(&p);
	}
}

static void test_conditions(void **state)
{
	struct oci_seccomp p;

	init_without_rings(&p);
	rule_family(profile_rule(&p, "socket", "SCMP_ACT_ERRNO"), AF_VSOCK);
	assert_true(denies(&p, AF_VSOCK));
	assert_false(denies(&p, AF_INET));
	profile_clear(&p);

	/* As Podman's: two rules that allow, and together allow all. */
	profile_init(&p, "SCMP_ACT_ERRNO");
	rule_family(profile_rule(&p, "socket", "SCMP_ACT_ALLOW"), AF_INET);
	assert_true(denies(&p, AF_VSOCK));
	assert_false(denies(&p, AF_INET));
	rule_arg(profile_rule(&p, "socket", "SCMP_ACT_ALLOW"), 2, "SCMP_CMP_NE", 9, 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);

	/* One type of socket alone. */
	init_without_rings(&p);
	rule_arg(profile_rule(&p, "socket", "SCMP_ACT_ERRNO"), 1, "SCMP_CMP_EQ",
		 SOCK_STREAM, 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
}

/* Of a 64-bit register the kernel takes the lower half. */
static void test_upper_half(void **state)
{
	struct oci_seccomp p;

	init_without_rings(&p);
	rule_arg(profile_rule(&p, "socket", "SCMP_ACT_ERRNO"), 0, "SCMP_CMP_EQ", AF_VSOCK,
		 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
	profile_init(&p, "SCMP_ACT_ERRNO");
	rule_arg(profile_rule(&p, "socket", "SCMP_ACT_ALLOW"), 0, "SCMP_CMP_NE", AF_VSOCK,
		 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
	/* The type's, too. */
	profile_init(&p, "SCMP_ACT_ERRNO");
	rule_arg(profile_rule(&p, "socket", "SCMP_ACT_ALLOW"), 1, "SCMP_CMP_GT",
		 UINT32_MAX, 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
}

/* A ring makes sockets that no filter sees. */
static void test_rings(void **state)
{
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	profile_rule(&p, "socket", "SCMP_ACT_ERRNO");
	assert_false(denies(&p, AF_VSOCK));
	profile_rule(&p, "io_uring_setup", "SCMP_ACT_ERRNO");
	assert_true(denies(&p, AF_VSOCK));
	profile_clear(&p);
}

#if defined(__x86_64__)
static void test_i386(void **state)
{
	struct oci_seccomp p;

	init_without_rings(&p);
	assert_int_equal(strv_add(&p.architectures, "SCMP_ARCH_X86_64"), 0);
	rule_family(profile_rule(&p, "socket", "SCMP_ACT_ERRNO"), AF_VSOCK);
	assert_true(denies(&p, AF_VSOCK));
	/* The other call's family is out of a filter's sight. */
	assert_int_equal(strv_add(&p.architectures, "SCMP_ARCH_X86"), 0);
	assert_false(denies(&p, AF_VSOCK));
	rule_arg(profile_rule(&p, "socketcall", "SCMP_ACT_ERRNO"), 0, "SCMP_CMP_EQ", 1, 0);
	assert_false(denies(&p, AF_VSOCK));
	profile_rule(&p, "socketcall", "SCMP_ACT_ERRNO");
	assert_true(denies(&p, AF_VSOCK));
	profile_rule(&p, "socketcall", "SCMP_ACT_ALLOW");
	assert_false(denies(&p, AF_VSOCK));
	profile_clear(&p);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_profile),
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_actions),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_upper_half),
		cmocka_unit_test(test_rings),
#if defined(__x86_64__)
		cmocka_unit_test(test_i386),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
