/* SPDX-License-Identifier: Apache-2.0 */
/* Purple's own system call profile, as data for compile.c. */
#ifndef PURPLE_POLICY_SECCOMP_DEFAULT_H
#define PURPLE_POLICY_SECCOMP_DEFAULT_H

#include "policy/dnf.h"

/* One way in which a call is allowed: all conditions hold. A call may have several. */
struct seccomp_default_rule {
	const char *name;
	struct cond conds[3];
	size_t n_conds;
};

/* Calls that are allowed with any argument; ends with NULL. */
extern const char *const seccomp_default_plain[];
/* Calls that are allowed in some forms only; ends with a NULL name. */
extern const struct seccomp_default_rule seccomp_default_rules[];
/* What a process cannot end without: allowed by a default_deny policy too; ends with NULL. */
extern const char *const seccomp_default_essential[];

/* Adds what the profile allows of one call to `ret` (nothing: it is denied). */
int seccomp_default_call(const char *name, struct dnf *ret);

#endif
