/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the host in the file system or, with a leading '@', in the abstract name space. */
#ifndef PURPLE_BASE_SOCKET_H
#define PURPLE_BASE_SOCKET_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Connects to a socket of this type (SOCK_STREAM, SOCK_DGRAM, ...). `what` is what errors call it.
 * A path may be longer than an address has room for.
 */
int socket_connect(const char *path, int type, const char *what, int *ret_fd, struct err *e);

/*
 * One message, and the descriptor that came with it (O_CLOEXEC), or -1. Its length, 0 at the end of
 * the connection, -EMSGSIZE when it is longer, -errno.
 */
ssize_t socket_receive_fd(int sock, void *buf, size_t size, int *ret_fd);

/* Sends fd as SCM_RIGHTS beside `text`, which must not be empty. 0 or -errno. */
int socket_send_fd(int sock, int fd, const char *text);

#endif
