/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables that bind JSON documents to C structs: reading, writing, copying, freeing. See json.h.
 * Every operation is one walk over the rows of a struct's table.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/num.h"

/* All LIST_OF() instances have this layout. */
struct any_list {
	char *v;
	size_t n;
};

/* The path of the member at hand, for messages: the document's name, then a.b[3].c. */
struct reader {
	struct err *e;
	const char *name;
	char path[384];
};

static int fault(struct reader *r, const char *what)
{
	return err_set(r->e, ERR_CONFIG, EINVAL, "%s: %s%s%s", r->name, r->path,
		       r->path[0] ? ": " : "", what);
}

static size_t path_push(struct reader *r, const char *key)
{
	size_t used = strlen(r->path);

	snprintf(r->path + used, sizeof(r->path) - used, "%s%s", used ? "." : "", key);
	return used;
}

static size_t path_push_index(struct reader *r, size_t i)
{
	size_t used = strlen(r->path);

	snprintf(r->path + used, sizeof(r->path) - used, "[%zu]", i);
	return used;
}

static int read_struct(struct reader *r, const struct json *j, const struct json_type *t,
		       void *obj);

/* Integers: JSON numbers written without fraction or exponent. */
static int read_number(struct reader *r, const struct json *j, bool is_signed, int64_t min,
		       uint64_t max, int64_t *ret_signed, uint64_t *ret_unsigned)
{
	int code;

	if (j->type != JSON_NUMBER)
		return fault(r, "expected an integer");
	if (is_signed)
		code = num_i64(j->text, ret_signed);
	else
		code = num_u64(j->text, ret_unsigned);
	if (code == -EINVAL && !is_signed && j->text[0] == '-')
		return fault(r, "must not be negative");
	if (code == -EINVAL)
		return fault(r, "expected an integer");
	if (code == -ERANGE ||
	    (is_signed && (*ret_signed < min || *ret_signed > (int64_t)max)) ||
	    (!is_signed && *ret_unsigned > max))
		return fault(r, "the number is out of range");
	return 0;
}

static int read_integer(struct reader *r, const struct json *j, enum json_kind kind,
			void *at)
{
	uint64_t u = 0;
	int64_t s = 0;
	int code;

	switch (kind) {
	case JSON_I32:
	case JSON_OPT_I32:
		code = read_number(r, j, true, INT32_MIN, INT32_MAX, &s, &u);
		break;
	case JSON_I64:
	case JSON_OPT_I64:
		code = read_number(r, j, true, INT64_MIN, INT64_MAX, &s, &u);
		break;
	case JSON_U32:
	case JSON_OPT_U32:
		code = read_number(r, j, false, 0, UINT32_MAX, &s, &u);
		break;
	default:
		code = read_number(r, j, false, 0, UINT64_MAX, &s, &u);
		break;
	}
	if (code < 0)
		return code;
	switch (kind) {
	case JSON_I32:
		*(int32_t *)at = (int32_t)s;
		break;
	case JSON_OPT_I32:
		*(struct opt_i32 *)at = (struct opt_i32){ true, (int32_t)s };
		break;
	case JSON_I64:
		*(int64_t *)at = s;
		break;
	case JSON_OPT_I64:
		*(struct opt_i64 *)at = (struct opt_i64){ true, s };
		break;
	case JSON_U32:
		*(uint32_t *)at = (uint32_t)u;
		break;
	case JSON_OPT_U32:
		*(struct opt_u32 *)at = (struct opt_u32){ true, (uint32_t)u };
		break;
	case JSON_OPT_U64:
		*(struct opt_u64 *)at = (struct opt_u64){ true, u };
		break;
	default:
		*(uint64_t *)at = u;
		break;
	}
	return 0;
}

static int read_boolean(struct reader *r, const struct json *j, enum json_kind kind,
			void *at)
{
	bool value = j->type == JSON_TRUE;

	if (j->type != JSON_TRUE && j->type != JSON_FALSE)
		return fault(r, "expected true or false");
	if (kind == JSON_BOOL)
		*(bool *)at = value;
	else
		*(struct opt_bool *)at = (struct opt_bool){ true, value };
	return 0;
}

