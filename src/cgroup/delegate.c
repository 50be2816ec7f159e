/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving a cgroup2 group to a user, who may then make groups below it and move processes there, and
 * change none of its limits. Runs in the runtime process.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/internal.h"

/* The kernel's list of the files that go with a group: one a line. */
#define DELEGATE "/sys/kernel/cgroup/delegate"
#define DELEGATE_MAX (1 << 16)

int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct err *e)
{
	_free_ char *text = NULL;
	_close_ int dir = -1;
	char *name, *save = NULL;
	struct err ignored;

	dir = open(cg->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(e, "cannot open cgroup '%s'", cg->unified);
	if (fs_read(AT_FDCWD, DELEGATE, DELEGATE_MAX, &text, NULL, &ignored) < 0)
		text = strdup("cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n");
	if (!text)
		return err_oom(e);
	if (fchown(dir, uid, (gid_t)-1) < 0)
		return err_sys(e, "cannot give cgroup '%s' to user %u", cg->unified, uid);
	for (name = strtok_r(text, "\n", &save); name; name = strtok_r(NULL, "\n", &save))
		if (fchownat(dir, name, uid, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			return err_sys(e, "cannot give '%s/%s' to user %u", cg->unified,
				       name, uid);
	return 0;
}
