/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See network.h. Runs in purple-network-hook or purple-budget-hook, as a child of a runtime with its privileges, in the
 * host's namespaces. Which stage it is, the state's status says, and not an argument that an
 * administrator could get wrong.
 */
#include "cmd/hook/network.h"

#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "container/foreign.h"
#include "linux/ns.h"

#define NAME "the container's state"
/* Where purple, run by root, looks for containers. */
#define ROOT "/run/purple"

struct state {
	char *id, *status, *bundle;
	int32_t pid;
};
static const struct json_field state_rows[] = {
	JSON_FR(state, id, "id", JSON_STR),
	JSON_FR(state, status, "status", JSON_STR),
	JSON_FR(state, bundle, "bundle", JSON_STR),
	JSON_F(state, pid, "pid", JSON_I32),
	{},
};
static const struct json_type state_type = { .size = sizeof(struct state),
					     .fields = state_rows };

/* crun calls a container "created" in createRuntime too. */
static int create(const struct state *s, const char *policy, bool is_gateway, struct err *e)
{
	const struct container_foreign_request rq = { .root = ROOT,
						      .id = s->id,
						      .bundle = s->bundle,
						      .pid = s->pid,
						      .admin_policy = policy,
						      .dirs = &policy_default_dirs,
						      .network = !is_gateway,
						      .gateway = is_gateway };

	if (s->pid <= 0)
		return err_set(e, ERR_CONFIG, EINVAL, NAME ": pid is missing");
	if (s->bundle[0] != '/')
		return err_set(e, ERR_CONFIG, EINVAL,
			       NAME ": bundle '%s' is not an absolute path", s->bundle);
	return container_foreign_create(&rq, e);
}

static int run(const struct state *s, const char *policy, bool is_gateway, struct err *e)
{
	if (geteuid() != 0 || userns_is_nested())
		return err_set(e, ERR_UNSUPPORTED, EPERM,
			       "the %s needs root of the host: containers of an ordinary user "
			       "cannot have it",
			       is_gateway ? "LLM gateway" : "network filter");
	if (streq(s->status, "creating") || streq(s->status, "created"))
		return create(s, policy, is_gateway, e);
	if (streq(s->status, "running"))
		return container_foreign_started(ROOT, s->id, e);
	if (streq(s->status, "stopped"))
		return container_foreign_remove(ROOT, s->id, e);
	return err_set(e, ERR_CONFIG, EINVAL,
		       NAME ": status is '%s': this hook is for createRuntime, poststart and "
			    "poststop",
		       s->status);
}

static int hook(const char *text, size_t len, const char *policy, bool is_gateway,
		struct err *e)
{
	_json_free_ struct json *doc = NULL;
	struct state s = {};
	int r = json_parse(text, len, NAME, &doc, e);

	if (r == 0)
		r = json_read(doc, &state_type, NAME, &s, e);
	if (r < 0)
		return r;
	r = run(&s, policy, is_gateway, e);
	json_clear(&state_type, &s);
	return r;
}

int network_hook_run(const char *text, size_t len, const char *policy, struct err *e)
{
	return hook(text, len, policy, false, e);
}

int budget_hook_run(const char *text, size_t len, const char *policy, struct err *e)
{
	return hook(text, len, policy, true, e);
}
