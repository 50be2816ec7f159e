/* SPDX-License-Identifier: Apache-2.0 */
/* See pidfd.h. Runs in the runtime, in the host's namespaces with the caller's privileges. */
#include "container/pidfd.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"

int pidfd_send(pid_t pid, const char *path, const char *text, struct err *e)
{
	/* Neither is made before the child: it would inherit them, and a container's init keeps
	 * what it has until it is started. */
	_close_ int sock = -1, fd = (int)syscall(SYS_pidfd_open, pid, 0);
	int r;

	if (fd < 0)
		return err_sys(e, "cannot open a pidfd of the process");
	r = socket_connect(path, SOCK_STREAM, "--pidfd-socket", &sock, e);
	if (r < 0)
		return r;
	r = socket_send_fd(sock, fd, text);
	if (r < 0)
		return err_errno(e, r, "cannot send the pidfd to --pidfd-socket '%s'", path);
	return 0;
}
