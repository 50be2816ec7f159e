/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network rules of a container's policies in its life: the filter in the kernel, the forwarder
 * for names, and for `purple run` the way out. Needs a policy whose network is not isolated; for
 * others all of this does nothing.
 */
#ifndef PURPLE_CONTAINER_NETWORK_H
#define PURPLE_CONTAINER_NETWORK_H

#include "audit/client.h"
#include "base/err.h"
#include "container/state.h"
#include "linux/ns.h"
#include "network/dns_client.h"
#include "network/filter.h"
#include "network/rules.h"
#include "network/wire.h"
#include "policy/plan.h"

struct container_audit;

/* What create has of it. */
struct container_network {
	const char *policy; /* the first one's name; NULL: there are no rules */
	/* What the forwarder answers by itself (dns_client.h); NULL: nothing. The caller's. */
	const struct strv *own_names;
	const char *own_address;
	struct container_audit *audit; /* what else the monitor records; NULL: nothing. The caller's */
	struct network_tables tables;
	struct network_filter filter;
	struct network_dns dns; /* pid > 0: begun, and not the container's yet */
	struct audit_client monitor;
};
#define CONTAINER_NETWORK_EMPTY                                              \
	{                                                                    \
		.filter = NETWORK_FILTER_EMPTY, .dns = { .control_fd = -1 }, \
		.monitor = AUDIT_CLIENT_EMPTY                                \
	}

/* Whether its network namespace is not the host's: a new one, or one that others made. */
int container_network_is_own(const struct oci_spec *s, bool *ret, struct err *e);

/*
 * Before the first process is in the group: fills and attaches the filter. Init sees that it denies,
 * from inside, before anything of the container's runs (init_plan.test_network). Notes its name in
 * c->st before it is made. `cgroup` is the group's directory in cgroup2, or -1.
 */
int container_network_make(struct container_network *n, const struct policy_plan *plan,
			   struct container *c, int cgroup, struct err *e);

/*
 * When init has been started: begins to start the monitor, and the forwarder where the rules have
 * names, if the network namespace is known already, so that they get ready while init does its work.
 * `ns`: as init was started with. `hooks_come`: something may yet be done to a namespace that init
 * joins.
 */
int container_network_begin(struct container_network *n, struct container *c,
			    const struct ns_plan *ns, pid_t init, bool hooks_come,
			    struct err *e);

/*
 * When init is in its network namespace, and before the container's program can run: starts
 * pasta where the plan asks for it, and sees that the forwarder is ready, where there is to be one.
 */
int container_network_enter(struct container_network *n, const struct policy_plan *plan,
			    struct container *c, pid_t init, struct err *e);

/* What was started is ready: before the container is said to be created. */
int container_network_wait(struct container_network *n, struct err *e);

/*
 * At start, when engines have plugged in what they will: the filter of its devices. A namespace
 * that others are in too (a pod's) keeps its devices as they are.
 */
int container_network_start(struct container *c, struct err *e);
/* The same, saying what there was to filter: nothing in a namespace that others are in. */
int container_network_attach_wires(struct container *c, struct network_wires *ret,
				   struct err *e);

void container_network_clear(struct container_network *n);

/* Whether its network namespace is no host's: its loopback is free there. */
int container_network_is_own(const struct oci_spec *s, bool *ret, struct err *e);

/* Brings the loopback device of a network namespace up, as init does it, too. */
int container_netns_loopback_up(int netns, struct err *e);
/* The network namespace that a process is in: a descriptor. */
int container_netns_of(pid_t pid, struct err *e);

/* When its processes are gone, or after a create that failed. */
int container_network_remove(struct container *c, struct err *e);

#endif
