/* SPDX-License-Identifier: Apache-2.0 */
/*
 * src/linux/seccomp*.c without the kernel: generated programs are run by an interpreter of
 * classic BPF, and compared, for random profiles and calls, with a plain evaluator of the rules
 * that seccomp.c states, and with what libseccomp makes of the same profile.
 */
#include "seccomp_run.h"

#include <fcntl.h>

#define N_PROFILES 400
#define N_CALLS 300
#define EXEC_FD 1048576

/* Calls that have one entry on every architecture. */
static const char *const names[] = {
	"read",	   "write",   "openat", "ioctl",   "clone", "personality", "prctl",
	"unshare", "ptrace",  "execve", "kill",	   "dup3",  "seccomp",	   "execveat",
	"statx",   "openat2", "clone3", "getppid", "exit",  "mprotect",
};
static const char *const actions[] = {
	"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO",	  "SCMP_ACT_KILL_PROCESS",
	"SCMP_ACT_TRAP",  "SCMP_ACT_LOG",	  "SCMP_ACT_TRACE",
	"SCMP_ACT_KILL",  "SCMP_ACT_KILL_THREAD",
};

static void random_args(struct oci_syscall *s, bool wide)
{
	for (uint32_t n = rnd(4); n; n--) {
		uint64_t mask = rnd_value(wide);

		rule_arg(s, rnd(6), ops[rnd(ARRAY_SIZE(ops))], mask, mask & rnd_value(wide));
		if (rnd(8) == 0)
			s->args.v[s->args.n - 1].value_two = rnd_value(wide);
	}
}

static void random_distinct_args(struct oci_syscall *s, bool wide)
{
	/* Not 0: an empty mask is no condition to libseccomp. */
	for (uint32_t index = 0; index < 6; index++)
		if (rnd(3) == 0)
			rule_arg(s, index, ops[rnd(ARRAY_SIZE(ops))], 1 | rnd_value(wide),
				 rnd_value(wide));
}

static void random_errno(struct opt_u32 *o, const char *action)
{
	if ((streq(action, "SCMP_ACT_ERRNO") || streq(action, "SCMP_ACT_TRACE")) && rnd(2))
		*o = (struct opt_u32){ true, rnd(200) };
}

static void random_archs(struct oci_seccomp *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (rnd(2))
			strv_add(&p->architectures, arches[i].name);
	if (rnd(3) == 0)
		strv_add(&p->architectures, "SCMP_ARCH_S390X");
}

static void random_profile(struct oci_seccomp *p)
{
	profile_init(p, actions[rnd(ARRAY_SIZE(actions))]);
	random_errno(&p->default_errno_ret, p->default_action);
	random_archs(p);
	for (uint32_t n = rnd(24); n; n--) {
		struct oci_syscall *s = profile_rule(p, names[rnd(ARRAY_SIZE(names))],
						     actions[rnd(ARRAY_SIZE(actions))]);

		random_errno(&s->errno_ret, s->action);
		random_args(s, true);
	}
}

static int random_nr(const struct test_arch *a)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, names[rnd(ARRAY_SIZE(names))]);

	switch (rnd(8)) {
	case 0:
		return nr + 1;
	case 1:
		return nr - 1;
	case 2:
		return (int)rnd(424);
	case 3:
		return 600 + (int)rnd(1000);
	case 4:
		return nr ^ 0x40000000;
	case 5:
		return rnd(4) ? nr : -1;
	default:
		return nr;
	}
}

static void random_call(struct seccomp_data *d, const struct oci_seccomp *p)
{
	const struct test_arch *a = &arches[rnd(ARRAY_SIZE(arches))];
	bool narrow = a->token == SCMP_ARCH_X86 || a->token == SCMP_ARCH_ARM;

	*d = (struct seccomp_data){ .nr = random_nr(a), .arch = a->audit };
	if (rnd(16) == 0)
		d->arch = AUDIT_ARCH_S390X;
	for (int i = 0; i < 6; i++)
		d->args[i] = rnd_value(!narrow);
	/* Often a value that a rule for this call asks for. */
	for (size_t i = 0; i < p->syscalls.n; i++) {
		const struct oci_syscall *s = &p->syscalls.v[i];

		if (seccomp_syscall_resolve_name_arch(a->token, s->names.v[0]) != d->nr ||
		    rnd(2))
			continue;
		for (size_t j = 0; j < s->args.n; j++) {
			const struct oci_seccomp_arg *arg = &s->args.v[j];
			bool masked = streq(arg->op, "SCMP_CMP_MASKED_EQ");
			uint64_t v = masked ? arg->value_two : arg->value;

			d->args[arg->index] = narrow ? (uint32_t)v : v;
		}
	}
}

