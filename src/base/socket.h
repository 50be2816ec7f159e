/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of the host in the file system or, with a leading '@', in the abstract name space. */
#ifndef PURPLE_BASE_SOCKET_H
#define PURPLE_BASE_SOCKET_H

#include "base/err.h"

/*
 * Connects to a socket of this type (SOCK_STREAM, SOCK_DGRAM, ...). `what` is what errors call it.
 * A path may be longer than an address has room for.
 */
int socket_connect(const char *path, int type, const char *what, int *ret_fd, struct err *e);

/* Sends fd as SCM_RIGHTS beside `text`, which must not be empty. 0 or -errno. */
int socket_send_fd(int sock, int fd, const char *text);

#endif
