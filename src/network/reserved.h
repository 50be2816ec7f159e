/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that no rule opens in passing: an allow rule has to name them. Pure. */
#ifndef PURPLE_NETWORK_RESERVED_H
#define PURPLE_NETWORK_RESERVED_H

#include "network/rules.h"

struct network_reserved {
	int family;
	uint8_t address[16]; /* IPv4 in the first four bytes */
	uint8_t prefix_len;
	bool always; /* not for the allow list's sake: metadata, link-local, multicast ... */
	const char *what; /* "cloud metadata" */
};
typedef LIST_OF(struct network_reserved) network_reserved_list;

/*
 * The ranges that are reserved under a policy, in no order, overlapping. `listed`: it has an allow
 * list. `translated`: with the names that reserved IPv4 addresses have behind NAT64.
 */
int network_reserved_add(const struct network_surroundings *around, bool listed,
			 bool translated, network_reserved_list *ret);

/* The NAT64 name (RFC 6052, 64:ff9b::/96) of an IPv4 prefix. */
void network_translate(const uint8_t address[4], uint8_t prefix_len, uint8_t ret[16],
		       uint8_t *ret_prefix_len);
/* Whether the IPv6 prefix is equal to 64:ff9b::/96 or inside of it. */
bool network_is_translated(const uint8_t address[16], uint8_t prefix_len);

/* Whether the first `bits` bits are equal. */
bool network_has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned int bits);
/* IPv4 as ::ffff:a.b.c.d. */
bool network_is_loopback(const uint8_t address[16]);
/* ::ffff:0:0/96 */
bool network_is_mapped(const uint8_t address[16]);

#endif
