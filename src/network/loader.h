/* SPDX-License-Identifier: Apache-2.0 */
/* How the runtime starts purple-network-load. */
#ifndef PURPLE_NETWORK_LOADER_H
#define PURPLE_NETWORK_LOADER_H

#include "base/err.h"

/* Runs it where the pins of this build are not there; an error says why they cannot be. */
int network_loader_ensure(struct err *e);

/* Runs it and waits for its end. */
int network_loader_run(struct err *e);

/* For another part of what it loads than the network filter: LOADER_TRACE. */
#define LOADER_TRACE "trace"
int network_loader_run_part(const char *part, struct err *e);
/* In the background, as network_filter_tidy(). */
void network_loader_tidy_part(const char *part);

#endif
