/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's control group: where it is, its limits, its devices, freezing, killing, figures.
 *
 * One struct cgroup stands for one directory per hierarchy. On a v2 host that is one directory.
 * On a hybrid host limits go to the v1 hierarchies and a group beside them in the cgroup2 mount
 * serves CLONE_INTO_CGROUP, cgroup.kill and BPF. Each limit is set where its controller is; one
 * that cannot be set is an error that names the member of config.json and the file.
 */
#ifndef PURPLE_CGROUP_CGROUP_H
#define PURPLE_CGROUP_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "base/str.h"
#include "oci/spec.h"

enum cgroup_mode {
	CGROUP_NONE,   /* no group at all */
	CGROUP_V1,     /* v1 hierarchies only */
	CGROUP_HYBRID, /* v1 hierarchies and a cgroup2 mount beside them */
	CGROUP_V2,     /* cgroup2 only */
};

/* One mounted hierarchy. */
struct cgroup_hierarchy {
	struct strv controllers; /* "cpu", "cpuacct", "name=systemd"; empty for cgroup2 */
	char *mount;		 /* absolute mount point */
	char *own; /* the caller's group below the mount point; begins with "/" */
};

/* What this host mounts, as the caller sees it. */
struct cgroup_host {
	enum cgroup_mode mode;
	LIST_OF(struct cgroup_hierarchy) v1;
	struct cgroup_hierarchy unified; /* mount is NULL: no cgroup2 */
};

/* The container's group. Kept in state.json through cgroup_type; free it with cgroup_clear(). */
struct cgroup {
	enum cgroup_mode mode;
	char *path; /* below the mounts, begins with "/" (NULL for CGROUP_NONE): for people */
	struct strmap v1; /* controller -> absolute directory */
	char *unified;	  /* absolute directory in the cgroup2 mount, or NULL */
	char *unit; /* systemd's, that the group is of; NULL: the group is ours alone */
	bool user_manager;   /* of the caller's own systemd */
	bool devices_by_bpf; /* the unit's devices are beyond systemd, which allows all */
};

extern const struct json_type cgroup_type;

typedef LIST_OF(pid_t) cgroup_pid_list;

struct cgroup_io_stats {
	uint32_t major, minor;
	uint64_t read_bytes, write_bytes, reads, writes;
};

struct cgroup_hugetlb_stats {
	char *page_size; /* "2MB" */
	uint64_t usage, limit, failures;
};

struct cgroup_stat_value {
	char *name;
	uint64_t value;
};

/* One line of a pressure file (Documentation/accounting/psi.rst): shares of the last 10, 60 and
 * 300 seconds in hundredths of a per cent, and microseconds in all. */
struct cgroup_pressure_line {
	uint32_t avg[3];
	uint64_t total_us;
};
struct cgroup_pressure {
	bool set; /* false: not counted here */
	struct cgroup_pressure_line some, full;
};

/* Which processors and memory nodes, as the kernel writes it: "0-3,8". NULL: not known here. */
struct cgroup_cpuset_stats {
	char *cpus, *mems;
	/* v1's files of the same names, without "cpuset.", and their contents. */
	LIST_OF(struct cgroup_stat_value) flags;
};

#define CGROUP_UNLIMITED UINT64_MAX
/* More v1 hierarchies than any kernel has controllers for. */
#define CGROUP_DOORS_MAX 32

/* Figures of a group and all below it. A part whose has_ bit is false is not counted here. */
struct cgroup_stats {
	bool has_memory;
	uint64_t memory_usage, memory_limit; /* bytes, page cache included */
	uint64_t memory_peak;		     /* 0 on kernels before 5.19 with v2 */
	uint64_t memory_failures;	     /* times the limit was hit */
	uint64_t memory_cache;		     /* page cache part of the usage */
	uint64_t memory_inactive_file;	     /* what engines subtract from the usage */
	uint64_t oom_kills;
	LIST_OF(struct cgroup_stat_value) memory_raw; /* memory.stat as it is */
	bool has_swap;
	uint64_t swap_usage,
		swap_limit; /* v2: swap alone; v1: memory plus swap, as the kernel counts */
	bool has_kernel_memory;
	uint64_t kernel_usage;

