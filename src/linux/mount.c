/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fsopen, fsmount, open_tree, move_mount, mount_setattr. Runs in the runtime (bind sources) and in
 * init, with CAP_SYS_ADMIN over the mount namespace. A mount gets all its attributes while it is
 * detached: there is no moment at which it can be reached without them.
 */
#include "linux/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "base/fd.h"
#include "base/str.h"

/* fsconfig(2) takes strings of up to this length, NUL included. */
#define FSCONFIG_MAX 256

int mount_clone(int fd, bool recursive)
{
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
	int r;

	r = open_tree(fd, "", flags | (recursive ? AT_RECURSIVE : 0));
	return r < 0 ? -errno : r;
}

int mount_attach(int tree_fd, int target_fd)
{
	if (move_mount(tree_fd, "", target_fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

static int set_attr(int fd, struct mount_attr *a, bool recursive)
{
	unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);

	return mount_setattr(fd, "", flags, a, sizeof(*a)) < 0 ? -errno : 0;
}

int mount_set_attrs(int fd, const struct mount_attrs *a, bool recursive)
{
	struct mount_attr attr = { .attr_set = a->set, .attr_clr = a->clr };

	if (!a->set && !a->clr)
		return 0;
	return set_attr(fd, &attr, recursive);
}

int mount_set_propagation(int fd, uint64_t type, bool recursive)
{
	struct mount_attr attr = { .propagation = type };

	return set_attr(fd, &attr, recursive);
}

int mount_apply_options(int fd, const struct mount_options *o)
{
	int r = mount_set_attrs(fd, &o->rec, true);

	return r < 0 ? r : mount_set_attrs(fd, &o->top, false);
}

struct mount_attrs mount_flat_attrs(const struct mount_options *o)
{
	struct mount_attrs a = o->rec;

	a.set = (a.set & ~o->top.clr) | o->top.set;
	a.clr = (a.clr & ~(o->top.set & ~(uint64_t)MOUNT_ATTR__ATIME)) | o->top.clr;
	return a;
}

/* What the kernel said about a file system context: the last line of its log, or nothing. The
 * lines come one per read(2), as "e tmpfs: Unknown parameter 'sizze'". */
static void read_log(int ctx, char *line, size_t size)
{
	char buf[512];
	ssize_t n;

	line[0] = '\0';
	while ((n = read(ctx, buf, sizeof(buf) - 1)) > 2) {
		buf[n] = '\0';
		buf[strcspn(buf, "\n")] = '\0';
		if (buf[0] == 'e' || !line[0])
			snprintf(line, size, "%s", buf + 2);
	}
}

/* errno of the failed call, with the kernel's line; `option` may be NULL. */
static int config_error(int ctx, const char *option, struct err *e)
{
	int code = errno;
	char line[512];

	read_log(ctx, line, sizeof(line));
	if (option)
		return err_errno(e, code, "option '%s'%s%s", option, line[0] ? ": " : "",
				 line);
	return err_errno(e, code, "%s", line[0] ? line : "the kernel refuses the mount");
}

static int set_string(int ctx, const char *key, const char *value, const char *option,
		      struct err *e)
{
	if (strlen(value) >= FSCONFIG_MAX)
		return err_set(e, ERR_CONFIG, ENAMETOOLONG,
			       "option '%s': a value may have %d bytes at most", key,
			       FSCONFIG_MAX - 1);
	if (fsconfig(ctx, FSCONFIG_SET_STRING, key, value, 0) < 0)
		return config_error(ctx, option, e);
	return 0;
}

/* A long stack of overlay layers goes one by one (Linux 6.8), with `::` before data-only ones. */
static int set_lower_dirs(int ctx, const char *value, struct err *e)
{
	while (*value) {
		const char *key = "lowerdir+";
		_free_ char *dir = NULL;
		size_t n;
		int r;

		if (str_has_prefix(value, "::")) {
			key = "datadir+";
			value += 2;
		} else if (*value == ':') {
			value++;
		}
		n = strcspn(value, ":");
		dir = strndup(value, n);
		if (!dir)
			return err_oom(e);
		r = set_string(ctx, key, dir, dir, e);
		if (r < 0)
			return r;
		value += n;
	}
	return 0;
}

static int set_option(int ctx, const char *option, struct err *e)
{
	const char *eq = strchr(option, '=');
	_free_ char *key = NULL;

	if (!eq) {
		if (fsconfig(ctx, FSCONFIG_SET_FLAG, option, NULL, 0) < 0)
			return config_error(ctx, option, e);
		return 0;
	}
	key = strndup(option, eq - option);
	if (!key)
		return err_oom(e);
	if (streq(key, "lowerdir") && strlen(eq + 1) >= FSCONFIG_MAX && !strchr(eq, '\\'))
		return set_lower_dirs(ctx, eq + 1, e);
	return set_string(ctx, key, eq + 1, option, e);
}

static int set_options(int ctx, const struct strv *flags, const struct strv *data,
		       struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && flags && i < flags->n; i++)
		r = set_option(ctx, flags->v[i], e);
	for (size_t i = 0; r == 0 && data && i < data->n; i++)
		r = set_option(ctx, data->v[i], e);
	return r;
}

int mount_new(const struct mount_new *n, struct err *e)
{
	const char *source = n->source && *n->source ? n->source : n->type;
	_close_ int ctx = -1;
	int fd, r;

	ctx = fsopen(n->type, FSOPEN_CLOEXEC);
	if (ctx < 0 && errno == ENODEV)
		return err_set(e, ERR_CONFIG, ENODEV,
			       "this kernel has no file system '%s'", n->type);
	if (ctx < 0)
		return err_sys(e, "cannot open file system '%s'", n->type);
	r = set_string(ctx, "source", source, source, e);
	if (r == 0 && n->label && *n->label)
		r = set_string(ctx, "context", n->label, n->label, e);
	if (r == 0)
		r = set_options(ctx, n->flags, n->data, e);
	if (r < 0)
		return r;
	if (fsconfig(ctx, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return config_error(ctx, NULL, e);
	fd = fsmount(ctx, FSMOUNT_CLOEXEC, n->attrs);
	return fd < 0 ? config_error(ctx, NULL, e) : fd;
}

int mount_reconfigure(int fd, const struct strv *flags, const struct strv *data,
		      struct err *e)
{
	_close_ int ctx = -1;
	int r;

	ctx = fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (ctx < 0)
		return err_sys(e, "cannot change the file system");
	r = set_options(ctx, flags, data, e);
	if (r < 0)
		return r;
	if (fsconfig(ctx, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return config_error(ctx, NULL, e);
	return 0;
}
