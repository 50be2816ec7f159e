/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See trace.h; the programs' theory of operation stands in bpf/audit.bpf.c. A container is traced
 * while its group is in the map `groups`. The programs that the whole host runs are attached while
 * somebody there wants what they tell, and no longer: their links are pinned once for all, and who
 * adds the first such group or takes the last one away sees to them, under the lock.
 */
#include "audit/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "audit/trace_pins.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "network/loader.h"
#include "network/pins.h"

#define MAKE_TRIES 8
#define GROUP_VALUE_MAX 1024 /* of other builds */

/* Programs that see the whole host, and for whom they are attached. */
static const struct {
	const char *name;
	uint32_t wants;
} host_hooks[] = {
	{ "trace_exec", TRACE_PROCESSES | TRACE_PRIVILEGES },
	{ "trace_exit", TRACE_PROCESSES | TRACE_DENIALS },
	{ "trace_return", TRACE_FILES | TRACE_DENIALS | TRACE_PRIVILEGES | TRACE_COUNTS },
};

/* Programs at the container's group. */
static const struct {
	const char *name;
	enum bpf_attach_type type;
} group_hooks[] = {
	{ "trace_connect4", BPF_CGROUP_INET4_CONNECT },
	{ "trace_connect6", BPF_CGROUP_INET6_CONNECT },
	{ "trace_sendmsg4", BPF_CGROUP_UDP4_SENDMSG },
	{ "trace_sendmsg6", BPF_CGROUP_UDP6_SENDMSG },
	{ "trace_bind4", BPF_CGROUP_INET4_BIND },
	{ "trace_bind6", BPF_CGROUP_INET6_BIND },
};

static int open_pin(const char *pins, const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", pins, name);
	int fd = path ? kbpf_get(path) : -ENOMEM;

	return fd < 0 ? err_errno(e, fd, "tracing: cannot open '%s'", path ? path : name) :
			fd;
}

static int lock_pins(const char *pins, struct err *e)
{
	_close_ int fd = open(pins, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return err_sys(e, "tracing: cannot lock '%s'", pins);
	return take_fd(&fd);
}

void trace_clear(struct trace *t)
{
	fd_close(&t->urgent);
	fd_close(&t->bulk);
	fd_close(&t->stats);
	fd_close(&t->counts);
}

/* --- the group --- */

static int check_group(int group, uint64_t *ret_id, struct err *e)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(group, &fs) < 0 || fstat(group, &st) < 0)
		return err_sys(e, "tracing: cannot look at the container's group");
	if ((unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "tracing needs a group of cgroup2 (a host with cgroup v1 alone has "
			       "none)");
	/* Its number is its id. Number 1 is the root: the whole host. */
	if (st.st_ino <= 1)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "tracing needs a group of the container's own, not the root group");
	*ret_id = st.st_ino;
	return 0;
}

