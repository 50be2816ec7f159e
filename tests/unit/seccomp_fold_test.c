/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/policy/seccomp_fold.c: one profile in place of several filters. For random profiles and
 * calls, the folded profile decides as the filters together do (linux/seccomp.c writes those), and
 * so does what libseccomp makes of it, since that is what runc and crun load. Needs no privileges.
 */
#include "seccomp_run.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "policy/merge.h"
#include "policy/policy.h"
#include "policy/seccomp_fold.h"

#define N_PROFILES 600
#define N_CALLS 400

/* All have less than openat2's number, which every engine's profile names: above it calls are newer
 * than the profile, and that is for the runtime to say. */
static const char *const names[] = {
	"read",	 "write",   "ioctl",	  "clone",   "personality",
	"prctl", "unshare", "socketpair", "openat2",
};
static const char *const actions[] = {
	"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",
	"SCMP_ACT_ALLOW", "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS",
};
static const char *const stern[] = { "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS" };

static void random_errno(struct opt_u32 *o, const char *action)
{
	if (streq(action, "SCMP_ACT_ERRNO") && rnd(2))
		*o = (struct opt_u32){ true, 1 + rnd(4) };
}

static void random_conditions(struct oci_syscall *s)
{
	for (uint32_t n = rnd(3); n; n--) {
		uint64_t mask = rnd_value(true);

		rule_arg(s, rnd(2), ops[rnd(ARRAY_SIZE(ops))], mask, mask & rnd_value(true));
	}
}

static void random_profile(struct oci_seccomp *p, bool is_policy)
{
	profile_init(p, is_policy || rnd(2) ? stern[rnd(2)] :
					      actions[rnd(ARRAY_SIZE(actions))]);
	random_errno(&p->default_errno_ret, p->default_action);
	assert_int_equal(strv_add(&p->architectures, NATIVE->name), 0);
	if (!is_policy && rnd(2))
		assert_int_equal(strv_add(&p->architectures, arches[1].name), 0);
	for (uint32_t n = rnd(12); n; n--) {
		struct oci_syscall *s = profile_rule(p, names[rnd(ARRAY_SIZE(names))],
						     actions[rnd(ARRAY_SIZE(actions))]);

		random_errno(&s->errno_ret, s->action);
		if (rnd(3))
			random_conditions(s);
	}
	profile_rule(p, "openat2", "SCMP_ACT_ALLOW");
}

static uint64_t random_argument(const struct oci_seccomp *const *p, size_t n)
{
	const struct oci_seccomp *one = p[rnd((uint32_t)n)];
	const struct oci_syscall *rule =
		one && one->syscalls.n ? &one->syscalls.v[rnd((uint32_t)one->syscalls.n)] :
					 NULL;

	if (rule && rule->args.n && rnd(3)) {
		const struct oci_seccomp_arg *a = &rule->args.v[rnd((uint32_t)rule->args.n)];

		return (rnd(2) ? a->value : a->value_two) + rnd(3) - 1;
	}
	return rnd_value(true);
}

static void random_call(struct seccomp_data *d, const struct oci_seccomp *const *p, size_t n)
{
	*d = (struct seccomp_data){
		.arch = NATIVE->audit,
		.nr = seccomp_syscall_resolve_name(names[rnd(ARRAY_SIZE(names))]),
	};
	for (size_t i = 0; i < 3; i++)
		d->args[i] = random_argument(p, n);
}

static void expect(uint32_t got, uint32_t want, const struct seccomp_data *d,
		   const char *what)
{
	if (got != want)
		fail_msg("%s: call %d (%#llx, %#llx): %#x instead of %#x", what, d->nr,
			 (unsigned long long)d->args[0], (unsigned long long)d->args[1],
			 got, want);
}

/* The filters as Purple loads them against the fold, as Purple and as libseccomp read it. False when
 * the fold is too long for the kernel, or to be written: what no policy of people's comes to. */
static bool compare(const struct oci_seccomp *policies, size_t n,
		    const struct oci_seccomp *engine, int calls)
{
	const struct oci_seccomp *all[] = { engine, &policies[0], &policies[n - 1] };
	static struct sock_filter insns[BPF_MAXINSNS];
	struct seccomp_plan separate, together;
	struct oci_seccomp folded;
	struct seccomp_fault fault;
	struct err e;
	size_t len;

	assert_int_equal(seccomp_plan_make(engine, policies, n, -1, &separate, &e), 0);
	if (seccomp_fold_all(policies, n, engine, &folded, &fault) < 0) {
		seccomp_plan_clear(&separate);
		return false;
	}
	if (seccomp_plan_make(&folded, NULL, 0, -1, &together, &e) < 0) {
		assert_int_equal(e.code, E2BIG);
		seccomp_plan_clear(&separate);
		profile_clear(&folded);
		return false;
	}
	len = scmp_compile(&folded, insns, ARRAY_SIZE(insns));
	for (int i = 0; i < calls; i++) {
		struct seccomp_data d;
		uint32_t want;

		random_call(&d, all, ARRAY_SIZE(all));
		want = plan_run(&separate, &d);
		expect(plan_run(&together, &d), want, &d, "folded");
		expect(bpf_run(insns, len, &d), want, &d, "folded, by libseccomp");
	}
	seccomp_plan_clear(&separate);
	seccomp_plan_clear(&together);
	profile_clear(&folded);
	return true;
}

