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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "container/usernet.h"
#include "network/dns_client.h"
#include "network/rules_json.h"
#include "network/wire.h"

void container_network_clear(struct container_network *n)
{
	network_tables_clear(&n->tables);
	network_filter_clear(&n->filter);
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
static int has_own_namespace(const struct oci_spec *s, bool *ret, struct err *e)
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
	int r = has_own_namespace(plan->spec, &own, e);

	if (r == 0)
		r = network_surroundings_read(own, &around, e);
	if (r == 0)
		r = network_compile(&plan->network, &around, &n->tables, e);
	network_surroundings_clear(&around);
	return r;
}

int container_network_make(struct container_network *n, const struct policy_plan *plan,
			   struct container *c, int cgroup, struct err *e)
{
	const char *policy = plan->network.n ? plan->network.v[0].name : NULL;
	int r;

	if (!policy)
		return 0;
	if (cgroup < 0)
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "policy %s: network: the filter needs a group of cgroup2, and the "
			       "container has none",
			       policy);
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
	if (r == 0)
		r = network_filter_self_test(cgroup, e);
	return r < 0 ? err_wrap(e, "policy %s: network", policy) : 0;
}

static int start_forwarder(struct container_network *n, struct container *c, pid_t init,
			   struct err *e)
{
	struct network_dns dns = { .control_fd = -1 };
	_close_ int netns = -1, pidfd = -1;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)init);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	pidfd = (int)syscall(SYS_pidfd_open, init, 0);
	if (netns < 0 || pidfd < 0)
		return err_sys(e, "cannot open the network namespace of the container");
	r = network_dns_start(
		&(struct network_dns_start){ .netns_fd = netns,
					     .init_fd = pidfd,
					     .names_fd = n->filter.maps[NETWORK_MAP_NAMES],
					     .events_fd = -1,
					     .tables = &n->tables },
		true, &dns, e);
	if (r < 0)
		return r;
	c->st.dns_pid = dns.pid;
	c->st.dns_start = process_start_time(dns.pid);
	return network_filter_set_dns_port(&n->filter, dns.port, e);
}

int container_network_enter(struct container_network *n, const struct policy_plan *plan,
			    struct container *c, pid_t init, struct err *e)
{
	int r = 0;

	if (plan->user_network)
		r = usernet_start(c, init, e);
	if (r == 0 && (n->tables.config.flags & NETWORK_REDIRECT_DNS))
		r = start_forwarder(n, c, init, e);
	return r;
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

int container_network_start(struct container *c, struct err *e)
{
	struct network_filter f = NETWORK_FILTER_EMPTY;
	struct network_wires wires = {};
	bool shared = true;
	_close_ int netns = -1;
	char path[64];
	int r;

	if (!c->st.network_filter)
		return 0;
	r = network_filter_open(c->st.network_filter, &f, e);
	if (r < 0)
		return err_wrap(e, "network");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)c->st.pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0)
		r = err_sys(e, "cannot open '%s'", path);
	if (r == 0 && (f.config.flags & NETWORK_OWN_LOOPBACK))
		r = is_shared(netns, c->st.pid, &shared, e);
	if (r == 0 && !shared)
		r = network_wire_attach(&f, netns, &wires, e);
	network_filter_clear(&f);
	if (r == 0)
		log_debug("the network filter is at %u devices at the host's end, at %u in the namespace",
			  wires.at_host, wires.in_ns);
	return r < 0 ? err_wrap(e, "network") : 0;
}

int container_network_remove(struct container *c, struct err *e)
{
	int r = 0;

	usernet_stop(c);
	if (c->st.dns_pid > 0 && process_is_alive(c->st.dns_pid, c->st.dns_start))
		kill(c->st.dns_pid, SIGKILL);
	if (c->st.network_filter)
		r = network_filter_detach(c->st.network_filter, e);
	if (r == 0 && c->st.network_filter)
		network_filter_tidy();
	return r;
}
