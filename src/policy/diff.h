/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two policies, rule by rule: in which of them what is stricter. By what they mean, not by how
 * they are written: system calls, addresses and names are compared over all values. Pure.
 */
#ifndef PURPLE_POLICY_DIFF_H
#define PURPLE_POLICY_DIFF_H

#include "policy/policy.h"

/* What the second policy is, compared with the first. */
enum policy_change {
	POLICY_STRICTER,
	POLICY_LOOSER,
	POLICY_OTHER, /* neither, or both */
};

struct policy_difference {
	enum policy_change change;
	char *key;	      /* "resources.pids_limit" */
	char *first, *second; /* what each of them says, for people; "" : nothing */
};
typedef LIST_OF(struct policy_difference) policy_differences;

/*
 * Adds the differences in the order of the language's sections; name and description are none.
 * ERR_POLICY where a policy contradicts itself, or its rules are too many to be compared.
 */
int policy_diff(const struct policy *first, const struct policy *second,
		policy_differences *ret, struct err *e);
void policy_differences_clear(policy_differences *l);

/* "stricter", "looser", "other" */
const char *policy_change_name(enum policy_change c);

#endif
