/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's purple-monitor: who reads what its network filter and its forwarder tell, and what
 * is traced of it, writes it to events.jsonl in the state folder and to its audit logs, and ends
 * connections that are denied (audit/monitor.h). One for each container with network rules, or that
 * is audited; it ends with the container.
 */
#ifndef PURPLE_CONTAINER_MONITOR_H
#define PURPLE_CONTAINER_MONITOR_H

#include "audit/client.h"
#include "base/err.h"
#include "container/state.h"
#include "network/filter.h"
#include "network/rules.h"

struct container_audit;

/* In the state folder. */
#define MONITOR_LOG CONTAINER_EVENTS
#define MONITOR_SOCKET "monitor.sock"

/* What it is to read of the network; network.json is in the state folder. */
struct monitor_network_start {
	const struct network_filter *filter;
	int netns_fd;
	bool has_forwarder;
	int events_fd; /* returned: where the forwarder is to write; -1: there is none */
};
/*
 * Starts it. `audit` and `network` may be NULL: nothing of theirs is recorded. `init_fd`: pidfd of the
 * container's init. Notes its process in c->st; on failure nothing is left but files of the state
 * folder. It is ready after audit_client_wait(), which may come much later.
 */
int monitor_begin(struct container *c, struct container_audit *audit,
		  struct monitor_network_start *network, int init_fd,
		  struct audit_client *ret, struct err *e);
/*
 * Whether it is to be started though nothing is read, since it keeps limits: a session's time-out, and
 * what the kernel does not do of itself when memory is spent. Without all else it is a warden alone
 * (audit/limits.h), which is not c->st.monitor_pid but c->st.warden_pid.
 */
bool monitor_keeps_limits(const struct container *c);
void monitor_stop(struct container *c);
bool monitor_is_running(const struct container *c);
/*
 * For who stands in front of an audited container that ends when it is not recorded: its monitor, to
 * be polled. Monitor, recorder and warden end it when one of them is left; this is for all of them at
 * once. -1: there is nothing to watch.
 */
int monitor_watch(const struct container *c);
/* Ends such a container if its monitor does not run: true. Its init has not ended. */
bool monitor_end_unrecorded(const struct container *c);

/*
 * For a reload. monitor_set_rules() comes between network_filter_make_next(), which gives `next`,
 * and network_filter_switch(): what is denied from there on is told with the new rules' places.
 * monitor_add_dns() has it read a further forwarder's lines from `fd`, the other end of what that
 * one was given (a pair of SOCK_SEQPACKET); the caller closes its own. Both wait for the monitor's
 * word, at most 5 s; -ECONNREFUSED or -ENOENT where none runs, which changes nothing about rules.
 */
int monitor_set_rules(struct container *c, const network_policies *policies,
		      const struct network_filter *next, struct err *e);
int monitor_add_dns(struct container *c, int fd, struct err *e);

#endif
