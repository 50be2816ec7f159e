/* SPDX-License-Identifier: Apache-2.0 */
/* --pidfd-socket: a descriptor of a container's process for the caller. */
#ifndef PURPLE_CONTAINER_PIDFD_H
#define PURPLE_CONTAINER_PIDFD_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Sends a pidfd of a child that was not reaped to the socket (SOCK_STREAM) at `path`, beside
 * `text`: "standard" for a container's init and "setns" for a process of exec, as runc has it.
 */
int pidfd_send(pid_t pid, const char *path, const char *text, struct err *e);

#endif
