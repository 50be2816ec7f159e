/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PURPLE_CONTAINER_DESCRIPTORS_H
#define PURPLE_CONTAINER_DESCRIPTORS_H

#include <stdbool.h>

#include "base/err.h"

/*
 * Under a policy: refuses descriptors for the container's program that are sockets of the host's
 * network. `preserved`: how many there are from 3 on; `terminal`: its stdio is a terminal of its
 * own, and not the caller's. ERR_POLICY names the descriptor.
 */
int descriptors_check(const char *policy, bool terminal, unsigned int preserved,
		      struct err *e);

#endif
