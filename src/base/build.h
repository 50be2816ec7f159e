/* SPDX-License-Identifier: Apache-2.0 */
/* What configure found, for folders that have a config.h of their own. */
#ifndef PURPLE_BASE_BUILD_H
#define PURPLE_BASE_BUILD_H

#include "config.h"

#endif
