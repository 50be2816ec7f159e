/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network rules of a container that another runtime makes: the same filter, forwarder and state
 * folder as in network.h, from that runtime's hooks. Of such a container (state.h: `foreign`) Purple
 * has nothing but its network.
 */
#ifndef PURPLE_CONTAINER_FOREIGN_H
#define PURPLE_CONTAINER_FOREIGN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"
#include "policy/plan.h"

struct container_foreign_request {
	const char *root; /* the state root */
	const char *id;
	const char *bundle;	  /* absolute; its config.json is the container's */
	pid_t pid;		  /* of init */
	const char *admin_policy; /* NULL: none */
	const struct policy_dirs *dirs;
	bool network, gateway; /* what the hook that calls is for */
};

/*
 * At createRuntime: when this returns 0, the rules of the container's policies hold for it, or it
 * has no policy. An error where the filter cannot hold this container; then nothing is left behind.
 * Of two hooks the first does what both are for, as the configuration has them.
 * Runs in: purple-network-hook or purple-budget-hook, in the host's namespaces, as root of the host.
 */
int container_foreign_create(const struct container_foreign_request *rq, struct err *e);

/*
 * At poststart: the filter for devices that the engine has plugged in since createRuntime. A
 * container that has none of Purple's filters, or not from a hook, is fine.
 */
int container_foreign_started(const char *root, const char *id, struct err *e);

/* At poststop: waits for init's end, and takes away what create has made. Nothing there is fine. */
int container_foreign_remove(const char *root, const char *id, struct err *e);

/* Those below a state root whose init is dead: what a runtime left that never ran poststop. */
int container_foreign_list_stale(const char *root, struct strv *ret_ids, struct err *e);

/* --- what the filter cannot hold (foreign_check.c): for container_foreign_create() alone --- */

/* By the configuration. *ret_net_raw: it may have CAP_NET_RAW, and so packet sockets. */
int container_foreign_check(const struct oci_spec *s, const char *bundle,
			    bool *ret_net_raw, struct err *e);
/* By what init is in: namespaces of its own, and nobody else in them. */
int container_foreign_check_init(pid_t init, struct err *e);

#endif
