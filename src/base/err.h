/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as values. A function that can fail returns 0 or -errno and takes `struct err *e` last.
 * The value has a fixed size and owns no memory: it works between clone() and exec(), and goes
 * over the sync socket as it is. Only main() reports one or exits.
 */
#ifndef PURPLE_BASE_ERR_H
#define PURPLE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

/* What went wrong, as far as a caller has to tell it apart. Picks the phrase and the exit code. */
enum err_kind {
	ERR_NONE = 0,
	ERR_INTERNAL,	    /* a bug, or out of memory */
	ERR_USAGE,	    /* the command line */
	ERR_CONFIG,	    /* config.json, process.json or another OCI document */
	ERR_POLICY,	    /* a policy file, or a policy that cannot hold here */
	ERR_NOT_EXIST,	    /* no such container */
	ERR_EXISTS,	    /* a container with this id is there already */
	ERR_NOT_RUNNING,    /* the container's init is gone */
	ERR_NOT_PAUSED,	    /* resume of a container that is not frozen */
	ERR_STATE,	    /* the container is in a state that does not allow this */
	ERR_EXEC_NOT_FOUND, /* the program to run is not there */
	ERR_EXEC_DENIED,    /* the program to run is not executable */
	ERR_UNSUPPORTED,    /* valid, but not built, or not possible on this host */
	ERR_KERNEL,	    /* a system call failed */
};

struct err {
	enum err_kind kind;
	int code; /* positive errno */
	char msg[1536];
};

/* Sets kind, code (a positive errno; 0 becomes EINVAL) and message; returns -code. */
int err_set(struct err *e, enum err_kind kind, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set() with ERR_KERNEL and the current errno; its strerror text ends the message. */
int err_sys(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_sys() for an error number at hand (positive or negative). */
int err_errno(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message; returns -code, so `return err_wrap(e, ...)` works. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Out of memory: a message that needs none. Returns -ENOMEM. */
int err_oom(struct err *e);

#endif
