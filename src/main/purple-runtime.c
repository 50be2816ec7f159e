/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-runtime: the OCI runtime, as engines call it. Runs with the caller's privileges, for the
 * time of one command. The only place of this program that reports an error or exits.
 */
#include "cmd/report.h"
#include "cmd/runtime/runtime.h"

#define EXEC_FAILED 255 /* as runc: the runtime failed, not the command */

int main(int argc, char **argv)
{
	const struct command *c;
	struct err e = {};
	int status, code;

	program_begin();
	if (program_dispatch(&runtime_program, argv, argc, &c, &status, &e) == 0)
		return status;
	code = report_error(&e);
	return c == &exec_command ? EXEC_FAILED : code;
}
