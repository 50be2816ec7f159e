/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_clients.h. Runs in purple-dns, without privileges. What a connection may hold is bounded
 * by its buffers: who asks more than it reads is cut off.
 */
#include "network/dns_clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/dns_learn.h"
#include "network/dns_loop.h"
#include "network/dns_message.h"

#define OUT_MAX 16384
/* Datagrams that are read before others get their turn. */
#define UDP_BATCH 16

struct connection {
	struct dns_source source; /* -1: the place is free */
	struct dns_clients *all;
	uint64_t generation;
	uint64_t idle_ends;
	unsigned int questions; /* under way */
	bool ended;		/* nothing more will be asked */
	size_t in_len, out_len;
	uint8_t in[2 + DNS_UDP_MAX]; /* one question, with its length in front */
	uint8_t out[OUT_MAX];
};

struct listener {
	struct dns_source source;
	struct dns_clients *all;
};

struct dns_clients {
	int epoll;
	dns_client_asks asks;
	void *arg;
	uint64_t generation;
	struct listener udp[2], tcp[2];
	struct connection connections[DNS_CONNECTIONS_MAX];
};

/* --- datagrams --- */

static void on_datagram(struct dns_source *s, uint32_t events)
{
	struct listener *l = dns_container_of(s, struct listener, source);
	uint8_t data[DNS_UDP_MAX + 1];

	for (int i = 0; i < UDP_BATCH; i++) {
		struct dns_client c = { .fd = s->fd, .address_len = sizeof(c.address) };
		ssize_t n = recvfrom(s->fd, data, sizeof(data), MSG_DONTWAIT,
				     (struct sockaddr *)&c.address, &c.address_len);

		if (n < 0)
			return; /* nothing more, or an ICMP error for somebody who is gone */
		l->all->asks(l->all->arg, &c, data, (size_t)n);
	}
}

/* --- connections --- */

static void connection_close(struct connection *c)
{
	dns_loop_remove(&c->source);
	c->generation = 0;
}

/* What the state of the connection asks for. */
static void connection_watch(struct connection *c)
{
	bool reads = !c->ended && c->questions < DNS_CONNECTION_QUESTIONS_MAX &&
		     c->out_len < OUT_MAX / 2;
	uint32_t events = (reads ? EPOLLIN : 0U) | (c->out_len ? EPOLLOUT : 0U);

	if (c->source.fd < 0)
		return;
	/* Who only ended its own half got its answers first. */
	if ((c->ended && c->questions == 0 && c->out_len == 0) ||
	    dns_loop_change(c->all->epoll, &c->source, events) < 0)
		connection_close(c);
}

static void connection_write(struct connection *c)
{
	while (c->out_len) {
		ssize_t n = send(c->source.fd, c->out, c->out_len,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			connection_close(c);
			return;
		}
		c->out_len -= (size_t)n;
		memmove(c->out, c->out + n, c->out_len);
		c->idle_ends = dns_now_ms() + DNS_CONNECTION_IDLE_MS;
	}
}

static void connection_ask(struct connection *c)
{
	struct dns_client who = { .tcp = true,
				  .connection = (unsigned int)(c - c->all->connections),
				  .generation = c->generation };
	size_t len = c->in_len - 2;

	c->in_len = 0;
	c->questions++;
	c->idle_ends = dns_now_ms() + DNS_CONNECTION_IDLE_MS;
	c->all->asks(c->all->arg, &who, c->in + 2, len);
}

/* One question at most. */
static void connection_read(struct connection *c)
{
	size_t want = c->in_len < 2 ? 2 : 2 + ((size_t)c->in[0] << 8 | c->in[1]);
	ssize_t n;

	if (want > sizeof(c->in)) {
		connection_close(c);
		return;
	}
	n = recv(c->source.fd, c->in + c->in_len, want - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		connection_close(c);
		return;
	}
	if (n == 0) {
		c->ended = true;
		return;
	}
	c->in_len += (size_t)n;
	if (c->in_len > 2 && c->in_len == 2 + ((size_t)c->in[0] << 8 | c->in[1]))
		connection_ask(c);
	else if (c->in_len == 2 && !c->in[0] && !c->in[1])
		connection_close(c);
}

static void on_connection(struct dns_source *s, uint32_t events)
{
	struct connection *c = dns_container_of(s, struct connection, source);

	if (events & EPOLLOUT)
		connection_write(c);
	if (s->fd >= 0 && (events & EPOLLIN))
		connection_read(c);
	/* Both directions are closed: there is nobody left to answer. */
	if (s->fd >= 0 && (events & (EPOLLHUP | EPOLLERR)))
		connection_close(c);
	connection_watch(c);
}

/* A free place, or that of the connection that has been idle longest. */
static struct connection *take_place(struct dns_clients *all)
{
	struct connection *idlest = NULL;

