// SPDX-License-Identifier: Apache-2.0
/*
 * What a policy says beside its network, as a number for each section: a reload, which can change
 * the network alone, tells by them what else somebody has changed. Pure.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/list.h"
#include "policy/language.h"
#include "policy/plan.h"

/* FNV-1a, 64 bits: two versions of a file that are different by accident differ in it. */
static uint64_t hash_bytes(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * UINT64_C(1099511628211);
	return h;
}

/* Of a node and all below it; the keys of a map in any order. */
static uint64_t hash_node(const struct yaml_node *n)
{
	uint64_t h = hash_bytes(UINT64_C(14695981039346656037), &n->kind, sizeof(n->kind));
	uint64_t sum = 0;

	if (n->kind == YAML_KIND_TEXT)
		return hash_bytes(h, n->text, strlen(n->text));
	for (size_t i = 0; i < n->n; i++) {
		uint64_t item = hash_node(n->items[i]);

		if (n->kind == YAML_KIND_LIST) {
			h = hash_bytes(h, &item, sizeof(item));
			continue;
		}
		item = hash_bytes(item, n->keys[i]->text, strlen(n->keys[i]->text));
		sum += item;
	}
	return hash_bytes(h, &sum, sizeof(sum));
}

/* `enforcement` is about the network alone (check.c). */
static bool is_about_network(const char *key)
{
	static const char *const keys[] = { "name", "description", "enforcement",
					    "network" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (streq(key, keys[i]))
			return true;
	return false;
}

int policy_sections_read(const struct yaml_node *root, struct strmap *ret)
{
	for (size_t i = 0; i < root->n; i++) {
		char text[17];

		if (is_about_network(root->keys[i]->text))
			continue;
		snprintf(text, sizeof(text), "%016" PRIx64, hash_node(root->items[i]));
		if (strmap_set(ret, root->keys[i]->text, text) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool is_same(const struct strmap *a, const struct strmap *b, const char *key)
{
	const char *x = strmap_get(a, key), *y = strmap_get(b, key);

	return x && y && streq(x, y);
}

int policy_sections_compare(const struct strmap *before, const struct strmap *now,
			    struct strv *ret)
{
	for (size_t i = 0; i < now->n; i++)
		if (!is_same(before, now, now->k[i]) && strv_add(ret, now->k[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < before->n; i++)
		if (!strmap_get(now, before->k[i]) && strv_add(ret, before->k[i]) < 0)
			return -ENOMEM;
	return 0;
}
