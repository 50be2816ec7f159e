/* SPDX-License-Identifier: Apache-2.0 */
/* How the runtime starts purple-monitor and speaks to it. */
#ifndef PURPLE_AUDIT_PROTOCOL_H
#define PURPLE_AUDIT_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Descriptors that it is started with; the arguments are the container's id and the number of the
 * generation of its rules. Those marked with [] are /dev/null where they are not.
 */
enum monitor_fd {
	MONITOR_FD_REPORT = 3, /* SOCK_SEQPACKET: see base/helper.h */
	MONITOR_FD_INIT,       /* pidfd of the container's init */
	MONITOR_FD_LOG,	       /* events.jsonl: lines go here */
	MONITOR_FD_CONTROL,    /* listens, SOCK_SEQPACKET */
	/* Of the network filter: all or none. */
	MONITOR_FD_NETNS, /* [] the container's network namespace */
	MONITOR_FD_RING,  /* [] maps of the filter */
	MONITOR_FD_HITS,  /* [] */
	MONITOR_FD_RULES, /* [] the policies as network/rules_json.h writes them */
	MONITOR_FD_DNS,	  /* [] SOCK_SEQPACKET: a line of the forwarder each */
	/* Of what is audited. */
	MONITOR_FD_AUDIT,  /* [] audit.json: read to its end */
	MONITOR_FD_OTHERS, /* [] SOCK_SEQPACKET: records of others (audit/recorder.h) */
	MONITOR_FD_KILL,   /* [] cgroup.kill */
	/* Of its limits: audit/limits.h. Where they are all that there is, it is a warden alone. */
	MONITOR_FD_LIMITS,  /* [] read to its end */
	MONITOR_FD_FREEZER, /* [] cgroup.freeze, or v1's freezer.state */
	MONITOR_FD_OOM,	    /* [] see cgroup_watch_oom() */
	MONITOR_FD_ENDED,   /* [] end.jsonl, for appending and reading */
	/* Of what is traced: struct trace of audit/trace.h, all or none. */
	MONITOR_FD_URGENT, /* [] */
	MONITOR_FD_BULK,   /* [] */
	MONITOR_FD_STATS,  /* [] */
	MONITOR_FD_COUNTS, /* [] */
	/* Directories of its control group, where limits are told of. */
	MONITOR_FD_GROUP,   /* [] of cgroup2 */
	MONITOR_FD_MEMORY,  /* [] of the v1 controllers */
	MONITOR_FD_PIDS,    /* [] */
	MONITOR_FD_CPU,	    /* [] */
	MONITOR_FD_CPUACCT, /* [] */
	MONITOR_FD_END,
};

/* In the program: whether a descriptor marked [] is there. */
bool monitor_fd_is_there(int fd);

/* A message to the control socket, with descriptors beside it. The answer is as at MONITOR_FD_REPORT. */
enum monitor_request_type {
	MONITOR_RULES = 1, /* policies, map of hits */
	MONITOR_DNS,	   /* as MONITOR_FD_DNS */
};
#define MONITOR_REQUEST_FDS 2
struct monitor_request {
	uint32_t type;
	uint32_t generation; /* MONITOR_RULES */
};

#endif