static int read_strv(struct reader *r, const struct json *j, struct strv *at)
{
	if (j->type != JSON_LIST)
		return fault(r, "expected a list of strings");
	for (size_t i = 0; i < j->n; i++) {
		if (j->items[i]->type != JSON_TEXT) {
			path_push_index(r, i);
			return fault(r, "expected a string");
		}
		if (strv_add(at, j->items[i]->text) < 0)
			return err_oom(r->e);
	}
	return 0;
}

static int read_strmap(struct reader *r, const struct json *j, struct strmap *at)
{
	if (j->type != JSON_MAP)
		return fault(r, "expected an object of strings");
	for (size_t i = 0; i < j->n; i++) {
		if (j->items[i]->type != JSON_TEXT) {
			path_push(r, j->keys[i]);
			return fault(r, "expected a string");
		}
		if (strmap_set(at, j->keys[i], j->items[i]->text) < 0)
			return err_oom(r->e);
	}
	return 0;
}

static void *any_list_add(struct any_list *l, size_t size)
{
	void *p = list_grow(l->v, l->n, size);

	if (!p)
		return NULL;
	l->v = p;
	return l->v + size * l->n++;
}

static int read_u32v(struct reader *r, const struct json *j, struct any_list *at)
{
	if (j->type != JSON_LIST)
		return fault(r, "expected a list of integers");
	for (size_t i = 0; i < j->n; i++) {
		size_t used = path_push_index(r, i);
		uint32_t *v = any_list_add(at, sizeof(*v));
		int code;

		if (!v)
			return err_oom(r->e);
		code = read_integer(r, j->items[i], JSON_U32, v);
		if (code < 0)
			return code;
		r->path[used] = '\0';
	}
	return 0;
}

static int read_structs(struct reader *r, const struct json *j, const struct json_type *t,
			struct any_list *at)
{
	if (j->type != JSON_LIST)
		return fault(r, "expected a list");
	for (size_t i = 0; i < j->n; i++) {
		size_t used = path_push_index(r, i);
		void *v = any_list_add(at, t->size);
		int code;

		if (!v)
			return err_oom(r->e);
		code = read_struct(r, j->items[i], t, v);
		if (code < 0)
			return code;
		r->path[used] = '\0';
	}
	return 0;
}

static int read_struct_map(struct reader *r, const struct json *j,
			   const struct json_type *t, struct any_list *at)
{
	if (j->type != JSON_MAP)
		return fault(r, "expected an object");
	for (size_t i = 0; i < j->n; i++) {
		size_t used = path_push(r, j->keys[i]);
		char **v = any_list_add(at, t->size);
		int code;

		if (!v)
			return err_oom(r->e);
		code = read_struct(r, j->items[i], t, v);
		if (code < 0)
			return code;
		*v = strdup(j->keys[i]);
		if (!*v)
			return err_oom(r->e);
		r->path[used] = '\0';
	}
	return 0;
}

static int read_field(struct reader *r, const struct json *j, const struct json_field *f,
		      char *obj)
{
	void *at = obj + f->offset;

	switch (f->kind) {
	case JSON_STR:
		if (j->type != JSON_TEXT)
			return fault(r, "expected a string");
		*(char **)at = strdup(j->text);
		return *(char **)at ? 0 : err_oom(r->e);
	case JSON_BOOL:
	case JSON_OPT_BOOL:
		return read_boolean(r, j, f->kind, at);
	case JSON_STRV:
		return read_strv(r, j, at);
	case JSON_STRMAP:
		return read_strmap(r, j, at);
	case JSON_U32V:
		return read_u32v(r, j, at);
	case JSON_STRUCT:
		*(void **)at = calloc(1, f->type->size);
		return *(void **)at ? read_struct(r, j, f->type, *(void **)at) :
				      err_oom(r->e);
	case JSON_STRUCTS:
		return read_structs(r, j, f->type, at);
	case JSON_STRUCT_MAP:
		return read_struct_map(r, j, f->type, at);
	case JSON_REFUSED:
		err_set(r->e, ERR_UNSUPPORTED, ENOTSUP, "%s: %s is not supported%s%s",
			r->name, r->path, f->why ? ": " : "", f->why ? f->why : "");
		return -ENOTSUP;
	default:
		return read_integer(r, j, f->kind, at);
	}
}

