/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's network section as src/network takes it. Pure. */
#ifndef PURPLE_POLICY_NETWORK_H
#define PURPLE_POLICY_NETWORK_H

#include "network/rules.h"
#include "policy/policy.h"

/* Adds the policy's rules, in the order of its file. On failure *ret is only good for
 * network_policies_clear(). */
int policy_network_add(const struct policy *p, network_policies *ret, struct err *e);

/* Adds a line for each thing that they change. */
int policy_network_explain(const network_policies *policies, struct strv *explanations,
			   struct err *e);

#endif
