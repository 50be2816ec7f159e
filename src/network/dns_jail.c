/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_jail.h. Runs in purple-dns, as root, once. In this order: the file system and the groups
 * need capabilities; no_new_privs comes before the filter, which then needs none; the filter is
 * last, since it does not allow what is above it.
 */
#include "config.h"

#include "network/dns_jail.h"

#include <errno.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/list.h"
#include "network/dns_learn.h"

/* Sockets of lookups and connections, and what it is started with. */
#define DESCRIPTORS_MAX 512
#define MEMORY_MAX ((rlim_t)512 << 20)

/* --- file system --- */

/* A file system of its own with nothing in it, not writable; the host's tree is not even there. */
static int enter_empty_root(struct err *e)
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

static int set_caps(uint64_t effective, uint64_t permitted, struct err *e)
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

static int drop_bounding(struct err *e)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return err_sys(e, "cannot drop capability %lu", cap);
	return 0;
}

static int become_nobody(struct err *e)
{
	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return err_sys(e, "cannot keep capabilities");
	if (setgroups(0, NULL) < 0 || setresgid(DNS_JAIL_ID, DNS_JAIL_ID, DNS_JAIL_ID) < 0 ||
	    setresuid(DNS_JAIL_ID, DNS_JAIL_ID, DNS_JAIL_ID) < 0)
		return err_sys(e, "cannot become user %d", DNS_JAIL_ID);
	if (prctl(PR_SET_KEEPCAPS, 0) < 0 ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_sys(e, "cannot drop capabilities");
	return 0;
}

/*
 * Since Linux 5.19 a map that is open can be used by anybody (c8644cd0efe7, "bpf: refine kernel.
 * unprivileged_bpf_disabled behaviour"); before, where unprivileged_bpf_disabled is set, with
 * CAP_BPF only.
 */
static int drop_caps(int map_fd, struct err *e)
{
	const uint64_t bpf = 1ULL << CAP_BPF;
	int r = set_caps(0, has_permitted(CAP_BPF) ? bpf : 0, e);

	if (r < 0)
		return r;
	r = dns_map_probe(map_fd);
	if (r == 0)
		return set_caps(0, 0, e);
	if (r == -EPERM && has_permitted(CAP_BPF)) {
		r = set_caps(bpf, bpf, e);
		if (r < 0)
			return r;
		r = dns_map_probe(map_fd);
	}
	return r < 0 ? err_errno(e, r, "cannot use the map of names without privileges") :
		       0;
}

/* --- limits --- */

static int set_limits(struct err *e)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{ RLIMIT_NPROC, 0 },	   { RLIMIT_NOFILE, DESCRIPTORS_MAX },
		{ RLIMIT_CORE, 0 },	   { RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
		{ RLIMIT_AS, MEMORY_MAX },
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit now, l;

		if (getrlimit(limits[i].resource, &now) < 0)
			return err_sys(e, "cannot read resource limit %d",
				       limits[i].resource);
		/* Lower than that is somebody's will. */
		l.rlim_max = limits[i].value < now.rlim_max ? limits[i].value :
							      now.rlim_max;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(limits[i].resource, &l) < 0)
			return err_sys(e, "cannot set resource limit %d",
				       limits[i].resource);
	}
	return 0;
}

/* --- system calls --- */

/*
 * A filter cannot look at the address that connect() is given, but at where it is. So the servers'
 * addresses are in pages that cannot be written, and memory is had by brk() alone: what mmap(),
 * mremap() or mprotect() could do is to put other pages in their place. Other libraries than glibc
 * have no such setting, and the sanitizers need these calls: there that does not hold.
 */
#if defined(__GLIBC__) && !defined(PURPLE_SANITIZED)
#define MEMORY_BY_BRK 1
#else
#define MEMORY_BY_BRK 0
#endif

static const int calls[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(brk),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(getrandom),
	SCMP_SYS(read),
	SCMP_SYS(recvfrom),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(write),
#if !MEMORY_BY_BRK
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
#endif
#ifdef PURPLE_SANITIZED /* for reports */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(mprotect),
	SCMP_SYS(openat),
	SCMP_SYS(prctl),
	SCMP_SYS(readlink),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sigaltstack),
#endif
};

static int add_socket_rules(scmp_filter_ctx ctx)
{
	const unsigned int families[] = { AF_INET, AF_INET6 };
	const unsigned int types[] = { SOCK_DGRAM, SOCK_STREAM };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (size_t k = 0; r == 0 && k < ARRAY_SIZE(types); k++)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
					     SCMP_A0_32(SCMP_CMP_EQ, families[i]),
					     SCMP_A1_32(SCMP_CMP_EQ, types[k] | SOCK_CLOEXEC |
									     SOCK_NONBLOCK),
					     SCMP_A2_32(SCMP_CMP_EQ, 0));
	return r;
}

static int add_bpf_rules(scmp_filter_ctx ctx)
{
	const unsigned int commands[] = { BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM,
					  BPF_MAP_DELETE_ELEM };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(commands); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, commands[i]));
	return r;
}

/* Memory: none where brk() will do, which malloc() then is told; and none that can be run. */
static int add_mmap_rule(scmp_filter_ctx ctx)
{
#if MEMORY_BY_BRK
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOMEM), SCMP_SYS(mmap), 0);
#else
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
#endif
}

/* To where, and from which sockets. */
static int add_address_rules(scmp_filter_ctx ctx, const struct dns_jail *j)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				 SCMP_A4(SCMP_CMP_EQ, 0));

	for (size_t i = 0; r == 0 && i < j->answering_count; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)j->answering[i]));
	for (size_t i = 0; r == 0 && i < j->server_count; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 1,
				     SCMP_A1(SCMP_CMP_EQ, (uintptr_t)j->servers[i]));
	return r;
}

/* The sockets above keep their numbers: no other socket can get one of them. */
static int add_close_rules(scmp_filter_ctx ctx, const struct dns_jail *j)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(close), 1,
				 SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)j->control_fd));

	return r < 0 ? r :
		       seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(close), 1,
					SCMP_A0_32(SCMP_CMP_GE, (uint32_t)j->first_own_fd));
}

static int load_filter(const struct dns_jail *j, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(calls); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
	if (r == 0)
		r = add_socket_rules(ctx);
	if (r == 0)
		r = add_bpf_rules(ctx);
	if (r == 0)
		r = add_mmap_rule(ctx);
	if (r == 0)
		r = add_address_rules(ctx, j);
	if (r == 0)
		r = add_close_rules(ctx, j);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_errno(e, r, "cannot set the filter of system calls") : 0;
}

int dns_jail_prepare(struct err *e)
{
#if MEMORY_BY_BRK
	if (mallopt(M_MMAP_MAX, 0) != 1)
		return err_set(e, ERR_INTERNAL, EINVAL, "cannot set how memory is had");
#endif
	return 0;
}

int dns_jail_enter(const struct dns_jail *j, struct err *e)
{
	int r = enter_empty_root(e);

	if (r == 0)
		r = drop_bounding(e);
	if (r == 0)
		r = set_limits(e);
	if (r == 0)
		r = become_nobody(e);
	if (r == 0)
		r = drop_caps(j->map_fd, e);
	if (r < 0)
		return r;
	/* Becoming another user has done it already; nothing says that it stays so. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot hide its memory");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(e, "cannot set no_new_privs");
	return load_filter(j, e);
}
