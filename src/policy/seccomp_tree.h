/* SPDX-License-Identifier: Apache-2.0 */
/* What several profiles make of one call together, as rules that libseccomp gets right. */
#ifndef PURPLE_POLICY_SECCOMP_TREE_H
#define PURPLE_POLICY_SECCOMP_TREE_H

#include "oci/spec.h"
#include "policy/dnf.h"

/* What happens to a call: SCMP_ACT_..., with the errno of those actions that have one. */
struct seccomp_outcome {
	const char *action; /* its profile's */
	struct opt_u32 err;
};

/* The kernel's order: lower is stricter. */
int seccomp_outcome_rank(const struct seccomp_outcome *o);
bool seccomp_outcome_is_equal(const struct seccomp_outcome *a,
			      const struct seccomp_outcome *b);
/* `later` is of the filter that is loaded later: the kernel takes its word of equal ones. */
struct seccomp_outcome seccomp_outcome_stricter(const struct seccomp_outcome *earlier,
						const struct seccomp_outcome *later);

/* For each argument, the bits that must have given values. */
struct seccomp_block {
	uint64_t mask, value; /* all x with (x & mask) == value */
};
struct seccomp_box {
	struct seccomp_outcome o;
	struct seccomp_block arg[6];
};

/* What one profile says of a call: the first box that holds decides. */
struct seccomp_choice {
	LIST_OF(struct seccomp_box) boxes;
	struct seccomp_outcome otherwise;
};
void seccomp_choice_clear(struct seccomp_choice *c);

/* Adds boxes for "all of conds hold". 0, -ENOMEM, -E2BIG. */
int seccomp_choice_add(struct seccomp_choice *c, const struct seccomp_outcome *o,
		       const struct cond *conds, size_t n);

/* For a call whose arguments are all ints: of those, the kernel takes the lower half alone. */
void seccomp_choice_narrow(struct seccomp_choice *c);

/*
 * Adds rules for the call to `ret`, whose default action is the strictest of the choices' own. The
 * filters are loaded in the order of the choices. 0, -ENOMEM, -E2BIG.
 */
int seccomp_tree_write(const struct seccomp_choice *choices, size_t n, const char *call,
		       struct oci_seccomp *ret);

#endif
