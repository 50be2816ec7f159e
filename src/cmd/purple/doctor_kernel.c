/* SPDX-License-Identifier: Apache-2.0 */
/* purple doctor: what the kernel gives this user. Every part is tried in a child. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "cmd/purple/doctor.h"

#define KERNEL_MAJOR 5
#define KERNEL_MINOR 15
#define NOBODY 65534

static void check_release(struct doctor *d)
{
	const struct doctor_subject s = { "kernel", "everything", true };
	unsigned int major = 0, minor = 0;
	struct utsname u;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		doctor_bad(d, &s, DOCTOR_BROKEN, NULL, "its release cannot be told");
		return;
	}
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR))
		doctor_ok(d, &s, "Linux %s", u.release);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "install Linux 5.15 or newer",
			   "Linux %s is older than 5.15", u.release);
}

/* --- seccomp --- */

static int load_filter(void *arg)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = { .len = 1, .filter = &allow };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -errno;
	return 0;
}

static void check_seccomp(struct doctor *d)
{
	static const struct {
		uint32_t action;
		const char *name;
	} actions[] = { { SECCOMP_RET_KILL_PROCESS, "kill" },
			{ SECCOMP_RET_ERRNO, "errno" },
			{ SECCOMP_RET_LOG, "log" } };
	const struct doctor_subject s = { "seccomp", "syscalls", true };
	int r = doctor_try(load_filter, NULL);

	if (r < 0) {
		doctor_bad(d, &s, DOCTOR_MISSING, "use a kernel with CONFIG_SECCOMP_FILTER",
			   "a filter cannot be loaded: %s", strerror(-r));
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
			    &actions[i].action) == 0)
			continue;
		doctor_bad(d, &s, DOCTOR_MISSING, "use Linux 5.15 or newer",
			   "the action '%s' is not available", actions[i].name);
		return;
	}
	doctor_ok(d, &s, "filters load; kill, errno and log are available");
}

/* --- Landlock, BPF --- */

static void check_landlock(struct doctor *d)
{
	const struct doctor_subject s = { "landlock", "the gateway's own confinement",
					  false };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);

	if (version > 0)
		doctor_ok(d, &s, "version %ld", version);
	else
		doctor_bad(d, &s, DOCTOR_MISSING, "boot with landlock in the lsm= list",
			   "not in this kernel: %s", strerror(errno));
}

/* Says yes to everything; it is loaded and never attached. */
static int load_bpf(void *arg)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_DEVICE, "purple_doctor", "Apache-2.0",
			       insns, ARRAY_SIZE(insns), NULL);

	return fd < 0 ? -errno : 0;
}

static void check_bpf(struct doctor *d)
{
	const struct doctor_subject s = { "BPF cgroup programs",
					  "device lists on cgroup v2; the network filter",
					  false };
	int r = doctor_try(load_bpf, NULL);

	if (r == 0)
		doctor_ok(d, &s, "a program loads");
	else
		doctor_bad(d, &s, DOCTOR_MISSING,
			   d->ordinary ? "run as root" :
					 "use a kernel with CONFIG_CGROUP_BPF",
			   "a program cannot be loaded: %s", strerror(-r));
}

void doctor_check_kernel(struct doctor *d)
{
	check_release(d);
	check_seccomp(d);
	check_bpf(d);
	check_landlock(d);
}

/* --- namespaces and mounts --- */

#define SANDBOX_FLAGS                                                              \
	(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | \
	 CLONE_NEWCGROUP)

/* A user namespace in which the caller has its privileges: a restricted one is of no use. */
static int make_userns(void *arg)
{
	const bool as_nobody = arg != NULL;

	if (as_nobody && (setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
			  setresuid(NOBODY, NOBODY, NOBODY) < 0))
		return -errno;
	if (unshare(CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0)
		return -errno;
	return 0;
}

static int make_namespaces(void *arg)
{
	const struct doctor *d = arg;

	return unshare(SANDBOX_FLAGS | (d->ordinary ? CLONE_NEWUSER : 0)) < 0 ? -errno : 0;
}

static bool file_says(const char *path, const char *value)
{
	_free_ char *text = NULL;
	struct err unused;

	if (fs_read(AT_FDCWD, path, 64, &text, NULL, &unused) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	return streq(text, value);
}

static const char *userns_fix(void)
{
	if (file_says("/proc/sys/user/max_user_namespaces", "0"))
		return "sysctl user.max_user_namespaces=15000";
	if (file_says("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return "sysctl kernel.unprivileged_userns_clone=1";
	if (file_says("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
		return "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor "
		       "profile for purple with 'userns,'";
	return "use a kernel with CONFIG_USER_NS that lets ordinary users make them";
}

static void check_userns(struct doctor *d)
{
	const struct doctor_subject s = { "user namespaces",
					  "'purple run' of ordinary users", d->ordinary };
	int r;

	if (!d->ordinary)
		r = doctor_try(make_userns, d); /* not NULL: as nobody */
	else
		r = doctor_try(make_userns, NULL);
	if (r == 0)
		doctor_ok(d, &s, "ordinary users may make them");
	else
		doctor_bad(d, &s, DOCTOR_MISSING, userns_fix(),
			   "ordinary users may not: %s", strerror(-r));
}

static void check_sandbox_namespaces(struct doctor *d)
{
	const struct doctor_subject s = { "namespaces", "filesystem, network.isolated",
					  true };
	int r = doctor_try(make_namespaces, d);

	if (r == 0)
		doctor_ok(d, &s, "mount, pid, ipc, uts, network and cgroup");
	else
		doctor_bad(d, &s, DOCTOR_MISSING,
			   d->ordinary ? userns_fix() :
					 "run where CAP_SYS_ADMIN is not taken from root",
			   "they cannot be made: %s", strerror(-r));
}

/* What a sandbox's root is built with: a file system by fsopen(), a tree made read-only with all
 * below it. */
static int use_mount_api(void *arg)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	_close_ int fs = -1, tree = -1, mnt = -1;
	int r = make_namespaces(arg);

	if (r < 0)
		return r;
	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (mnt < 0)
		return -errno;
	tree = open_tree(AT_FDCWD, "/usr",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (tree < 0 ||
	    mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

static void check_mounts(struct doctor *d)
{
	const struct doctor_subject s = { "mount API", "filesystem", true };
	int r = doctor_try(use_mount_api, d);

	if (r == 0)
		doctor_ok(d, &s, "fsopen, open_tree and mount_setattr work");
	else
		doctor_bad(d, &s, DOCTOR_MISSING,
			   "use Linux 5.15 or newer, where no security module forbids mounting",
			   "a file system cannot be made or a tree not be made read-only: %s",
			   strerror(-r));
}

void doctor_check_namespaces(struct doctor *d)
{
	check_sandbox_namespaces(d);
	check_userns(d);
	check_mounts(d);
}
