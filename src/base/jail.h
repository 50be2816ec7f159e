/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Purple's own helper programs give up before they read what somebody else wrote. Each step
 * is a call of its own; the order is
 *
 *	jail_enter_empty_root, jail_drop_bounding, jail_limit, jail_become_nobody,
 *	jail_set_caps or jail_drop_caps, jail_close_doors, and the program's own filter of calls
 *
 * since the file system and the groups need capabilities, and the filter comes last: it does not
 * allow what is above it. Should: be called as root, in a process with one thread. Whatever fails
 * is an error; the process is then of no use.
 */
#ifndef PURPLE_BASE_JAIL_H
#define PURPLE_BASE_JAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* nobody, as everywhere. */
#define JAIL_ID 65534

/* A file system of its own with nothing in it, not writable; the host's tree is not even there. */
int jail_enter_empty_root(struct err *e);

/* No exec could give a capability back. */
int jail_drop_bounding(struct err *e);

/* Lowers a resource limit, hard and soft; what is lower already is somebody's will. */
struct jail_limit {
	int resource;
	uint64_t value;
};
int jail_limit(const struct jail_limit *limits, size_t n, struct err *e);

/* A user and group, without other groups. Capabilities stay permitted, and none is effective. */
int jail_become(uid_t uid, gid_t gid, struct err *e);
int jail_become_nobody(struct err *e);

/* Sets of bits, 1 << CAP_... */
int jail_set_caps(uint64_t effective, uint64_t permitted, struct err *e);
/*
 * Drops all capabilities, but CAP_BPF where `probe` gives -EPERM without it: since Linux 5.19 a map
 * that is open can be used by anybody (c8644cd0efe7, "bpf: refine kernel.
 * unprivileged_bpf_disabled behaviour"); before, where unprivileged_bpf_disabled is set, with
 * CAP_BPF only. Another error of `probe` is an error.
 */
int jail_drop_caps(int (*probe)(void *arg), void *arg, struct err *e);

/* Memory that others of its user cannot read, and no_new_privs. */
int jail_close_doors(struct err *e);

/* Adds calls, whatever their arguments, to a filter of libseccomp (a scmp_filter_ctx): 0 or -errno. */
int jail_allow_calls(void *filter, const int *calls, size_t n);
/* The calls that the sanitizers' reports need, in a build that has them. */
int jail_allow_reports(void *filter);

/*
 * A program's own filter: these calls, and memory that is not executable, and what `add` (may be NULL)
 * adds to it, which gives 0 or -errno. Any other call kills.
 */
int jail_load_filter(const int *calls, size_t n, int (*add)(void *filter, const void *arg),
		     const void *arg, struct err *e);

#endif
