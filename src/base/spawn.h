/* SPDX-License-Identifier: Apache-2.0 */
/* A child of ours becomes a helper program that inherits nothing but what it is given. */
#ifndef PURPLE_BASE_SPAWN_H
#define PURPLE_BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct spawn {
	const char *program;	 /* path */
	const char *const *argv; /* NULL: the program's path alone */
	const char *const *envp; /* NULL: empty */
	const int *fds;		 /* what it finds as 0, 1, ...; -1: /dev/null */
	size_t n; /* of `fds`; 0 to 2 are /dev/null where it does not reach them */
	bool dies_with_parent; /* by SIGKILL */
};

/*
 * Places the descriptors, sets all signals to their defaults, goes to /, and becomes the program,
 * which finds no others. Returns on failure alone; the caller's descriptors from `n` on are then as
 * they were, but for FD_CLOEXEC. Runs in: a process that was forked for this. Needs Linux 5.11.
 */
int spawn_exec(const struct spawn *s, struct err *e);

/* The same for a child that has nobody to tell: ends with status 127. */
void spawn_exec_or_exit(const struct spawn *s) __attribute__((noreturn));

#endif
