/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See filter.h; the programs' theory of operation stands in bpf/network_filter.bpf.c. What holds
 * here is the order: maps first, then links, then the group's storage, which says whose maps hold.
 * At any moment before, and with any of it missing, the programs deny.
 */
#include "network/filter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "network/fill.h"
#include "network/loader.h"

#define MAKE_TRIES 8

/* "OWN/containers/NAME" or a file in it. */
static char *container_path(const char *name, const char *file)
{
	return str_printf("%s/containers/%s%s%s", network_pins_own(), name,
			  file ? "/" : "", file ? file : "");
}

static char *generation_path(const char *name, uint64_t key, const char *map)
{
	return str_printf("%s/containers/%s/%" PRIx64 "%s%s", network_pins_own(), name,
			  key, map ? "/" : "", map ? map : "");
}

/* Opens a map or program of the build itself. */
static int open_own(const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", network_pins_own(), name);
	int fd = path ? kbpf_get(path) : -ENOMEM;

	if (fd < 0)
		return err_errno(e, fd, "network filter: cannot open '%s'",
				 path ? path : name);
	return fd;
}

static int escape(const char *name, char ret[NETWORK_FILTER_NAME_MAX + 1], struct err *e)
{
	if (network_pins_escape(name, ret, NETWORK_FILTER_NAME_MAX + 1))
		return 0;
	return err_set(e, ERR_INTERNAL, EINVAL, "network filter: odd name '%s'", name);
}

void network_filter_clear(struct network_filter *f)
{
	for (int i = 0; i < NETWORK_MAPS; i++)
		fd_close(&f->maps[i]);
}

/* Moves a spare to where the container's maps are: its key, or -ENOENT when there is none. */
static int claim_spare(const char *name, uint64_t *ret_key, struct err *e)
{
	_free_ char *dir = str_printf("%s/spare", network_pins_own());
	_closedir_ DIR *d = dir ? opendir(dir) : NULL;
	const struct dirent *entry;

	if (!d)
		return err_sys(e, "network filter: cannot read '%s'", dir ? dir : "spare");
	while ((entry = readdir(d))) {
		_free_ char *from = NULL, *to = NULL;
		uint64_t key;
		char *end;

		if (entry->d_name[0] == '.')
			continue;
		key = strtoull(entry->d_name, &end, 16);
		if (*end || key == 0)
			continue;
		from = str_printf("%s/%s", dir, entry->d_name);
		to = generation_path(name, key, NULL);
		if (!from || !to)
			return err_oom(e);
		if (rename(from, to) == 0) {
			*ret_key = key;
			return 0;
		}
		/* Another one was quicker. */
		if (errno != ENOENT)
			return err_sys(e, "network filter: cannot rename '%s' to '%s'",
				       from, to);
	}
	return err_set(e, ERR_KERNEL, ENOENT, "network filter: no maps are left in '%s'",
		       dir);
}

static int claim(const char *name, uint64_t *ret_key, struct err *e)
{
	int r = -ENOENT;

	/* Many containers at a time may take what one run has made. */
	for (int i = 0; i < MAKE_TRIES && r == -ENOENT; i++) {
		if (i > 0) {
			r = network_loader_run(e);
			if (r < 0)
				return r;
		}
		r = claim_spare(name, ret_key, e);
	}
	return r;
}

static int open_maps(const char *name, uint64_t key, int maps[NETWORK_MAPS], struct err *e)
{
	for (int i = 0; i < NETWORK_MAPS; i++) {
		_free_ char *path = generation_path(name, key, network_map_names[i]);

		if (!path)
			return err_oom(e);
		maps[i] = kbpf_get(path);
		if (maps[i] < 0)
			return err_errno(e, maps[i], "network filter: cannot open '%s'",
					 path);
	}
	return 0;
}

/* Puts another map in the place of the spare's: one that is larger, or the ring of before. */
static int replace_map(struct network_filter *f, enum network_map which, int map,
		       struct err *e)
{
	const char *name = network_map_names[which];
	_free_ char *path = generation_path(f->name, f->config.key, name);
	_close_ int outer = open_own(name, e);
	int r;

	if (!path)
		return err_oom(e);
	if (outer < 0)
		return outer;
	r = kbpf_map_update(outer, &f->config.key, &map, BPF_ANY);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot set the map '%s'", name);
	if (unlink(path) < 0)
		return err_sys(e, "network filter: cannot remove '%s'", path);
	r = kbpf_pin(map, path);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot pin '%s'", path);
	fd_close(&f->maps[which]);
	f->maps[which] = map;
	return 0;
}

