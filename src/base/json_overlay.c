/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carrying the changes of a bound struct over to the document it was read from, so that members
 * which no table knows stay in it; see json.h. Pure.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"

/* The path of the member at hand, for messages. */
struct place {
	const char *name;
	char path[384];
	struct err *e;
};

static size_t place_push(struct place *p, const char *key)
{
	size_t used = strlen(p->path);

	snprintf(p->path + used, sizeof(p->path) - used, "%s%s", used ? "." : "", key);
	return used;
}

static bool json_is_equal(const struct json *a, const struct json *b)
{
	if (!a || !b)
		return a == b;
	if (a->type != b->type || a->n != b->n || !streq_null(a->text, b->text))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if ((a->type == JSON_MAP && !streq(a->keys[i], b->keys[i])) ||
		    !json_is_equal(a->items[i], b->items[i]))
			return false;
	return true;
}

static int map_find(const struct json *map, const char *key)
{
	for (size_t i = 0; i < map->n; i++)
		if (streq(map->keys[i], key))
			return (int)i;
	return -1;
}

static const struct json_field *field_find(const struct json_type *t, const char *name)
{
	for (const struct json_field *f = t->fields; f->name; f++)
		if (streq(f->name, name))
			return f;
	return NULL;
}

/* Refuses a member that the table does not know, anywhere in j: it would be lost. */
static int check_known(const struct json *j, const struct json_field *f, struct place *p)
{
	if (!f->type || !j)
		return 0;
	if (j->type == JSON_LIST || (j->type == JSON_MAP && f->kind == JSON_STRUCT_MAP)) {
		struct json_field element = { .kind = JSON_STRUCT, .type = f->type };

		for (size_t i = 0; i < j->n; i++) {
			int r = check_known(j->items[i], &element, p);

			if (r < 0)
				return r;
		}
		return 0;
	}
	for (size_t i = 0; j->type == JSON_MAP && i < j->n; i++) {
		const struct json_field *member = field_find(f->type, j->keys[i]);
		size_t used = place_push(p, j->keys[i]);
		int r = 0;

		if (!member)
			return err_set(p->e, ERR_UNSUPPORTED, ENOTSUP,
				       "%s: %s: a member that is not known here, in a part "
				       "that changes, would be lost",
				       p->name, p->path);
		r = check_known(j->items[i], member, p);
		if (r < 0)
			return r;
		p->path[used] = '\0';
	}
	return 0;
}

static void map_remove(struct json *map, size_t at)
{
	free(map->keys[at]);
	json_free(map->items[at]);
	map->n--;
	memmove(&map->keys[at], &map->keys[at + 1], (map->n - at) * sizeof(*map->keys));
	memmove(&map->items[at], &map->items[at + 1], (map->n - at) * sizeof(*map->items));
}

/* Takes over the value on success. */
static int map_append(struct json *map, const char *key, struct json *value)
{
	char **keys = realloc(map->keys, (map->n + 1) * sizeof(*keys));
	struct json **items;

	if (!keys)
		return -ENOMEM;
	map->keys = keys;
	items = realloc(map->items, (map->n + 1) * sizeof(*items));
	if (!items)
		return -ENOMEM;
	map->items = items;
	keys[map->n] = strdup(key);
	if (!keys[map->n])
		return -ENOMEM;
	items[map->n++] = value;
	return 0;
}

/* Takes *value out of its owner's tree. NULL removes the member. */
static int map_put(struct json *map, const char *key, struct json **value, struct place *p)
{
	int at = map_find(map, key);

	if (!value || !*value) {
		if (at >= 0)
			map_remove(map, (size_t)at);
		return 0;
	}
	if (at >= 0) {
		json_free(map->items[at]);
		map->items[at] = take_ptr(value);
		return 0;
	}
	if (map_append(map, key, *value) < 0)
		return err_oom(p->e);
	*value = NULL;
	return 0;
}

static struct json **map_slot(struct json *map, const char *key)
{
	int at = map ? map_find(map, key) : -1;

	return at < 0 ? NULL : &map->items[at];
}

/* after's values move to the document: its tree is only good for json_free() then. */
static int overlay(struct json *doc, const struct json_type *t, struct json *before,
		   struct json *after, struct place *p)
{
	for (const struct json_field *f = t->fields; f->name; f++) {
		struct json **was = map_slot(before, f->name);
		struct json **is = map_slot(after, f->name);
		struct json **in = map_slot(doc, f->name);
		size_t used = place_push(p, f->name);
		int r = 0;

		if (json_is_equal(was ? *was : NULL, is ? *is : NULL))
			r = 0;
		else if (f->kind == JSON_STRUCT && is && in && (*in)->type == JSON_MAP)
			r = overlay(*in, f->type, was ? *was : NULL, *is, p);
		else {
			r = check_known(in ? *in : NULL, f, p);
			if (r == 0)
				r = map_put(doc, f->name, is, p);
		}
		if (r < 0)
			return r;
		p->path[used] = '\0';
	}
	return 0;
}

static int tree_of(const struct json_type *t, const void *obj, struct json **ret,
		   struct err *e)
{
	_buf_free_ struct buf text = {};
	int r = json_write(t, obj, false, &text, e);

	return r < 0 ? r : json_parse(text.s, text.len, "document", ret, e);
}

int json_overlay(struct json *doc, const struct json_type *t, const void *before,
		 const void *after, const char *name, struct err *e)
{
	_json_free_ struct json *was = NULL, *is = NULL;
	struct place p = { .name = name, .e = e };
	int r = tree_of(t, before, &was, e);

	if (r == 0)
		r = tree_of(t, after, &is, e);
	if (r == 0 && doc->type != JSON_MAP)
		r = err_set(e, ERR_CONFIG, EINVAL, "%s: expected an object", name);
	return r < 0 ? r : overlay(doc, t, was, is, &p);
}

void json_print(const struct json *j, struct buf *out)
{
	switch (j->type) {
	case JSON_NULL:
		buf_adds(out, "null");
		break;
	case JSON_TRUE:
		buf_adds(out, "true");
		break;
	case JSON_FALSE:
		buf_adds(out, "false");
		break;
	case JSON_NUMBER:
		buf_adds(out, j->text);
		break;
	case JSON_TEXT:
		json_quote(out, j->text);
		break;
	case JSON_LIST:
	case JSON_MAP:
		buf_adds(out, j->type == JSON_MAP ? "{" : "[");
		for (size_t i = 0; i < j->n; i++) {
			if (i)
				buf_adds(out, ",");
			if (j->type == JSON_MAP) {
				json_quote(out, j->keys[i]);
				buf_adds(out, ":");
			}
			json_print(j->items[i], out);
		}
		buf_adds(out, j->type == JSON_MAP ? "}" : "]");
		break;
	}
}
