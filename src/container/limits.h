/* SPDX-License-Identifier: Apache-2.0 */
/* Policies hold for `update` too. Pure. */
#ifndef PURPLE_CONTAINER_LIMITS_H
#define PURPLE_CONTAINER_LIMITS_H

#include "base/err.h"
#include "oci/spec.h"

/*
 * Lowers what an update asks for to the limits of the container's policies: `limits` is what they
 * set in a configuration that asked for nothing. What is absent in `res` stays absent. Keys of
 * the unified map that reach around a limit are refused.
 */
int limits_tighten(const struct oci_resources *limits, struct oci_resources *res,
		   struct err *e);

#endif
