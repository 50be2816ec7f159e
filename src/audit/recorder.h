/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorder: a child of purple-monitor that writes the logs of audited policies. It takes whole
 * lines, adds the member `line` to each (chain.h), and appends them to each log whose levels want
 * them. Several recorders write to one log; see recorder.c.
 *
 * What it takes, from a pipe and as messages of a socket, are records: the levels that a line is of
 * (enum audit_level of config.h; 0: every log takes it) in hexadecimal, the line, which begins with
 * {" and ends with }, and a newline. Several fit into one write or message:
 *
 *	88{"@timestamp":"...","type":"network",...}\n
 *
 * A record that is none is counted, and told of as a line that was lost.
 */
#ifndef PURPLE_AUDIT_RECORDER_H
#define PURPLE_AUDIT_RECORDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "audit/config.h"
#include "base/err.h"
#include "base/str.h"

#define AUDIT_LINE_MAX 65536	 /* bytes of a line, without what is added */
#define AUDIT_MESSAGE_MAX 131072 /* of a message: more is cut off */
#define AUDIT_RECORDER_LOGS 32

/* How it ends the container when its parent has died. Borrowed; -1: there is none. */
struct audit_recorder_end {
	int init_fd;	  /* pidfd of the container's init */
	int kill_fd;	  /* cgroup.kill, for writing */
	int end_fd;	  /* end.jsonl, for appending */
	const char *note; /* for that: warden_note() */
};

struct audit_recorder_start {
	/* At most AUDIT_RECORDER_LOGS; no path twice. Of a log, path, levels, max_size (0: no limit)
	 * and keep count. Folders that are missing are made, mode 0700. */
	const struct audit_config *config;
	int others_fd; /* SOCK_SEQPACKET that messages come from (gateway, warden); -1: none */
	const struct audit_recorder_end *end; /* NULL: the container goes on */
	int alerts_fd; /* to purple-alert: lines of theirs with AUDIT_ALERT; -1: none */
};

struct audit_recorder {
	pid_t pid;
	int lines_fd;  /* a pipe, blocking; takes records */
	int report_fd; /* SOCK_SEQPACKET: reports; takes one of AUDIT_RECORDER_... */
};
#define AUDIT_RECORDER_EMPTY                    \
	{                                       \
		.lines_fd = -1, .report_fd = -1 \
	}

/* What its parent may say: a message of this one byte. */
#define AUDIT_RECORDER_FLUSH 'f' /* answered by AUDIT_RECORDER_FLUSHED */
/*
 * Before the parent closes its ends: there is nothing more from it. Without that, it died: the
 * recorder ends the container, if it is to, and writes a line of type "monitor_died". Either way it goes on until the others have closed
 * their ends, too, at most AUDIT_RECORDER_LINGER seconds.
 */
#define AUDIT_RECORDER_BYE 'b'
#define AUDIT_RECORDER_LINGER 20

/* What it says, a struct a message. */
enum audit_recorder_report_type {
	AUDIT_RECORDER_READY = 1,
	AUDIT_RECORDER_ERROR,  /* instead of ready; then it ends */
	AUDIT_RECORDER_FAILED, /* lines of this log are being lost from here on */
	AUDIT_RECORDER_WORKS, /* and not any more: those of before are told of in the log */
	AUDIT_RECORDER_FLUSHED, /* what was sent before FLUSH is written, or lost */
};
struct audit_recorder_report {
	uint32_t type;
	uint32_t log;	/* index in the config: FAILED, WORKS */
	uint64_t lost;	/* lines of this log until now: FAILED, WORKS; of all: FLUSHED */
	struct err err; /* ERROR, FAILED */
};

/*
 * Starts it and does not wait. `start` is of no more use to it; others_fd stays the caller's, who
 * must close it. On failure nothing is left of it.
 * Runs in: purple-monitor, as root with the host's files, with one thread.
 */
int audit_recorder_start(const struct audit_recorder_start *start,
			 struct audit_recorder *ret, struct err *e);
/* It is in its jail, its logs are open, and it listens; or why not. */
int audit_recorder_wait(struct audit_recorder *r, struct err *e);

/* Adds a record. `line` may end with a newline. */
void audit_record_add(struct buf *out, uint32_t levels, const char *line, size_t len);

/*
 * For the parent in its jail; both end at once. The next report, when report_fd can be read: 1,
 * 0 when it has ended, -EAGAIN.
 */
int audit_recorder_read_report(int report_fd, struct audit_recorder_report *ret);
/* 0 or -errno */
int audit_recorder_say(int report_fd, char what);

#endif
