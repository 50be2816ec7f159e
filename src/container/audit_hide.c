/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit logs and the container's files: one that the container could write to is refused, one that
 * it could read is hidden. Runs in the runtime, with the caller's privileges, before anything is
 * made. Looks at files of the host, and makes the logs' folders where they are missing.
 *
 * Compared are files, not paths: a mount shows a log when what is mounted is the log's folder or one
 * above it, by whatever name. Hidden is the folder, since there will be further files in it
 * (LOG.1, LOG.head). So are the other places where the host shows it (audit_places.h).
 */
#include "container/audit.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "audit/log_folder.h"
#include "base/fd.h"
#include "base/fs.h"
#include "container/audit_places.h"
#include "linux/mount_options.h"

/* What is mounted somewhere in the container. */
struct shown {
	const char *source, *destination;
	bool is_writable;
};

struct log_place {
	const struct audit_log_config *log;
	const char *folder; /* absolute, without links */
	const char *name;
};

static int refuse(const struct log_place *l, const struct shown *s, const char *why,
		  struct err *e)
{
	return err_set(e, ERR_POLICY, EPERM,
		       "policy %s: audit.log_path: '%s' is in what the container sees as '%s', %s: "
		       "keep it elsewhere",
		       l->log->place, l->log->path, s->destination, why);
}

static int hide(struct oci_spec *spec, const struct log_place *l, const struct shown *s,
		const char *inside, struct strv *explanations, struct err *e)
{
	_free_ char *joined = *inside ? fs_join(s->destination, inside) :
					strdup(s->destination);
	_free_ char *path = joined ? fs_clean_path(joined) : NULL;
	struct strv *masked = &spec->linux_->masked_paths;

	if (!path)
		return err_oom(e);
	if (s->is_writable)
		return refuse(l, s, "which it may write to", e);
	if (streq(path, "/"))
		return refuse(l, s, "and the whole of that cannot be hidden", e);
	if (strv_contains(masked, path))
		return 0;
	if (strv_add(masked, path) < 0 ||
	    strv_addf(explanations, "audit: %s is hidden, since a log is in it", path) < 0)
		return err_oom(e);
	return 0;
}

/* Whether `path` is the log, or one that belongs to it: LOG, LOG.1, LOG.head. */
static bool is_log_itself(const struct log_place *l, const char *path, struct err *e)
{
	_free_ char *real = NULL;
	size_t len = strlen(l->folder);
	struct err unused;

	if (fs_realpath(path, &real, &unused) < 0)
		return false;
	return str_has_prefix(real, l->folder) && real[len] == '/' &&
	       str_has_prefix(real + len + 1, l->name) && !strchr(real + len + 1, '/');
}

static int check_shown(struct oci_spec *spec, const struct log_place *l,
		       const struct shown *s, struct strv *explanations, struct err *e)
{
	_free_ char *above = strdup(l->folder);
	struct stat source, st;
	char *end;

	if (!above)
		return err_oom(e);
	/* One that is not there is an error, or a directory that is made yet. */
	if (stat(s->source, &source) < 0)
		return 0;
	if (is_log_itself(l, s->source, e))
		return refuse(l, s, "as a file of its own", e);
	/* From the folder upwards. */
	for (;;) {
		const char *inside = l->folder + strlen(above);

		if (stat(*above ? above : "/", &st) < 0)
			return err_sys(e, "cannot examine '%s'", above);
		if (st.st_dev == source.st_dev && st.st_ino == source.st_ino)
			return hide(spec, l, s, inside + (*inside == '/'), explanations, e);
		end = strrchr(above, '/');
		if (!end)
			return 0;
		*end = '\0';
	}
}

struct layers {
	struct oci_spec *spec;
	const struct log_place *log;
	const struct oci_mount *mount;
	struct strv *explanations;
};

