/* SPDX-License-Identifier: Apache-2.0 */
/* Which system calls compiled filters deny, for who is to tell of denied ones: audit/trace.h. */
#ifndef PURPLE_LINUX_SECCOMP_DENIED_H
#define PURPLE_LINUX_SECCOMP_DENIED_H

#include "bpf/audit.h"
#include "linux/seccomp.h"

/*
 * Of the machine's own calls: those that the plan denies whatever their arguments are, and those
 * that it denies with some, or that somebody else may deny (SCMP_ACT_NOTIFY, SCMP_ACT_TRACE). Pure.
 */
void seccomp_denied_calls(const struct seccomp_plan *plan, struct trace_calls *ret_always,
			  struct trace_calls *ret_some);

#endif
