/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy language as a JSON Schema (draft 2020-12), for editors: from the table of
 * language.c. A schema cannot say everything that the reader checks (names of system calls,
 * rules that join keys); what it says is never stricter than the reader. Pure.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "policy/language.h"

static void add_indent(struct buf *out, int depth)
{
	while (depth-- > 0)
		buf_adds(out, "  ");
}

/* Begins a member: the comma after the one before, a line, the key. */
static void add_member(struct buf *out, int depth, bool *first, const char *key)
{
	buf_adds(out, *first ? "\n" : ",\n");
	*first = false;
	add_indent(out, depth);
	json_quote(out, key);
	buf_adds(out, ": ");
}

static void add_string_member(struct buf *out, int depth, bool *first, const char *key,
			      const char *value)
{
	add_member(out, depth, first, key);
	json_quote(out, value);
}

static void add_choices(struct buf *out, const char *const *choices)
{
	size_t i;

	buf_adds(out, "\"enum\": [");
	for (i = 0; choices[i]; i++) {
		buf_adds(out, i ? ", " : "");
		json_quote(out, choices[i]);
	}
	buf_adds(out, "]");
}

static void add_scalar(struct buf *out, const struct policy_scalar *scalar)
{
	buf_adds(out, "\"type\": \"string\"");
	if (!scalar->pattern)
		return;
	buf_adds(out, ", \"pattern\": ");
	json_quote(out, scalar->pattern);
}

static void add_integer(struct buf *out, const struct policy_key *k)
{
	buf_addf(out,
		 "%s\"type\": \"integer\", \"minimum\": %" PRIu64 ", \"maximum\": %" PRIu64,
		 k->endless ? "\"anyOf\": [{ " : "", k->min, k->max);
	if (k->endless) {
		buf_adds(out, " }, { \"const\": ");
		json_quote(out, k->endless);
		buf_adds(out, " }]");
	}
}

/* A number, or a string of the pattern. */
static void add_number_or_text(struct buf *out, const char *number, const char *pattern)
{
	buf_addf(out, "\"anyOf\": [{ %s }, { \"type\": \"string\", \"pattern\": ", number);
	json_quote(out, pattern);
	buf_adds(out, " }]");
}

/* The inside of the schema of one value that is not a map. */
static void add_value(struct buf *out, const struct policy_key *k)
{
	static const char port[] =
		"\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535";

	switch (k->kind) {
	case POLICY_KIND_BOOL:
		buf_adds(out, "\"type\": \"boolean\"");
		break;
	case POLICY_KIND_ENUM:
	case POLICY_KIND_FLAG:
	case POLICY_KIND_WORD:
	case POLICY_KIND_WORDS:
		add_choices(out, k->choices);
		break;
	case POLICY_KIND_TEXT:
	case POLICY_KIND_NAMES:
	case POLICY_KIND_STRINGS:
		add_scalar(out, k->scalar);
		break;
	case POLICY_KIND_INTEGER:
	case POLICY_KIND_INTEGER32:
	case POLICY_KIND_INTEGERS32:
		add_integer(out, k);
		break;
	case POLICY_KIND_REGISTER:
		add_number_or_text(out, "\"type\": \"integer\", \"minimum\": 0",
				   "^(0|[1-9][0-9]*|0[xX][0-9A-Fa-f]+|0o[0-7]+)$");
		break;
	case POLICY_KIND_SIZE:
		add_number_or_text(out,
				   "\"type\": \"integer\", \"minimum\": 1048576, "
				   "\"maximum\": 4611686018427387904",
				   "^[0-9]+(\\.[0-9]{1,6})?([KMGTkmgt]i?)?B?$");
		break;
	case POLICY_KIND_RATE:
		add_number_or_text(out,
				   "\"type\": \"integer\", \"minimum\": 1024, "
				   "\"maximum\": 1125899906842624",
				   "^[0-9]+((\\.[0-9]{1,6})?([KMGTkmgt]i?)?(Bps|B/s))?$");
		break;
	case POLICY_KIND_CPUS:
		buf_adds(out, "\"type\": \"number\", \"minimum\": 0.01, \"maximum\": 1024");
		break;
	case POLICY_KIND_MONEY:
		add_number_or_text(out, "\"type\": \"number\", \"minimum\": 0",
				   "^\\$?[0-9]+(\\.[0-9]{1,12})?$");
		break;
	case POLICY_KIND_NET_RULES:
		add_number_or_text(out, port, "^[A-Za-z0-9.:/*\\[\\]-]+$");
		break;
	case POLICY_KIND_NET_BLOCKS:
		buf_adds(out,
			 "\"type\": \"string\", \"pattern\": \"^[0-9A-Fa-f.:/\\\\[\\\\]]+$\"");
		break;
	case POLICY_KIND_PORTS:
		add_number_or_text(out, port, "^[0-9]+(-[0-9]+)?(/(tcp|udp))?$");
		break;
	default:
		break;
	}
}

