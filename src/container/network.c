/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's network rules, from create to delete: see network.h. Runs in the runtime, in the
 * host's namespaces, as root of the host.
 *
 * The cgroup's programs are there before a process is. The forwarder needs the container's network
 * namespace, and comes when init is in it; until then its port is 0, and DNS is denied. The devices
 * come last: engines plug them in by hooks, or between create and start.
 */
#include "container/network.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/rtnl.h"
#include "container/monitor.h"
#include "container/usernet.h"
#include "network/rules_json.h"

#define LOOPBACK_INDEX 1 /* in each network namespace */

void container_network_clear(struct container_network *n)
{
	network_tables_clear(&n->tables);
	network_filter_clear(&n->filter);
	network_dns_end(&n->dns);
	audit_client_clear(&n->monitor);
}

/* The same id may be in use below two state roots: the name has a number of the folder's in it. */
static char *filter_name(const struct container *c)
{
	struct stat st;

	if (fstat(c->dirfd, &st) < 0)
		return NULL;
	return str_printf("%.100s-%llx-%llx", c->st.id, (unsigned long long)st.st_dev,
			  (unsigned long long)st.st_ino);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * One that is joined is its own if it is neither ours nor that of the host's first process, which
 * a runtime that is in a container itself may not see.
 */
int container_network_is_own(const struct oci_spec *s, bool *ret, struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "network");
	struct stat joined, ours, host;

	*ret = ns && !ns->path;
	if (!ns || !ns->path)
		return 0;
	if (stat(ns->path, &joined) < 0)
		return err_sys(e, "cannot look at '%s'", ns->path);
	if (stat("/proc/self/ns/net", &ours) < 0)
		return err_sys(e, "cannot look at the host's network namespace");
	*ret = !same_file(&joined, &ours) &&
	       (stat("/proc/1/ns/net", &host) < 0 || !same_file(&joined, &host));
	return 0;
}

static int compile(struct container_network *n, const struct policy_plan *plan,
		   struct err *e)
{
	struct network_surroundings around = {};
	bool own = false;
	int r = container_network_is_own(plan->spec, &own, e);

	if (r == 0)
		r = network_surroundings_read(own, &around, e);
	if (r == 0)
		r = network_compile(&plan->network, &around, &n->tables, e);
	network_surroundings_clear(&around);
	return r;
}

static int named(const struct container_network *n, int r, struct err *e)
{
	return r < 0 && n->policy ? err_wrap(e, "policy %s: network", n->policy) : r;
}

int container_network_make(struct container_network *n, const struct policy_plan *plan,
			   struct container *c, int cgroup, struct err *e)
{
	int r;

	if (plan->network.n == 0)
		return 0;
	n->policy = plan->network.v[0].name;
	if (cgroup < 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "policy %s: network: the filter needs a group of cgroup2, and the "
			       "container has none",
			       n->policy);
	r = compile(n, plan, e);
	if (r < 0)
		return r;
	c->st.network_filter = filter_name(c);
	if (!c->st.network_filter)
		return err_oom(e);
	r = container_state_save(c, e);
	if (r == 0)
		r = network_policies_save(c->dirfd, &plan->network, e);
	if (r == 0)
		r = network_filter_make(&n->tables, c->st.network_filter, &n->filter, e);
	if (r == 0)
		r = network_filter_attach(&n->filter, cgroup, 0, e);
	return named(n, r, e);
}

static bool has_forwarder(const struct container_network *n)
{
	return n->tables.config.flags & NETWORK_REDIRECT_DNS;
}

/* Both get ready while init does its work; the monitor comes first, to hear of all questions. */
static int begin_helpers(struct container_network *n, struct container *c, int netns,
			 pid_t init, struct err *e)
{
	struct monitor_network_start start = { .filter = &n->filter,
					       .netns_fd = netns,
					       .has_forwarder = has_forwarder(n),
					       .events_fd = -1 };
	_close_ int pidfd = (int)syscall(SYS_pidfd_open, init, 0);
	int r;

	if (pidfd < 0)
		return err_sys(e, "cannot open the container's init");
	r = monitor_begin(c, n->audit, &start, pidfd, &n->monitor, e);
	if (r < 0 || !has_forwarder(n))
		return r;
	r = network_dns_begin(
		&(struct network_dns_start){ .netns_fd = netns,
					     .init_fd = pidfd,
					     .names_fd = n->filter.maps[NETWORK_MAP_NAMES],
					     .events_fd = start.events_fd,
					     .tables = &n->tables,
					     .own_names = n->own_names,
					     .own_address = n->own_address },
		true, &n->dns, e);
	fd_close(&start.events_fd);
	return r;
}

int container_netns_of(pid_t pid, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, "cannot open the network namespace of the container") :
			fd;
}

int container_netns_loopback_up(int netns, struct err *e)
{
	_close_ int sock = rtnl_open(netns, e);
	struct rtnl_request q;
	int r;

	if (sock < 0)
		return sock;
	rtnl_begin(&q, RTM_NEWLINK, NLM_F_ACK, sizeof(q.link));
	q.link.ifi_index = LOOPBACK_INDEX;
	q.link.ifi_flags = IFF_UP;
	q.link.ifi_change = IFF_UP;
	r = rtnl_talk(sock, &q, NULL, NULL);
	return r < 0 ? err_errno(e, r, "cannot bring up the loopback device") : 0;
}

