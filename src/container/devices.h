/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a container's processes may use: the configuration's rules and the defaults. */
#ifndef PURPLE_CONTAINER_DEVICES_H
#define PURPLE_CONTAINER_DEVICES_H

#include "base/err.h"
#include "base/list.h"
#include "cgroup/cgroup.h"
#include "oci/spec.h"

typedef LIST_OF(struct oci_device_cgroup) device_rules;

/* linux.resources.devices, followed by what every container gets; the strings are borrowed. Empty
 * in a user namespace. */
int devices_list(const struct oci_spec *s, device_rules *ret, struct err *e);

/* Sets linux.resources.devices, followed by what every container gets (runtime-spec, "Default
 * Devices"). Does nothing in a user namespace, whose owner cannot make device nodes. */
int devices_apply(const struct cgroup *cg, const struct oci_spec *s, struct err *e);

#endif
