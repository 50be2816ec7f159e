/* SPDX-License-Identifier: Apache-2.0 */
/* Where the host shows the folder of an audit log besides its own place. */
#ifndef PURPLE_CONTAINER_AUDIT_PLACES_H
#define PURPLE_CONTAINER_AUDIT_PLACES_H

#include "base/err.h"
#include "base/str.h"

/*
 * Adds `folder` (absolute, without links), the paths by which other mounts of its file system show
 * it, and those of mounted overlays that have it in a layer. Reads /proc/self/mountinfo.
 */
int audit_places_find(const char *folder, struct strv *ret, struct err *e);

/* Calls each() for each layer among an overlay's options, with what it is ("upperdir": written to),
 * until it fails. */
int audit_places_layers(const char *options,
			int (*each)(const char *layer, const char *kind, void *arg,
				    struct err *e),
			void *arg, struct err *e);

#endif
