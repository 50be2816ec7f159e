/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the upstream servers: over UDP with a socket, a source port and an id of its own for each
 * try, over TCP where the answer did not fit; one server after the other.
 *
 * Letters of the name are not mixed in case (0x20): there are servers that answer in lower case,
 * and a connected socket with a random port beside a random id leaves who is not on the way 31 bits
 * to guess in two seconds.
 */
#ifndef PURPLE_NETWORK_DNS_LOOKUP_H
#define PURPLE_NETWORK_DNS_LOOKUP_H

#include "base/str.h"
#include "network/dns_message.h"

#define DNS_LOOKUPS_MAX 256
/* A try, and all of them. */
#define DNS_TRY_MS 2000
#define DNS_LOOKUP_MS 6000

struct dns_lookups;

/* `found` is DNS_FOUND, and `a` holds; or none of the servers gave an answer in time. */
typedef void (*dns_lookup_done)(void *arg, enum dns_found found, const struct dns_answer *a);

int dns_lookups_make(int epoll, const struct strv *upstreams, struct dns_lookups **ret,
		     struct err *e);
void dns_lookups_free(struct dns_lookups *l);

/* Pointers to the servers' addresses, in memory that cannot be written. How many, at most `max`. */
size_t dns_lookups_servers(const struct dns_lookups *l, const void **ret, size_t max);

/* 0: `done` will be called, not before this returns. -EAGAIN: as many as can be are under way. */
int dns_lookup_start(struct dns_lookups *l, const char *name, uint16_t type,
		     dns_lookup_done done, void *arg);
/* Ends what is over time. Returns the time when there is something to do again, at most `limit`. */
uint64_t dns_lookups_tick(struct dns_lookups *l, uint64_t now_ms, uint64_t limit);

#endif
