/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only process of the gateway that has power over the container: it can end, freeze and thaw
 * it, and nothing else. It keeps CAP_KILL, the container's pidfd and two files of its control group,
 * takes messages of a fixed size, and parses nothing.
 */
#ifndef PURPLE_GATEWAY_WARDEN_H
#define PURPLE_GATEWAY_WARDEN_H

#include <stdint.h>

#include "base/err.h"
#include "gateway/config.h"

enum warden_command {
	WARDEN_STOP = 1, /* SIGTERM for init, and 10 s later the end of all */
	WARDEN_FREEZE,
	WARDEN_THAW,
	WARDEN_BYE, /* the gateway ends in order */
};

struct warden_message {
	uint32_t command;
};
/* To each message but WARDEN_BYE. */
struct warden_reply {
	uint32_t command;
	int32_t error; /* 0 or -errno */
};

/* Descriptors are borrowed; -1: there is none. */
struct warden_setup {
	int init_fd;	/* pidfd of the container's init */
	int kill_fd;	/* cgroup.kill, for writing */
	int freezer_fd; /* cgroup.freeze, or freezer.state of v1, for writing */
	int events_fd;	/* events.jsonl: for one line, when the gateway dies */
	const struct gateway_config *config;
	unsigned int grace_ms; /* between SIGTERM and the end; 0: 10 s */
};

/*
 * Starts it; *ret_fd is a SOCK_SEQPACKET, non-blocking, for messages and replies. It ends when that
 * is closed, or the container has ended; a container that was to be stopped is ended before.
 * Runs in: purple-gateway, as root (or as the user that the container belongs to), with one thread.
 * The caller must not hold a key yet.
 */
int warden_start(const struct warden_setup *s, int *ret_fd, struct err *e);
/* It is in its jail, and listens. */
int warden_wait(int fd, struct err *e);
/* 0 or -errno. Does not wait. */
int warden_tell(int fd, enum warden_command command);

#endif
