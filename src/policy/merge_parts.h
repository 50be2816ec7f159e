/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/policy: what the parts of merge.c and sandbox.c share. */
#ifndef PURPLE_POLICY_MERGE_PARTS_H
#define PURPLE_POLICY_MERGE_PARTS_H

#include "base/fd.h"
#include "policy/merge.h"

/* The beginning of every message about a place in a policy. */
#define POLICY_AT "policy %s:%d:%d: "
#define policy_at(p, pos) (p)->file, (pos).line, (pos).column

/* One merge under way. Only `spec` and `why` change. */
struct merge {
	struct oci_spec *spec;
	const struct policy *p;
	const struct policy *above; /* the administrator's policy, merged before; or NULL */
	const struct merge_host *host;
	struct strv *why; /* explanations; may be NULL */
	struct err *e;
};

/* Adds a line to the explanations. 0 or -ENOMEM with err set. */
int merge_explain(struct merge *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* merge_process.c: capabilities, no_new_privs, working directory, limit of open files. */
int merge_capabilities(struct merge *m);
/* Takes what `may_stay` refuses out of all five sets, and explains it. */
int merge_caps_filter(struct merge *m,
		      bool (*may_stay)(const struct policy *p, const char *cap),
		      const char *reason);
int merge_no_new_privileges(struct merge *m);
int merge_groups(struct merge *m);
int merge_exec_once(struct merge *m);
int merge_scheduler(struct merge *m); /* needs merge_resources() before it: the CPU's limit */

/* merge_network.c: what a network's rules rest on. */
int merge_network_caps(struct merge *m);
int merge_network_calls(struct merge *m); /* needs the policy's own filter before it */

/* merge_resources.c */
int merge_resources(struct merge *m);

/* merge_mounts.c: the engine's mounts become read-only, then the policy's are added. */
int merge_paths(struct merge *m);  /* standard masked and read-only paths, propagation */
int merge_mounts(struct merge *m); /* needs merge_resources() before it: sizes */

/* Whether the policy lets a process have the capability, if it has it otherwise. */
bool policy_cap_may_stay(const struct policy *p, const char *cap);

/* sandbox.c: where the agent of a sandbox starts. */
const char *policy_start_dir(const struct policy *p);

/* merge_isolation.c */
int merge_namespaces(struct merge *m);
int merge_devices(struct merge *m);

/* merge.c: everything but filesystem and working directory. */
int merge_common(struct merge *m);

/* True when `path` (cleaned) is `dir` or below it. */
bool path_is_within(const char *path, const char *dir);

/* mount_entry.c: attributes that a merge takes from a mount. */
enum mount_attribute { MOUNT_RO, MOUNT_NOSUID, MOUNT_NODEV, MOUNT_NOEXEC };
bool mount_has_option(const struct oci_mount *m, const char *option);
bool mount_is_bind(const struct oci_mount *m);
/* One word in each option, so that one can be taken away; the functions below want it so. */
int mount_split_options(struct oci_mount *m, struct err *e);
bool mount_is_equal(const struct oci_mount *a, const struct oci_mount *b);
/* Recursively for rbind. *ret_changed: it did not hold before. */
int mount_restrict(struct oci_mount *m, enum mount_attribute a, bool *ret_changed,
		   struct err *e);
int mount_stop_sharing(struct oci_mount *m, bool *ret_changed, struct err *e);
/* Fills an entry that owns nothing; `options` are separated by commas. */
int mount_fill(struct oci_mount *m, const char *destination, const char *type,
	       const char *source, const char *options, struct err *e);
void mount_clear(struct oci_mount *m);
/* A new, zeroed entry at position `at`; NULL when out of memory, with err set. */
struct oci_mount *mounts_insert(struct oci_spec *s, size_t at, struct err *e);

/* policy_mounts.c: the policy's word on a path is that of its entry nearest above. */
enum path_rule { PATH_NONE, PATH_IMMUTABLE, PATH_SCRATCH, PATH_OUTPUT };
enum path_rule policy_path_rule(const struct policy *p, const char *path);
/* Under an engine: the path of the image, not one of the host. */
bool policy_path_is_images_own(const struct policy_path *path);
/* `above` as in policy_merge(). */
bool policy_immutable_is_granted(const struct policy *above, const struct policy_path *x);
/* Bytes of memory that a tmpfs may hold; 0: no limit is known. */
int64_t spec_memory_limit(const struct oci_spec *s);

/* The policy's own mounts, parents before children. `in_sandbox`: immutable paths without a host
 * path of their own are bound from the host. The entries are owned by the list. */
struct policy_mounts {
	LIST_OF(struct oci_mount) l;
};
int policy_mounts_make(struct merge *m, bool in_sandbox, struct policy_mounts *ret);
void policy_mounts_clear(struct policy_mounts *l);

int merge_add_namespace(struct merge *m, const char *type);

#endif
