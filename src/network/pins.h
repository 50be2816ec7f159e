/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the network filter is pinned, and the shapes of a container's maps: what the runtime
 * (filter.c, wire.c) and purple-network-load (load.c) share.
 *
 *	/sys/fs/bpf/purple/OBJECT/	  one build of bpf/network_filter.bpf.c, by its hash
 *		network_connect4 ...	  its programs
 *		storage, tries4 ...	  its maps
 *		spare/KEY/		  maps for a container to come, in place under KEY already
 *		containers/NAME/	  the links of a container, and
 *		containers/NAME/KEY/	  its maps
 *		trash/KEY/		  maps of a container that is gone; or not yet in place
 *		kept/			  links to a group without processes: network/keep.h
 *
 * Spares are there because to put a map into a map of maps waits for a grace period of RCU, ten
 * milliseconds and more for each of the seven maps: a container takes a spare with one rename().
 */
#ifndef PURPLE_NETWORK_PINS_H
#define PURPLE_NETWORK_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "bpf/network_filter.h"
#include "network/bpf.h"

#define NETWORK_BPFFS "/sys/fs/bpf"
#define NETWORK_PINS NETWORK_BPFFS "/purple"

enum network_map {
	NETWORK_MAP_TRIES4,
	NETWORK_MAP_TRIES6,
	NETWORK_MAP_RANGES,
	NETWORK_MAP_NAMES,
	NETWORK_MAP_TLS_NAMES,
	NETWORK_MAP_HITS,
	NETWORK_MAP_RINGS,
	NETWORK_MAPS,
};

/* Names of the maps of maps, and shapes of what they hold: as in network_filter.bpf.c. */
extern const char *const network_map_names[NETWORK_MAPS];
extern const struct kbpf_map_shape network_map_shapes[NETWORK_MAPS];

/* The programs at a container's group: their names, and where they are attached. */
#define NETWORK_HOOKS 14
struct network_hook_point {
	const char *name;
	enum bpf_attach_type type;
};
extern const struct network_hook_point network_hooks[NETWORK_HOOKS];

/* "NETWORK_PINS/OBJECT" of this build. */
const char *network_pins_own(void);

/* An error that says what to do where bpffs is not mounted. */
int network_pins_check(struct err *e);

/* The name of a container as a name in bpffs, which has no dots; false: too long or odd. */
bool network_pins_escape(const char *name, char *ret, size_t size);

/* Makes the maps of one container, not yet in the maps of maps; `fds` are -1 on failure. */
int network_maps_make(int fds[NETWORK_MAPS], struct err *e);

#endif
