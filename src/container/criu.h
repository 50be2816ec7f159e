/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRIU as `criu swrk` offers it: one request over a SOCK_SEQPACKET socket, in the protocol buffers of
 * its images/rpc.proto, which are written and read here. CRIU has the caller's privileges.
 */
#ifndef PURPLE_CONTAINER_CRIU_H
#define PURPLE_CONTAINER_CRIU_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "container/checkpoint.h"

/* The first descriptor that criu_begin() passes on beside 0 to 2. */
#define CRIU_FD_FIRST 4

struct criu {
	pid_t pid;
	int sock;
};
#define CRIU_EMPTY         \
	{                  \
		.sock = -1 \
	}

struct criu_start {
	/* In the child, before it becomes CRIU; NULL: nothing. */
	int (*prepare)(void *arg, struct err *e);
	void *arg;
	bool inherits_stdio; /* else 0 to 2 are /dev/null */
	int fd;		     /* what it finds as CRIU_FD_FIRST; -1: /dev/null */
};

/* Starts it as a child of the caller. ERR_UNSUPPORTED where it is not installed. */
int criu_begin(const struct criu_start *start, struct criu *ret, struct err *e);
void criu_end(struct criu *c);
#define _criu_end_ __attribute__((cleanup(criu_end)))

struct criu_inherited {
	char *key;
	int fd; /* as CRIU has it */
};

struct criu_request {
	const struct checkpoint_options *options;
	const char *root;	   /* of the container, a directory */
	const char *freeze_cgroup; /* NULL: none */
	pid_t pid;		   /* of what is dumped */
	int images_fd, work_fd;	   /* directories, of the caller */
	bool terminal;		   /* restore: its master is outside of the container */
	struct strv external;	   /* as criu's --external */
	LIST_OF(struct criu_inherited) inherited;
};
#define CRIU_REQUEST_EMPTY                     \
	{                                      \
		.images_fd = -1, .work_fd = -1 \
	}

void criu_request_clear(struct criu_request *rq);
#define _criu_request_clear_ __attribute__((cleanup(criu_request_clear)))

int criu_request_inherit(struct criu_request *rq, const char *key, int fd, struct err *e);

/* Opens both directories of the options; `make` makes those that are missing. */
int criu_request_open(struct criu_request *rq, bool make, struct err *e);

int criu_dump(struct criu *c, const struct criu_request *rq, struct err *e);

struct criu_restored {
	/* The first process is there, stopped: in its new namespaces alone, and whole. */
	int (*in_namespaces)(void *arg, pid_t pid, struct err *e);
	int (*before_resume)(void *arg, pid_t pid, struct err *e);
	void *arg;
	int *terminal_fd; /* its master */
};

/* *ret_pid, a child of the caller, runs when this returns. It is set as soon as CRIU tells it: after a
 * failure the caller ends and reaps it. */
int criu_restore(struct criu *c, const struct criu_request *rq,
		 const struct criu_restored *to, pid_t *ret_pid, struct err *e);

#endif
