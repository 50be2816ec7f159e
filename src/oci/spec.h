/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json of the OCI runtime-spec 1.3 as C structs: a data model without behaviour, which
 * every module may include. The member names are the spec's, in snake case. spec.c holds the
 * tables that read, write, copy and free it; check.c what the spec demands beyond types.
 */
#ifndef PURPLE_OCI_SPEC_H
#define PURPLE_OCI_SPEC_H

#include "base/json.h"

struct oci_id_mapping {
	uint32_t container_id;
	uint32_t host_id;
	uint32_t size;
};
typedef LIST_OF(struct oci_id_mapping) oci_id_mappings;

struct oci_mount {
	char *destination;
	char *type;
	char *source;
	struct strv options;
	oci_id_mappings uid_mappings;
	oci_id_mappings gid_mappings;
	/* Purple's own, neither read nor written: no symbolic link is followed on the way to the
	 * source, which may lie below a directory where an agent could make one. */
	bool plain_source;
	/* Purple's own, too: a policy has made it read-only. The engine did not know, and may have
	 * mounts below it whose mount points are not there yet. */
	bool late_ro;
};

struct oci_root {
	char *path;
	bool readonly;
};

struct oci_box {
	uint32_t height;
	uint32_t width;
};

struct oci_user {
	uint32_t uid;
	uint32_t gid;
	struct opt_u32 umask;
	LIST_OF(uint32_t) additional_gids;
	char *username; /* Windows only: ignored */
};

struct oci_capabilities {
	struct strv bounding, effective, permitted, inheritable, ambient;
};

struct oci_rlimit {
	char *type;
	uint64_t soft;
	uint64_t hard;
};

struct oci_scheduler {
	char *policy; /* SCHED_... */
	struct opt_i32 nice, priority;
	struct strv flags;			  /* SCHED_FLAG_... */
	struct opt_u64 runtime, deadline, period; /* nanoseconds */
};

struct oci_io_priority {
	char *class_;		 /* IOPRIO_CLASS_... */
	struct opt_i32 priority; /* 0 (highest, and the default) to 7 */
};

/* Lists of CPUs ("0-3,7") for processes of exec. */
struct oci_cpu_affinity {
	char *initial; /* on the way into the container's cgroup */
	char *final_;  /* in it */
};

struct oci_process {
	bool terminal;
	struct oci_box *console_size;
	struct oci_user *user;
	struct strv args;
	struct strv env;
	char *cwd;
	struct oci_capabilities *capabilities; /* absent: all sets empty */
	LIST_OF(struct oci_rlimit) rlimits;
	bool no_new_privileges;
	char *apparmor_profile;
	struct opt_i32 oom_score_adj;
	struct oci_scheduler *scheduler;
	char *selinux_label;
	struct oci_io_priority *io_priority;
	struct oci_cpu_affinity *exec_cpu_affinity;
};

struct oci_hook {
	char *path;
	struct strv args;
	struct strv env;
	struct opt_i32 timeout; /* seconds, > 0 */
};
typedef LIST_OF(struct oci_hook) oci_hooks_list;

struct oci_hooks {
	oci_hooks_list prestart, create_runtime, create_container, start_container,
		poststart, poststop;
};

struct oci_namespace {
	char *type; /* pid network mount ipc uts user cgroup time */
	char *path; /* NULL: a new one */
};

struct oci_device {
	char *type; /* c b u p */
	char *path;
	struct opt_i64 major, minor;
	struct opt_u32 file_mode;
	struct opt_u32 uid, gid;
};

struct oci_device_cgroup {
	bool allow;
	char *type;		     /* a c b; NULL is a */
	struct opt_i64 major, minor; /* absent or -1: any */
	char *access;		     /* of r w m; NULL is rwm */
};