static void test_random_profiles(void **state)
{
	int compared = 0;

	seed = 11;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp engine, policies[2];
		size_t n = 1 + rnd(2);
		bool has_engine = rnd(4) != 0;

		random_profile(&engine, false);
		for (size_t k = 0; k < n; k++)
			random_profile(&policies[k], true);
		compared += compare(policies, n, has_engine ? &engine : NULL, N_CALLS);
		profile_clear(&engine);
		for (size_t k = 0; k < n; k++)
			profile_clear(&policies[k]);
	}
	assert_true(compared > N_PROFILES / 2);
}

/* What engines say of sockets where the container lacks CAP_AUDIT_WRITE, as in Podman 5. */
static void engines_sockets(struct oci_seccomp *p)
{
	struct oci_syscall *s;

	profile_init(p, "SCMP_ACT_ERRNO");
	p->default_errno_ret = (struct opt_u32){ true, ENOSYS };
	assert_int_equal(strv_add(&p->architectures, NATIVE->name), 0);
	s = profile_rule(p, "socket", "SCMP_ACT_ERRNO");
	s->errno_ret = (struct opt_u32){ true, EINVAL };
	rule_arg(s, 0, "SCMP_CMP_EQ", AF_NETLINK, 0);
	rule_arg(s, 2, "SCMP_CMP_EQ", NETLINK_AUDIT, 0);
	rule_arg(profile_rule(p, "socket", "SCMP_ACT_ALLOW"), 2, "SCMP_CMP_NE",
		 NETLINK_AUDIT, 0);
	rule_arg(profile_rule(p, "socket", "SCMP_ACT_ALLOW"), 0, "SCMP_CMP_NE",
		 AF_NETLINK, 0);
	rule_arg(profile_rule(p, "socket", "SCMP_ACT_ALLOW"), 2, "SCMP_CMP_NE",
		 NETLINK_AUDIT, 0);
	profile_rule(p, "openat2", "SCMP_ACT_ALLOW");
}

/* As Purple's own profile has them. */
static void policys_sockets(struct oci_seccomp *p)
{
	static const uint64_t families[] = { AF_UNIX, AF_INET, AF_INET6 };
	struct oci_syscall *s;

	profile_init(p, "SCMP_ACT_ERRNO");
	assert_int_equal(strv_add(&p->architectures, NATIVE->name), 0);
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		rule_arg(profile_rule(p, "socket", "SCMP_ACT_ALLOW"), 0,
			 "SCMP_CMP_MASKED_EQ", 0xffffffff, families[i]);
	s = profile_rule(p, "socket", "SCMP_ACT_ALLOW");
	rule_arg(s, 0, "SCMP_CMP_MASKED_EQ", 0xffffffff, AF_NETLINK);
	rule_arg(s, 2, "SCMP_CMP_MASKED_EQ", 0xffffffff, NETLINK_ROUTE);
	profile_rule(p, "openat2", "SCMP_ACT_ALLOW");
}

static void test_sockets(void **state)
{
	static const uint64_t families[] = { 0,		 AF_UNIX, AF_INET, AF_INET6,
					     AF_NETLINK, 17,	  40 };
	static const uint64_t protocols[] = { NETLINK_ROUTE, 1, NETLINK_AUDIT, 10 };
	struct oci_seccomp engine, policy, folded;
	struct seccomp_plan separate, together;
	struct seccomp_fault fault;
	struct err e;

	engines_sockets(&engine);
	policys_sockets(&policy);
	assert_int_equal(seccomp_fold_all(&policy, 1, &engine, &folded, &fault), 0);
	assert_int_equal(seccomp_plan_make(&engine, &policy, 1, -1, &separate, &e), 0);
	assert_int_equal(seccomp_plan_make(&folded, NULL, 0, -1, &together, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(families) * ARRAY_SIZE(protocols); i++) {
		struct seccomp_data d = {
			.arch = NATIVE->audit,
			.nr = seccomp_syscall_resolve_name("socket"),
			.args = { families[i % ARRAY_SIZE(families)], 1,
				  protocols[i / ARRAY_SIZE(families)] },
		};
		uint32_t want = plan_run(&separate, &d);

		expect(plan_run(&together, &d), want, &d, "sockets");
		/* The kernel takes ints: what stands above them opens nothing. */
		d.args[0] |= UINT64_C(7) << 32;
		d.args[2] |= UINT64_C(1) << 63;
		expect(plan_run(&together, &d), want, &d, "sockets, with upper halves");
	}
	seccomp_plan_clear(&separate);
	seccomp_plan_clear(&together);
	profile_clear(&folded);
	profile_clear(&policy);
	profile_clear(&engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_profiles),
		cmocka_unit_test(test_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
