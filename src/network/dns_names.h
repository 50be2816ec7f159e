/* SPDX-License-Identifier: Apache-2.0 */
/* What the policies say of a name, and of an address that a name leads to. Pure. */
#ifndef PURPLE_NETWORK_DNS_NAMES_H
#define PURPLE_NETWORK_DNS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "network/dns_config.h"

/* Longest name as text, without the dot at the end (RFC 1035, 255 octets on the wire). */
#define DNS_NAME_MAX 253

/*
 * Whether it is a name as rules and answers may have it: labels of a-z, 0-9, '-' and '_' with 1 to
 * 63 of them, in lower case. Others can be asked for, and are nowhere allowed: what one program
 * writes as a dot in a label, the next takes for two labels.
 */
bool dns_name_is_plain(const char *name);

/* Whether `name` is `domain` or below it. Both in lower case. */
bool dns_name_is_in(const char *name, const char *domain);

struct dns_verdict {
	enum network_verdict verdict; /* NETWORK_NONE: not listed */
	bool blocked;		      /* a name that rules block */
	uint32_t rule;
	/* Unless it is denied: the ports that are learned, of all names in the list that hold. */
	struct network_range ranges[NETWORK_NAME_SLOTS];
	size_t range_count;
	bool cut; /* there were more ranges */
};

/* A sorted view of a configuration, which must outlive it. */
struct dns_names;
int dns_names_make(const struct dns_config *c, struct dns_names **ret, struct err *e);
void dns_names_free(struct dns_names *n);

/* `name` in lower case without the dot at the end. A block beats what allows. */
void dns_names_find(const struct dns_names *n, const char *name, struct dns_verdict *ret);

/* Whether answers may have this address: by the longest of the prefixes. */
bool dns_names_may_point_to(const struct dns_names *n, const struct network_address *a);

#endif
