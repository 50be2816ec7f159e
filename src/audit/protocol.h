/* SPDX-License-Identifier: Apache-2.0 */
/* How the runtime starts purple-monitor and speaks to it. */
#ifndef PURPLE_AUDIT_PROTOCOL_H
#define PURPLE_AUDIT_PROTOCOL_H

#include <stdint.h>

/*
 * Descriptors that it is started with; the arguments are the container's id and the number of the
 * generation of its rules. What is -1 with the caller is /dev/null there.
 */
enum monitor_fd {
	MONITOR_FD_REPORT = 3, /* SOCK_SEQPACKET: see base/helper.h */
	MONITOR_FD_INIT,       /* pidfd of the container's init */
	MONITOR_FD_NETNS,      /* the container's network namespace */
	MONITOR_FD_RING,       /* maps of the filter */
	MONITOR_FD_HITS,
	MONITOR_FD_LOG,	    /* lines go here */
	MONITOR_FD_CONTROL, /* listens, SOCK_SEQPACKET */
	MONITOR_FD_RULES,   /* the policies as network/rules_json.h writes them */
	MONITOR_FD_DNS, /* SOCK_SEQPACKET: a line of the forwarder each, or /dev/null */
	MONITOR_FD_END,
};

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
