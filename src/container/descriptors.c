// SPDX-License-Identifier: Apache-2.0
/*
 * See descriptors.h. Runs in the runtime process.
 *
 * A socket stays in the network namespace and the control group of whoever made it. Neither the
 * container's own network nor the filter on its group holds for one that it is given, and any such
 * socket can be turned to another address. Sockets of AF_UNIX lead to whom the caller chose, and to
 * nobody else.
 */
#include "container/descriptors.h"

#include <errno.h>
#include <sys/socket.h>

static int check_one(const char *policy, unsigned int fd, struct err *e)
{
	socklen_t len = sizeof(int);
	int family = AF_UNSPEC;

	if (getsockopt((int)fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0) {
		/* One that is not open is somebody else's to complain of. */
		if (errno == ENOTSOCK || errno == EBADF)
			return 0;
		return err_sys(e, "cannot look at descriptor %u", fd);
	}
	if (family == AF_UNIX)
		return 0;
	return err_set(e, ERR_POLICY, EPERM,
		       "policy %s: network: descriptor %u is a socket of the host's network, "
		       "which no rule would hold for: it is not given to a container",
		       policy, fd);
}

int descriptors_check(const char *policy, bool terminal, unsigned int preserved,
		      struct err *e)
{
	int r = 0;

	for (unsigned int fd = terminal ? 3 : 0; r == 0 && fd < 3 + preserved; fd++)
		r = check_one(policy, fd, e);
	return r;
}
