// SPDX-License-Identifier: Apache-2.0
/*
 * Folding profiles: see seccomp_fold.h. Pure. This file reads the profiles, each as it is meant
 * (linux/seccomp.c says how), and makes what is not said of single calls; seccomp_tree.c works out
 * what the profiles together make of a call.
 */
#include "policy/seccomp_fold.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/seccomp_tree.h"

#define PROFILES_MAX 6

/* A profile and how it is meant. */
struct profile {
	const struct oci_seccomp *s;
	bool is_engines;
};

static struct seccomp_outcome default_outcome(const struct oci_seccomp *s)
{
	return (struct seccomp_outcome){ s->default_action, s->default_errno_ret };
}

static struct seccomp_outcome rule_outcome(const struct oci_syscall *rule)
{
	return (struct seccomp_outcome){ rule->action, rule->errno_ret };
}

/* --- what a profile says of a call --- */

struct rules {
	LIST_OF(const struct oci_syscall *) l;
};

/* False: the comparison never holds. */
static bool cond_from_arg(const struct oci_seccomp_arg *a, bool is_engines, struct cond *ret)
{
	*ret = (struct cond){ .arg = a->index, .op = COND_EQ, .value = a->value };
	if (streq(a->op, "SCMP_CMP_NE")) {
		ret->op = COND_NE;
	} else if (streq(a->op, "SCMP_CMP_LT")) {
		ret->op = COND_LE;
		return ret->value-- > 0;
	} else if (streq(a->op, "SCMP_CMP_LE")) {
		ret->op = COND_LE;
	} else if (streq(a->op, "SCMP_CMP_GT")) {
		ret->op = COND_GE;
		return ret->value++ < UINT64_MAX;
	} else if (streq(a->op, "SCMP_CMP_GE")) {
		ret->op = COND_GE;
	} else if (streq(a->op, "SCMP_CMP_MASKED_EQ")) {
		ret->op = COND_MASKED_EQ;
		ret->mask = a->value;
		ret->value = is_engines ? a->value_two & a->value : a->value_two;
	}
	return true;
}

static bool names_argument_twice(const struct oci_syscall *rule)
{
	unsigned int seen = 0;
	size_t i;

	for (i = 0; i < rule->args.n; i++) {
		if (seen & (1U << rule->args.v[i].index))
			return true;
		seen |= 1U << rule->args.v[i].index;
	}
	return false;
}

/* Adds a rule's conditions: all must hold, or any one in an engine's rule that names an argument
 * twice. */
static int add_rule(struct seccomp_choice *c, const struct oci_syscall *rule, bool is_engines)
{
	bool any = is_engines && names_argument_twice(rule), holds = true;
	const struct seccomp_outcome o = rule_outcome(rule);
	struct cond *conds = calloc(rule->args.n + 1, sizeof(*conds));
	size_t i;
	int r = 0;

	if (!conds)
		return -ENOMEM;
	for (i = 0; r == 0 && i < rule->args.n; i++) {
		bool one = cond_from_arg(&rule->args.v[i], is_engines, &conds[i]);

		holds = holds && one;
		if (any && one)
			r = seccomp_choice_add(c, &o, &conds[i], 1);
	}
	if (!any && holds)
		r = seccomp_choice_add(c, &o, conds, rule->args.n);
	free(conds);
	return r;
}

/* The strictest first; of equal ones the first. */
static void rules_sort(struct rules *rules)
{
	size_t i, k;

	for (i = 1; i < rules->l.n; i++) {
		const struct oci_syscall *x = rules->l.v[i];
		const struct seccomp_outcome o = rule_outcome(x);
		int rank = seccomp_outcome_rank(&o);

		for (k = i; k > 0; k--) {
			const struct seccomp_outcome before =
				rule_outcome(rules->l.v[k - 1]);

			if (seccomp_outcome_rank(&before) <= rank)
				break;
			rules->l.v[k] = rules->l.v[k - 1];
		}
		rules->l.v[k] = x;
	}
}

/* The rules for a call, in the order in which they decide. */
static int rules_collect(const struct profile *p, const char *call, struct rules *ret)
{
	const struct seccomp_outcome otherwise = default_outcome(p->s);
	size_t i;

	for (i = 0; i < p->s->syscalls.n; i++) {
		const struct oci_syscall *rule = &p->s->syscalls.v[i], **at;
		const struct seccomp_outcome o = rule_outcome(rule);

		if (!strv_contains(&rule->names, call))
			continue;
		if (p->is_engines && seccomp_outcome_is_equal(&o, &otherwise))
			continue;
		/* Of an engine's, the first without conditions wins over all others. */
		if (p->is_engines && rule->args.n == 0)
			ret->l.n = 0;
		at = list_add(&ret->l);
		if (!at)
			return -ENOMEM;
		*at = rule;
		if (p->is_engines && rule->args.n == 0)
			return 0;
	}
	rules_sort(ret);
	return 0;
}

static int read_call(const struct profile *p, const char *call, struct seccomp_choice *ret)
{
	struct rules rules = { 0 };
	size_t i;
	int r = rules_collect(p, call, &rules);

	ret->otherwise = default_outcome(p->s);
	for (i = 0; r == 0 && i < rules.l.n; i++)
		r = add_rule(ret, rules.l.v[i], p->is_engines);
	free(rules.l.v);
	/* Engines compare all of an argument with the family of sockets and the protocol that nobody is
	 * to have: what is in the upper half for that would be a thousand rules beside a policy's, and
	 * makes no other call of it. */
	if (p->is_engines && streq(call, "socket"))
		seccomp_choice_narrow(ret);
	return r;
}