static int enlarge(struct network_filter *f, enum network_map which, size_t n, struct err *e)
{
	struct kbpf_map_shape shape = network_map_shapes[which];
	int map, r;

	if (n <= shape.max_entries)
		return 0;
	if (n > UINT32_MAX)
		return err_set(e, ERR_POLICY, E2BIG, "network filter: too many rules");
	shape.max_entries = (uint32_t)n;
	map = kbpf_map_create(&shape, network_map_names[which]);
	if (map < 0)
		return err_errno(e, map, "network filter: cannot make the map '%s'",
				 network_map_names[which]);
	r = replace_map(f, which, map, e);
	if (r < 0)
		fd_close(&map);
	return r;
}

static int fill(struct network_filter *f, const struct network_tables *tables, struct err *e)
{
	int r;

	f->config.rules = (uint32_t)tables->rules.n;
	r = enlarge(f, NETWORK_MAP_RANGES, tables->ranges.n, e);
	if (r == 0)
		r = enlarge(f, NETWORK_MAP_HITS, tables->rules.n + NETWORK_RULES_SPECIAL, e);
	if (r == 0)
		r = network_fill(tables, f->maps, e);
	return r;
}

/* The folder is there; the rest of network_filter_make() and of make_next(). */
static int make_generation(const struct network_tables *tables, struct network_filter *f,
			   struct err *e)
{
	uint64_t key = 0;
	int r;

	f->config = tables->config;
	r = claim(f->name, &key, e);
	if (r < 0)
		return r;
	f->config.key = key;
	r = open_maps(f->name, key, f->maps, e);
	return r < 0 ? r : fill(f, tables, e);
}

/* Maps that nobody is to use any more: for the next one who tidies. */
static int throw_away(const char *own, const char *path, const char *key, struct err *e)
{
	_free_ char *trash = str_printf("%s/trash/%s", own, key);

	if (!trash)
		return err_oom(e);
	if (rename(path, trash) < 0 && errno != ENOENT)
		return err_sys(e, "network filter: cannot rename '%s' to '%s'", path, trash);
	return 0;
}

void network_filter_drop(struct network_filter *f)
{
	struct err ignored;

	if (f->config.key) {
		_free_ char *path = generation_path(f->name, f->config.key, NULL);
		char key[32];

		snprintf(key, sizeof(key), "%" PRIx64, (uint64_t)f->config.key);
		if (path)
			throw_away(network_pins_own(), path, key, &ignored);
	}
	network_filter_clear(f);
}

int network_filter_make(const struct network_tables *tables, const char *name,
			struct network_filter *ret, struct err *e)
{
	struct network_filter f = NETWORK_FILTER_EMPTY;
	_free_ char *dir = NULL;
	int r = escape(name, f.name, e);

	if (r < 0)
		return r;
	r = network_loader_ensure(e);
	if (r < 0)
		return r;
	dir = container_path(f.name, NULL);
	if (!dir)
		return err_oom(e);
	if (mkdir(dir, 0700) < 0)
		return err_sys(e, "network filter: cannot make '%s'", dir);
	r = make_generation(tables, &f, e);
	if (r < 0) {
		network_filter_drop(&f);
		rmdir(dir);
		return r;
	}
	f.config.generation = 1;
	*ret = f;
	return 0;
}

static int check_group(int cgroup, uint64_t *ret_id, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(cgroup, &fs) < 0 || fstat(cgroup, &st) < 0)
		return err_sys(e, "network filter: cannot look at the container's group");
	if ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "the network filter needs a group of cgroup2 (a host with cgroup v1 "
			       "alone has none)");
	/* Its number is its id. Number 1 is the root: the whole host. */
	if (st.st_ino <= 1)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "the network filter needs a group of the container's own, not the root "
			       "group");
	*ret_id = st.st_ino;
	return 0;
}

