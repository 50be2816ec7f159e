// SPDX-License-Identifier: Apache-2.0
/*
 * One call's rules of several profiles, as rules of one. Pure.
 *
 * Theory of operation. Three things are to be got right. With several filters the kernel takes the
 * strictest answer, and of equal ones that of the filter loaded last. A runtime takes a rule that
 * names an argument twice as two rules, either of which suffices. And libseccomp (2.5) compares the
 * halves of each argument one after another, in the arguments' order; once a rule's first
 * comparison holds it does not come back to try the other rules if a later one fails. So of any two
 * rules for a call, the first comparisons in which they differ must exclude one another.
 *
 * The conditions are first written as boxes: for each argument some bits that must have given
 * values. Any comparison of one argument is a union of such blocks of numbers, and the
 * intersection of two blocks is one block. Then the bits that boxes speak of are decided one after
 * another, the upper half of the first argument first, until it is certain what each profile
 * says, or all the same. Each such point is a rule, unless its outcome is the default one. Two
 * rules differ in a bit that both look at, before anything else that sets them apart.
 */
#include "policy/seccomp_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/seccomp_rules.h"

#define N_ARGS 6
#define N_WORDS (2 * N_ARGS)
#define BOXES_MAX 4096
#define RULES_MAX 1024 /* for one call: the kernel takes 4096 instructions in all */
#define CHOICES_MAX 4
#define INT_BITS UINT64_C(0xffffffff)

/* --- outcomes --- */

int seccomp_outcome_rank(const struct seccomp_outcome *o)
{
	static const struct {
		const char *action;
		int rank;
	} ranks[] = {
		{ "SCMP_ACT_KILL_PROCESS", 0 }, { "SCMP_ACT_KILL_THREAD", 1 },
		{ "SCMP_ACT_KILL", 1 },		{ "SCMP_ACT_TRAP", 2 },
		{ "SCMP_ACT_ERRNO", 3 },	{ "SCMP_ACT_NOTIFY", 4 },
		{ "SCMP_ACT_TRACE", 5 },	{ "SCMP_ACT_LOG", 6 },
		{ "SCMP_ACT_ALLOW", 7 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranks); i++)
		if (streq(o->action, ranks[i].action))
			return ranks[i].rank;
	return 0; /* no profile that was checked has another */
}

static uint32_t outcome_data(const struct seccomp_outcome *o)
{
	if (!streq(o->action, "SCMP_ACT_ERRNO") && !streq(o->action, "SCMP_ACT_TRACE"))
		return 0;
	return o->err.set ? o->err.value : EPERM;
}

bool seccomp_outcome_is_equal(const struct seccomp_outcome *a,
			      const struct seccomp_outcome *b)
{
	return seccomp_outcome_rank(a) == seccomp_outcome_rank(b) &&
	       outcome_data(a) == outcome_data(b);
}

struct seccomp_outcome seccomp_outcome_stricter(const struct seccomp_outcome *earlier,
						const struct seccomp_outcome *later)
{
	return seccomp_outcome_rank(earlier) < seccomp_outcome_rank(later) ? *earlier :
									     *later;
}

/* --- from comparisons to boxes --- */

struct blocks {
	LIST_OF(struct seccomp_block) l;
};

static int blocks_add(struct blocks *b, uint64_t mask, uint64_t value)
{
	struct seccomp_block *at;

	if (b->l.n == BOXES_MAX)
		return -E2BIG;
	at = list_add(&b->l);
	if (!at)
		return -ENOMEM;
	*at = (struct seccomp_block){ mask, value };
	return 0;
}

/* The bits from `bit` up. */
static uint64_t upper(int bit)
{
	return UINT64_MAX << bit;
}

