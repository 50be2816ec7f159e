/* SPDX-License-Identifier: Apache-2.0 */
/* A policy in plain words. */
#ifndef PURPLE_CMD_PURPLE_PROFILE_TEXT_H
#define PURPLE_CMD_PURPLE_PROFILE_TEXT_H

#include "policy/policy.h"

/* File and meaning, each line a comment of YAML, so that what follows may be the file itself. */
void profile_summarize(const struct policy *p, struct buf *out);

#endif
