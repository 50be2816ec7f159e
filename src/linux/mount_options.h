/* SPDX-License-Identifier: Apache-2.0 */
/* Mount options of the runtime-spec as data: names, and what a list of them asks for. Pure. */
#ifndef PURPLE_LINUX_MOUNT_OPTIONS_H
#define PURPLE_LINUX_MOUNT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "oci/spec.h"

/* For mount_setattr(2): bits of MOUNT_ATTR_* to set and to clear. */
struct mount_attrs {
	uint64_t set;
	uint64_t clr;
};

struct mount_propagation {
	uint64_t type; /* MS_SHARED, MS_SLAVE, MS_PRIVATE, MS_UNBINDABLE */
	bool recursive;
};

struct mount_options {
	bool is_bind;
	bool is_remount;
	bool recursive; /* rbind */
	bool tmpcopyup;
	bool idmap; /* idmap, ridmap, or mappings of the mount's own */
	bool idmap_recursive;
	struct mount_attrs top; /* the mount itself */
	struct mount_attrs rec; /* the whole tree: the r forms; applied before `top` */
	LIST_OF(struct mount_propagation) propagation; /* in the order given */
	struct strv sb_flags; /* of the file system, not of the mount: sync, dirsync, lazytime ... */
	struct strv data; /* "key=value" or "key": for the file system itself */
};

/* Parses the options of m (with its type and mappings). Errors name destination and option. */
int mount_options_parse(const struct oci_mount *m, struct mount_options *ret, struct err *e);
void mount_options_free(struct mount_options *o);

/* All options known by name, sorted, NULL at the end: `mountOptions` of the features document. */
const char *const *mount_option_names(void);

/* "rslave" and so on, as in rootfsPropagation; -EINVAL when unknown. */
int mount_propagation_parse(const char *name, struct mount_propagation *ret);

#endif
