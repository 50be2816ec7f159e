/* SPDX-License-Identifier: Apache-2.0 */
/* The config.json that `spec` writes for people to start from. */
#ifndef PURPLE_OCI_TEMPLATE_H
#define PURPLE_OCI_TEMPLATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

/*
 * Writes the document, pretty and with a newline at the end. `rootless`: it has a user namespace
 * whose root is uid and gid of the caller, and asks for nothing that an ordinary user may not do
 * (no network namespace, sysfs bound from the host, no resources). uid and gid are not used
 * otherwise.
 */
int template_write(bool rootless, uid_t uid, gid_t gid, struct buf *out, struct err *e);

#endif
