/* SPDX-License-Identifier: Apache-2.0 */
/* Merging a policy into a configuration: pure, and it only tightens. */
#ifndef PURPLE_POLICY_MERGE_H
#define PURPLE_POLICY_MERGE_H

#include "oci/spec.h"
#include "policy/policy.h"

/*
 * What the host looks like, for the few rules that depend on it, so that merging stays a pure
 * function of its arguments. merge_host_detect() fills it.
 */
struct merge_host {
	/* Whole block devices behind the paths that the container may write, for
	 * block_io_limit. The rate is unused. */
	oci_throttles block_devices;
	bool block_devices_known;
	char *block_devices_why; /* when not known: what stands in the way */
	bool cgroup_v2;		 /* limits go to the unified hierarchy */
	uint64_t nofile_hard;	 /* the caller's RLIMIT_NOFILE hard limit */
};

/*
 * Looks at the host (host.c): `spec` is the configuration that will be merged (NULL: none yet),
 * `bundle` what its relative paths are relative to. Reads files only.
 */
int merge_host_detect(const struct oci_spec *spec, const struct policy *p,
		      const char *bundle, struct merge_host *ret, struct err *e);
void merge_host_clear(struct merge_host *h);

/*
 * Makes spec obey the policy: capabilities are intersected, the policy's seccomp filter is added
 * beside the engine's, the smaller limit wins, a path that either side makes read-only is
 * read-only, isolated networks become a new namespace with loopback alone. Nothing that the
 * engine did not grant is granted, but for the paths that the policy itself names. One line per
 * change is added to explanations (may be NULL).
 *
 * `above` is a policy of higher rank that was merged before (the administrator's, when `p` was
 * chosen by an annotation), or NULL: then `p` may name no path that `above` does not grant too.
 *
 * ERR_POLICY when the policy contradicts itself or the host; spec is then half merged, and only
 * good for oci_spec_free().
 */
int policy_merge(struct oci_spec *spec, const struct policy *p, const struct policy *above,
		 const struct merge_host *host, struct strv *explanations, struct err *e);

/* The host directories of output_paths: created 0700 for the caller, before anything is mounted,
 * if they are missing. `above` as in policy_merge(). Adds to ret. */
int policy_output_dirs(const struct policy *p, const struct policy *above,
		       struct strv *ret, struct err *e);

/* What a person asks for with `purple run`: no engine and no image. */
struct sandbox_request {
	struct strv args;
	struct strv env; /* wins over what Purple sets itself */
	bool terminal;
	uint32_t uid, gid;  /* the caller's */
	bool rootless;	    /* add a user namespace that maps uid and gid to themselves */
	const char *rootfs; /* an empty directory */
	const char *hostname;	  /* NULL: the policy's name */
	const char *cgroups_path; /* NULL: absent */
	bool network; /* the caller gives it a network where the policy does not isolate it, and
		       * carries out policy_plan.network */
	bool gateway; /* the caller carries out policy_plan.gateway */
	bool audit;   /* the caller carries out policy_plan.audit */
};

/*
 * The complete configuration of a sandbox, the policy merged into it already. A program of uid 0
 * gets Docker's default capabilities as far as the policy adds them, any other none.
 * ERR_UNSUPPORTED when the policy does not isolate the network and rq->network is false.
 */
int policy_sandbox_spec(const struct policy *p, const struct sandbox_request *rq,
			const struct merge_host *host, struct oci_spec **ret,
			struct strv *explanations, struct err *e);

/*
 * The policy's syscalls section as an OCI seccomp profile without overlapping rules. A rule may
 * have several conditions on one argument; all of them must hold. *ret is overwritten on success.
 */
int policy_compile_seccomp(const struct policy *p, struct oci_seccomp *ret, struct err *e);

#endif
