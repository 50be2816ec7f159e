/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents as trees: see json.h. yajl checks the grammar and the UTF-8; its events are put
 * together here, since its own tree keeps neither duplicate keys nor NUL bytes apart.
 * Parses foreign input; no privileges are needed.
 */
#include "base/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <yajl/yajl_parse.h>

#define JSON_DEPTH_MAX 64
/* Each key is compared with all before it. */
#define JSON_MEMBERS_MAX 16384

/* An allocation of yajl's. */
struct block {
	struct block *prev, *next;
	char data[];
};

struct builder {
	struct block blocks; /* a ring of all there are */
	jmp_buf out_of_memory;
	struct json *stack[JSON_DEPTH_MAX];
	size_t depth;
	struct json *root;
	const char *fault; /* what is wrong beyond the grammar; NULL: out of memory */
	char *keys[JSON_DEPTH_MAX]; /* by depth: the key whose value is being read */
	char detail[128];
};

/*
 * yajl does not look whether it got memory. So it gets none of NULL: when memory is short its call
 * is left here and now, and what it had is freed from the ring. None of it is used by our own
 * functions, which are never on the stack then.
 */
static void *block_resize(void *ctx, void *data, size_t size)
{
	struct block *old = data ? (struct block *)data - 1 : NULL, *new;
	struct builder *b = ctx;

	new = size < SIZE_MAX - sizeof(*new) ? realloc(old, sizeof(*new) + size) : NULL;
	if (!new)
		longjmp(b->out_of_memory, 1);
	if (!old) {
		new->prev = &b->blocks;
		new->next = b->blocks.next;
	}
	new->prev->next = new;
	new->next->prev = new;
	return new->data;
}

static void *block_new(void *ctx, size_t size)
{
	return block_resize(ctx, NULL, size);
}

static void block_free(void *ctx, void *data)
{
	struct block *old = data ? (struct block *)data - 1 : NULL;

	if (!old)
		return;
	old->prev->next = old->next;
	old->next->prev = old->prev;
	free(old);
}

/* Takes the child and, for a map, the key over. */
static int node_append(struct json *parent, char **key, struct json *child)
{
	struct json **items = realloc(parent->items, (parent->n + 1) * sizeof(*items));

	if (!items)
		return -ENOMEM;
	parent->items = items;
	if (parent->type == JSON_MAP) {
		char **keys = realloc(parent->keys, (parent->n + 1) * sizeof(*keys));

		if (!keys)
			return -ENOMEM;
		parent->keys = keys;
		keys[parent->n] = *key;
		*key = NULL;
	}
	parent->items[parent->n++] = child;
	return 0;
}

/* Adds a node where the document stands; containers are then entered. */
static int add_node(struct builder *b, struct json *node)
{
	bool is_container = node->type == JSON_LIST || node->type == JSON_MAP;

	if (is_container && b->depth == JSON_DEPTH_MAX) {
		b->fault = "nested too deeply";
		json_free(node);
		return 0;
	}
	if (b->depth == 0) {
		b->root = node;
	} else if (node_append(b->stack[b->depth - 1], &b->keys[b->depth - 1], node) < 0) {
		json_free(node);
		return 0;
	}
	if (is_container)
		b->stack[b->depth++] = node;
	return 1;
}

/* A lone "\udc00" comes out of yajl as three bytes that are no UTF-8. */
static bool has_surrogate(const char *text, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if ((unsigned char)text[i] == 0xed && (unsigned char)text[i + 1] >= 0xa0)
			return true;
	return false;
}

static int add_new(struct builder *b, enum json_node_type type, const char *text, size_t len)
{
	struct json *node = calloc(1, sizeof(*node));

	if (!node)
		return 0;
	node->type = type;
	if (text) {
		if (memchr(text, '\0', len)) {
			b->fault = "a string holds a NUL byte";
			free(node);
			return 0;
		}
		if (has_surrogate(text, len)) {
			b->fault = "a string holds half a surrogate pair";
			free(node);
			return 0;
		}
		node->text = strndup(text, len);
		if (!node->text) {
			free(node);
			return 0;
		}
	}
	return add_node(b, node);
}

static int on_null(void *ctx)
{
	return add_new(ctx, JSON_NULL, NULL, 0);
}

