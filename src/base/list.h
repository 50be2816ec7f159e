/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of any element type: LIST_OF(struct foo) foos; list_add(&foos) gives a new,
 * zeroed element at the end, or NULL when out of memory. */
#ifndef PURPLE_BASE_LIST_H
#define PURPLE_BASE_LIST_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LIST_OF(type)     \
	struct {          \
		type *v;  \
		size_t n; \
	}

static inline void *list_grow(void *v, size_t n, size_t size)
{
	char *p;

	/* Capacities are powers of two: only these lengths need more room. */
	if (n == 0 || (n & (n - 1)) == 0) {
		p = realloc(v, (n ? n * 2 : 1) * size);
		if (!p)
			return NULL;
	} else {
		p = v;
	}
	memset(p + n * size, 0, size);
	return p;
}

#define list_add(l)                                                    \
	({                                                             \
		void *_p = list_grow((l)->v, (l)->n, sizeof(*(l)->v)); \
		if (_p)                                                \
			(l)->v = _p;                                   \
		_p ? &(l)->v[(l)->n++] : NULL;                         \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
