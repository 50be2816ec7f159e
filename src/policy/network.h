/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's network section as src/network takes it. Pure. */
#ifndef PURPLE_POLICY_NETWORK_H
#define PURPLE_POLICY_NETWORK_H

#include "network/rules.h"
#include "policy/policy.h"

/* Adds the policy's rules, in the order of its file. On failure *ret is only good for
 * network_policies_clear(). */
int policy_network_add(const struct policy *p, network_policies *ret, struct err *e);

#endif