static int attach_hook(const char *name, size_t hook, int cgroup, struct err *e)
{
	_close_ int program = open_own(network_hooks[hook].name, e), link = -1;
	_free_ char *path = container_path(name, network_hooks[hook].name);
	struct bpf_prog_info info;
	int r;

	if (program < 0)
		return program;
	if (!path)
		return err_oom(e);
	link = kbpf_link_create(program, cgroup, network_hooks[hook].type);
	if (link < 0)
		return err_errno(e, link, "network filter: cannot attach '%s' to the group",
				 network_hooks[hook].name);
	r = kbpf_pin(link, path);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot pin '%s'", path);
	r = kbpf_info(program, &info, sizeof(info));
	if (r == 0)
		r = kbpf_is_attached(cgroup, network_hooks[hook].type, info.id);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot see whether '%s' is attached",
				 network_hooks[hook].name);
	if (r == 0)
		return err_set(e, ERR_KERNEL, ENOENT,
			       "network filter: '%s' is not attached, though the kernel said so",
			       network_hooks[hook].name);
	return 0;
}

/* For the devices, then for the group: from here on these rules hold. */
static int publish(const struct network_filter *f, struct err *e)
{
	_close_ int configs = open_own("configs", e), storage = -1;
	int r;

	if (configs < 0)
		return configs;
	storage = open_own("storage", e);
	if (storage < 0)
		return storage;
	r = kbpf_map_update(configs, &f->config.key, &f->config, BPF_ANY);
	if (r == 0)
		r = kbpf_map_update(storage, &f->cgroup, &f->config, BPF_EXIST);
	return r < 0 ? err_errno(e, r, "network filter: cannot set the rules of the group") :
		       0;
}

int network_filter_attach(struct network_filter *f, int cgroup, uint16_t dns_port,
			  struct err *e)
{
	uint64_t id = 0;
	int r = check_group(cgroup, &id, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < NETWORK_HOOKS; i++) {
		r = attach_hook(f->name, i, cgroup, e);
		if (r < 0)
			return r;
	}
	f->cgroup = id;
	f->config.cgroup = id;
	f->config.dns_port = dns_port;
	return publish(f, e);
}

int network_filter_set_dns_port(struct network_filter *f, uint16_t port, struct err *e)
{
	f->config.dns_port = port;
	return publish(f, e);
}

/* The group that a link below `dir` is attached to; 0: none any more. */
static int group_of_link(const char *dir, size_t hook, uint64_t *ret, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", dir, network_hooks[hook].name);
	_close_ int link = path ? kbpf_get(path) : -ENOMEM;
	struct bpf_link_info info;
	int r;

	if (link < 0)
		return err_errno(e, link, "network filter: cannot open '%s'",
				 path ? path : dir);
	r = kbpf_info(link, &info, sizeof(info));
	if (r < 0)
		return err_errno(e, r, "network filter: cannot look at '%s'", path);
	*ret = info.cgroup.cgroup_id;
	return 0;
}

/*
 * The group of a filter, as one of its links says: somebody may have taken others off. 0: it is
 * gone. *ret_missing: hooks that have no link to it, if not NULL.
 */
static int group_of(const char *dir, uint64_t *ret, unsigned int *ret_missing, struct err *e)
{
	unsigned int missing = 0;
	uint64_t group = 0;
	bool found = false;

	for (size_t i = 0; i < NETWORK_HOOKS; i++) {
		uint64_t id = 0;

		if (group_of_link(dir, i, &id, e) == 0)
			found = true;
		if (id)
			group = id;
		else
			missing++;
		if (group && !ret_missing)
			break;
	}
	if (!found)
		return -e->code;
	*ret = group;
	if (ret_missing)
		*ret_missing = missing;
	return 0;
}

int network_filter_open(const char *name, struct network_filter *ret, struct err *e)
{
	struct network_filter f = NETWORK_FILTER_EMPTY;
	_close_ int storage = -1;
	_free_ char *dir = NULL;
	int r = escape(name, f.name, e);

	if (r < 0)
		return r;
	dir = container_path(f.name, NULL);
	if (!dir)
		return err_oom(e);
	r = group_of(dir, &f.cgroup, NULL, e);
	if (r < 0)
		return r;
	storage = open_own("storage", e);
	if (storage < 0)
		return storage;
	r = kbpf_map_lookup(storage, &f.cgroup, &f.config);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot read the rules of the group");
	if (!f.config.key)
		return err_set(e, ERR_STATE, ENODATA,
			       "network filter: '%s' was never attached as a whole", name);
	r = open_maps(f.name, f.config.key, f.maps, e);
	if (r < 0)
		network_filter_clear(&f);
	else
		*ret = f;
	return r;
}

