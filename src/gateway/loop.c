/* SPDX-License-Identifier: Apache-2.0 */
/* See loop.h. Runs in purple-gateway. */
#include "gateway/loop.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"

#define EVENTS_MAX 64

int loop_make(struct loop *l, struct err *e)
{
	*l = (struct loop){ .epoll = epoll_create1(EPOLL_CLOEXEC) };
	return l->epoll < 0 ? err_sys(e, "cannot make an epoll descriptor") : 0;
}

void loop_end(struct loop *l)
{
	fd_close(&l->epoll);
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

int loop_change(struct loop *l, struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &ev) < 0 ? -errno : 0;
}

void loop_remove(struct loop *l, struct loop_source *s)
{
	if (s->fd < 0)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	s->fd = -1;
	for (size_t i = 0; i < l->ready_n; i++)
		if (l->ready[i] == s)
			l->ready[i] = NULL;
}

int loop_wait(struct loop *l, int timeout_ms, struct err *e)
{
	struct epoll_event ev[EVENTS_MAX];
	struct loop_source *ready[EVENTS_MAX];
	int n = epoll_wait(l->epoll, ev, EVENTS_MAX, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : err_sys(e, "cannot wait for events");
	for (int i = 0; i < n; i++)
		ready[i] = ev[i].data.ptr;
	l->ready = ready;
	l->ready_n = (size_t)n;
	for (int i = 0; i < n; i++)
		if (ready[i])
			ready[i]->ready(ready[i], ev[i].events);
	l->ready = NULL;
	l->ready_n = 0;
	return 0;
}

int64_t loop_now(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}
