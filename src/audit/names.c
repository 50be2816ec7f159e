/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See names.h. A table of small sets: an address is in the one that its bytes lead to, and there the
 * one that was longest not asked for makes room. Who chooses addresses that all lead to one set
 * loses names of his own events, and nothing else.
 */
#include "audit/names.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define WAYS 8
#define SETS (AUDIT_NAMES_MAX / WAYS)

struct entry {
	struct network_address address;
	char *name; /* NULL: free */
	uint64_t used;
};

struct audit_names {
	uint64_t clock;
	struct entry v[SETS][WAYS];
};

struct audit_names *audit_names_make(void)
{
	return calloc(1, sizeof(struct audit_names));
}

void audit_names_free(struct audit_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < SETS; i++)
		for (size_t k = 0; k < WAYS; k++)
			free(n->v[i][k].name);
	free(n);
}

/* FNV-1a */
static struct entry *set_of(struct audit_names *n, const struct network_address *a)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(a->bytes); i++)
		h = (h ^ a->bytes[i]) * 16777619u;
	return n->v[(h ^ h >> 16) % SETS];
}

static struct entry *find(struct entry *set, const struct network_address *a)
{
	for (size_t k = 0; k < WAYS; k++)
		if (set[k].name && memcmp(&set[k].address, a, sizeof(*a)) == 0)
			return &set[k];
	return NULL;
}

void audit_names_add(struct audit_names *n, const struct network_address *a, const char *name)
{
	struct entry *set = set_of(n, a), *x = find(set, a);
	char *copy;

	if (!x) {
		x = set;
		for (size_t k = 1; k < WAYS; k++)
			if (set[k].used < x->used)
				x = &set[k];
	}
	if (!x->name || !streq(x->name, name)) {
		copy = strdup(name);
		if (!copy)
			return;
		free(x->name);
		x->name = copy;
	}
	x->address = *a;
	x->used = ++n->clock;
}

const char *audit_names_find(struct audit_names *n, const struct network_address *a)
{
	struct entry *x = find(set_of(n, a), a);

	if (!x)
		return NULL;
	x->used = ++n->clock;
	return x->name;
}
