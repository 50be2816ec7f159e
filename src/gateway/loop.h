/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of purple-gateway: one thread, epoll, descriptors that say when they are ready. */
#ifndef PURPLE_GATEWAY_LOOP_H
#define PURPLE_GATEWAY_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

struct loop_source {
	int fd; /* -1: none */
	/* May be called in vain. It may remove itself and others. */
	void (*ready)(struct loop_source *s, uint32_t events);
};

#define loop_container_of(s, type, member) \
	((type *)(void *)((char *)(s)-offsetof(type, member)))

struct loop {
	int epoll;
	struct loop_source **ready; /* those of this turn that are still to be called */
	size_t ready_n;
};

int loop_make(struct loop *l, struct err *e);
void loop_end(struct loop *l);

/* 0 or -errno. The descriptor stays its owner's, who removes it before it is closed. */
int loop_add(struct loop *l, struct loop_source *s, uint32_t events);
int loop_change(struct loop *l, struct loop_source *s, uint32_t events);
void loop_remove(struct loop *l, struct loop_source *s);

/* Waits at most this long (-1: for ever), and calls who is ready. */
int loop_wait(struct loop *l, int timeout_ms, struct err *e);

/* Milliseconds of a clock that goes on in suspend and is never set. */
int64_t loop_now(void);

#endif
