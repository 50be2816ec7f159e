/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See gateway_jail.h. Runs in purple-gateway, once.
 *
 * The process looks up names with the host's libc and checks certificates with the host's
 * libraries, so that, other than purple-dns, it keeps the host's tree: what Landlock leaves of it
 * can be read by anybody. Nothing can be written but what is open, and nothing run.
 *
 * The filter refuses with ENOSYS what it does not know, and does not kill: libcurl, GnuTLS, SQLite
 * and libc are the host's and may ask for more than they need, and know how to do without.
 */
#include "gateway/gateway_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#include "base/build.h"
#include "base/fd.h"
#include "base/fs.h"
#include "base/jail.h"
#include "base/list.h"

/* --- limits --- */

static const struct jail_limit limits[] = {
	{ RLIMIT_NOFILE, 1024 },
	{ RLIMIT_CORE, 0 },
	{ RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, 1ULL << 30 },
#endif
};

#define STACK (256U << 10)

int gateway_jail_prepare(struct err *e)
{
#ifdef __GLIBC__
	pthread_attr_t attr;
	int r;

	/* Threads look up names, and do nothing else: small ones, which share one arena. */
	mallopt(M_ARENA_MAX, 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	r = pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
	if (r != 0)
		return err_errno(e, r, "cannot set the size of stacks");
#endif
	return 0;
}

/* --- users --- */

static int become(struct err *e)
{
	const struct passwd *p = getpwnam(GATEWAY_USER);
	int r;

	if (geteuid() != 0)
		return 0;
	r = jail_drop_bounding(e);
	if (r < 0)
		return r;
	return p && p->pw_uid != 0 && p->pw_gid != 0 ?
		       jail_become(p->pw_uid, p->pw_gid, e) :
		       jail_become_nobody(e);
}

/* --- Landlock --- */

/* Of Linux 6.7; headers of a build may be older. */
#define NET_BIND_TCP (1ULL << 0)
#define NET_CONNECT_TCP (1ULL << 1)
#define RULE_NET_PORT 2
#define ABI_TRUNCATE 3
#define ABI_NET 4

struct ruleset {
	uint64_t fs, net;
};
struct port_rule {
	uint64_t allowed, port;
};

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static uint64_t all_accesses(long abi)
{
	uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

	/* Files that are open already can be truncated: the ledger's are. */
	if (abi >= 2)
		all |= 1ULL << 13;
	if (abi >= ABI_TRUNCATE)
		all |= 1ULL << 14;
	return all;
}

/* Not there is fine. */
static int allow_reading(int ruleset, const char *path, struct err *e)
{
	_close_ int fd = open(path, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = { .allowed_access = ACCESS_READ,
						   .parent_fd = fd };
	struct landlock_path_beneath_attr file = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd
	};

	if (fd < 0)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule,
		    0) == 0)
		return 0;
	/* EINVAL: not a folder. */
	if (errno == EINVAL && syscall(SYS_landlock_add_rule, ruleset,
				       LANDLOCK_RULE_PATH_BENEATH, &file, 0) == 0)
		return 0;
	return err_sys(e, "cannot allow reading '%s'", path);
}

static int allow_port(int ruleset, uint16_t port, struct err *e)
{
	struct port_rule rule = { .allowed = NET_CONNECT_TCP, .port = port };

	if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0)
		return err_sys(e, "cannot allow port %u", port);
	return 0;
}

/* Where resolv.conf really is: it is replaced there, while this process lives. */
static int allow_resolver(int ruleset, struct err *e)
{
	_free_ char *path = realpath("/etc/resolv.conf", NULL);
	char *slash = path ? strrchr(path, '/') : NULL;

	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	return allow_reading(ruleset, path, e);
}

/* Of a build with sanitizers. */
static int allow_reports(int ruleset, struct err *e)
{
#ifdef PURPLE_SANITIZED
	_close_ int fd = open(SANITIZER_REPORTS, O_PATH | O_CLOEXEC);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE |
				  LANDLOCK_ACCESS_FS_MAKE_REG,
		.parent_fd = fd
	};

	if (fd >= 0 && syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH,
			       &rule, 0) < 0)
		return err_sys(e, "cannot allow reports");
#endif
	return 0;
}