static void make_plan(const struct oci_seccomp *engine,
		      const struct oci_seccomp *policies, size_t n, struct seccomp_plan *p)
{
	struct err e = { 0 };

	if (seccomp_plan_make(engine, policies, n, EXEC_FD, p, &e) < 0)
		fail_msg("%s", e.msg);
}

static void expect(uint32_t got, uint32_t want, const struct seccomp_data *d,
		   const char *what)
{
	if (got != want)
		fail_msg("%s: arch %#x nr %d args %#llx %#llx %#llx %#llx %#llx %#llx: %#x, not %#x",
			 what, d->arch, d->nr, d->args[0], d->args[1], d->args[2],
			 d->args[3], d->args[4], d->args[5], got, want);
}

static void test_random_engine_profiles(void **state)
{
	seed = 1;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp p;
		struct seccomp_plan plan;
		struct seccomp_data d;

		random_profile(&p);
		make_plan(&p, NULL, 0, &plan);
		assert_int_equal(plan.programs.n, 1);
		for (int j = 0; j < N_CALLS; j++) {
			random_call(&d, &p);
			expect(plan_run(&plan, &d), ref_eval(&p, false, &d), &d, "engine");
		}
		seccomp_plan_clear(&plan);
		profile_clear(&p);
	}
}

static void test_random_policy_profiles(void **state)
{
	seed = 2;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp p;
		struct seccomp_plan plan;
		struct seccomp_data d;

		random_profile(&p);
		make_plan(NULL, &p, 1, &plan);
		for (int j = 0; j < N_CALLS; j++) {
			random_call(&d, &p);
			expect(plan_run(&plan, &d), ref_eval(&p, true, &d), &d, "policy");
		}
		seccomp_plan_clear(&plan);
		profile_clear(&p);
	}
}

/* Any number of filters decide as the most restrictive of them, also for seccomp(2), and each
 * but the last lets the next be loaded. */
static void test_random_chains(void **state)
{
	int seccomp_nr = seccomp_syscall_resolve_name_arch(NATIVE->token, "seccomp");

	seed = 3;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp p[3];
		struct seccomp_plan plan;
		struct seccomp_data d;

		for (int k = 0; k < 3; k++)
			random_profile(&p[k]);
		make_plan(&p[2], p, 2, &plan);
		assert_int_equal(plan.programs.n, 3);
		for (int j = 0; j < N_CALLS; j++) {
			uint32_t want = SECCOMP_RET_ALLOW;

			random_call(&d, &p[rnd(3)]);
			if (rnd(4) == 0) {
				d.arch = NATIVE->audit;
				d.nr = seccomp_nr;
				d.args[0] = rnd(8) ? SECCOMP_SET_MODE_FILTER : rnd(4);
			}
			for (int k = 3; k--;) {
				uint32_t one = ref_eval(&p[k], k < 2, &d);

				if (rank(one) < rank(want))
					want = one;
			}
			expect(plan_run(&plan, &d), want, &d, "chain");
			if (d.arch != NATIVE->audit || d.nr != seccomp_nr || d.args[0] != 1)
				continue;
			for (size_t k = 0; k < 2; k++)
				expect(bpf_run(plan.programs.v[k].insns,
					       plan.programs.v[k].n, &d),
				       SECCOMP_RET_ALLOW, &d, "loading");
		}
		seccomp_plan_clear(&plan);
		for (int k = 0; k < 3; k++)
			profile_clear(&p[k]);
	}
}

static bool is_exec(const struct seccomp_data *d)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (arches[i].audit == d->arch &&
		    (seccomp_syscall_resolve_name_arch(arches[i].token, "execve") == d->nr ||
		     seccomp_syscall_resolve_name_arch(arches[i].token, "execveat") == d->nr))
			return true;
	return false;
}

/* exec_once: the one execveat passes all filters, every other exec is denied by the one that
 * says so, and nothing else changes. */
