/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) for a container: from a socket of its own to the service manager's. */
#ifndef PURPLE_CONTAINER_NOTIFY_H
#define PURPLE_CONTAINER_NOTIFY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "container/state.h"
#include "oci/spec.h"

struct notify {
	int sock;   /* bound in the state folder: what the container says */
	int host;   /* connected to the service manager */
	bool ready; /* READY=1 went on */
};

#define NOTIFY_EMPTY                    \
	{                               \
		.sock = -1, .host = -1, \
	}

/* create: a folder for the socket, its mount on /run/notify, and NOTIFY_SOCKET for the program.
 * `address` is the caller's NOTIFY_SOCKET. */
int notify_add(const char *address, struct container *c, struct oci_spec *s, struct err *e);

/* start: binds the container's socket and connects to the caller's. Before the program runs. */
int notify_open(const char *address, const struct container *c, struct notify *ret,
		struct err *e);

/* Sends on what came. MAINPID, which goes with READY=1, is `main_pid`. Does not block for the
 * container's sake. */
int notify_forward(struct notify *n, pid_t main_pid, struct err *e);

/* Until READY=1 went on and was taken note of, or the process of the pidfd has ended. */
int notify_wait(struct notify *n, int pidfd, pid_t main_pid, struct err *e);

void notify_close(struct notify *n);
#define _notify_close_ __attribute__((cleanup(notify_close)))

#endif
