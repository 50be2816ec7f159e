/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper programs that stay (purple-dns, purple-gateway, purple-monitor): the runtime starts one as
 * its child, and waits for its word on a connection of SOCK_SEQPACKET. Each message is a letter, and
 * a text where it is an error. A failure before the child is the program is told in the same way.
 */
#ifndef PURPLE_BASE_HELPER_H
#define PURPLE_BASE_HELPER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* The first byte of a message. */
#define HELPER_READY 'r'
#define HELPER_ERROR 'e' /* then its text */

/* Room for the longest message, and a 0 behind it. */
#define HELPER_MESSAGE_MAX (sizeof(((struct err *)0)->msg) + 1)

/*
 * fork() with a connection of SOCK_SEQPACKET between the two, whose own end each gets. 0 in the child,
 * its pid in the parent, -errno. Runs in: a process with one thread.
 */
pid_t helper_fork(int *ret_sock, struct err *e);

/*
 * In the child: makes itself ready and becomes the program; returns on failure alone. `*report` is
 * the child's end of the connection. As failure is still to be told by it, it is first moved out of
 * the way of what the program gets (helper_move_report()).
 */
typedef int helper_become(const void *start, int *report, struct err *e);

/*
 * Starts the child, and does not wait. *ret_report is the caller's end. On failure nothing is left.
 * Runs in: a process with one thread.
 */
int helper_begin(helper_become *become, const void *start, pid_t *ret_pid,
		 int *ret_report, struct err *e);

/* In the child: *report gets a number that is not below `end`. */
int helper_move_report(int *report, int end, struct err *e);

/*
 * One message, with a 0 behind it, in `buf` of HELPER_MESSAGE_MAX: its length. Not later than `ms`
 * after `since` (CLOCK_MONOTONIC, ms); the end of the connection and HELPER_ERROR are errors.
 * `program` is what errors call it.
 */
ssize_t helper_receive(int report, const char *program, int64_t since, int ms, char *buf,
		       struct err *e);
/* Waits at most so long for HELPER_READY; all else is an error. */
int helper_await(int report, const char *program, int ms, struct err *e);

/* Ends and reaps it, closes the caller's end. What is not there (0 or -1; -1) is left alone. */
void helper_end(pid_t *pid, int *report);

/* In the program: HELPER_READY where `e` is NULL, else the error. 0 or -errno. */
int helper_report(int report, const struct err *e);

#endif
