/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See load.h. Runs in purple-network-load, with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (or
 * CAP_SYS_ADMIN) in the host's user namespace. Mustn't: leave half of the pins where others look.
 */
#include "network/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "network/filter_object.h"
#include "network/keep.h"
#include "network/object.h"
#include "network/pins.h"
#include "network/spare.h"
#include "network/tcx.h"

static int load_filter(struct bpf_object **ret, struct err *e)
{
	const struct object filter = { "purple_network", "the network filter",
				       network_filter_object, network_filter_object_end,
				       "allowed" };

	return object_load(&filter, ret, e);
}

static int make_below(const char *folder, const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", folder, name);

	return path ? object_make_folder(path, e) : err_oom(e);
}

/* For network/wire.c. Without it, devices have filters by a number instead. */
static int set_home(const struct bpf_object *object, struct err *e)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(object, "home");
	_close_ int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	uint32_t zero = 0;
	int r;

	if (sock < 0)
		return err_sys(e, "cannot make a socket");
	cookie = network_tcx_namespace(sock);
	r = map ? kbpf_map_update(bpf_map__fd(map), &zero, &cookie, BPF_ANY) : -ENOENT;
	return r < 0 ? err_errno(e, r, "cannot set the map 'home'") : 0;
}

static int load_at(const char *folder, struct err *e)
{
	_free_ char *made = str_printf(NETWORK_PINS "/new");
	static const char *const folders[] = { "spare", "containers", "trash" };
	struct bpf_object *object = NULL;
	int r;

	if (!made)
		return err_oom(e);
	r = fs_remove_tree(AT_FDCWD, made, e);
	if (r < 0)
		return r;
	r = load_filter(&object, e);
	if (r < 0)
		return r;
	r = object_make_folder(made, e);
	if (r == 0)
		r = set_home(object, e);
	if (r == 0)
		r = object_pin_all(object, made, e);
	for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
		r = make_below(made, folders[i], e);
	if (r == 0)
		r = network_spare_tidy(made, e);
	if (r == 0 && rename(made, folder) < 0)
		r = err_sys(e, "cannot rename '%s' to '%s'", made, folder);
	if (r < 0) {
		struct err ignored;

		fs_remove_tree(AT_FDCWD, made, &ignored);
	}
	bpf_object__close(object);
	return r;
}

/* Other builds' programs go when no container has them any more. */
static void remove_unused(const char *own)
{
	_closedir_ DIR *d = opendir(NETWORK_PINS);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_free_ char *folder = str_printf(NETWORK_PINS "/%s", entry->d_name);
		_free_ char *containers = str_printf("%s/containers", folder ? folder : "");
		struct err ignored;

		if (!folder || !containers || entry->d_name[0] == '.' || streq(folder, own))
			continue;
		network_spare_tidy(folder, &ignored);
		/* Works on an empty one alone; after it no container can come in. */
		if (rmdir(containers) == 0)
			fs_remove_tree(AT_FDCWD, folder, &ignored);
	}
}

int network_load(struct err *e)
{
	const char *own = network_pins_own();
	_close_ int lock = -1;
	int r;

	r = network_pins_check(e);
	if (r == 0)
		r = object_make_folder(NETWORK_PINS, e);
	if (r < 0)
		return r;
	lock = open(NETWORK_PINS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return err_sys(e, "cannot open '" NETWORK_PINS "'");
	if (flock(lock, LOCK_EX) < 0)
		return err_sys(e, "cannot lock '" NETWORK_PINS "'");
	if (access(own, F_OK) < 0) {
		r = load_at(own, e);
		if (r < 0)
			return r;
		network_keep(own);
		remove_unused(own);
		return 0;
	}
	network_keep(own);
	return network_spare_tidy(own, e);
}
