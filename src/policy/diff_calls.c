// SPDX-License-Identifier: Apache-2.0
/*
 * Which system calls, with which arguments, one policy lets through and the other does not. Both
 * are compiled, and the sets of arguments are compared. Pure.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "policy/diff_parts.h"
#include "policy/merge.h"
#include "policy/seccomp_rules.h"

/* As many names are written out. */
#define SHOWN_MAX 12

static int is_subset(const struct dnf *a, const struct dnf *b, bool *ret)
{
	_dnf_clear_ struct dnf rest = {};
	int r = dnf_or(&rest, a);

	if (r == 0)
		r = dnf_and_not(&rest, b);
	*ret = r == 0 && dnf_is_false(&rest);
	return r;
}

/* What has changed for one call; -1: nothing. */
static int compare_call(const struct oci_seccomp *a, const struct oci_seccomp *b,
			const char *call, int *ret_change)
{
	_dnf_clear_ struct dnf x = {}, y = {};
	bool less = false, more = false;
	int r = seccomp_granted(a, call, &x);

	if (r == 0)
		r = seccomp_granted(b, call, &y);
	if (r == 0)
		r = is_subset(&y, &x, &less);
	if (r == 0)
		r = is_subset(&x, &y, &more);
	if (less && more)
		*ret_change = -1;
	else
		*ret_change = less ? POLICY_STRICTER :
			      more ? POLICY_LOOSER :
				     POLICY_OTHER;
	return r;
}

/* The calls of which either speaks, once each; what neither names both deny. */
static int collect(const struct oci_seccomp *a, const struct oci_seccomp *b, struct strv *ret)
{
	const struct oci_seccomp *const both[] = { a, b };
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(both); k++)
		for (size_t i = 0; i < both[k]->syscalls.n; i++) {
			const struct oci_syscall *rule = &both[k]->syscalls.v[i];

			for (size_t j = 0; j < rule->names.n; j++)
				if (strv_add(ret, rule->names.v[j]) < 0)
					return -ENOMEM;
		}
	strv_sort(ret);
	for (size_t i = 0; i < ret->n; i++) {
		if (n && streq(ret->v[i], ret->v[n - 1]))
			free(ret->v[i]);
		else
			ret->v[n++] = ret->v[i];
	}
	ret->n = n;
	if (ret->v)
		ret->v[n] = NULL;
	return 0;
}

static void add_name(struct buf *out, size_t n, const char *name)
{
	if (n < SHOWN_MAX)
		buf_addf(out, "%s%s", n ? ", " : "", name);
}

static int add_calls(policy_differences *ret, enum policy_change c,
		     const struct buf *names, size_t n)
{
	static const char *const words[][2] = {
		[POLICY_STRICTER] = { "allowed", "denied, or with fewer arguments" },
		[POLICY_LOOSER] = { "denied, or with fewer arguments", "allowed" },
		[POLICY_OTHER] = { "some arguments", "other arguments" },
	};
	_buf_free_ struct buf key = {};

	if (n == 0)
		return 0;
	buf_addf(&key, "syscalls: %s", names->s);
	if (n > SHOWN_MAX)
		buf_addf(&key, " and %zu more", n - SHOWN_MAX);
	if (key.failed || names->failed)
		return -ENOMEM;
	return diff_add(ret, c, key.s, words[c][0], words[c][1]);
}

static int compare_all(const struct oci_seccomp *a, const struct oci_seccomp *b,
		       policy_differences *ret)
{
	_strv_free_ struct strv calls = {};
	struct buf names[POLICY_OTHER + 1] = {};
	size_t n[POLICY_OTHER + 1] = {};
	int change, r = collect(a, b, &calls);

	for (size_t i = 0; r == 0 && i < calls.n; i++) {
		r = compare_call(a, b, calls.v[i], &change);
		if (r == 0 && change >= 0)
			add_name(&names[change], n[change]++, calls.v[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (r == 0)
			r = add_calls(ret, (enum policy_change)i, &names[i], n[i]);
		buf_free(&names[i]);
	}
	return r;
}

static int compare_profiles(const struct policy *a, const struct policy *b,
			    const struct oci_seccomp *x, const struct oci_seccomp *y,
			    policy_differences *ret, struct err *e)
{
	const bool kills[] = { a->syscalls.kill_on_violation,
			       b->syscalls.kill_on_violation };
	int r = compare_all(x, y, ret);

	if (r == 0 && x->exec_once != y->exec_once)
		r = diff_add(ret, y->exec_once ? POLICY_STRICTER : POLICY_LOOSER,
			     "syscalls: programs the agent starts",
			     x->exec_once ? "none" : "any", y->exec_once ? "none" : "any");
	if (r == 0 && kills[0] != kills[1])
		r = diff_add(ret, kills[1] ? POLICY_STRICTER : POLICY_LOOSER,
			     "syscalls.on_violation", kills[0] ? "kill" : "deny",
			     kills[1] ? "kill" : "deny");
	if (r == -E2BIG)
		return err_set(e, ERR_POLICY, E2BIG,
			       "syscalls: the conditions are too complex to be compared");
	return r < 0 ? err_oom(e) : 0;
}

int diff_calls(const struct policy *a, const struct policy *b, policy_differences *ret,
	       struct err *e)
{
	struct oci_seccomp x = {}, y = {};
	int r = policy_compile_seccomp(a, &x, e);

	if (r == 0)
		r = policy_compile_seccomp(b, &y, e);
	if (r == 0)
		r = compare_profiles(a, b, &x, &y, ret, e);
	json_clear(&oci_seccomp_type, &x);
	json_clear(&oci_seccomp_type, &y);
	return r;
}
