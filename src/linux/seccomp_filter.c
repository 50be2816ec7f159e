/* SPDX-License-Identifier: Apache-2.0 */
/* From one profile to decision tables; seccomp.c says by which rules. Runs in the runtime; pure,
 * libseccomp is asked for the numbers of names only. */
#include "linux/seccomp_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>

#include "base/str.h"
#include "linux/seccomp.h"

/* The numbers of x32 are x86-64's plus this bit. */
#define X32_BIT 0x40000000U
/* The numbers that only x32 has, from when it came; all newer calls are below. */
#define X32_FIRST_OWN (X32_BIT + 512)
#define X32_LAST_OWN (X32_BIT + 547)
/* From here on the numbers of 32 bit ARM are the architecture's private ones, old and new. */
#define ARM_PRIVATE 0xf0000U
/* All architectures share their numbers from here on. */
#define FIRST_SHARED_NR 424U

/* The calls of i386 with two entries. `direct` 0: what libseccomp says, or none. */
#define I386_SOCKETCALL 102
#define I386_IPC 117
struct mux {
	const char *name;
	uint32_t entry;
	uint32_t call; /* the first argument */
	uint32_t direct;
};
static const struct mux i386_muxed[] = {
	{ "socket", I386_SOCKETCALL, 1, 359 },
	{ "bind", I386_SOCKETCALL, 2, 361 },
	{ "connect", I386_SOCKETCALL, 3, 362 },
	{ "listen", I386_SOCKETCALL, 4, 363 },
	{ "accept", I386_SOCKETCALL, 5, 0 },
	{ "getsockname", I386_SOCKETCALL, 6, 367 },
	{ "getpeername", I386_SOCKETCALL, 7, 368 },
	{ "socketpair", I386_SOCKETCALL, 8, 360 },
	{ "send", I386_SOCKETCALL, 9, 0 },
	{ "recv", I386_SOCKETCALL, 10, 0 },
	{ "sendto", I386_SOCKETCALL, 11, 369 },
	{ "recvfrom", I386_SOCKETCALL, 12, 371 },
	{ "shutdown", I386_SOCKETCALL, 13, 373 },
	{ "setsockopt", I386_SOCKETCALL, 14, 366 },
	{ "getsockopt", I386_SOCKETCALL, 15, 365 },
	{ "sendmsg", I386_SOCKETCALL, 16, 370 },
	{ "recvmsg", I386_SOCKETCALL, 17, 372 },
	{ "accept4", I386_SOCKETCALL, 18, 364 },
	{ "recvmmsg", I386_SOCKETCALL, 19, 337 },
	{ "sendmmsg", I386_SOCKETCALL, 20, 345 },
	{ "semop", I386_IPC, 1, 0 },
	{ "semget", I386_IPC, 2, 393 },
	{ "semctl", I386_IPC, 3, 394 },
	{ "semtimedop", I386_IPC, 4, 0 },
	{ "msgsnd", I386_IPC, 11, 400 },
	{ "msgrcv", I386_IPC, 12, 401 },
	{ "msgget", I386_IPC, 13, 399 },
	{ "msgctl", I386_IPC, 14, 402 },
	{ "shmat", I386_IPC, 21, 397 },
	{ "shmdt", I386_IPC, 22, 398 },
	{ "shmget", I386_IPC, 23, 395 },
	{ "shmctl", I386_IPC, 24, 396 },
};

void seccomp_filter_clear(struct seccomp_filter *f)
{
	for (size_t i = 0; i < f->n_tables; i++) {
		free(f->tables[i].matches.v);
		free(f->tables[i].spans.v);
	}
	for (size_t i = 0; i < f->tests.n; i++)
		free(f->tests.v[i].list.v);
	free(f->tests.v);
}

const struct seccomp_arch *seccomp_arch_find_native(void)
{
	uint32_t token = seccomp_arch_native();

	for (size_t i = 0; i < seccomp_n_archs; i++)
		if (seccomp_archs[i].token == token && seccomp_archs[i].family == token)
			return &seccomp_archs[i];
	return NULL;
}

