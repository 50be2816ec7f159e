/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs that engines call have in common: stdin is what they are about; options, help. */
#ifndef PURPLE_CMD_HOOK_PROGRAM_H
#define PURPLE_CMD_HOOK_PROGRAM_H

#include <stddef.h>

#include "base/err.h"

struct hook_program {
	const char *name, *help;
	const char *usage; /* "<STATE" */
	const char *input; /* what errors call it: "the container's state" */
	/* `text` is the input; policy: --policy, or NULL. */
	int (*run)(const char *text, size_t len, const char *policy, struct err *e);
};

int hook_program_run(const struct hook_program *p, int argc, char **argv, struct err *e);

#endif
