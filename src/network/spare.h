/* SPDX-License-Identifier: Apache-2.0 */
/* Maps made before a container needs them, and taken away after it: purple-network-load's part. */
#ifndef PURPLE_NETWORK_SPARE_H
#define PURPLE_NETWORK_SPARE_H

#include "base/err.h"

/* Below `pins`, the folder of one object: takes away the maps in trash/, fills spare/ up. */
int network_spare_tidy(const char *pins, struct err *e);

#endif
