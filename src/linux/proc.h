/* SPDX-License-Identifier: Apache-2.0 */
/* Files of procfs: opened only on what is verified to be procfs, not covered by another mount. */
#ifndef PURPLE_LINUX_PROC_H
#define PURPLE_LINUX_PROC_H

#include "base/err.h"

/*
 * The root of a procfs of the caller's pid namespace, as an O_PATH descriptor: a new instance that
 * is attached nowhere, so nobody can cover parts of it; where the kernel does not give one (a user
 * namespace that sees only a masked procfs), /proc, verified.
 */
int proc_open(struct err *e);

/* Opens `path` ("sys/kernel/msgmax", "self/attr/exec") under proc_open()'s descriptor. Crossing
 * into another mount and following magic links are refused. Returns the descriptor. */
int proc_open_file(int proc_fd, const char *path, int flags, struct err *e);

/* One write(2) of all of `value`. */
int proc_write(int proc_fd, const char *path, const char *value, struct err *e);

#endif
