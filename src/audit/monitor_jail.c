/* SPDX-License-Identifier: Apache-2.0 */
/* What purple-monitor keeps: see monitor.h, and base/jail.h for the order. Runs there as root, once. */
#include "base/build.h"

#include "audit/monitor_jail.h"

#include <errno.h>
#include <linux/bpf.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "audit/log.h"
#include "audit/monitor.h"
#include "base/jail.h"
#include "base/list.h"

static const struct jail_limit limits[] = {
	{ RLIMIT_NPROC, 0 },
	{ RLIMIT_NOFILE, 64 },
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
	{ RLIMIT_FSIZE, AUDIT_LOG_FILE_MAX },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, 1024ull << 20 },
#endif
};

static const int calls[] = {
	SCMP_SYS(accept4), SCMP_SYS(brk),	   SCMP_SYS(clock_gettime),
	SCMP_SYS(close),   SCMP_SYS(epoll_pwait),  SCMP_SYS(epoll_wait),
	SCMP_SYS(exit),	   SCMP_SYS(exit_group),   SCMP_SYS(pread64),
	SCMP_SYS(futex),   SCMP_SYS(getrandom),	   SCMP_SYS(madvise),
	SCMP_SYS(mremap),  SCMP_SYS(munmap),	   SCMP_SYS(poll),
	SCMP_SYS(ppoll),   SCMP_SYS(read),	   SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg), SCMP_SYS(rt_sigreturn), SCMP_SYS(restart_syscall),
	SCMP_SYS(write),
};

static int add_rules(void *filter, const void *arg)
{
	/* To whom a socket leads already. */
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				 SCMP_A4(SCMP_CMP_EQ, 0));

	return r < 0 ? r :
		       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
					SCMP_A0_32(SCMP_CMP_EQ, BPF_MAP_LOOKUP_ELEM));
}

int monitor_jail_enter(int (*probe)(void *arg), void *arg, struct err *e)
{
	int r = jail_limit(limits, ARRAY_SIZE(limits), e);

	if (r == 0)
		r = jail_become_nobody(e);
	if (r == 0)
		r = jail_drop_caps(probe, arg, e);
	if (r == 0)
		r = jail_close_doors(e);
	return r < 0 ? r : jail_load_filter(calls, ARRAY_SIZE(calls), add_rules, NULL, e);
}