static bool is_list(enum policy_kind kind)
{
	switch (kind) {
	case POLICY_KIND_WORDS:
	case POLICY_KIND_NAMES:
	case POLICY_KIND_STRINGS:
	case POLICY_KIND_INTEGERS32:
	case POLICY_KIND_NET_RULES:
	case POLICY_KIND_NET_BLOCKS:
	case POLICY_KIND_PORTS:
		return true;
	default:
		return false;
	}
}

static void add_key(struct buf *out, const struct policy_key *k, int depth);

/* The members of an object's schema: type, properties, required. */
static void add_map(struct buf *out, const struct policy_key *k, int depth, bool *first)
{
	const struct policy_key *key;
	bool first_key = true, first_required = true;

	add_string_member(out, depth, first, "type", "object");
	add_member(out, depth, first, "additionalProperties");
	buf_adds(out, "false");
	for (key = k->keys; key->name; key++) {
		if (!key->required)
			continue;
		if (first_required)
			add_member(out, depth, first, "required");
		buf_adds(out, first_required ? "[" : ", ");
		first_required = false;
		json_quote(out, key->name);
	}
	if (!first_required)
		buf_adds(out, "]");
	add_member(out, depth, first, "properties");
	buf_adds(out, "{");
	for (key = k->keys; key->name; key++) {
		add_member(out, depth + 1, &first_key, key->name);
		add_key(out, key, depth + 1);
	}
	buf_adds(out, "\n");
	add_indent(out, depth);
	buf_adds(out, "}");
}

static void add_key(struct buf *out, const struct policy_key *k, int depth)
{
	bool first = true, first_item = true;

	buf_adds(out, "{");
	add_string_member(out, depth + 1, &first, "description", k->doc);
	if (k->kind == POLICY_KIND_BOOL && k->preset &&
	    (streq(k->preset, "true") || streq(k->preset, "false"))) {
		add_member(out, depth + 1, &first, "default");
		buf_adds(out, k->preset);
	} else if ((k->kind == POLICY_KIND_ENUM || k->kind == POLICY_KIND_FLAG) &&
		   k->preset) {
		add_string_member(out, depth + 1, &first, "default", k->preset);
	}
	if (k->kind == POLICY_KIND_MAP) {
		add_map(out, k, depth + 1, &first);
	} else if (k->kind == POLICY_KIND_MAPS || is_list(k->kind)) {
		add_string_member(out, depth + 1, &first, "type", "array");
		add_member(out, depth + 1, &first, "maxItems");
		buf_addf(out, "%zu", policy_list_max(k));
		add_member(out, depth + 1, &first, "items");
		if (k->kind == POLICY_KIND_MAPS) {
			buf_adds(out, "{");
			add_map(out, k, depth + 2, &first_item);
			buf_adds(out, "\n");
			add_indent(out, depth + 1);
			buf_adds(out, "}");
		} else {
			buf_adds(out, "{ ");
			add_value(out, k);
			buf_adds(out, " }");
		}
	} else {
		buf_adds(out, ",\n");
		add_indent(out, depth + 1);
		add_value(out, k);
	}
	buf_adds(out, "\n");
	add_indent(out, depth);
	buf_adds(out, "}");
}

int policy_write_json_schema(struct buf *out)
{
	bool first = true;

	buf_adds(out, "{");
	add_string_member(out, 1, &first, "$schema",
			  "https://json-schema.org/draft/2020-12/schema");
	add_string_member(out, 1, &first, "title", "Purple policy");
	add_string_member(out, 1, &first, "description", policy_language.doc);
	add_map(out, &policy_language, 1, &first);
	buf_adds(out, "\n}\n");
	return out->failed ? -ENOMEM : 0;
}
