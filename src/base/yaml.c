/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML trees from libyaml's events: see yaml.h. Runs in any process, without privileges; the
 * text is foreign and bounded here in depth and in number of nodes.
 */
#include "base/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/list.h"
#include "base/str.h"

enum { DEPTH_MAX = 16, NODES_MAX = 262144 };

struct walk {
	yaml_parser_t parser;
	const char *label;
	const char *input;
	size_t input_len;
	size_t nodes;
};

static int fail_va(struct err *e, const char *label, int line, int column,
		   const char *fmt, va_list ap)
{
	char msg[1024];

	vsnprintf(msg, sizeof(msg), fmt, ap);
	return err_set(e, ERR_POLICY, EINVAL, "%s:%d:%d: %s", label, line, column, msg);
}

int yaml_fail(struct err *e, const char *label, const struct yaml_node *at,
	      const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_va(e, label, at->line, at->column, fmt, ap);
	va_end(ap);
	return r;
}

static int fail_mark(struct walk *w, const yaml_mark_t *m, struct err *e, const char *fmt,
		     ...) __attribute__((format(printf, 4, 5)));
static int fail_mark(struct walk *w, const yaml_mark_t *m, struct err *e, const char *fmt,
		     ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = fail_va(e, w->label, (int)m->line + 1, (int)m->column + 1, fmt, ap);
	va_end(ap);
	return r;
}

struct yaml_shown yaml_show(const char *text)
{
	struct yaml_shown r;
	const unsigned char *s = (const unsigned char *)text;
	size_t used = 0, max = sizeof(r.s) - 4;

	while (*s && used < max) {
		if (*s < 0x20 || *s == 0x7f) {
			r.s[used++] = '?';
			s++;
		} else if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] <= 0x9f) {
			r.s[used++] = '?';
			s += 2;
		} else {
			r.s[used++] = (char)*s++;
		}
	}
	if (*s) {
		/* Not in the middle of a character. */
		while (used && ((unsigned char)r.s[used - 1] & 0xc0) == 0x80)
			used--;
		if (used && (unsigned char)r.s[used - 1] >= 0xc0)
			used--;
		memcpy(r.s + used, "...", 3);
		used += 3;
	}
	r.s[used] = '\0';
	return r;
}

/* Reader errors (encoding) come with a byte offset alone. */
static void mark_from_offset(const struct walk *w, size_t offset, yaml_mark_t *ret)
{
	size_t i;

	*ret = (yaml_mark_t){ 0 };
	for (i = 0; i < offset && i < w->input_len; i++) {
		unsigned char c = (unsigned char)w->input[i];

		if (c == '\n') {
			ret->line++;
			ret->column = 0;
		} else if ((c & 0xc0) != 0x80) {
			ret->column++;
		}
	}
}

static int fail_parser(struct walk *w, struct err *e)
{
	const char *problem = w->parser.problem ? w->parser.problem : "cannot be read";
	yaml_mark_t m = w->parser.problem_mark;

	if (w->parser.error == YAML_MEMORY_ERROR)
		return err_oom(e);
	if (w->parser.error == YAML_READER_ERROR)
		mark_from_offset(w, w->parser.problem_offset, &m);
	if (w->parser.context)
		return fail_mark(w, &m, e, "not YAML: %s (%s)", problem, w->parser.context);
	return fail_mark(w, &m, e, "not YAML: %s", problem);
}

static int next_event(struct walk *w, yaml_event_t *ret, struct err *e)
{
	memset(ret, 0, sizeof(*ret));
	if (!yaml_parser_parse(&w->parser, ret))
		return fail_parser(w, e);
	return 0;
}

void yaml_doc_free(struct yaml_node *n)
{
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->n; i++) {
		if (n->keys)
			yaml_doc_free(n->keys[i]);
		if (n->items)
			yaml_doc_free(n->items[i]);
	}
	free(n->keys);
	free(n->items);
	free(n->text);
	free(n);
}

static int check_properties(struct walk *w, const yaml_event_t *ev,
			    const yaml_char_t *anchor, const yaml_char_t *tag,
			    struct err *e)
{
	if (anchor)
		return fail_mark(w, &ev->start_mark, e, "an anchor ('&%s') is not accepted",
				 yaml_show((const char *)anchor).s);
	if (tag)
		return fail_mark(w, &ev->start_mark, e, "a tag ('%s') is not accepted",
				 yaml_show((const char *)tag).s);
	return 0;
}

static int read_node(struct walk *w, const yaml_event_t *ev, int depth,
		     struct yaml_node **ret, struct err *e);

static int read_text(struct walk *w, const yaml_event_t *ev, struct yaml_node *n,
		     struct err *e)
{
	const char *value = (const char *)ev->data.scalar.value;
	int r;

	r = check_properties(w, ev, ev->data.scalar.anchor, ev->data.scalar.tag, e);
	if (r < 0)
		return r;
	if (memchr(value, 0, ev->data.scalar.length))
		return fail_mark(w, &ev->start_mark, e, "the text contains a NUL character");
	n->kind = YAML_KIND_TEXT;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = strdup(value);
	return n->text ? 0 : err_oom(e);
}