	for (size_t i = 0; i < DNS_CONNECTIONS_MAX; i++) {
		struct connection *c = &all->connections[i];

		if (c->source.fd < 0)
			return c;
		if (!idlest || c->idle_ends < idlest->idle_ends)
			idlest = c;
	}
	connection_close(idlest);
	return idlest;
}

static void on_listener(struct dns_source *s, uint32_t events)
{
	struct dns_clients *all = dns_container_of(s, struct listener, source)->all;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct connection *c;

	if (fd < 0)
		return;
	c = take_place(all);
	c->source.fd = fd;
	c->generation = ++all->generation;
	c->idle_ends = dns_now_ms() + DNS_CONNECTION_IDLE_MS;
	c->questions = 0;
	c->ended = false;
	c->in_len = c->out_len = 0;
	if (dns_loop_add(all->epoll, &c->source, EPOLLIN) < 0)
		connection_close(c);
}

/* --- answers --- */

static struct connection *find_connection(struct dns_clients *all,
					  const struct dns_client *c)
{
	struct connection *x = &all->connections[c->connection];

	return x->source.fd >= 0 && x->generation == c->generation ? x : NULL;
}

static void question_done(struct connection *c)
{
	if (c->questions)
		c->questions--;
}

void dns_clients_drop(struct dns_clients *all, const struct dns_client *c)
{
	struct connection *x = c->tcp ? find_connection(all, c) : NULL;

	if (!x)
		return;
	question_done(x);
	connection_watch(x);
}

void dns_clients_answer(struct dns_clients *all, const struct dns_client *c,
			const uint8_t *data, size_t len)
{
	struct connection *x;

	if (!c->tcp) {
		/* A program whose socket is full or gone asks again, or does not. */
		(void)!sendto(c->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&c->address, c->address_len);
		return;
	}
	x = find_connection(all, c);
	if (!x)
		return;
	question_done(x);
	if (len > UINT16_MAX || x->out_len + 2 + len > sizeof(x->out)) {
		connection_close(x);
		return;
	}
	x->out[x->out_len++] = (uint8_t)(len >> 8);
	x->out[x->out_len++] = (uint8_t)len;
	memcpy(x->out + x->out_len, data, len);
	x->out_len += len;
	connection_write(x);
	connection_watch(x);
}

uint64_t dns_clients_tick(struct dns_clients *all, uint64_t now_ms, uint64_t limit)
{
	for (size_t i = 0; i < DNS_CONNECTIONS_MAX; i++) {
		struct connection *c = &all->connections[i];

		if (c->source.fd >= 0 && c->idle_ends <= now_ms)
			connection_close(c);
		if (c->source.fd >= 0 && c->idle_ends < limit)
			limit = c->idle_ends;
	}
	return limit;
}

/* --- life --- */

static int listener_add(struct dns_clients *all, struct listener *l, int fd,
			void (*ready)(struct dns_source *, uint32_t), struct err *e)
{
	int r;

	if (fd < 0)
		return 0;
	l->source = (struct dns_source){ fd, ready };
	r = dns_loop_add(all->epoll, &l->source, EPOLLIN);
	return r < 0 ? err_errno(e, r, "cannot watch the container's socket %d", fd) : 0;
}

int dns_clients_make(int epoll, const int udp[2], const int tcp[2], dns_client_asks asks,
		     void *arg, struct dns_clients **ret, struct err *e)
{
	struct dns_clients *all = calloc(1, sizeof(*all));
	int r = 0;

	if (!all)
		return err_oom(e);
	all->epoll = epoll;
	all->asks = asks;
	all->arg = arg;
	for (size_t i = 0; i < DNS_CONNECTIONS_MAX; i++) {
		all->connections[i].source = (struct dns_source){ -1, on_connection };
		all->connections[i].all = all;
	}
	for (size_t i = 0; i < 2; i++) {
		all->udp[i] = (struct listener){ { -1, on_datagram }, all };
		all->tcp[i] = (struct listener){ { -1, on_listener }, all };
	}
	for (size_t i = 0; r == 0 && i < 2; i++) {
		r = listener_add(all, &all->udp[i], udp[i], on_datagram, e);
		if (r == 0)
			r = listener_add(all, &all->tcp[i], tcp[i], on_listener, e);
	}
	if (r < 0) {
		dns_clients_free(all);
		return r;
	}
	*ret = all;
	return 0;
}

void dns_clients_free(struct dns_clients *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < DNS_CONNECTIONS_MAX; i++)
		dns_loop_remove(&all->connections[i].source);
	for (size_t i = 0; i < 2; i++) {
		dns_loop_remove(&all->udp[i].source);
		dns_loop_remove(&all->tcp[i].source);
	}
	free(all);
}
