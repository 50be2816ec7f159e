/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: a document tree (parsed with yajl), and tables that bind documents to C structs.
 *
 * A struct json_type is a table of a struct's members: the same table reads, writes, copies and
 * frees it. All memory is owned by the struct. Unknown members are ignored (runtime-spec,
 * "Extensibility"); a member marked JSON_REFUSED is known but not supported, and its presence
 * (with anything but null) is an error that names it.
 */
#ifndef PURPLE_BASE_JSON_H
#define PURPLE_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"

enum json_node_type {
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_TEXT,
	JSON_LIST,
	JSON_MAP
};

struct json {
	enum json_node_type type;
	char *text;	     /* JSON_TEXT: UTF-8 without NUL; JSON_NUMBER: as written */
	char **keys;	     /* JSON_MAP: n keys */
	struct json **items; /* JSON_LIST and JSON_MAP: n values */
	size_t n;
};

/* Parses one document. Refused: trailing bytes, a NUL in a string, a duplicate key, nesting
 * beyond 64, more than 16384 members in one object, invalid UTF-8. `name` is what the error calls
 * the document. */
int json_parse(const char *text, size_t len, const char *name, struct json **ret,
	       struct err *e);
void json_free(struct json *j);
/* Member of a map, or NULL. */
const struct json *json_get(const struct json *j, const char *key);

static inline void json_freep(struct json **j)
{
	json_free(*j);
}
#define _json_free_ __attribute__((cleanup(json_freep)))

/* Optional scalars: absent and zero are different things. */
struct opt_bool {
	bool set, value;
};
struct opt_i64 {
	bool set;
	int64_t value;
};
struct opt_u64 {
	bool set;
	uint64_t value;
};
struct opt_u32 {
	bool set;
	uint32_t value;
};
struct opt_i32 {
	bool set;
	int32_t value;
};

enum json_kind {
	JSON_STR,      /* char * (NULL: absent) */
	JSON_BOOL,     /* bool, written only when true */
	JSON_I32,      /* int32_t, written always */
	JSON_U32,      /* uint32_t, written always */
	JSON_U64,      /* uint64_t, written always */
	JSON_I64,      /* int64_t, written always */
	JSON_OPT_BOOL, /* struct opt_* */
	JSON_OPT_I32,
	JSON_OPT_U32,
	JSON_OPT_I64,
	JSON_OPT_U64,
	JSON_STRV,    /* struct strv; an empty list and an absent one are the same */
	JSON_STRMAP,  /* struct strmap, values are strings */
	JSON_U32V,    /* LIST_OF(uint32_t) */
	JSON_STRUCT,  /* struct foo * (NULL: absent) */
	JSON_STRUCTS, /* LIST_OF(struct foo): elements in place */
	JSON_STRUCT_MAP, /* LIST_OF(struct foo) from an object: the key goes to the char * at offset 0 of foo */
	JSON_REFUSED, /* known, not supported: an error when present */
};

struct json_field {
	const char *name;
	enum json_kind kind;
	size_t offset;
	const struct json_type *type; /* of JSON_STRUCT, JSON_STRUCTS and JSON_STRUCT_MAP */
	bool required;
	const char *why; /* JSON_REFUSED: what to say beside "is not supported"; may be NULL */
};

struct json_type {
	size_t size;
	const struct json_field *fields; /* ends with a NULL name */
};

/* clang-format off */
#define JSON_F(st, member, jsonname, k) \
	{ .name = (jsonname), .kind = (k), .offset = offsetof(struct st, member) }
#define JSON_FR(st, member, jsonname, k) \
	{ .name = (jsonname), .kind = (k), .offset = offsetof(struct st, member), .required = true }
#define JSON_FT(st, member, jsonname, k, t) \
	{ .name = (jsonname), .kind = (k), .offset = offsetof(struct st, member), .type = (t) }
#define JSON_FTR(st, member, jsonname, k, t) \
	{ .name = (jsonname), .kind = (k), .offset = offsetof(struct st, member), .type = (t), \
	  .required = true }
#define JSON_NO(jsonname, reason) { .name = (jsonname), .kind = JSON_REFUSED, .why = (reason) }
/* clang-format on */

/* Fills *obj (zeroed by the callee first) from j. On failure *obj is freed and zeroed. The error
 * names the member by its full path, as in "config.json: linux.resources.pids.limit: ...". */
int json_read(const struct json *j, const struct json_type *t, const char *name,
	      void *obj, struct err *e);

/* Writes the struct as JSON, members in table order; `pretty` indents by two spaces. */
int json_write(const struct json_type *t, const void *obj, bool pretty, struct buf *out,
	       struct err *e);

/* Deep copy into *ret (overwritten, not freed). */
int json_copy(const struct json_type *t, const void *obj, void *ret, struct err *e);

/* Frees what the struct owns and zeroes it; not the struct itself. */
void json_clear(const struct json_type *t, void *obj);

/* Parse + json_read() of a file. `max` bytes at most. */
int json_read_file(int dirfd, const char *path, size_t max, const struct json_type *t,
		   void *obj, struct err *e);

/*
 * Changes the document where `after` differs from `before`, two structs of this type of which
 * `before` was read from the document. What the type does not know stays as it is; an error where
 * that cannot be, since a list changes whose elements have such members.
 */
int json_overlay(struct json *doc, const struct json_type *t, const void *before,
		 const void *after, const char *name, struct err *e);

/* The document as text, on one line; numbers as they were written. */
void json_print(const struct json *j, struct buf *out);

/* `s` as a JSON string literal, quotes and escapes included; bytes that are not UTF-8 become
 * U+FFFD. */
void json_quote(struct buf *out, const char *s);

#endif
