/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls a plan denies with all, and with some arguments. Needs no privileges. */
#include <sys/syscall.h>

#include "linux/seccomp_denied.h"
#include "seccomp_profile.h"

static bool has(const struct trace_calls *calls, unsigned int nr)
{
	return calls->bits[nr / 64] >> (nr % 64) & 1;
}

static void ask(const struct oci_seccomp *engine, const struct oci_seccomp *policies,
		size_t n, struct trace_calls *always, struct trace_calls *some)
{
	_seccomp_plan_clear_ struct seccomp_plan plan = { .exec_fd = -1 };
	struct err e;

	if (seccomp_plan_make(engine, policies, n, -1, &plan, &e) < 0)
		fail_msg("%s", e.msg);
	seccomp_denied_calls(&plan, always, some);
}

static void without_a_profile_nothing_is_denied(void **state)
{
	static const struct trace_calls nothing;
	struct trace_calls always, some;

	ask(NULL, NULL, 0, &always, &some);
	assert_memory_equal(&always, &nothing, sizeof(nothing));
	assert_memory_equal(&some, &nothing, sizeof(nothing));
}

static void arguments_make_the_difference(void **state)
{
	struct trace_calls always, some;
	struct oci_syscall *rule;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	profile_rule(&p, "mount", "SCMP_ACT_ERRNO");
	profile_rule(&p, "ptrace", "SCMP_ACT_KILL_PROCESS");
	profile_rule(&p, "getsid", "SCMP_ACT_LOG");
	profile_rule(&p, "unshare", "SCMP_ACT_NOTIFY");
	free(p.listener_path);
	p.listener_path = strdup("/run/listener");
	rule = profile_rule(&p, "personality", "SCMP_ACT_ERRNO");
	rule_arg(rule, 0, "SCMP_CMP_EQ", 8, 0);
	rule = profile_rule(&p, "clone", "SCMP_ACT_ERRNO");
	rule_arg(rule, 0, "SCMP_CMP_MASKED_EQ", 0x10000000, 0x10000000);
	ask(&p, NULL, 0, &always, &some);
	assert_true(has(&always, SYS_mount) && !has(&some, SYS_mount));
	assert_true(has(&always, SYS_ptrace));
	assert_true(has(&some, SYS_personality) && !has(&always, SYS_personality));
	assert_true(has(&some, SYS_clone) && !has(&always, SYS_clone));
	assert_true(has(&some, SYS_unshare) && !has(&always, SYS_unshare));
	assert_false(has(&always, SYS_getsid) || has(&some, SYS_getsid));
	assert_false(has(&always, SYS_read) || has(&some, SYS_read));
	profile_clear(&p);
}

static void what_is_not_allowed_is_denied(void **state)
{
	struct trace_calls always, some;
	struct oci_syscall *rule;
	struct oci_seccomp p;
	size_t n = 0;

	profile_init(&p, "SCMP_ACT_ERRNO");
	profile_rule(&p, "read", "SCMP_ACT_ALLOW");
	rule = profile_rule(&p, "socket", "SCMP_ACT_ALLOW");
	rule_arg(rule, 0, "SCMP_CMP_EQ", 1, 0);
	ask(&p, NULL, 0, &always, &some);
	assert_false(has(&always, SYS_read) || has(&some, SYS_read));
	assert_true(has(&some, SYS_socket) && !has(&always, SYS_socket));
	for (unsigned int nr = 0; nr < TRACE_CALLS; nr++)
		n += has(&always, nr);
	assert_int_equal(n, TRACE_CALLS - 2);
	profile_clear(&p);
}

/* What one allows the other one may deny. */
static void all_profiles_have_a_say(void **state)
{
	struct trace_calls always, some;
	struct oci_seccomp engine, policy;

	profile_init(&engine, "SCMP_ACT_ERRNO");
	profile_rule(&engine, "read", "SCMP_ACT_ALLOW");
	profile_rule(&engine, "write", "SCMP_ACT_ALLOW");
	profile_init(&policy, "SCMP_ACT_ALLOW");
	rule_arg(profile_rule(&policy, "write", "SCMP_ACT_ERRNO"), 0, "SCMP_CMP_EQ", 5, 0);
	ask(&engine, &policy, 1, &always, &some);
	assert_false(has(&always, SYS_read) || has(&some, SYS_read));
	assert_true(has(&some, SYS_write) && !has(&always, SYS_write));
	assert_true(has(&always, SYS_getsid));
	profile_clear(&engine);
	profile_clear(&policy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_profile_nothing_is_denied),
		cmocka_unit_test(arguments_make_the_difference),
		cmocka_unit_test(what_is_not_allowed_is_denied),
		cmocka_unit_test(all_profiles_have_a_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