/* Blocks that do not overlap and together are what the condition admits. */
static int blocks_of(const struct cond *c, struct blocks *ret)
{
	uint64_t bound = c->op == COND_LE ? c->value + 1 : c->value - 1;
	int bit, r = 0;

	if (c->op == COND_EQ)
		return blocks_add(ret, UINT64_MAX, c->value);
	if (c->op == COND_MASKED_EQ) /* with a value beyond the mask it never holds */
		return c->value & ~c->mask ? 0 : blocks_add(ret, c->mask, c->value);
	if ((c->op == COND_LE && c->value == UINT64_MAX) ||
	    (c->op == COND_GE && c->value == 0))
		return blocks_add(ret, 0, 0);
	for (bit = 0; r == 0 && bit < 64; bit++) {
		uint64_t one = UINT64_C(1) << bit;

		/* The numbers that agree with the bound above this bit, and differ in it: all of
		 * them, the lower ones where the bound has the bit, the higher ones where not. */
		if (c->op == COND_NE)
			r = blocks_add(ret, upper(bit), (c->value ^ one) & upper(bit));
		else if ((c->op == COND_LE) == !!(bound & one))
			r = blocks_add(ret, upper(bit), (bound ^ one) & upper(bit));
	}
	return r;
}

static int blocks_and(struct blocks *b, const struct blocks *other)
{
	struct blocks both = { 0 };
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < b->l.n; i++) {
		for (k = 0; r == 0 && k < other->l.n; k++) {
			const struct seccomp_block *x = &b->l.v[i], *y = &other->l.v[k];

			if (!(x->mask & y->mask & (x->value ^ y->value)))
				r = blocks_add(&both, x->mask | y->mask,
					       x->value | y->value);
		}
	}
	free(b->l.v);
	*b = both;
	return r;
}

/* What the conditions say of one argument. */
static int blocks_of_argument(const struct cond *conds, size_t n, uint32_t arg,
			      struct blocks *ret)
{
	size_t i;
	int r = blocks_add(ret, 0, 0);

	for (i = 0; r == 0 && i < n; i++) {
		struct blocks one = { 0 };

		if (conds[i].arg != arg)
			continue;
		r = blocks_of(&conds[i], &one);
		if (r == 0)
			r = blocks_and(ret, &one);
		free(one.l.v);
	}
	return r;
}

/* Every way to choose a block for each argument, from `arg` on. */
static int boxes_add(struct seccomp_choice *c, const struct blocks *by_arg, uint32_t arg,
		     struct seccomp_box *at)
{
	size_t i;
	int r = 0;

	if (arg == N_ARGS) {
		struct seccomp_box *new;

		if (c->boxes.n == BOXES_MAX)
			return -E2BIG;
		new = list_add(&c->boxes);
		if (!new)
			return -ENOMEM;
		*new = *at;
		return 0;
	}
	for (i = 0; r == 0 && i < by_arg[arg].l.n; i++) {
		at->arg[arg] = by_arg[arg].l.v[i];
		r = boxes_add(c, by_arg, arg + 1, at);
	}
	return r;
}

int seccomp_choice_add(struct seccomp_choice *c, const struct seccomp_outcome *o,
		       const struct cond *conds, size_t n)
{
	struct blocks by_arg[N_ARGS] = { 0 };
	struct seccomp_box at = { .o = *o };
	uint32_t arg;
	int r = 0;

	for (arg = 0; r == 0 && arg < N_ARGS; arg++)
		r = blocks_of_argument(conds, n, arg, &by_arg[arg]);
	if (r == 0)
		r = boxes_add(c, by_arg, 0, &at);
	for (arg = 0; arg < N_ARGS; arg++)
		free(by_arg[arg].l.v);
	return r;
}

void seccomp_choice_narrow(struct seccomp_choice *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->boxes.n; i++) {
		struct seccomp_box b = c->boxes.v[i];
		uint64_t beyond = 0;

		for (int arg = 0; arg < N_ARGS; arg++) {
			beyond |= b.arg[arg].value & b.arg[arg].mask & ~INT_BITS;
			b.arg[arg].mask &= INT_BITS;
			b.arg[arg].value &= INT_BITS;
		}
		if (!beyond)
			c->boxes.v[n++] = b;
	}
	c->boxes.n = n;
}

