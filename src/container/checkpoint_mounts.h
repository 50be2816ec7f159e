/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a container whose files are the host's: CRIU is told of them (its --external mnt[]), by
 * keys that a checkpoint and its restore agree on. Where they are on the host is taken from the
 * configuration of the restored container, never from the images.
 */
#ifndef PURPLE_CONTAINER_CHECKPOINT_MOUNTS_H
#define PURPLE_CONTAINER_CHECKPOINT_MOUNTS_H

#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "container/checkpoint_image.h"
#include "container/state.h"
#include "oci/spec.h"

/* What a container's init sees mounted. */
struct mount_seen {
	uint64_t id;
	char *root, *point, *options, *type; /* in `text` */
};
struct mounts_seen {
	char *text;
	LIST_OF(struct mount_seen) v;
};
int mounts_see(const struct container *c, struct mounts_seen *ret, struct err *e);
/* NULL: init does not see it. */
const struct mount_seen *mounts_find(const struct mounts_seen *m, uint64_t id);
void mounts_seen_clear(struct mounts_seen *m);
#define _mounts_seen_clear_ __attribute__((cleanup(mounts_seen_clear)))

/* For a dump: adds "mnt[MOUNTPOINT]:KEY" for each that is there. */
int checkpoint_mounts(const struct container *c, const struct oci_spec *s,
		      const struct mounts_seen *m, struct strv *external, struct err *e);

/* For a restore: adds "mnt[KEY]:PATH" for all that there may be. */
int restore_mounts(const struct container *c, const struct oci_spec *s,
		   struct strv *external, struct err *e);

/* Makes those mount points that are missing in the root file system, as create does. Runs where
 * CRIU is to run. */
int restore_mount_points(int root_fd, const struct container *c, const struct oci_spec *s,
			 struct err *e);

/* CRIU brings not all attributes of mounts back: sets those that are missing, for processes that have
 * not been resumed. Runs in the container's mount namespace. */
int restore_attributes(const struct checkpoint_image *image, struct err *e);

#endif