static struct seccomp_table *table_of(struct seccomp_filter *f, const struct seccomp_arch *a)
{
	for (size_t i = 0; i < f->n_tables; i++)
		if (f->tables[i].audit_arch == a->audit)
			return &f->tables[i];
	f->tables[f->n_tables].audit_arch = a->audit;
	return &f->tables[f->n_tables++];
}

static void filter_pick_archs(struct seccomp_filter *f, const struct seccomp_arch *native)
{
	f->archs[f->n_archs++] = native;
	for (size_t i = 0; i < seccomp_n_archs; i++)
		if (seccomp_archs[i].family == native->family &&
		    &seccomp_archs[i] != native &&
		    strv_contains(&f->profile->architectures, seccomp_archs[i].name))
			f->archs[f->n_archs++] = &seccomp_archs[i];
	for (size_t i = 0; i < f->n_archs; i++)
		table_of(f, f->archs[i]);
}

/* The order in which the kernel ranks actions: lower is more restrictive. */
int32_t seccomp_action_rank(uint32_t action)
{
	return (int32_t)(action & SECCOMP_RET_ACTION_FULL);
}

static uint64_t match_order(const struct seccomp_filter *f, uint32_t action, bool conditional)
{
	/* From 0 (KILL_PROCESS, a negative rank) up. */
	uint64_t restrictive = (uint64_t)((int64_t)seccomp_action_rank(action) - INT32_MIN);

	if (f->is_policy)
		return 1 + restrictive;
	return conditional ? 2 + restrictive : 1;
}

int seccomp_filter_add_match(struct seccomp_filter *f, const struct seccomp_arch *a,
			     uint32_t nr, uint32_t action,
			     const struct seccomp_tests *tests, uint64_t order)
{
	struct seccomp_match *m = list_add(&table_of(f, a)->matches);

	if (!m)
		return -ENOMEM;
	m->nr = nr;
	m->action = action;
	m->tests = tests ? tests->list.v : NULL;
	m->n_tests = tests ? tests->list.n : 0;
	m->order = order;
	m->seq = f->seq++;
	return 0;
}

ssize_t seccomp_filter_add_tests(struct seccomp_filter *f, const struct seccomp_test *t,
				 size_t n)
{
	struct seccomp_tests *l = list_add(&f->tests);

	for (size_t i = 0; l && i < n; i++) {
		struct seccomp_test *copy = list_add(&l->list);

		if (!copy)
			return -1;
		*copy = t[i];
	}
	return l ? (ssize_t)(f->tests.n - 1) : -1;
}

/* The value as it appears in a 32 bit register. */
static uint64_t narrow(uint64_t value)
{
	return (int64_t)value < 0 && (int64_t)value >= INT32_MIN ? (uint32_t)value : value;
}

static struct seccomp_test test_from(const struct seccomp_filter *f,
				     const struct oci_seccomp_arg *arg,
				     const struct seccomp_arch *a)
{
	struct seccomp_test t = {
		.arg = arg->index,
		.op = seccomp_op_find(arg->op),
		.value = arg->value,
	};

	if (t.op == SECCOMP_OP_MASKED_EQ) {
		t.mask = arg->value;
		t.value = f->is_policy ? arg->value_two : arg->value_two & arg->value;
	}
	if (!a->is_64bit)
		t.value = narrow(t.value);
	if (!a->is_64bit && t.op == SECCOMP_OP_MASKED_EQ)
		t.mask = narrow(t.mask);
	return t;
}

static bool has_repeated_index(const struct oci_syscall *rule)
{
	unsigned int seen = 0;

	for (size_t i = 0; i < rule->args.n; i++) {
		unsigned int bit = 1U << rule->args.v[i].index;

		if (seen & bit)
			return true;
		seen |= bit;
	}
	return false;
}

/* Adds the conditions of a rule to f->tests, [*ret_first, f->tests.n): one list when all must
 * hold, several when any. */
