/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes decision tables for system calls as a classic BPF program. Runs in the runtime, before
 * there is a container; pure.
 *
 * Theory of operation
 *
 * The program loads the architecture, then the number, and finds the number's decision by binary
 * search: the numbers are cut into ranges of one decision each, neighbours with the same action
 * are one range, and `jge` nodes halve the ranges. So a call costs about ten instructions,
 * however many the profile names; and numbers that are always allowed are found to be so by the
 * kernel when the program is loaded, which then does not run it for them at all.
 *
 * A range ends in an action (RET) or, for a number with conditional matches, in a block that
 * tries one match after the other. A match is a chain of 64 bit comparisons, each of two 32 bit
 * halves since BPF has no more.
 *
 * BPF jumps go forward only, and conditional ones at most 255 instructions. So the program is
 * written from its end: all targets of an instruction exist when it is written, and their
 * distance is known. A target out of reach gets a `ja` next to the jump; a RET is rather written
 * again. Positions below count from the end of the program.
 */
#include "linux/seccomp_bpf.h"

#include <endian.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Leaves room for the `ja`s that may have to stand between a jump and its target. */
#define REACH 250

/* Where a branch leads: to an action, or to the instruction at a position. */
struct target {
	bool is_action;
	uint32_t action;
	size_t at;
};

/* The latest RET of each action. */
struct ret_insn {
	uint32_t action;
	size_t at;
};

struct writer {
	struct sock_filter insns[BPF_MAXINSNS]; /* from the end */
	size_t n;
	bool full;
	LIST_OF(struct ret_insn) rets;
	bool oom;
};

/* One range of numbers: an action, or the matches [match, match + n) and then the action. */
struct range {
	uint32_t first;
	uint32_t action;
	size_t match, n_matches;
};

struct ranges {
	LIST_OF(struct range) list;
};

static struct target to_action(uint32_t action)
{
	return (struct target){ .is_action = true, .action = action };
}

static struct target to_insn(size_t at)
{
	return (struct target){ .at = at };
}

static size_t emit(struct writer *w, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (w->n == BPF_MAXINSNS) {
		w->full = true;
		return w->n - 1;
	}
	w->insns[w->n] = (struct sock_filter){ code, jt, jf, k };
	return w->n++;
}

/* The position of a RET of this action within reach of the next two instructions or so. */
static size_t near_ret(struct writer *w, uint32_t action)
{
	struct ret_insn *r = NULL;

	for (size_t i = 0; i < w->rets.n; i++)
		if (w->rets.v[i].action == action)
			r = &w->rets.v[i];
	if (r && w->n - r->at <= REACH)
		return r->at;
	if (!r)
		r = list_add(&w->rets);
	if (!r) {
		w->oom = true;
		return 0;
	}
	r->action = action;
	r->at = emit(w, BPF_RET | BPF_K, 0, 0, action);
	return r->at;
}

static size_t near_target(struct writer *w, struct target t)
{
	if (t.is_action)
		return near_ret(w, t.action);
	if (w->n - t.at <= REACH)
		return t.at;
	return emit(w, BPF_JMP | BPF_JA, 0, 0, w->n - t.at - 1);
}

static struct target emit_branch(struct writer *w, uint16_t cond, uint32_t k,
				 struct target yes, struct target no)
{
	size_t jt = near_target(w, yes);
	size_t jf = near_target(w, no);

	return to_insn(emit(w, BPF_JMP | cond | BPF_K, w->n - jt - 1, w->n - jf - 1, k));
}

static struct target emit_load(struct writer *w, size_t offset)
{
	return to_insn(emit(w, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset));
}

static size_t low_half(uint8_t arg)
{
	return offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) +
	       (__BYTE_ORDER == __BIG_ENDIAN ? sizeof(uint32_t) : 0);
}

static size_t high_half(uint8_t arg)
{
	return offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) +
	       (__BYTE_ORDER == __BIG_ENDIAN ? 0 : sizeof(uint32_t));
}

static struct target emit_equal(struct writer *w, const struct seccomp_test *t,
				uint64_t mask, struct target yes, struct target no)
{
	struct target low;

	low = emit_branch(w, BPF_JEQ, (uint32_t)t->value, yes, no);
	if ((uint32_t)mask != UINT32_MAX)
		emit(w, BPF_ALU | BPF_AND | BPF_K, 0, 0, (uint32_t)mask);
	low = emit_load(w, low_half(t->arg));

	emit_branch(w, BPF_JEQ, t->value >> 32, low, no);
	if (mask >> 32 != UINT32_MAX)
		emit(w, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask >> 32);
	return emit_load(w, high_half(t->arg));
}

/* cond is BPF_JGE or BPF_JGT, of the low halves when the high ones are equal. */
static struct target emit_greater(struct writer *w, const struct seccomp_test *t,
				  uint16_t cond, struct target yes, struct target no)
{
	uint32_t high = t->value >> 32;
	struct target low, equal;

	emit_branch(w, cond, (uint32_t)t->value, yes, no);
	low = emit_load(w, low_half(t->arg));
	equal = emit_branch(w, BPF_JEQ, high, low, no);
	emit_branch(w, BPF_JGT, high, yes, equal);
	return emit_load(w, high_half(t->arg));
}

static struct target emit_test(struct writer *w, const struct seccomp_test *t,
			       struct target yes, struct target no)
{
	switch (t->op) {
	case SECCOMP_OP_EQ:
		return emit_equal(w, t, UINT64_MAX, yes, no);
	case SECCOMP_OP_NE:
		return emit_equal(w, t, UINT64_MAX, no, yes);
	case SECCOMP_OP_LT:
		return emit_greater(w, t, BPF_JGE, no, yes);
	case SECCOMP_OP_LE:
		return emit_greater(w, t, BPF_JGT, no, yes);
	case SECCOMP_OP_GE:
		return emit_greater(w, t, BPF_JGE, yes, no);
	case SECCOMP_OP_GT:
		return emit_greater(w, t, BPF_JGT, yes, no);
	case SECCOMP_OP_MASKED_EQ:
		return emit_equal(w, t, t->mask, yes, no);
	}
	__builtin_unreachable();
}

