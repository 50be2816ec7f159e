/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PURPLE_AUDIT_MONITOR_JAIL_H
#define PURPLE_AUDIT_MONITOR_JAIL_H

#include "base/err.h"

/*
 * What is left to do when the root is empty and no exec gives capabilities. `probe` reads a map: 0
 * or -errno.
 */
int monitor_jail_enter(int (*probe)(void *arg), void *arg, struct err *e);

#endif
