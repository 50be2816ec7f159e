// SPDX-License-Identifier: Apache-2.0
/*
 * A policy as text: see policy.h. Walks the language's table, as the reader does. What is as the
 * language presets it is left out. Pure.
 */
#include <errno.h>

#include "base/fd.h"
#include "base/json.h"
#include "budget/money.h"
#include "policy/language.h"

struct writer {
	struct buf *out;
	const policy_notes *notes;
	char section[128]; /* dotted name of the map; "" at the top */
};

typedef LIST_OF(uint32_t) numbers;

static void indent(struct writer *w, unsigned int depth)
{
	buf_addf(w->out, "%*s", (int)depth * 2, "");
}

/* Behind a value: what the caller has to say of it. */
static void end_line(struct writer *w, const struct policy_key *k, const char *text)
{
	for (size_t i = 0; w->notes && i < w->notes->n; i++) {
		const struct policy_note *n = &w->notes->v[i];
		size_t len = strlen(w->section);

		if (strncmp(n->key, w->section, len) == 0 &&
		    n->key[len] == (len ? '.' : '\0') && streq(n->key + len + 1, k->name) &&
		    (!n->value || streq(n->value, text)))
			buf_addf(w->out, " # %s", n->text);
	}
	buf_adds(w->out, "\n");
}

/* --- values --- */

static void write_scaled(struct buf *out, uint64_t value, const char *unit)
{
	static const char letters[] = "KMGT";
	int i = -1;

	while (value && value % 1024 == 0 && i < 3) {
		value /= 1024;
		i++;
	}
	if (i < 0)
		buf_addf(out, "%llu", (unsigned long long)value);
	else
		buf_addf(out, "\"%llu%c%s\"", (unsigned long long)value, letters[i], unit);
}

/* One value that is no list and no map. False: it is absent, or as preset. */
static bool write_value(const struct policy_key *k, const char *at, struct buf *out)
{
	const char *text = NULL;
	uint64_t n = 0;

	switch (k->kind) {
	case POLICY_KIND_BOOL:
		text = *(const bool *)at ? "true" : "false";
		if (k->preset && streq(k->preset, text))
			return false;
		buf_adds(out, text);
		return true;
	case POLICY_KIND_ENUM:
	case POLICY_KIND_FLAG:
		n = k->kind == POLICY_KIND_FLAG ? *(const bool *)at :
						  *(const unsigned int *)at;
		if (n == 0 && !k->required)
			return false;
		buf_adds(out, k->choices[n]);
		return true;
	case POLICY_KIND_WORD:
	case POLICY_KIND_TEXT:
		text = *(char *const *)at;
		if (!text || (k->preset && streq(k->preset, text)))
			return false;
		json_quote(out, text);
		return true;
	case POLICY_KIND_INTEGER32:
		n = *(const uint32_t *)at;
		break;
	default:
		memcpy(&n, at, sizeof(n));
	}
	if (n == 0 && !k->required && !k->set_offset)
		return false;
	if (k->kind == POLICY_KIND_SIZE || k->kind == POLICY_KIND_RATE)
		write_scaled(out, n, k->kind == POLICY_KIND_RATE ? "Bps" : "");
	else if (k->kind == POLICY_KIND_CPUS)
		buf_addf(out, "%llu.%03llu", (unsigned long long)n / 1000,
			 (unsigned long long)n % 1000);
	else if (k->kind == POLICY_KIND_MONEY)
		buf_addf(out, "\"%s\"", money_text((int64_t)n).s);
	else
		buf_addf(out, "%llu", (unsigned long long)n);
	return true;
}

/* --- lists --- */

static bool is_list(enum policy_kind k)
{
	return k == POLICY_KIND_WORDS || k == POLICY_KIND_NAMES ||
	       k == POLICY_KIND_STRINGS || k == POLICY_KIND_NET_RULES ||
	       k == POLICY_KIND_NET_BLOCKS || k == POLICY_KIND_PORTS;
}

static size_t list_length(const struct policy_key *k, const char *at)
{
	return k->kind == POLICY_KIND_STRINGS ? ((const struct strv *)at)->n :
						((const struct policy_any_list *)at)->n;
}

static const char *list_text(const struct policy_key *k, const char *at, size_t i)
{
	switch (k->kind) {
	case POLICY_KIND_STRINGS:
		return ((const struct strv *)at)->v[i];
	case POLICY_KIND_WORDS:
	case POLICY_KIND_NAMES:
		return ((const policy_names *)at)->v[i].name;
	default:
		return ((const policy_net_rules *)at)->v[i].text;
	}
}