/* The decision of a range: an action, or a block of matches. Matches behind one without tests
 * are never reached and not written. */
static struct target emit_range(struct writer *w, const struct seccomp_match *matches,
				const struct range *r)
{
	struct target next = to_action(r->action);
	size_t n = 0;

	while (n < r->n_matches && matches[r->match + n].n_tests)
		n++;
	if (n < r->n_matches)
		next = to_action(matches[r->match + n].action);
	while (n--) {
		const struct seccomp_match *m = &matches[r->match + n];
		struct target hit = to_action(m->action);

		for (size_t i = m->n_tests; i--;)
			hit = emit_test(w, &m->tests[i], hit, next);
		next = hit;
	}
	return next;
}

/* The search tree over the ranges [lo, hi), with the number in the accumulator. */
static struct target emit_tree(struct writer *w, const struct seccomp_match *matches,
			       const struct range *ranges, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2;
	struct target left, right;

	if (hi - lo == 1)
		return emit_range(w, matches, &ranges[lo]);
	right = emit_tree(w, matches, ranges, mid, hi);
	left = emit_tree(w, matches, ranges, lo, mid);
	return emit_branch(w, BPF_JGE, ranges[mid].first, right, left);
}

uint32_t seccomp_table_base_action(const struct seccomp_table *t, uint32_t nr)
{
	size_t i = t->spans.n - 1;

	while (i && t->spans.v[i].first > nr)
		i--;
	return t->spans.v[i].action;
}

/* Adds a range, or makes the last one longer when it decides the same. */
static int ranges_add(struct ranges *rs, struct range r)
{
	struct range *last = rs->list.n ? &rs->list.v[rs->list.n - 1] : NULL;

	if (last && last->first == r.first) {
		/* The last range turned out to be empty. */
		rs->list.n--;
		last = rs->list.n ? &rs->list.v[rs->list.n - 1] : NULL;
	}
	if (last && !last->n_matches && !r.n_matches && last->action == r.action)
		return 0;
	last = list_add(&rs->list);
	if (!last)
		return -ENOMEM;
	*last = r;
	return 0;
}

/* Cuts the numbers of a table into ranges. */
static int ranges_make(const struct seccomp_table *t, struct ranges *rs)
{
	size_t span = 0, m = 0;
	int r = 0;

	while (!r && (m < t->matches.n || span < t->spans.n)) {
		const struct seccomp_match *first = m < t->matches.n ? &t->matches.v[m] :
								       NULL;
		struct range range = { 0 };

		if (!first || (span < t->spans.n && t->spans.v[span].first <= first->nr)) {
			range.first = t->spans.v[span].first;
			range.action = t->spans.v[span++].action;
			r = ranges_add(rs, range);
			continue;
		}
		range.first = first->nr;
		range.action = seccomp_table_base_action(t, first->nr);
		range.match = m;
		while (m < t->matches.n && t->matches.v[m].nr == first->nr)
			m++;
		range.n_matches = m - range.match;
		if (!first->n_tests) {
			range.action = first->action;
			range.n_matches = 0;
		}
		r = ranges_add(rs, range);
		if (!r && first->nr != UINT32_MAX)
			r = ranges_add(rs, (struct range){
						   .first = first->nr + 1,
						   .action = seccomp_table_base_action(
							   t, first->nr + 1),
					   });
	}
	return r;
}

static int emit_table(struct writer *w, const struct seccomp_table *t, struct target no,
		      struct target *ret)
{
	struct ranges rs = { 0 };
	int r;

	r = ranges_make(t, &rs);
	if (r == 0) {
		emit_tree(w, t->matches.v, rs.list.v, 0, rs.list.n);
		/* A table of one range may be a bare action: the load needs something behind it. */
		if (rs.list.n == 1 && !rs.list.v[0].n_matches)
			emit(w, BPF_RET | BPF_K, 0, 0, rs.list.v[0].action);
		*ret = emit_load(w, offsetof(struct seccomp_data, nr));
		*ret = emit_branch(w, BPF_JEQ, t->audit_arch, *ret, no);
	}
	free(rs.list.v);
	return r;
}

int seccomp_bpf_write(const struct seccomp_table *tables, size_t n_tables,
		      uint32_t bad_arch_action, struct sock_filter **ret_insns,
		      size_t *ret_n, struct err *e)
{
	struct target next = to_action(bad_arch_action);
	struct sock_filter *insns = NULL;
	struct writer *w;
	int r = 0;

	w = calloc(1, sizeof(*w));
	if (!w)
		return err_oom(e);
	for (size_t i = n_tables; i-- && !r && !w->full;)
		r = emit_table(w, &tables[i], next, &next);
	emit_load(w, offsetof(struct seccomp_data, arch));

	if (!r && !w->oom && !w->full)
		insns = malloc(w->n * sizeof(*insns));
	if (w->full) {
		r = err_set(e, ERR_UNSUPPORTED, E2BIG,
			    "the seccomp profile needs more than the %d instructions that the "
			    "kernel accepts: simplify its conditional rules",
			    BPF_MAXINSNS);
	} else if (!insns) {
		r = err_oom(e);
	} else {
		for (size_t i = 0; i < w->n; i++)
			insns[i] = w->insns[w->n - 1 - i];
		*ret_insns = insns;
		*ret_n = w->n;
	}
	free(w->rets.v);
	free(w);
	return r;
}
