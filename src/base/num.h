/* SPDX-License-Identifier: Apache-2.0 */
/* Strict numbers: the whole string, no sign tricks, no overflow, no locale. */
#ifndef PURPLE_BASE_NUM_H
#define PURPLE_BASE_NUM_H

#include <stdint.h>

/* Decimal only. 0, -EINVAL (not a number), -ERANGE. */
int num_u64(const char *s, uint64_t *ret);
int num_i64(const char *s, int64_t *ret);
int num_u32(const char *s, uint32_t *ret);
int num_i32(const char *s, int32_t *ret);

/* Decimal, 0x hexadecimal or 0o octal. A leading 0 alone is an error (ambiguous). */
int num_u64_any_base(const char *s, uint64_t *ret);

/*
 * "12.345" at *s as an exact multiple of 10^-decimals: 12345 with 3 decimals. Goes on to the
 * first character after the number. -EINVAL: no number, or more decimals than that; -ERANGE.
 */
int num_decimal(const char **s, int decimals, uint64_t *ret);

#endif
