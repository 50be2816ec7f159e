/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LLM gateway of a container in its life (gateway/client.h): from the policies' words to a
 * program that listens on the container's loopback. For containers whose policies name no provider
 * all of this does nothing.
 */
#ifndef PURPLE_CONTAINER_GATEWAY_H
#define PURPLE_CONTAINER_GATEWAY_H

#include "base/err.h"
#include "container/intercept.h"
#include "container/state.h"
#include "gateway/client.h"
#include "gateway/config.h"
#include "oci/spec.h"
#include "policy/plan.h"

/* What create has of it. */
struct container_gateway {
	struct gateway_config *config; /* the plan's; NULL: there is no gateway */
	const char *policy;	       /* the first one's name, for messages */
	int keys_fd;
	int listen4_fd, listen6_fd; /* as soon as the network namespace is known */
	int tls_fd, http_fd;
	int copy_fd; /* records for audit logs; -1: there is none. The caller's */
	struct intercept intercept;
	bool is_begun;
	struct gateway_client client;
};
#define CONTAINER_GATEWAY_EMPTY                                                  \
	{                                                                        \
		.keys_fd = -1, .listen4_fd = -1, .listen6_fd = -1, .tls_fd = -1, \
		.http_fd = -1, .copy_fd = -1, .intercept = INTERCEPT_EMPTY,      \
		.client = GATEWAY_CLIENT_EMPTY                                   \
	}

/*
 * Before anything is made: reads the API keys and wipes them from the caller's environment, makes
 * the placeholder, listens where the network namespace is there already, and puts what the container's
 * program is to know into plan->spec.
 */
int container_gateway_prepare(struct container_gateway *g, struct policy_plan *plan,
			      struct err *e);

/*
 * For a container of another runtime, whose configuration cannot be changed when its gateway is
 * started. First, from the policy hook: puts the address and a placeholder into plan->spec. Then, from
 * the budget hook, instead of container_gateway_prepare(): takes them from the configuration, which
 * must have been made so and hold no API key. Programs are not intercepted.
 */
int container_gateway_describe(struct policy_plan *plan, struct err *e);
int container_gateway_prepare_described(struct container_gateway *g,
					struct policy_plan *plan,
					const struct oci_spec *configured, struct err *e);

/*
 * When init has been started: begins to start the gateway, so that it gets ready while init does its
 * work. `netns_fd` is the network namespace that the container will have; -1: that in which
 * container_gateway_prepare() listens. `init_fd` is init's pidfd. Notes the process in c->st.
 */
int container_gateway_begin(struct container_gateway *g, struct container *c,
			    int netns_fd, int init_fd, struct err *e);

/* The same for a container that runs; nothing where it has no gateway. */
int container_gateway_allow_again(struct container *c, network_policies *policies,
				  struct err *e);

/* Whether it is to be begun yet, and needs to be told the network namespace. */
bool container_gateway_needs_netns(const struct container_gateway *g);

/* It is ready: before the container is said to be created. */
int container_gateway_wait(struct container_gateway *g, struct err *e);

void container_gateway_clear(struct container_gateway *g);

/* The environment of a further process, where the container has a gateway. */
int container_gateway_environment(struct container *c, struct oci_process *p, struct err *e);

bool container_gateway_is_running(const struct container *c);

/*
 * When its processes are gone, or after a create that failed: has it settle what is under way, and
 * ends it. At most 6 s.
 */
void container_gateway_remove(struct container *c);

#endif
