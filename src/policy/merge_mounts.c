// SPDX-License-Identifier: Apache-2.0
/*
 * The part of a merge that concerns files. Pure: paths are compared as text. A symbolic link in
 * the image can move a mount elsewhere in the image, but cannot make it writable: what is
 * writable is decided for the mount itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/fs.h"
#include "policy/merge_parts.h"

/* What every engine hides by itself, unless it was told not to. */
static const char *const standard_masked[] = {
	"/proc/acpi",
	"/proc/asound",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
	"/sys/devices/virtual/powercap",
};
static const char *const standard_readonly[] = {
	"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

#define SHM_SIZE_DEFAULT INT64_C(67108864)

static int add_paths(struct merge *m, struct strv *l, const char *const *paths, size_t n,
		     const char *what)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strv_contains(l, paths[i]))
			continue;
		if (strv_add(l, paths[i]) < 0)
			return err_oom(m->e);
		if (merge_explain(m, "filesystem: '%s' is %s", paths[i], what) < 0)
			return -ENOMEM;
	}
	return 0;
}

int merge_paths(struct merge *m)
{
	struct oci_linux *l = m->spec->linux_;
	char *slave;
	int r;

	r = add_paths(m, &l->masked_paths, standard_masked, ARRAY_SIZE(standard_masked),
		      "masked");
	if (r == 0)
		r = add_paths(m, &l->readonly_paths, standard_readonly,
			      ARRAY_SIZE(standard_readonly), "read-only");
	if (r < 0 || !l->rootfs_propagation ||
	    !str_has_suffix(l->rootfs_propagation, "shared"))
		return r;
	slave = strdup("rslave");
	if (!slave)
		return err_oom(m->e);
	free(l->rootfs_propagation);
	l->rootfs_propagation = slave;
	return merge_explain(m, "filesystem: mounts made inside are not seen by the host");
}

