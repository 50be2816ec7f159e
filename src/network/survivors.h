/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP connections of a container whose rules change: those that the new rules deny are ended,
 * those that they allow live on. The kernel's filter alone would let the former hang until TCP
 * gives up, and would deny some of the latter: of a connection that was allowed by a name whose
 * answer has expired long ago nothing is in the new maps.
 */
#ifndef PURPLE_NETWORK_SURVIVORS_H
#define PURPLE_NETWORK_SURVIVORS_H

#include "base/err.h"
#include "network/filter.h"
#include "network/rules.h"
#include "network/sockets.h"

struct network_survivors {
	const struct network_filter *old, *next;
	/* `now`: the rules that `old` has; NULL: unknown, and names of before are not kept. */
	const struct network_tables *now, *tables;
	int sock;   /* of network_sockets_open() in the container's namespace */
	int memory; /* the map `sockets` */
	network_sockets doomed;
};
#define NETWORK_SURVIVORS_EMPTY          \
	{                                \
		.sock = -1, .memory = -1 \
	}

/* Fills *ret but for the first four. `ns`: the container's network namespace. */
int network_survivors_open(int ns, struct network_survivors *ret, struct err *e);
void network_survivors_clear(struct network_survivors *s);

/*
 * Looks through the connections: notes those that the new rules deny, and tells `keep` what the new
 * map `names` must have for the others. To be called once before the switch, when the map is
 * filled but for this, and once after it, for connections that were made in between.
 */
int network_survivors_look(struct network_survivors *s,
			   int (*keep)(const struct network_address *address,
				       const struct network_name *name, void *arg,
				       struct err *e),
			   void *arg, struct err *e);

/* After the switch: ends all that were noted. How many they are, or why one could not be ended. */
int network_survivors_end(struct network_survivors *s, struct err *e);

#endif
