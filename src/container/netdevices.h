/* SPDX-License-Identifier: Apache-2.0 */
/* linux.netDevices: the host's network devices that become a container's. */
#ifndef PURPLE_CONTAINER_NETDEVICES_H
#define PURPLE_CONTAINER_NETDEVICES_H

#include <sys/types.h>

#include "base/err.h"
#include "base/list.h"
#include "linux/netdev.h"
#include "oci/spec.h"

struct netdevices {
	struct netdev_ns own, theirs;
	LIST_OF(struct netdevices_moved {
		const char *name; /* where the runtime is; borrowed from the configuration */
		char *name_there;
	}) moved;
};
#define NETDEVICES_EMPTY                                          \
	{                                                         \
		.own = NETDEV_NS_EMPTY, .theirs = NETDEV_NS_EMPTY \
	}

/* Names, and a network namespace for them to go to. */
int netdevices_check(const struct oci_spec *s, struct err *e);

/* Moves them to the network namespace of the process `pid`, the container's init. Runs in the
 * runtime. What was moved is in *d on failure too. */
int netdevices_move(const struct oci_spec *s, pid_t pid, struct netdevices *d,
		    struct err *e);

/* A create that fails gives back what it took; a container that ends does not (runtime-spec). */
void netdevices_move_back(struct netdevices *d);
void netdevices_clear(struct netdevices *d);

#endif
