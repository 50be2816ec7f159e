// SPDX-License-Identifier: Apache-2.0
/*
 * Sets of system call arguments in disjunctive normal form.
 *
 * Conditions are kept in a normal shape (no "less than", no masks of all or no bits), so that
 * contradictions and repetitions inside a conjunction are seen and dropped. That keeps the
 * products small; whether two comparisons exclude or imply one another is decided only where it
 * is cheap, and "do not know" is always a correct answer. Pure.
 */
#include "policy/dnf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a condition is once it is in normal shape. */
enum shape { SHAPE_FALSE, SHAPE_TRUE, SHAPE_COND };

static enum shape cond_normalize(struct cond *c)
{
	switch (c->op) {
	case COND_LE:
		if (c->value == UINT64_MAX)
			return SHAPE_TRUE;
		if (c->value == 0)
			c->op = COND_EQ;
		break;
	case COND_GE:
		if (c->value == 0)
			return SHAPE_TRUE;
		if (c->value == UINT64_MAX)
			c->op = COND_EQ;
		break;
	case COND_MASKED_EQ:
		if (c->value & ~c->mask)
			return SHAPE_FALSE;
		if (c->mask == 0)
			return SHAPE_TRUE;
		if (c->mask == UINT64_MAX)
			c->op = COND_EQ;
		break;
	case COND_EQ:
	case COND_NE:
		break;
	}
	if (c->op != COND_MASKED_EQ)
		c->mask = 0;
	return SHAPE_COND;
}

static bool cond_holds(const struct cond *c, uint64_t x)
{
	switch (c->op) {
	case COND_EQ:
		return x == c->value;
	case COND_NE:
		return x != c->value;
	case COND_LE:
		return x <= c->value;
	case COND_GE:
		return x >= c->value;
	case COND_MASKED_EQ:
		return (x & c->mask) == c->value;
	}
	return false;
}

/* a and b speak of the same argument. True only if every x that a admits is admitted by b. */
static bool cond_implies(const struct cond *a, const struct cond *b)
{
	if (a->op == COND_EQ)
		return cond_holds(b, a->value);
	if (a->op == b->op && a->value == b->value && a->mask == b->mask)
		return true;
	if (a->op == COND_LE && b->op == COND_LE)
		return a->value <= b->value;
	if (a->op == COND_GE && b->op == COND_GE)
		return a->value >= b->value;
	if (a->op == COND_LE && b->op == COND_NE)
		return b->value > a->value;
	if (a->op == COND_GE && b->op == COND_NE)
		return b->value < a->value;
	if (a->op == COND_MASKED_EQ && b->op == COND_NE)
		return (b->value & a->mask) != a->value;
	if (a->op == COND_MASKED_EQ && b->op == COND_MASKED_EQ)
		return (b->mask & ~a->mask) == 0 && (a->value & b->mask) == b->value;
	return false;
}

/* True only if no x is admitted by both. */
static bool cond_excludes(const struct cond *a, const struct cond *b)
{
	if (a->op == COND_EQ)
		return !cond_holds(b, a->value);
	if (b->op == COND_EQ)
		return !cond_holds(a, b->value);
	if (a->op == COND_LE && b->op == COND_GE)
		return a->value < b->value;
	if (a->op == COND_GE && b->op == COND_LE)
		return b->value < a->value;
	if (a->op == COND_MASKED_EQ && b->op == COND_MASKED_EQ)
		return (a->mask & b->mask & (a->value ^ b->value)) != 0;
	return false;
}

/* Adds a condition to a conjunction. 1: added, or implied already; 0: the whole can never hold;
 * -ENOMEM. */
static int conj_and(struct conj *j, struct cond c)
{
	struct cond *slot;
	size_t i, kept = 0;

	switch (cond_normalize(&c)) {
	case SHAPE_TRUE:
		return 1;
	case SHAPE_FALSE:
		return 0;
	case SHAPE_COND:
		break;
	}
	for (i = 0; i < j->n; i++) {
		if (j->v[i].arg != c.arg)
			continue;
		if (cond_excludes(&j->v[i], &c))
			return 0;
		if (cond_implies(&j->v[i], &c))
			return 1;
	}
	for (i = 0; i < j->n; i++)
		if (j->v[i].arg != c.arg || !cond_implies(&c, &j->v[i]))
			j->v[kept++] = j->v[i];
	/* Room for one more, from scratch: list_add() needs the length to have only grown. */
	slot = realloc(j->v, (kept + 1) * sizeof(*j->v));
	if (!slot)
		return -ENOMEM;
	j->v = slot;
	j->v[kept] = c;
	j->n = kept + 1;
	return 1;
}