	bool has_cpu;
	uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns;
	LIST_OF(uint64_t) cpu_percpu_ns; /* v1 only */
	uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_ns;

	bool has_pids;
	uint64_t pids_current, pids_limit;
	uint64_t pids_peak; /* 0 on kernels before 6.1 */

	bool has_io;
	LIST_OF(struct cgroup_io_stats) io;
	LIST_OF(struct cgroup_hugetlb_stats) hugetlb;

	/* Of the group in the cgroup2 mount, on hybrid hosts too. */
	struct cgroup_pressure cpu_pressure, memory_pressure, io_pressure;
	struct cgroup_cpuset_stats cpuset;
};

/* --- the host (host.c) --- */

/* Reads /proc/self/mountinfo and /proc/self/cgroup. No cgroup mount at all is CGROUP_NONE, not an
 * error. */
int cgroup_host_detect(struct cgroup_host *ret, struct err *e);
/* The pure part, from the text of both files. */
int cgroup_host_parse(const char *mountinfo, const char *self_cgroup,
		      struct cgroup_host *ret, struct err *e);
void cgroup_host_clear(struct cgroup_host *h);
/* Whether limits of this controller can be set here: "memory", "pids", "io" (v1: blkio), ... */
bool cgroup_host_has(const struct cgroup_host *h, const char *controller);
const char *cgroup_mode_name(enum cgroup_mode m);

#define _cgroup_host_clear_ __attribute__((cleanup(cgroup_host_clear)))

/* --- life of a group (path.c, create.c) --- */

/*
 * The group's path: `cgroups_path` absolute: exactly that; relative: below /purple; NULL:
 * /purple-ID (a group of its own for all of them would be one more to make and remove with each).
 * When not `privileged`, both of these are below the caller's own group, and *ret_own is set.
 * Refused: "..", ".", "/" itself and systemd's form slice:prefix:name, which is for
 * cgroup_create_unit().
 */
int cgroup_path_choose(const char *cgroups_path, const char *id, bool privileged,
		       bool *ret_own, char **ret, struct err *e);

/*
 * Makes the group in every hierarchy; sets no limit yet. A group that is there already is taken
 * when it is empty and not frozen. Controllers that `r` (may be NULL) needs are enabled on the
 * way down. On failure what was made is removed.
 *
 * A caller that is not root of the host and may not make groups, with no cgroups_path and no
 * limit in `r`, gets CGROUP_NONE: everything below then does nothing, or fails if asked to limit.
 */
int cgroup_create(const char *cgroups_path, const char *id, const struct oci_resources *r,
		  struct cgroup *ret, struct err *e);

/* For a container that is to have no group: refuses limits, which nothing would hold it to. */
int cgroup_check_disabled(const struct oci_resources *r, struct err *e);

/* Whether this build can have systemd make groups. */
bool cgroup_has_systemd(void);

/* An ordinary user's limits are held by a scope of the user's own systemd, where there is one and
 * cgroup v2 alone: whether to take cgroup_create_unit() for `r` where nobody has said. */
int cgroup_prefers_unit(const struct oci_resources *r, bool *ret, struct err *e);

struct cgroup_unit_request {
	const char *cgroups_path; /* "slice:prefix:name"; NULL: purple-ID.scope */
	const char *id;
	const struct strmap *annotations; /* org.systemd.property.NAME; may be NULL */
	const struct oci_resources *resources;	 /* as for cgroup_create() */
	const struct oci_device_cgroup *devices; /* as for cgroup_apply_devices() */
	size_t devices_n;
};

/*
 * As cgroup_create(), with the group of a transient unit that systemd makes (systemd.c). All that
 * takes a struct cgroup then keeps systemd informed. A scope is made of a process: *ret_holder is
 * one that does nothing, to be ended with cgroup_holder_end() when the container's is in; 0 for a
 * slice, which is made of none.
 */
int cgroup_create_unit(const struct cgroup_unit_request *rq, struct cgroup *ret,
		       pid_t *ret_holder, struct err *e);
