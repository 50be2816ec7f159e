/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only process of purple-gateway, and of purple-monitor, that has power over the container: it
 * can end, freeze and thaw it, and nothing else. It keeps CAP_KILL, the container's pidfd and two
 * files of its control group, takes messages of a fixed size, and parses nothing. The session's
 * time-out and lack of memory are its own business: they hold whatever becomes of its parent.
 */
#ifndef PURPLE_AUDIT_WARDEN_H
#define PURPLE_AUDIT_WARDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum warden_command {
	WARDEN_STOP = 1, /* SIGTERM for init, and 10 s later the end of all */
	WARDEN_FREEZE,
	WARDEN_THAW,
	WARDEN_BYE,  /* the parent ends in order */
	WARDEN_KILL, /* the end of all, at once */
};

/* Why it ends the container: which of warden_setup.notes goes to end.jsonl. */
enum warden_reason {
	WARDEN_FOR_OTHERS, /* who asks for it has told why */
	WARDEN_FOR_TIMEOUT,
	WARDEN_FOR_OOM,
	WARDEN_FOR_DEATH, /* of its parent */
	WARDEN_REASONS,
};

struct warden_message {
	uint32_t command;
	uint32_t reason; /* of WARDEN_STOP and WARDEN_KILL */
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
	int oom_fd; /* becomes readable when the memory is spent (cgroup v1), and all is to end */
	int end_fd; /* end.jsonl, for appending */
	/*
	 * Lines for that (container/end.h): an object without its time and its end, as in
	 * `{"reason":"timeout"`. NULL: nothing is noted.
	 */
	const char *notes[WARDEN_REASONS];
	int64_t timeout_ms;    /* from here on, as a session's time-out; 0: none */
	unsigned int grace_ms; /* between SIGTERM and the end; 0: 10 s */
	bool ends_on_death; /* its parent's, without WARDEN_BYE: the end of all, at once */
	/* When init has ended, so does all that is left in its group: of a pid namespace that is
	 * another's, the kernel leaves it alone. */
	bool ends_rest;
	/* The parent's death, told with what `death_fd` is for; NULL: it is not told. */
	void (*on_death)(int death_fd, bool is_frozen, const void *arg);
	int death_fd;
	int copy_fd; /* kept for on_death(), too */
	const void *arg;
};
#define WARDEN_SETUP_EMPTY                                                    \
	{                                                                     \
		.init_fd = -1, .kill_fd = -1, .freezer_fd = -1, .oom_fd = -1, \
		.end_fd = -1, .death_fd = -1, .copy_fd = -1                   \
	}

/*
 * Starts it; *ret_fd is a SOCK_SEQPACKET, non-blocking, for messages and replies. It ends when that
 * is closed and nothing is left to watch, or the container has ended; a container that was to be
 * stopped is ended before. Runs in: purple-gateway and purple-monitor, as root (or as the user that
 * the container belongs to), with one thread. The caller must not hold a key yet.
 */
int warden_start(const struct warden_setup *s, int *ret_fd, struct err *e);
/* It is in its jail, and listens. */
int warden_wait(int fd, struct err *e);
/*
 * Without a parent: the caller itself becomes it, and keeps `keep_fd` besides. warden_serve() returns
 * when the container has ended.
 */
struct warden;
int warden_become(const struct warden_setup *s, int keep_fd, struct warden **ret,
		  struct err *e);
void warden_serve(struct warden *w);

/* Adds one of warden_setup.notes to end.jsonl, with the time and its end. */
void warden_note(int end_fd, const char *note);

/* 0 or -errno. Does not wait. */
int warden_tell(int fd, enum warden_command command, enum warden_reason reason);

#endif
