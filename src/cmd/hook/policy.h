/* SPDX-License-Identifier: Apache-2.0 */
/* A policy for a container of another runtime: its config.json, changed. */
#ifndef PURPLE_CMD_HOOK_POLICY_H
#define PURPLE_CMD_HOOK_POLICY_H

#include "base/err.h"
#include "base/str.h"
#include "policy/plan.h"

/*
 * Adds to `out` the configuration with the policies that hold for it merged in: byte for byte the
 * same where none does. Directories for a policy's output paths are made. An error for whatever the
 * policies ask that a runtime other than Purple cannot carry out.
 */
int policy_hook_apply(const char *text, size_t len, const struct policy_request *rq,
		      struct buf *out, struct err *e);

#endif