static int add_learned(const struct network_address *address,
		       const struct network_name *name, void *arg, struct err *e)
{
	const struct network_filter *f = arg;
	int r = kbpf_map_update(f->maps[NETWORK_MAP_NAMES], address, name, BPF_ANY);

	return r < 0 ? err_errno(e, r, "network: cannot keep the learned names") : 0;
}

int network_filter_make_next(const struct network_tables *now,
			     const struct network_tables *tables, const char *name,
			     struct network_filter *ret, struct err *e)
{
	struct network_filter old = NETWORK_FILTER_EMPTY, f = NETWORK_FILTER_EMPTY;
	int r = network_filter_open(name, &old, e), ring;

	if (r < 0)
		return r;
	memcpy(f.name, old.name, sizeof(f.name));
	r = make_generation(tables, &f, e);
	if (r == 0) {
		f.cgroup = old.cgroup;
		f.config.cgroup = old.cgroup;
		f.config.generation = old.config.generation + 1;
		f.config.dns_port = old.config.dns_port;
		if (now)
			r = network_fill_learned(now, tables, old.maps[NETWORK_MAP_NAMES],
						 add_learned, &f, e);
	}
	if (r == 0) {
		ring = take_fd(&old.maps[NETWORK_MAP_RINGS]);
		r = replace_map(&f, NETWORK_MAP_RINGS, ring, e);
		if (r < 0)
			fd_close(&ring);
	}
	network_filter_clear(&old);
	if (r < 0)
		network_filter_drop(&f);
	else
		*ret = f;
	return r;
}

/* Wires of one key get another; `to` 0: they are forgotten, and so deny. */
static int rekey_wires(uint64_t from, uint64_t to, struct err *e)
{
	_close_ int wires = open_own("wires", e);
	uint32_t slot, next;
	const uint32_t *at = NULL;
	int r = wires;

	if (wires < 0)
		return wires;
	while ((r = kbpf_map_next(wires, at, &next)) == 0) {
		struct network_wire wire;

		slot = next;
		at = &slot;
		if (kbpf_map_lookup(wires, &slot, &wire) < 0 || wire.key != from)
			continue;
		if (to) {
			wire.key = to;
			r = kbpf_map_update(wires, &slot, &wire, BPF_EXIST);
		} else {
			r = kbpf_map_delete(wires, &slot);
			/* The next one after a key that is gone would be the first. */
			at = NULL;
		}
		if (r < 0)
			break;
	}
	return r == -ENOENT ?
		       0 :
		       err_errno(e, r, "network filter: cannot set the devices' rules");
}

/* What held before holds again. */
static int switch_back(const struct network_filter *f, const struct network_config *old)
{
	_close_ int configs = -1, storage = -1;
	struct err ignored;
	int r;

	storage = open_own("storage", &ignored);
	configs = open_own("configs", &ignored);
	if (storage < 0 || configs < 0)
		return -ignored.code;
	r = kbpf_map_update(storage, &f->cgroup, old, BPF_EXIST);
	if (r == 0)
		r = rekey_wires(f->config.key, old->key, &ignored);
	if (r == 0)
		kbpf_map_delete(configs, &f->config.key);
	return r;
}

/*
 * The group first: what leaves it then has to pass both, the new rules there and the old ones at
 * the devices. Whatever is not of the group is held by the old ones until its device follows.
 */
int network_filter_switch(struct network_filter *f, uint16_t dns_port, struct err *e)
{
	struct network_config old = {};
	_close_ int storage = open_own("storage", e);
	_free_ char *path = NULL;
	struct err ignored;
	char key[32];
	int r;

	if (storage < 0)
		return storage;
	r = kbpf_map_lookup(storage, &f->cgroup, &old);
	if (r < 0)
		return err_errno(e, r, "network filter: cannot read the rules of the group");
	path = generation_path(f->name, old.key, NULL);
	if (!path)
		return err_oom(e);
	f->config.dns_port = dns_port;
	r = publish(f, e);
	if (r == 0)
		r = rekey_wires(old.key, f->config.key, e);
	if (r < 0) {
		if (switch_back(f, &old) < 0)
			err_wrap(e, "nothing is allowed any more, since the old rules cannot be "
				    "put back");
		return -e->code;
	}
	/* They hold. What is left in the folder goes with the container. */
	snprintf(key, sizeof(key), "%" PRIx64, (uint64_t)old.key);
	throw_away(network_pins_own(), path, key, &ignored);
	return 0;
}

