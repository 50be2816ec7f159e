/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See trace_groups.h. Runs in the runtime, as trace.c. The programs that the whole host runs are
 * attached while some group wants what they tell, and no longer: their links are pinned once for
 * all, and who adds the first such group or takes the last one away sees to them, under the lock.
 */
#include "audit/trace_groups.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "audit/trace_pins.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"

#define GROUP_VALUE_MAX 1024 /* of other builds */

/* Programs that see the whole host, and for whom they are attached. */
static const struct {
	const char *name;
	uint32_t wants;
} host_hooks[] = {
	{ "trace_fork", TRACE_PROCESSES },
	{ "trace_exec", ~0u }, /* it ends TRACE_SETUP */
	{ "trace_exit", TRACE_PROCESSES | TRACE_DENIALS },
	{ "trace_return", TRACE_FILES | TRACE_DENIALS | TRACE_PRIVILEGES | TRACE_COUNTS },
};

int trace_pin_open(const char *pins, const char *name, struct err *e)
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
	program = trace_pin_open(trace_pins_own(), "trace_look", e);
	if (program < 0)
		return program;
	self = trace_pin_open(trace_pins_own(), "self", e);
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

int trace_group_look(int group, uint64_t *ret_id, struct trace_group *ret, struct err *e)
{
	struct trace_self self = {};
	int r = check_group(group, ret_id, e);

	if (r == 0)
		r = look_at_self(&self, e);
	if (r == 0)
		r = group_level(group, self.level, &ret->level, e);
	ret->inode = self.inode;
	ret->device = self.device;
	return r;
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
	_close_ int groups = trace_pin_open(pins, "groups", e);
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
	program = trace_pin_open(pins, host_hooks[hook].name, e);
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
	_close_ int control = trace_pin_open(pins, "control", e);
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

int trace_group_add(const char *pins, uint64_t id, const struct trace_group *group,
		    struct err *e)
{
	_close_ int lock = lock_pins(pins, e), groups = -1;
	int r;

	if (lock < 0)
		return lock;
	groups = trace_pin_open(pins, "groups", e);
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
int trace_group_remove(const char *pins, uint64_t key, struct err *e)
{
	_close_ int lock = lock_pins(pins, e), groups = -1;
	struct search s = { .key = key };
	int r;

	if (lock < 0)
		return lock;
	r = each_group(pins, find_key, &s, e);
	if (r < 0)
		return r;
	groups = trace_pin_open(pins, "groups", e);
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

int trace_group_find(const char *pins, uint64_t key, uint64_t *ret_id,
		     uint32_t *ret_wants, struct err *e)
{
	struct search s = { .key = key };
	int r = each_group(pins, find_key, &s, e);

	if (r < 0)
		return r;
	*ret_id = s.id && !is_gone(s.id) ? s.id : 0;
	*ret_wants = s.wants;
	return 0;
}
