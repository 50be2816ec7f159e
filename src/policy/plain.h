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
 * Not said in a configuration, and the caller's to see to: `plain_source` of mounts, and with
 * `network_filter` the rules of the network.
 */
int policy_make_plain(struct oci_spec *s, const struct policy *const *policies, size_t n,
		      bool network_filter, struct err *e);

/* Whether purple-network-hook is among the createRuntime hooks. (Podman runs those of poststop
 * itself, and has them not in the configuration.) */
bool policy_has_network_hook(const struct oci_spec *s);

#endif
