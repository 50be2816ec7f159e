/* SPDX-License-Identifier: Apache-2.0 */
/* The document of `features` (runtime-spec, "Features Structure"). */
#ifndef PURPLE_OCI_FEATURES_H
#define PURPLE_OCI_FEATURES_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

/*
 * What the modules that know it say. The strings and lists are borrowed; lists end with NULL, and
 * a NULL list is written as an empty one. The rest of the document (versions, hook stages,
 * namespaces, what is never there) is this module's.
 */
struct features_input {
	const char *const *mount_options;
	const char *const *capabilities; /* "CAP_CHOWN" ... : all that this build knows */
	bool cgroup_v1, cgroup_v2, cgroup_rdma;
	bool cgroup_systemd; /* groups of the system's and of the user's systemd */
	const char *const *seccomp_actions;	    /* "SCMP_ACT_ALLOW" ... */
	const char *const *seccomp_operators;	    /* "SCMP_CMP_NE" ... */
	const char *const *seccomp_archs;	    /* "SCMP_ARCH_X86" ... */
	const char *const *seccomp_known_flags;	    /* "SECCOMP_FILTER_FLAG_LOG" ... */
	const char *const *seccomp_supported_flags; /* those that this kernel takes */
	const char *const *memory_policy_modes;	    /* "MPOL_BIND" ... */
	const char *const *memory_policy_flags;	    /* "MPOL_F_STATIC_NODES" ... */
	struct strmap annotations; /* io.purple.version and the like; a shallow copy will do */
};

/* Writes the document, pretty and with a newline at the end. */
int features_write(const struct features_input *in, struct buf *out, struct err *e);

#endif