static int on_boolean(void *ctx, int value)
{
	return add_new(ctx, value ? JSON_TRUE : JSON_FALSE, NULL, 0);
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return add_new(ctx, JSON_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	return add_new(ctx, JSON_TEXT, (const char *)text, len);
}

static int on_start_map(void *ctx)
{
	return add_new(ctx, JSON_MAP, NULL, 0);
}

static int on_start_array(void *ctx)
{
	return add_new(ctx, JSON_LIST, NULL, 0);
}

static int on_end(void *ctx)
{
	struct builder *b = ctx;

	b->depth--;
	return 1;
}

static int on_map_key(void *ctx, const unsigned char *text, size_t len)
{
	struct builder *b = ctx;
	struct json *map = b->stack[b->depth - 1];

	if (memchr(text, '\0', len)) {
		b->fault = "a key holds a NUL byte";
		return 0;
	}
	if (has_surrogate((const char *)text, len)) {
		b->fault = "a key holds half a surrogate pair";
		return 0;
	}
	if (map->n == JSON_MEMBERS_MAX) {
		b->fault = "an object has too many members";
		return 0;
	}
	for (size_t i = 0; i < map->n; i++) {
		if (strlen(map->keys[i]) == len && memcmp(map->keys[i], text, len) == 0) {
			snprintf(b->detail, sizeof(b->detail), "duplicate key '%s'",
				 map->keys[i]);
			b->fault = b->detail;
			return 0;
		}
	}
	b->keys[b->depth - 1] = strndup((const char *)text, len);
	return b->keys[b->depth - 1] != NULL;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_map_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/* yajl's text for a syntax error, cut to its first line. */
static int syntax_error(yajl_handle h, const char *text, size_t len, const char *name,
			struct err *e)
{
	unsigned char *why = yajl_get_error(h, 0, (const unsigned char *)text, len);
	size_t at = yajl_get_bytes_consumed(h), line = 1;
	char first[160];

	snprintf(first, sizeof(first), "%.*s", (int)strcspn((const char *)why, "\n"),
		 (const char *)why);
	yajl_free_error(h, why);
	for (size_t i = 0; i < at && i < len; i++)
		line += text[i] == '\n';
	return err_set(e, ERR_CONFIG, EINVAL, "%s: line %zu: %s", name, line, first);
}

static int parse_events(struct builder *b, const char *text, size_t len, const char *name,
			struct err *e)
{
	yajl_alloc_funcs memory = { block_new, block_resize, block_free, b };
	yajl_handle h = yajl_alloc(&callbacks, &memory, b);
	yajl_status status = yajl_parse(h, (const unsigned char *)text, len);

	if (status == yajl_status_ok)
		status = yajl_complete_parse(h);
	if (status == yajl_status_error)
		return syntax_error(h, text, len, name, e);
	if (status != yajl_status_ok && b->fault)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: %s", name, b->fault);
	if (status != yajl_status_ok)
		return err_oom(e);
	if (!b->root)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: is empty", name);
	return 0;
}

int json_parse(const char *text, size_t len, const char *name, struct json **ret,
	       struct err *e)
{
	struct builder b = { .blocks = { &b.blocks, &b.blocks } };
	int r;

	/* yajl lets overlong forms and surrogates pass. */
	if (!str_is_utf8(text, len))
		return err_set(e, ERR_CONFIG, EINVAL, "%s: is not UTF-8", name);
	if (setjmp(b.out_of_memory))
		r = err_oom(e);
	else
		r = parse_events(&b, text, len, name, e);
	while (b.blocks.next != &b.blocks)
		block_free(&b, b.blocks.next->data);
	for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
		free(b.keys[i]);
	if (r < 0) {
		json_free(b.root);
		return r;
	}
	*ret = b.root;
	return 0;
}

void json_free(struct json *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++) {
		if (j->keys)
			free(j->keys[i]);
		json_free(j->items[i]);
	}
	free(j->keys);
	free(j->items);
	free(j->text);
	free(j);
}

const struct json *json_get(const struct json *j, const char *key)
{
	if (!j || j->type != JSON_MAP)
		return NULL;
	for (size_t i = 0; i < j->n; i++)
		if (streq(j->keys[i], key))
			return j->items[i];
	return NULL;
}
