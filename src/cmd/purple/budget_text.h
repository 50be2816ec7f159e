/* SPDX-License-Identifier: Apache-2.0 */
/* What `purple usage` and `purple budget` share: the ledger's file, and rows in three formats. */
#ifndef PURPLE_CMD_PURPLE_BUDGET_TEXT_H
#define PURPLE_CMD_PURPLE_BUDGET_TEXT_H

#include "base/str.h"
#include "budget/ledger.h"

/* Milliseconds since 1970. */
int64_t budget_now(void);

/* Opens the ledger as the administrator; `path` NULL is that of the machine. */
int budget_open(const char *path, struct ledger **ret, struct err *e);

enum budget_format { BUDGET_TABLE, BUDGET_JSON, BUDGET_CSV };

/* NULL is the table. */
int budget_format_parse(const char *text, enum budget_format *ret, struct err *e);

enum budget_kind {
	BUDGET_TEXT,
	BUDGET_COUNT, /* a number of calls or tokens */
	BUDGET_MONEY, /* picodollars */
	BUDGET_TIME,  /* milliseconds; 0 is none */
};

/* A column; its names in the table's head ("" leaves it out of the table) and in JSON and CSV. */
struct budget_column {
	const char *head, *name;
	enum budget_kind kind;
	int width; /* negative: to the left */
};

struct budget_cell {
	const char *text;
	int64_t number;
	bool is_absent;
};

/* Rows that are being written. */
struct budget_table {
	enum budget_format format;
	const struct budget_column *columns; /* ends with a NULL name */
	struct buf *out;
	size_t rows;
};

void budget_table_begin(struct budget_table *t);
void budget_table_row(struct budget_table *t, const struct budget_cell *cells);
void budget_table_end(struct budget_table *t);

#endif
