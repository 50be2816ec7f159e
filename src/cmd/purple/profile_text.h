/* SPDX-License-Identifier: Apache-2.0 */
/* A policy in plain words. */
#ifndef PURPLE_CMD_PURPLE_PROFILE_TEXT_H
#define PURPLE_CMD_PURPLE_PROFILE_TEXT_H

#include "policy/policy.h"

/* File and meaning, each line a comment of YAML, so that what follows may be the file itself. */
void profile_summarize(const struct policy *p, struct buf *out);

/*
 * The last runs under a policy of that name, and what they were denied (profile_runs.c). Nothing where
 * none is recorded, or the caller cannot know.
 */
void profile_write_runs(const char *name, struct buf *out);

#endif