static int fold_call(const struct profile *profiles, size_t n, const char *call,
		     struct oci_seccomp *ret)
{
	struct seccomp_choice choices[PROFILES_MAX] = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++)
		r = read_call(&profiles[i], call, &choices[i]);
	if (r == 0)
		r = seccomp_tree_write(choices, n, call, ret);
	for (i = 0; i < n; i++)
		seccomp_choice_clear(&choices[i]);
	return r;
}

/* --- what is said of all calls --- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every call that a profile names, once. The strings are the profiles'. */
static int collect_names(const struct profile *profiles, size_t n_profiles,
			 const char ***ret, size_t *ret_n)
{
	LIST_OF(const char *) names = { 0 };
	size_t i, k, m, n = 0;

	for (i = 0; i < n_profiles; i++) {
		for (k = 0; k < profiles[i].s->syscalls.n; k++) {
			const struct strv *l = &profiles[i].s->syscalls.v[k].names;

			for (m = 0; m < l->n; m++) {
				const char **at = list_add(&names);

				if (!at) {
					free(names.v);
					return -ENOMEM;
				}
				*at = l->v[m];
			}
		}
	}
	if (names.n)
		qsort(names.v, names.n, sizeof(*names.v), by_name);
	for (i = 0; i < names.n; i++)
		if (n == 0 || !streq(names.v[i], names.v[n - 1]))
			names.v[n++] = names.v[i];
	*ret = names.v;
	*ret_n = n;
	return 0;
}

/*
 * A call of an architecture that one of them does not list ends the thread: so does one that the
 * outcome does not list. An engine's empty list is the native one, which policies list and which
 * is filtered by any profile, listed or not.
 */
static int fold_architectures(const struct profile *profiles, size_t n,
			      struct oci_seccomp *ret)
{
	const struct strv *first = &profiles[0].s->architectures;
	size_t i, k;

	for (i = 0; i < first->n; i++) {
		bool all = true;

		for (k = 1; k < n; k++) {
			const struct strv *l = &profiles[k].s->architectures;

			all = all && (l->n == 0 || strv_contains(l, first->v[i]));
		}
		if (all && strv_add(&ret->architectures, first->v[i]) < 0)
			return -ENOMEM;
	}
	return ret->architectures.n ? 0 : strv_copy(first, &ret->architectures);
}

/* Of the flags, the one that lifts a protection goes. */
static int fold_flags(const struct oci_seccomp *from, struct oci_seccomp *ret)
{
	size_t i;

	for (i = 0; i < from->flags.n; i++)
		if (!streq(from->flags.v[i], "SECCOMP_FILTER_FLAG_SPEC_ALLOW") &&
		    !strv_contains(&ret->flags, from->flags.v[i]) &&
		    strv_add(&ret->flags, from->flags.v[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int fold_head(const struct profile *profiles, size_t n, struct oci_seccomp *ret)
{
	struct seccomp_outcome o = default_outcome(profiles[0].s);
	size_t i;

	for (i = 0; i < n; i++) {
		const struct oci_seccomp *s = profiles[i].s;
		const struct seccomp_outcome one = default_outcome(s);

		o = seccomp_outcome_stricter(&o, &one);
		if (fold_flags(s, ret) < 0)
			return -ENOMEM;
		/* Only the engine's has a listener. */
		if (s->listener_path && !(ret->listener_path = strdup(s->listener_path)))
			return -ENOMEM;
		if (s->listener_metadata &&
		    !(ret->listener_metadata = strdup(s->listener_metadata)))
			return -ENOMEM;
	}
	ret->default_action = strdup(o.action);
	ret->default_errno_ret = o.err;
	return ret->default_action ? fold_architectures(profiles, n, ret) : -ENOMEM;
}

int seccomp_fold_all(const struct oci_seccomp *policies, size_t n,
		     const struct oci_seccomp *engine, struct oci_seccomp *ret,
		     struct seccomp_fault *ret_fault)
{
	struct profile profiles[PROFILES_MAX];
	struct oci_seccomp out = { 0 };
	const char **names = NULL;
	size_t i, n_names = 0, n_profiles = 0;
	int r;

	if (n + 1 > PROFILES_MAX)
		return -E2BIG;
	for (i = 0; i < n; i++)
		profiles[n_profiles++] = (struct profile){ &policies[i], false };
	if (engine)
		profiles[n_profiles++] = (struct profile){ engine, true };
	r = fold_head(profiles, n_profiles, &out);
	if (r == 0)
		r = collect_names(profiles, n_profiles, &names, &n_names);
	for (i = 0; r == 0 && i < n_names; i++) {
		r = fold_call(profiles, n_profiles, names[i], &out);
		if (r < 0)
			snprintf(ret_fault->call, sizeof(ret_fault->call), "%s", names[i]);
	}
	free(names);
	if (r < 0)
		json_clear(&oci_seccomp_type, &out);
	else
		*ret = out;
	return r;
}
