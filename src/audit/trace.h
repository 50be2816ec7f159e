/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tracing a container: the programs of bpf/audit.bpf.c tell what its processes do. The order of
 * calls for a new container:
 *
 *	trace_start(name, group, options, &t)	the programs run, if not yet for another container;
 *						from here on what processes in the group, and in those
 *						below it, do is in t's maps. Before the first process,
 *						and after network_filter_attach(), whose verdict it is
 *						to see
 *	(t's descriptors go to purple-monitor)
 *	trace_clear(&t)				closes; the pins hold on
 *	trace_tidy()				when the container runs: maps for the next one
 * and when the container is gone:
 *	trace_stop(name); trace_tidy()
 *
 * Runs in: the runtime, with CAP_BPF, CAP_PERFMON and, for TRACE_NETWORK, CAP_NET_ADMIN (or
 * CAP_SYS_ADMIN) in the host's user namespace. Needs BTF of the kernel, cgroup2 (hybrid will do)
 * and bpffs at /sys/fs/bpf.
 */
#ifndef PURPLE_AUDIT_TRACE_H
#define PURPLE_AUDIT_TRACE_H

#include <stdint.h>

#include "base/err.h"
#include "bpf/audit.h"

#define TRACE_NAME_MAX 200

struct trace_options {
	uint32_t wants;	    /* TRACE_PROCESSES ... */
	uint32_t pid_level; /* TRACE_INNERMOST, or as in struct trace_group */
	/* What the seccomp profile denies; zeros where there is none. */
	struct trace_calls denied, denied_some;
};

/* Descriptors of the container's maps: they need no privilege to be read by mmap(). */
struct trace {
	int urgent, bulk; /* rings */
	int stats;	  /* struct trace_stats, one element; read and write */
	int counts; /* struct trace_count, TRACE_COUNTS_MAX elements; read and write */
};
#define TRACE_EMPTY            \
	{                      \
		-1, -1, -1, -1 \
	}

/*
 * `name`: one component of a path, the only one of its name on this host; -EEXIST where it is
 * taken. `group`: directory of cgroup2. ERR_UNSUPPORTED where the kernel can not. Leaves nothing
 * behind on failure.
 */
int trace_start(const char *name, int group, const struct trace_options *options,
		struct trace *ret, struct err *e);

/* The maps of a container that is traced. -ENOENT: it is not. */
int trace_open(const char *name, struct trace *ret, struct err *e);
void trace_clear(struct trace *t);

/* Takes what trace_start() made away. A name that is not there is fine. */
int trace_stop(const char *name, struct err *e);

/* As network_filter_tidy(): starts purple-network-load in the background. */
void trace_tidy(void);

/*
 * Each container that is traced. `group`: id of its cgroup; 0: it is gone, or was never started as
 * a whole.
 * For `doctor`.
 */
int trace_list(int (*each)(const char *name, uint64_t group, uint32_t wants, void *arg),
	       void *arg, struct err *e);

/*
 * What this kernel gives: loads the programs where they are not loaded yet. 0, or why it can not.
 * For `doctor`.
 */
int trace_check(struct err *e);

#endif
