/* SPDX-License-Identifier: Apache-2.0 */
/* See clock.h. Runs anywhere. */
#include "base/clock.h"

uint64_t clock_ns(clockid_t which)
{
	struct timespec t = {};

	clock_gettime(which, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

uint64_t clock_s(clockid_t which)
{
	return clock_ns(which) / 1000000000;
}

int64_t clock_ms(clockid_t which)
{
	return (int64_t)(clock_ns(which) / 1000000);
}
