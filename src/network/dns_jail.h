/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-dns gives up before it reads a byte that is not the runtime's. */
#ifndef PURPLE_NETWORK_DNS_JAIL_H
#define PURPLE_NETWORK_DNS_JAIL_H

#include "base/err.h"

/* nobody, as everywhere. */
#define DNS_JAIL_ID 65534

/*
 * From here on the process is nobody's, without capabilities (but CAP_BPF where the kernel, before
 * 5.19, lets nobody else use a map that it has open: `map_fd` is tried), in an empty file system
 * that it shares with nobody, without children, and with the system calls of the forwarder alone:
 * another one kills it. The descriptors stay. Should: be called as root, in a process with one
 * thread. Whatever of it fails is an error; the process is then of no use.
 */
int dns_jail_enter(int map_fd, struct err *e);

#endif
