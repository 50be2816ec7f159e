/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-budget-hook: an OCI hook for containers of any runtime, in its createRuntime and poststop
 * stages: the LLM gateway that policies ask for, with its budgets. Runs with the engine's privileges,
 * as root of the host. The only place of this program that reports an error or exits: a status other
 * than 0 keeps the container from starting.
 */
#include "cmd/command.h"
#include "cmd/hook/network.h"
#include "cmd/hook/program.h"
#include "cmd/report.h"

int main(int argc, char **argv)
{
	static const struct hook_program program = {
		.name = "purple-budget-hook",
		.help = "Give a container of another runtime the LLM gateway of its policy, with its\n"
			"budgets: a hook for the stages createRuntime and poststop.",
		.usage = "<STATE",
		.input = "the container's state",
		.run = budget_hook_run,
	};
	struct err e = {};

	program_begin();
	if (hook_program_run(&program, argc, argv, &e) == 0)
		return 0;
	return report_error(&e);
}
