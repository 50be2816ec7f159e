/* SPDX-License-Identifier: Apache-2.0 */
/* linux.netDevices: moving network devices from one network namespace to another. */
#ifndef PURPLE_LINUX_NETDEV_H
#define PURPLE_LINUX_NETDEV_H

#include "base/err.h"
#include "oci/spec.h"

/* A network namespace and a socket in it. */
struct netdev_ns {
	int ns;	  /* the namespace */
	int sock; /* NETLINK_ROUTE */
};
#define NETDEV_NS_EMPTY              \
	{                            \
		.ns = -1, .sock = -1 \
	}

/* Names that the kernel takes for devices; a new name may have one %d. Pure. */
int netdev_check(const struct oci_net_device *d, struct err *e);

/*
 * Opens the network namespace of the process `pid` (0: the caller's own). The caller is in its own
 * namespace again afterwards. Runs in: a single-threaded process.
 */
int netdev_open(pid_t pid, struct netdev_ns *ret, struct err *e);
void netdev_close(struct netdev_ns *n);

/*
 * Moves the device `name` to another namespace, where it is called `new_name` (%d: the first free
 * number; *ret_name, owned, is what it became) and is up. It keeps its hardware address, its MTU
 * and its permanent addresses of global scope (runtime-spec 1.3, "Network Devices"). A name that is
 * taken there is an error, and nothing is moved.
 */
int netdev_move(const struct netdev_ns *from, const char *name, const struct netdev_ns *to,
		const char *new_name, char **ret_name, struct err *e);

#endif
