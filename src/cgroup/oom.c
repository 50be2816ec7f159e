/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hearing of a group that is out of memory, for hosts whose memory limits are cgroup v1. There the
 * kernel kills one process and no setting makes it kill the group, as memory.oom.group does in v2.
 * Runs in the process that stands in front of a container.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* The kernel's interface of cgroup v1: "EVENTFD FD-OF-FILE" (admin-guide/cgroup-v1/memory, 10). */
int cgroup_watch_oom(const struct cgroup *cg, int *ret_fd, struct err *e)
{
	const char *dir = strmap_get(&cg->v1, "memory");
	_close_ int event = -1, control = -1;
	_free_ char *path = NULL;
	char text[32];
	int r;

	*ret_fd = -1;
	if (!dir)
		return 0;
	path = fs_join(dir, "memory.oom_control");
	if (!path)
		return err_oom(e);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event < 0)
		return err_sys(e, "cannot make an event descriptor");
	control = open(path, O_RDONLY | O_CLOEXEC);
	if (control < 0)
		return err_sys(e, "cannot open '%s'", path);
	snprintf(text, sizeof(text), "%d %d", event, control);
	r = cgroup_write(dir, "cgroup.event_control", text);
	if (r < 0)
		return err_errno(e, r, "cannot watch '%s'", path);
	*ret_fd = take_fd(&event);
	return 0;
}
