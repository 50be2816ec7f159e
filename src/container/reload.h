/* SPDX-License-Identifier: Apache-2.0 */
/* New rules for the network of a container that runs: `purple policy reload`. */
#ifndef PURPLE_CONTAINER_RELOAD_H
#define PURPLE_CONTAINER_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/plan.h"

struct container_reload_request {
	const char *root;
	const char *id;
	/* A name or a file, which takes the place of the policy that was chosen for the container;
	 * default_policy and the annotation's hold besides. NULL: those that it has, read again. */
	const char *policy;
	const struct policy_dirs *dirs;
	bool strict; /* fail where a policy has changed in what is not the network */
};

struct container_reload_result {
	uint32_t generation;
	struct strv policies; /* names of those that hold, the administrator's first */
	size_t rules;
	unsigned int ended; /* connections that the new rules deny */
	struct strv warnings;
};

/*
 * At every moment either the old rules hold or the new ones; on failure the old ones, and nothing
 * else has changed. ERR_STATE for a container without a network filter, ERR_POLICY where a policy
 * is wrong, is isolated, or with `strict` differs elsewhere.
 * Runs in: a single-threaded process as root of the host, in the network namespace from which the
 * container's names are asked for.
 */
int container_reload(const struct container_reload_request *rq,
		     struct container_reload_result *ret, struct err *e);
void container_reload_result_clear(struct container_reload_result *r);

#endif
