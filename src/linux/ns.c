/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces: see ns.h. Runs in the runtime (host namespaces) up to the clone, then in the
 * container's init.
 *
 * Most containers need one clone3() with all their new namespaces; what they join by path, init
 * joins itself. Three kinds of join are not possible that way: a pid namespace takes effect for
 * children only, a time namespace must have its offsets before anyone is in it, and a user
 * namespace has to be entered before the namespaces that it shall own are made. Then a short-lived
 * stage process does the joins and clones init with CLONE_PARENT, so that init is the runtime's
 * own child all the same: engines wait for it.
 */
#include "linux/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#define NS_GET_NSTYPE_IOCTL _IO(0xb7, 0x3)

static const struct {
	const char *type;
	int flag;
} ns_types[] = {
	{ "pid", CLONE_NEWPID },       { "network", CLONE_NEWNET },
	{ "mount", CLONE_NEWNS },      { "ipc", CLONE_NEWIPC },
	{ "uts", CLONE_NEWUTS },       { "user", CLONE_NEWUSER },
	{ "cgroup", CLONE_NEWCGROUP }, { "time", CLONE_NEWTIME },
};

int ns_flag(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_types); i++)
		if (streq(ns_types[i].type, type))
			return ns_types[i].flag;
	return 0;
}

static const char *ns_name(int flag)
{
	for (size_t i = 0; i < ARRAY_SIZE(ns_types); i++)
		if (ns_types[i].flag == flag)
			return ns_types[i].type;
	return "unknown";
}

static int open_join(const struct oci_namespace *ns, struct ns_join *ret, struct err *e)
{
	_close_ int fd = open(ns->path, O_RDONLY | O_CLOEXEC);
	int flag = ns_flag(ns->type), kind;

	if (fd < 0)
		return err_sys(e, "cannot open %s namespace '%s'", ns->type, ns->path);
	kind = ioctl(fd, NS_GET_NSTYPE_IOCTL);
	if (kind != flag)
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is not a %s namespace",
			       ns->path, ns->type);
	*ret = (struct ns_join){ .flag = flag, .fd = take_fd(&fd) };
	return 0;
}

int ns_plan_make(const struct oci_spec *s, struct ns_plan *ret, struct err *e)
{
	_ns_plan_clear_ struct ns_plan p = {};
	bool joins_special = false;

	for (size_t i = 0; i < s->linux_->namespaces.n; i++) {
		const struct oci_namespace *ns = &s->linux_->namespaces.v[i];
		int flag = ns_flag(ns->type), r;
		struct ns_join *j;

		if (!ns->path && flag == CLONE_NEWCGROUP) {
			p.new_cgroup = true;
			continue;
		}
		if (!ns->path) {
			p.new_flags |= flag;
			continue;
		}
		j = list_add(&p.joins);
		if (!j)
			return err_oom(e);
		j->fd = -1;
		r = open_join(ns, j, e);
		if (r < 0)
			return r;
		if (flag & (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWTIME))
			joins_special = true;
	}
	for (size_t i = 0; i < s->linux_->time_offsets.n; i++) {
		struct oci_time_offset *o = list_add(&p.time_offsets);

		if (!o)
			return err_oom(e);
		*o = s->linux_->time_offsets.v[i];
	}
	p.needs_stage = joins_special || (p.new_flags & CLONE_NEWTIME) ||
			((p.new_flags & CLONE_NEWUSER) && p.joins.n > 0);
	*ret = p;
	p = (struct ns_plan){};
	return 0;
}

void ns_plan_clear(struct ns_plan *p)
{
	for (size_t i = 0; i < p->joins.n; i++)
		fd_close(&p->joins.v[i].fd);
	free(p->joins.v);
	free(p->time_offsets.v);
	*p = (struct ns_plan){};
}

bool ns_plan_has_new(const struct ns_plan *p, int flag)
{
	return flag == CLONE_NEWCGROUP ? p->new_cgroup : (p->new_flags & flag) != 0;
}

bool ns_plan_joins(const struct ns_plan *p, int flag)
{
	for (size_t i = 0; i < p->joins.n; i++)
		if (p->joins.v[i].flag == flag)
			return true;
	return false;
}

/*
 * fork() with clone3() flags and, when cgroup_fd is not -1, into that cgroup. Returns as fork().
 * Runs in: a single-threaded process. The child may do anything a forked one may.
 */
