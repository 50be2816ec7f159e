// SPDX-License-Identifier: Apache-2.0
/* See seccomp_rules.h. Pure. */
#include "policy/seccomp_rules.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"

#if defined(__x86_64__)
const char seccomp_native_arch[] = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
const char seccomp_native_arch[] = "SCMP_ARCH_AARCH64";
#else
#error "this architecture has no default system call profile yet"
#endif

static const char *const ops[] = {
	[COND_EQ] = "SCMP_CMP_EQ",
	[COND_NE] = "SCMP_CMP_NE",
	[COND_LE] = "SCMP_CMP_LE",
	[COND_GE] = "SCMP_CMP_GE",
	[COND_MASKED_EQ] = "SCMP_CMP_MASKED_EQ",
};

static int add_args(struct oci_syscall *sc, const struct cond *conds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct oci_seccomp_arg *a = list_add(&sc->args);
		const struct cond *c = &conds[i];
		bool masked = c->op == COND_MASKED_EQ;

		if (!a)
			return -ENOMEM;
		a->index = c->arg;
		a->value = masked ? c->mask : c->value;
		a->value_two = masked ? c->value : 0;
		a->op = strdup(ops[c->op]);
		if (!a->op)
			return -ENOMEM;
	}
	return 0;
}

int seccomp_add_rule(struct oci_seccomp *s, const char *name, const char *action,
		     struct opt_u32 err, const struct cond *conds, size_t n)
{
	struct oci_syscall *sc;
	size_t i;

	for (i = 0; n == 0 && i < s->syscalls.n; i++) {
		sc = &s->syscalls.v[i];
		if (sc->args.n == 0 && streq(sc->action, action) &&
		    sc->errno_ret.set == err.set && sc->errno_ret.value == err.value)
			return strv_add(&sc->names, name);
	}
	sc = list_add(&s->syscalls);
	if (!sc || strv_add(&sc->names, name) < 0)
		return -ENOMEM;
	sc->action = strdup(action);
	if (!sc->action)
		return -ENOMEM;
	sc->errno_ret = err;
	return add_args(sc, conds, n);
}

int seccomp_add_plain(struct oci_seccomp *s, const char *name, const char *action,
		      struct opt_u32 err)
{
	return seccomp_add_rule(s, name, action, err, NULL, 0);
}

int seccomp_add_set(struct oci_seccomp *s, const char *name, const char *action,
		    struct opt_u32 err, const struct dnf *set)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < set->n; i++)
		r = seccomp_add_rule(s, name, action, err, set->v[i].v, set->v[i].n);
	return r;
}

/* The inverse of add_args(). */
static void read_args(const struct oci_syscall *rule, struct cond *ret)
{
	for (size_t i = 0; i < rule->args.n; i++) {
		const struct oci_seccomp_arg *a = &rule->args.v[i];
		unsigned int op = COND_EQ;

		while (op < COND_MASKED_EQ && !streq(a->op, ops[op]))
			op++;
		ret[i] = (struct cond){ .arg = a->index,
					.op = (enum cond_op)op,
					.value = a->value };
		if (op == COND_MASKED_EQ) {
			ret[i].mask = a->value;
			ret[i].value = a->value_two;
		}
	}
}

static bool is_granting(const char *action)
{
	return streq(action, "SCMP_ACT_ALLOW") || streq(action, "SCMP_ACT_LOG");
}

int seccomp_granted(const struct oci_seccomp *s, const char *call, struct dnf *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->syscalls.n; i++) {
		const struct oci_syscall *rule = &s->syscalls.v[i];
		_free_ struct cond *conds = NULL;

		if (!is_granting(rule->action) || !strv_contains(&rule->names, call))
			continue;
		conds = calloc(rule->args.n + 1, sizeof(*conds));
		if (!conds)
			return -ENOMEM;
		read_args(rule, conds);
		r = dnf_or_conj(ret, conds, rule->args.n);
	}
	return r;
}
