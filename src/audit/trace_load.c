/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See trace_load.h. Runs in purple-network-load, with CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) in
 * the host's user namespace. Maps are made in advance since to put one into a map of maps waits
 * for a grace period of RCU. Mustn't: leave half of the pins where others look.
 */
#include "audit/trace_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/trace_object.h"
#include "audit/trace_pins.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "bpf/audit.h"
#include "network/object.h"
#include "network/pins.h"

/* Each has 5.4 MB of the kernel's memory. */
#define SPARES 2
#define BACKGROUND 10 /* as nice(1) has it */

static int open_outer(const char *pins, size_t map, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", pins, trace_maps[map].outer);
	int fd = path ? kbpf_get(path) : -ENOMEM;

	return fd < 0 ? err_errno(e, fd, "cannot open '%s'", path ? path : pins) : fd;
}

/* Out of the maps of maps, as far as it is there. */
static int forget_key(const char *pins, uint64_t key, struct err *e)
{
	for (size_t i = 0; i < TRACE_MAPS; i++) {
		_close_ int outer = open_outer(pins, i, e);
		uint64_t full = key | trace_maps[i].key_bits;
		int r = outer;

		if (r >= 0)
			r = kbpf_map_delete(outer, &full);
		if (r < 0 && r != -ENOENT)
			return err_errno(e, r, "cannot take the maps of a container away");
	}
	return 0;
}

static int make_map(const char *pins, const char *folder, size_t map, uint64_t key,
		    struct err *e)
{
	_free_ char *path = str_printf("%s/%s", folder, trace_maps[map].name);
	uint64_t full = key | trace_maps[map].key_bits;
	_close_ int outer = open_outer(pins, map, e), fd = -1;
	int r;

	if (!path)
		return err_oom(e);
	if (outer < 0)
		return outer;
	fd = kbpf_map_create(&trace_maps[map].shape, trace_maps[map].name);
	if (fd < 0)
		return err_errno(e, fd, "cannot make the map '%s'", trace_maps[map].name);
	r = kbpf_map_update(outer, &full, &fd, BPF_NOEXIST);
	if (r == 0)
		r = kbpf_pin(fd, path);
	return r < 0 ? err_errno(e, r, "cannot make '%s'", path) : 0;
}

/* Made in the trash, so that what is cut off in the middle of it goes with the next one who tidies. */
static int make_spare(const char *pins, struct err *e)
{
	_free_ char *made = NULL, *path = NULL;
	uint64_t key;
	int r = 0;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		return err_sys(e, "getrandom");
	key = (key & ~TRACE_KEY_BULK) | 2; /* never 0 */
	made = str_printf("%s/trash/%" PRIx64, pins, key);
	path = str_printf("%s/spare/%" PRIx64, pins, key);
	if (!made || !path)
		return err_oom(e);
	if (mkdir(made, 0700) < 0)
		return err_sys(e, "cannot make '%s'", made);
	for (size_t i = 0; r == 0 && i < TRACE_MAPS; i++)
		r = make_map(pins, made, i, key, e);
	if (r == 0 && rename(made, path) < 0)
		r = err_sys(e, "cannot rename '%s' to '%s'", made, path);
	return r;
}

/* The folders of `dir`, whose names are keys: how many; those after the first `keep` go. */
static int trim(const char *pins, const char *dir, size_t keep, size_t *ret_left,
		struct err *e)
{
	_closedir_ DIR *d = opendir(dir);
	const struct dirent *entry;
	size_t n = 0;
	int r = 0;

	if (!d)
		return err_sys(e, "cannot read '%s'", dir);
	while (r == 0 && (entry = readdir(d))) {
		_free_ char *path = str_printf("%s/%s", dir, entry->d_name);

		if (!path)
			return err_oom(e);
		if (entry->d_name[0] == '.' || n++ < keep)
			continue;
		r = forget_key(pins, strtoull(entry->d_name, NULL, 16), e);
		if (r == 0)
			r = fs_remove_tree(AT_FDCWD, path, e);
	}
	if (ret_left)
		*ret_left = n < keep ? n : keep;
	return r;
}

/* Empties the trash, and has `spares` maps ready. */
static int tidy(const char *pins, size_t spares, struct err *e)
{
	_free_ char *spare = str_printf("%s/spare", pins);
	_free_ char *trash = str_printf("%s/trash", pins);
	size_t n = 0;
	int r;

	if (!spare || !trash)
		return err_oom(e);
	r = trim(pins, trash, 0, NULL, e);
	if (r == 0)
		r = trim(pins, spare, spares, &n, e);
	/* Nobody waits while there are some: the next container's start goes first. */
	if (r == 0 && n)
		(void)!nice(BACKGROUND);
	for (; r == 0 && n < spares; n++)
		r = make_spare(pins, e);
	return r;
}

static int make_folders(const char *pins, struct err *e)
{
	static const char *const names[] = { "", "links", "spare", "containers", "trash" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++) {
		_free_ char *path = str_printf("%s/%s", pins, names[i]);

		r = path ? object_make_folder(path, e) : err_oom(e);
	}
	return r;
}

static int load_at(const char *folder, struct err *e)
{
	const struct object programs = { "purple_trace", "tracing", trace_object,
					 trace_object_end };
	struct bpf_object *object = NULL;
	struct err ignored;
	int r = fs_remove_tree(AT_FDCWD, TRACE_PINS "/new", e);

	if (r == 0)
		r = object_load(&programs, &object, e);
	if (r < 0)
		return r;
	r = make_folders(TRACE_PINS "/new", e);
	if (r == 0)
		r = object_pin_all(object, TRACE_PINS "/new", e);
	if (r == 0)
		r = tidy(TRACE_PINS "/new", SPARES, e);
	if (r == 0 && rename(TRACE_PINS "/new", folder) < 0)
		r = err_sys(e, "cannot rename '" TRACE_PINS "/new' to '%s'", folder);
	if (r < 0)
		fs_remove_tree(AT_FDCWD, TRACE_PINS "/new", &ignored);
	bpf_object__close(object);
	return r;
}

/* Other builds' programs go when no container has them any more. */
static void remove_unused(const char *own)
{
	_closedir_ DIR *d = opendir(TRACE_PINS);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_free_ char *folder = str_printf(TRACE_PINS "/%s", entry->d_name);
		_free_ char *containers = folder ? str_printf("%s/containers", folder) :
						   NULL;
		struct err ignored;

		if (!containers || entry->d_name[0] == '.' || streq(folder, own))
			continue;
		/* Works on an empty one alone; after it no container can come in. */
		if (rmdir(containers) == 0)
			fs_remove_tree(AT_FDCWD, folder, &ignored);
	}
}

int trace_load(struct err *e)
{
	const char *own = trace_pins_own();
	_close_ int lock = -1;
	int r;

	r = network_pins_check(e);
	if (r == 0)
		r = object_make_folder(TRACE_PINS, e);
	if (r < 0)
		return r;
	lock = open(TRACE_PINS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return err_sys(e, "cannot open '" TRACE_PINS "'");
	if (flock(lock, LOCK_EX) < 0)
		return err_sys(e, "cannot lock '" TRACE_PINS "'");
	if (access(own, F_OK) == 0)
		return tidy(own, SPARES, e);
	r = load_at(own, e);
	if (r == 0)
		remove_unused(own);
	return r;
}
