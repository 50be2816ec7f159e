/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the programs of the network filter: purple-network-load. */
#ifndef PURPLE_NETWORK_LOAD_H
#define PURPLE_NETWORK_LOAD_H

#include "base/err.h"

/*
 * Has the kernel check and load the programs where this boot has not got them, pins them where
 * pins.h says, takes away what containers left and makes spares. Waits for another one at it.
 */
int network_load(struct err *e);

#endif
