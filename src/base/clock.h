/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's clocks as numbers. CLOCK_MONOTONIC is for a wait that ends soon; CLOCK_BOOTTIME, which
 * goes on while the machine sleeps, for what is due at a time, and it is what BPF programs stamp
 * with. Neither can fail: both are older than any kernel that Purple runs on.
 */
#ifndef PURPLE_BASE_CLOCK_H
#define PURPLE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

int64_t clock_ms(clockid_t which);
uint64_t clock_s(clockid_t which);
uint64_t clock_ns(clockid_t which);

#endif
