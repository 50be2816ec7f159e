/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs when and where: scheduling policy, I/O priority, CPU affinity of a process. */
#ifndef PURPLE_LINUX_SCHED_H
#define PURPLE_LINUX_SCHED_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/bitlist.h"
#include "base/err.h"
#include "oci/spec.h"

/* Names, ranges, and members that need each other. Pure. The scheduler, I/O priority or affinity
 * may be NULL: nothing to check. */
int sched_check(const struct oci_scheduler *s, struct err *e);
int sched_check_io_priority(const struct oci_io_priority *p, struct err *e);
int sched_check_affinity(const struct oci_cpu_affinity *a, struct err *e);

/*
 * Sets what was checked for the process `pid`, from outside. Runs in the runtime, whose
 * CAP_SYS_NICE counts: a container's init may have none that the kernel honours.
 */
int sched_apply(pid_t pid, const struct oci_scheduler *s, struct err *e);
int sched_apply_io_priority(pid_t pid, const struct oci_io_priority *p, struct err *e);

/* CPU affinity of a process (0: the caller). `list` is checked text; `member` names it in errors. */
int sched_set_affinity(pid_t pid, const char *list, const char *member, struct err *e);
int sched_get_affinity(pid_t pid, struct bitlist *ret, struct err *e);
/* As far as the process's cpuset has the CPUs; none of them there leaves it as it is. */
int sched_restore_affinity(pid_t pid, const struct bitlist *cpus, struct err *e);

#endif