static int read_struct(struct reader *r, const struct json *j, const struct json_type *t,
		       void *obj)
{
	if (j->type != JSON_MAP)
		return fault(r, "expected an object");
	for (const struct json_field *f = t->fields; f->name; f++) {
		const struct json *member = json_get(j, f->name);
		size_t used;
		int code;

		/* null is how some writers say "absent". */
		if (!member || member->type == JSON_NULL) {
			if (!f->required)
				continue;
			path_push(r, f->name);
			return fault(r, "is required");
		}
		used = path_push(r, f->name);
		code = read_field(r, member, f, obj);
		if (code < 0)
			return code;
		r->path[used] = '\0';
	}
	return 0;
}

int json_read(const struct json *j, const struct json_type *t, const char *name,
	      void *obj, struct err *e)
{
	struct reader r = { .e = e, .name = name };
	int code;

	memset(obj, 0, t->size);
	code = read_struct(&r, j, t, obj);
	if (code < 0)
		json_clear(t, obj);
	return code;
}

int json_read_file(int dirfd, const char *path, size_t max, const struct json_type *t,
		   void *obj, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r;

	r = fs_read_document(dirfd, path, max, &text, &len, e);
	if (r < 0)
		return r;
	r = json_parse(text, len, path, &j, e);
	if (r < 0)
		return r;
	return json_read(j, t, path, obj, e);
}

static void clear_field(const struct json_field *f, char *obj)
{
	void *at = obj + f->offset;
	struct any_list *l = at;

	switch (f->kind) {
	case JSON_STR:
		free(*(char **)at);
		break;
	case JSON_STRV:
		strv_free(at);
		break;
	case JSON_STRMAP:
		strmap_free(at);
		break;
	case JSON_U32V:
		free(l->v);
		break;
	case JSON_STRUCT:
		if (*(void **)at)
			json_clear(f->type, *(void **)at);
		free(*(void **)at);
		break;
	case JSON_STRUCTS:
	case JSON_STRUCT_MAP:
		for (size_t i = 0; i < l->n; i++) {
			if (f->kind == JSON_STRUCT_MAP)
				free(*(char **)(l->v + i * f->type->size));
			json_clear(f->type, l->v + i * f->type->size);
		}
		free(l->v);
		break;
	default:
		break;
	}
}

void json_clear(const struct json_type *t, void *obj)
{
	for (const struct json_field *f = t->fields; f->name; f++)
		clear_field(f, obj);
	memset(obj, 0, t->size);
}

struct writer {
	struct buf *out;
	bool pretty;
	int depth;
};

static void write_newline(struct writer *w)
{
	if (w->pretty)
		buf_addf(w->out, "\n%*s", w->depth * 2, "");
}

static void write_open(struct writer *w, const char *bracket)
{
	buf_adds(w->out, bracket);
	w->depth++;
}

static void write_close(struct writer *w, const char *bracket, bool empty)
{
	w->depth--;
	if (!empty)
		write_newline(w);
	buf_adds(w->out, bracket);
}

static void write_separator(struct writer *w, bool *first)
{
	if (!*first)
		buf_adds(w->out, ",");
	*first = false;
	write_newline(w);
}

static void write_key(struct writer *w, bool *first, const char *key)
{
	write_separator(w, first);
	json_quote(w->out, key);
	buf_adds(w->out, w->pretty ? ": " : ":");
}

static bool is_absent(const struct json_field *f, const char *obj)
{
	const void *at = obj + f->offset;

	switch (f->kind) {
	case JSON_STR:
	case JSON_STRUCT:
		return !*(void *const *)at;
	case JSON_BOOL:
		return !*(const bool *)at && !f->required;
	case JSON_OPT_BOOL:
		return !((const struct opt_bool *)at)->set;
	case JSON_OPT_I32:
		return !((const struct opt_i32 *)at)->set;
	case JSON_OPT_U32:
		return !((const struct opt_u32 *)at)->set;
	case JSON_OPT_I64:
		return !((const struct opt_i64 *)at)->set;
	case JSON_OPT_U64:
		return !((const struct opt_u64 *)at)->set;
	case JSON_STRV:
		return ((const struct strv *)at)->n == 0 && !f->required;
	case JSON_STRMAP:
		return ((const struct strmap *)at)->n == 0 && !f->required;
	case JSON_U32V:
	case JSON_STRUCTS:
	case JSON_STRUCT_MAP:
		return ((const struct any_list *)at)->n == 0 && !f->required;
	case JSON_REFUSED:
		return true;
	default:
		return false;
	}
}

