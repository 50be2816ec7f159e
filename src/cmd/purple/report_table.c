/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of `purple report`: rows that are found by their first cells, added up and sorted. Pure. */
#include <stdlib.h>

#include "cmd/purple/report.h"

size_t report_columns(const struct report_kind *k)
{
	size_t n = 0;

	while (k->columns[n].name)
		n++;
	return n;
}

struct report_row *report_new_row(struct report_table *t, bool *failed)
{
	struct report_row *r;

	if (t->rows.n >= REPORT_ROWS_MAX) {
		t->left_out++;
		return NULL;
	}
	r = list_add(&t->rows);
	*failed |= !r;
	return r;
}

/* FNV-1a, over the keys with what is between them. */
static uint64_t hash_keys(const char *const *keys, int n)
{
	uint64_t h = 14695981039346656037u;

	for (int i = 0; i < n; i++) {
		const unsigned char *s = (const unsigned char *)keys[i];

		do {
			h = (h ^ *s) * 1099511628211u;
		} while (*s++);
	}
	return h;
}

static bool has_keys(const struct report_row *r, const char *const *keys, int n)
{
	for (int i = 0; i < n; i++)
		if (!streq(r->cells[i].text, keys[i]))
			return false;
	return true;
}

/* Twice the rows at least: there is an empty one. */
static bool make_slots(struct report_table *t)
{
	t->n_slots = 4 * 4096;
	_Static_assert(4 * 4096 > 2 * REPORT_ROWS_MAX, "slots for all rows");
	t->slots = calloc(t->n_slots, sizeof(*t->slots));
	return t->slots;
}

struct report_row *report_find(struct report_table *t, const char *const *keys, bool *failed)
{
	int n = t->kind->keys;
	struct report_row *r;
	size_t at;

	if (!t->slots && !make_slots(t)) {
		*failed = true;
		return NULL;
	}
	at = hash_keys(keys, n) % t->n_slots;
	for (; t->slots[at]; at = (at + 1) % t->n_slots)
		if (has_keys(&t->rows.v[t->slots[at] - 1], keys, n))
			return &t->rows.v[t->slots[at] - 1];
	r = report_new_row(t, failed);
	if (!r)
		return NULL;
	for (int i = 0; i < n; i++)
		report_set_text(r, i, keys[i], failed);
	/* A row without its keys would be found by nobody, and looked at by all. */
	if (*failed)
		return NULL;
	t->slots[at] = (uint32_t)t->rows.n;
	return r;
}

void report_set_text(struct report_row *r, int column, const char *text, bool *failed)
{
	struct report_cell *c = &r->cells[column];

	free(c->text);
	c->text = strdup(text);
	c->is_set = true;
	*failed |= !c->text;
}

void report_set_number(struct report_row *r, int column, int64_t number)
{
	r->cells[column].number = number;
	r->cells[column].is_set = true;
}

void report_add(struct report_row *r, int column, int64_t number)
{
	struct report_cell *c = &r->cells[column];

	if (__builtin_add_overflow(c->number, number, &c->number))
		c->number = INT64_MAX;
	c->is_set = true;
}

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct report_row *x = a, *y = b;
	const struct report_kind *k = arg;
	int64_t m = x->cells[k->order].number, n = y->cells[k->order].number;

	if (m != n)
		return m > n ? -1 : 1;
	return k->keys ? strcmp(x->cells[0].text, y->cells[0].text) : 0;
}

void report_sort(struct report_table *t)
{
	/* Rows are not where they were. */
	free(t->slots);
	t->slots = NULL;
	if (t->kind->order >= 0 && t->rows.n > 1)
		qsort_r(t->rows.v, t->rows.n, sizeof(*t->rows.v), compare_rows,
			(void *)t->kind);
}

void report_table_clear(struct report_table *t)
{
	for (size_t i = 0; i < t->rows.n; i++)
		for (size_t k = 0; k < REPORT_COLUMNS_MAX; k++)
			free(t->rows.v[i].cells[k].text);
	free(t->rows.v);
	free(t->slots);
	t->rows.v = NULL;
	t->rows.n = 0;
	t->slots = NULL;
}
