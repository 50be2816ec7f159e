/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See recorder_jail.h, and base/jail.h for the order. Runs in the recorder, as root, once. Two walls
 * keep it in its folders: a mount of its own for each, which an empty root and ".." do not lead out
 * of, and Landlock, where the kernel has it.
 */
#include "base/build.h"

#include "audit/recorder_jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "audit/log_folder.h"
#include "base/fd.h"
#include "base/jail.h"
#include "base/list.h"
#include "base/str.h"

/* Of Linux 6.2; headers of a build may be older. */
#define ACCESS_REFER (1ULL << 13)
#define ACCESS_TRUNCATE (1ULL << 14)
#define ABI_REFER 2
#define ABI_TRUNCATE 3

/* --- folders --- */

int recorder_jail_open_folder(const char *path, int *ret, const char **ret_name,
			      struct err *e)
{
	const char *slash = strrchr(path, '/');
	_free_ char *folder = NULL;
	_close_ int plain = -1, fd = -1;
	int r;

	if (path[0] != '/' || !slash[1] || streq(slash, "/.") || streq(slash, "/.."))
		return err_set(e, ERR_CONFIG, EINVAL,
			       "'%s' names no file for an audit log", path);
	folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!folder)
		return err_oom(e);
	r = log_folder_open(folder, &plain, e);
	if (r < 0)
		return r;
	fd = (int)syscall(SYS_open_tree, plain, "",
			  AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open folder '%s' of the audit log", folder);
	/* It is an O_PATH descriptor, with which all of openat() and the like works. */
	*ret = take_fd(&fd);
	*ret_name = slash + 1;
	return 0;
}

/* --- Landlock --- */

static int enter_landlock(const int *folders, size_t n, struct err *e)
{
	const uint64_t files = LANDLOCK_ACCESS_FS_READ_FILE |
			       LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
			       LANDLOCK_ACCESS_FS_REMOVE_FILE;
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) |
				     (abi >= ABI_REFER ? ACCESS_REFER : 0) |
				     (abi >= ABI_TRUNCATE ? ACCESS_TRUNCATE : 0),
	};
	_close_ int fd = -1;

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ?
			       0 :
			       err_sys(e, "cannot ask for Landlock");
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr,
			  sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return err_sys(e, "cannot make Landlock rules");
	for (size_t i = 0; i < n; i++) {
		struct landlock_path_beneath_attr rule = {
			.allowed_access = files | (attr.handled_access_fs & ACCESS_TRUNCATE),
			.parent_fd = folders[i],
		};

		if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &rule,
			    0) < 0)
			return err_sys(e, "cannot allow the folder of an audit log");
	}
	return syscall(SYS_landlock_restrict_self, fd, 0) < 0 ?
		       err_sys(e, "cannot enter Landlock rules") :
		       0;
}

/* --- the rest --- */

static const struct jail_limit limits[] = {
	{ RLIMIT_NPROC, 0 },	     { RLIMIT_NOFILE, 256 },
	{ RLIMIT_CORE, 0 },	     { RLIMIT_MEMLOCK, 0 },
#ifndef PURPLE_SANITIZED
	{ RLIMIT_AS, 512ull << 20 },
#endif
};

static const int calls[] = {
	SCMP_SYS(brk),	      SCMP_SYS(clock_gettime), SCMP_SYS(close),
	SCMP_SYS(exit),	      SCMP_SYS(exit_group),    SCMP_SYS(fcntl),
	SCMP_SYS(fdatasync),  SCMP_SYS(fstat),	       SCMP_SYS(ftruncate),
	SCMP_SYS(futex),      SCMP_SYS(geteuid),       SCMP_SYS(getrandom),
	SCMP_SYS(madvise),    SCMP_SYS(mremap),	       SCMP_SYS(munmap),
	SCMP_SYS(newfstatat), SCMP_SYS(openat),	       SCMP_SYS(poll),
	SCMP_SYS(ppoll),      SCMP_SYS(pread64),       SCMP_SYS(pwrite64),
	SCMP_SYS(read),	      SCMP_SYS(recvfrom),      SCMP_SYS(renameat),
	SCMP_SYS(renameat2),  SCMP_SYS(rt_sigaction),  SCMP_SYS(rt_sigreturn),
	SCMP_SYS(setitimer),  SCMP_SYS(statx),	       SCMP_SYS(restart_syscall),
	SCMP_SYS(unlinkat),   SCMP_SYS(write),
};

/* To whom a socket leads already. */
static int add_rules(void *filter, const void *arg)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				SCMP_A4(SCMP_CMP_EQ, 0));
}

int recorder_jail_enter(const int *folders, size_t n, struct err *e)
{
	int r = jail_enter_empty_root(e);

	/* gmtime_r() reads the time zone's file at its first call. */
	tzset();
	if (r == 0)
		r = jail_drop_bounding(e);
	if (r == 0)
		r = jail_limit(limits, ARRAY_SIZE(limits), e);
	if (r == 0)
		r = jail_become(0, 0, e);
	if (r == 0)
		r = jail_set_caps(0, 0, e);
	if (r == 0)
		r = jail_close_doors(e);
	if (r == 0)
		r = enter_landlock(folders, n, e);
	return r < 0 ? r : jail_load_filter(calls, ARRAY_SIZE(calls), add_rules, NULL, e);
}
