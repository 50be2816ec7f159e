/* SPDX-License-Identifier: Apache-2.0 */
/* See spawn.h. Runs in children of the runtime, of `purple` and of the hooks. */
#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/list.h"
#include "base/signals.h"

#define FDS_MAX 32

/* Copies out of each other's way first: one may be where another is to be. */
static int place(const struct spawn *s, size_t n, int null, struct err *e)
{
	int high[FDS_MAX];

	for (size_t i = 0; i < n; i++) {
		int from = i < s->n && s->fds[i] >= 0 ? s->fds[i] : null;

		high[i] = fcntl(from, F_DUPFD_CLOEXEC, (int)n);
		if (high[i] < 0)
			return err_sys(e, "cannot copy a descriptor");
	}
	for (size_t i = 0; i < n; i++)
		if (dup2(high[i], (int)i) < 0)
			return err_sys(e, "cannot place a descriptor");
	/* The caller's own stay until the program is there: it may have failure to report. */
	if (close_range((unsigned int)n, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return err_sys(e, "cannot mark the other descriptors");
	return 0;
}

int spawn_exec(const struct spawn *s, struct err *e)
{
	static const char *const nothing[] = { NULL };
	const char *const alone[] = { s->program, NULL };
	size_t n = s->n > STDERR_FILENO ? s->n : STDERR_FILENO + 1;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), r;

	if (null < 0)
		return err_sys(e, "cannot open '/dev/null'");
	if (n > FDS_MAX)
		return err_set(e, ERR_INTERNAL, EINVAL, "too many descriptors for '%s'",
			       s->program);
	r = place(s, n, null, e);
	if (r < 0)
		return r;
	if (s->dies_with_parent && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_sys(e, "cannot ask for a signal at the parent's end");
	if (chdir("/") < 0)
		return err_sys(e, "cannot go to '/'");
	signals_reset();
	execve(s->program, (char *const *)(s->argv ? s->argv : alone),
	       (char *const *)(s->envp ? s->envp : nothing));
	return err_sys(e, "cannot start '%s'", s->program);
}

void spawn_exec_or_exit(const struct spawn *s)
{
	struct err ignored;

	spawn_exec(s, &ignored);
	_exit(127);
}
