/* SPDX-License-Identifier: Apache-2.0 */
/* linux.intelRdt: groups of the resctrl file system, which divide caches and memory bandwidth. */
#ifndef PURPLE_LINUX_RESCTRL_H
#define PURPLE_LINUX_RESCTRL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* What a container has of resctrl. Strings are borrowed from the configuration and the caller. */
struct resctrl_group {
	const char *name; /* of the group: closID or the container's id; "." is the default one */
	const char *monitor; /* of its monitoring group below mon_groups; NULL: none */
	bool own;	     /* the group is the container's, and goes with it */
};

/* The members' shape: a closID that is a name, schemata that are lines; and an id that can name a
 * group where it has to. Pure. NULL is fine. */
int resctrl_check(const struct oci_intel_rdt *c, const char *id, struct err *e);

/* Which groups a configuration means for the container `id`. Pure. */
struct resctrl_group resctrl_group_of(const struct oci_intel_rdt *c, const char *id);

/* /sys/fs/resctrl, verified; ERR_UNSUPPORTED when resctrl is not mounted there. Returns the
 * descriptor that the rest takes as `root`. */
int resctrl_open(struct err *e);

/*
 * Makes the group, or checks one that is there, and the monitoring group. *ret_made: the group is
 * new; *ret_made_monitor likewise. Both are valid on failure too, so that they can be undone.
 */
int resctrl_make(int root, const struct resctrl_group *g, const struct oci_intel_rdt *c,
		 bool *ret_made, bool *ret_made_monitor, struct err *e);

/* The schemata of the group as configured. `made` is resctrl_make()'s: an older group's must
 * already be so (runtime-spec). */
int resctrl_write_schemata(int root, const struct resctrl_group *g,
			   const struct oci_intel_rdt *c, bool made, struct err *e);

/* New schemata for a group that is there, from l3CacheSchema and memBwSchema. *ret_before is what
 * it had, for resctrl_restore_schemata(). */
int resctrl_update_schemata(int root, const struct resctrl_group *g,
			    const struct oci_intel_rdt *c, char **ret_before,
			    struct err *e);
void resctrl_restore_schemata(int root, const struct resctrl_group *g, const char *before);

/* Moves a process, and what it will fork, into the groups. */
int resctrl_enter(int root, const struct resctrl_group *g, pid_t pid, struct err *e);

/* Removes the monitoring group and, if it is the container's own, the group. Missing is fine. */
int resctrl_remove(int root, const struct resctrl_group *g, struct err *e);

/* What is written to a schemata file for l3CacheSchema and memBwSchema; empty for none. */
int resctrl_format(const struct oci_intel_rdt *c, struct buf *out, struct err *e);

/* Whether `have` (a schemata file) has all that the lines of `want` say. */
bool resctrl_schemata_hold(const char *have, const char *want);

#endif
