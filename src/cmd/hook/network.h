/* SPDX-License-Identifier: Apache-2.0 */
/* The network rules and the LLM gateway of a container of another runtime, as a hook of that runtime. */
#ifndef PURPLE_CMD_HOOK_NETWORK_H
#define PURPLE_CMD_HOOK_NETWORK_H

#include <stddef.h>

#include "base/err.h"

/*
 * `text` is the state that a runtime gives its hooks on stdin. A container that is being made gets
 * the filter of its policies; one that runs, for the devices that came later; of one that is stopped,
 * all of it is taken away. policy: the
 * administrator's, or NULL. An error keeps the container from starting.
 */
int network_hook_run(const char *text, size_t len, const char *policy, struct err *e);
/* The same for purple-budget-hook, and the container's LLM gateway. */
int budget_hook_run(const char *text, size_t len, const char *policy, struct err *e);

#endif
