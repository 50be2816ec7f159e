/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's audit and ebpf_monitoring sections as src/audit takes them. Pure. */
#ifndef PURPLE_POLICY_AUDIT_H
#define PURPLE_POLICY_AUDIT_H

#include "audit/config.h"
#include "policy/policy.h"

/* Adds the policy's log, where it is audited. */
int policy_audit_add(const struct policy *p, struct audit_config *c, struct err *e);

/* Adds a line for each log. */
int policy_audit_explain(const struct audit_config *c, struct strv *explanations,
			 struct err *e);

#endif
