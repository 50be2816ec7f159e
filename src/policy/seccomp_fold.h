/* SPDX-License-Identifier: Apache-2.0 */
/* Several system call profiles as one, for runtimes that load no more than one. */
#ifndef PURPLE_POLICY_SECCOMP_FOLD_H
#define PURPLE_POLICY_SECCOMP_FOLD_H

#include "oci/spec.h"

/* The call whose rules could not be put together. */
struct seccomp_fault {
	char call[64];
};

/*
 * What the kernel does with all of these filters loaded, as one profile that runc and crun give
 * to libseccomp: the policies' in their order, then the engine's (NULL: none). At least one policy;
 * none has exec_once.
 *
 * 0; -ENOMEM; -E2BIG with *ret_fault when the rules for a call are too complex to be written down
 * exactly. *ret is then untouched.
 */
int seccomp_fold_all(const struct oci_seccomp *policies, size_t n,
		     const struct oci_seccomp *engine, struct oci_seccomp *ret,
		     struct seccomp_fault *ret_fault);

#endif
