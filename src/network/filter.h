/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network filter of a container: its maps, and the programs of bpf/network_filter.bpf.c on its
 * cgroup. The order of calls for a new container:
 *
 *	network_filter_make(tables, name, &f)	maps filled and pinned; nothing is filtered yet.
 *						f.maps[NETWORK_MAP_NAMES] is for the DNS forwarder
 *	network_filter_attach(&f, cgroup, port)	from here all sockets made in the cgroup and in those
 *						below it are filtered. Before the first process
 *	network_filter_test_here()		it does deny: in the first process, before anything
 *						else of the container's runs
 *	network_wire_attach(&f, ...)		the devices: network/wire.h
 *	network_filter_clear(&f)		closes; the pins hold on
 *	network_filter_tidy()			when the container runs: spares for the next one
 * and when the container is gone:
 *	network_filter_detach(name); network_filter_tidy()
 *
 * Runs in: the runtime, with CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN) in the host's user
 * namespace. Needs a kernel of 5.15, cgroup2 (hybrid will do) and bpffs at /sys/fs/bpf.
 */
#ifndef PURPLE_NETWORK_FILTER_H
#define PURPLE_NETWORK_FILTER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "network/pins.h"
#include "network/rules.h"

#define NETWORK_FILTER_NAME_MAX 200

struct network_filter {
	char name[NETWORK_FILTER_NAME_MAX + 1]; /* as in bpffs */
	struct network_config config;
	uint64_t cgroup; /* id; 0: not attached */
	int maps[NETWORK_MAPS];
};
#define NETWORK_FILTER_EMPTY                           \
	{                                              \
		.maps = { -1, -1, -1, -1, -1, -1, -1 } \
	}

/*
 * Loads the programs where this boot has not got them, takes the maps of a spare, fills them, and
 * pins them under `name`: one component of a path, the only one of its name on this host. -EEXIST
 * where it is taken. More prefixes than NETWORK_PREFIXES_MAX: ERR_POLICY. Leaves nothing behind on
 * failure.
 */
int network_filter_make(const struct network_tables *tables, const char *name,
			struct network_filter *ret, struct err *e);

/*
 * Attaches all programs to the group (a directory of cgroup2) by links that are pinned, looks that
 * each is there, and then says whose rules hold: until then all is denied. `dns_port`: of the
 * forwarder on 127.0.0.1 and ::1, 0: none. On failure the caller calls network_filter_detach().
 */
int network_filter_attach(struct network_filter *f, int cgroup, uint16_t dns_port,
			  struct err *e);

/* Says where the forwarder is, once that is known; until then DNS is denied. */
int network_filter_set_dns_port(struct network_filter *f, uint16_t port, struct err *e);

/*
 * Whether the filter denies: a child that is started in the group must get EPERM for a datagram to
 * TEST-NET. An error where it does not, or where that cannot be found out.
 */
int network_filter_self_test(int cgroup, struct err *e);
/* Likewise, by the calling process, which is in the group: so that is seen, too. */
int network_filter_test_here(struct err *e);

/*
 * The next generation of a container's rules, for a reload. make_next() fills new maps, and copies
 * the learned names of rules that stand in both (`now` NULL: none); the events go to the ring of
 * before. switch() makes them hold at once, for the cgroup and its devices: what the new rules do
 * not allow is not sent any more. Until switch() the old ones hold, and also where it fails; on
 * failure of either, network_filter_drop(). Mustn't: be called by two at a time.
 */
int network_filter_make_next(const struct network_tables *now,
			     const struct network_tables *tables, const char *name,
			     struct network_filter *ret, struct err *e);
int network_filter_switch(struct network_filter *f, uint16_t dns_port, struct err *e);
void network_filter_drop(struct network_filter *f);

/* The maps and the configuration of a container that has a filter. -ENOENT: it has none. */
int network_filter_open(const char *name, struct network_filter *ret, struct err *e);
/* What one rule has denied; not all of what it has allowed. */
int network_filter_hits(const struct network_filter *f, uint32_t rule,
			struct network_hits *ret);
/*
 * All that all rules have done, by NETWORK_HITS_INDEX(); to be freed. What they allow meanwhile goes
 * on from one place to another: while there is traffic the sums are near, and may be less than they
 * were a moment ago.
 */
int network_filter_hits_all(const struct network_filter *f, struct network_hits **ret,
			    struct err *e);
void network_filter_clear(struct network_filter *f);

/*
 * Takes the filter of a container away. Mustn't: be called while processes are left in its group.
 * A name that is not there is fine.
 */
int network_filter_detach(const char *name, struct err *e);

/*
 * Starts purple-network-load in the background: it takes away the maps of containers that are gone
 * and makes spares. Not waited for; nothing depends on it but time. For a process that ends soon:
 * its parent reaps it.
 */
void network_filter_tidy(void);

/*
 * Each container that has a filter; `cgroup` is 0 where its group is gone, or all of the filter was
 * taken off it; `missing`: how many of its programs were. For `doctor`.
 */
int network_filter_list(int (*each)(const char *name, uint64_t cgroup,
				    unsigned int missing, void *arg),
			void *arg, struct err *e);

#endif