static void test_random_exec_once(void **state)
{
	int execveat_nr = seccomp_syscall_resolve_name_arch(NATIVE->token, "execveat");

	seed = 4;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp p[2];
		struct seccomp_plan plan;
		struct seccomp_data d;

		random_profile(&p[0]);
		random_profile(&p[1]);
		p[0].exec_once = true;
		make_plan(rnd(2) ? &p[1] : NULL, p, 1, &plan);
		assert_true(plan.exec_once);
		assert_int_equal(plan.exec_fd, EXEC_FD);
		for (int j = 0; j < N_CALLS; j++) {
			uint32_t got, want;

			random_call(&d, &p[0]);
			if (rnd(3) == 0) {
				d.arch = NATIVE->audit;
				d.nr = execveat_nr;
				d.args[0] = EXEC_FD + (rnd(4) ? 0 : 1) +
					    (rnd(4) ? 0 : UINT64_C(1) << 32);
				d.args[4] = rnd(4) ? AT_EMPTY_PATH :
						     rnd(2) << 12 | rnd(2) << 8;
			}
			got = plan_run(&plan, &d);
			if (d.arch == NATIVE->audit && d.nr == execveat_nr &&
			    d.args[0] == EXEC_FD && d.args[4] == AT_EMPTY_PATH) {
				expect(got, SECCOMP_RET_ALLOW, &d, "first exec");
			} else if (is_exec(&d)) {
				assert_true(rank(got) <= (int32_t)SECCOMP_RET_ERRNO);
			} else {
				want = ref_eval(&p[0], true, &d);
				if (plan.programs.n == 2) {
					uint32_t one = ref_eval(&p[1], false, &d);

					want = rank(one) <= rank(want) ? one : want;
				}
				expect(got, want, &d, "exec_once");
			}
		}
		seccomp_plan_clear(&plan);
		profile_clear(&p[0]);
		profile_clear(&p[1]);
	}
}

/*
 * Profiles for which libseccomp defines the outcome. A call has one conditional rule, or several
 * that compare one argument for equality; rules whose conditions overlap otherwise make
 * libseccomp's trees go wrong (2.5.4: "a5 < 0x500000006 or a5 <= 0x100000001" misses
 * 0x17fffffff). Values fit 32 bits where architectures that have no more are listed.
 */
static void random_scmp_profile(struct oci_seccomp *p)
{
	bool done[ARRAY_SIZE(names)] = { false };
	bool wide;

	profile_init(p, actions[rnd(ARRAY_SIZE(actions))]);
	random_errno(&p->default_errno_ret, p->default_action);
	random_archs(p);
	wide = true;
	for (size_t i = 1; i < ARRAY_SIZE(arches); i++)
		wide = wide && !ref_listed(p, &arches[i]);
	for (uint32_t n = rnd(30); n; n--) {
		uint32_t which = rnd(ARRAY_SIZE(names));
		const char *act = actions[which % ARRAY_SIZE(actions)];
		struct oci_syscall *s;

		if (rnd(3) == 0) {
			profile_rule(p, names[which], actions[rnd(ARRAY_SIZE(actions))]);
			continue;
		}
		if (which % 2) {
			s = profile_rule(p, names[which], act);
			rule_arg(s, which % 6, "SCMP_CMP_EQ", rnd_value(wide), 0);
		} else if (!done[which]) {
			s = profile_rule(p, names[which], act);
			random_distinct_args(s, wide);
			done[which] = true;
		}
	}
}

static void test_same_as_libseccomp(void **state)
{
	struct sock_filter insns[BPF_MAXINSNS];

	seed = 5;
	for (int i = 0; i < N_PROFILES; i++) {
		struct oci_seccomp p;
		struct seccomp_plan plan;
		size_t n;

		random_scmp_profile(&p);
		make_plan(&p, NULL, 0, &plan);
		n = scmp_compile(&p, insns, ARRAY_SIZE(insns));
		for (int j = 0; j < N_CALLS; j++) {
			struct seccomp_data d;
			uint32_t def = ref_action(p.default_action, p.default_errno_ret);
			uint32_t want;

			random_call(&d, &p);
			/* libseccomp looks at the lower halves only for x32. */
			if (d.nr & 0x40000000)
				for (int k = 0; k < 6; k++)
					d.args[k] = (uint32_t)d.args[k];
			want = bpf_run(insns, n, &d);
			/* runc's addition to libseccomp's program. */
			if (want == def && ref_arch(&p, &d))
				want = ref_base(&p, false, ref_arch(&p, &d), &d);
			expect(plan_run(&plan, &d), want, &d, "libseccomp");
		}
		seccomp_plan_clear(&plan);
		profile_clear(&p);
	}
}

