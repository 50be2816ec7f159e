/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple doctor: limits. For each key of `resources` a group is made where a sandbox's would be,
 * the limit is set, and the group is removed again. Runs with the caller's privileges.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cgroup/cgroup.h"
#include "cmd/purple/doctor.h"

#define TRIAL_MEMORY (64 << 20)
#define TRIAL_PIDS 16
#define TRIAL_QUOTA 50000
#define TRIAL_PERIOD 100000
#define TRIAL_RATE (50 << 20)

/* Makes a group for `r`, sets it, does `more` with it, and removes it. */
static int try_group(const struct oci_resources *r,
		     int (*more)(const struct cgroup *cg, struct err *e), struct err *e)
{
	_cgroup_clear_ struct cgroup cg = {};
	struct err later;
	pid_t holder = 0;
	bool unit;
	char id[64];
	int res, gone;

	snprintf(id, sizeof(id), "doctor-%d", (int)getpid());
	res = cgroup_prefers_unit(r, &unit, e);
	if (res == 0 && unit)
		res = cgroup_create_unit(&(struct cgroup_unit_request){ .id = id,
									.resources = r },
					 &cg, &holder, e);
	else if (res == 0)
		res = cgroup_create(NULL, id, r, &cg, e);
	if (res < 0)
		return res;
	if (cg.mode == CGROUP_NONE)
		res = err_set(e, ERR_UNSUPPORTED, EACCES, "no cgroup can be made");
	if (res == 0 && r)
		res = cgroup_apply(&cg, r, false, e);
	if (res == 0 && more)
		res = more(&cg, e);
	cgroup_holder_end(&holder);
	gone = cgroup_destroy(&cg, res < 0 ? &later : e);
	return res < 0 ? res : gone;
}

static const char *cgroup_fix(const struct doctor *d, const char *controller)
{
	if (d->ordinary)
		return "run as root, or on a host with cgroup v2 alone and a systemd of the user's "
		       "own that has the controller (Delegate= of user@.service)";
	if (streq(controller, "swap"))
		return "boot with swapaccount=1";
	if (streq(controller, "memory"))
		return "boot with cgroup_enable=memory, and mount the controller";
	return "use a kernel with this controller, and mount it";
}

static void check_limit(struct doctor *d, const struct doctor_subject *s,
			const char *controller, const struct oci_resources *r,
			struct err *e)
{
	if (try_group(r, NULL, e) == 0)
		doctor_ok(d, s, "%s can be limited", controller);
	else
		doctor_bad(d, s, DOCTOR_MISSING, cgroup_fix(d, controller), "%s", e->msg);
}

static void check_memory(struct doctor *d)
{
	const struct doctor_subject s = { "cgroup memory", "resources.memory_limit_bytes",
					  true };
	const struct doctor_subject swap = { "swap accounting",
					     "resources.memory_limit_bytes", true };
	struct oci_memory m = { .limit = { .set = true, .value = TRIAL_MEMORY } };
	struct oci_resources r = { .memory = &m };
	struct err e = {};

	check_limit(d, &s, "memory", &r, &e);
	if (e.kind != ERR_NONE)
		return;
	m.swap = m.limit;
	check_limit(d, &swap, "swap", &r, &e);
}

static void check_cpu(struct doctor *d)
{
	const struct doctor_subject s = { "cgroup cpu", "resources.cpu_shares", true };
	struct oci_cpu c = { .quota = { .set = true, .value = TRIAL_QUOTA },
			     .period = { .set = true, .value = TRIAL_PERIOD } };
	struct oci_resources r = { .cpu = &c };
	struct err e = {};

	check_limit(d, &s, "cpu", &r, &e);
}

static void check_pids(struct doctor *d)
{
	const struct doctor_subject s = { "cgroup pids", "resources.pids_limit", true };
	struct oci_pids p = { .limit = { .set = true, .value = TRIAL_PIDS } };
	struct oci_resources r = { .pids = &p };
	struct err e = {};

	check_limit(d, &s, "pids", &r, &e);
}

/* Any disk will do for a trial. */
static bool find_disk(struct oci_throttle *ret)
{
	_closedir_ DIR *dir = opendir("/sys/block");
	struct dirent *entry;
	struct err unused;

	while (dir && (entry = readdir(dir))) {
		_free_ char *path = NULL, *text = NULL;
		long long major, minor;

		if (entry->d_name[0] == '.' || str_has_prefix(entry->d_name, "loop") ||
		    str_has_prefix(entry->d_name, "ram"))
			continue;
		path = str_printf("/sys/block/%s/dev", entry->d_name);
		if (!path || fs_read(AT_FDCWD, path, 64, &text, NULL, &unused) < 0 ||
		    sscanf(text, "%lld:%lld", &major, &minor) != 2)
			continue;
		*ret = (struct oci_throttle){ major, minor, TRIAL_RATE };
		return true;
	}
	return false;
}

static void check_io(struct doctor *d)
{
	const struct doctor_subject s = { "cgroup io", "resources.block_io_limit", true };
	struct oci_throttle disk;
	struct oci_block_io b = { .throttle_read_bps = { &disk, 1 },
				  .throttle_write_bps = { &disk, 1 } };
	struct oci_resources r = { .block_io = &b };
	struct err e = {};

	if (find_disk(&disk))
		check_limit(d, &s, "block I/O", &r, &e);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, NULL, "no disk can be seen in /sys/block");
}

static int freeze_and_thaw(const struct cgroup *cg, struct err *e)
{
	int r = cgroup_freeze(cg, true, e);

	return r < 0 ? r : cgroup_freeze(cg, false, e);
}

static int limit_devices(const struct cgroup *cg, struct err *e)
{
	char all[] = "a", access[] = "rwm";
	const struct oci_device_cgroup none = { .allow = false,
						.type = all,
						.access = access };

	return cgroup_apply_devices(cg, &none, 1, e);
}

static void check_other(struct doctor *d)
{
	const struct doctor_subject freezer = { "cgroup freezer", "purple-runtime pause",
						false };
	const struct doctor_subject devices = { "cgroup devices",
						"device lists of containers", !d->ordinary };
	struct err e = {};

	if (try_group(NULL, freeze_and_thaw, &e) == 0)
		doctor_ok(d, &freezer, "groups can be frozen");
	else
		doctor_bad(d, &freezer, DOCTOR_MISSING, cgroup_fix(d, "freezer"), "%s",
			   e.msg);
	if (d->ordinary)
		return; /* there are no devices to be made in a user namespace */
	if (try_group(NULL, limit_devices, &e) == 0)
		doctor_ok(d, &devices, "devices can be denied");
	else
		doctor_bad(d, &devices, DOCTOR_MISSING,
			   "mount the devices controller, or cgroup2 on a kernel with "
			   "CONFIG_CGROUP_BPF",
			   "%s", e.msg);
}

void doctor_check_cgroups(struct doctor *d)
{
	const struct doctor_subject s = { "cgroup", "resources", true };
	_cgroup_host_clear_ struct cgroup_host host = {};
	struct err e;

	if (cgroup_host_detect(&host, &e) < 0) {
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "%s", e.msg);
		return;
	}
	if (host.mode == CGROUP_NONE) {
		doctor_bad(d, &s, DOCTOR_MISSING, "mount -t cgroup2 none /sys/fs/cgroup",
			   "no cgroup file system is mounted");
		return;
	}
	doctor_ok(d, &s, "%s", cgroup_mode_name(host.mode));
	check_memory(d);
	check_cpu(d);
	check_pids(d);
	check_io(d);
	check_other(d);
}
