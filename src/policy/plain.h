/* SPDX-License-Identifier: Apache-2.0 */
/* A merged configuration in plain OCI words, for a runtime that is not Purple. */
#ifndef PURPLE_POLICY_PLAIN_H
#define PURPLE_POLICY_PLAIN_H

#include "oci/spec.h"
#include "policy/policy.h"

/*
 * Says in members of the runtime-spec what the merge of these policies, in this order, put into
 * Purple's own: the policies' filters are folded into linux.seccomp, an isolated network becomes a
 * new network namespace. What no plain configuration can say is an ERR_UNSUPPORTED that names the
 * policy's line. Pure.
 *
 * Not said in a configuration, and the caller's to see to: `plain_source` of mounts, and what it
 * `has` besides (POLICY_HAS_...): the rules of the network, LLM calls.
 */
int policy_make_plain(struct oci_spec *s, const struct policy *const *policies, size_t n,
		      unsigned int has, struct err *e);

#endif
