/* SPDX-License-Identifier: Apache-2.0 */
/* NUMA memory policy and execution domain of a process: linux.memoryPolicy, linux.personality. */
#ifndef PURPLE_LINUX_MEMPOLICY_H
#define PURPLE_LINUX_MEMPOLICY_H

#include "base/err.h"
#include "oci/spec.h"

/* Names and what they need. Pure. Either may be NULL. */
int mempolicy_check(const struct oci_memory_policy *m, struct err *e);
int personality_check(const struct oci_personality *p, struct err *e);

/* Sets it for the calling process and what it executes. The process is in its cgroup: the nodes
 * of its cpuset are all that it can use. NULL: leaves it alone. */
int mempolicy_apply(const struct oci_memory_policy *m, struct err *e);
int personality_apply(const struct oci_personality *p, struct err *e);

/* What is known, for `features`: lists that end with NULL. */
const char *const *mempolicy_mode_names(void);
const char *const *mempolicy_flag_names(void);

#endif