/* How deep this process's group lies below what /proc/self/cgroup calls the root. */
static int own_depth(int *ret, struct err *e)
{
	_free_ char *text = NULL;
	char *line, *name, *rest;
	_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	int r, depth = 0;

	if (fd < 0)
		return err_sys(e, "cannot open '/proc/self/cgroup'");
	r = fd_read_all(fd, 1 << 16, &text, NULL, e);
	if (r < 0)
		return r;
	line = str_has_prefix(text, "0::") ? text : strstr(text, "\n0::");
	if (!line)
		return err_set(e, ERR_UNSUPPORTED, ENOENT, "tracing needs cgroup2");
	line += *line == '\n';
	line[strcspn(line, "\n")] = '\0';
	for (name = strtok_r(line + 3, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
		depth += streq(name, "..") ? -1 : 1;
	*ret = depth;
	return 0;
}

/* What the kernel has of this process, told by a program that it runs. */
static int look_at_self(struct trace_self *ret, struct err *e)
{
	_close_ int lock = lock_pins(trace_pins_own(), e), program = -1, self = -1;
	uint32_t zero = 0, done = 0;
	int r;

	if (lock < 0)
		return lock;
	program = open_pin(trace_pins_own(), "trace_look", e);
	if (program < 0)
		return program;
	self = open_pin(trace_pins_own(), "self", e);
	if (self < 0)
		return self;
	r = kbpf_run(program, &done);
	if (r == 0 && !done)
		r = -ENODATA;
	if (r == 0)
		r = kbpf_map_lookup(self, &zero, ret);
	return r < 0 ? err_errno(e, r, "tracing: cannot look at this process") : 0;
}

/* Steps from a group up to where cgroup2 is mounted. */
static int group_level(int group, uint32_t own_level, uint32_t *ret, struct err *e)
{
	_close_ int at = fcntl(group, F_DUPFD_CLOEXEC, 3);
	int level = 0, depth = 0, r = 0;
	struct stat st, up;

	if (at < 0 || fstat(at, &st) < 0)
		return err_sys(e, "tracing: cannot look at the container's group");
	for (;;) {
		int fd = openat(at, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || fstat(fd, &up) < 0) {
			fd_close(&fd);
			return err_sys(e,
				       "tracing: cannot look above the container's group");
		}
		close(at);
		at = fd;
		if (up.st_dev != st.st_dev || up.st_ino == st.st_ino)
			break;
		st = up;
		level++;
	}
	/* Else it is mounted from a namespace's root on: as far above this process as that says. */
	if (st.st_ino != 1) {
		r = own_depth(&depth, e);
		level += (int)own_level - depth;
	}
	if (r == 0 && (level < 1 || level > TRACE_LEVEL_MAX))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "tracing: the container's group lies %d levels deep, %d are possible",
			       level, TRACE_LEVEL_MAX);
	*ret = (uint32_t)level;
	return r;
}

/* By its id, as kernfs has it in file handles. */
static bool is_gone(uint64_t group)
{
	static const char *const mounts[] = { "/sys/fs/cgroup/unified", "/sys/fs/cgroup" };
	struct {
		struct file_handle h;
		uint64_t id;
	} handle = { .h = { .handle_bytes = sizeof(handle.id), .handle_type = 0xfe } };

	memcpy(handle.h.f_handle, &group, sizeof(group));
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		_close_ int root = open(mounts[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		_close_ int fd = -1;
		struct statfs fs;

		if (root < 0 || fstatfs(root, &fs) < 0 ||
		    (unsigned long)fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		fd = open_by_handle_at(root, &handle.h, O_PATH | O_CLOEXEC);
		return fd < 0 && errno == ESTALE;
	}
	return false;
}

/* --- who is traced, and what runs for it --- */

/*
 * Calls each() for all groups of a build. Of other builds' values the first members are as here:
 * key and wants.
 */
static int each_group(const char *pins,
		      int (*each)(uint64_t id, const struct trace_group *group, void *arg),
		      void *arg, struct err *e)
{
	_close_ int groups = open_pin(pins, "groups", e);
	union {
		struct trace_group group;
		char room[GROUP_VALUE_MAX];
	} value;
	const uint64_t *at = NULL;
	struct bpf_map_info info;
	uint64_t id, next;
	int r = groups;

	if (groups < 0)
		return groups;
	r = kbpf_info(groups, &info, sizeof(info));
	if (r == 0 && info.value_size > sizeof(value))
		r = -E2BIG;
	if (r < 0)
		return err_errno(e, r, "tracing: cannot read the groups that are traced");
	while ((r = kbpf_map_next(groups, at, &next)) == 0) {
		id = next;
		at = &id;
		memset(&value, 0, sizeof(value));
		if (kbpf_map_lookup(groups, &id, &value) < 0)
			continue;
		r = each(id, &value.group, arg);
		if (r < 0)
			return r;
	}
	return r == -ENOENT ?
		       0 :
		       err_errno(e, r, "tracing: cannot read the groups that are traced");
}

static int add_to_control(uint64_t id, const struct trace_group *group, void *arg)
{
	struct trace_control *c = arg;
	size_t i = 0, n;

	/* Nothing is left to be seen there; the rest of it goes with trace_stop(). */
	if (is_gone(id))
		return 0;
	c->wants |= group->wants;
	while (c->levels[i] > group->level)
		i++;
	if (c->levels[i] == group->level)
		return 0;
	n = strlen((const char *)c->levels);
	memmove(c->levels + i + 1, c->levels + i, n - i);
	c->levels[i] = (uint8_t)group->level;
	return 0;
}

static int set_host_hook(const char *pins, size_t hook, bool wanted, struct err *e)
{
	_free_ char *path = str_printf("%s/links/%s", pins, host_hooks[hook].name);
	_close_ int program = -1, link = -1;
	int r;

	if (!path)
		return err_oom(e);
	if (!wanted) {
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(e, "tracing: cannot remove '%s'", path);
		return 0;
	}
	if (access(path, F_OK) == 0)
		return 0;
	program = open_pin(pins, host_hooks[hook].name, e);
	if (program < 0)
		return program;
	link = kbpf_trace_attach(program);
	r = link < 0 ? link : kbpf_pin(link, path);
	return r < 0 ? err_errno(e, r, "tracing: cannot attach '%s'", host_hooks[hook].name) :
		       0;
}

/* After `groups` was changed, under the lock: what runs is what they want. */
static int settle(const char *pins, struct err *e)
{
	_close_ int control = open_pin(pins, "control", e);
	struct trace_control c = {};
	uint32_t zero = 0;
	int r = control;

	if (control < 0)
		return control;
	r = each_group(pins, add_to_control, &c, e);
	if (r < 0)
		return r;
	r = kbpf_map_update(control, &zero, &c, BPF_ANY);
	if (r < 0)
		return err_errno(e, r, "tracing: cannot set what is traced");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(host_hooks); i++)
		r = set_host_hook(pins, i, c.wants & host_hooks[i].wants, e);
	return r;
}

static int add_group(const char *pins, uint64_t id, const struct trace_group *group,
		     struct err *e)
{
	_close_ int lock = lock_pins(pins, e), groups = -1;
	int r;

	if (lock < 0)
		return lock;
	groups = open_pin(pins, "groups", e);
	if (groups < 0)
		return groups;
	r = kbpf_map_update(groups, &id, group, BPF_NOEXIST);
	if (r < 0)
		return err_errno(e, r, "tracing: cannot add the container's group");
	return settle(pins, e);
}

struct search {
	uint64_t key, id;
	uint32_t wants;
	size_t others;
};

static int find_key(uint64_t id, const struct trace_group *group, void *arg)
{
	struct search *s = arg;

	if (group->key == s->key) {
		s->id = id;
		s->wants = group->wants;
	} else {
		s->others++;
	}
	return 0;
}

/* Of a build that may not be this one: what it runs then stays until its last group goes. */
static int remove_group(const char *pins, uint64_t key, struct err *e)
{
	_close_ int lock = lock_pins(pins, e), groups = -1;
	struct search s = { .key = key };
	int r;

	if (lock < 0)
		return lock;
	r = each_group(pins, find_key, &s, e);
	if (r < 0)
		return r;
	groups = open_pin(pins, "groups", e);
	if (groups < 0)
		return groups;
	if (s.id)
		r = kbpf_map_delete(groups, &s.id);
	if (r < 0 && r != -ENOENT)
		return err_errno(e, r, "tracing: cannot remove the container's group");
	if (streq(pins, trace_pins_own()))
		return settle(pins, e);
	r = 0;
	for (size_t i = 0; r == 0 && s.others == 0 && i < ARRAY_SIZE(host_hooks); i++)
		r = set_host_hook(pins, i, false, e);
	return r;
}

/* --- the maps --- */

static char *container_path(const char *pins, const char *name, const char *file)
{
	return str_printf("%s/containers/%s%s%s", pins, name, file ? "/" : "",
			  file ? file : "");
}

/* The first folder of `dir`, whose name is a key; 0: none. */
static uint64_t first_key(const char *dir)
{
	_closedir_ DIR *d = opendir(dir);
	const struct dirent *entry;

	while (d && (entry = readdir(d))) {
		uint64_t key;
		char *end;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		key = strtoull(entry->d_name, &end, 16);
		if (*end == '\0' && key)
			return key;
	}
	return 0;
}

/* Moves a spare to where the container's maps are: -ENOENT when there is none. */
static int claim_spare(const char *dir, uint64_t *ret_key, struct err *e)
{
	_free_ char *spare = str_printf("%s/spare", trace_pins_own());
	uint64_t key;

	if (!spare)
		return err_oom(e);
	while ((key = first_key(spare))) {
		_free_ char *from = str_printf("%s/%" PRIx64, spare, key);
		_free_ char *to = str_printf("%s/%" PRIx64, dir, key);

		if (!from || !to)
			return err_oom(e);
		if (rename(from, to) == 0) {
			*ret_key = key;
			return 0;
		}
		/* Another one was quicker. */
		if (errno != ENOENT)
			return err_sys(e, "tracing: cannot rename '%s' to '%s'", from, to);
	}
	return err_set(e, ERR_KERNEL, ENOENT, "tracing: no maps are left in '%s'", spare);
}

static int claim(const char *dir, uint64_t *ret_key, struct err *e)
{
	int r = -ENOENT;

	/* Many containers at a time may take what one run has made. */
	for (int i = 0; i < MAKE_TRIES && r == -ENOENT; i++) {
		if (i > 0) {
			r = network_loader_run_part(LOADER_TRACE, e);
			if (r < 0)
				return r;
		}
		r = claim_spare(dir, ret_key, e);
	}
	return r;
}

static int open_maps(const char *dir, uint64_t key, struct trace *t, struct err *e)
{
	int *const fds[TRACE_MAPS] = {
		[TRACE_MAP_URGENT] = &t->urgent,
		[TRACE_MAP_BULK] = &t->bulk,
		[TRACE_MAP_STATS] = &t->stats,
		[TRACE_MAP_COUNTS] = &t->counts,
	};
	_free_ char *folder = str_printf("%s/%" PRIx64, dir, key);

	if (!folder)
		return err_oom(e);
	for (size_t i = 0; i < TRACE_MAPS; i++) {
		*fds[i] = open_pin(folder, trace_maps[i].name, e);
		if (*fds[i] < 0)
			return *fds[i];
	}
	return 0;
}

/* --- start and stop --- */

static int attach_to_group(const char *dir, size_t hook, int group, struct err *e)
{
	_close_ int program = open_pin(trace_pins_own(), group_hooks[hook].name, e),
		    link = -1;
	_free_ char *path = str_printf("%s/%s", dir, group_hooks[hook].name);
	int r;

	if (program < 0)
		return program;
	if (!path)
		return err_oom(e);
	link = kbpf_link_create(program, group, group_hooks[hook].type);
	r = link < 0 ? link : kbpf_pin(link, path);
	return r < 0 ? err_errno(e, r, "tracing: cannot attach '%s' to the group",
				 group_hooks[hook].name) :
		       0;
}

/* The folder is there; what is made so far goes with it. */
static int start_in(const char *dir, int group, const struct trace_options *options,
		    struct trace *t, struct err *e)
{
	struct trace_group g = { .wants = options->wants,
				 .pid_level = options->pid_level,
				 .denied = options->denied,
				 .denied_some = options->denied_some };
	struct trace_self self = {};
	uint64_t id = 0, key = 0;
	int r = check_group(group, &id, e);

	if (r == 0)
		r = look_at_self(&self, e);
	if (r == 0)
		r = group_level(group, self.level, &g.level, e);
	g.inode = self.inode;
	g.device = self.device;
	if (r == 0)
		r = claim(dir, &key, e);
	if (r == 0)
		r = open_maps(dir, key, t, e);
	g.key = key;
	if (r == 0)
		r = add_group(trace_pins_own(), id, &g, e);
	for (size_t i = 0;
	     r == 0 && (g.wants & TRACE_NETWORK) && i < ARRAY_SIZE(group_hooks); i++)
		r = attach_to_group(dir, i, group, e);
	return r;
}

static int escape(const char *name, char ret[TRACE_NAME_MAX + 1], struct err *e)
{
	if (network_pins_escape(name, ret, TRACE_NAME_MAX + 1))
		return 0;
	return err_set(e, ERR_INTERNAL, EINVAL, "tracing: odd name '%s'", name);
}

int trace_check(struct err *e)
{
	int r = network_pins_check(e);

	if (r == 0 && access(trace_pins_own(), F_OK) < 0)
		r = network_loader_run_part(LOADER_TRACE, e);
	return r;
}

int trace_start(const char *name, int group, const struct trace_options *options,
		struct trace *ret, struct err *e)
{
	char escaped[TRACE_NAME_MAX + 1];
	struct trace t = TRACE_EMPTY;
	_free_ char *dir = NULL;
	struct err ignored;
	int r = escape(name, escaped, e);

	if (r == 0)
		r = trace_check(e);
	if (r < 0)
		return r;
	dir = container_path(trace_pins_own(), escaped, NULL);
	if (!dir)
		return err_oom(e);
	if (mkdir(dir, 0700) < 0)
		return err_sys(e, "tracing: cannot make '%s'", dir);
	r = start_in(dir, group, options, &t, e);
	if (r < 0) {
		trace_clear(&t);
		trace_stop(name, &ignored);
	} else {
		*ret = t;
	}
	return r;
}

int trace_open(const char *name, struct trace *ret, struct err *e)
{
	char escaped[TRACE_NAME_MAX + 1];
	struct trace t = TRACE_EMPTY;
	_free_ char *dir = NULL;
	uint64_t key;
	int r = escape(name, escaped, e);

	if (r < 0)
		return r;
	dir = container_path(trace_pins_own(), escaped, NULL);
	if (!dir)
		return err_oom(e);
	key = first_key(dir);
	if (!key)
		return err_set(e, ERR_NOT_EXIST, ENOENT, "'%s' is not traced", name);
	r = open_maps(dir, key, &t, e);
	if (r < 0)
		trace_clear(&t);
	else
		*ret = t;
	return r;
}

static int remove_link(const char *dir, const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", dir, name);
	_close_ int link = path ? kbpf_get(path) : -ENOMEM;

	if (!path)
		return err_oom(e);
	/* Of a group that is gone the kernel has taken it away by itself. */
	if (link >= 0)
		kbpf_link_detach(link);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "tracing: cannot remove '%s'", path);
	return 0;
}

static int stop_at(const char *pins, const char *dir, struct err *e)
{
	uint64_t key = first_key(dir);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(group_hooks); i++)
		r = remove_link(dir, group_hooks[i].name, e);
	if (r == 0 && key) {
		_free_ char *from = str_printf("%s/%" PRIx64, dir, key);
		_free_ char *to = str_printf("%s/trash/%" PRIx64, pins, key);

		if (!from || !to)
			return err_oom(e);
		r = remove_group(pins, key, e);
		if (r == 0 && rename(from, to) < 0 && errno != ENOENT)
			r = err_sys(e, "tracing: cannot rename '%s' to '%s'", from, to);
	}
	if (r == 0 && rmdir(dir) < 0 && errno != ENOENT)
		r = err_sys(e, "tracing: cannot remove '%s'", dir);
	return r;
}

