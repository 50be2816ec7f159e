/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals: a pty of the container's own devpts, and handing its master over. */
#ifndef PURPLE_CONTAINER_CONSOLE_H
#define PURPLE_CONTAINER_CONSOLE_H

#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

/* Connects to an engine's console socket (SOCK_STREAM). Runs in the runtime. */
int console_connect(const char *path, int *ret_fd, struct err *e);

/*
 * Opens a new pty in the caller's /dev/pts, which must be a devpts; sizes it and gives it to uid.
 * Runs in the container's mount namespace.
 */
int console_open(uid_t uid, const struct oci_box *size, int *ret_master, int *ret_slave,
		 struct err *e);

/* Sends the master over sock, with the slave's name as data. */
int console_send(int sock, int master, struct err *e);
/* Receives a master from the other end of such a socket. */
int console_receive(int sock, int *ret_master, struct err *e);

/* Makes the slave the controlling terminal and descriptors 0 to 2. The caller leads a session. */
int console_attach(int slave, struct err *e);

#endif
