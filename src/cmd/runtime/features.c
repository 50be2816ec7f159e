/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime features */
#include "cmd/runtime/runtime.h"
#include "config.h"
#include "container/container.h"

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	_strmap_free_ struct strmap notes = {};
	_buf_free_ struct buf out = {};
	int r;

	if (strmap_set(&notes, "io.purple.version", PACKAGE_VERSION) < 0 ||
	    strmap_set(&notes, "io.purple.commit", PURPLE_COMMIT) < 0 ||
	    strmap_set(&notes, "io.purple.policy-schema", "1") < 0 ||
	    strmap_set(&notes, "io.purple.bpf", "devices") < 0)
		return err_oom(e);
	r = container_features(&notes, &out, e);
	return r < 0 ? r : print_text(&out, e);
}

const struct command features_command = {
	.name = "features",
	.arguments = "",
	.help = "Print what this runtime supports, as JSON.",
	.run = run,
};
