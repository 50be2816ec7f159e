/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded of a container in its life: its logs, what is traced, and the monitor that writes
 * them where there is no network filter to start one. For containers whose policies are not audited
 * all of this does nothing.
 */
#ifndef PURPLE_CONTAINER_AUDIT_H
#define PURPLE_CONTAINER_AUDIT_H

#include "audit/client.h"
#include "audit/config.h"
#include "audit/trace.h"
#include "base/err.h"
#include "container/state.h"
#include "linux/seccomp.h"
#include "oci/spec.h"
#include "policy/plan.h"

/* What create has of it. */
struct container_audit {
	struct audit_config *config; /* the plan's; NULL: it is not audited */
	struct trace trace;
	int others_fd;		     /* records of others come out here: the recorder's */
	int copy_fd;		     /* and go in here: the gateway's; non-blocking */
	struct audit_client monitor; /* pid > 0: begun here, not with the network */
};
#define CONTAINER_AUDIT_EMPTY                                         \
	{                                                             \
		.trace = TRACE_EMPTY, .others_fd = -1, .copy_fd = -1, \
		.monitor = AUDIT_CLIENT_EMPTY                         \
	}

/*
 * Before anything is made: whether it can be, and that the container does not see its logs
 * (container_audit_hide()).
 */
int container_audit_prepare(struct container_audit *a, struct policy_plan *plan,
			    const char *bundle, struct err *e);
/* Makes the folders of the logs; adds what is to be hidden to the configuration's masked paths.
 * ERR_POLICY for a log that the container may write to. */
int container_audit_hide(const struct audit_config *config, struct oci_spec *spec,
			 const char *bundle, struct strv *explanations, struct err *e);

/*
 * Before the first process is in the group, and after its network filter: audit.json, and the tracing
 * begins. `seccomp`: what it will deny. `cgroup` is the group's directory in cgroup2, or -1. Notes its name in c->st first.
 */
int container_audit_make(struct container_audit *a, struct container *c,
			 const struct seccomp_plan *seccomp, int cgroup, struct err *e);

/* When init runs: begins to start the monitor, unless the network does (container/network.h) or it
 * was begun. */
int container_audit_begin(struct container_audit *a, struct container *c, pid_t init,
			  struct err *e);
/* The monitor, its recorder and all they need are ready: before the container is said to be created. */
int container_audit_wait(struct container_audit *a, struct err *e);

void container_audit_clear(struct container_audit *a);

/* When its processes are gone and so is its monitor, or after a create that failed. */
int container_audit_remove(struct container *c, struct err *e);

#endif