/* Calls each() for the folder of each build whose programs are loaded. */
static int each_build(int (*each)(const char *pins, void *arg, struct err *e), void *arg,
		      struct err *e)
{
	_closedir_ DIR *d = opendir(TRACE_PINS);
	const struct dirent *entry;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "cannot read '" TRACE_PINS "'");
	while (r == 0 && (entry = readdir(d))) {
		_free_ char *pins = NULL;

		if (entry->d_name[0] == '.' || streq(entry->d_name, "new"))
			continue;
		pins = str_printf(TRACE_PINS "/%s", entry->d_name);
		r = pins ? each(pins, arg, e) : err_oom(e);
	}
	return r;
}

static int stop_name(const char *pins, void *arg, struct err *e)
{
	_free_ char *dir = container_path(pins, arg, NULL);

	if (!dir)
		return err_oom(e);
	return access(dir, F_OK) < 0 ? 0 : stop_at(pins, dir, e);
}

int trace_stop(const char *name, struct err *e)
{
	char escaped[TRACE_NAME_MAX + 1];
	int r = escape(name, escaped, e);

	return r < 0 ? r : each_build(stop_name, escaped, e);
}

void trace_tidy(void)
{
	network_loader_tidy_part(LOADER_TRACE);
}

struct lister {
	int (*each)(const char *name, uint64_t group, uint32_t wants, void *arg);
	void *arg;
};

static int list_at(const char *pins, void *arg, struct err *e)
{
	_free_ char *containers = str_printf("%s/containers", pins);
	_closedir_ DIR *d = containers ? opendir(containers) : NULL;
	const struct lister *l = arg;
	const struct dirent *entry;
	int r = 0;

	while (r == 0 && d && (entry = readdir(d))) {
		_free_ char *dir = str_printf("%s/%s", containers, entry->d_name);
		_free_ char *name = strdup(entry->d_name);
		struct search s = {};

		if (entry->d_name[0] == '.')
			continue;
		if (!dir || !name)
			return err_oom(e);
		for (char *c = name; *c; c++)
			if (*c == '=')
				*c = '.';
		s.key = first_key(dir);
		if (s.key)
			r = each_group(pins, find_key, &s, e);
		if (r == 0)
			r = l->each(name, s.id && !is_gone(s.id) ? s.id : 0, s.wants,
				    l->arg);
	}
	return r;
}

int trace_list(int (*each)(const char *name, uint64_t group, uint32_t wants, void *arg),
	       void *arg, struct err *e)
{
	struct lister l = { each, arg };

	return each_build(list_at, &l, e);
}
