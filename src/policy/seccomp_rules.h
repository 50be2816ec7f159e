/* SPDX-License-Identifier: Apache-2.0 */
/* Writing the rules of a system call profile. */
#ifndef PURPLE_POLICY_SECCOMP_RULES_H
#define PURPLE_POLICY_SECCOMP_RULES_H

#include "oci/spec.h"
#include "policy/dnf.h"

/* The machine's own, as OCI names it. */
extern const char seccomp_native_arch[];

/* Calls without conditions share one rule for each action. 0 or -ENOMEM. */
int seccomp_add_plain(struct oci_seccomp *s, const char *name, const char *action,
		      struct opt_u32 err);

/* A rule with n conditions, or as above with none. 0 or -ENOMEM. */
int seccomp_add_rule(struct oci_seccomp *s, const char *name, const char *action,
		     struct opt_u32 err, const struct cond *conds, size_t n);

/* A rule for each conjunction of the set; none when it is empty. 0 or -ENOMEM. */
int seccomp_add_set(struct oci_seccomp *s, const char *name, const char *action,
		    struct opt_u32 err, const struct dnf *set);

/* Adds the arguments with which a profile that these wrote lets a call through. 0, -ENOMEM, -E2BIG. */
int seccomp_granted(const struct oci_seccomp *s, const char *call, struct dnf *ret);

#endif
