/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint and restore: a container's processes as files, and back, by CRIU (criu.h). What CRIU does
 * not bring back is refused when the checkpoint is made; so are policies, most of which are kept from
 * outside of the processes that the files describe.
 */
#ifndef PURPLE_CONTAINER_CHECKPOINT_H
#define PURPLE_CONTAINER_CHECKPOINT_H

#include <stdbool.h>

#include "base/err.h"
#include "container/container.h"

/* criu(8) says what they mean; those of one of the two are left empty for the other. */
struct checkpoint_options {
	const char *image_path; /* NULL: "checkpoint" in the current directory */
	const char *work_path;	/* of its log; NULL: the image path */
	bool tcp_established, ext_unix_sk, shell_job, file_locks;
	/* checkpoint */
	const char *parent_path; /* images of an earlier pre_dump, below the image path */
	bool leave_running, pre_dump, tcp_skip_in_flight;
	/* restore */
	const char *lsm_profile, *lsm_mount_context;
	bool tcp_close;
};

/* Unless it is left running, or this is a pre_dump, the container is deleted afterwards. */
int container_checkpoint(const char *root, const char *id,
			 const struct checkpoint_options *o, struct err *e);

struct container_restore_request {
	struct container_create_request create;
	struct checkpoint_options options;
	bool detach;
	bool no_subreaper;
};

/* A container of this bundle, whose processes are those of the images; as container_run(). */
int container_restore(struct container_restore_request *rq, int *ret_status, struct err *e);

#endif