/* What a runtime that was killed in cgroup_create_unit() left: an empty group, to be destroyed, or
 * nothing (ret is left as it is). */
int cgroup_adopt_unit(const char *cgroups_path, const char *id, struct cgroup *ret,
		      struct err *e);
/* Kills the holder and waits for it; 0 is none. */
void cgroup_holder_end(pid_t *holder);

/* Gives the group, which is in the cgroup2 mount, to a user, with the files that the kernel means
 * for that: not its limits. */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct err *e);

/* Removes the group with its sub-groups in every hierarchy, and /purple when that leaves it empty;
 * stops its unit. Kills nothing; waits up to 5 s for dying processes. Missing is fine. */
int cgroup_destroy(const struct cgroup *cg, struct err *e);

/* Whether what was read from state.json can be a group: its directories are removed one day. */
int cgroup_check(const struct cgroup *cg, struct err *e);

void cgroup_clear(struct cgroup *cg);
#define _cgroup_clear_ __attribute__((cleanup(cgroup_clear)))

/* Directory descriptor of the group in the cgroup2 mount, for CLONE_INTO_CGROUP and BPF;
 * *ret_fd is -1 when there is none. Note: a pids limit of 0 makes clone3() into the group fail;
 * cgroup_enter() is not subject to it. */
int cgroup_open(const struct cgroup *cg, int *ret_fd, struct err *e);

/* Moves a process (0: the caller) into the group, everywhere or everywhere but the cgroup2
 * mount. */
int cgroup_enter(const struct cgroup *cg, pid_t pid, bool skip_unified, struct err *e);
/* Into the cgroup2 group alone; nothing where there is none. */
int cgroup_enter_unified(const struct cgroup *cg, pid_t pid, struct err *e);
/*
 * Ways into the v1 hierarchies, opened by the runtime for a child with one thread, which then
 * moves itself. Moving another process makes the kernel wait until all forks and exits on the
 * machine have been seen (milliseconds); moving the calling thread does not.
 */
struct cgroup_doors {
	struct cgroup_door {
		int fd;
		const char *dir; /* the cgroup's */
	} v[CGROUP_DOORS_MAX];
	size_t n;
};
int cgroup_doors_open(const struct cgroup *cg, struct cgroup_doors *ret, struct err *e);
/* Moves the calling thread through all doors, and closes them. */
int cgroup_doors_enter(struct cgroup_doors *d, struct err *e);
void cgroup_doors_close(struct cgroup_doors *d);

/*
 * Makes cg stand for existing groups below it: "PATH" in every hierarchy (on hybrid hosts those of
 * v1), or "CONTROLLER[,...]:PATH" in those of v1 alone, any number of these. On failure cg is only
 * good for cgroup_clear().
 */
int cgroup_narrow(struct cgroup *cg, const struct strv *subs, struct err *e);

/* --- groups of other runtimes' containers (foreign.c) --- */

/* Where a process is in the cgroup2 mount, both as absolute directories. The caller frees them. */
int cgroup_find_unified(pid_t pid, char **ret_mount, char **ret_dir, struct err *e);
/* Whether the process is the only one of the group and of those below it. */
int cgroup_holds_only(const char *dir, pid_t pid, bool *ret, struct err *e);
/* Makes the group "purple-ID" below `dir`; no limits, no controllers. An error if it is there. */
int cgroup_make_child(const char *mount, const char *dir, const char *id,
		      struct cgroup *ret, struct err *e);

/* --- limits (apply.c, memory.c, cpu.c, blkio.c) --- */

/*
 * Sets what `r` (may be NULL) asks for, devices excepted. `update`: zero and absent leave a limit
 * as it is, -1 lifts it. In a new container zero means "not given" too, as engines send it, but
 * for pids.limit, swappiness, idle and hugepage limits, where it is a value.
 */
int cgroup_apply(const struct cgroup *cg, const struct oci_resources *r, bool update,
		 struct err *e);

/* cpu.weight for cpu.shares: 2..262144 to 1..10000 with 1024 giving 100 (the default on both
 * sides); newer runc and crun use the same curve. */
