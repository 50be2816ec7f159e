/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces that exist to carry id mappings: for id-mapped mounts. */
#ifndef PURPLE_LINUX_IDMAP_H
#define PURPLE_LINUX_IDMAP_H

#include "base/err.h"
#include "oci/spec.h"

/* A new user namespace with these maps, as a descriptor. Runs in the runtime: writing the maps
 * needs CAP_SETUID and CAP_SETGID. */
int idmap_open(const oci_id_mappings *uids, const oci_id_mappings *gids, struct err *e);

/* Maps the ids of a detached mount (of its whole tree when `recursive`). 0 or -errno. */
int idmap_apply(int tree_fd, int userns_fd, bool recursive);

#endif
