/* SPDX-License-Identifier: Apache-2.0 */
/* src/linux/caps.c: names, and in children what the kernel makes of the sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux/caps.h"

#define BIT(n) (UINT64_C(1) << (n))

static void clear(struct oci_capabilities *c)
{
	strv_free(&c->bounding);
	strv_free(&c->effective);
	strv_free(&c->permitted);
	strv_free(&c->inheritable);
	strv_free(&c->ambient);
}

static void test_names(void **state)
{
	_strv_free_ struct strv unknown = { 0 };
	struct oci_capabilities c = { 0 };
	struct caps caps;
	struct err e = { 0 };

	strv_add(&c.bounding, "CAP_CHOWN");
	strv_add(&c.bounding, "cap_checkpoint_restore");
	strv_add(&c.bounding, "CAP_FLY");
	strv_add(&c.bounding, "CHOWN");
	strv_add(&c.bounding, "3");
	strv_add(&c.bounding, "");
	strv_add(&c.permitted, "CAP_KILL");
	strv_add(&c.permitted, "CAP_FLY");
	strv_add(&c.effective, "CAP_KILL");
	assert_int_equal(caps_parse(&c, &caps, &unknown, &e), 0);
	assert_int_equal(caps.bounding, BIT(CAP_CHOWN) | BIT(CAP_CHECKPOINT_RESTORE));
	assert_int_equal(caps.permitted, BIT(CAP_KILL));
	assert_int_equal(caps.effective, BIT(CAP_KILL));
	assert_int_equal(caps.inheritable | caps.ambient, 0);
	assert_int_equal(unknown.n, 4);
	assert_true(strv_contains(&unknown, "CAP_FLY"));
	assert_true(strv_contains(&unknown, "CHOWN"));
	assert_true(strv_contains(&unknown, "3"));
	clear(&c);
}

static void test_absent_is_empty(void **state)
{
	struct caps caps = { 1, 1, 1, 1, 1 };
	struct err e = { 0 };

	assert_int_equal(caps_parse(NULL, &caps, NULL, &e), 0);
	assert_int_equal(caps.bounding | caps.effective | caps.permitted |
				 caps.inheritable | caps.ambient,
			 0);
}

/* What is no name to a policy must not be one to the kernel. */
static void test_a_name_with_more_is_unknown(void **state)
{
	static const char *const names[] = { "CAP_SYS_ADMIN,",
					     "CAP_SYS_ADMIN x",
					     "CAP_SYS_ADMIN\n",
					     "CAP_SYS_ADMIN+ep",
					     " CAP_SYS_ADMIN",
					     "cap_21",
					     "21",
					     "" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		_strv_free_ struct strv unknown = { 0 };
		struct oci_capabilities c = { 0 };
		struct caps caps;
		struct err e = { 0 };

		strv_add(&c.bounding, names[i]);
		assert_int_equal(caps_parse(&c, &caps, &unknown, &e), 0);
		assert_int_equal(caps.bounding, 0);
		assert_true(strv_contains(&unknown, names[i]));
		clear(&c);
	}
}

static void test_impossible_sets_are_refused(void **state)
{
	struct oci_capabilities c = { 0 };
	struct caps caps;
	struct err e = { 0 };

	strv_add(&c.effective, "CAP_KILL");
	strv_add(&c.effective, "CAP_CHOWN");
	assert_int_equal(caps_parse(&c, &caps, NULL, &e), -EINVAL);
	assert_int_equal(e.kind, ERR_CONFIG);
	assert_non_null(
		strstr(e.msg, "process.capabilities.effective has CAP_CHOWN,CAP_KILL"));
	clear(&c);
	strv_add(&c.inheritable, "CAP_KILL");
	assert_int_equal(caps_parse(&c, &caps, NULL, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "process.capabilities.inheritable has CAP_KILL"));
	clear(&c);
}

static void test_ambient_needs_permitted_and_inheritable(void **state)
{
	_strv_free_ struct strv unknown = { 0 };
	struct oci_capabilities c = { 0 };
	struct caps caps;
	struct err e = { 0 };

	strv_add(&c.bounding, "CAP_KILL");
	strv_add(&c.permitted, "CAP_KILL");
	strv_add(&c.permitted, "CAP_CHOWN");
	strv_add(&c.inheritable, "CAP_KILL");
	strv_add(&c.ambient, "CAP_KILL");
	strv_add(&c.ambient, "CAP_CHOWN");
	assert_int_equal(caps_parse(&c, &caps, &unknown, &e), 0);
	assert_int_equal(caps.ambient, BIT(CAP_KILL));
	assert_int_equal(unknown.n, 1);
	assert_string_equal(unknown.v[0], "CAP_CHOWN (ambient)");
	clear(&c);
}