/* What is below the upper one is written to. */
static int check_layer(const char *layer, const char *kind, void *arg, struct err *e)
{
	const struct layers *x = arg;

	return check_shown(x->spec, x->log,
			   &(struct shown){ layer, x->mount->destination,
					    streq(kind, "upperdir") },
			   x->explanations, e);
}

/* An overlay that the runtime is to mount, or the log's file system once more. */
static int check_other(struct oci_spec *spec, const struct log_place *l,
		       const struct oci_mount *m, struct strv *explanations, struct err *e)
{
	struct layers x = { spec, l, m, explanations };
	struct stat source, folder;
	int r = 0;

	if (m->type && streq(m->type, "overlay")) {
		for (size_t i = 0; r == 0 && i < m->options.n; i++)
			r = audit_places_layers(m->options.v[i], check_layer, &x, e);
		return r;
	}
	if (m->source && stat(m->source, &source) == 0 && S_ISBLK(source.st_mode) &&
	    stat(*l->folder ? l->folder : "/", &folder) == 0 &&
	    source.st_rdev == folder.st_dev)
		return refuse(l, &(struct shown){ m->source, m->destination, true },
			      "as part of its whole file system", e);
	return 0;
}

static int check_mount(struct oci_spec *spec, const struct log_place *l, const char *bundle,
		       const struct oci_mount *m, struct strv *explanations, struct err *e)
{
	struct mount_options o = {};
	_free_ char *source = NULL;
	bool is_bind, is_writable;
	int r = mount_options_parse(m, &o, e);

	if (r < 0)
		return r;
	is_bind = o.is_bind && m->source;
	is_writable = !((o.top.set | o.rec.set) & MOUNT_ATTR_RDONLY);
	mount_options_free(&o);
	if (!is_bind)
		return check_other(spec, l, m, explanations, e);
	source = fs_from(bundle, m->source);
	if (!source)
		return err_oom(e);
	return check_shown(spec, l, &(struct shown){ source, m->destination, is_writable },
			   explanations, e);
}

static int check_root(struct oci_spec *spec, const struct log_place *l,
		      const char *bundle, struct strv *explanations, struct err *e)
{
	const char *path = spec->root ? spec->root->path : NULL;
	_free_ char *root = NULL;

	if (!path)
		return 0;
	root = fs_from(bundle, path);
	if (!root)
		return err_oom(e);
	return check_shown(spec, l, &(struct shown){ root, "/", !spec->root->readonly },
			   explanations, e);
}

static int find_folder(const struct audit_log_config *log, char **ret, struct err *e)
{
	_free_ char *copy = strdup(log->path);
	_close_ int fd = -1;
	const char *folder;
	int r;

	if (!copy)
		return err_oom(e);
	folder = dirname(copy);
	r = log_folder_open(folder, &fd, e);
	if (r == 0)
		r = fs_realpath(folder, ret, e);
	return r < 0 ? err_wrap(e, "policy %s: audit.log_path", log->place) : 0;
}

static int hide_log(const struct audit_log_config *log, struct oci_spec *spec,
		    const char *bundle, struct strv *explanations, struct err *e)
{
	_strv_free_ struct strv places = {};
	_free_ char *folder = NULL;
	int r = find_folder(log, &folder, e);

	if (r == 0)
		r = audit_places_find(folder, &places, e);
	for (size_t i = 0; r == 0 && i < places.n; i++) {
		/* "/" is "": every other folder is behind its slash. */
		struct log_place l = { log, streq(places.v[i], "/") ? "" : places.v[i],
				       strrchr(log->path, '/') + 1 };

		r = check_root(spec, &l, bundle, explanations, e);
		for (size_t k = 0; r == 0 && k < spec->mounts.n; k++)
			r = check_mount(spec, &l, bundle, &spec->mounts.v[k],
					explanations, e);
	}
	return r;
}

int container_audit_hide(const struct audit_config *config, struct oci_spec *spec,
			 const char *bundle, struct strv *explanations, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->logs.n; i++)
		r = hide_log(&config->logs.v[i], spec, bundle, explanations, e);
	return r;
}
