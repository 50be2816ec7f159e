/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capability sets. The order for a process that becomes the container's: caps_limit_to_own(),
 * caps_drop_bounding(), caps_keep_across_setuid(true), setgroups/setgid/setuid, caps_apply(),
 * no_new_privs, seccomp.
 */
#ifndef PURPLE_LINUX_CAPS_H
#define PURPLE_LINUX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "oci/spec.h"

/* Bit n stands for capability number n. */
struct caps {
	uint64_t bounding, effective, permitted, inheritable, ambient;
};

/*
 * Reads the names of all sets; NULL means empty sets. Names that this kernel does not know are
 * left out and added to `unknown` (may be NULL), for a warning (runtime-spec, "capabilities"); so
 * are ambient ones that are not also permitted and inheritable, as "NAME (ambient)": the kernel
 * has no such state. ERR_CONFIG for what it would refuse: effective beyond permitted, inheritable
 * beyond bounding.
 */
int caps_parse(const struct oci_capabilities *c, struct caps *ret, struct strv *unknown,
	       struct err *e);

/* The calling process's own sets. */
int caps_get_own(struct caps *ret, struct err *e);

/*
 * Takes out what the calling process cannot give since it lacks it. To be called in the process
 * that applies the sets, in its final user namespace, before any of the functions below.
 * ret_missing: what was asked and is not there; may be NULL.
 */
int caps_limit_to_own(struct caps *c, uint64_t *ret_missing, struct err *e);

/* Drops all that is not in c->bounding from the bounding set. Needs CAP_SETPCAP if there is any. */
int caps_drop_bounding(const struct caps *c, struct err *e);

/* Whether a change of the user from root keeps the permitted set. */
int caps_keep_across_setuid(bool on, struct err *e);

/* Makes the effective, permitted, inheritable and ambient sets of the calling thread exactly these. */
int caps_apply(const struct caps *c, struct err *e);

/* "CAP_CHOWN,CAP_KILL": for messages. NULL when out of memory. */
char *caps_names(uint64_t set);

#endif
