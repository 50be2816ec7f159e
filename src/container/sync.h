/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conversation of the runtime and the container's first process, over a SOCK_SEQPACKET pair:
 * one fixed-size message a packet. A peer that is gone is an error at once, on either side.
 *
 * create:  runtime               init
 *        [ GO (pid, hook state) ->        maps are written, documents for hooks made ]
 *        [                      <- NETWORK  with the namespace that is the container's from start on ]
 *        [                      <- HOOKS  mounts are done, before pivot_root
 *          GO                  ->         network devices moved, prestart and createRuntime hooks ran ]
 *                               <- READY  all is set up; init will wait on start.sock
 *          GO                  ->         the state is on disk: init closes this socket
 *
 * start, over start.sock:
 *          GO                  ->         whoever goes without it has only looked
 *          end of file, or      <- FAILED
 *
 * exec:    GO (pid)            ->
 *                               <- READY  only the execve is left
 *          GO                  ->         pid file is written
 *          end of file, or      <- FAILED
 *
 * What stands in brackets is left out when there is nothing to wait for.
 * FAILED with a struct err may come at any place of init's side.
 */
#ifndef PURPLE_CONTAINER_SYNC_H
#define PURPLE_CONTAINER_SYNC_H

#include <sys/types.h>

#include "base/err.h"

enum sync_type { SYNC_GO = 1, SYNC_NETWORK, SYNC_HOOKS, SYNC_READY, SYNC_FAILED };

struct sync_msg {
	enum sync_type type;
	pid_t pid;	/* GO: init's pid as the runtime sees it */
	struct err err; /* FAILED */
};

/* A connected pair: [0] is the runtime's end. */
int sync_pair(int ret_fds[2], struct err *e);
int sync_send(int fd, const struct sync_msg *m, struct err *e);
/* Waits for a message of this type; FAILED gives the peer's error, end of file "died". */
int sync_expect(int fd, enum sync_type type, struct sync_msg *ret, struct err *e);
/* A message with a descriptor, which stays the sender's; *ret_fd is the receiver's own. */
int sync_send_fd(int fd, enum sync_type type, int passed, struct err *e);
int sync_expect_fd(int fd, enum sync_type type, int *ret_fd, struct err *e);
/* As sync_expect(), where a peer that just closes means success (0 with *ret_closed set). */
int sync_expect_or_close(int fd, enum sync_type type, bool *ret_closed, struct err *e);
/* Replaces *e by the failure that the peer has sent, if it has. Waits for nothing. */
void sync_take_failure(int fd, struct err *e);

#endif
