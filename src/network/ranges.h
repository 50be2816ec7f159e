/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of ports, each with the rule that speaks of it. Private to src/network. Pure. */
#ifndef PURPLE_NETWORK_RANGES_H
#define PURPLE_NETWORK_RANGES_H

#include "network/rules.h"

/* Adds the ports of a rule. `by_name`: UDP 443 (QUIC, whose names nothing can check) is left out
 * where the rule does not say /udp. */
int network_ranges_add_rule(const struct network_rule *rule, uint32_t number,
			    bool by_name, network_ranges *ret);

/* `layers` in order of precedence, which may overlap, as a set that does not. Adds to ret what
 * is above all that it has. */
int network_ranges_flatten(const network_ranges *layers, network_ranges *ret);

/* What both sets hold, with the rules of `a`. */
int network_ranges_intersect(const network_ranges *a, const network_ranges *b,
			     network_ranges *ret);

/* Adds a range above all that the set has; it is joined with the one before it where that says
 * the same. */
int network_ranges_append(network_ranges *l, const struct network_range *range);

/* The range that holds a port, or NULL. */
const struct network_range *network_ranges_find(const struct network_range *v, size_t n,
						uint32_t port);

#endif