/* Every x that a admits is admitted by b, as far as can be seen condition by condition. */
static bool conj_implies(const struct conj *a, const struct conj *b)
{
	size_t i, k;

	for (i = 0; i < b->n; i++) {
		for (k = 0; k < a->n; k++)
			if (a->v[k].arg == b->v[i].arg && cond_implies(&a->v[k], &b->v[i]))
				break;
		if (k == a->n)
			return false;
	}
	return true;
}

/* Takes over j's conditions. */
static int dnf_take(struct dnf *d, struct conj *j)
{
	struct conj *v;
	size_t i, kept = 0;

	for (i = 0; i < d->n; i++) {
		if (conj_implies(j, &d->v[i])) {
			free(j->v);
			*j = (struct conj){ 0 };
			return 0;
		}
	}
	for (i = 0; i < d->n; i++) {
		if (conj_implies(&d->v[i], j))
			free(d->v[i].v);
		else
			d->v[kept++] = d->v[i];
	}
	d->n = kept;
	if (d->n >= DNF_MAX)
		return -E2BIG;
	v = realloc(d->v, (d->n + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	d->v = v;
	d->v[d->n++] = *j;
	*j = (struct conj){ 0 };
	return 0;
}

void dnf_clear(struct dnf *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		free(d->v[i].v);
	free(d->v);
	*d = (struct dnf){ 0 };
}

bool dnf_is_false(const struct dnf *d)
{
	return d->n == 0;
}

bool dnf_is_true(const struct dnf *d)
{
	return d->n == 1 && d->v[0].n == 0;
}

int dnf_set_true(struct dnf *d)
{
	dnf_clear(d);
	return dnf_or_conj(d, NULL, 0);
}

/* d = d OR (j AND conds). */
static int dnf_or_product(struct dnf *d, const struct conj *j, const struct cond *conds,
			  size_t n)
{
	struct conj sum = { 0 };
	size_t i;
	int r = 1;

	for (i = 0; j && r > 0 && i < j->n; i++)
		r = conj_and(&sum, j->v[i]);
	for (i = 0; r > 0 && i < n; i++)
		r = conj_and(&sum, conds[i]);
	if (r > 0)
		r = dnf_take(d, &sum);
	free(sum.v);
	return r;
}

int dnf_or_conj(struct dnf *d, const struct cond *conds, size_t n)
{
	return dnf_or_product(d, NULL, conds, n);
}

int dnf_or(struct dnf *d, const struct dnf *other)
{
	size_t i;
	int r;

	for (i = 0; i < other->n; i++) {
		r = dnf_or_product(d, &other->v[i], NULL, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ret = d AND NOT c, for one condition. A mask is taken apart: some bit of it must differ. */
static int dnf_or_negated(struct dnf *ret, const struct conj *j, const struct cond *c)
{
	struct cond negated = *c;
	int bit, r;

	switch (c->op) {
	case COND_EQ:
		negated.op = COND_NE;
		break;
	case COND_NE:
		negated.op = COND_EQ;
		break;
	case COND_LE: /* normal shape: value is not the greatest */
		negated.op = COND_GE;
		negated.value++;
		break;
	case COND_GE: /* normal shape: value is not 0 */
		negated.op = COND_LE;
		negated.value--;
		break;
	case COND_MASKED_EQ:
		for (bit = 0; bit < 64; bit++) {
			negated.mask = c->mask & (UINT64_C(1) << bit);
			negated.value = ~c->value & negated.mask;
			r = negated.mask ? dnf_or_product(ret, j, &negated, 1) : 0;
			if (r < 0)
				return r;
		}
		return 0;
	}
	return dnf_or_product(ret, j, &negated, 1);
}

int dnf_and_not(struct dnf *d, const struct dnf *other)
{
	struct dnf left = { 0 };
	size_t i, k, m;
	int r;

	r = dnf_or(&left, d);
	/* NOT (a OR b) is (NOT a) AND (NOT b): one conjunction of `other` after another. */
	for (i = 0; r == 0 && i < other->n; i++) {
		struct dnf next = { 0 };

		for (k = 0; r == 0 && k < left.n; k++)
			for (m = 0; r == 0 && m < other->v[i].n; m++)
				r = dnf_or_negated(&next, &left.v[k], &other->v[i].v[m]);
		dnf_clear(&left);
		left = next;
	}
	if (r < 0) {
		dnf_clear(&left);
		return r;
	}
	dnf_clear(d);
	*d = left;
	return 0;
}
