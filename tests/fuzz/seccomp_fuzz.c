/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target for seccomp profiles: what is accepted is compiled, as an engine's profile and
 * as a policy's, and the programs are run beside a plain reading of the profile, for the calls and
 * values that the profile itself names and their neighbours.
 * runs: 30000
 */
#include "fuzz.h"

#include "../unit/seccomp_reference.h"

#define EXEC_FD 1048576
#define RULES_MAX 40

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* cmocka's assertions abort then, with their text. */
	return setenv("CMOCKA_TEST_ABORT", "1", 1);
}

static int check(const void *profile, struct err *e)
{
	return seccomp_check(profile, e);
}

/* i386 calls with two entries are decided otherwise, and tested by the unit tests. */
static bool has_second_entry(const char *name)
{
	static const char *const prefixes[] = { "socket", "bind", "connect", "listen",
						"accept", "get",  "send",    "recv",
						"set",	  "shut", "sem",     "msg",
						"shm",	  "ipc" };

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (str_has_prefix(name, prefixes[i]))
			return true;
	return false;
}

/* Where the reference does not say what holds. */
static bool is_comparable(const struct oci_seccomp *p)
{
	size_t names = 0;

	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t k = 0; k < p->syscalls.v[i].names.n; k++, names++)
			if (strv_contains(&p->architectures, "SCMP_ARCH_X86") &&
			    has_second_entry(p->syscalls.v[i].names.v[k]))
				return false;
	return p->syscalls.n <= RULES_MAX && names <= RULES_MAX;
}

static void compare(const struct seccomp_plan *plan, const struct oci_seccomp *p,
		    bool policy, const struct seccomp_data *d)
{
	uint32_t got = plan_run(plan, d), want = ref_eval(p, policy, d);
	char text[200];

	if (got == want)
		return;
	snprintf(text, sizeof(text),
		 "%s: arch %#x nr %d args %#llx %#llx %#llx %#llx %#llx %#llx: %#x, not %#x",
		 policy ? "policy" : "engine", d->arch, d->nr, d->args[0], d->args[1],
		 d->args[2], d->args[3], d->args[4], d->args[5], got, want);
	fuzz_die("a filter does not say what the profile says", text);
}

/* A register of the architecture holds no more. */
static uint64_t as_register(const struct test_arch *a, uint64_t v)
{
	return a->token == SCMP_ARCH_X86 || a->token == SCMP_ARCH_ARM ? (uint32_t)v : v;
}

/* The rule's own values, and each of them off by one. */
static void try_rule(const struct seccomp_plan *plan, const struct oci_seccomp *p,
		     bool policy, const struct test_arch *a, const struct oci_syscall *s,
		     int nr)
{
	struct seccomp_data d = { .nr = nr, .arch = a->audit };

	compare(plan, p, policy, &d);
	for (size_t i = 0; i < s->args.n; i++) {
		const struct oci_seccomp_arg *arg = &s->args.v[i];
		bool masked = streq(arg->op, "SCMP_CMP_MASKED_EQ");

		d.args[arg->index] = as_register(a, masked ? arg->value_two : arg->value);
	}
	compare(plan, p, policy, &d);
	for (size_t i = 0; i < s->args.n && i < 12; i++) {
		__u64 *at = &d.args[s->args.v[i].index], was = *at;

		for (int off = -1; off <= 1; off += 2) {
			*at = as_register(a, was + (uint64_t)off);
			compare(plan, p, policy, &d);
		}
		*at = as_register(a, was ^ UINT64_C(1) << 32);
		compare(plan, p, policy, &d);
		*at = was;
	}
}

static void try_calls(const struct seccomp_plan *plan, const struct oci_seccomp *p,
		      bool policy)
{
	/* The policy's reference knows the ends of libseccomp's tables roughly. */
	static const int others[] = { -1, 0, 1, 59, 322, 423, 1000, 0x3fffffff };

	for (size_t k = 0; k < ARRAY_SIZE(arches); k++) {
		const struct test_arch *a = &arches[k];

		for (size_t i = 0; i < ARRAY_SIZE(others); i++)
			compare(plan, p, policy,
				&(struct seccomp_data){ .nr = others[i], .arch = a->audit });
		for (size_t i = 0; i < p->syscalls.n; i++)
			for (size_t n = 0; n < p->syscalls.v[i].names.n; n++) {
				int nr = seccomp_syscall_resolve_name_arch(
					a->token, p->syscalls.v[i].names.v[n]);

				/* Pseudo numbers stand for calls that are not there. */
				if (nr >= 0)
					try_rule(plan, p, policy, a, &p->syscalls.v[i], nr);
			}
	}
	compare(plan, p, policy, &(struct seccomp_data){ .arch = AUDIT_ARCH_S390X });
}

static void compile(const struct oci_seccomp *p, bool policy)
{
	_seccomp_plan_clear_ struct seccomp_plan plan = {};
	struct err e = {};
	int r;

	r = seccomp_plan_make(policy ? NULL : p, p, policy, EXEC_FD, &plan, &e);
	if (r < 0) {
		fuzz_check_error(r, &e);
		fuzz_require(!plan.programs.v && !plan.programs.n);
		return;
	}
	fuzz_require(plan.programs.n == 1 && plan.programs.v[0].n <= BPF_MAXINSNS);
	fuzz_require(plan.programs.v[0].notify == (plan.listener_path != NULL));
	if (is_comparable(p))
		try_calls(&plan, p, policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_seccomp p = {};
	struct err e = {};

	if (!fuzz_read(data, size, &oci_seccomp_type, &p))
		return 0;
	fuzz_round_trip(&oci_seccomp_type, &p, check);
	if (seccomp_check(&p, &e) == 0) {
		compile(&p, false);
		compile(&p, true);
	}
	json_clear(&oci_seccomp_type, &p);
	return 0;
}
