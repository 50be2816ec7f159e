/* SPDX-License-Identifier: Apache-2.0 */
/* Gateways as owners of calls: between ledger.c and ledger_owner.c alone. */
#ifndef PURPLE_BUDGET_LEDGER_OWNER_H
#define PURPLE_BUDGET_LEDGER_OWNER_H

#include "budget/ledger.h"

/* Opens the file in which each living gateway holds a lock. */
int ledger_owner_open(struct ledger *l, struct err *e);
/* Makes this process an owner. */
int ledger_owner_sign_in(struct ledger *l, int64_t now, struct err *e);
/* Within a transaction: charges all that an owner has reserved, and closes it. Adds to *calls. */
int ledger_owner_charge(struct ledger *l, int64_t owner, int64_t now, size_t *calls,
			struct err *e);

/* ledger.c. Within a transaction: ends an open call as `state` with these sums (tokens, cost). */
int ledger_end_call(struct ledger *l, int64_t id, const char *state,
		    const int64_t reserved[2], const struct ledger_charge *c,
		    int64_t tokens, int64_t now, struct err *e);

#endif
