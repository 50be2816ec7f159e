/* SPDX-License-Identifier: Apache-2.0 */
/* linux.sysctl: kernel parameters of the container's own namespaces. */
#ifndef PURPLE_LINUX_SYSCTL_H
#define PURPLE_LINUX_SYSCTL_H

#include "base/err.h"
#include "oci/spec.h"

/* Only keys that belong to a namespace, and only when the container has its own of that kind
 * (new, or joined by path and not the host's). Changes nothing. */
int sysctl_check(const struct oci_spec *s, struct err *e);

/* Writes them through proc_fd (struct rootfs has one). Runs in init, in its namespaces, before or
 * after rootfs_enter(). */
int sysctl_apply(int proc_fd, const struct strmap *sysctl, struct err *e);

#endif
