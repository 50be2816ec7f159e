/* SPDX-License-Identifier: Apache-2.0 */
/* Times on the command line. Pure. */
#ifndef PURPLE_CMD_PURPLE_AUDIT_TIME_H
#define PURPLE_CMD_PURPLE_AUDIT_TIME_H

#include <time.h>

#include "base/err.h"

/* As @timestamp: 2026-01-01T00:00:00.000000Z */
#define AUDIT_TIME_SIZE 28

/*
 * A day (2026-11-22), a time of UTC (2026-11-22T15:04, with seconds and Z if wanted), or how long
 * before `now` (90s, 10m, 2h, 3d).
 */
int audit_time_parse(const char *text, time_t now, char ret[AUDIT_TIME_SIZE], struct err *e);

#endif