/* A profile of the size of Docker's: nearly all calls by name in one rule, a few conditional. */
static void big_profile(struct oci_seccomp *p)
{
	static const char *const left_out[] = { "mount",      "umount2",   "reboot",
						"kexec_load", "bpf",	   "keyctl",
						"ptrace",     "clone",	   "personality",
						"socket",     "socketcall" };
	struct oci_syscall *s;

	profile_init(p, "SCMP_ACT_ERRNO");
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		strv_add(&p->architectures, arches[i].name);
	s = list_add(&p->syscalls);
	s->action = strdup("SCMP_ACT_ALLOW");
	for (int nr = 0; nr < 449; nr++) {
		_free_ char *name = seccomp_syscall_resolve_num_arch(NATIVE->token, nr);
		bool skip = !name;

		for (size_t i = 0; !skip && i < ARRAY_SIZE(left_out); i++)
			skip = streq(name, left_out[i]);
		if (!skip)
			strv_add(&s->names, name);
	}
	strv_add(&s->names, "a_call_of_the_future");
	for (uint64_t i = 0; i < 5; i++) {
		s = profile_rule(p, "personality", "SCMP_ACT_ALLOW");
		rule_arg(s, 0, "SCMP_CMP_EQ",
			 (uint64_t[]){ 0, 8, 0x20000, 0x20008, ~0U }[i], 0);
	}
	s = profile_rule(p, "clone", "SCMP_ACT_ALLOW");
	rule_arg(s, 0, "SCMP_CMP_MASKED_EQ", 2114060288, 0);
	s = profile_rule(p, "socket", "SCMP_ACT_ALLOW");
	rule_arg(s, 0, "SCMP_CMP_NE", 40, 0);
}

static uint32_t call(const struct seccomp_plan *p, const struct test_arch *a,
		     const char *name, uint64_t arg0)
{
	struct seccomp_data d = { .nr = seccomp_syscall_resolve_name_arch(a->token, name),
				  .arch = a->audit };

	d.args[0] = arg0;
	return plan_run(p, &d);
}

