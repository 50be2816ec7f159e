/* SPDX-License-Identifier: Apache-2.0 */
/* bpf/audit.bpf.o, as it was built, in the memory of purple-network-load. */
#ifndef PURPLE_AUDIT_TRACE_OBJECT_H
#define PURPLE_AUDIT_TRACE_OBJECT_H

extern const char trace_object[], trace_object_end[];

#endif
