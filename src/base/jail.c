/* SPDX-License-Identifier: Apache-2.0 */
/* See jail.h. Runs in Purple's helper programs, as root, once. */
#include "config.h"

#include "base/jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/list.h"

/* --- file system --- */

int jail_enter_empty_root(struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys(e, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, "cannot keep mounts to itself");
	/* Any folder that is everywhere will do: nobody else sees it. */
	if (mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		  "size=4096,nr_inodes=2,mode=0555") < 0)
		return err_sys(e, "cannot mount an empty file system");
	if (chdir("/proc") < 0)
		return err_sys(e, "cannot enter the empty file system");
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) < 0)
			return err_sys(e, "cannot leave the host's file systems");
	} else if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
		   chroot(".") < 0) {
		/* EINVAL: the host runs from its initramfs, which cannot be left like that. */
		return err_sys(e, "cannot make the empty file system the root");
	}
	return chdir("/") < 0 ? err_sys(e, "cannot enter the empty file system") : 0;
}

/* --- users and capabilities --- */

int jail_set_caps(uint64_t effective, uint64_t permitted, struct err *e)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)effective, (uint32_t)permitted, 0 },
		{ (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), 0 },
	};

	if (syscall(SYS_capset, &head, data) < 0)
		return err_sys(e, "cannot drop capabilities");
	return 0;
}

static bool has_permitted(int cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	return syscall(SYS_capget, &head, data) == 0 &&
	       (data[cap / 32].permitted & 1U << (cap % 32));
}

int jail_drop_bounding(struct err *e)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_sys(e, "cannot drop capability %lu", cap);
	return 0;
}

int jail_become(uid_t uid, gid_t gid, struct err *e)
{
	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return err_sys(e, "cannot keep capabilities");
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0)
		return err_sys(e, "cannot become user %u", uid);
	if (prctl(PR_SET_KEEPCAPS, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, "cannot drop capabilities");
	return 0;
}

int jail_become_nobody(struct err *e)
{
	return jail_become(JAIL_ID, JAIL_ID, e);
}

int jail_drop_caps(int (*probe)(void *arg), void *arg, struct err *e)
{
	const uint64_t bpf = 1ULL << CAP_BPF;
	int r = jail_set_caps(0, has_permitted(CAP_BPF) ? bpf : 0, e);

	if (r < 0)
		return r;
	r = probe(arg);
	if (r == 0)
		return jail_set_caps(0, 0, e);
	if (r == -EPERM && has_permitted(CAP_BPF)) {
		r = jail_set_caps(bpf, bpf, e);
		if (r < 0)
			return r;
		r = probe(arg);
	}
	return r < 0 ? err_errno(e, r,
				 "cannot use a map of the network filter without "
				 "privileges") :
		       0;
}

int jail_close_doors(struct err *e)
{
	/* Becoming another user has done it already; nothing says that it stays so. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot hide its memory");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	return 0;
}

/* --- limits --- */

int jail_limit(const struct jail_limit *limits, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		__rlimit_resource_t resource = (__rlimit_resource_t)limits[i].resource;
		struct rlimit now, l;

		if (getrlimit(resource, &now) < 0)
			return err_sys(e, "cannot read resource limit %d",
				       limits[i].resource);
		l.rlim_max = limits[i].value < now.rlim_max ? limits[i].value :
							      now.rlim_max;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(resource, &l) < 0)
			return err_sys(e, "cannot set resource limit %d",
				       limits[i].resource);
	}
	return 0;
}

/* --- system calls --- */

int jail_allow_calls(void *filter, const int *calls, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return r;
}

int jail_allow_reports(void *filter)
{
#ifdef PURPLE_SANITIZED
	static const int calls[] = {
		SCMP_SYS(getpid),	SCMP_SYS(gettid),	  SCMP_SYS(mprotect),
		SCMP_SYS(openat),	SCMP_SYS(prctl),	  SCMP_SYS(readlink),
		SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(sched_yield),
		SCMP_SYS(sigaltstack),
	};

	return jail_allow_calls(filter, calls, ARRAY_SIZE(calls));
#else
	return 0;
#endif
}

int jail_load_filter(const int *calls, size_t n, int (*add)(void *filter, const void *arg),
		     const void *arg, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? jail_allow_calls(ctx, calls, n) : -ENOMEM;

	if (r == 0)
		r = jail_allow_reports(ctx);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (r == 0 && add)
		r = add(ctx, arg);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_errno(e, r, "cannot set the filter of system calls") : 0;
}