static void test_big_profile(void **state)
{
	const uint32_t denied = SECCOMP_RET_ERRNO | EPERM;
	struct seccomp_data d = { .nr = 449, .arch = NATIVE->audit };
	struct seccomp_plan plan;
	struct oci_seccomp p;

	big_profile(&p);
	make_plan(&p, NULL, 0, &plan);
	assert_true(plan.programs.v[0].n < 1000);
	assert_int_equal(call(&plan, NATIVE, "read", 0), SECCOMP_RET_ALLOW);
	assert_int_equal(call(&plan, NATIVE, "bpf", 0), denied);
	assert_int_equal(call(&plan, NATIVE, "socket", 40), denied);
	assert_int_equal(call(&plan, NATIVE, "socket", 2), SECCOMP_RET_ALLOW);
	assert_int_equal(call(&plan, NATIVE, "personality", 8), SECCOMP_RET_ALLOW);
	assert_int_equal(call(&plan, NATIVE, "personality", 9), denied);
	assert_int_equal(call(&plan, NATIVE, "clone", 0x11), SECCOMP_RET_ALLOW);
	assert_int_equal(call(&plan, NATIVE, "clone", 0x10000000), denied);
	assert_int_equal(plan_run(&plan, &d), SECCOMP_RET_ERRNO | ENOSYS);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

#if defined(__x86_64__)
static uint32_t i386_mux(const struct seccomp_plan *p, int entry, uint64_t arg0)
{
	struct seccomp_data d = { .nr = entry, .arch = AUDIT_ARCH_I386, .args = { arg0 } };

	return plan_run(p, &d);
}

/* socket, connect and shmget have second entries on i386; a rule holds for both. */
static void test_i386_second_entries(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;
	struct oci_syscall *s;

	profile_init(&p, "SCMP_ACT_ALLOW");
	strv_add(&p.architectures, "SCMP_ARCH_X86");
	profile_rule(&p, "connect", "SCMP_ACT_ERRNO");
	profile_rule(&p, "shmget", "SCMP_ACT_ERRNO");
	s = profile_rule(&p, "socket", "SCMP_ACT_ERRNO");
	rule_arg(s, 0, "SCMP_CMP_EQ", 40, 0);
	make_plan(&p, NULL, 0, &plan);
	assert_int_equal(i386_mux(&plan, 362, 0), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(i386_mux(&plan, 102, 3), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(i386_mux(&plan, 102, 2), SECCOMP_RET_ALLOW);
	assert_int_equal(i386_mux(&plan, 117, 23), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(i386_mux(&plan, 117, 23 | 1 << 16), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(i386_mux(&plan, 117, 22), SECCOMP_RET_ALLOW);
	assert_int_equal(i386_mux(&plan, 395, 0), SECCOMP_RET_ERRNO | EPERM);
	/* The arguments of socketcall cannot be seen: a denial holds for all of them. */
	assert_int_equal(i386_mux(&plan, 359, 2), SECCOMP_RET_ALLOW);
	assert_int_equal(i386_mux(&plan, 359, 40), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(i386_mux(&plan, 102, 1), SECCOMP_RET_ERRNO | EPERM);
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}
#endif

static void expect_refused(struct oci_seccomp *p, const char *what)
{
	struct seccomp_plan plan = { 0 };
	struct err e = { 0 };

	assert_true(seccomp_plan_make(p, NULL, 0, -1, &plan, &e) < 0);
	assert_int_equal(plan.programs.n, 0);
	if (!strstr(e.msg, what))
		fail_msg("'%s' is not in '%s'", what, e.msg);
	profile_clear(p);
}

static void test_wrong_members_are_named(void **state)
{
	struct oci_seccomp p;
	struct oci_syscall *s;

	profile_init(&p, "SCMP_ACT_ALOW");
	expect_refused(&p, "linux.seccomp.defaultAction: unknown action 'SCMP_ACT_ALOW'");
	profile_init(&p, "SCMP_ACT_ALLOW");
	p.default_errno_ret = (struct opt_u32){ true, 1 };
	expect_refused(&p,
		       "linux.seccomp.defaultAction: SCMP_ACT_ALLOW takes no defaultErrnoRet");
	profile_init(&p, "SCMP_ACT_ERRNO");
	p.default_errno_ret = (struct opt_u32){ true, 4096 };
	expect_refused(&p, "defaultErrnoRet 4096 is above 4095");
	profile_init(&p, "SCMP_ACT_ALLOW");
	s = profile_rule(&p, "read", "SCMP_ACT_KILL");
	s->errno_ret = (struct opt_u32){ true, 1 };
	expect_refused(&p, "linux.seccomp.syscalls[0]: SCMP_ACT_KILL takes no errnoRet");
	profile_init(&p, "SCMP_ACT_ALLOW");
	profile_rule(&p, "read", "SCMP_ACT_LOG");
	s = profile_rule(&p, "read", "SCMP_ACT_KILL");
	rule_arg(s, 6, "SCMP_CMP_EQ", 0, 0);
	expect_refused(&p, "linux.seccomp.syscalls[1].args[0].index: 6 is above 5");
	profile_init(&p, "SCMP_ACT_ALLOW");
	s = profile_rule(&p, "read", "SCMP_ACT_KILL");
	rule_arg(s, 5, "SCMP_CMP_EQ", 0, 0);
	rule_arg(s, 5, "SCMP_CMP_EQUAL", 0, 0);
	expect_refused(&p, "linux.seccomp.syscalls[0].args[1].op: unknown operator");
	profile_init(&p, "SCMP_ACT_ALLOW");
	strv_add(&p.flags, "SECCOMP_FILTER_FLAG_NEW_LISTENER");
	expect_refused(&p, "linux.seccomp.flags[0]: unknown flag");
	profile_init(&p, "SCMP_ACT_ALLOW");
	strv_add(&p.architectures, "SCMP_ARCH_VAX");
	expect_refused(&p, "linux.seccomp.architectures[0]: unknown architecture");
	profile_init(&p, "SCMP_ACT_ALLOW");
	profile_rule(&p, "read", "SCMP_ACT_NOTIFY");
	expect_refused(&p, "linux.seccomp.listenerPath is required");
	profile_init(&p, "SCMP_ACT_ALLOW");
	p.listener_metadata = strdup("x");
	expect_refused(&p, "linux.seccomp.listenerMetadata needs listenerPath");
	profile_init(&p, "SCMP_ACT_ALLOW");
	p.exec_once = true;
	expect_refused(&p, "exec_once without a descriptor");
}

static void test_too_many_instructions(void **state)
{
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	for (uint64_t i = 0; i < 1200; i++)
		rule_arg(profile_rule(&p, "ioctl", "SCMP_ACT_KILL"), 1, "SCMP_CMP_EQ", i, 0);
	expect_refused(&p, "4096 instructions");
}

/* Far jumps: a block of conditions that is longer than a conditional jump can span. */
static void test_far_jumps(void **state)
{
	struct seccomp_plan plan;
	struct oci_seccomp p;

	profile_init(&p, "SCMP_ACT_ALLOW");
	profile_rule(&p, "read", "SCMP_ACT_TRAP");
	profile_rule(&p, "openat2", "SCMP_ACT_TRAP");
	for (uint64_t i = 0; i < 500; i++)
		rule_arg(profile_rule(&p, "ioctl", "SCMP_ACT_ERRNO"), 1, "SCMP_CMP_EQ",
			 i * 3, 0);
	make_plan(&p, NULL, 0, &plan);
	assert_true(plan.programs.v[0].n > 1500);
	for (uint64_t i = 0; i < 1600; i++) {
		struct seccomp_data d = {
			.nr = seccomp_syscall_resolve_name("ioctl"),
			.arch = NATIVE->audit,
			.args = { 0, i },
		};

		expect(plan_run(&plan, &d), ref_eval(&p, false, &d), &d, "far");
		d.nr = i;
		d.args[1] = 1;
		expect(plan_run(&plan, &d), ref_eval(&p, false, &d), &d, "far");
	}
	seccomp_plan_clear(&plan);
	profile_clear(&p);
}

static void test_listener_is_last_and_single(void **state)
{
	struct seccomp_plan plan = { 0 };
	struct oci_seccomp p[2];
	struct err e = { 0 };

	for (int i = 0; i < 2; i++) {
		profile_init(&p[i], "SCMP_ACT_ALLOW");
		strv_add(&p[i].flags, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
	}
	profile_rule(&p[0], "getppid", "SCMP_ACT_NOTIFY");
	p[0].listener_path = strdup("/run/agent");
	p[0].listener_metadata = strdup("data");
	make_plan(&p[1], p, 1, &plan);
	assert_false(plan.programs.v[0].notify);
	assert_int_equal(plan.programs.v[0].flags, 0);
	assert_true(plan.programs.v[1].notify);
	assert_int_equal(plan.programs.v[1].flags, 1U << 5);
	assert_string_equal(plan.listener_path, "/run/agent");
	assert_string_equal(plan.listener_metadata, "data");
	seccomp_plan_clear(&plan);

	profile_rule(&p[1], "getppid", "SCMP_ACT_NOTIFY");
	p[1].listener_path = strdup("/run/agent");
	assert_true(seccomp_plan_make(&p[1], p, 1, -1, &plan, &e) < 0);
	assert_int_equal(e.kind, ERR_UNSUPPORTED);
	profile_clear(&p[0]);
	profile_clear(&p[1]);
}

static void test_no_filter_is_an_empty_plan(void **state)
{
	struct seccomp_plan plan;

	make_plan(NULL, NULL, 0, &plan);
	assert_int_equal(plan.programs.n, 0);
	assert_false(plan.exec_once);
	seccomp_plan_clear(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_engine_profiles),
		cmocka_unit_test(test_random_policy_profiles),
		cmocka_unit_test(test_random_chains),
		cmocka_unit_test(test_random_exec_once),
		cmocka_unit_test(test_same_as_libseccomp),
		cmocka_unit_test(test_big_profile),
#if defined(__x86_64__)
		cmocka_unit_test(test_i386_second_entries),
#endif
		cmocka_unit_test(test_wrong_members_are_named),
		cmocka_unit_test(test_too_many_instructions),
		cmocka_unit_test(test_far_jumps),
		cmocka_unit_test(test_listener_is_last_and_single),
		cmocka_unit_test(test_no_filter_is_an_empty_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
