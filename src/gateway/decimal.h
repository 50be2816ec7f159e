/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal numbers of JSON as whole numbers of a smaller unit. */
#ifndef PURPLE_GATEWAY_DECIMAL_H
#define PURPLE_GATEWAY_DECIMAL_H

#include <stdint.h>

/*
 * *ret = the number times 10^shift, rounded up: a charge is never too small. `s` is a number as JSON
 * writes it. -EINVAL: below zero, or not a number; -ERANGE: it does not fit.
 */
int decimal_scale(const char *s, int shift, int64_t *ret);

#endif
