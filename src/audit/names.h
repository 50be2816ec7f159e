/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which name led to an address, as far as it is remembered: the last one of each address, and of so
 * many addresses; old ones make room. Pure.
 */
#ifndef PURPLE_AUDIT_NAMES_H
#define PURPLE_AUDIT_NAMES_H

#include "bpf/network_filter.h"

#define AUDIT_NAMES_MAX 4096

struct audit_names;

/* NULL: no memory. */
struct audit_names *audit_names_make(void);
void audit_names_free(struct audit_names *n);

/* Without memory nothing is learned. */
void audit_names_add(struct audit_names *n, const struct network_address *a,
		     const char *name);
/* NULL: none. Valid until the next one is added. */
const char *audit_names_find(struct audit_names *n, const struct network_address *a);

#endif