uint64_t cgroup_shares_to_weight(uint64_t shares);
/* io.weight (1..10000) for blkio.weight (10..1000). */
uint64_t cgroup_blkio_to_io_weight(uint32_t weight);

/* --- devices (devices.c, devices_bpf.c) --- */

/*
 * Which devices the group may use. Rules hold in order, the last that matches decides, what no
 * rule names is denied; so the caller passes the whole list, defaults included. v1: devices.allow
 * and devices.deny; v2, and lists that v1 cannot express: a BPF program that stays with the group.
 * Only for callers that are root of the host: in a user namespace there are no device nodes to be
 * made, and the kernel refuses this.
 */
int cgroup_apply_devices(const struct cgroup *cg, const struct oci_device_cgroup *rules,
			 size_t n, struct err *e);

/* --- processes (freeze.c, kill.c) --- */

/*
 * Stops or continues every process. Uses the v1 freezer where there is one (on hybrid hosts
 * engines look there), else cgroup.freeze. Waits for the kernel; after 10 s without success the
 * group is thawed again and -ETIMEDOUT returned.
 */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct err *e);
/* What a process without privileges can do it by: cgroup.freeze or, where cgroup_freeze() uses that,
 * v1's freezer.state, for writing; -1: the group has no freezer. */
int cgroup_open_freezer(const struct cgroup *cg, int *ret_fd, struct err *e);
/* The same for the end of all its processes: cgroup.kill; -1: there is none. */
int cgroup_open_kill(const struct cgroup *cg, int *ret_fd, struct err *e);
/* False when there is no group or no freezer. */
int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct err *e);

/* Pids as the caller sees them, sub-groups included, sorted and unique. Free ret->v. */
int cgroup_pids(const struct cgroup *cg, cgroup_pid_list *ret, struct err *e);

/* Sends a signal to every process of the group and its sub-groups; none there is fine. SIGKILL
 * also thaws a v1 freezer, as a frozen process cannot die there. */
int cgroup_kill(const struct cgroup *cg, int signum, struct err *e);

/* --- figures (stats.c) --- */

int cgroup_stats(const struct cgroup *cg, struct cgroup_stats *ret, struct err *e);
void cgroup_stats_clear(struct cgroup_stats *s);
#define _cgroup_stats_clear_ __attribute__((cleanup(cgroup_stats_clear)))

/* Its directories, for who reads limits and figures without a right to open them: -1 where there is
 * none. *ret is to be CGROUP_DIRS_EMPTY, and closed also after a failure. */
struct cgroup_dirs {
	int unified;			/* in the cgroup2 mount */
	int memory, pids, cpu, cpuacct; /* of the v1 controllers */
};
#define CGROUP_DIRS_EMPTY          \
	{                          \
		-1, -1, -1, -1, -1 \
	}
int cgroup_dirs_open(const struct cgroup *cg, struct cgroup_dirs *ret, struct err *e);
void cgroup_dirs_close(struct cgroup_dirs *d);

/* --- out of memory (oom.c) --- */

/*
 * v1: *ret_fd becomes readable when the group runs out of memory, before the kernel kills anything,
 * and again when the group is removed. v2: -1, since memory.oom.group kills the group.
 */
int cgroup_watch_oom(const struct cgroup *cg, int *ret_fd, struct err *e);

/* Hearing of it on either kind of host, for those who only tell others. */
struct cgroup_oom_watch {
	int fd;	   /* to poll for POLLIN; -1: memory is not counted here */
	char *dir; /* of the memory controller */
	bool v2;
	uint64_t kills; /* v2: so many were known of */
};
#define CGROUP_OOM_WATCH_EMPTY \
	{                      \
		.fd = -1       \
	}

int cgroup_oom_watch_open(const struct cgroup *cg, struct cgroup_oom_watch *ret,
			  struct err *e);
/* After POLLIN: whether the group ran out of memory since the last time. */
bool cgroup_oom_watch_take(struct cgroup_oom_watch *w);
void cgroup_oom_watch_close(struct cgroup_oom_watch *w);
#define _cgroup_oom_watch_close_ __attribute__((cleanup(cgroup_oom_watch_close)))

#endif