void seccomp_choice_clear(struct seccomp_choice *c)
{
	free(c->boxes.v);
	*c = (struct seccomp_choice){ 0 };
}

/* --- from boxes to rules --- */

/* The boxes of a profile that the arguments may still be in, in its order. */
struct left {
	const struct seccomp_box **v;
	size_t n;
	const struct seccomp_outcome *otherwise;
};

/* A point in the decisions. */
struct node {
	struct left left[CHOICES_MAX];
	struct seccomp_block arg[N_ARGS]; /* what was decided */
};

struct tree {
	size_t n_choices;
	const char *call;
	struct oci_seccomp *out;
	size_t rules;
};

/* The bits of a word, which is the upper (even) or lower half of an argument, in their places. */
static uint64_t word_bits(int word)
{
	return word % 2 ? UINT64_C(0xffffffff) : UINT64_C(0xffffffff) << 32;
}

/* What the box says of the word, and the decisions do not settle yet. */
static uint64_t open_bits(const struct seccomp_box *b, const struct node *at, int word)
{
	return b->arg[word / 2].mask & ~at->arg[word / 2].mask & word_bits(word);
}

static bool is_certain(const struct seccomp_box *b, const struct node *at)
{
	int arg;

	for (arg = 0; arg < N_ARGS; arg++)
		if (b->arg[arg].mask & ~at->arg[arg].mask)
			return false;
	return true;
}

/* What the profile says if it is none of those boxes. */
static const struct seccomp_outcome *outcome_behind(const struct left *l, size_t open)
{
	return open < l->n ? &l->v[open]->o : l->otherwise;
}

/* How many of a profile's boxes still matter: up to the first that is certain, without those before
 * it that say the same. */
static size_t count_open(const struct left *l, const struct node *at)
{
	const struct seccomp_outcome *behind;
	size_t i;

	for (i = 0; i < l->n; i++)
		if (is_certain(l->v[i], at))
			break;
	behind = outcome_behind(l, i);
	while (i > 0 && seccomp_outcome_is_equal(&l->v[i - 1]->o, behind))
		i--;
	return i;
}

/* Whether the profile, which is decided, is stricter than all that another can still say. */
static bool is_stricter(const struct seccomp_outcome *o, const struct left *other,
			size_t open)
{
	int rank = seccomp_outcome_rank(o);
	size_t i;

	for (i = 0; i < open; i++)
		if (seccomp_outcome_rank(&other->v[i]->o) <= rank)
			return false;
	return seccomp_outcome_rank(outcome_behind(other, open)) > rank;
}

/* The outcome, when no undecided bit can change it: all profiles are decided, or one is that
 * overrules the others. */
static bool is_settled(const struct tree *t, const struct node *at, const size_t *open,
		       struct seccomp_outcome *ret)
{
	bool all = true;
	size_t i, k;

	for (i = 0; i < t->n_choices; i++) {
		const struct seccomp_outcome *o = outcome_behind(&at->left[i], open[i]);

		*ret = i == 0 ? *o : seccomp_outcome_stricter(ret, o);
		all = all && open[i] == 0;
	}
	if (all)
		return true;
	for (i = 0; i < t->n_choices; i++) {
		const struct seccomp_outcome *o = outcome_behind(&at->left[i], open[i]);

		if (open[i])
			continue;
		for (k = 0; k < t->n_choices; k++)
			if (k != i && !is_stricter(o, &at->left[k], open[k]))
				break;
		if (k == t->n_choices) {
			*ret = *o;
			return true;
		}
	}
	return false;
}

/* A rule: what was decided. */
static int add_rule(struct tree *t, const struct node *at, const struct seccomp_outcome *o)
{
	const struct seccomp_outcome otherwise = { t->out->default_action,
						   t->out->default_errno_ret };
	struct cond conds[N_ARGS];
	size_t n = 0;
	uint32_t arg;

	if (seccomp_outcome_is_equal(o, &otherwise))
		return 0;
	if (++t->rules > RULES_MAX)
		return -E2BIG;
	for (arg = 0; arg < N_ARGS; arg++) {
		const struct seccomp_block *b = &at->arg[arg];

		if (b->mask == UINT64_MAX)
			conds[n++] = (struct cond){ arg, COND_EQ, b->value, 0 };
		else if (b->mask)
			conds[n++] = (struct cond){ arg, COND_MASKED_EQ, b->value, b->mask };
	}
	return seccomp_add_rule(t->out, t->call, o->action, o->err, conds, n);
}

