/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What system call profiles decide, as tables from which seccomp_bpf.c writes programs. Runs in
 * the runtime, before there is a container; pure. libseccomp is asked for the numbers of names
 * only: its own compiler needs a multiple of a container's start-up time.
 *
 * Theory of operation
 *
 * A profile gives each (architecture, number, arguments) one action. Architectures: the native
 * one always, and those listed that this kernel can run; a call of any other, or of x32 when it
 * is not listed, gets KILL_THREAD (libseccomp's SCMP_ACT_KILL, as under runc and crun).
 *
 * The engine's profile means what it means under runc with libseccomp:
 * - names that no kernel known to libseccomp has are skipped: profiles name the calls of many;
 * - a rule whose action is the default action is dropped;
 * - a rule whose conditions name an argument twice is split, one rule per condition (any of
 *   them), otherwise all conditions must hold; the value of SCMP_CMP_MASKED_EQ is masked too;
 * - of the rules for a call, the first without conditions wins over all others. Without such a
 *   one, conditions that overlap are decided by the most restrictive action (of equal ones the
 *   first, here and below);
 * - a number above the highest that the profile names on a listed architecture is a call newer
 *   than the profile: ENOSYS, so that libcs fall back, unless the default action is ALLOW, LOG
 *   or TRACE.
 *
 * A policy's profile is stricter where the above surprises: all rules count, all conditions of
 * a rule must hold, and of the rules that hold the most restrictive one wins, with conditions or
 * without. A number above the highest that libseccomp knows is a call the policy could not name:
 * ENOSYS, unless the default action is LOG or TRACE (a policy that only records).
 *
 * i386 has calls with two entries: the direct one, and socketcall(2) or ipc(2) with the call in
 * the first argument. A rule holds for both. The arguments of the second form are in memory where
 * no filter sees them: there a conditional rule that allows more than the default is left out,
 * any other holds without its conditions.
 *
 * Values are compared over 64 bits. On 32 bit architectures the upper half of an argument is 0,
 * so a value that is a sign-extended negative number is cut to 32 bits there.
 *
 * Several profiles: each is a program of its own and the kernel takes the most restrictive
 * result. Loading one needs seccomp(2), which those before may deny. So all but the last let
 * seccomp(SECCOMP_SET_MODE_FILTER) pass, and the last decides it as all of them together would
 * have. A program with SCMP_ACT_NOTIFY is the last: only it has the listener.
 *
 * exec_once: execve and execveat are denied but for one execveat that executes a descriptor by a
 * number which cannot be opened again, and all other programs let exactly that one pass.
 */
#include "linux/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/str.h"
#include "linux/seccomp_filter.h"

/* The one exec that every filter lets pass, on the native architecture. */
static int allow_first_exec(struct seccomp_filter *f, int exec_fd)
{
	struct seccomp_test t[] = {
		{ .arg = 0, .op = SECCOMP_OP_EQ, .value = exec_fd },
		{ .arg = 4, .op = SECCOMP_OP_EQ, .value = AT_EMPTY_PATH },
	};
	const struct seccomp_arch *native = f->archs[0];
	ssize_t tests = seccomp_filter_add_tests(f, t, ARRAY_SIZE(t));

	if (tests < 0)
		return -ENOMEM;
	return seccomp_filter_add_match(f, native, seccomp_number_of(native, "execveat"),
					SECCOMP_RET_ALLOW, &f->tests.v[tests],
					SECCOMP_ORDER_FIRST);
}

/* Denies every other exec; to be called after allow_first_exec(). */
static int deny_exec(struct seccomp_filter *f)
{
	uint32_t action = f->default_action;
	int r = 0;

	if (action != SECCOMP_RET_KILL_THREAD && action != SECCOMP_RET_KILL_PROCESS)
		action = SECCOMP_ERRNO_ACTION(EPERM);
	for (size_t i = 0; !r && i < f->n_archs; i++) {
		const struct seccomp_arch *a = f->archs[i];

		r = seccomp_filter_add_match(f, a, seccomp_number_of(a, "execve"), action,
					     NULL, SECCOMP_ORDER_FIRST);
		if (!r)
			r = seccomp_filter_add_match(f, a, seccomp_number_of(a, "execveat"),
						     action, NULL, SECCOMP_ORDER_FIRST);
	}
	return r;
}

/* The decisions for one number, the last without tests: what is left of a table for it. */
struct decision {
	uint32_t action;
	struct seccomp_tests tests;
};
struct decisions {
	LIST_OF(struct decision) list;
};

static void decisions_clear(struct decisions *d)
{
	for (size_t i = 0; i < d->list.n; i++)
		free(d->list.v[i].tests.list.v);
	free(d->list.v);
	memset(d, 0, sizeof(*d));
}

static int decisions_add(struct decisions *d, uint32_t action, const struct seccomp_test *a,
			 size_t n_a, const struct seccomp_test *b, size_t n_b)
{
	struct decision *new = list_add(&d->list);

	if (!new)
		return -ENOMEM;
	new->action = action;
	for (size_t i = 0; i < n_a + n_b; i++) {
		struct seccomp_test *t = list_add(&new->tests.list);

		if (!t)
			return -ENOMEM;
		*t = i < n_a ? a[i] : b[i - n_a];
	}
	return 0;
}

static int decisions_of(const struct seccomp_table *t, uint32_t nr, struct decisions *ret)
{
	for (size_t i = 0; i < t->matches.n; i++) {
		const struct seccomp_match *m = &t->matches.v[i];
		int r;

		if (m->nr != nr)
			continue;
		r = decisions_add(ret, m->action, m->tests, m->n_tests, NULL, 0);
		if (r < 0 || !m->n_tests)
			return r;
	}
	return decisions_add(ret, seccomp_table_base_action(t, nr), NULL, 0, NULL, 0);
}

/*
 * What two lists decide together: of each pair the more restrictive action, a's on a tie (the
 * kernel takes the data of the filter loaded last). The first pair that holds consists of the
 * first decisions that hold in each, since the pairs are in the order of both.
 */
static int decisions_combine(const struct decisions *a, const struct decisions *b,
			     struct decisions *ret)
{
	for (size_t i = 0; i < a->list.n; i++)
		for (size_t j = 0; j < b->list.n; j++) {
			const struct decision *x = &a->list.v[i], *y = &b->list.v[j];
			bool second = seccomp_action_rank(y->action) <
				      seccomp_action_rank(x->action);
			int r;

			if (ret->list.n == BPF_MAXINSNS)
				return -E2BIG;
			r = decisions_add(ret, second ? y->action : x->action,
					  x->tests.list.v, x->tests.list.n,
					  y->tests.list.v, y->tests.list.n);
			if (r < 0)
				return r;
		}
	return 0;
}

/* args[0] == SECCOMP_SET_MODE_FILTER and the tests of a decision: a match before all rules. */
static int add_loading_match(struct seccomp_filter *f, uint32_t nr, const struct decision *d)
{
	struct seccomp_test t = { .op = SECCOMP_OP_EQ, .value = SECCOMP_SET_MODE_FILTER };
	ssize_t tests = seccomp_filter_add_tests(f, &t, 1);

	if (tests < 0)
		return -ENOMEM;
	for (size_t i = 0; i < d->tests.list.n; i++) {
		struct seccomp_test *copy = list_add(&f->tests.v[tests].list);

		if (!copy)
			return -ENOMEM;
		*copy = d->tests.list.v[i];
	}
	return seccomp_filter_add_match(f, f->archs[0], nr, d->action, &f->tests.v[tests],
					SECCOMP_ORDER_FIRST);
}

/* Lets all filters be loaded, as the theory of operation says. The tables are sorted. */
static int filters_let_load(struct seccomp_filter *filters, size_t n)
{
	const struct decision allow = { .action = SECCOMP_RET_ALLOW };
	uint32_t nr = seccomp_number_of(filters[0].archs[0], "seccomp");
	struct seccomp_filter *last = &filters[n - 1];
	struct decisions all = { 0 };
	int r;

	r = decisions_of(&last->tables[0], nr, &all);
	for (size_t i = n - 1; !r && i--;) {
		struct decisions one = { 0 }, both = { 0 };

		r = decisions_of(&filters[i].tables[0], nr, &one);
		if (!r)
			r = decisions_combine(&all, &one, &both);
		decisions_clear(&one);
		decisions_clear(&all);
		all = both;
		if (!r)
			r = add_loading_match(&filters[i], nr, &allow);
	}
	for (size_t i = 0; !r && i < all.list.n; i++)
		r = add_loading_match(last, nr, &all.list.v[i]);
	decisions_clear(&all);
	return r;
}

static int filters_exec_once(struct seccomp_filter *filters, size_t n, int exec_fd)
{
	int r = 0;

	for (size_t i = 0; !r && i < n; i++) {
		r = allow_first_exec(&filters[i], exec_fd);
		if (!r && filters[i].profile->exec_once)
			r = deny_exec(&filters[i]);
	}
	return r;
}

/* Moves the filter with a listener to the end. */
static int filters_put_notify_last(struct seccomp_filter *filters, size_t n, struct err *e)
{
	size_t found = n;

	for (size_t i = 0; i < n; i++) {
		if (!filters[i].notify)
			continue;
		if (found < n)
			return err_set(e, ERR_UNSUPPORTED, EBUSY,
				       "linux.seccomp: SCMP_ACT_NOTIFY in more than one filter of "
				       "a container: the kernel has one listener per process");
		found = i;
	}
	if (found + 1 < n) {
		struct seccomp_filter f = filters[found];

		memmove(&filters[found], &filters[found + 1], (n - found - 1) * sizeof(f));
		filters[n - 1] = f;
	}
	return 0;
}

static int plan_add_program(struct seccomp_plan *p, struct seccomp_filter *f, struct err *e)
{
	struct seccomp_program *prog = list_add(&p->programs);
	const struct oci_seccomp *s = f->profile;

	if (!prog)
		return err_oom(e);
	seccomp_filter_sort(f);
	prog->flags = f->flags;
	prog->notify = f->notify;
	if (f->notify) {
		p->listener_path = strdup(s->listener_path);
		if (s->listener_metadata)
			p->listener_metadata = strdup(s->listener_metadata);
		if (!p->listener_path || (s->listener_metadata && !p->listener_metadata))
			return err_oom(e);
	}
	return seccomp_bpf_write(f->tables, f->n_tables, SECCOMP_BAD_ARCH_ACTION,
				 &prog->insns, &prog->n, e);
}

static int plan_from_filters(struct seccomp_filter *filters, size_t n, int exec_fd,
			     struct seccomp_plan *p, struct err *e)
{
	int r;

	r = filters_put_notify_last(filters, n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		p->exec_once = p->exec_once || filters[i].profile->exec_once;
		seccomp_filter_sort(&filters[i]);
	}
	p->exec_fd = p->exec_once ? exec_fd : -1;
	if (p->exec_once && exec_fd < 0)
		return err_set(e, ERR_INTERNAL, EBADF,
			       "exec_once without a descriptor number");
	if (n > 1)
		r = filters_let_load(filters, n);
	if (!r && p->exec_once)
		r = filters_exec_once(filters, n, exec_fd);
	if (r == -E2BIG)
		return err_set(e, ERR_UNSUPPORTED, E2BIG,
			       "linux.seccomp: too many conditional rules for seccomp(2)");
	if (r < 0)
		return err_oom(e);
	for (size_t i = 0; !r && i < n; i++)
		r = plan_add_program(p, &filters[i], e);
	return r;
}

int seccomp_plan_make(const struct oci_seccomp *engine,
		      const struct oci_seccomp *policies, size_t n_policies, int exec_fd,
		      struct seccomp_plan *ret, struct err *e)
{
	const struct seccomp_arch *native = seccomp_arch_find_native();
	struct seccomp_plan plan = { .exec_fd = -1 };
	size_t n = n_policies + (engine ? 1 : 0);
	struct seccomp_filter *filters;
	int r = 0;

	if (n && !native)
		return err_set(e, ERR_UNSUPPORTED, ENOSYS,
			       "linux.seccomp: filters are built for x86-64 and arm64 only");
	filters = calloc(n + 1, sizeof(*filters));
	if (!filters)
		return err_oom(e);
	for (size_t i = 0; !r && i < n; i++) {
		filters[i].is_policy = i < n_policies;
		filters[i].profile = i < n_policies ? &policies[i] : engine;
		r = seccomp_filter_fill(&filters[i], native, e);
	}
	if (!r)
		r = plan_from_filters(filters, n, exec_fd, &plan, e);
	for (size_t i = 0; i < n; i++)
		seccomp_filter_clear(&filters[i]);
	free(filters);
	if (r < 0)
		seccomp_plan_clear(&plan);
	else
		*ret = plan;
	return r;
}

void seccomp_plan_clear(struct seccomp_plan *p)
{
	for (size_t i = 0; i < p->programs.n; i++)
		free(p->programs.v[i].insns);
	free(p->programs.v);
	free(p->listener_path);
	free(p->listener_metadata);
	memset(p, 0, sizeof(*p));
	p->exec_fd = -1;
}
