/* SPDX-License-Identifier: Apache-2.0 */
/* The container's group in its life: made by the runtime or by systemd, found again after a crash. */
#ifndef PURPLE_CONTAINER_GROUP_H
#define PURPLE_CONTAINER_GROUP_H

#include "base/err.h"
#include "container/state.h"
#include "oci/spec.h"

/*
 * Makes the group that c->st asks for, notes it there and in the state folder, and sets the limits
 * and devices of `s`. *ret_made is set as soon as there is a group to be destroyed. *ret_holder: see
 * cgroup_create_unit().
 */
int group_make(struct container *c, const struct oci_spec *s, bool *ret_made,
	       pid_t *ret_holder, struct err *e);

/* A create that was killed between making the group and writing it down. */
int group_adopt_pending(struct container *c, struct err *e);

#endif
