/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces: which a container gets new, which it joins, and the clone that makes its init. */
#ifndef PURPLE_LINUX_NS_H
#define PURPLE_LINUX_NS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "oci/spec.h"

struct ns_join {
	int flag; /* CLONE_NEW... */
	int fd;	  /* an open namespace of that kind */
};

struct ns_plan {
	int new_flags; /* CLONE_NEW..., without cgroup: that one is unshared by init, when the
			* process is in its cgroup */
	bool new_cgroup;
	LIST_OF(struct ns_join) joins;
	/* The joins cannot be done by init itself: a stage process does them and clones init. */
	bool needs_stage;
	LIST_OF(struct oci_time_offset) time_offsets; /* strings borrowed */
};

/* CLONE_NEW... for a type of config.json ("pid", "network", ...), 0 when there is no such type. */
int ns_flag(const char *type);

/* Opens what is joined by path (each must be a namespace of its kind). */
int ns_plan_make(const struct oci_spec *s, struct ns_plan *ret, struct err *e);
void ns_plan_clear(struct ns_plan *p);
#define _ns_plan_clear_ __attribute__((cleanup(ns_plan_clear)))

bool ns_plan_has_new(const struct ns_plan *p, int flag);
bool ns_plan_joins(const struct ns_plan *p, int flag);

/*
 * Makes the container's first process, a child of the caller, in its new namespaces (and, when
 * there is a stage, in those it joins): `child` runs there with `arg` and must not return.
 * *ret_pid is its pid as the caller sees it. With cgroup_fd -1, or where the kernel refuses
 * CLONE_INTO_CGROUP, *ret_in_cgroup is false.
 */
int ns_spawn(const struct ns_plan *p, int cgroup_fd, void (*child)(void *arg), void *arg,
	     pid_t *ret_pid, bool *ret_in_cgroup, struct err *e);

/* Init: joins what the plan names, when there was no stage. */
int ns_join_all(const struct ns_plan *p, struct err *e);

/* Init: the cgroup namespace, once the process is where its root shall be. */
int ns_unshare_cgroup(const struct ns_plan *p, struct err *e);

/* Sets the loopback device of the caller's network namespace up. */
int ns_loopback_up(struct err *e);

/* Writes /proc/PID/{setgroups,uid_map,gid_map}; an ordinary user's further ids are mapped by
 * newuidmap and newgidmap. Runs in the parent. */
int userns_write_maps(pid_t pid, const oci_id_mappings *uids, const oci_id_mappings *gids,
		      struct err *e);

/*
 * Mappings for a new user namespace whose configuration names none, as crun(1) chooses them: for
 * root every id of the caller's own namespace as itself; for an ordinary user the own id as the
 * process's `uid` and `gid`, and for the other ids those that subuid(5) and subgid(5) grant, where
 * newuidmap(1) is there to map them. Adds to the lists.
 */
int userns_choose_maps(uint32_t uid, uint32_t gid, oci_id_mappings *ret_uids,
		       oci_id_mappings *ret_gids, struct err *e);

/* True when the caller is not in the host's initial user namespace. */
bool userns_is_nested(void);

#endif
