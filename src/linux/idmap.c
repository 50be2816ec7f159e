/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Id-mapped mounts, runtime side: a child makes a user namespace and waits, the runtime writes its
 * maps and takes a descriptor of the namespace, which then outlives the child.
 */
#include "linux/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/fs.h"

static void holder_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	*pid = -1;
}

/* The child: tells over the socket what unshare(2) gave, then waits for the other end to go. */
static _Noreturn void holder_run(int sock)
{
	int code = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	char c;

	if (write(sock, &code, sizeof(code)) != sizeof(code))
		_exit(1);
	while (read(sock, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static int write_map(pid_t pid, const char *file, const oci_id_mappings *maps, struct err *e)
{
	_free_ char *path = str_printf("/proc/%d/%s", (int)pid, file);
	_buf_free_ struct buf b = { 0 };
	int r;

	for (size_t i = 0; i < maps->n; i++)
		buf_addf(&b, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n",
			 maps->v[i].container_id, maps->v[i].host_id, maps->v[i].size);
	if (!path || b.failed || !b.s)
		return err_oom(e);
	r = fs_write_existing(AT_FDCWD, path, b.s);
	return r < 0 ? err_errno(e, r, "cannot write the %s of an id-mapped mount", file) :
		       0;
}

int idmap_open(const oci_id_mappings *uids, const oci_id_mappings *gids, struct err *e)
{
	__attribute__((cleanup(holder_end))) pid_t pid = -1;
	_close_ int ours = -1, theirs = -1;
	_free_ char *path = NULL;
	int pair[2], code = 0, fd, r;

	if (!uids->n || !gids->n)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "an id-mapped mount needs uidMappings and gidMappings, its own or "
			       "the container's");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = pair[0];
	theirs = pair[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		close(ours);
		holder_run(theirs);
	}
	fd_close(&theirs);
	if (read(ours, &code, sizeof(code)) != sizeof(code))
		return err_errno(e, ECHILD,
				 "cannot make a user namespace for an id-mapped mount");
	if (code)
		return err_errno(e, code,
				 "cannot make a user namespace for an id-mapped mount");
	r = write_map(pid, "uid_map", uids, e);
	if (r == 0)
		r = write_map(pid, "gid_map", gids, e);
	if (r < 0)
		return r;
	path = str_printf("/proc/%d/ns/user", (int)pid);
	if (!path)
		return err_oom(e);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "cannot open %s", path) : fd;
}

int idmap_apply(int tree_fd, int userns_fd, bool recursive)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP,
				.userns_fd = (uint64_t)userns_fd };
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return mount_setattr(tree_fd, "", flags, &a, sizeof(a)) < 0 ? -errno : 0;
}