static int add_rule_tests(struct seccomp_filter *f, const struct oci_syscall *rule,
			  const struct seccomp_arch *a, size_t *ret_first)
{
	bool split = !f->is_policy && has_repeated_index(rule);
	size_t first = f->tests.n;

	for (size_t i = 0; i < rule->args.n; i++) {
		struct seccomp_test t = test_from(f, &rule->args.v[i], a);
		struct seccomp_test *last;

		if ((i == 0 || split) && seccomp_filter_add_tests(f, NULL, 0) < 0)
			return -ENOMEM;
		last = list_add(&f->tests.v[f->tests.n - 1].list);
		if (!last)
			return -ENOMEM;
		*last = t;
	}
	*ret_first = first;
	return 0;
}

static const struct mux *mux_find(const struct seccomp_arch *a, const char *name)
{
	for (size_t i = 0; a->token == SCMP_ARCH_X86 && i < ARRAY_SIZE(i386_muxed); i++)
		if (*i386_muxed[i].name == *name && streq(i386_muxed[i].name, name))
			return &i386_muxed[i];
	return NULL;
}

/* The number of a call, or -1 when the architecture has none. */
int64_t seccomp_number_of(const struct seccomp_arch *a, const char *name)
{
	const struct mux *m = mux_find(a, name);
	int nr = seccomp_syscall_resolve_name_arch(a->token, name);

	/* Negative numbers are libseccomp's own, for the calls of other architectures. */
	if (nr >= 0)
		return nr;
	return m && m->direct ? (int64_t)m->direct : -1;
}

/* The rule for the call's second entry. */
static int add_muxed(struct seccomp_filter *f, const struct seccomp_arch *a,
		     const struct mux *m, uint32_t action, bool conditional)
{
	struct seccomp_test t = { .op = SECCOMP_OP_EQ, .value = m->call };
	ssize_t tests;

	if (conditional &&
	    seccomp_action_rank(action) > seccomp_action_rank(f->default_action))
		return 0;
	if (m->entry == I386_IPC) {
		/* The upper half of the first argument is a version. */
		t.op = SECCOMP_OP_MASKED_EQ;
		t.mask = 0xffff;
	}
	tests = seccomp_filter_add_tests(f, &t, 1);
	if (tests < 0)
		return -ENOMEM;
	return seccomp_filter_add_match(f, a, m->entry, action, &f->tests.v[tests],
					match_order(f, action, true));
}

/* One name of a rule on one architecture; the rule's conditions are f->tests[first, end). */
static int add_name(struct seccomp_filter *f, size_t arch, const char *name,
		    const struct oci_syscall *rule, size_t first, size_t end)
{
	const struct seccomp_arch *a = f->archs[arch];
	const struct mux *mux = mux_find(a, name);
	uint32_t action = seccomp_action_value(rule->action, rule->errno_ret);
	uint64_t order = match_order(f, action, rule->args.n > 0);
	int64_t nr = seccomp_number_of(a, name);
	int r = 0;

	if (nr > f->last_nr[arch] && !(a->token == SCMP_ARCH_ARM && nr >= ARM_PRIVATE))
		f->last_nr[arch] = nr;
	if (!f->is_policy && action == f->default_action)
		return 0;
	if (nr >= 0 && !rule->args.n)
		r = seccomp_filter_add_match(f, a, nr, action, NULL, order);
	for (size_t i = first; nr >= 0 && !r && i < end; i++)
		r = seccomp_filter_add_match(f, a, nr, action, &f->tests.v[i], order);
	if (mux && !r)
		r = add_muxed(f, a, mux, action, rule->args.n > 0);
	return r;
}

static int add_rule(struct seccomp_filter *f, const struct oci_syscall *rule)
{
	int r = 0;

	for (size_t a = 0; !r && a < f->n_archs; a++) {
		size_t first, end;

		r = add_rule_tests(f, rule, f->archs[a], &first);
		end = f->tests.n;
		for (size_t i = 0; !r && i < rule->names.n; i++)
			r = add_name(f, a, rule->names.v[i], rule, first, end);
	}
	return r;
}

/* The highest number that libseccomp has a name for. */
static uint32_t highest_known_nr(const struct seccomp_arch *a)
{
	uint32_t base = a->token == SCMP_ARCH_X32 ? X32_BIT : 0;
	uint32_t last = base + FIRST_SHARED_NR;

	for (uint32_t nr = last; nr < last + 16; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(a->token, nr);

		if (name)
			last = nr;
		free(name);
	}
	return last;
}

