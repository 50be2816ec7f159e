/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who runs an administrator's alert command: a process that stays what its parent was started as
 * (root), for a parent that gives its privileges up (purple-gateway, purple-alert). What a message
 * of the parent means is told by a function of the parent's, which believes nothing of it.
 */
#ifndef PURPLE_AUDIT_ALERTER_H
#define PURPLE_AUDIT_ALERTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* The command gets so long, and is killed then. */
#define ALERTER_SECONDS 30
#define ALERTER_MESSAGE_MAX (128u << 10)

/* A run of a command: without a shell, in a session of its own. */
struct alerter_run {
	const struct strv *command; /* argv, the first an absolute path */
	struct strv environment;    /* PURPLE_...; PATH is added */
	struct buf input;	    /* what it finds on its standard input */
};
struct alerter_setup {
	/* What a message asks for; false: nothing that there is. Runs in the alerter. */
	bool (*read)(const void *arg, const void *message, size_t len,
		     struct alerter_run *ret);
	const void *arg;
};
/* To each message. */
struct alerter_reply {
	int32_t status; /* of the command, as from waitpid(); -ETIMEDOUT; -errno: not started (-EPROTO: no such message) */
};

/*
 * Starts it; *ret_fd is a SOCK_SEQPACKET, non-blocking, for messages and replies. It runs one command
 * at a time. When the socket is closed it still runs what was told before. Runs in: a process with one
 * thread, as root (or whoever the command is to be run as).
 */
int alerter_start(const struct alerter_setup *s, int *ret_fd, struct err *e);
/* 0 or -errno. Does not wait. */
int alerter_tell(int fd, const void *message, size_t len);
/* 1: a reply; -EAGAIN: none yet; 0: it has ended. */
int alerter_hear(int fd, struct alerter_reply *ret);

/* What a reply means, for people; NULL: all is well. `size` of 128 is enough. */
const char *alerter_reply_text(const struct alerter_reply *r, char *text, size_t size);

#endif
