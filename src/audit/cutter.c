/* SPDX-License-Identifier: Apache-2.0 */
/* See cutter.h. What it has is a socket for sock_diag(7) in the container's network namespace. */
#include "base/build.h"

#include "audit/cutter.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/helper.h"
#include "base/jail.h"
#include "base/list.h"
#include "network/cut.h"

static const struct jail_limit limits[] = {
	{ RLIMIT_NPROC, 0 },	     { RLIMIT_NOFILE, 0 },  { RLIMIT_CORE, 0 },
	{ RLIMIT_FSIZE, 0 },	     { RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, 256ull << 20 },
#endif
};

static const int calls[] = {
	SCMP_SYS(brk),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(recvfrom),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(write),
};

/* To whom the two sockets lead already. */
static int add_rules(void *filter, const void *arg)
{
	const int *from = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && i < 2; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
				     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)from[i]),
				     SCMP_A4(SCMP_CMP_EQ, 0));
	return r;
}

static int enter_jail(int ours, int sock, struct err *e)
{
	const uint64_t net_admin = 1ULL << CAP_NET_ADMIN;
	int r = fd_close_all_but(0, (const int[]){ ours, sock }, 2, e);

	if (r == 0)
		r = jail_limit(limits, ARRAY_SIZE(limits), e);
	if (r == 0)
		r = jail_become_nobody(e);
	if (r == 0)
		r = jail_set_caps(net_admin, net_admin, e);
	if (r == 0)
		r = jail_close_doors(e);
	return r < 0 ? r :
		       jail_load_filter(calls, ARRAY_SIZE(calls), add_rules,
					(const int[]){ ours, sock }, e);
}

static void __attribute__((noreturn)) cut(int ours, int sock)
{
	struct network_event event;
	struct err e = {};
	ssize_t n;

	if (enter_jail(ours, sock, &e) < 0) {
		(void)!send(ours, e.msg, strlen(e.msg), MSG_NOSIGNAL);
		_exit(EXIT_FAILURE);
	}
	if (send(ours, "", 1, MSG_NOSIGNAL) != 1)
		_exit(EXIT_FAILURE);
	while ((n = recv(ours, &event, sizeof(event), 0)) != 0) {
		if (n < 0 && errno != EINTR)
			_exit(EXIT_FAILURE);
		/* One that is not found or not ended hangs as it would without us. */
		if (n == sizeof(event))
			(void)!network_cut(sock, &event, &e);
	}
	_exit(EXIT_SUCCESS);
}

int audit_cutter_start(int sock, int *ret_fd, struct err *e)
{
	int ours = -1;
	pid_t pid = helper_fork(&ours, e);

	if (pid < 0)
		return pid;
	if (pid == 0)
		cut(ours, sock);
	*ret_fd = ours;
	return 0;
}

int audit_cutter_wait(int fd, struct err *e)
{
	char text[sizeof(e->msg)];
	ssize_t n;

	do
		n = recv(fd, text, sizeof(text) - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n == 1 && text[0] == '\0')
		return 0;
	text[n > 0 ? n : 0] = '\0';
	return err_set(e, ERR_KERNEL, EIO, "cannot start who ends connections: %s",
		       n > 0 ? text : "it died");
}
