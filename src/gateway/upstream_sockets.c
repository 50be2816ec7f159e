/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's sockets in the loop. libcurl says of each what it waits for, and at the end of a transfer
 * that it waits no more; the next transfer over the same connection waits for the same again. So the
 * socket of a connection stays with the loop in between, which saves two system calls a call: from
 * when libcurl opened it until it closes it, which it tells both. Runs in purple-gateway, in its jail.
 */
#include "gateway/upstream_sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct upstream_socket {
	struct loop_source source;
	struct upstream_sockets *all;
	struct upstream_socket *next;
	curl_socket_t fd;
	uint32_t events; /* that the loop waits for */
	bool is_in_loop;
	bool is_wanted; /* by libcurl */
	bool is_connection;
};

static void leave_loop(struct upstream_socket *s)
{
	if (s->is_in_loop)
		loop_remove(s->all->loop, &s->source);
	s->is_in_loop = false;
}

static void socket_ready(struct loop_source *source, uint32_t events)
{
	struct upstream_socket *s = loop_container_of(source, struct upstream_socket,
						      source);
	int what = 0, running;

	/* The provider closed what nobody uses: libcurl sees that when it wants to use it. */
	if (!s->is_wanted) {
		leave_loop(s);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
		what |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		what |= CURL_CSELECT_ERR;
	curl_multi_socket_action(s->all->multi, s->fd, what, &running);
}

static struct upstream_socket *make(struct upstream_sockets *all, curl_socket_t fd)
{
	struct upstream_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->source = (struct loop_source){ .fd = -1, .ready = socket_ready };
	s->all = all;
	s->fd = fd;
	return s;
}

static struct upstream_socket **connection_at(struct upstream_sockets *all, curl_socket_t fd)
{
	struct upstream_socket **at = &all->first;

	while (*at && (*at)->fd != fd)
		at = &(*at)->next;
	return at;
}

static int opened(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	struct upstream_sockets *all = ctx;
	struct upstream_socket *s = make(all, fd);

	if (!s)
		return CURL_SOCKOPT_ERROR;
	s->is_connection = true;
	s->next = all->first;
	all->first = s;
	return CURL_SOCKOPT_OK;
}

static int closes(void *ctx, curl_socket_t fd)
{
	struct upstream_socket **at = connection_at(ctx, fd), *s = *at;

	if (s) {
		*at = s->next;
		leave_loop(s);
		free(s);
	}
	return close(fd);
}

static int wait_for(struct upstream_socket *s, uint32_t events)
{
	int r = 0;

	if (!s->is_in_loop) {
		s->source.fd = s->fd;
		r = loop_add(s->all->loop, &s->source, events);
	} else if (s->events != events) {
		r = loop_change(s->all->loop, &s->source, events);
	}
	if (r < 0)
		return r;
	s->events = events;
	s->is_in_loop = s->is_wanted = true;
	return 0;
}

static void unwanted(struct upstream_socket *s)
{
	s->is_wanted = false;
	if (s->is_connection && s->events == EPOLLIN)
		return;
	leave_loop(s);
	if (!s->is_connection)
		free(s);
}

static int wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
	struct upstream_sockets *all = ctx;
	struct upstream_socket *s = assigned;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
			  (what & CURL_POLL_OUT ? EPOLLOUT : 0);

	if (what == CURL_POLL_REMOVE) {
		if (s)
			unwanted(s);
		return 0;
	}
	if (s)
		return wait_for(s, events) < 0 ? -1 : 0;
	s = *connection_at(all, fd);
	/* One of libcurl's own, as its resolver has. */
	if (!s)
		s = make(all, fd);
	if (!s)
		return -1;
	if (wait_for(s, events) < 0) {
		if (!s->is_connection)
			free(s);
		return -1;
	}
	curl_multi_assign(all->multi, fd, s);
	return 0;
}

void upstream_sockets_begin(struct upstream_sockets *s, struct loop *loop, CURLM *multi)
{
	*s = (struct upstream_sockets){ .loop = loop, .multi = multi };
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, wanted);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, s);
}

int upstream_sockets_of(struct upstream_sockets *s, CURL *easy)
{
	if (curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, opened) != 0 ||
	    curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, s) != 0 ||
	    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, closes) != 0 ||
	    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, s) != 0)
		return -ENOMEM;
	return 0;
}

void upstream_sockets_end(struct upstream_sockets *s)
{
	while (s->first) {
		struct upstream_socket *gone = s->first;

		s->first = gone->next;
		leave_loop(gone);
		free(gone);
	}
}