static void write_struct(struct writer *w, const struct json_type *t, const char *obj);

static void write_scalar(struct writer *w, const struct json_field *f, const void *at)
{
	switch (f->kind) {
	case JSON_STR:
		json_quote(w->out, *(char *const *)at);
		break;
	case JSON_BOOL:
		buf_adds(w->out, *(const bool *)at ? "true" : "false");
		break;
	case JSON_OPT_BOOL:
		buf_adds(w->out, ((const struct opt_bool *)at)->value ? "true" : "false");
		break;
	case JSON_I32:
		buf_addf(w->out, "%" PRId32, *(const int32_t *)at);
		break;
	case JSON_OPT_I32:
		buf_addf(w->out, "%" PRId32, ((const struct opt_i32 *)at)->value);
		break;
	case JSON_I64:
		buf_addf(w->out, "%" PRId64, *(const int64_t *)at);
		break;
	case JSON_OPT_I64:
		buf_addf(w->out, "%" PRId64, ((const struct opt_i64 *)at)->value);
		break;
	case JSON_U32:
		buf_addf(w->out, "%" PRIu32, *(const uint32_t *)at);
		break;
	case JSON_OPT_U32:
		buf_addf(w->out, "%" PRIu32, ((const struct opt_u32 *)at)->value);
		break;
	case JSON_OPT_U64:
		buf_addf(w->out, "%" PRIu64, ((const struct opt_u64 *)at)->value);
		break;
	default:
		buf_addf(w->out, "%" PRIu64, *(const uint64_t *)at);
		break;
	}
}

static void write_list(struct writer *w, const struct json_field *f, const void *at)
{
	const struct any_list *l = at;
	bool first = true;

	write_open(w, "[");
	for (size_t i = 0; i < l->n; i++) {
		write_separator(w, &first);
		if (f->kind == JSON_STRV)
			json_quote(w->out, ((char **)l->v)[i]);
		else if (f->kind == JSON_U32V)
			buf_addf(w->out, "%" PRIu32, ((const uint32_t *)l->v)[i]);
		else
			write_struct(w, f->type, l->v + i * f->type->size);
	}
	write_close(w, "]", l->n == 0);
}

static void write_map(struct writer *w, const struct json_field *f, const void *at)
{
	const struct strmap *m = at;
	const struct any_list *l = at;
	size_t n = f->kind == JSON_STRMAP ? m->n : l->n;
	bool first = true;

	write_open(w, "{");
	for (size_t i = 0; i < n; i++) {
		if (f->kind == JSON_STRMAP) {
			write_key(w, &first, m->k[i]);
			json_quote(w->out, m->v[i]);
		} else {
			char *element = l->v + i * f->type->size;

			write_key(w, &first, *(char **)element);
			write_struct(w, f->type, element);
		}
	}
	write_close(w, "}", n == 0);
}

static void write_struct(struct writer *w, const struct json_type *t, const char *obj)
{
	bool first = true;

	write_open(w, "{");
	for (const struct json_field *f = t->fields; f->name; f++) {
		const void *at = obj + f->offset;

		if (is_absent(f, obj))
			continue;
		write_key(w, &first, f->name);
		switch (f->kind) {
		case JSON_STRV:
		case JSON_U32V:
		case JSON_STRUCTS:
			write_list(w, f, at);
			break;
		case JSON_STRMAP:
		case JSON_STRUCT_MAP:
			write_map(w, f, at);
			break;
		case JSON_STRUCT:
			write_struct(w, f->type, *(char *const *)at);
			break;
		default:
			write_scalar(w, f, at);
			break;
		}
	}
	write_close(w, "}", first);
}

