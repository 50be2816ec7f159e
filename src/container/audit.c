/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See audit.h. Runs in the runtime, in the host's namespaces, as root of the host.
 *
 * Tracing begins before the container's first process and after its network filter, whose verdict is
 * in what is traced. What happens until the monitor listens waits in the kernel's rings. A container
 * that is to be audited starts when all of it is ready, or not at all.
 */
#include "container/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "container/monitor.h"
#include "linux/ns.h"
#include "linux/seccomp_denied.h"

void container_audit_clear(struct container_audit *a)
{
	trace_clear(&a->trace);
	fd_close(&a->others_fd);
	fd_close(&a->copy_fd);
	audit_client_clear(&a->monitor);
}

static int named(const struct container_audit *a, int r, struct err *e)
{
	return r < 0 && a->config ?
		       err_wrap(e, "policy %s: audit", a->config->logs.v[0].policy) :
		       r;
}

int container_audit_prepare(struct container_audit *a, struct policy_plan *plan,
			    const char *bundle, struct err *e)
{
	if (!plan->audit.logs.n)
		return 0;
	a->config = &plan->audit;
	if (geteuid() != 0 || userns_is_nested())
		return named(a,
			     err_set(e, ERR_UNSUPPORTED, EPERM,
				     "it needs a runtime that root of the host runs"),
			     e);
	return container_audit_hide(a->config, plan->spec, bundle, &plan->explanations, e);
}

/* Whatever one of the logs asks for; each takes its own. */
static uint32_t wants_of(uint32_t levels)
{
	uint32_t wants = 0;

	if (levels & AUDIT_EXEC)
		wants |= TRACE_PROCESSES;
	if (levels & AUDIT_FILESYSTEM)
		wants |= TRACE_FILES;
	if (levels & AUDIT_NETWORK)
		wants |= TRACE_NETWORK;
	if (levels & AUDIT_SYSCALL)
		wants |= TRACE_DENIALS;
	if (levels & AUDIT_SECURITY_EVENTS)
		wants |= TRACE_DENIALS | TRACE_PRIVILEGES;
	/* The end of a process frees its place in the table. */
	if (levels & AUDIT_COUNTS)
		wants |= TRACE_COUNTS | TRACE_PROCESSES;
	return wants;
}

/* The same id may be in use below two state roots: the name has a number of the folder's in it. */
static char *trace_name(const struct container *c)
{
	struct stat st;

	if (fstat(c->dirfd, &st) < 0)
		return NULL;
	return str_printf("%.100s-%llx-%llx", c->st.id, (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino);
}

static int start_trace(struct container_audit *a, struct container *c,
		       const struct seccomp_plan *seccomp, int cgroup, struct err *e)
{
	struct trace_options o = {
		.wants = wants_of(audit_config_levels(a->config)),
		.pid_level = TRACE_INNERMOST,
	};
	int r;

	if (!o.wants)
		return 0;
	if (cgroup < 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "tracing needs a group of cgroup2, and the container has none");
	seccomp_denied_calls(seccomp, &o.denied, &o.denied_some);
	c->st.trace = trace_name(c);
	if (!c->st.trace)
		return err_oom(e);
	r = container_state_save(c, e);
	return r < 0 ? r : trace_start(c->st.trace, cgroup, &o, &a->trace, e);
}

/* For those who write of the container besides the monitor. */
static int make_pair(struct container_audit *a, struct err *e)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	a->others_fd = fds[0];
	a->copy_fd = fds[1];
	if (fcntl(a->copy_fd, F_SETFL, O_NONBLOCK) < 0)
		return err_sys(e, "cannot set a socket up");
	return 0;
}

int container_audit_make(struct container_audit *a, struct container *c,
			 const struct seccomp_plan *seccomp, int cgroup, struct err *e)
{
	int r;

	if (!a->config)
		return 0;
	a->config->container = strdup(c->st.id);
	if (!a->config->container)
		return err_oom(e);
	r = audit_config_save(c->dirfd, a->config, e);
	if (r == 0)
		r = make_pair(a, e);
	if (r == 0)
		r = start_trace(a, c, seccomp, cgroup, e);
	return named(a, r, e);
}

int container_audit_begin(struct container_audit *a, struct container *c, pid_t init,
			  struct err *e)
{
	_close_ int pidfd = -1;

	if ((!a->config && !monitor_keeps_limits(c)) || c->st.network_filter ||
	    a->monitor.pid > 0)
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, init, 0);
	if (pidfd < 0)
		return err_sys(e, "cannot open the container's init");
	return named(a, monitor_begin(c, a, NULL, pidfd, &a->monitor, e), e);
}

int container_audit_wait(struct container_audit *a, struct err *e)
{
	return named(a, audit_client_wait(&a->monitor, e), e);
}

int container_audit_remove(struct container *c, struct err *e)
{
	int r = 0;

	if (!c->st.trace)
		return 0;
	r = trace_stop(c->st.trace, e);
	if (r == 0)
		trace_tidy();
	return r;
}
