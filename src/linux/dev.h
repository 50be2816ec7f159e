/* SPDX-License-Identifier: Apache-2.0 */
/* /dev of a container: the default devices, linux.devices, the usual links, the console. */
#ifndef PURPLE_LINUX_DEV_H
#define PURPLE_LINUX_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "oci/spec.h"

/* Types, numbers, paths. Pure. */
int dev_check(const struct oci_spec *s, struct err *e);

/*
 * Where devices are made: a root, and the mounts of it that are the container's own. A link of the
 * image, or a mount below the root's source, may have put a directory of the host where a device is
 * to be: there nothing is made, replaced or removed, and what is needed has to be there.
 */
struct dev_place {
	int root_fd;
	const uint64_t *own; /* mount ids */
	size_t n_own;
};

/*
 * Makes linux.devices, then the spec's default devices, then the links. Where mknod(2) is not
 * permitted (a user namespace), the host's own node is bound. Runs in init with the host's tree
 * still as "/". With dev_is_bind, /dev is the host's: nothing is made there.
 */
int dev_make_all(const struct dev_place *p, const struct oci_spec *s, bool dev_is_bind,
		 struct err *e);

/* Makes the file that dev_bind_console() needs, before /dev may turn read-only. */
int dev_make_console(const struct dev_place *p, struct err *e);
int dev_bind_console(const struct dev_place *p, int pty_fd, struct err *e);

/* The host's /dev/null as an O_PATH descriptor, verified to be the null device. */
int dev_open_null(struct err *e);

#endif
