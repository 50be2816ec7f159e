/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of small numbers as the kernel writes them ("0-3,7"): CPUs, memory nodes. */
#ifndef PURPLE_BASE_BITLIST_H
#define PURPLE_BASE_BITLIST_H

#include <limits.h>
#include <stddef.h>

/* The kernel's limits: CPUs (CONFIG_NR_CPUS), memory nodes (CONFIG_NODES_SHIFT). */
#define BITLIST_MAX 8192
#define BITLIST_BITS_OF_LONG (sizeof(unsigned long) * CHAR_BIT)

struct bitlist {
	unsigned long bits[BITLIST_MAX / BITLIST_BITS_OF_LONG];
};

/*
 * Numbers and ranges, separated by commas; spaces may stand around both. At least one number.
 * 0, -EINVAL (no such list, or a range that runs backwards), -ERANGE (a number of BITLIST_MAX or
 * above); *ret is untouched on failure.
 */
int bitlist_parse(const char *text, struct bitlist *ret);

#endif