static int append_node(struct yaml_node ***list, size_t n, struct yaml_node *item,
		       struct err *e)
{
	struct yaml_node **grown = list_grow(*list, n, sizeof(*grown));

	if (!grown) {
		yaml_doc_free(item);
		return err_oom(e);
	}
	*list = grown;
	grown[n] = item;
	return 0;
}

/* One item of a list or map from the next event on. *ret is NULL at the end of the collection. */
static int read_item(struct walk *w, int depth, struct yaml_node **ret, struct err *e)
{
	yaml_event_t ev;
	int r;

	*ret = NULL;
	r = next_event(w, &ev, e);
	if (r < 0)
		return r;
	if (ev.type != YAML_SEQUENCE_END_EVENT && ev.type != YAML_MAPPING_END_EVENT)
		r = read_node(w, &ev, depth, ret, e);
	yaml_event_delete(&ev);
	return r;
}

static int read_list(struct walk *w, int depth, struct yaml_node *n, struct err *e)
{
	struct yaml_node *item;
	int r;

	n->kind = YAML_KIND_LIST;
	while ((r = read_item(w, depth + 1, &item, e)) == 0 && item) {
		r = append_node(&n->items, n->n, item, e);
		if (r < 0)
			return r;
		n->n++;
	}
	return r;
}

static int check_key(struct walk *w, const struct yaml_node *map,
		     const struct yaml_node *key, struct err *e)
{
	size_t i;

	if (key->kind != YAML_KIND_TEXT)
		return yaml_fail(e, w->label, key, "%s cannot be a key",
				 yaml_type_name(key));
	if (key->plain && streq(key->text, "<<"))
		return yaml_fail(e, w->label, key, "a merge key ('<<') is not accepted");
	if (!*key->text)
		return yaml_fail(e, w->label, key, "a key is empty");
	/* Quadratic, and bounded by NODES_MAX only: large maps are not configuration. */
	if (map->n >= 256)
		return yaml_fail(e, w->label, key, "a map has more than 256 keys");
	for (i = 0; i < map->n; i++) {
		if (streq(map->keys[i]->text, key->text))
			return yaml_fail(e, w->label, key,
					 "duplicate key '%s' (first on line %d)",
					 yaml_show(key->text).s, map->keys[i]->line);
	}
	return 0;
}

static int read_map(struct walk *w, int depth, struct yaml_node *n, struct err *e)
{
	struct yaml_node *key, *item;
	int r;

	n->kind = YAML_KIND_MAP;
	while ((r = read_item(w, depth + 1, &key, e)) == 0 && key) {
		item = NULL;
		r = check_key(w, n, key, e);
		if (r == 0)
			r = read_item(w, depth + 1, &item, e);
		if (r < 0) {
			yaml_doc_free(key);
			return r;
		}
		r = append_node(&n->keys, n->n, key, e);
		if (r < 0) {
			yaml_doc_free(item);
			return r;
		}
		r = append_node(&n->items, n->n, item, e);
		if (r < 0) {
			/* n->n does not count this pair yet. */
			yaml_doc_free(key);
			return r;
		}
		n->n++;
	}
	return r;
}

static int read_node(struct walk *w, const yaml_event_t *ev, int depth,
		     struct yaml_node **ret, struct err *e)
{
	struct yaml_node *n;
	int r;

