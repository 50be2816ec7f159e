/* SPDX-License-Identifier: Apache-2.0 */
/* What checkpoint and restore share, beside what CRIU writes. */
#ifndef PURPLE_CONTAINER_CHECKPOINT_IMAGE_H
#define PURPLE_CONTAINER_CHECKPOINT_IMAGE_H

#include "base/err.h"
#include "base/json.h"
#include "oci/spec.h"

/* In the folder of the images. */
#define CHECKPOINT_IMAGE "purple.json"
/* CRIU's key for the network namespace that was joined by path. */
#define CHECKPOINT_NETWORK "purple:network"

struct checkpoint_mount {
	char *path;
	char *options; /* as mountinfo has them */
};

struct checkpoint_image {
	struct strv stdio; /* keys for descriptors 0 to 2, empty: none */
	LIST_OF(struct checkpoint_mount) mounts;
};
extern const struct json_type checkpoint_image_type;

/* What no container that is checkpointed or restored may have. */
int checkpoint_check(const struct oci_spec *s, struct err *e);
int checkpoint_refuse_policy(const char *name, struct err *e);

#endif
