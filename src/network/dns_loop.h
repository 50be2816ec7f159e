/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop of purple-dns: one thread, epoll, descriptors that say when they are ready. */
#ifndef PURPLE_NETWORK_DNS_LOOP_H
#define PURPLE_NETWORK_DNS_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

/* Part of what it belongs to; memory that lives as long as the loop does. */
struct dns_source {
	int fd; /* -1: none */
	/* May be called in vain: what is not ready says EAGAIN. */
	void (*ready)(struct dns_source *s, uint32_t events);
};

#define dns_container_of(s, type, member) \
	((type *)(void *)((char *)(s)-offsetof(type, member)))

/* Watches s->fd, which is the source's from now on. 0 or -errno. */
int dns_loop_add(int epoll, struct dns_source *s, uint32_t events);
int dns_loop_change(int epoll, struct dns_source *s, uint32_t events);
/* Closes s->fd. */
void dns_loop_remove(struct dns_source *s);
/* Waits at most this long, and calls who is ready. */
int dns_loop_wait(int epoll, int timeout_ms, struct err *e);

#endif
