/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See loader.h. Runs in the runtime process. The program inherits nothing but its stderr, and
 * speaks only when it fails.
 */
#include "network/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/spawn.h"
#include "network/filter.h"
#include "network/pins.h"

#define PROGRAM PKGLIBEXECDIR "/purple-network-load"
#define ANSWER_MAX 4096

/* In a child. `err` < 0: nothing is to be said. */
static void __attribute__((noreturn)) become_program(const char *part, int err)
{
	const char *const argv[] = { PROGRAM, part, NULL };

	spawn_exec_or_exit(&(struct spawn){ .program = PROGRAM,
					    .argv = argv,
					    .fds = (const int[]){ -1, -1, err },
					    .n = 3 });
}

int network_loader_run(struct err *e)
{
	return network_loader_run_part(NULL, e);
}

int network_loader_run_part(const char *part, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	_free_ char *text = NULL;
	int fds[2], status, r;
	pid_t pid;

	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "%s needs the program '%s', which is not there (Purple built without "
			       "clang has none)",
			       part ? "tracing" : "the network filter", PROGRAM);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, "cannot make a pipe");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0)
		become_program(part, theirs);
	fd_close(&theirs);
	r = fd_read_all(ours, ANSWER_MAX, &text, NULL, e);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "cannot wait for '%s'", PROGRAM);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (r < 0)
		return r;
	text[strcspn(text, "\n")] = '\0';
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP, "%s",
		       *text ? text : "'" PROGRAM "' failed and did not say why");
}

int network_loader_ensure(struct err *e)
{
	int r = network_pins_check(e);

	if (r < 0)
		return r;
	if (access(network_pins_own(), F_OK) == 0)
		return 0;
	return network_loader_run(e);
}

void network_filter_tidy(void)
{
	network_loader_tidy_part(NULL);
}

void network_loader_tidy_part(const char *part)
{
	if (access(PROGRAM, X_OK) < 0 || fork() != 0)
		return;
	/* Nobody waits for it: the caller ends before it does, and then it is init's child. */
	setsid();
	become_program(part, -1);
}
