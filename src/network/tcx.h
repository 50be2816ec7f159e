/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter's program at the host's end of a veth pair without a qdisc and its filters:
 * tcx, which Linux has from 6.6 on. A packet's way through it takes a third of the time.
 */
#ifndef PURPLE_NETWORK_TCX_H
#define PURPLE_NETWORK_TCX_H

#include <stdbool.h>

/* Name of the program, which is also that of its pin. */
#define NETWORK_TCX_PROGRAM "purple_wire_end"

/*
 * Puts the program in front of all others where a device receives; one of another build's goes. 1;
 * or 0 where the kernel does not know how; or -errno. The device is one of the caller's network
 * namespace. It goes with the device.
 */
int network_tcx_attach(int device, int program);

/* Whether the program is there: 1 or 0, also where it cannot be. */
int network_tcx_has(int device, int program);

/* Takes away what network_tcx_attach() has put there, all but `keep` (-1: all). 0 or -errno. */
int network_tcx_remove(int device, int keep);

/*
 * The cookie of the network namespace that a socket belongs to; 0: the kernel has none to say.
 */
unsigned long long network_tcx_namespace(int sock);

#endif
