/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See trace.h; the programs' theory of operation stands in bpf/audit.bpf.c. A container has maps of
 * its own, made in advance, and is traced while its group is known: trace_groups.h.
 */
#include "audit/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/trace_groups.h"
#include "audit/trace_pins.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "network/loader.h"
#include "network/pins.h"

#define MAKE_TRIES 8

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

void trace_clear(struct trace *t)
{
	fd_close(&t->urgent);
	fd_close(&t->bulk);
	fd_close(&t->stats);
	fd_close(&t->counts);
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
		*fds[i] = trace_pin_open(folder, trace_maps[i].name, e);
		if (*fds[i] < 0)
			return *fds[i];
	}
	return 0;
}

/* --- start and stop --- */

static int attach_to_group(const char *dir, size_t hook, int group, struct err *e)
{
	_close_ int program = trace_pin_open(trace_pins_own(), group_hooks[hook].name, e),
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
	uint64_t id = 0, key = 0;
	int r = trace_group_look(group, &id, &g, e);

	if (r == 0)
		r = claim(dir, &key, e);
	if (r == 0)
		r = open_maps(dir, key, t, e);
	g.key = key;
	if (r == 0)
		r = trace_group_add(trace_pins_own(), id, &g, e);
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
		r = trace_group_remove(pins, key, e);
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
		uint64_t id = 0, key;
		uint32_t wants = 0;

		if (entry->d_name[0] == '.')
			continue;
		if (!dir || !name)
			return err_oom(e);
		for (char *c = name; *c; c++)
			if (*c == '=')
				*c = '.';
		key = first_key(dir);
		if (key)
			r = trace_group_find(pins, key, &id, &wants, e);
		if (r == 0)
			r = l->each(name, id, wants, l->arg);
	}
	return r;
}

int trace_list(int (*each)(const char *name, uint64_t group, uint32_t wants, void *arg),
	       void *arg, struct err *e)
{
	struct lister l = { each, arg };

	return each_build(list_at, &l, e);
}