static int decide(struct tree *t, const struct node *at);

static void node_clear(struct node *n)
{
	size_t i;

	for (i = 0; i < CHOICES_MAX; i++)
		free(n->left[i].v);
}

/* Decides a bit one way: the boxes that want it the other way are out. */
static int decide_bit(struct tree *t, const struct node *at, int word, uint64_t bit,
		      bool is_one)
{
	__attribute__((cleanup(node_clear))) struct node next = { 0 };
	size_t i, k;

	memcpy(next.arg, at->arg, sizeof(next.arg));
	next.arg[word / 2].mask |= bit;
	next.arg[word / 2].value |= is_one ? bit : 0;
	for (i = 0; i < t->n_choices; i++) {
		const struct left *from = &at->left[i];
		struct left *to = &next.left[i];

		to->otherwise = from->otherwise;
		to->v = calloc(from->n + 1, sizeof(*to->v));
		if (!to->v)
			return -ENOMEM;
		for (k = 0; k < from->n; k++) {
			const struct seccomp_block *b = &from->v[k]->arg[word / 2];

			if (!(b->mask & bit) || !!(b->value & bit) == is_one)
				to->v[to->n++] = from->v[k];
		}
	}
	return decide(t, &next);
}

/* The first bit, in the order of words and from the highest down, that an open box speaks of. */
static uint64_t next_bit(const struct tree *t, const struct node *at, const size_t *open,
			 int *ret_word)
{
	size_t i, k;
	int word;

	for (word = 0; word < N_WORDS; word++) {
		uint64_t bits = 0;

		for (i = 0; i < t->n_choices; i++)
			for (k = 0; k < open[i]; k++)
				bits |= open_bits(at->left[i].v[k], at, word);
		if (bits) {
			*ret_word = word;
			return UINT64_C(1) << (63 - __builtin_clzll(bits));
		}
	}
	return 0;
}

/* At most one call deep for each bit of the arguments. */
static int decide(struct tree *t, const struct node *at)
{
	size_t open[CHOICES_MAX] = { 0 }, i;
	struct seccomp_outcome o;
	int word = 0, r;
	uint64_t bit;

	for (i = 0; i < t->n_choices; i++)
		open[i] = count_open(&at->left[i], at);
	if (is_settled(t, at, open, &o))
		return add_rule(t, at, &o);
	bit = next_bit(t, at, open, &word);
	r = decide_bit(t, at, word, bit, false);
	return r ? r : decide_bit(t, at, word, bit, true);
}

int seccomp_tree_write(const struct seccomp_choice *choices, size_t n, const char *call,
		       struct oci_seccomp *ret)
{
	struct tree t = { .n_choices = n, .call = call, .out = ret };
	__attribute__((cleanup(node_clear))) struct node root = { 0 };
	size_t i, k;
	int r;

	if (n > CHOICES_MAX)
		return -E2BIG;
	for (i = 0; i < n; i++) {
		struct left *l = &root.left[i];

		l->otherwise = &choices[i].otherwise;
		l->v = calloc(choices[i].boxes.n + 1, sizeof(*l->v));
		if (!l->v)
			return -ENOMEM;
		for (k = 0; k < choices[i].boxes.n; k++)
			l->v[l->n++] = &choices[i].boxes.v[k];
	}
	r = decide(&t, &root);
	/* Runtimes take numbers above the highest that is named for calls newer than the profile: a
	 * call that is as everything else is named all the same. */
	if (r == 0 && t.rules == 0)
		r = seccomp_add_rule(ret, call, ret->default_action,
				     ret->default_errno_ret, NULL, 0);
	return r;
}
