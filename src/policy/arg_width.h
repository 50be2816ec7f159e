/* SPDX-License-Identifier: Apache-2.0 */
/* Which arguments of system calls the kernel reads as 64 bits. Pure. */
#ifndef PURPLE_POLICY_ARG_WIDTH_H
#define PURPLE_POLICY_ARG_WIDTH_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether the kernel reads all 64 bits of argument `arg` (0 to 5) of this call: pointers, sizes,
 * offsets, `unsigned long`. Of all others it takes the low 32 bits, while a filter sees the whole
 * register: what stands in the upper half must not decide. Calls that are not in the table are
 * taken to have int arguments alone, which is the stricter reading.
 */
bool syscall_arg_is_wide(const char *name, uint32_t arg);

#endif
