/* SPDX-License-Identifier: Apache-2.0 */
/* How the runtime starts purple-network-load. */
#ifndef PURPLE_NETWORK_LOADER_H
#define PURPLE_NETWORK_LOADER_H

#include "base/err.h"

/* Runs it where the pins of this build are not there; an error says why they cannot be. */
int network_loader_ensure(struct err *e);

/* Runs it and waits for its end. */
int network_loader_run(struct err *e);

#endif
