/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor of one container: it reads the ring of its network filter, the lines of its forwarder,
 * what is traced of it and what befalls its control group, and writes events.jsonl and, by its
 * recorder, the logs of audited policies (event.h). See monitor.c.
 */
#ifndef PURPLE_AUDIT_MONITOR_H
#define PURPLE_AUDIT_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct monitor;

/* With the descriptors of enum monitor_fd, as root. `id`: of the container, borrowed. */
int monitor_make(const char *id, uint32_t generation, struct monitor **ret, struct err *e);
/*
 * From here on the process is nobody's, without capabilities (but CAP_BPF where the kernel, before
 * 5.19, lets nobody else read a map), in an empty file system, without children but those that end
 * connections and record, and with few system calls: another one kills it.
 */
int monitor_enter_jail(struct monitor *m, struct err *e);
/* Where there is nothing to read, and limits alone are to be kept (audit/limits.h): the process becomes
 * a warden in a jail of its own, and does not return once it has said that it is ready. */
bool monitor_is_warden(void);
int monitor_be_warden(struct err *e);

/* Until the container's init has ended. */
int monitor_run(struct monitor *m, struct err *e);

#endif
