/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of a container's process. */
#ifndef PURPLE_CONTAINER_ENVIRONMENT_H
#define PURPLE_CONTAINER_ENVIRONMENT_H

#include "base/err.h"
#include "oci/spec.h"

/* The value of a name, or NULL. It lives as long as `env`. */
const char *environment_get(const struct strv *env, const char *name);

/*
 * process.env, each name once, with HOME: programs that need one and were given none get that of
 * the container's /etc/passwd. *ret is the caller's to free.
 */
int environment_make(const struct oci_process *p, struct strv *ret, struct err *e);

#endif
