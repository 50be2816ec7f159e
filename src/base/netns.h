/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short visit to another network namespace: a socket stays in the namespace in which it was made.
 * Runs in: a process with one thread, as root.
 */
#ifndef PURPLE_BASE_NETNS_H
#define PURPLE_BASE_NETNS_H

#include <stdint.h>

#include "base/err.h"

/* Goes to `ns`. *ret_own, which is the caller's to close, is the way back. */
int netns_enter(int ns, int *ret_own, struct err *e);
/*
 * Goes back. `r` is what the work there came to: it is returned, or -errno where there is no way back.
 * The process is in the other namespace then, and must end.
 */
int netns_leave(int own, int r, struct err *e);

/*
 * A non-blocking socket (AF_INET or AF_INET6; SOCK_DGRAM, or SOCK_STREAM, which listens) on the
 * loopback address of the namespace that the caller is in. `*port` 0: the kernel chooses, and it is
 * filled in. The socket, or -errno.
 */
int netns_bind_loopback(int family, int type, int queue, uint16_t *port);

#endif
