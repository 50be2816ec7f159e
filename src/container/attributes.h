/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's process has beside its credentials: scheduling, memory policy, execution
 * domain, labels of security modules, groups of resctrl. Shared by create and exec. */
#ifndef PURPLE_CONTAINER_ATTRIBUTES_H
#define PURPLE_CONTAINER_ATTRIBUTES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* What can be refused before anything is made. `p` may be NULL. Runs in the runtime. */
int attributes_check(const struct oci_process *p, const struct oci_linux *l,
		     const char *id, struct err *e);

/* The part that a process sets for itself: memory policy, execution domain, labels for its
 * program. Runs in the container, in its cgroup, with all privileges. `p` may be NULL. */
int attributes_set_own(const struct oci_process *p, const struct oci_linux *l,
		       struct err *e);

/* The part that is set from outside: scheduling and I/O priority. Runs in the runtime, when the
 * process only waits for its program. `p` may be NULL. */
int attributes_set_of(pid_t pid, const struct oci_process *p, struct err *e);

/* linux.intelRdt of a new container. */
struct attributes_rdt {
	bool made, made_monitor;
};
int attributes_make_rdt(const struct oci_linux *l, const char *id,
			struct attributes_rdt *ret, struct err *e);
/* Takes back what attributes_make_rdt() made. */
void attributes_undo_rdt(const struct oci_linux *l, const char *id,
			 const struct attributes_rdt *made);
/* Puts a process, and what it forks, into the container's groups. */
int attributes_enter_rdt(const struct oci_linux *l, const char *id, pid_t pid,
			 struct err *e);
/*
 * `want` has new schemata for the group that the container, or others too, are in: only its
 * l3_cache_schema and mem_bw_schema count. *ret_before is what attributes_restore_rdt() takes.
 */
int attributes_update_rdt(const struct oci_linux *l, const char *id,
			  const struct oci_intel_rdt *want, char **ret_before,
			  struct err *e);
void attributes_restore_rdt(const struct oci_linux *l, const char *id, const char *before);
/* Removes the groups of a container that is gone. */
int attributes_remove_rdt(const struct oci_linux *l, const char *id, struct err *e);

#endif
