/* SPDX-License-Identifier: Apache-2.0 */
/* See dns_lookup.h. Runs in purple-dns, without privileges, in the host's network namespace. */
#include "network/dns_lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "network/dns_learn.h"
#include "network/dns_loop.h"

#define DNS_PORT 53
#define QUESTION_MAX 512

struct server {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address;
	socklen_t len;
};

struct lookup {
	struct dns_source source; /* the socket of the try at hand; -1: waiting for the next tick */
	struct dns_lookups *all;
	bool used;
	char name[DNS_NAME_MAX + 1];
	uint16_t type, id;
	bool edns;
	size_t server;
	size_t refusals; /* servers that gave no answer, but quickly */
	uint64_t try_ends, ends;
	dns_lookup_done done;
	void *arg;
	/* Over TCP; both begin with two bytes of length. NULL: over UDP. */
	uint8_t *stream;
	size_t got, sent, question_len;
	uint8_t question[2 + QUESTION_MAX];
};

struct dns_lookups {
	int epoll;
	struct server *servers; /* read-only pages: the jail allows to connect to these alone */
	size_t server_count, servers_size;
	size_t next_free;
	struct lookup lookups[DNS_LOOKUPS_MAX];
};

static int parse_server(const char *text, struct server *ret, struct err *e)
{
	*ret = (struct server){};
	if (inet_pton(AF_INET, text, &ret->address.v4.sin_addr) == 1) {
		ret->address.v4.sin_family = AF_INET;
		ret->address.v4.sin_port = htons(DNS_PORT);
		ret->len = sizeof(ret->address.v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &ret->address.v6.sin6_addr) == 1) {
		ret->address.v6.sin6_family = AF_INET6;
		ret->address.v6.sin6_port = htons(DNS_PORT);
		ret->len = sizeof(ret->address.v6);
		return 0;
	}
	return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no address", text);
}

int dns_lookups_make(int epoll, const struct strv *upstreams, struct dns_lookups **ret,
		     struct err *e)
{
	struct dns_lookups *l = calloc(1, sizeof(*l));
	int r = 0;

