/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-policy-hook: a filter from config.json to config.json, which Podman calls in its `precreate`
 * stage for containers of any runtime. Runs with the engine's privileges. The only place of this
 * program that reports an error or exits: a status other than 0 keeps the container from starting.
 */
#include "base/str.h"
#include "cmd/command.h"
#include "cmd/hook/policy.h"
#include "cmd/hook/program.h"
#include "cmd/report.h"

static int filter(const char *text, size_t len, const char *policy, struct err *e)
{
	const struct policy_request rq = { .admin_policy = policy,
					   .admin_chosen_by = "--policy",
					   .dirs = &policy_default_dirs };
	_buf_free_ struct buf out = {};
	int r = policy_hook_apply(text, len, &rq, &out, e);

	return r < 0 ? r : print_text(&out, e);
}

int main(int argc, char **argv)
{
	static const struct hook_program program = {
		.name = "purple-policy-hook",
		.help = "Merge the policy of a container into the configuration of another runtime.",
		.usage = "<config.json >config.json",
		.input = "config.json",
		.run = filter,
	};
	struct err e = {};

	program_begin();
	if (hook_program_run(&program, argc, argv, &e) == 0)
		return 0;
	return report_error(&e);
}
