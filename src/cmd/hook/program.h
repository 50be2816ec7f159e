/* SPDX-License-Identifier: Apache-2.0 */
/* What the hooks that read a container's state from stdin have in common: options, help. */
#ifndef PURPLE_CMD_HOOK_PROGRAM_H
#define PURPLE_CMD_HOOK_PROGRAM_H

#include <stddef.h>

#include "base/err.h"

struct hook_program {
	const char *name, *help;
	/* `text` is the state; policy: --policy, or NULL. */
	int (*run)(const char *text, size_t len, const char *policy, struct err *e);
};

int hook_program_run(const struct hook_program *p, int argc, char **argv, struct err *e);

#endif
