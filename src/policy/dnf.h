/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of system call arguments as "OR of ANDs of comparisons" (disjunctive normal form), with
 * what compile.c needs: AND, AND NOT. All numbers are unsigned, 64 bits. Pure.
 */
#ifndef PURPLE_POLICY_DNF_H
#define PURPLE_POLICY_DNF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

/* "Less" and "greater" are written as COND_LE and COND_GE of the neighbour value. */
enum cond_op {
	COND_EQ,
	COND_NE,
	COND_LE,
	COND_GE,
	COND_MASKED_EQ, /* (argument & mask) == value */
};

struct cond {
	uint32_t arg; /* 0 to 5 */
	enum cond_op op;
	uint64_t value;
	uint64_t mask; /* of COND_MASKED_EQ; else 0 */
};

/* All conditions hold; none: always true. */
struct conj {
	struct cond *v;
	size_t n;
};

/* At least one of them holds; none: never true. */
struct dnf {
	struct conj *v;
	size_t n;
};

/* More conjunctions than this are refused with -E2BIG. */
#define DNF_MAX 512

void dnf_clear(struct dnf *d);
bool dnf_is_false(const struct dnf *d);
bool dnf_is_true(const struct dnf *d);
int dnf_set_true(struct dnf *d);

/* d = d OR (all of conds). What can never hold or is held by d already is not added. */
int dnf_or_conj(struct dnf *d, const struct cond *conds, size_t n);
/* d = d OR other. */
int dnf_or(struct dnf *d, const struct dnf *other);
/* d = d AND NOT other. d is unchanged on failure: 0, -ENOMEM or -E2BIG. */
int dnf_and_not(struct dnf *d, const struct dnf *other);

#define _dnf_clear_ __attribute__((cleanup(dnf_clear)))

#endif
