/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends a container though nobody stands in front of it: a session's time-out, lack of memory
 * where the kernel kills one process of it alone (cgroup v1), and the death of who records it. The
 * runtime says it to purple-monitor, as a document, and its warden does it.
 */
#ifndef PURPLE_AUDIT_LIMITS_H
#define PURPLE_AUDIT_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "audit/warden.h"
#include "base/err.h"

struct audit_limits {
	uint64_t timeout_seconds; /* 0: none */
	bool ends_on_death;	  /* who records it must live */
	/* As in warden_setup.notes; NULL: there is no such limit. audit_note: the monitor's. */
	char *timeout_note, *oom_note, *audit_note, *death_note;
};
void audit_limits_clear(struct audit_limits *l);
#define _audit_limits_clear_ __attribute__((cleanup(audit_limits_clear)))

bool audit_limits_are_set(const struct audit_limits *l);

/* In a file of no folder, at its beginning. Returns a descriptor or -errno. */
int audit_limits_write(const struct audit_limits *l, struct err *e);
int audit_limits_read(int fd, struct audit_limits *ret, struct err *e);

/* Borrows the texts. */
void audit_limits_fill(const struct audit_limits *l, struct warden_setup *s);

#endif
