/* SPDX-License-Identifier: Apache-2.0 */
/* Ends TCP connections whose packets the network filter drops. */
#ifndef PURPLE_NETWORK_CUT_H
#define PURPLE_NETWORK_CUT_H

#include "base/err.h"
#include "bpf/network_filter.h"

/* What network_cut() needs of the container's network namespace `ns`. A descriptor. */
int network_cut_open(int ns, struct err *e);

/*
 * A connection whose packets are dropped hangs until TCP gives up, after a quarter of an hour. Of
 * one that an event is about, the program is told at once: its next call gives ECONNABORTED. How
 * many were ended; 0 for events that are not about one: those of calls (EPERM has told the
 * program), of other protocols, of verdicts that let pass.
 * Runs in: a single-threaded process with CAP_NET_ADMIN over the namespace; to open takes
 * CAP_SYS_ADMIN too.
 */
int network_cut(int sock, const struct network_event *event, struct err *e);

#endif
