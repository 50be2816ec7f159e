/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain reading of seccomp profiles by the rules at the top of linux/seccomp.c, and an
 * interpreter of classic BPF: what compiled filters are compared with. For the unit tests and
 * the fuzz target; a failure is one of cmocka's.
 */
#ifndef PURPLE_TESTS_SECCOMP_REFERENCE_H
#define PURPLE_TESTS_SECCOMP_REFERENCE_H

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fd.h"
#include "linux/seccomp.h"

struct test_arch {
	const char *name;
	uint32_t token, audit;
};
/* The native one first. */
#if defined(__aarch64__)
static const struct test_arch arches[] = {
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM },
};
#else
static const struct test_arch arches[] = {
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64 },
};
#endif
#define NATIVE (&arches[0])

/* Runs a program as the kernel does. Every jump and load is checked. */
static inline uint32_t bpf_run(const struct sock_filter *insns, size_t n,
			       const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &insns[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(i->k + 4 <= sizeof(*d) && i->k % 4 == 0);
			memcpy(&a, (const char *)d + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			fail_msg("instruction %#x at %zu", i->code, pc);
		}
	}
	fail_msg("the program runs over its end");
	return 0;
}

static inline int32_t rank(uint32_t action)
{
	return (int32_t)(action & SECCOMP_RET_ACTION_FULL);
}

/* What the kernel makes of a process's programs: the most restrictive, of equals the latest. */
static inline uint32_t plan_run(const struct seccomp_plan *p, const struct seccomp_data *d)
{
	uint32_t all = SECCOMP_RET_ALLOW;

	for (size_t i = p->programs.n; i--;) {
		uint32_t one = bpf_run(p->programs.v[i].insns, p->programs.v[i].n, d);

		if (rank(one) < rank(all))
			all = one;
	}
	return all;
}

static inline uint32_t ref_action(const char *name, struct opt_u32 ret)
{
	uint32_t data = ret.set ? ret.value : EPERM;

	if (streq(name, "SCMP_ACT_ERRNO"))
		return SECCOMP_RET_ERRNO | data;
	if (streq(name, "SCMP_ACT_TRACE"))
		return SECCOMP_RET_TRACE | data;
	if (streq(name, "SCMP_ACT_ALLOW"))
		return SECCOMP_RET_ALLOW;
	if (streq(name, "SCMP_ACT_LOG"))
		return SECCOMP_RET_LOG;
	if (streq(name, "SCMP_ACT_TRAP"))
		return SECCOMP_RET_TRAP;
	if (streq(name, "SCMP_ACT_NOTIFY"))
		return SECCOMP_RET_USER_NOTIF;
	if (streq(name, "SCMP_ACT_KILL_PROCESS"))
		return SECCOMP_RET_KILL_PROCESS;
	return SECCOMP_RET_KILL_THREAD;
}

static inline uint64_t ref_value(uint64_t v, const struct test_arch *a)
{
	bool narrow = a->token == SCMP_ARCH_X86 || a->token == SCMP_ARCH_ARM;

	return narrow && v >= 0xffffffff80000000ULL ? (uint32_t)v : v;
}

static inline bool ref_holds(const struct oci_seccomp_arg *arg, bool policy,
			     const struct test_arch *a, const struct seccomp_data *d)
{
	uint64_t x = d->args[arg->index], v = ref_value(arg->value, a);
	uint64_t two = ref_value(policy ? arg->value_two : arg->value_two & arg->value, a);

	if (streq(arg->op, "SCMP_CMP_EQ"))
		return x == v;
	if (streq(arg->op, "SCMP_CMP_NE"))
		return x != v;
	if (streq(arg->op, "SCMP_CMP_LT"))
		return x < v;
	if (streq(arg->op, "SCMP_CMP_LE"))
		return x <= v;
	if (streq(arg->op, "SCMP_CMP_GE"))
		return x >= v;
	if (streq(arg->op, "SCMP_CMP_GT"))
		return x > v;
	return (x & v) == two;
}

static inline bool ref_rule_holds(const struct oci_syscall *s, bool policy,
				  const struct test_arch *a, const struct seccomp_data *d)
{
	unsigned int count[6] = { 0 };
	size_t hold = 0;
	bool any = false;

	for (size_t i = 0; i < s->args.n; i++) {
		any = any || ++count[s->args.v[i].index] > 1;
		hold += ref_holds(&s->args.v[i], policy, a, d);
	}
	return any && !policy ? hold > 0 : hold == s->args.n;
}

