/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the programs that trace containers: purple-network-load. */
#ifndef PURPLE_AUDIT_TRACE_LOAD_H
#define PURPLE_AUDIT_TRACE_LOAD_H

#include "base/err.h"

/*
 * Has the kernel check and load the programs where this boot has not got them, pins them where
 * trace_pins.h says, takes away the maps that containers left and makes some for the next ones.
 * Waits for another one at it.
 */
int trace_load(struct err *e);

#endif