static pid_t ns_clone(uint64_t flags, int cgroup_fd, int exit_signal)
{
	struct clone_args args = {
		.flags = flags,
		.exit_signal = (uint64_t)exit_signal,
	};

	if (cgroup_fd >= 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup_fd;
	}
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

/* As ns_clone(), trying without the cgroup where the kernel does not take it (a frozen or
 * threaded group, or a pids limit that is already reached). */
static pid_t clone_into(uint64_t flags, int cgroup_fd, int exit_signal, bool *ret_in_cgroup)
{
	pid_t pid;

	*ret_in_cgroup = cgroup_fd >= 0;
	pid = ns_clone(flags, cgroup_fd, exit_signal);
	if (pid < 0 && cgroup_fd >= 0) {
		*ret_in_cgroup = false;
		pid = ns_clone(flags, -1, exit_signal);
	}
	return pid;
}

int ns_join_all(const struct ns_plan *p, struct err *e)
{
	int joined = 0, user_fd = -1;

	if (p->needs_stage)
		return 0;
	for (size_t i = 0; i < p->joins.n; i++)
		if (p->joins.v[i].flag == CLONE_NEWUSER)
			user_fd = p->joins.v[i].fd;
	/* Some may take the rights that we have here, the others those in the user namespace. */
	for (size_t i = 0; i < p->joins.n; i++) {
		if (p->joins.v[i].fd == user_fd)
			continue;
		if (setns(p->joins.v[i].fd, p->joins.v[i].flag) == 0)
			joined |= p->joins.v[i].flag;
		else if (user_fd < 0 || errno != EPERM)
			return err_sys(e, "cannot join %s namespace",
				       ns_name(p->joins.v[i].flag));
	}
	if (user_fd >= 0 && setns(user_fd, CLONE_NEWUSER) < 0)
		return err_sys(e, "cannot join user namespace");
	for (size_t i = 0; i < p->joins.n; i++)
		if (p->joins.v[i].fd != user_fd && !(joined & p->joins.v[i].flag) &&
		    setns(p->joins.v[i].fd, p->joins.v[i].flag) < 0)
			return err_sys(e, "cannot join %s namespace",
				       ns_name(p->joins.v[i].flag));
	return 0;
}

static int write_time_offsets(const struct ns_plan *p, struct err *e)
{
	_buf_free_ struct buf text = {};
	int r;

	for (size_t i = 0; i < p->time_offsets.n; i++)
		buf_addf(&text, "%s %lld %u\n", p->time_offsets.v[i].clock,
			 (long long)p->time_offsets.v[i].secs,
			 p->time_offsets.v[i].nanosecs);
	if (text.len == 0)
		return 0;
	if (text.failed)
		return err_oom(e);
	r = fs_write_existing(AT_FDCWD, "/proc/self/timens_offsets", text.s);
	return r < 0 ? err_errno(e, r, "cannot set linux.timeOffsets") : 0;
}

struct stage_result {
	pid_t pid;
	bool in_cgroup;
	struct err err;
};

static int stage_enter(const struct ns_plan *p, struct err *e)
{
	struct ns_plan joins = *p;
	int r;

	/* In a pid or user namespace of others, processes are that may look into what can be dumped
	 * (CVE-2016-9962). The init that is cloned here inherits it. */
	if ((ns_plan_joins(p, CLONE_NEWPID) || ns_plan_joins(p, CLONE_NEWUSER)) &&
	    prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot become undumpable");
	joins.needs_stage = false;
	if (p->new_flags & CLONE_NEWTIME) {
		if (unshare(CLONE_NEWTIME) < 0)
			return err_sys(e, "cannot make time namespace");
		r = write_time_offsets(p, e);
		if (r < 0)
			return r;
	}
	return ns_join_all(&joins, e);
}

/* Runs in the stage process. Never returns. */
static void __attribute__((noreturn))
stage_main(const struct ns_plan *p, int cgroup_fd, int sock, void (*child)(void *arg),
	   void *arg)
{
	uint64_t flags = (uint64_t)(p->new_flags & ~CLONE_NEWTIME) | CLONE_PARENT;
	struct stage_result result = {};

	if (stage_enter(p, &result.err) == 0) {
		result.pid = clone_into(flags, cgroup_fd, 0, &result.in_cgroup);
		if (result.pid == 0) {
			close(sock);
			child(arg);
			_exit(1);
		}
		if (result.pid < 0)
			err_sys(&result.err, "cannot make the container's namespaces");
	} else {
		result.pid = -1;
	}
	_exit(write(sock, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

static int spawn_staged(const struct ns_plan *p, int cgroup_fd, void (*child)(void *arg),
			void *arg, pid_t *ret_pid, bool *ret_in_cgroup, struct err *e)
{
	struct stage_result result = { .pid = -1 };
	_close_ int ours = -1, theirs = -1;
	int fds[2], status;
	pid_t stage;
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	stage = fork();
	if (stage < 0)
		return err_sys(e, "cannot fork");
	if (stage == 0) {
		close(fds[0]);
		stage_main(p, cgroup_fd, theirs, child, arg);
	}
	fd_close(&theirs);
	do
		n = read(ours, &result, sizeof(result));
	while (n < 0 && errno == EINTR);
	while (waitpid(stage, &status, 0) < 0 && errno == EINTR)
		;
	if (n != (ssize_t)sizeof(result))
		return err_set(e, ERR_INTERNAL, EPIPE,
			       "the namespace stage died (status %d)", status);
	if (result.pid < 0) {
		*e = result.err;
		return -e->code;
	}
	*ret_pid = result.pid;
	*ret_in_cgroup = result.in_cgroup;
	return 0;
}

int ns_spawn(const struct ns_plan *p, int cgroup_fd, void (*child)(void *arg), void *arg,
	     pid_t *ret_pid, bool *ret_in_cgroup, struct err *e)
{
	pid_t pid;

	if (p->needs_stage)
		return spawn_staged(p, cgroup_fd, child, arg, ret_pid, ret_in_cgroup, e);
	pid = clone_into((uint64_t)p->new_flags, cgroup_fd, SIGCHLD, ret_in_cgroup);
	if (pid < 0)
		return err_sys(e, "cannot make the container's namespaces");
	if (pid == 0) {
		child(arg);
		_exit(1);
	}
	*ret_pid = pid;
	return 0;
}

int ns_unshare_cgroup(const struct ns_plan *p, struct err *e)
{
	if (p->new_cgroup && unshare(CLONE_NEWCGROUP) < 0)
		return err_sys(e, "cannot make cgroup namespace");
	return 0;
}

int ns_loopback_up(struct err *e)
{
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	if (fd < 0)
		return err_sys(e, "cannot set loopback up: socket");
	if (ioctl(fd, SIOCGIFFLAGS, &req) < 0)
		return err_sys(e, "cannot set loopback up");
	req.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		return err_sys(e, "cannot set loopback up");
	return 0;
}