/* The number above which calls are newer than the profile; 0: no such rule. */
static uint32_t newest_nr(const struct seccomp_filter *f, size_t arch)
{
	const struct seccomp_arch *a = f->archs[arch];
	uint32_t action = f->default_action & SECCOMP_RET_ACTION_FULL;

	if (action == SECCOMP_RET_LOG || action == SECCOMP_RET_TRACE)
		return 0;
	if (f->is_policy)
		return highest_known_nr(a);
	if (action == SECCOMP_RET_ALLOW)
		return 0;
	return strv_contains(&f->profile->architectures, a->name) ? f->last_nr[arch] : 0;
}

static int add_span(struct seccomp_table *t, uint32_t first, uint32_t action)
{
	struct seccomp_span *s = list_add(&t->spans);

	if (!s)
		return -ENOMEM;
	s->first = first;
	s->action = action;
	return 0;
}

/* The actions of the numbers that no rule names. */
static int add_spans(struct seccomp_filter *f)
{
	bool has_x32 = false;
	int r = 0;

	for (size_t i = 0; i < f->n_archs; i++)
		has_x32 = has_x32 || f->archs[i]->token == SCMP_ARCH_X32;
	for (size_t i = 0; !r && i < f->n_archs; i++) {
		const struct seccomp_arch *a = f->archs[i];
		struct seccomp_table *t = table_of(f, a);
		uint32_t newest = newest_nr(f, i);

		r = add_span(t, a->token == SCMP_ARCH_X32 ? X32_BIT : 0, f->default_action);
		if (!r && newest)
			r = add_span(t, newest + 1, SECCOMP_ERRNO_ACTION(ENOSYS));
		if (!r && newest && newest < X32_FIRST_OWN && a->token == SCMP_ARCH_X32) {
			r = add_span(t, X32_FIRST_OWN, f->default_action);
			if (!r)
				r = add_span(t, X32_LAST_OWN + 1,
					     SECCOMP_ERRNO_ACTION(ENOSYS));
		}
		if (!r && a->token == SCMP_ARCH_ARM)
			r = add_span(t, ARM_PRIVATE, f->default_action);
		if (!r && a->token == SCMP_ARCH_X86_64 && !has_x32)
			r = add_span(t, X32_BIT, SECCOMP_BAD_ARCH_ACTION);
		/* -1 is no call of x32: it is what a tracer sets to skip a call. */
		if (!r && (a->token == SCMP_ARCH_X32 ||
			   (a->token == SCMP_ARCH_X86_64 && !has_x32)))
			r = add_span(t, UINT32_MAX, f->default_action);
	}
	return r;
}

static int compare_matches(const void *a, const void *b)
{
	const struct seccomp_match *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void seccomp_filter_sort(struct seccomp_filter *f)
{
	for (size_t i = 0; i < f->n_tables; i++)
		if (f->tables[i].matches.n)
			qsort(f->tables[i].matches.v, f->tables[i].matches.n,
			      sizeof(*f->tables[i].matches.v), compare_matches);
}

int seccomp_filter_fill(struct seccomp_filter *f, const struct seccomp_arch *native,
			struct err *e)
{
	const struct oci_seccomp *s = f->profile;
	int r;

	r = seccomp_check(s, e);
	if (!r)
		r = seccomp_flags_value(&s->flags, &f->flags, e);
	if (r < 0)
		return r;
	f->notify = seccomp_has_notify(s);
	if (!f->notify)
		f->flags &= ~SECCOMP_FLAG_WAIT_KILLABLE_RECV; /* says how to wait for a listener */
	f->default_action = seccomp_action_value(s->default_action, s->default_errno_ret);
	filter_pick_archs(f, native);
	for (size_t i = 0; !r && i < s->syscalls.n; i++)
		r = add_rule(f, &s->syscalls.v[i]);
	if (!r)
		r = add_spans(f);
	return r < 0 ? err_oom(e) : 0;
}