static bool caps_equal(const struct caps *a, const struct caps *b)
{
	return a->bounding == b->bounding && a->effective == b->effective &&
	       a->permitted == b->permitted && a->inheritable == b->inheritable &&
	       a->ambient == b->ambient;
}

/* A user namespace of its own gives the child all capabilities there, whoever runs the test. */
static int enter_userns(void)
{
	return unshare(CLONE_NEWUSER);
}

/* All sets as asked, in the order that init uses; with_user: across a change of the user. */
static int body_apply(bool with_user)
{
	struct caps want = {
		.bounding = BIT(CAP_CHOWN) | BIT(CAP_KILL) | BIT(CAP_SETUID),
		.permitted = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.effective = BIT(CAP_KILL),
		.inheritable = BIT(CAP_CHOWN),
		.ambient = BIT(CAP_CHOWN),
	};
	uint64_t missing = 1;
	struct caps got;
	struct err e = { 0 };

	if (!with_user && enter_userns() < 0)
		return 77;
	if (caps_limit_to_own(&want, &missing, &e) < 0 || missing)
		return 1;
	if (caps_drop_bounding(&want, &e) < 0 || caps_keep_across_setuid(true, &e) < 0)
		return 2;
	if (with_user && (setgroups(0, NULL) < 0 || setresgid(999, 999, 999) < 0 ||
			  setresuid(999, 999, 999) < 0))
		return 3;
	if (caps_apply(&want, &e) < 0 || caps_get_own(&got, &e) < 0)
		return 4;
	if (!caps_equal(&want, &got))
		return 5;
	/* Nothing that was dropped comes back. */
	want.permitted |= BIT(CAP_SYS_ADMIN);
	if (caps_apply(&want, &e) != -EPERM || e.kind != ERR_KERNEL)
		return 6;
	return 0;
}

static int run(int (*body)(bool), bool arg)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_sets_are_applied_exactly(void **state)
{
	int r = run(body_apply, false);

	if (r == 77) {
		print_message("no user namespaces here\n");
		skip();
	}
	assert_int_equal(r, 0);
}

static void test_sets_survive_a_change_of_user(void **state)
{
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	assert_int_equal(run(body_apply, true), 0);
}

/* What the process lacks is taken out and told, and the rest applies. */
static int body_limit(bool unused)
{
	struct caps have = {
		.bounding = BIT(CAP_CHOWN) | BIT(CAP_SETPCAP),
		.permitted = BIT(CAP_CHOWN) | BIT(CAP_SETPCAP),
		.effective = BIT(CAP_CHOWN) | BIT(CAP_SETPCAP),
	};
	struct caps want = {
		.bounding = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.permitted = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.effective = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.inheritable = BIT(CAP_CHOWN) | BIT(CAP_KILL),
		.ambient = BIT(CAP_CHOWN) | BIT(CAP_KILL),
	};
	uint64_t missing = 0;
	struct err e = { 0 };
	struct caps got;

	if (enter_userns() < 0)
		return 77;
	if (caps_drop_bounding(&have, &e) < 0 || caps_apply(&have, &e) < 0)
		return 1;
	if (caps_limit_to_own(&want, &missing, &e) < 0 || missing != BIT(CAP_KILL))
		return 2;
	if (caps_drop_bounding(&want, &e) < 0 || caps_apply(&want, &e) < 0)
		return 3;
	if (caps_get_own(&got, &e) < 0 || !caps_equal(&want, &got))
		return 4;
	return got.ambient == BIT(CAP_CHOWN) && got.bounding == BIT(CAP_CHOWN) ? 0 : 5;
}

static void test_limited_to_what_is_there(void **state)
{
	int r = run(body_limit, false);

	if (r == 77) {
		print_message("no user namespaces here\n");
		skip();
	}
	assert_int_equal(r, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_absent_is_empty),
		cmocka_unit_test(test_a_name_with_more_is_unknown),
		cmocka_unit_test(test_impossible_sets_are_refused),
		cmocka_unit_test(test_ambient_needs_permitted_and_inheritable),
		cmocka_unit_test(test_sets_are_applied_exactly),
		cmocka_unit_test(test_sets_survive_a_change_of_user),
		cmocka_unit_test(test_limited_to_what_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
