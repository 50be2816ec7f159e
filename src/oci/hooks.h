/* SPDX-License-Identifier: Apache-2.0 */
/* Running the hooks of a stage. */
#ifndef PURPLE_OCI_HOOKS_H
#define PURPLE_OCI_HOOKS_H

#include "base/err.h"
#include "oci/spec.h"

/*
 * Runs the hooks in order, each to its end; the first that fails ends it. `stage` is the name for
 * messages ("createRuntime"), `state_json` goes to each hook's stdin, `cwd` is its working
 * directory. The environment is the hook's own `env` and nothing else; stdout is /dev/null; the
 * end of stderr becomes part of the error. The error is "STAGE hook #N (PATH) ...".
 *
 * Runs in: the runtime (host namespaces) or the container's init (createContainer,
 * startContainer); single-threaded. The hook gets default signal dispositions, an empty signal
 * mask and no descriptor beyond 0 to 2. It is killed with its process group when it times out.
 * Mustn't: wait for any process but the hook, or for what the hook leaves running.
 */
int hooks_run(const oci_hooks_list *hooks, const char *stage, const char *state_json,
	      const char *cwd, struct err *e);

/*
 * As hooks_run(), for poststop: a hook that fails is logged as a warning and the others still run
 * (runtime-spec, "Lifecycle", step 13). Must not be used where logging is not allowed.
 */
void hooks_run_all(const oci_hooks_list *hooks, const char *stage, const char *state_json,
		   const char *cwd);

#endif
