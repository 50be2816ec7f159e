/* SPDX-License-Identifier: Apache-2.0 */
/* What numbers of the kernel are called. Pure: no system call, for processes that may make few. */
#ifndef PURPLE_AUDIT_TRACE_NAMES_H
#define PURPLE_AUDIT_TRACE_NAMES_H

#include <stdint.h>

#include "base/str.h"

/* A JSON list of the names: ["CAP_CHOWN"]; what has no name is "CAP_63". */
void trace_names_caps(struct buf *out, uint64_t set);
/* Likewise, of CLONE_NEW...: ["user","network"]. */
void trace_names_namespaces(struct buf *out, uint64_t flags);
/* "EACCES" in quotes; a number where it has no name. `number` is positive. */
void trace_names_error(struct buf *out, int number);
/* "openat" in quotes. */
void trace_names_call(struct buf *out, uint32_t arch, uint32_t call);
/* The same without quotes; cut off at the buffer's end. */
void trace_names_call_text(uint32_t arch, uint32_t call, char *ret, size_t size);

#endif
