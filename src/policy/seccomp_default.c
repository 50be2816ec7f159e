// SPDX-License-Identifier: Apache-2.0
/*
 * Purple's own system call profile: an allow-list of what ordinary programs use. Data only.
 *
 * Left out, and so denied: whatever changes mounts, namespaces, modules, clocks, swap, quotas or
 * the machine; whatever looks into other processes (ptrace and relatives); kernel interfaces with
 * a long record of holes that programs can do without (bpf, io_uring, userfaultfd,
 * perf_event_open, keyrings, modify_ldt); chroot; and what is obsolete. Names that an
 * architecture does not have are skipped when the filter is made.
 */
#include "policy/seccomp_default.h"

#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/str.h"

/* System calls take the low 32 bits of an `int`: comparing all 64 could be got round. */
#define INT_MASK UINT64_C(0xffffffff)
#define IS_INT(n, x)                                                             \
	{                                                                        \
		.arg = (n), .op = COND_MASKED_EQ, .value = (x), .mask = INT_MASK \
	}
#define HAS_NONE(n, bits)                                                    \
	{                                                                    \
		.arg = (n), .op = COND_MASKED_EQ, .value = 0, .mask = (bits) \
	}

#define NEW_NAMESPACES                                                               \
	(UINT64_C(0) | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
/* In clone() this bit is part of the exit signal. */
#define NEW_TIME_NAMESPACE UINT64_C(0x80)

#define SOCKET_TYPE_MASK UINT64_C(0xf)
#define NETLINK_ROUTE_PROTOCOL 0
/* Writing to the terminal's input queue, and the console's selection: ways out of a terminal. */
#define TIOCSTI_REQUEST UINT64_C(0x5412)
#define TIOCLINUX_REQUEST UINT64_C(0x541c)

/* Which type: SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, never SOCK_RAW or SOCK_PACKET. */
#define INET_SOCKET(family, type)                         \
	{                                                 \
		"socket",                                 \
			{ IS_INT(0, family),              \
			  { .arg = 1,                     \
			    .op = COND_MASKED_EQ,         \
			    .value = (type),              \
			    .mask = SOCKET_TYPE_MASK } }, \
			2                                 \
	}

const char *const seccomp_default_essential[] = { "exit", "exit_group", "restart_syscall",
						  "rt_sigreturn", NULL };

const char *const seccomp_default_plain[] = {
	/* processes and threads */
	"capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex",
	"futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "get_robust_list",
	"get_thread_area", "getcpu", "getpgid", "getpgrp", "getpid", "getppid",
	"getpriority", "getsid", "gettid", "ioprio_get", "ioprio_set", "kill",
	"membarrier", "pause", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64",
	"restart_syscall", "rseq", "sched_get_priority_max", "sched_get_priority_min",
	"sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
	"sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam",
	"sched_setscheduler", "sched_yield", "seccomp", "set_robust_list",
	"set_thread_area", "set_tid_address", "setpgid", "setpriority", "setsid",
	"tgkill", "tkill", "vfork", "wait4", "waitid", "arch_prctl", "landlock_add_rule",
	"landlock_create_ruleset", "landlock_restrict_self",
	/* users and groups */
	"getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid",
	"setfsgid", "setfsuid", "setgid", "setgroups", "setregid", "setresgid",
	"setresuid", "setreuid", "setuid",
	/* limits and facts */
	"getrlimit", "getrusage", "setrlimit", "sysinfo", "times", "umask", "uname",
	/* signals */
	"rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo",
	"rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
	"sigaltstack", "signalfd", "signalfd4",
	/* memory */
	"brk", "madvise", "map_shadow_stack", "memfd_create", "mincore", "mlock",
	"mlock2", "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync", "munlock",
	"munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect",
	"process_mrelease", "remap_file_pages",
	/* files */
	"access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range",
	"creat", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
	"fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat",
	"fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr",
	"fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd",
	"getdents", "getdents64", "getxattr", "inotify_add_watch", "inotify_init",
	"inotify_init1", "inotify_rm_watch", "lchown", "lgetxattr", "link", "linkat",
	"listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir",
	"mkdirat", "mknod", "mknodat", "name_to_handle_at", "newfstatat", "open",
	"openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64",
	"pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv",
	"removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr",
	"splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync",
	"sync_file_range", "syncfs", "tee", "truncate", "unlink", "unlinkat", "utime",
	"utimensat", "utimes", "vmsplice", "write", "writev", "cachestat",
	/* waiting */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait",
	"epoll_pwait2", "epoll_wait", "epoll_wait_old", "eventfd", "eventfd2", "poll",
	"ppoll", "pselect6", "select",
	/* time */
	"alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer",
	"gettimeofday", "nanosleep", "setitimer", "time", "timer_create", "timer_delete",
	"timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
	"timerfd_gettime", "timerfd_settime",
	/* sockets; socket() and socketpair() are below */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname",
	"getsockopt", "listen", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg",
	"sendto", "setsockopt", "shutdown",
	/* System V and POSIX IPC, in the container's own namespace */
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend",
	"mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop",
	"semtimedop", "shmat", "shmctl", "shmdt", "shmget",
	/* asynchronous I/O of old, which databases use */
	"io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup",
	"io_submit", "getrandom", NULL
};

const struct seccomp_default_rule seccomp_default_rules[] = {
	/* No new namespaces: each opens code of the kernel that is meant for administrators. */
	{ "clone", { HAS_NONE(0, NEW_NAMESPACES) }, 1 },
	{ "unshare", { HAS_NONE(0, NEW_NAMESPACES | NEW_TIME_NAMESPACE) }, 1 },

	/* Linux, with or without 32-bit personality and a 2.6 version number; or only asked. */
	{ "personality", { IS_INT(0, 0) }, 1 },
	{ "personality", { IS_INT(0, 0x8) }, 1 },
	{ "personality", { IS_INT(0, 0x20000) }, 1 },
	{ "personality", { IS_INT(0, 0x20008) }, 1 },
	{ "personality", { IS_INT(0, 0xffffffff) }, 1 },

	/*
	 * A request is 32 bits for the kernel, and libcs pass it zero-extended or sign-extended.
	 * Both forms are let through, without the two requests; no third form is.
	 */
	{ "ioctl",
	  { { .arg = 1, .op = COND_LE, .value = INT_MASK },
	    { .arg = 1, .op = COND_NE, .value = TIOCSTI_REQUEST },
	    { .arg = 1, .op = COND_NE, .value = TIOCLINUX_REQUEST } },
	  3 },
	{ "ioctl", { { .arg = 1, .op = COND_GE, .value = UINT64_C(0xffffffff80000000) } }, 1 },

	{ "socket", { IS_INT(0, AF_UNIX) }, 1 },
	INET_SOCKET(AF_INET, SOCK_STREAM),
	INET_SOCKET(AF_INET, SOCK_DGRAM),
	INET_SOCKET(AF_INET, SOCK_SEQPACKET),
	INET_SOCKET(AF_INET6, SOCK_STREAM),
	INET_SOCKET(AF_INET6, SOCK_DGRAM),
	INET_SOCKET(AF_INET6, SOCK_SEQPACKET),
	{ "socket", { IS_INT(0, AF_NETLINK), IS_INT(2, NETLINK_ROUTE_PROTOCOL) }, 2 },
	{ "socketpair", { IS_INT(0, AF_UNIX) }, 1 },
	{ NULL, { { 0 } }, 0 },
};

int seccomp_default_call(const char *name, struct dnf *ret)
{
	const struct seccomp_default_rule *rule;
	const char *const *plain;
	int r;

	for (plain = seccomp_default_plain; *plain; plain++)
		if (streq(*plain, name))
			return dnf_or_conj(ret, NULL, 0);
	for (rule = seccomp_default_rules; rule->name; rule++) {
		if (!streq(rule->name, name))
			continue;
		r = dnf_or_conj(ret, rule->conds, rule->n_conds);
		if (r < 0)
			return r;
	}
	return 0;
}