static int begin_in_joined(struct container_network *n, struct container *c,
			   const struct ns_plan *ns, pid_t init, struct err *e)
{
	for (size_t i = 0; i < ns->joins.n; i++)
		if (ns->joins.v[i].flag == CLONE_NEWNET)
			return begin_helpers(n, c, ns->joins.v[i].fd, init, e);
	return 0;
}

int container_network_begin(struct container_network *n, struct container *c,
			    const struct ns_plan *ns, pid_t init, bool hooks_come,
			    struct err *e)
{
	_close_ int netns = -1;
	int r;

	/* With a stage in between, it is not init that was started. */
	if (!c->st.network_filter || ns->needs_stage)
		return 0;
	if (!ns_plan_has_new(ns, CLONE_NEWNET))
		return hooks_come ? 0 : named(n, begin_in_joined(n, c, ns, init, e), e);
	netns = container_netns_of(init, e);
	if (netns < 0)
		return netns;
	r = container_netns_loopback_up(netns, e);
	return named(n, r == 0 ? begin_helpers(n, c, netns, init, e) : r, e);
}

static int wait_for_forwarder(struct container_network *n, struct container *c,
			      struct err *e)
{
	int r = network_dns_wait(&n->dns, e);

	if (r < 0)
		return r;
	c->st.dns_pid = n->dns.pid;
	c->st.dns_start = process_start_time(n->dns.pid);
	n->dns.pid = -1;
	return network_filter_set_dns_port(&n->filter, n->dns.port, e);
}

int container_network_enter(struct container_network *n, const struct policy_plan *plan,
			    struct container *c, pid_t init, struct err *e)
{
	_close_ int netns = -1;
	int r = 0;

	if (c->st.network_filter && n->monitor.pid <= 0) {
		netns = container_netns_of(init, e);
		r = netns < 0 ? netns : begin_helpers(n, c, netns, init, e);
	}
	if (r == 0 && plan->user_network)
		r = usernet_start(c, init, e);
	if (r == 0 && has_forwarder(n))
		r = wait_for_forwarder(n, c, e);
	return named(n, r, e);
}

int container_network_wait(struct container_network *n, struct err *e)
{
	return named(n, audit_client_wait(&n->monitor, e), e);
}

/* Whether a process other than init, which has no children yet, is in the network namespace. */
static int is_shared(int netns, pid_t init, bool *ret, struct err *e)
{
	_closedir_ DIR *d = opendir("/proc");
	const struct dirent *entry;
	struct stat ours, theirs;

	if (!d || fstat(netns, &ours) < 0)
		return err_sys(e, "cannot look at the network namespace");
	*ret = false;
	while (!*ret && (entry = readdir(d))) {
		char path[64];

		if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == init)
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		/* One that has just ended is in no namespace. */
		if (stat(path, &theirs) == 0)
			*ret = same_file(&theirs, &ours);
	}
	return 0;
}

int container_network_attach_wires(struct container *c, struct network_wires *ret,
				   struct err *e)
{
	struct network_filter f = NETWORK_FILTER_EMPTY;
	struct network_wires wires = {};
	bool shared = true, has_devices = false;
	_close_ int netns = -1;
	char path[64];
	int r;

	r = network_filter_open(c->st.network_filter, &f, e);
	if (r < 0)
		return err_wrap(e, "network");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->st.pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		r = err_sys(e, "cannot open '%s'", path);
	/* The number may be somebody else's by now, and what was opened his. */
	else if (!process_is_alive(c->st.pid, c->st.pid_start))
		r = err_set(e, ERR_STATE, ESRCH, "the container's init has ended");
	/* Without any, as `none` networks are, there is nothing to look for in all processes. */
	if (r == 0)
		r = network_wire_has_devices(netns, &has_devices, e);
	/* Of another runtime's it is known that nobody was in it before; now its processes are. */
	if (r == 0 && c->st.foreign)
		shared = false;
	else if (r == 0 && has_devices && (f.config.flags & NETWORK_OWN_LOOPBACK))
		r = is_shared(netns, c->st.pid, &shared, e);
	if (r == 0 && !shared)
		r = network_wire_attach(&f, netns, &wires, e);
	network_filter_clear(&f);
	if (r < 0)
		return err_wrap(e, "network");
	*ret = wires;
	return 0;
}

int container_network_start(struct container *c, struct err *e)
{
	struct network_wires wires = {};
	int r;

	if (!c->st.network_filter)
		return 0;
	r = container_network_attach_wires(c, &wires, e);
	if (r == 0)
		log_debug("the network filter is at %u devices at the host's end, at %u in the namespace",
			  wires.at_host, wires.in_ns);
	return r;
}

int container_network_remove(struct container *c, struct err *e)
{
	int r = 0;

	usernet_stop(c);
	if (c->st.dns_pid > 0 && process_is_alive(c->st.dns_pid, c->st.dns_start))
		kill(c->st.dns_pid, SIGKILL);
	monitor_stop(c);
	if (c->st.network_filter)
		r = network_filter_detach(c->st.network_filter, e);
	if (r == 0 && c->st.network_filter)
		network_filter_tidy();
	return r;
}
