/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting purple-monitor, and asking it. The runtime does without the library that reads the
 * events, and without staying: it is a program of its own (main/purple-monitor.c).
 */
#ifndef PURPLE_AUDIT_CLIENT_H
#define PURPLE_AUDIT_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit/protocol.h"
#include "base/err.h"

struct audit_client_start {
	const char *id; /* the container's, for its lines */
	uint32_t generation;
	int fds[MONITOR_FD_END]; /* by enum monitor_fd; -1: /dev/null there. Without REPORT */
};
/* No descriptors. */
void audit_client_start_init(struct audit_client_start *start, const char *id);

struct audit_client {
	pid_t pid;     /* a child of the caller; 0: none */
	int report_fd; /* -1: it was waited for */
};
#define AUDIT_CLIENT_EMPTY       \
	{                        \
		.report_fd = -1, \
	}

/*
 * Starts it, and does not wait: audit_client_wait() does, at most 5 s. All that `start` names is of
 * no more use to the monitor's caller. On failure nothing is left of it.
 * Runs in: a process with one thread, as root.
 */
int audit_client_begin(const struct audit_client_start *start, struct audit_client *ret,
		       struct err *e);
/* Nothing to wait for is fine. */
int audit_client_wait(struct audit_client *m, struct err *e);
void audit_client_clear(struct audit_client *m);

/*
 * Sends a request to the control socket `name` in the folder, and waits for the answer, at most 5 s.
 * -ECONNREFUSED or -ENOENT: no monitor listens.
 */
int audit_client_ask(int dirfd, const char *name, const struct monitor_request *request,
		     const int *fds, size_t n, struct err *e);

#endif
