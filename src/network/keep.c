/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See keep.h. Runs in purple-network-load, which holds the lock. The group's storage is never
 * written: should a process get into it, it has no network.
 */
#include "network/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "network/pins.h"

/* Not named like a container's, which start with "purple-". */
#define GROUP "purple_network"

/* Where cgroup2 is mounted: alone, or beside version 1. */
static int open_root(void)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		_close_ int fd = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd >= 0 && fstatfs(fd, &fs) == 0 &&
		    (unsigned long)fs.f_type == CGROUP2_SUPER_MAGIC)
			return take_fd(&fd);
	}
	return -ENOENT;
}

static int attach(const char *pins, const char *kept, size_t hook, int group)
{
	const struct network_hook_point *h = &network_hooks[hook];
	_free_ char *from = str_printf("%s/%s", pins, h->name);
	_free_ char *to = str_printf("%s/%s", kept, h->name);
	_close_ int program = -1, link = -1;

	if (!from || !to)
		return -ENOMEM;
	program = kbpf_get(from);
	if (program < 0)
		return program;
	link = kbpf_link_create(program, group, h->type);
	return link < 0 ? link : kbpf_pin(link, to);
}

void network_keep(const char *pins)
{
	_close_ int root = open_root(), group = -1;
	_free_ char *kept = str_printf("%s/kept", pins);
	struct err ignored;
	int made;

	if (root < 0 || !kept)
		return;
	made = mkdirat(root, GROUP, 0755);
	/* Of a group that was taken away by somebody the links hold nothing any more. */
	if (made == 0)
		fs_remove_tree(AT_FDCWD, kept, &ignored);
	else if (errno != EEXIST)
		return;
	if (mkdir(kept, 0700) < 0)
		return;
	group = openat(root, GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; group >= 0 && i < NETWORK_HOOKS; i++)
		if (attach(pins, kept, i, group) < 0)
			break;
}
