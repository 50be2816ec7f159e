/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state document of the runtime-spec, as `state`, `list` and hooks see it. Write only: what
 * Purple keeps of a container on disk is container/state.c's.
 */
#ifndef PURPLE_OCI_STATE_H
#define PURPLE_OCI_STATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* All strings are borrowed: nothing here is ever freed by this module. */
struct oci_state {
	const char *oci_version; /* NULL: OCI_STATE_VERSION */
	const char *id;
	const char *status;	   /* creating created running paused stopped */
	int32_t pid;		   /* as seen by the caller; 0: none */
	const char *bundle;	   /* absolute */
	struct strmap annotations; /* a shallow copy of the spec's will do */
	/* Beyond the spec, as engines expect it of `state` and `list`; NULL: left out. */
	const char *rootfs;
	const char *created; /* RFC 3339 */
	const char *owner;
};

/* The version of the runtime-spec that Purple implements. */
#define OCI_STATE_VERSION "1.3.0"

/* For `state` and `list`: all members; pid is 0 when there is none. */
int oci_state_write(const struct oci_state *s, bool pretty, struct buf *out, struct err *e);

/* For the stdin of hooks: the members of the spec alone, on one line, without pid when there is
 * none. Ends without a newline. */
int oci_state_write_hook(const struct oci_state *s, struct buf *out, struct err *e);

#endif
