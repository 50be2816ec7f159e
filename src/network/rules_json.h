/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the network as JSON, and in a container's state folder. */
#ifndef PURPLE_NETWORK_RULES_JSON_H
#define PURPLE_NETWORK_RULES_JSON_H

#include "network/rules.h"

int network_policies_write(const network_policies *policies, struct buf *out, struct err *e);
/* `name` is what errors call the document. ERR_CONFIG when it is not what the writer wrote. */
int network_policies_read(const char *text, size_t len, const char *name,
			  network_policies *ret, struct err *e);

/* Opens "network.json" in the folder for reading: a descriptor. */
int network_policies_open(int dirfd, struct err *e);
/* "network.json" in the folder: what was there is replaced as a whole. */
int network_policies_save(int dirfd, const network_policies *policies, struct err *e);
/* -ENOENT where the folder has none: its container has no filter. */
int network_policies_load(int dirfd, network_policies *ret, struct err *e);

#endif