int json_write(const struct json_type *t, const void *obj, bool pretty, struct buf *out,
	       struct err *e)
{
	struct writer w = { .out = out, .pretty = pretty };

	write_struct(&w, t, obj);
	return out->failed ? err_oom(e) : 0;
}

static int copy_struct(const struct json_type *t, const char *from, char *to);

static int copy_structs(const struct json_field *f, const struct any_list *from,
			struct any_list *to)
{
	for (size_t i = 0; i < from->n; i++) {
		char *element = any_list_add(to, f->type->size);
		const char *old = from->v + i * f->type->size;

		if (!element || copy_struct(f->type, old, element) < 0)
			return -ENOMEM;
		if (f->kind != JSON_STRUCT_MAP)
			continue;
		*(char **)element = strdup(*(char *const *)old);
		if (!*(char **)element)
			return -ENOMEM;
	}
	return 0;
}

static size_t scalar_size(enum json_kind kind)
{
	switch (kind) {
	case JSON_BOOL:
		return sizeof(bool);
	case JSON_I32:
	case JSON_U32:
		return sizeof(uint32_t);
	case JSON_I64:
	case JSON_U64:
		return sizeof(uint64_t);
	case JSON_OPT_BOOL:
		return sizeof(struct opt_bool);
	case JSON_OPT_I32:
	case JSON_OPT_U32:
		return sizeof(struct opt_u32);
	case JSON_OPT_I64:
	case JSON_OPT_U64:
		return sizeof(struct opt_u64);
	default:
		return 0;
	}
}

static int copy_field(const struct json_field *f, const char *from, char *to)
{
	const void *old = from + f->offset;
	void *at = to + f->offset;

	switch (f->kind) {
	case JSON_STR:
		if (!*(char *const *)old)
			return 0;
		*(char **)at = strdup(*(char *const *)old);
		return *(char **)at ? 0 : -ENOMEM;
	case JSON_STRV:
		return strv_copy(old, at);
	case JSON_STRMAP:
		return strmap_copy(old, at);
	case JSON_U32V: {
		const struct any_list *l = old;

		for (size_t i = 0; i < l->n; i++) {
			uint32_t *v = any_list_add(at, sizeof(*v));

			if (!v)
				return -ENOMEM;
			*v = ((const uint32_t *)l->v)[i];
		}
		return 0;
	}
	case JSON_STRUCT:
		if (!*(char *const *)old)
			return 0;
		*(char **)at = calloc(1, f->type->size);
		if (!*(char **)at)
			return -ENOMEM;
		return copy_struct(f->type, *(char *const *)old, *(char **)at);
	case JSON_STRUCTS:
	case JSON_STRUCT_MAP:
		return copy_structs(f, old, at);
	default:
		memcpy(at, old, scalar_size(f->kind));
		return 0;
	}
}

/* `to` is zeroed. On failure it holds what was copied so far. */
static int copy_struct(const struct json_type *t, const char *from, char *to)
{
	for (const struct json_field *f = t->fields; f->name; f++) {
		int r = copy_field(f, from, to);

		if (r < 0)
			return r;
	}
	return 0;
}

int json_copy(const struct json_type *t, const void *obj, void *ret, struct err *e)
{
	memset(ret, 0, t->size);
	if (copy_struct(t, obj, ret) < 0) {
		json_clear(t, ret);
		return err_oom(e);
	}
	return 0;
}

/* Length of the UTF-8 sequence at s, 0 if it is none (overlong, surrogate, cut short). */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

void json_quote(struct buf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	buf_adds(out, "\"");
	while (*p) {
		size_t n = utf8_len(p);

		if (*p == '"' || *p == '\\')
			buf_addf(out, "\\%c", *p);
		else if (*p == '\n')
			buf_adds(out, "\\n");
		else if (*p == '\t')
			buf_adds(out, "\\t");
		else if (*p < 0x20 || *p == 0x7f)
			buf_addf(out, "\\u%04x", *p);
		else if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
			buf_addf(out, "\\u%04x", p[1]); /* control characters, too */
		else if (n == 0)
			buf_adds(out, "\\ufffd");
		else
			buf_add(out, (const char *)p, n);
		p += n ? n : 1;
	}
	buf_adds(out, "\"");
}
