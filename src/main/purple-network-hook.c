/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-network-hook: an OCI hook for containers of any runtime, in its createRuntime, poststart and
 * poststop stages: the rules that policies have for the network. Runs with the engine's privileges, as root
 * of the host. The only place of this program that reports an error or exits: a status other than 0
 * keeps the container from starting.
 */
#include <errno.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cmd/command.h"
#include "cmd/hook/network.h"
#include "cmd/report.h"
#include "config.h"

/* Annotations are part of a state. */
#define STATE_MAX (16u << 20)

struct options {
	const char *policy, *log;
	bool version;
};

static const struct option_row rows[] = {
	OPTION(options, policy, "policy", 0, OPTION_STRING, "NAME",
	       "the administrator's policy for all containers"),
	OPTION(options, log, "log", 0, OPTION_STRING, "FILE",
	       "where errors are written too: engines may keep them to themselves"),
	OPTION(options, version, "version", 'v', OPTION_FLAG, NULL, "print the version"),
	{},
};

static int print_help(struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_adds(&out,
		 "Usage: purple-network-hook [--policy NAME] <STATE\n"
		 "\nHold a container of another runtime to the network rules of its policy: a\n"
		 "hook for the stages createRuntime, poststart and poststop.\n"
		 "See purple-network-hook(8).\n\nOptions:\n");
	for (const struct option_row *r = rows; r->name; r++)
		buf_addf(&out, "  --%s%s%s\n      %s\n", r->name, r->argument ? " " : "",
			 r->argument ? r->argument : "", r->help);
	return print_text(&out, e);
}

static int print_version(struct err *e)
{
	_buf_free_ struct buf out = {};

	buf_addf(&out, "purple-network-hook version %s\ncommit: %s\n", PACKAGE_VERSION,
		 PURPLE_COMMIT);
	return print_text(&out, e);
}

static int hook(const char *policy, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(STDIN_FILENO, STATE_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "the container's state on stdin");
	return network_hook_run(text, len, policy, e);
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
			       "unexpected argument '%s'; see purple-network-hook --help",
			       args[0]);
	if (help)
		return print_help(e);
	if (o.version)
		return print_version(e);
	r = o.log ? log_open(o.log, LOG_FORMAT_TEXT, e) : 0;
	return r < 0 ? r : hook(o.policy, e);
}

int main(int argc, char **argv)
{
	struct err e = {};

	program_begin();
	if (run(argc, argv, &e) == 0)
		return 0;
	return report_error(&e);
}