/* A device that may be used by anybody, so that its bind mount need not be nodev. */
static bool source_is_harmless_device(const struct oci_mount *mnt)
{
	static const char *const paths[] = { "/dev/null",   "/dev/zero",    "/dev/full",
					     "/dev/random", "/dev/urandom", "/dev/tty" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (streq_null(mnt->source, paths[i]))
			return true;
	return false;
}

/* What a mount entry is, as far as the merge has to tell. */
enum mount_class {
	MOUNT_OF_DATA,	    /* reaches files that outlive the container, or may */
	MOUNT_OF_MEMORY,    /* tmpfs and the like: private, gone at the end */
	MOUNT_OF_KERNEL,    /* control files: sysfs, cgroup, a second procfs */
	MOUNT_OF_CONTAINER, /* the container's own proc, mqueue, devpts */
};

static enum mount_class mount_classify(const struct oci_mount *mnt, const char *destination)
{
	const char *type = mnt->type ? mnt->type : "";

	if (mount_is_bind(mnt) || mount_has_option(mnt, "remount"))
		return MOUNT_OF_DATA;
	if (streq(type, "tmpfs"))
		return MOUNT_OF_MEMORY;
	if (streq(type, "proc"))
		return streq(destination, "/proc") ? MOUNT_OF_CONTAINER : MOUNT_OF_KERNEL;
	if (streq(type, "sysfs") || streq(type, "cgroup") || streq(type, "cgroup2"))
		return MOUNT_OF_KERNEL;
	if (streq(type, "mqueue") || streq(type, "devpts"))
		return path_is_within(destination, "/dev") ? MOUNT_OF_CONTAINER :
							     MOUNT_OF_MEMORY;
	return MOUNT_OF_DATA;
}

/* May this mount stay writable? */
static bool mount_may_write(const struct merge *m, enum mount_class class,
			    const char *destination)
{
	enum path_rule rule = policy_path_rule(m->p, destination);

	switch (class) {
	case MOUNT_OF_DATA:
		return rule == PATH_SCRATCH || rule == PATH_OUTPUT;
	case MOUNT_OF_MEMORY:
		return rule != PATH_IMMUTABLE || path_is_within(destination, "/dev");
	case MOUNT_OF_KERNEL:
		return false;
	case MOUNT_OF_CONTAINER:
		return true;
	}
	return false;
}

/*
 * The host's /dev and its shared memory, which engines bind, are replaced by private ones: with
 * nodev and read-only they would be of no use, and without they would reach the host.
 */
static int mount_replace(struct merge *m, struct oci_mount *mnt, const char *destination,
			 bool *ret_replaced)
{
	int64_t size = spec_memory_limit(m->spec);
	char options[96];

	*ret_replaced = false;
	if (!mount_is_bind(mnt))
		return 0;
	if (streq(destination, "/dev/shm"))
		snprintf(options, sizeof(options),
			 "nosuid,noexec,nodev,mode=1777,size=%" PRIi64,
			 size ? size : SHM_SIZE_DEFAULT);
	else if (streq(destination, "/dev"))
		snprintf(options, sizeof(options),
			 "nosuid,strictatime,mode=755,size=65536k");
	else
		return 0;
	mount_clear(mnt);
	if (mount_fill(mnt, destination, "tmpfs", "tmpfs", options, m->e) < 0)
		return -ENOMEM;
	*ret_replaced = true;
	return merge_explain(m, "filesystem: '%s' is private instead of the engine's",
			     destination);
}

static int mount_tighten(struct merge *m, struct oci_mount *mnt, const char *destination)
{
	enum mount_class class = mount_classify(mnt, destination);
	bool changed = false, other;
	int r;

	r = mount_stop_sharing(mnt, &other, m->e);
	if (r == 0 && other)
		r = merge_explain(m,
				  "filesystem: mounts below '%s' are not seen by the host",
				  destination);
	if (r == 0 && !mount_may_write(m, class, destination))
		r = mount_restrict(mnt, MOUNT_RO, &changed, m->e);
	if (r == 0 && changed)
		mnt->late_ro = true;
	if (r == 0 && changed)
		r = merge_explain(m, "filesystem: '%s' is read-only", destination);
	if (r < 0 || class == MOUNT_OF_KERNEL || class == MOUNT_OF_CONTAINER)
		return r;
	r = mount_restrict(mnt, MOUNT_NOSUID, &other, m->e);
	if (r == 0 && !(class == MOUNT_OF_MEMORY && streq(destination, "/dev")) &&
	    !source_is_harmless_device(mnt))
		r = mount_restrict(mnt, MOUNT_NODEV, &other, m->e);
	if (r == 0 && class == MOUNT_OF_DATA &&
	    policy_path_rule(m->p, destination) == PATH_OUTPUT)
		r = mount_restrict(mnt, MOUNT_NOEXEC, &other, m->e);
	return r;
}

static int engine_mounts_tighten(struct merge *m)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < m->spec->mounts.n; i++) {
		struct oci_mount *mnt = &m->spec->mounts.v[i];
		/* A relative destination counts from the root. */
		_free_ char *absolute = fs_join("/",
						mnt->destination ? mnt->destination : "");
		_free_ char *destination = absolute ? fs_clean_path(absolute) : NULL;
		bool replaced;

		if (!destination)
			return err_oom(m->e);
		r = mount_split_options(mnt, m->e);
		if (r < 0)
			return r;
		r = mount_replace(m, mnt, destination, &replaced);
		if (!streq_null(mnt->destination, destination)) {
			free(mnt->destination);
			mnt->destination = strdup(destination);
			if (!mnt->destination)
				return err_oom(m->e);
		}
		if (r == 0 && !replaced)
			r = mount_tighten(m, mnt, destination);
	}
	return r;
}

/* Does the policy make anything below `path` writable? */
static bool has_writable_below(const struct policy *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->filesystem.scratch_paths.n; i++)
		if (path_is_within(p->filesystem.scratch_paths.v[i].name, path))
			return true;
	for (i = 0; i < p->filesystem.output_paths.n; i++)
		if (path_is_within(p->filesystem.output_paths.v[i].sandbox_path, path))
			return true;
	return false;
}

