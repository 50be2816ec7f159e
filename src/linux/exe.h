/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the runtime's own binary out of a container's reach (CVE-2019-5736). */
#ifndef PURPLE_LINUX_EXE_H
#define PURPLE_LINUX_EXE_H

#include "base/err.h"

/*
 * Makes sure that /proc/self/exe of this process and its children cannot be opened for writing by
 * anyone: when it could, the program is executed again from a detached read-only bind mount of
 * itself, or, where mounting is not allowed, from a sealed copy in memory. Then this returns 0 in
 * the new image's run. Call it first thing, before any state is made: nothing but argv and the
 * environment survives.
 */
int exe_protect(char *const argv[], struct err *e);

#endif
