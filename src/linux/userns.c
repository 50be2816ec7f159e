/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User namespaces: id maps, and the namespace that gives an ordinary caller CAP_SYS_ADMIN over
 * mounts of its own. Runs in the runtime, before and right after the clone. See ns.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "linux/ns.h"

static int write_map(pid_t pid, const char *file, const oci_id_mappings *maps, struct err *e)
{
	_buf_free_ struct buf text = {};
	char path[64];
	int r;

	for (size_t i = 0; i < maps->n; i++)
		buf_addf(&text, "%u %u %u\n", maps->v[i].container_id, maps->v[i].host_id,
			 maps->v[i].size);
	if (text.failed)
		return err_oom(e);
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	r = fs_write_existing(AT_FDCWD, path, text.len ? text.s : "");
	if (r == -EPERM && geteuid() != 0)
		return err_errno(e, r,
				 "cannot write %s: an ordinary user may map only the own id, once",
				 file);
	return r < 0 ? err_errno(e, r, "cannot write %s", file) : 0;
}

int userns_write_maps(pid_t pid, const oci_id_mappings *uids, const oci_id_mappings *gids,
		      struct err *e)
{
	char path[64];
	int r;

	r = write_map(pid, "uid_map", uids, e);
	if (r < 0)
		return r;
	r = write_map(pid, "gid_map", gids, e);
	if (r != -EPERM)
		return r;
	/* Without CAP_SETGID in the parent's namespace, setgroups has to be given up first. */
	snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)pid);
	r = fs_write_existing(AT_FDCWD, path, "deny");
	if (r < 0)
		return err_errno(e, r, "cannot write setgroups");
	return write_map(pid, "gid_map", gids, e);
}

static bool has_sys_admin(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = {};

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	return d[0].effective & (1u << CAP_SYS_ADMIN);
}

int userns_gain_admin(bool *ret_entered, struct err *e)
{
	oci_id_mappings uids = {}, gids = {};
	struct oci_id_mapping uid = { geteuid(), geteuid(), 1 };
	struct oci_id_mapping gid = { getegid(), getegid(), 1 };
	int r;

	*ret_entered = false;
	if (has_sys_admin())
		return 0;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_sys(e, "cannot make a user namespace (as an ordinary user; is "
				  "/proc/sys/user/max_user_namespaces 0?)");
	uids.v = &uid;
	gids.v = &gid;
	uids.n = gids.n = 1;
	r = userns_write_maps(getpid(), &uids, &gids, e);
	if (r < 0)
		return r;
	*ret_entered = true;
	return 0;
}

bool userns_is_nested(void)
{
	_free_ char *text = NULL;
	unsigned int inside, outside, size;
	struct err e;

	if (fs_read(AT_FDCWD, "/proc/self/uid_map", 4096, &text, NULL, &e) < 0)
		return false;
	if (sscanf(text, "%u %u %u", &inside, &outside, &size) != 3)
		return true;
	return inside != 0 || outside != 0 || size != UINT32_MAX;
}
