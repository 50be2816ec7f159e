/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's ai_policy section as src/gateway takes it. Pure. */
#ifndef PURPLE_POLICY_GATEWAY_H
#define PURPLE_POLICY_GATEWAY_H

#include "gateway/config.h"
#include "policy/plan.h"
#include "policy/policy.h"

void policy_llm_keys_clear(policy_llm_keys *l);

/*
 * Adds what the policy says of LLM calls, and where its keys are. ERR_POLICY for a provider
 * of which nobody knows the format, or where it is.
 * On failure *ret and *keys are only good for being cleared.
 */
int policy_gateway_add(const struct policy *p, struct gateway_config *ret,
		       policy_llm_keys *keys, struct err *e);

/* Adds a line for each thing that the gateway of these policies does. */
int policy_gateway_explain(const struct gateway_config *c, struct strv *explanations,
			   struct err *e);

#endif
