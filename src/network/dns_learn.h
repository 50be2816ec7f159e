/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling the kernel which addresses a name had: the container's map `names`. The filter reads it,
 * purple-dns alone writes it.
 */
#ifndef PURPLE_NETWORK_DNS_LEARN_H
#define PURPLE_NETWORK_DNS_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/network_filter.h"

/* An entry outlives its record's time to live, within these bounds, by a little. In seconds. */
#define DNS_TTL_MIN 60
#define DNS_TTL_MAX 3600
#define DNS_TTL_GRACE 5

/* CLOCK_BOOTTIME in seconds and in milliseconds. */
uint64_t dns_now(void);
uint64_t dns_now_ms(void);

/*
 * Works one slot into an address's value. Slots that have expired are free; one with the same
 * ports and rule lives on. Where there is no room, the one that expires soonest goes, but never a
 * block, and where all are blocks, one of them stands for the new one, too: -ENOSPC is told when
 * something live had to go or the new one has no place, 0 otherwise. Pure.
 */
int dns_slots_merge(struct network_name *n, const struct network_name_slot *slot,
		    uint64_t now);

struct dns_map;

/*
 * `fd` is the map, borrowed. What stands in it is counted in. Needs the privilege to use the map
 * (BPF_MAP_GET_NEXT_KEY, BPF_OBJ_GET_INFO_BY_FD); the others need what dns_map_probe() finds.
 */
int dns_map_open(int fd, struct dns_map **ret, struct err *e);
void dns_map_close(struct dns_map *m);

/* Whether the map can be read by this process as it is now: 0, -EPERM or another error. */
int dns_map_probe(int fd);

/*
 * Works `n` slots into the address's entry in the kernel. Where the map is full, what has expired
 * is taken out first, then what expires soonest. *ret_lost: what live had to go. On failure the
 * address must not be given out.
 */
int dns_map_learn(struct dns_map *m, const struct network_address *a,
		  const struct network_name_slot *slots, size_t n, unsigned int *ret_lost,
		  struct err *e);

/* Takes out what has expired. */
void dns_map_sweep(struct dns_map *m);

#endif
