/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that ends TCP connections (network/cut.h), the only one of the monitor that has a
 * capability: CAP_NET_ADMIN. It is told of events of a fixed size, and parses nothing else.
 */
#ifndef PURPLE_AUDIT_CUTTER_H
#define PURPLE_AUDIT_CUTTER_H

#include "base/err.h"

/*
 * Starts it; *ret_fd is a SOCK_SEQPACKET that takes a struct network_event a message. It ends when
 * that is closed. `sock` is of network_cut_open(), for the container's network namespace; it stays
 * the caller's. Runs in: purple-monitor, as root in its empty root, with one thread.
 */
int audit_cutter_start(int sock, int *ret_fd, struct err *e);
/* It is in its jail, and listens. */
int audit_cutter_wait(int fd, struct err *e);

#endif
