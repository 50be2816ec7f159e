/* SPDX-License-Identifier: Apache-2.0 */
/* See object.h. */
#include "network/object.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "network/bpf.h"

/* The end of what libbpf and the verifier said. */
#define LOG_KEPT 600
static char log_text[LOG_KEPT + 1];

static int keep_log(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	_free_ char *line = NULL;
	size_t n, used = strlen(log_text);

	if (level != LIBBPF_WARN || vasprintf(&line, fmt, ap) < 0) {
		line = NULL;
		return 0;
	}
	n = strlen(line);
	if (n >= LOG_KEPT) {
		memcpy(log_text, line + n - LOG_KEPT, LOG_KEPT + 1);
		return 0;
	}
	if (used + n > LOG_KEPT) {
		size_t cut = used + n - LOG_KEPT;

		memmove(log_text, log_text + cut, used - cut + 1);
		used -= cut;
	}
	memcpy(log_text + used, line, n + 1);
	return 0;
}

static const char *last_lines(void)
{
	for (char *c = log_text; *c; c++)
		if (*c == '\n')
			*c = c[1] ? '|' : '\0';
	return log_text;
}

/* Nobody else may make what we hold for ours. */
int object_make_folder(const char *path, struct err *e)
{
	struct stat st;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make '%s'", path);
	if (lstat(path, &st) < 0)
		return err_sys(e, "cannot look at '%s'", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(e, ERR_KERNEL, EPERM,
			       "'%s' is not a folder of this user alone", path);
	return 0;
}

int object_pin_all(struct bpf_object *object, const char *folder, struct err *e)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object)
	{
		_free_ char *path = str_printf("%s/%s", folder, bpf_program__name(program));
		int r = path ? kbpf_pin(bpf_program__fd(program), path) : -ENOMEM;

		if (r < 0)
			return err_errno(e, r, "cannot pin the program '%s'",
					 bpf_program__name(program));
	}
	bpf_object__for_each_map(map, object)
	{
		_free_ char *path = NULL;
		int r;

		/* The compiler's own: constants. */
		if (bpf_map__is_internal(map))
			continue;
		path = str_printf("%s/%s", folder, bpf_map__name(map));
		r = path ? kbpf_pin(bpf_map__fd(map), path) : -ENOMEM;
		if (r < 0)
			return err_errno(e, r, "cannot pin the map '%s'",
					 bpf_map__name(map));
	}
	return 0;
}

static int multiply(const struct bpf_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	int cpus = libbpf_num_possible_cpus();

	if (!map || cpus < 0)
		return map ? cpus : -ENOENT;
	return bpf_map__set_max_entries(map, bpf_map__max_entries(map) * (uint32_t)cpus);
}

int object_load(const struct object *o, struct bpf_object **ret, struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = o->name);
	struct bpf_object *object;
	int r;

	libbpf_set_print(keep_log);
	object = bpf_object__open_mem(o->begin, (size_t)(o->end - o->begin), &opts);
	if (!object)
		return err_sys(e, "cannot read the programs of %s", o->what);
	r = o->per_cpu ? multiply(object, o->per_cpu) : 0;
	if (r == 0)
		r = bpf_object__load(object);
	if (r < 0) {
		bpf_object__close(object);
		return err_set(e, ERR_UNSUPPORTED, r,
			       "the kernel refuses the programs of %s (%s): %s", o->what,
			       strerror(-r), last_lines());
	}
	*ret = object;
	return 0;
}
