/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of policy_diff() share. Private to src/policy. */
#ifndef PURPLE_POLICY_DIFF_PARTS_H
#define PURPLE_POLICY_DIFF_PARTS_H

#include "policy/diff.h"

/* Texts are copied; NULL stands for "". 0 or -ENOMEM. */
int diff_add(policy_differences *l, enum policy_change c, const char *key,
	     const char *first, const char *second);
/* Only where they are not the same, in the same order. */
int diff_add_lists(policy_differences *l, enum policy_change c, const char *key,
		   const struct strv *first, const struct strv *second);
/* What only one of the lists has: `gone` is said of what the second has not, `come` of what the
 * first has not. */
int diff_add_sets(policy_differences *l, const char *key, const struct strv *first,
		  const struct strv *second, enum policy_change gone,
		  enum policy_change come);
/* A limit, 0: none; `write` puts it into words. */
int diff_add_limit(policy_differences *l, const char *key, uint64_t first,
		   uint64_t second, void (*write)(struct buf *out, uint64_t value));
void diff_write_number(struct buf *out, uint64_t value);
/* Something that is stricter where it is true. */
int diff_add_bool(policy_differences *l, const char *key, bool first, bool second);

/* diff_calls.c */
int diff_calls(const struct policy *a, const struct policy *b, policy_differences *ret,
	       struct err *e);
/* diff_network.c */
int diff_network(const struct policy *a, const struct policy *b, policy_differences *ret,
		 struct err *e);
/* diff_llm.c */
int diff_llm(const struct policy *a, const struct policy *b, policy_differences *ret);

#endif