	if (ev->type == YAML_ALIAS_EVENT)
		return fail_mark(w, &ev->start_mark, e, "an alias ('*%s') is not accepted",
				 yaml_show((const char *)ev->data.alias.anchor).s);
	if (depth > DEPTH_MAX)
		return fail_mark(w, &ev->start_mark, e, "nested more than %d deep",
				 DEPTH_MAX);
	if (w->nodes++ >= NODES_MAX)
		return fail_mark(w, &ev->start_mark, e, "more than %d values", NODES_MAX);
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_oom(e);
	n->line = (int)ev->start_mark.line + 1;
	n->column = (int)ev->start_mark.column + 1;
	switch (ev->type) {
	case YAML_SCALAR_EVENT:
		r = read_text(w, ev, n, e);
		break;
	case YAML_SEQUENCE_START_EVENT:
		r = check_properties(w, ev, ev->data.sequence_start.anchor,
				     ev->data.sequence_start.tag, e);
		if (r == 0)
			r = read_list(w, depth, n, e);
		break;
	case YAML_MAPPING_START_EVENT:
		r = check_properties(w, ev, ev->data.mapping_start.anchor,
				     ev->data.mapping_start.tag, e);
		if (r == 0)
			r = read_map(w, depth, n, e);
		break;
	default:
		r = fail_mark(w, &ev->start_mark, e, "not YAML: unexpected structure");
		break;
	}
	if (r < 0) {
		yaml_doc_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

/* From the start of the stream to the root node's event. */
static int read_document_start(struct walk *w, yaml_event_t *ret, struct err *e)
{
	bool directives;
	int r;

	r = next_event(w, ret, e); /* the stream's start */
	if (r < 0)
		return r;
	yaml_event_delete(ret);
	r = next_event(w, ret, e);
	if (r < 0)
		return r;
	if (ret->type != YAML_DOCUMENT_START_EVENT) {
		yaml_event_delete(ret);
		return err_set(e, ERR_POLICY, EINVAL, "%s:1:1: the file is empty", w->label);
	}
	directives = ret->data.document_start.version_directive ||
		     ret->data.document_start.tag_directives.start !=
			     ret->data.document_start.tag_directives.end;
	if (directives)
		r = fail_mark(w, &ret->start_mark, e, "a directive ('%%') is not accepted");
	yaml_event_delete(ret);
	if (r < 0)
		return r;
	return next_event(w, ret, e);
}

/* After the root: the document must end, and the stream with it. */
static int read_document_end(struct walk *w, struct err *e)
{
	yaml_event_t ev;
	int r;

	r = next_event(w, &ev, e);
	if (r < 0)
		return r;
	yaml_event_delete(&ev);
	r = next_event(w, &ev, e);
	if (r < 0)
		return r;
	if (ev.type != YAML_STREAM_END_EVENT)
		r = fail_mark(w, &ev.start_mark, e, "a second document begins here");
	yaml_event_delete(&ev);
	return r;
}

int yaml_doc_parse(const char *text, size_t len, const char *label,
		   struct yaml_node **ret, struct err *e)
{
	struct walk w = { .label = label, .input = text, .input_len = len };
	struct yaml_node *root = NULL;
	yaml_event_t ev;
	int r;

	if (!yaml_parser_initialize(&w.parser))
		return err_oom(e);
	/* Said, not guessed: a byte order mark must not turn the file into UTF-16. */
	yaml_parser_set_encoding(&w.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&w.parser, (const unsigned char *)text, len);
	r = read_document_start(&w, &ev, e);
	if (r == 0) {
		r = read_node(&w, &ev, 1, &root, e);
		yaml_event_delete(&ev);
	}
	if (r == 0)
		r = read_document_end(&w, e);
	yaml_parser_delete(&w.parser);
	if (r < 0) {
		yaml_doc_free(root);
		return r;
	}
	*ret = root;
	return 0;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	size_t i;

	if (!map || map->kind != YAML_KIND_MAP)
		return NULL;
	for (i = 0; i < map->n; i++) {
		if (streq(map->keys[i]->text, key))
			return map->items[i];
	}
	return NULL;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++) {
		if (streq(s, *words))
			return true;
	}
	return false;
}

static bool is_int(const char *s)
{
	if (s[0] == '0' && s[1] == 'x' && s[2])
		return s[2 + strspn(s + 2, "0123456789abcdefABCDEF")] == '\0';
	if (s[0] == '0' && s[1] == 'o' && s[2])
		return s[2 + strspn(s + 2, "01234567")] == '\0';
	if (*s == '-' || *s == '+')
		s++;
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static bool is_float(const char *s)
{
	static const char *const special[] = {
		".nan",	 ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF", "-.inf",
		"-.Inf", "-.INF", "+.inf", "+.Inf", "+.INF", NULL,
	};
	size_t whole, part = 0;

	if (is_one_of(s, special))
		return true;
	if (*s == '-' || *s == '+')
		s++;
	whole = strspn(s, "0123456789");
	s += whole;
	if (*s == '.') {
		part = strspn(s + 1, "0123456789");
		s += 1 + part;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		if (!*s)
			return false;
		s += strspn(s, "0123456789");
	}
	return *s == '\0';
}

enum yaml_meaning yaml_meaning(const struct yaml_node *n)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const bools[] = { "true",  "True",  "TRUE", "false",
					     "False", "FALSE", NULL };

	if (n->kind != YAML_KIND_TEXT || !n->plain)
		return YAML_MEANS_STRING;
	if (is_one_of(n->text, nulls))
		return YAML_MEANS_NULL;
	if (is_one_of(n->text, bools))
		return YAML_MEANS_BOOL;
	if (is_int(n->text))
		return YAML_MEANS_INT;
	if (is_float(n->text))
		return YAML_MEANS_FLOAT;
	return YAML_MEANS_STRING;
}

bool yaml_is_true(const struct yaml_node *n)
{
	return yaml_meaning(n) == YAML_MEANS_BOOL &&
	       (n->text[0] == 't' || n->text[0] == 'T');
}

const char *yaml_type_name(const struct yaml_node *n)
{
	if (n->kind == YAML_KIND_MAP)
		return "a map";
	if (n->kind == YAML_KIND_LIST)
		return "a list";
	switch (yaml_meaning(n)) {
	case YAML_MEANS_NULL:
		return "nothing";
	case YAML_MEANS_BOOL:
		return "true or false";
	case YAML_MEANS_INT:
	case YAML_MEANS_FLOAT:
		return "a number";
	default:
		return "a string";
	}
}