/* Is `path` in a place that the policy makes writable, if it were not for its own entry? */
static bool is_in_writable(const struct policy *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->filesystem.scratch_paths.n; i++)
		if (path_is_within(path, p->filesystem.scratch_paths.v[i].name))
			return true;
	for (i = 0; i < p->filesystem.output_paths.n; i++)
		if (path_is_within(path, p->filesystem.output_paths.v[i].sandbox_path))
			return true;
	return false;
}

/*
 * The image's own paths. The root is read-only, and so are the engine's mounts there; an entry in
 * readonlyPaths says it again, and covers a path inside a writable mount. It is recursive, so it
 * cannot stand above a writable place.
 */
static int immutable_own_paths(struct merge *m)
{
	struct strv *l = &m->spec->linux_->readonly_paths;
	size_t i;

	for (i = 0; i < m->p->filesystem.immutable_paths.n; i++) {
		const struct policy_path *path = &m->p->filesystem.immutable_paths.v[i];
		const char *const sandbox_path = path->sandbox_path;

		/* What the administrator does not grant is still not to be written. */
		if ((!policy_path_is_images_own(path) &&
		     policy_immutable_is_granted(m->above, path)) ||
		    streq(sandbox_path, "/"))
			continue;
		if (has_writable_below(m->p, sandbox_path)) {
			if (is_in_writable(m->p, sandbox_path))
				return err_set(m->e, ERR_POLICY, EINVAL,
					       POLICY_AT
					       "filesystem.immutable_paths: '%s' cannot be "
					       "both inside a writable path and around one",
					       policy_at(m->p, path->pos), sandbox_path);
			continue;
		}
		if (add_paths(m, l, &sandbox_path, 1, "read-only") < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The place right after which a mount at `destination` is on top of all that it has to cover;
 * but before the first of the engine's mounts that lie below it, so that they are seen. */
static size_t mounts_place(const struct oci_spec *s, const char *destination)
{
	size_t i, after = 0, before = s->mounts.n;

	for (i = 0; i < s->mounts.n; i++) {
		const char *other = s->mounts.v[i].destination;

		if (path_is_within(destination, other))
			after = i + 1;
		else if (path_is_within(other, destination) && i < before)
			before = i;
	}
	return before >= after ? before : s->mounts.n;
}

/* Is the mount that would be covered this very one already? Then it takes over what is not
 * written in a configuration. */
static bool mounts_adopt(const struct oci_spec *s, const struct oci_mount *mnt)
{
	size_t i;

	for (i = s->mounts.n; i-- > 0;) {
		if (!path_is_within(mnt->destination, s->mounts.v[i].destination))
			continue;
		if (!mount_is_equal(&s->mounts.v[i], mnt))
			return false;
		s->mounts.v[i].plain_source |= mnt->plain_source;
		return true;
	}
	return false;
}

int merge_mounts(struct merge *m)
{
	struct policy_mounts own = { 0 };
	size_t i;
	int r = 0;

	if (m->spec->root && !m->spec->root->readonly) {
		m->spec->root->readonly = true;
		r = merge_explain(m, "filesystem: the root is read-only");
	}
	if (r == 0)
		r = engine_mounts_tighten(m);
	if (r == 0)
		r = immutable_own_paths(m);
	if (r == 0)
		r = policy_mounts_make(m, false, &own);
	for (i = 0; r == 0 && i < own.l.n; i++) {
		struct oci_mount *mnt;

		if (mounts_adopt(m->spec, &own.l.v[i]))
			continue;
		mnt = mounts_insert(m->spec,
				    mounts_place(m->spec, own.l.v[i].destination), m->e);
		if (!mnt) {
			r = -ENOMEM;
			break;
		}
		*mnt = own.l.v[i];
		own.l.v[i] = (struct oci_mount){ 0 };
		r = merge_explain(m, "filesystem: '%s' is a %s of the policy",
				  mnt->destination,
				  streq(mnt->type, "tmpfs")   ? "scratch directory" :
				  mount_has_option(mnt, "ro") ? "read-only path" :
								"writable output path");
	}
	policy_mounts_clear(&own);
	return r;
}
