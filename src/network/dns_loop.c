/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_loop.h. Runs in purple-dns. */
#include "network/dns_loop.h"

#include <errno.h>

#include "base/fd.h"

#define BATCH 32

int dns_loop_add(int epoll, struct dns_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

int dns_loop_change(int epoll, struct dns_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

void dns_loop_remove(struct dns_source *s)
{
	/* Nobody else has the open file: closing it takes it out of the epoll set. */
	fd_close(&s->fd);
}

int dns_loop_wait(int epoll, int timeout_ms, struct err *e)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(epoll, events, BATCH, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : err_sys(e, "cannot wait for events");
	for (int i = 0; i < n; i++) {
		struct dns_source *s = events[i].data.ptr;

		/* One before it in the batch may have closed it. */
		if (s->fd >= 0)
			s->ready(s, events[i].events);
	}
	return 0;
}
