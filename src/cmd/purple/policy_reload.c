/* SPDX-License-Identifier: Apache-2.0 */
/* purple policy reload: the rules of a container that runs, anew. Runs as root of the host. */
#include "base/fd.h"
#include "cmd/purple/purple.h"
#include "container/reload.h"

static void write_result(const char *id, const struct container_reload_result *result,
			 struct buf *out)
{
	for (size_t i = 0; i < result->warnings.n; i++)
		buf_addf(out, "warning: %s\n", result->warnings.v[i]);
	buf_addf(out, "%s: generation %u of the network's rules holds: ", id,
		 result->generation);
	for (size_t i = 0; i < result->policies.n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", result->policies.v[i]);
	buf_addf(out, ", %zu rule%s", result->rules, result->rules == 1 ? "" : "s");
	if (result->ended)
		buf_addf(out, "; %u connection%s that they deny ended", result->ended,
			 result->ended == 1 ? "" : "s");
	buf_adds(out, "\n");
}

int policy_reload_container(const char *root, const char *id, const char *policy,
			    bool strict, struct err *e)
{
	const struct container_reload_request rq = { .root = root,
						     .id = id,
						     .policy = policy,
						     .dirs = &policy_default_dirs,
						     .strict = strict };
	struct container_reload_result result = {};
	_buf_free_ struct buf out = {};
	int r = container_reload(&rq, &result, e);

	if (r < 0)
		return r;
	write_result(id, &result, &out);
	container_reload_result_clear(&result);
	return print_text(&out, e);
}
