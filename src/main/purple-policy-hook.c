/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-policy-hook: a filter from config.json to config.json, which Podman calls in its `precreate`
 * stage for containers of any runtime. Runs with the engine's privileges. The only place of this
 * program that reports an error or exits: a status other than 0 keeps the container from starting.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/hook/policy.h"
#include "cmd/report.h"
#include "config.h"

/* As the runtime's own. */
#define CONFIG_MAX (16u << 20)

struct options {
	const char *policy, *log;
	bool version;
};

static const struct option_row rows[] = {
	OPTION(options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "the administrator's policy for all containers"),
	OPTION(options, log, "log", 0, OPTION_STRING, "FILE",
	       "where errors are written too: Podman shows the exit status alone"),
	OPTION(options, version, "version", 'v', OPTION_FLAG, NULL, "print the version"),
	{},
};

static int print_help(struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_adds(&out,
		 "Usage: purple-policy-hook [--policy NAME] <config.json >config.json\n"
		 "\nMerge the policy of a container into the configuration of another "
		 "runtime.\nSee purple-policy-hook(8).\n\nOptions:\n");
	for (const struct option_row *r = rows; r->name; r++)
		buf_addf(&out, "  --%s%s%s\n      %s\n", r->name, r->argument ? " " : "",
			 r->argument ? r->argument : "", r->help);
	return print_text(&out, e);
}

static int print_version(struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_addf(&out, "purple-policy-hook version %s\ncommit: %s\n", PACKAGE_VERSION,
		 PURPLE_COMMIT);
	return print_text(&out, e);
}

static int filter(const char *policy, struct err *e)
{
	const struct policy_request rq = { .admin_policy = policy,
					   .admin_chosen_by = "--policy",
					   .dirs = &policy_default_dirs };
	_buf_free_ struct buf out = {};
	_free_ char *text = NULL;
	size_t len;
	int r;

	r = fd_read_all(STDIN_FILENO, CONFIG_MAX, &text, &len, e);
	if (r < 0)
		return err_wrap(e, "config.json on stdin");
	r = policy_hook_apply(text, len, &rq, &out, e);
	return r < 0 ? r : print_text(&out, e);
}

static int run(int argc, char **argv, struct err *e)
{
	_free_ char **args = calloc((size_t)argc + 1, sizeof(*args));
	struct options o = {};
	bool help = false;
	int n, r;

	if (!args)
		return err_oom(e);
	r = options_parse(rows, &o, argv + 1, argc - 1, false, args, &n, &help, e);
	if (r < 0)
		return r;
	if (n > 0)
		return err_set(e, ERR_USAGE, EINVAL,
			       "unexpected argument '%s'; see purple-policy-hook --help",
			       args[0]);
	if (help)
		return print_help(e);
	if (o.version)
		return print_version(e);
	r = o.log ? log_open(o.log, LOG_FORMAT_TEXT, e) : 0;
	return r < 0 ? r : filter(o.policy, e);
}

int main(int argc, char **argv)
{
	struct err e = {};

	program_begin();
	if (run(argc, argv, &e) == 0)
		return 0;
	return report_error(&e);
}