/* Nothing of the group's is allowed from here on, should something be left in it. */
static void close_group(const char *own, const char *dir)
{
	const struct network_config nothing = {};
	_free_ char *path = str_printf("%s/storage", own);
	_close_ int storage = path ? kbpf_get(path) : -1;
	uint64_t cgroup = 0;
	struct err ignored;

	if (storage >= 0 && group_of(dir, &cgroup, NULL, &ignored) == 0 && cgroup)
		kbpf_map_update(storage, &cgroup, &nothing, BPF_EXIST);
}

static int remove_link(const char *path, struct err *e)
{
	_close_ int link = kbpf_get(path);

	/* Of a group that is gone the kernel has taken it away by itself. */
	if (link >= 0)
		kbpf_link_detach(link);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "network filter: cannot remove '%s'", path);
	return 0;
}

/* What is in the container's folder: generations to the trash, links away. */
static int remove_pins(const char *own, const char *dir, struct err *e)
{
	_closedir_ DIR *d = opendir(dir);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return err_sys(e, "network filter: cannot read '%s'", dir);
	while (r == 0 && (entry = readdir(d))) {
		_free_ char *path = str_printf("%s/%s", dir, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (!path)
			return err_oom(e);
		if (entry->d_type == DT_DIR) {
			r = rekey_wires(strtoull(entry->d_name, NULL, 16), 0, e);
			if (r == 0)
				r = throw_away(own, path, entry->d_name, e);
		} else {
			r = remove_link(path, e);
		}
	}
	return r;
}

static int detach_at(const char *own, const char *dir, struct err *e)
{
	int r;

	close_group(own, dir);
	/* The folder is read while it gets shorter: until nothing is left. */
	for (int i = 0; i < MAKE_TRIES; i++) {
		r = remove_pins(own, dir, e);
		if (r < 0)
			return r;
		if (rmdir(dir) == 0 || errno == ENOENT)
			return 0;
	}
	return err_sys(e, "network filter: cannot remove '%s'", dir);
}

int network_filter_detach(const char *name, struct err *e)
{
	char escaped[NETWORK_FILTER_NAME_MAX + 1];
	_closedir_ DIR *d = NULL;
	const struct dirent *entry;
	int r = escape(name, escaped, e);

	if (r < 0)
		return r;
	d = opendir(NETWORK_PINS);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "cannot read '" NETWORK_PINS "'");
	/* It may have been started by an older build. */
	while ((entry = readdir(d))) {
		_free_ char *own = NULL, *dir = NULL;

		if (entry->d_name[0] == '.')
			continue;
		own = str_printf(NETWORK_PINS "/%s", entry->d_name);
		dir = str_printf("%s/containers/%s", own ? own : "", escaped);
		if (!own || !dir)
			return err_oom(e);
		if (access(dir, F_OK) < 0)
			continue;
		r = detach_at(own, dir, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int list_at(const char *own,
		   int (*each)(const char *, uint64_t, unsigned int, void *), void *arg,
		   struct err *e)
{
	_free_ char *containers = str_printf("%s/containers", own);
	_closedir_ DIR *d = containers ? opendir(containers) : NULL;
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		_free_ char *dir = str_printf("%s/%s", containers, entry->d_name);
		_free_ char *name = strdup(entry->d_name);
		unsigned int missing = 0;
		uint64_t cgroup = 0;
		int r;

		if (entry->d_name[0] == '.')
			continue;
		if (!dir || !name)
			return err_oom(e);
		for (char *c = name; *c; c++)
			if (*c == '=')
				*c = '.';
		if (group_of(dir, &cgroup, &missing, e) < 0)
			cgroup = 0;
		r = each(name, cgroup, missing, arg);
		if (r < 0)
			return r;
	}
	return 0;
}

int network_filter_list(int (*each)(const char *name, uint64_t cgroup,
				    unsigned int missing, void *arg),
			void *arg, struct err *e)
{
	_closedir_ DIR *d = opendir(NETWORK_PINS);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "cannot read '" NETWORK_PINS "'");
	while (r == 0 && (entry = readdir(d))) {
		_free_ char *own = str_printf(NETWORK_PINS "/%s", entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		r = own ? list_at(own, each, arg, e) : err_oom(e);
	}
	return r;
}