static inline bool ref_listed(const struct oci_seccomp *p, const struct test_arch *a)
{
	return strv_contains(&p->architectures, a->name);
}

/* The highest number a profile names; -1: none. */
static inline int64_t ref_last(const struct oci_seccomp *p, const struct test_arch *a)
{
	int64_t last = -1;

	for (size_t i = 0; i < p->syscalls.n; i++)
		for (size_t j = 0; j < p->syscalls.v[i].names.n; j++) {
			int nr = seccomp_syscall_resolve_name_arch(a->token,
								   p->syscalls.v[i].names.v[j]);
			if (nr > last && (a->token != SCMP_ARCH_ARM || nr < 0xf0000))
				last = nr;
		}
	return last;
}

static inline const struct test_arch *ref_arch(const struct oci_seccomp *p,
					       const struct seccomp_data *d)
{
	for (size_t i = ARRAY_SIZE(arches); i--;) {
		const struct test_arch *a = &arches[i];

		if (a->audit != d->arch || (a != NATIVE && !ref_listed(p, a)))
			continue;
		if (a->token == SCMP_ARCH_X32 && (!(d->nr & 0x40000000) || d->nr < 0))
			continue;
		if (a->token == SCMP_ARCH_X86_64 && (uint32_t)d->nr >= 0x40000000 &&
		    d->nr != -1)
			continue;
		return a;
	}
	return NULL;
}

static inline uint32_t ref_base(const struct oci_seccomp *p, bool policy,
				const struct test_arch *a, const struct seccomp_data *d)
{
	uint32_t def = ref_action(p->default_action, p->default_errno_ret);
	int64_t last = ref_last(p, a), nr = (uint32_t)d->nr;
	bool x32 = a->token == SCMP_ARCH_X32;
	int32_t r = rank(def);

	if (r == (int32_t)SECCOMP_RET_LOG || r == (int32_t)SECCOMP_RET_TRACE)
		return def;
	if (d->nr == -1 && (x32 || a->token == SCMP_ARCH_X86_64))
		return def;
	if (x32 && nr >= 0x40000000 + 512 && nr <= 0x40000000 + 547 &&
	    last < 0x40000000 + 512)
		return def;
	if (a->token == SCMP_ARCH_ARM && nr >= 0xf0000)
		return def;
	if (policy) {
		_free_ char *name = seccomp_syscall_resolve_num_arch(a->token, d->nr);
		/* Numbers are tried well above and well below the end of libseccomp's tables. */
		return !name && nr - (x32 ? 0x40000000 : 0) > 450 ?
			       SECCOMP_RET_ERRNO | ENOSYS :
			       def;
	}
	if (r == (int32_t)SECCOMP_RET_ALLOW || !ref_listed(p, a) || last <= 0)
		return def;
	return nr > last ? SECCOMP_RET_ERRNO | ENOSYS : def;
}

/* Whether the rule names the call. */
static inline bool ref_names(const struct oci_syscall *s, const struct test_arch *a, int nr)
{
	for (size_t i = 0; i < s->names.n; i++) {
		int one = seccomp_syscall_resolve_name_arch(a->token, s->names.v[i]);

		if (one == nr && one >= 0)
			return true;
	}
	return false;
}

/* What a profile says about a call, by the rules at the top of seccomp.c. */
static inline uint32_t ref_eval(const struct oci_seccomp *p, bool policy,
				const struct seccomp_data *d)
{
	uint32_t def = ref_action(p->default_action, p->default_errno_ret);
	const struct test_arch *a = ref_arch(p, d);
	bool found = false;
	uint32_t best = 0;

	if (!a)
		return SECCOMP_RET_KILL_THREAD;
	for (int plain = 1; plain >= 0; plain--)
		for (size_t i = 0; i < p->syscalls.n; i++) {
			const struct oci_syscall *s = &p->syscalls.v[i];
			uint32_t act = ref_action(s->action, s->errno_ret);

			if (!ref_names(s, a, d->nr))
				continue;
			if (policy ? !plain : act == def || (s->args.n == 0) != plain)
				continue;
			if (!ref_rule_holds(s, policy, a, d))
				continue;
			if (plain && !policy)
				return act;
			if (!found || rank(act) < rank(best))
				best = act;
			found = true;
		}
	return found ? best : ref_base(p, policy, a, d);
}

#endif