struct oci_memory {
	struct opt_i64 limit, reservation, swap, kernel, kernel_tcp; /* bytes, -1 unlimited */
	struct opt_u64 swappiness;
	struct opt_bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct oci_cpu {
	struct opt_u64 shares;
	struct opt_i64 quota; /* microseconds per period, -1 unlimited */
	struct opt_u64 burst;
	struct opt_u64 period; /* microseconds */
	struct opt_i64 realtime_runtime;
	struct opt_u64 realtime_period;
	char *cpus;
	char *mems;
	struct opt_i64 idle;
};

struct oci_pids {
	struct opt_i64 limit; /* -1 (or below) unlimited; 0 is a limit */
};

struct oci_throttle {
	int64_t major, minor;
	uint64_t rate; /* bytes or operations per second */
};
typedef LIST_OF(struct oci_throttle) oci_throttles;

struct oci_weight_device {
	int64_t major, minor;
	struct opt_u32 weight, leaf_weight;
};

struct oci_block_io {
	struct opt_u32 weight, leaf_weight;
	LIST_OF(struct oci_weight_device) weight_device;
	oci_throttles throttle_read_bps, throttle_write_bps, throttle_read_iops,
		throttle_write_iops;
};

struct oci_hugepage_limit {
	char *page_size;
	uint64_t limit;
};

struct oci_rdma {
	char *device;
	struct opt_u32 hca_handles, hca_objects;
};

struct oci_interface_priority {
	char *name;
	uint32_t priority;
};

struct oci_network {
	struct opt_u32 class_id;
	LIST_OF(struct oci_interface_priority) priorities;
};

struct oci_resources {
	LIST_OF(struct oci_device_cgroup) devices;
	struct oci_memory *memory;
	struct oci_cpu *cpu;
	struct oci_pids *pids;
	struct oci_block_io *block_io;
	LIST_OF(struct oci_hugepage_limit) hugepage_limits;
	struct oci_network *network;
	LIST_OF(struct oci_rdma) rdma;
	struct strmap unified;
};

struct oci_seccomp_arg {
	uint32_t index; /* 0 to 5 */
	uint64_t value;
	uint64_t value_two; /* the compared value of SCMP_CMP_MASKED_EQ; `value` is the mask */
	char *op;	    /* SCMP_CMP_NE LT LE EQ GE GT MASKED_EQ */
};

struct oci_syscall {
	struct strv names;
	char *action; /* SCMP_ACT_... */
	struct opt_u32 errno_ret;
	LIST_OF(struct oci_seccomp_arg) args;
};

struct oci_seccomp {
	char *default_action;
	struct opt_u32 default_errno_ret;
	struct strv architectures; /* SCMP_ARCH_... */
	struct strv flags;	   /* SECCOMP_FILTER_FLAG_... */
	char *listener_path;
	char *listener_metadata;
	LIST_OF(struct oci_syscall) syscalls;
	/*
	 * Purple's own, written to the state folder only and refused in a bundle's config.json:
	 * the container's program may be executed once, later execs are denied (a policy with
	 * `syscalls.deny: [execve]`).
	 */
	bool exec_once;
};

struct oci_time_offset {
	char *clock; /* the key: monotonic or boottime */
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_net_device {
	char *host_name; /* the key: its name where the runtime is */
	char *name;	 /* in the container; NULL or empty: the same; may have one %d */
};

/* Requires resctrl; `enable_cmt` and `enable_mbm` are what runtime-spec 1.2 has for monitoring. */
struct oci_intel_rdt {
	char *clos_id; /* NULL: a group of the container's own; "/" the default group */
	struct strv schemata;
	char *l3_cache_schema;
	char *mem_bw_schema;
	bool enable_monitoring, enable_cmt, enable_mbm;
};

struct oci_memory_policy {
	char *mode;	   /* MPOL_... */
	char *nodes;	   /* "0-3,7" */
	struct strv flags; /* MPOL_F_... */
};

struct oci_personality {
	char *domain; /* LINUX or LINUX32 */
	struct strv flags;
};

struct oci_linux {
	oci_id_mappings uid_mappings, gid_mappings;
	struct strmap sysctl;
	struct oci_resources *resources;
	char *cgroups_path;
	LIST_OF(struct oci_namespace) namespaces;
	LIST_OF(struct oci_device) devices;
	LIST_OF(struct oci_net_device) net_devices;
	struct oci_intel_rdt *intel_rdt;
	struct oci_memory_policy *memory_policy;
	struct oci_personality *personality;
	struct oci_seccomp *seccomp;
	char *rootfs_propagation; /* shared slave private unbindable; r forms too */
	struct strv masked_paths;
	struct strv readonly_paths;
	char *mount_label;
	LIST_OF(struct oci_time_offset) time_offsets;
	/* Purple's own, as exec_once: filters of policies, which hold beside `seccomp`. */
	LIST_OF(struct oci_seccomp) policy_seccomp;
	/*
	 * Purple's own, as exec_once: init leaves the namespace that the engine plugs its network
	 * into for a new one, with loopback alone.
	 */
	bool isolate_network;
};

/*
 * Annotation: the container keeps the supplementary groups of who calls the runtime. (A rootless
 * user's groups have no number in a user namespace, so that additionalGids cannot name them.)
 */
#define OCI_KEEP_GROUPS "run.oci.keep_original_groups"

struct oci_spec {
	char *oci_version;
	struct oci_root *root;
	struct oci_process *process;
	char *hostname;
	char *domainname;
	LIST_OF(struct oci_mount) mounts;
	struct oci_hooks *hooks;
	struct oci_linux *linux_; /* `linux` is a macro of the compiler; never NULL after oci_spec_load() */
	struct strmap annotations;
};

extern const struct json_type oci_spec_type;
extern const struct json_type oci_process_type;
extern const struct json_type oci_capabilities_type;
extern const struct json_type oci_resources_type;
extern const struct json_type oci_seccomp_type;
/* As oci_spec_type, with Purple's own members (exec_once, policy_seccomp): for the state folder. */
extern const struct json_type oci_state_spec_type;

/*
 * Reads and checks `path` (relative to dirfd). Members that are known and not supported are
 * errors that name them. `ret` is filled only on success; free it with oci_spec_free().
 */
int oci_spec_load(int dirfd, const char *path, struct oci_spec **ret, struct err *e);
/* As above, from a document that was parsed already; `name` is what errors call it. */
int oci_spec_read(const struct json *j, const char *name, struct oci_spec **ret,
		  struct err *e);
/* What the spec demands beyond types: ranges, names, members that need each other. */
int oci_spec_check(const struct oci_spec *s, struct err *e);
int oci_process_check(const struct oci_process *p, struct err *e);
int oci_resources_check(const struct oci_resources *r, struct err *e);
void oci_spec_free(struct oci_spec *s);
struct oci_spec *oci_spec_dup(const struct oci_spec *s, struct err *e);

static inline void oci_spec_freep(struct oci_spec **s)
{
	oci_spec_free(*s);
}
#define _oci_spec_free_ __attribute__((cleanup(oci_spec_freep)))

/* Whether one of the mount's options, or of the words that stand in one with commas, is this. */
bool oci_mount_has_option(const struct oci_mount *m, const char *name);
/* The words, one by one; ret is overwritten. 0 or -ENOMEM. */
int oci_mount_words(const struct oci_mount *m, struct strv *ret);

/* The namespace entry of this type, or NULL. */
const struct oci_namespace *oci_spec_namespace(const struct oci_spec *s, const char *type);

/* Makes the container's id the host's; false when it is not mapped. */
bool oci_map_id(const oci_id_mappings *l, uint32_t *id);

#endif
