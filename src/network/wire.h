/* SPDX-License-Identifier: Apache-2.0 */
/* The network filter at a container's devices: the layer that sees what has no socket. */
#ifndef PURPLE_NETWORK_WIRE_H
#define PURPLE_NETWORK_WIRE_H

#include <stdbool.h>

#include "base/err.h"
#include "network/filter.h"

/* What network_wire_attach() found. */
struct network_wires {
	unsigned int at_host; /* filtered where they arrive, at the other end: nothing gets by */
	unsigned int in_ns; /* filtered where they leave: PACKET_QDISC_BYPASS gets by */
};

/*
 * Puts the rules of `f`, which is attached already, at every device but the loopback of a network
 * namespace: at the host's end of a veth pair, and where the other end is not in the caller's
 * namespace, at the device itself. Once more for the same devices replaces what is there. It goes
 * with the device, and with the container's rules: then nothing passes any more.
 * Runs in: a single-threaded process. Should: be called for a namespace that the container has for
 * itself, when its devices are there. Mustn't: be called for the host's.
 */
int network_wire_attach(const struct network_filter *f, int ns, struct network_wires *ret,
			struct err *e);

/* Whether network_wire_attach() would find any device in the namespace. Runs in: as above. */
int network_wire_has_devices(int ns, bool *ret, struct err *e);

/*
 * Calls `each` with every device that network_wire_attach() would filter, by the name where it is
 * filtered, and whether the filter there is that of `f`. `each` gives -errno to stop.
 */
int network_wire_list(const struct network_filter *f, int ns,
		      int (*each)(const char *name, bool at_host, bool filtered, void *arg),
		      void *arg, struct err *e);

#endif
