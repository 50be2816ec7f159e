// SPDX-License-Identifier: Apache-2.0
/*
 * What a merge must know of the host: which block devices stand behind the paths that a container
 * may write, where limits go, how many files may be open. Runs in the runtime with its caller's
 * privileges; reads /proc, /sys and file attributes only.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/fs.h"
#include "base/num.h"
#include "policy/merge_parts.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
/* Layers of one file system on another (overlay on overlay) that are followed. */
#define LAYERS_MAX 4
#define MOUNTINFO_MAX ((size_t)16 << 20)

/* One line of mountinfo, taken apart in place. */
struct mount_line {
	char *device, *type, *source, *super_options;
};

static bool mount_line_parse(char *line, struct mount_line *ret)
{
	char *tail = strstr(line, " - "), *save = NULL;
	int i;

	if (!tail)
		return false;
	*tail = '\0';
	ret->device = strtok_r(line, " ", &save);
	for (i = 0; i < 2 && ret->device; i++)
		ret->device = strtok_r(NULL, " ", &save);
	ret->type = strtok_r(tail + 3, " ", &save);
	ret->source = strtok_r(NULL, " ", &save);
	ret->super_options = strtok_r(NULL, " ", &save);
	return ret->device && ret->type && ret->source && ret->super_options;
}

static char *option_value(char *options, const char *key)
{
	char *save = NULL, *opt;
	size_t n = strlen(key);

	for (opt = strtok_r(options, ",", &save); opt; opt = strtok_r(NULL, ",", &save))
		if (strncmp(opt, key, n) == 0 && opt[n] == '=')
			return opt + n + 1;
	return NULL;
}

/*
 * The file system with this device number: its type, and with overlay the directory that takes
 * the writes (else NULL). -ENOENT when no mount shows it.
 */
static int find_file_system(dev_t dev, char **ret_type, char **ret_upper, struct err *e)
{
	_free_ char *text = NULL;
	char number[32], *line, *save = NULL;
	int r;

	r = fs_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, e);
	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%u:%u", major(dev), minor(dev));
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct mount_line l;
		char *upper;

		if (!mount_line_parse(line, &l) || !streq(l.device, number))
			continue;
		upper = streq(l.type, "overlay") ?
				option_value(l.super_options, "upperdir") :
				NULL;
		if (upper)
			str_unescape_octal(upper);
		*ret_type = strdup(l.type);
		*ret_upper = upper ? strdup(upper) : NULL;
		return *ret_type && (!upper || *ret_upper) ? 0 : err_oom(e);
	}
	return err_set(e, ERR_KERNEL, ENOENT, "no mount has the device %s", number);
}

/* The disk that a partition is part of: limits are set on whole disks. */
static dev_t whole_disk(dev_t dev)
{
	_free_ char *text = NULL;
	char path[96], *colon;
	uint32_t maj, min;
	struct err ignored;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev),
		 minor(dev));
	if (access(path, F_OK) < 0)
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	if (fs_read(AT_FDCWD, path, 64, &text, NULL, &ignored) < 0)
		return dev;
	text[strcspn(text, "\n")] = '\0';
	colon = strchr(text, ':');
	if (!colon)
		return dev;
	*colon = '\0';
	if (num_u32(text, &maj) < 0 || num_u32(colon + 1, &min) < 0)
		return dev;
	return makedev(maj, min);
}

static int add_device(struct merge_host *h, dev_t dev, struct err *e)
{
	struct oci_throttle *t;
	size_t i;

	dev = whole_disk(dev);
	for (i = 0; i < h->block_devices.n; i++)
		if (h->block_devices.v[i].major == major(dev) &&
		    h->block_devices.v[i].minor == minor(dev))
			return 0;
	t = list_add(&h->block_devices);
	if (!t)
		return err_oom(e);
	t->major = major(dev);
	t->minor = minor(dev);
	return 0;
}

/* stat() of the path, or of the nearest directory above it that exists. */
static int stat_nearest(const char *path, struct stat *st, struct err *e)
{
	_free_ char *p = strdup(path);
	char *slash;

	if (!p)
		return err_oom(e);
	while (stat(p, st) < 0) {
		if (errno != ENOENT)
			return err_sys(e, "cannot look at '%s'", p);
		slash = strrchr(p, '/');
		if (!slash || streq(p, "/"))
			return err_set(e, ERR_KERNEL, ENOENT, "'%s' is missing", path);
		slash[slash == p ? 1 : 0] = '\0';
	}
	return 0;
}

