/* SPDX-License-Identifier: Apache-2.0 */
/* process.rlimits. */
#ifndef PURPLE_LINUX_RLIMIT_H
#define PURPLE_LINUX_RLIMIT_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* "RLIMIT_NOFILE" -> RLIMIT_NOFILE. -EINVAL when unknown. */
int rlimit_parse(const char *name, int *ret);

/* Sets the limits of a process (0: the caller) in order. Raising a hard limit needs
 * CAP_SYS_RESOURCE: call from the runtime, or before init gives its privileges up. */
int rlimit_apply_to(pid_t pid, const struct oci_rlimit *v, size_t n, struct err *e);

#endif
