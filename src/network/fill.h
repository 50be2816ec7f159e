/* SPDX-License-Identifier: Apache-2.0 */
/* Fills a container's maps with compiled rules. */
#ifndef PURPLE_NETWORK_FILL_H
#define PURPLE_NETWORK_FILL_H

#include "base/err.h"
#include "network/pins.h"
#include "network/rules.h"

/* All but `names`, which the DNS forwarder fills; the maps are empty and large enough. */
int network_fill(const struct network_tables *tables, const int maps[NETWORK_MAPS],
		 struct err *e);

/*
 * Copies what was learned of names that stand in the rules of before and in the new ones, with the
 * new rules' numbers, as far as they speak of the same ports.
 */
int network_fill_learned(const struct network_tables *now,
			 const struct network_tables *tables, int from, int to,
			 struct err *e);

#endif
