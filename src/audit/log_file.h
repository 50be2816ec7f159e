/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One audit log as its writers see it: LOG, which lines are appended to, LOG.1, LOG.2 ... which were
 * that before, and LOG.head. Several processes write to one log; see log_file.c.
 */
#ifndef PURPLE_AUDIT_LOG_FILE_H
#define PURPLE_AUDIT_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "audit/chain.h"
#include "audit/recorder_event.h"
#include "base/err.h"

/* A line of the log with all that was added, without its newline. */
#define LOG_LINE_MAX (64u << 10 | 4096)
#define LOG_NAME_MAX 240
#define LOG_LOCK_SECONDS 30 /* for which another writer may keep it */

struct log_file {
	const char *path; /* for errors; borrowed */
	char name[LOG_NAME_MAX + 1];
	uint64_t max_size;	    /* 0: none */
	uint32_t keep;		    /* rotated files; UINT32_MAX: all of them */
	struct recorder_self *self; /* whose lines; borrowed */
	int dirfd, fd, head_fd;
	struct stat st, head_st;    /* which files these are */
	struct chain_head head;	    /* while it is locked */
	struct recorder_repair fix; /* to be told with the next line */
	bool checked, broken; /* looked at since it was opened; its end has no newline */
};
#define LOG_FILE_EMPTY                                \
	{                                             \
		.dirfd = -1, .fd = -1, .head_fd = -1, \
	}

/*
 * Opens the log `name` of the folder, which it takes over, and makes it where there is none; f has
 * path, max_size, keep and self. What a writer that was killed left behind is put right.
 */
int log_file_open(struct log_file *f, int dirfd, const char *name, struct err *e);
/* Adds lines (chain_is_line()). *ret_written is set also on failure: the first ones are written. */
int log_file_append(struct log_file *f, const struct iovec *lines, size_t n,
		    size_t *ret_written, struct err *e);
void log_file_close(struct log_file *f);

/*
 * Locks the head, waiting for LOG_LOCK_SECONDS; `type`: F_RDLCK, F_WRLCK. Closing it unlocks it.
 * 0 or -errno. Uses SIGALRM; for a process with one thread.
 */
int log_file_lock(int head_fd, int type);
/* The name of a rotated file; 0: of the newest. */
void log_file_name(const char *name, uint32_t number, char ret[LOG_NAME_MAX + 16]);

#endif