static int allow_files(int ruleset, const struct gateway_jail *j, struct err *e)
{
	static const char *const paths[] = { "/etc",
					     "/lib",
					     "/lib64",
					     "/usr/lib",
					     "/usr/lib64",
					     "/usr/share/ca-certificates",
					     "/usr/local/share/ca-certificates",
					     "/usr/share/p11-kit",
					     "/usr/share/zoneinfo",
					     "/var/lib/ca-certificates",
					     NULL };
	int r = allow_resolver(ruleset, e);

	for (size_t i = 0; r == 0 && paths[i]; i++)
		r = allow_reading(ruleset, paths[i], e);
	if (r == 0 && j->ca_file)
		r = allow_reading(ruleset, j->ca_file, e);
	return r < 0 ? r : allow_reports(ruleset, e);
}

/* A kernel without Landlock leaves the other walls; purple doctor tells. */
static int enter_landlock(const struct gateway_jail *j, struct err *e)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attr = { .fs = all_accesses(abi),
				.net = abi >= ABI_NET ? NET_BIND_TCP | NET_CONNECT_TCP : 0 };
	_close_ int fd = -1;
	int r;

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ?
			       0 :
			       err_sys(e, "cannot ask for Landlock");
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
			  abi >= ABI_NET ? sizeof(attr) : sizeof(attr.fs), 0);
	if (fd < 0)
		return err_sys(e, "cannot make Landlock rules");
	r = allow_files(fd, j, e);
	/* Names are asked for over TCP when an answer is long. */
	if (r == 0 && attr.net)
		r = allow_port(fd, 53, e);
	for (size_t i = 0; r == 0 && attr.net && i < j->ports_n; i++)
		r = allow_port(fd, j->ports[i], e);
	if (r < 0)
		return r;
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ?
		       err_sys(e, "cannot enter Landlock rules") :
		       0;
}

/* --- system calls --- */

static const int calls[] = {
	SCMP_SYS(accept4),
	SCMP_SYS(access),
	SCMP_SYS(brk),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(close),
	SCMP_SYS(connect),
	SCMP_SYS(dup),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(fallocate),
	SCMP_SYS(fcntl),
	SCMP_SYS(fdatasync),
	SCMP_SYS(fstat),
	SCMP_SYS(fsync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(futex),
	SCMP_SYS(getcwd),
	SCMP_SYS(getdents64),
	SCMP_SYS(getegid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getpeername),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(gettid),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getuid),
	SCMP_SYS(lseek),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	SCMP_SYS(nanosleep),
	SCMP_SYS(newfstatat),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(read),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(readv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(sysinfo),
	SCMP_SYS(time),
	SCMP_SYS(uname),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(write),
	SCMP_SYS(writev),
};

static int add_socket_rules(scmp_filter_ctx ctx)
{
	const unsigned int families[] = { AF_INET, AF_INET6 };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(families); i++)
		for (unsigned int type = SOCK_STREAM; r == 0 && type <= SOCK_DGRAM; type++)
			r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
					     SCMP_A0_32(SCMP_CMP_EQ, families[i]),
					     SCMP_A1_32(SCMP_CMP_MASKED_EQ, 0xf, type));
	/* Between libcurl's threads. */
	return r < 0 ? r :
		       seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
					SCMP_A0_32(SCMP_CMP_EQ, AF_UNIX));
}

/* Threads, and no processes. clone3(), whose flags cannot be seen, is ENOSYS: libc knows. */
static int add_thread_rule(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* Memory is written or run, not both; libc maps modules of name lookup when it first needs them. */
static int add_memory_rules(scmp_filter_ctx ctx)
{
	const uint64_t both = PROT_WRITE | PROT_EXEC;
	const uint64_t fine[] = { 0, PROT_WRITE, PROT_EXEC };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(fine); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, both, fine[i]));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* pthreads ask for the size of a stack. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
				     SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0_32(SCMP_CMP_EQ, PR_SET_NAME));
	return r;
}

static int load_filter(struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int r = ctx ? jail_allow_calls(ctx, calls, ARRAY_SIZE(calls)) : -ENOMEM;

	if (r == 0)
		r = jail_allow_reports(ctx);
	if (r == 0)
		r = add_socket_rules(ctx);
	if (r == 0)
		r = add_thread_rule(ctx);
	if (r == 0)
		r = add_memory_rules(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return r < 0 ? err_errno(e, r, "cannot set the filter of system calls") : 0;
}

int gateway_jail_enter(const struct gateway_jail *j, struct err *e)
{
	int r = become(e);

	if (r == 0)
		r = jail_limit(limits, ARRAY_SIZE(limits), e);
	if (r == 0)
		r = jail_set_caps(0, 0, e);
	if (r == 0)
		r = jail_close_doors(e);
	if (r == 0)
		r = enter_landlock(j, e);
	return r < 0 ? r : load_filter(e);
}
