/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the network filter denies, found out from inside: see filter.h. Runs in a container's
 * init, or in a child of the runtime that is born in the group, inherits the caller's other state,
 * and does nothing but make a socket and send.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "network/filter.h"

/* Exit status of the child: 0, it was denied; else an errno, or one of these. */
#define SENT 254
#define NO_SOCKET 253

static int try_to_send(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(NETWORK_SELF_TEST_PORT & 0xffff),
				  .sin_addr.s_addr = htonl(NETWORK_SELF_TEST_ADDRESS) };
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return NO_SOCKET;
	if (sendto(fd, "", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) >= 0)
		return SENT;
	return errno == EPERM ? 0 : errno;
}

static int judge(int code, struct err *e)
{
	if (code == 0)
		return 0;
	if (code == SENT)
		return err_set(e, ERR_KERNEL, EPROTO,
			       "the network filter does not hold: a datagram that it has to deny was "
			       "sent");
	if (code == NO_SOCKET)
		return err_set(e, ERR_KERNEL, EPROTO,
			       "the network filter's test could not make a socket");
	return err_errno(e, code,
			 "the network filter's test failed otherwise than with EPERM");
}

int network_filter_test_here(struct err *e)
{
	return judge(try_to_send(), e);
}

int network_filter_self_test(int cgroup, struct err *e)
{
	struct clone_args args;
	int status;
	pid_t pid;

	memset(&args, 0, sizeof(args));
	args.flags = CLONE_INTO_CGROUP;
	args.exit_signal = SIGCHLD;
	args.cgroup = (uint64_t)cgroup;
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return err_sys(e, "network filter: cannot start a process in the group");
	if (pid == 0)
		_exit(try_to_send());
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, "network filter: cannot wait for its test");
	return judge(WIFEXITED(status) ? WEXITSTATUS(status) : EIO, e);
}
