/* SPDX-License-Identifier: Apache-2.0 */
/* The foreground part of `run`, for callers that bring their own supervision. */
#ifndef PURPLE_CONTAINER_RUN_H
#define PURPLE_CONTAINER_RUN_H

#include "container/container.h"
#include "container/supervise.h"

/* create, start, wait, delete (unless `keep`). supervise_begin() was called on s. */
int container_run_supervised(struct container_create_request *rq, struct supervise *s,
			     bool keep, int *ret_status, struct err *e);

#endif
