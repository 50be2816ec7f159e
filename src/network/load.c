/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See load.h. Runs in purple-network-load, with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON (or
 * CAP_SYS_ADMIN) in the host's user namespace. Mustn't: leave half of the pins where others look.
 */
#include "network/load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/str.h"
#include "network/filter_object.h"
#include "network/keep.h"
#include "network/pins.h"
#include "network/spare.h"

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
static int make_folder(const char *path, struct err *e)
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

static int make_below(const char *folder, const char *name, struct err *e)
{
	_free_ char *path = str_printf("%s/%s", folder, name);

	return path ? make_folder(path, e) : err_oom(e);
}

static int pin_all(struct bpf_object *object, const char *folder, struct err *e)
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

static int load_object(struct bpf_object **ret, struct err *e)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "purple_network");
	struct bpf_object *object;
	int r;

	libbpf_set_print(keep_log);
	object = bpf_object__open_mem(network_filter_object,
				      (size_t)(network_filter_object_end -
					       network_filter_object),
				      &opts);
	if (!object)
		return err_sys(e, "cannot read the programs of the network filter");
	r = bpf_object__load(object);
	if (r < 0) {
		bpf_object__close(object);
		return err_set(e, ERR_UNSUPPORTED, r,
			       "the kernel refuses the programs of the network filter (%s): %s",
			       strerror(-r), last_lines());
	}
	*ret = object;
	return 0;
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
	r = load_object(&object, e);
	if (r < 0)
		return r;
	r = make_folder(made, e);
	if (r == 0)
		r = pin_all(object, made, e);
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
		r = make_folder(NETWORK_PINS, e);
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
