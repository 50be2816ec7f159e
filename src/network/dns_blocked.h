/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of blocked names. The program is told that there is no such name; for those that know
 * an address from elsewhere, the forwarder itself asks which ones the name has, and the kernel
 * denies them: at the start for names in the policy, later for names below them that were asked
 * for, and again when what was learned gets old.
 */
#ifndef PURPLE_NETWORK_DNS_BLOCKED_H
#define PURPLE_NETWORK_DNS_BLOCKED_H

#include "network/dns_learn.h"
#include "network/dns_lookup.h"

/* Names that are kept up to date: of the policy (those behind it when they are asked for), and of
 * those that were asked for (the latest ones). */
#define DNS_BLOCKED_LISTED_MAX 1024
#define DNS_BLOCKED_ASKED_MAX 1024
#define DNS_BLOCKED_PER_SECOND 20
#define DNS_BLOCKED_UNDER_WAY_MAX 32

struct dns_blocked;

int dns_blocked_make(const struct dns_config *c, const struct dns_names *names,
		     struct dns_lookups *lookups, struct dns_map *map,
		     struct dns_blocked **ret, struct err *e);
void dns_blocked_free(struct dns_blocked *b);

/* A blocked name was asked for, or a chain led through it. */
void dns_blocked_want(struct dns_blocked *b, const char *name, uint32_t rule);

uint64_t dns_blocked_tick(struct dns_blocked *b, uint64_t now_ms, uint64_t limit);

#endif
