/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of create among themselves. What others call is container_create() of
 * container/container.h.
 */
#ifndef PURPLE_CONTAINER_CREATE_H
#define PURPLE_CONTAINER_CREATE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "container/attributes.h"
#include "container/audit.h"
#include "container/container.h"
#include "container/gateway.h"
#include "container/init.h"
#include "container/netdevices.h"
#include "container/network.h"
#include "container/undo.h"
#include "linux/ns.h"
#include "linux/rootfs.h"
#include "linux/seccomp.h"
#include "oci/spec.h"
#include "policy/plan.h"

/* Everything of one create, so that its steps are functions of one argument. */
struct create {
	const struct container_create_request *rq;
	struct policy_plan plan;
	struct oci_spec *spec; /* plan.spec */
	char *bundle;	       /* absolute */
	struct container c;
	struct ns_plan ns;
	struct rootfs rootfs;
	struct seccomp_plan seccomp;
	struct init_plan init;
	struct init_shared *shared;
	int sync_fd; /* the runtime's end */
	int cgroup_fd;
	pid_t pid;
	struct attributes_rdt rdt;
	struct netdevices netdevices;
	struct container_network network;
	struct container_gateway gateway;
	struct container_audit audit;
	pid_t holder; /* see cgroup_create_unit(); 0: none */
	bool in_cgroup;
	bool hooks_began; /* poststop hooks are to undo what those of create did */
};

#define CREATE_EMPTY(request)                                                          \
	{                                                                              \
		.rq = (request), .c = CONTAINER_EMPTY, .sync_fd = -1, .cgroup_fd = -1, \
		.netdevices = NETDEVICES_EMPTY, .network = CONTAINER_NETWORK_EMPTY,    \
		.gateway = CONTAINER_GATEWAY_EMPTY, .audit = CONTAINER_AUDIT_EMPTY,    \
		.init = { .sync_fd = -1,                                               \
			  .start_fd = -1,                                              \
			  .console_fd = -1,                                            \
			  .engines_network = -1,                                       \
			  .own_network = -1,                                           \
			  .process = { .listener_sock = -1 } },                        \
	}

void create_clear(struct create *k);
#define _create_clear_ __attribute__((cleanup(create_clear)))

int create_make_cgroup(struct create *k, struct undo *u, struct err *e);
/* `path` may be NULL: none. */
int create_write_pid_file(const char *path, pid_t pid, struct err *e);

/* create_plan.c: fills plan, spec, bundle, seccomp and init's capabilities, or refuses. */
int create_make_plan(struct create *k, struct err *e);

/* The container lives in a mount namespace that is there already, and in its root. */
bool create_joins_mounts(const struct oci_spec *s);

/* create_state.c: makes and fills the state folder. */
int create_make_state(struct create *k, struct undo *u, struct err *e);

/* Documents that carry init's pid: written where init can read them. */
int create_fill_shared(struct create *k, struct err *e);

/* create_undo.c: steps for undo_push(); `arg` is the struct create. */
void create_undo_state(void *arg);
void create_undo_hooks(void *arg);
void create_undo_cgroup(void *arg);
void create_undo_network(void *arg);
void create_undo_audit(void *arg);
void create_undo_gateway(void *arg);
void create_undo_rdt(void *arg);
void create_undo_netdevices(void *arg);
void create_undo_init(void *arg);

#endif
