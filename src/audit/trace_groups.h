/* SPDX-License-Identifier: Apache-2.0 */
/* The groups that are traced, and what runs for them: for trace.c. `pins`: folder of a build. */
#ifndef PURPLE_AUDIT_TRACE_GROUPS_H
#define PURPLE_AUDIT_TRACE_GROUPS_H

#include <stdint.h>

#include "base/err.h"
#include "bpf/audit.h"

/* A descriptor of a program or map that is pinned. */
int trace_pin_open(const char *pins, const char *name, struct err *e);

/* The id of a directory of cgroup2; of *ret: where it lies, and the file that this process is of. */
int trace_group_look(int group, uint64_t *ret_id, struct trace_group *ret, struct err *e);

/* From here on its processes are seen; -EEXIST where they are already. */
int trace_group_add(const char *pins, uint64_t id, const struct trace_group *group,
		    struct err *e);
/* By its key; one that is not there is fine. */
int trace_group_remove(const char *pins, uint64_t key, struct err *e);

/* *ret_id: 0 where there is none of this key, or its group is gone. */
int trace_group_find(const char *pins, uint64_t key, uint64_t *ret_id,
		     uint32_t *ret_wants, struct err *e);

#endif