/* Writes to these never reach a disk on their own. */
static bool is_in_memory(const char *type)
{
	return streq(type, "tmpfs") || streq(type, "ramfs") || streq(type, "devtmpfs");
}

/* Adds the device behind `path`. When it cannot be known, h->block_devices_why is set. */
static int add_path(struct merge_host *h, const char *path, struct err *e)
{
	_free_ char *here = strdup(path);
	int layer;

	if (!here)
		return err_oom(e);
	for (layer = 0; layer < LAYERS_MAX; layer++) {
		_free_ char *type = NULL, *upper = NULL;
		struct stat st;
		int r = stat_nearest(here, &st, e);

		if (r < 0)
			return r;
		if (S_ISBLK(st.st_mode))
			return add_device(h, st.st_rdev, e);
		if (major(st.st_dev) != 0)
			return add_device(h, st.st_dev, e);
		r = find_file_system(st.st_dev, &type, &upper, e);
		if (r < 0 && r != -ENOENT)
			return r;
		if (type && is_in_memory(type))
			return 0;
		if (!upper) {
			h->block_devices_why =
				str_printf("'%s' is on a file system (%s) whose block device the "
					   "kernel does not name",
					   path, type ? type : "unknown");
			return h->block_devices_why ? 0 : err_oom(e);
		}
		free(here);
		here = take_ptr(&upper);
	}
	h->block_devices_why = str_printf("'%s' is on too many layers of overlay", path);
	return h->block_devices_why ? 0 : err_oom(e);
}

/* An engine's bind mount that stays writable, or NULL. */
static char *writable_source(const struct oci_mount *mnt, const struct policy *p,
			     const char *bundle)
{
	_free_ char *destination = mnt->destination ? fs_clean_path(mnt->destination) :
						      NULL;
	bool named = false;
	size_t i;

	if (!destination || !mnt->source || !mount_is_bind(mnt))
		return NULL;
	for (i = 0; i < p->filesystem.scratch_paths.n; i++)
		named |= path_is_within(destination, p->filesystem.scratch_paths.v[i].name);
	for (i = 0; i < p->filesystem.output_paths.n; i++)
		named |= path_is_within(destination,
					p->filesystem.output_paths.v[i].sandbox_path);
	if (!named)
		return NULL;
	return mnt->source[0] == '/' ? strdup(mnt->source) :
				       fs_join(bundle ? bundle : "/", mnt->source);
}

static int find_devices(const struct oci_spec *spec, const struct policy *p,
			const char *bundle, struct merge_host *h, struct err *e)
{
	_strv_free_ struct strv dirs = { 0 };
	size_t i;
	int r;

	r = policy_output_dirs(p, NULL, &dirs, e);
	for (i = 0; r == 0 && i < dirs.n && !h->block_devices_why; i++)
		r = add_path(h, dirs.v[i], e);
	for (i = 0; spec && r == 0 && i < spec->mounts.n && !h->block_devices_why; i++) {
		_free_ char *source = writable_source(&spec->mounts.v[i], p, bundle);

		if (source)
			r = add_path(h, source, e);
	}
	h->block_devices_known = r == 0 && !h->block_devices_why;
	return r;
}

int merge_host_detect(const struct oci_spec *spec, const struct policy *p,
		      const char *bundle, struct merge_host *ret, struct err *e)
{
	struct merge_host h = { 0 };
	struct rlimit l;
	struct statfs sfs;
	int r = 0;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return err_sys(e, "cannot read RLIMIT_NOFILE");
	h.nofile_hard = l.rlim_max;
	h.cgroup_v2 = statfs(CGROUP_ROOT, &sfs) == 0 && sfs.f_type == CGROUP2_SUPER_MAGIC;
	if (p->resources.block_io_bps)
		r = find_devices(spec, p, bundle, &h, e);
	if (r < 0)
		merge_host_clear(&h);
	else
		*ret = h;
	return r;
}

void merge_host_clear(struct merge_host *h)
{
	free(h->block_devices.v);
	free(h->block_devices_why);
	*h = (struct merge_host){ 0 };
}