	if (!l)
		return err_oom(e);
	l->epoll = epoll;
	for (size_t i = 0; i < DNS_LOOKUPS_MAX; i++)
		l->lookups[i].source.fd = -1;
	l->servers_size = upstreams->n * sizeof(*l->servers);
	l->servers = mmap(NULL, l->servers_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (l->servers == MAP_FAILED) {
		l->servers = NULL;
		r = err_oom(e);
	}
	for (size_t i = 0; r == 0 && i < upstreams->n; i++)
		r = parse_server(upstreams->v[i], &l->servers[l->server_count++], e);
	if (r == 0 && mprotect(l->servers, l->servers_size, PROT_READ) < 0)
		r = err_sys(e, "cannot protect the addresses of name servers");
	if (r < 0) {
		dns_lookups_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

static void close_try(struct lookup *q)
{
	dns_loop_remove(&q->source);
	free(q->stream);
	q->stream = NULL;
}

void dns_lookups_free(struct dns_lookups *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < DNS_LOOKUPS_MAX; i++)
		close_try(&l->lookups[i]);
	if (l->servers)
		munmap(l->servers, l->servers_size);
	free(l);
}

size_t dns_lookups_servers(const struct dns_lookups *l, const void **ret, size_t max)
{
	size_t n = l->server_count < max ? l->server_count : max;

	for (size_t i = 0; i < n; i++)
		ret[i] = &l->servers[i].address;
	return n;
}

static void finish(struct lookup *q, enum dns_found found, const struct dns_answer *a)
{
	dns_lookup_done done = q->done;
	void *arg = q->arg;

	close_try(q);
	q->used = false;
	done(arg, found, a);
}

/* --- one try --- */

/* What is left undone is tried again at the next tick, with the next server. */
static void give_up_try(struct lookup *q)
{
	close_try(q);
	q->try_ends = 0;
}

static void refused(struct lookup *q)
{
	q->refusals++;
	give_up_try(q);
}

static bool make_question(struct lookup *q)
{
	/* Blocks only right after the machine's start; an id of zeros alone would not be safe. */
	if (getrandom(&q->id, sizeof(q->id), 0) != sizeof(q->id))
		return false;
	q->question_len = dns_question_make(q->id, q->name, q->type, q->edns,
					    q->question + 2, QUESTION_MAX);
	q->question[0] = (uint8_t)(q->question_len >> 8);
	q->question[1] = (uint8_t)q->question_len;
	return q->question_len > 0;
}

static bool open_try(struct lookup *q, int type)
{
	const struct server *s = &q->all->servers[q->server];

	q->source.fd = socket(s->address.any.sa_family,
			      type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->source.fd < 0)
		return false;
	/* What comes from elsewhere never gets to a connected socket. */
	if (connect(q->source.fd, &s->address.any, s->len) < 0 && errno != EINPROGRESS)
		return false;
	return dns_loop_add(q->all->epoll, &q->source,
			    type == SOCK_STREAM ? EPOLLIN | EPOLLOUT : EPOLLIN) == 0;
}

static void try_udp(struct lookup *q)
{
	if (!make_question(q) || !open_try(q, SOCK_DGRAM) ||
	    send(q->source.fd, q->question + 2, q->question_len, MSG_NOSIGNAL) < 0)
		refused(q);
}

/* The same server, for what did not fit. */
static void try_tcp(struct lookup *q)
{
	close_try(q);
	q->got = q->sent = 0;
	q->stream = malloc(2 + DNS_ANSWER_MAX);
	if (!q->stream || !make_question(q) || !open_try(q, SOCK_STREAM))
		refused(q);
}

static void take(struct lookup *q, const uint8_t *data, size_t len)
{
	struct dns_answer a;
	enum dns_found found = dns_answer_parse(data, len, q->id, q->name, q->type, &a);

	switch (found) {
	case DNS_FOUND:
	case DNS_BAD:
		finish(q, found, &a);
		break;
	case DNS_FOREIGN:
		/* Over UDP somebody else may have sent it; over TCP that cannot be. */
		if (q->stream)
			refused(q);
		break;
	case DNS_TRUNCATED:
		if (q->stream)
			refused(q);
		else
			try_tcp(q);
		break;
	case DNS_NO_EDNS:
		if (q->edns) {
			q->edns = false;
			close_try(q);
			try_udp(q);
		} else {
			refused(q);
		}
		break;
	case DNS_FAILED:
		refused(q);
		break;
	}
}

static void read_udp(struct lookup *q)
{
	uint8_t data[DNS_ANSWER_MAX + 1];
	ssize_t n = recv(q->source.fd, data, sizeof(data), 0);

	if (n >= 0)
		take(q, data, (size_t)n);
	else if (errno != EAGAIN && errno != EINTR)
		refused(q);
}

/* How long the answer is with its length in front; what is known of it. */
static size_t stream_wanted(const struct lookup *q)
{
	return q->got < 2 ? 2 : 2 + ((size_t)q->stream[0] << 8 | q->stream[1]);
}

static void read_tcp(struct lookup *q)
{
	size_t want = stream_wanted(q);
	ssize_t n = recv(q->source.fd, q->stream + q->got, want - q->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		refused(q);
		return;
	}
	q->got += (size_t)n;
	want = stream_wanted(q);
	if (q->got < 2)
		return;
	if (want < 2 + DNS_HEADER_SIZE || want > 2 + DNS_ANSWER_MAX)
		refused(q);
	else if (q->got == want)
		take(q, q->stream + 2, want - 2);
}

static void write_tcp(struct lookup *q)
{
	size_t all = 2 + q->question_len;
	ssize_t n = send(q->source.fd, q->question + q->sent, all - q->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		refused(q);
		return;
	}
	q->sent += (size_t)n;
	if (q->sent == all && dns_loop_change(q->all->epoll, &q->source, EPOLLIN) < 0)
		refused(q);
}

static void on_ready(struct dns_source *s, uint32_t events)
{
	struct lookup *q = dns_container_of(s, struct lookup, source);

	if (!q->stream)
		read_udp(q);
	else if (q->sent < 2 + q->question_len)
		write_tcp(q);
	else
		read_tcp(q);
}

/* --- all of them --- */

int dns_lookup_start(struct dns_lookups *l, const char *name, uint16_t type,
		     dns_lookup_done done, void *arg)
{
	struct lookup *q = NULL;
	uint64_t now = dns_now_ms();

	for (size_t i = 0; i < DNS_LOOKUPS_MAX && !q; i++) {
		size_t at = (l->next_free + i) % DNS_LOOKUPS_MAX;

		if (l->lookups[at].used)
			continue;
		q = &l->lookups[at];
		l->next_free = at + 1;
	}
	if (!q)
		return -EAGAIN;
	*q = (struct lookup){ .source = { -1, on_ready },
			      .all = l,
			      .used = true,
			      .type = type,
			      .edns = true,
			      .done = done,
			      .arg = arg,
			      .try_ends = now + DNS_TRY_MS,
			      .ends = now + DNS_LOOKUP_MS };
	snprintf(q->name, sizeof(q->name), "%s", name);
	try_udp(q);
	return 0;
}

static void next_try(struct lookup *q, uint64_t now)
{
	if (now >= q->ends || q->refusals >= q->all->server_count) {
		finish(q, DNS_FAILED, NULL);
		return;
	}
	close_try(q);
	q->server = (q->server + 1) % q->all->server_count;
	q->try_ends = now + DNS_TRY_MS < q->ends ? now + DNS_TRY_MS : q->ends;
	q->edns = true;
	try_udp(q);
}

uint64_t dns_lookups_tick(struct dns_lookups *l, uint64_t now_ms, uint64_t limit)
{
	for (size_t i = 0; i < DNS_LOOKUPS_MAX; i++) {
		struct lookup *q = &l->lookups[i];

		if (q->used && q->try_ends <= now_ms)
			next_try(q, now_ms);
		if (q->used && q->try_ends < limit)
			limit = q->try_ends;
	}
	return limit;
}