static void write_list(struct writer *w, const struct policy_key *k, const char *at,
		       unsigned int depth)
{
	size_t n = list_length(k, at);

	if (n == 0)
		return;
	indent(w, depth);
	buf_addf(w->out, "%s:\n", k->name);
	for (size_t i = 0; i < n; i++) {
		indent(w, depth + 1);
		buf_adds(w->out, "- ");
		json_quote(w->out, list_text(k, at, i));
		end_line(w, k, list_text(k, at, i));
	}
}

static void write_numbers(struct writer *w, const struct policy_key *k, const char *at,
			  unsigned int depth)
{
	const numbers *l = (const numbers *)at;

	if (l->n == 0)
		return;
	indent(w, depth);
	buf_addf(w->out, "%s: [", k->name);
	for (size_t i = 0; i < l->n; i++)
		buf_addf(w->out, "%s%u", i ? ", " : "", l->v[i]);
	buf_adds(w->out, "]\n");
}

/* --- maps --- */

static void write_map(struct writer *w, const struct policy_key *keys, const char *base,
		      unsigned int depth);

/* What a note may name of an element: the first text that it has. */
static const char *element_text(const struct policy_key *keys, const char *base)
{
	for (; keys->name; keys++)
		if (keys->kind == POLICY_KIND_TEXT && *(char *const *)(base + keys->offset))
			return *(char *const *)(base + keys->offset);
	return "";
}

static void write_elements(struct writer *w, const struct policy_key *k, const char *at,
			   unsigned int depth)
{
	const struct policy_any_list *l = (const struct policy_any_list *)at;

	if (l->n == 0)
		return;
	indent(w, depth);
	buf_addf(w->out, "%s:\n", k->name);
	for (size_t i = 0; i < l->n; i++) {
		const char *element = (const char *)l->v + i * k->size;

		indent(w, depth + 1);
		buf_adds(w->out, "-");
		end_line(w, k, element_text(k->keys, element));
		write_map(w, k->keys, element, depth + 2);
	}
}

/* One that is not there is left out; with nothing in it it says something, too. */
static void write_section(struct writer *w, const struct policy_key *k, const char *base,
			  unsigned int depth)
{
	const struct policy_pos *pos = (const struct policy_pos *)(base + k->pos_offset);
	size_t start = w->out->len, body, len = strlen(w->section);

	if (k->has_pos && !pos->line)
		return;
	indent(w, depth);
	buf_addf(w->out, "%s:\n", k->name);
	body = w->out->len;
	snprintf(w->section + len, sizeof(w->section) - len, "%s%s", len ? "." : "",
		 k->name);
	write_map(w, k->keys, base, depth + 1);
	w->section[len] = '\0';
	if (w->out->failed || w->out->len > body)
		return;
	w->out->len = start;
	if (k->has_pos && pos->line) {
		indent(w, depth);
		buf_addf(w->out, "%s: {}\n", k->name);
	}
}

static void write_key(struct writer *w, const struct policy_key *k, const char *base,
		      unsigned int depth)
{
	_buf_free_ struct buf text = {};
	const char *at = base + k->offset;

	if (k->kind == POLICY_KIND_MAP) {
		write_section(w, k, base, depth);
	} else if (k->kind == POLICY_KIND_MAPS) {
		write_elements(w, k, at, depth);
	} else if (k->kind == POLICY_KIND_INTEGERS32) {
		write_numbers(w, k, at, depth);
	} else if (is_list(k->kind)) {
		write_list(w, k, at, depth);
	} else if ((!k->set_offset || *(const bool *)(base + k->set_offset)) &&
		   write_value(k, at, &text)) {
		indent(w, depth);
		buf_addf(w->out, "%s: ", k->name);
		buf_add(w->out, text.s, text.len);
		end_line(w, k, text.s ? text.s : "");
		w->out->failed |= text.failed;
	}
}

static void write_map(struct writer *w, const struct policy_key *keys, const char *base,
		      unsigned int depth)
{
	for (; keys->name; keys++)
		write_key(w, keys, base, depth);
}

int policy_write(const struct policy *p, const policy_notes *notes, struct buf *out)
{
	struct writer w = { .out = out, .notes = notes };
	const struct policy_key *k = policy_language.keys;

	for (; k->name; k++) {
		write_key(&w, k, (const char *)p, 0);
	}
	return out->failed ? -ENOMEM : 0;
}
