/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the programs that trace containers are pinned: what the runtime (trace.c) and
 * purple-network-load (trace_load.c) share.
 *
 *	/sys/fs/bpf/purple-trace/OBJECT/  one build of bpf/audit.bpf.c, by its hash
 *		trace_exec ...		  its programs
 *		groups, control ...	  its maps
 *		links/trace_exec ...	  those of its programs that run now
 *		spare/KEY/		  maps for a container to come, in place under KEY already
 *		containers/NAME/KEY/	  maps of a container, and
 *		containers/NAME/	  the links to its cgroup
 *		trash/KEY/		  maps of a container that is gone
 *
 * Who changes `groups`, and so what runs, holds the lock of the folder OBJECT.
 */
#ifndef PURPLE_AUDIT_TRACE_PINS_H
#define PURPLE_AUDIT_TRACE_PINS_H

#include <stdint.h>

#include "base/err.h"
#include "network/bpf.h"

#define TRACE_PINS "/sys/fs/bpf/purple-trace"

enum trace_map {
	TRACE_MAP_URGENT,
	TRACE_MAP_BULK,
	TRACE_MAP_STATS,
	TRACE_MAP_COUNTS,
	TRACE_MAPS,
};

/* A map of a container: its name, the map of maps that has it, and its key there. */
struct trace_map_point {
	const char *name, *outer;
	uint64_t key_bits; /* or'ed to the container's key */
	struct kbpf_map_shape shape;
};
extern const struct trace_map_point trace_maps[TRACE_MAPS];

/* "TRACE_PINS/OBJECT" of this build. */
const char *trace_pins_own(void);

#endif
