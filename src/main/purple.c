/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple: the program for people. Runs with the caller's privileges, for the time of one command.
 * The only place of this program that reports an error or exits.
 */
#include "cmd/purple/purple.h"
#include "cmd/report.h"

#define RUN_FAILED 125 /* as docker and podman: purple failed, not the agent */

int main(int argc, char **argv)
{
	const struct command *c;
	struct err e = {};
	int status = 0, code;

	program_begin();
	if (program_dispatch(&purple_program, argv, argc, &c, &status, &e) == 0)
		return status;
	code = report_error(&e);
	/* The command's own, where its codes say more. */
	if (c != &purple_run_command)
		return status ? status : code;
	if (e.kind == ERR_EXEC_DENIED)
		return 126;
	return e.kind == ERR_EXEC_NOT_FOUND ? 127 : RUN_FAILED;
}
