/* SPDX-License-Identifier: Apache-2.0 */
/* See signals.h. */
#include "base/signals.h"

#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's struct sigaction begins with the handler on all our machines; zero is SIG_DFL. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

#define KERNEL_SIGNALS 64

void signals_reset(void)
{
	const struct kernel_sigaction dfl = {};
	sigset_t none;

	/* libc's sigaction() refuses signals 32 and 33, which a caller may have left ignored:
	 * posix_spawn() of some libcs does. KILL and STOP fail, and need nothing. */
	for (int s = 1; s <= KERNEL_SIGNALS; s++)
		syscall(SYS_rt_sigaction, s, &dfl, NULL, sizeof(dfl.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
