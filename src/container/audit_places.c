/* SPDX-License-Identifier: Apache-2.0 */
/* See audit_places.h. Runs in the runtime, with the caller's privileges. */
#include "container/audit_places.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "linux/mount.h"

#define MOUNTINFO_MAX ((size_t)16 << 20)
#define PLACES_MAX 64 /* an overlay of an overlay has more, and so on */

/* A line of mountinfo, taken apart in place. */
struct mount_line {
	char *id, *device, *root, *point, *type, *options;
};
typedef LIST_OF(struct mount_line) mount_lines;

static bool split(char *line, struct mount_line *ret)
{
	char *tail = strstr(line, " - "), *save = NULL, *parent, *source;

	if (!tail)
		return false;
	*tail = '\0';
	ret->id = strtok_r(line, " ", &save);
	parent = strtok_r(NULL, " ", &save);
	ret->device = strtok_r(NULL, " ", &save);
	ret->root = strtok_r(NULL, " ", &save);
	ret->point = strtok_r(NULL, " ", &save);
	ret->type = strtok_r(tail + 3, " ", &save);
	source = strtok_r(NULL, " ", &save);
	ret->options = strtok_r(NULL, " ", &save);
	if (!parent || !ret->point || !source || !ret->options)
		return false;
	str_unescape_octal(ret->root);
	str_unescape_octal(ret->point);
	return true;
}

/* What is behind `above` in `path`, with its slash; NULL: it is not below it. */
static const char *below(const char *path, const char *above)
{
	size_t n = strlen(above);

	while (n && above[n - 1] == '/')
		n--;
	return strncmp(path, above, n) == 0 && (path[n] == '/' || !path[n]) ? path + n :
									      NULL;
}

/* A layer ends at a colon that has no backslash before it. Cuts it off *s. */
static char *next_layer(char **s)
{
	char *from = *s, *out = from, *c = from;

	if (!*from)
		return NULL;
	while (*c && *c != ':') {
		if (*c == '\\' && c[1])
			c++;
		*out++ = *c++;
	}
	*s = *c ? c + 1 : c;
	*out = '\0';
	return from;
}

int audit_places_layers(const char *options,
			int (*each)(const char *layer, const char *kind, void *arg,
				    struct err *e),
			void *arg, struct err *e)
{
	static const char *const kinds[] = { "lowerdir", "lowerdir+", "datadir+",
					     "upperdir" };
	_free_ char *copy = strdup(options);
	char *save = NULL, *option, *layer;
	int r = 0;

	if (!copy)
		return err_oom(e);
	for (option = strtok_r(copy, ",", &save); r == 0 && option;
	     option = strtok_r(NULL, ",", &save)) {
		char *value = strchr(option, '=');

		if (!value)
			continue;
		*value++ = '\0';
		str_unescape_octal(value);
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
			while (r == 0 && streq(option, kinds[i]) &&
			       (layer = next_layer(&value)))
				r = *layer ? each(layer, kinds[i], arg, e) : 0;
	}
	return r;
}

struct finder {
	struct strv *found;
	const char *folder; /* one of them */
	struct stat st;	    /* of it */
	const struct mount_line *mount;
};

static int add_place(struct finder *f, const char *root, const char *inside, bool is_same,
		     struct err *e)
{
	const char *rest = below(inside, root), *point = f->mount->point;
	_free_ char *path = NULL;
	struct stat st;

	if (!rest)
		return 0;
	if (streq(rest, "/"))
		rest = "";
	path = str_printf("%s%s", streq(point, "/") && *rest ? "" : point, rest);
	if (!path)
		return err_oom(e);
	/* Something may be mounted over it. */
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode) ||
	    (is_same && (st.st_dev != f->st.st_dev || st.st_ino != f->st.st_ino)) ||
	    strv_contains(f->found, path))
		return 0;
	if (f->found->n >= PLACES_MAX)
		return err_set(e, ERR_UNSUPPORTED, E2BIG,
			       "the host shows the audit log's folder in more than %d places",
			       PLACES_MAX);
	return strv_add(f->found, path) < 0 ? err_oom(e) : 0;
}

static int look_at_layer(const char *layer, const char *kind, void *arg, struct err *e)
{
	struct finder *f = arg;
	_free_ char *real = NULL;
	const char *rest;
	struct err unused;

	/* What it is named after may be gone, or have been relative to a folder of its mounter's. */
	if (layer[0] != '/' || fs_realpath(layer, &real, &unused) < 0)
		return 0;
	rest = below(f->folder, real);
	return rest ? add_place(f, f->mount->root, *rest ? rest : "/", false, e) : 0;
}

/* The mount that a path is in, by its number. */
static const struct mount_line *mount_of(const mount_lines *all, const char *path)
{
	struct statx x;
	char id[24];

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &x) < 0 || !(x.stx_mask & STATX_MNT_ID))
		return NULL;
	snprintf(id, sizeof(id), "%llu", (unsigned long long)x.stx_mnt_id);
	for (size_t i = 0; i < all->n; i++)
		if (streq(all->v[i].id, id))
			return &all->v[i];
	return NULL;
}

static int find_others(struct finder *f, const mount_lines *all, struct err *e)
{
	const struct mount_line *own = mount_of(all, f->folder);
	const char *rest = own ? below(f->folder, own->point) : NULL;
	_free_ char *inside =
		rest ? str_printf("%s%s", streq(own->root, "/") ? "" : own->root, rest) :
		       NULL;
	int r = 0;

	if (rest && !inside)
		return err_oom(e);
	if (stat(f->folder, &f->st) < 0)
		return err_sys(e, "cannot examine '%s'", f->folder);
	for (size_t i = 0; r == 0 && i < all->n; i++) {
		f->mount = &all->v[i];
		if (inside && streq(f->mount->device, own->device))
			r = add_place(f, f->mount->root, *inside ? inside : "/", true, e);
		if (r == 0 && streq(f->mount->type, "overlay"))
			r = audit_places_layers(f->mount->options, look_at_layer, f, e);
	}
	return r;
}

int audit_places_find(const char *folder, struct strv *ret, struct err *e)
{
	_free_ char *text = NULL;
	mount_lines all = {};
	char *line, *save = NULL;
	int r = fs_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, e);

	if (r < 0)
		return r;
	for (line = strtok_r(text, "\n", &save); r == 0 && line;
	     line = strtok_r(NULL, "\n", &save)) {
		struct mount_line x, *slot;

		if (!split(line, &x))
			continue;
		slot = list_add(&all);
		if (slot)
			*slot = x;
		else
			r = err_oom(e);
	}
	if (r == 0 && strv_add(ret, folder) < 0)
		r = err_oom(e);
	/* Those that are found may be seen in further ones. */
	for (size_t i = 0; r == 0 && i < ret->n; i++) {
		_free_ char *place = strdup(ret->v[i]);

		r = place ? find_others(&(struct finder){ .found = ret, .folder = place },
					&all, e) :
			    err_oom(e);
	}
	free(all.v);
	return r;
}
