/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a container's maps with compiled rules. */
#ifndef PURPLE_NETWORK_FILL_H
#define PURPLE_NETWORK_FILL_H

#include <stdbool.h>

#include "base/err.h"
#include "network/pins.h"
#include "network/rules.h"

/* All but `names`, which the DNS forwarder fills; the maps are empty and large enough. */
int network_fill(const struct network_tables *tables, const int maps[NETWORK_MAPS],
		 struct err *e);

/*
 * What the slots of before (*old) say under the new rules: those of names that stand in both, with
 * the new rules' numbers, as far as they speak of the same ports. How many of ret's slots are used.
 */
size_t network_fill_translate(const struct network_tables *now,
			      const struct network_tables *tables,
			      const struct network_name *old, struct network_name *ret);

/* Whether all of `part` is said by `whole`. */
bool network_name_has(const struct network_name *whole, const struct network_name *part);
/* Adds the slots of `part`, as many as there is room for. */
void network_name_add(struct network_name *whole, const struct network_name *part);

/* Calls `add` with what of the map `from` (`names` of before) holds under the new rules, too. */
int network_fill_learned(const struct network_tables *now,
			 const struct network_tables *tables, int from,
			 int (*add)(const struct network_address *address,
				    const struct network_name *name, void *arg,
				    struct err *e),
			 void *arg, struct err *e);

#endif
