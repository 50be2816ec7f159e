/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML: a document as a tree in which every node knows its line and column, and the strict
 * subset that configuration needs. libyaml does the scanning. Pure: no privileges.
 *
 * Refused, each with its place: a second document, anchors, aliases, tags, directives, merge
 * keys, duplicate keys, keys that are not text, nesting beyond 16, more than 65536 nodes, a NUL,
 * invalid UTF-8.
 */
#ifndef PURPLE_BASE_YAML_H
#define PURPLE_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum yaml_kind { YAML_KIND_TEXT, YAML_KIND_LIST, YAML_KIND_MAP };

struct yaml_node {
	enum yaml_kind kind;
	int line, column;	  /* from 1 */
	bool plain;		  /* text that was written without quotes */
	char *text;		  /* YAML_KIND_TEXT: UTF-8 without NUL */
	struct yaml_node **keys;  /* YAML_KIND_MAP: n nodes, all YAML_KIND_TEXT */
	struct yaml_node **items; /* YAML_KIND_MAP and YAML_KIND_LIST: n nodes */
	size_t n;
};

/*
 * Parses one document. `label` begins every message: "LABEL:LINE:COLUMN: what". An empty
 * document is an error.
 */
int yaml_doc_parse(const char *text, size_t len, const char *label,
		   struct yaml_node **ret, struct err *e);
void yaml_doc_free(struct yaml_node *n);

static inline void yaml_doc_freep(struct yaml_node **n)
{
	yaml_doc_free(*n);
}
#define _yaml_free_ __attribute__((cleanup(yaml_doc_freep)))

/* Sets ERR_POLICY with "LABEL:LINE:COLUMN: " and the message; returns -EINVAL. */
int yaml_fail(struct err *e, const char *label, const struct yaml_node *at,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* Member of a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* What a text means in YAML 1.2's core schema. Text in quotes is always a string. */
enum yaml_meaning {
	YAML_MEANS_STRING,
	YAML_MEANS_NULL,
	YAML_MEANS_BOOL,
	YAML_MEANS_INT,	  /* decimal, 0x or 0o */
	YAML_MEANS_FLOAT, /* also .nan and .inf */
};
enum yaml_meaning yaml_meaning(const struct yaml_node *n);
/* True for YAML_MEANS_BOOL nodes that say true. */
bool yaml_is_true(const struct yaml_node *n);

/* "a map", "a list", "a string", "a number", "true or false", "nothing": for messages. */
const char *yaml_type_name(const struct yaml_node *n);

/* A text of a foreign file for use in a message: control characters replaced, cut to fit. */
struct yaml_shown {
	char s[84];
};
struct yaml_shown yaml_show(const char *text);

#endif
