/* SPDX-License-Identifier: Apache-2.0 */
/* The container's first process, from the clone to its program. */
#ifndef PURPLE_CONTAINER_INIT_H
#define PURPLE_CONTAINER_INIT_H

#include <stdbool.h>

#include "cgroup/cgroup.h"
#include "container/process.h"
#include "linux/ns.h"
#include "linux/rootfs.h"
#include "linux/rootfs_files.h"
#include "oci/spec.h"

/* Annotations alone may have some hundred KiB. Pages that are not written take no memory. */
#define INIT_DOCUMENT_MAX (1024 * 1024)

/* Room for what the runtime knows only after the clone: shared memory, written before GO. */
struct init_shared {
	char hook_state[INIT_DOCUMENT_MAX]; /* the state document, for hooks before start */
	char start_state[INIT_DOCUMENT_MAX]; /* the same with the status of startContainer hooks */
	char listener_message[2 * INIT_DOCUMENT_MAX];
};

/* All that init needs: prepared by the runtime, inherited through the clone. */
struct init_plan {
	const struct oci_spec *spec;
	const char *id;
	const char *bundle;
	struct ns_plan *ns;
	struct rootfs *rootfs;
	struct rootfs_files *files; /* of interception; NULL: none */
	struct rootfs_cgroup_view cgroup_view;
	struct cgroup_doors doors;
	bool test_network; /* the group has a network filter, which has to deny */
	const bool *in_cgroup; /* whether it was born in the cgroup2 group; NULL: there is none */
	struct process_plan process; /* process.process is NULL: no program */
	struct init_shared *shared;
	int sync_fd;	/* init's end */
	int peer_fd;	/* the runtime's end, which init must not keep open */
	int start_fd;	/* the listening start.sock */
	int console_fd; /* connected; -1: none */
	/* Where init is until start, and the container then; -1: it is where it shall be. */
	int engines_network, own_network;
	bool tells_network; /* sends own_network to the runtime, if there is one */
	bool no_pivot;
	bool no_new_keyring;
	bool reaper;
};

/*
 * The two places of sync.h at which init waits for the runtime to do something for it: without a
 * reason, nobody waits. Both sides ask.
 */
bool init_waits_for_maps(const struct init_plan *p);
bool init_waits_for_hooks(const struct init_plan *p);

/* Whether init makes a network namespace that is the container's from start on (own_network). */
bool init_moves_network(const struct init_plan *p);

/* Never returns. For ns_spawn(). */
void init_main(void *plan);

#endif
