/* SPDX-License-Identifier: Apache-2.0 */
/* See server.h. Runs in purple-gateway, in its jail. */
#include "gateway/server.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/list.h"
#include "gateway/authority.h"
#include "gateway/call.h"
#include "gateway/gateway.h"

/* A head must fit; much of it is for bodies as they pass. All of it is zeroed for each request. */
#define POOL (32U << 10)
#define POOL_STEP (16U << 10)
/* Without a byte in either direction. More than clients keep an idle connection themselves. */
#define QUIET_S 75
#define ACCEPTS 16
/* From here on idle ones have to go. */
#define CONNECTIONS_MANY (SERVER_CONNECTIONS_MAX - 2 * ACCEPTS)

/* How long a phase may take in all, however busily it is fed byte by byte. */
static const int64_t phase_ms[] = {
	[SERVER_IDLE] = 120000,
	[SERVER_HEAD] = 20000,
	[SERVER_BODY] = 180000,
};

struct connection {
	struct server *server;
	struct connection *next, **link;
	enum server_kind kind;
	enum server_phase phase;
	int64_t since; /* of the phase */
	int fd;
	bool is_shut;
};

/* One of libmicrohttpd's: it has no listening socket of its own. */
struct daemon {
	struct loop_source source; /* its epoll descriptor */
	struct server *server;
	enum server_kind kind;
	struct MHD_Daemon *mhd;
	bool is_ready;
};

struct listener {
	struct loop_source source;
	struct server *server;
	enum server_kind kind;
	int fd;
};

struct server {
	struct gateway *g;
	struct daemon daemons[SERVER_KINDS];
	LIST_OF(struct listener *) listeners;
	struct connection *first;
	unsigned int connections;
	bool is_full, is_quiet; /* listeners are not looked at */
	int64_t looked;
};

/* --- connections --- */

void connection_phase(struct connection *c, enum server_phase phase)
{
	if (!c || c->phase == phase)
		return;
	c->phase = phase;
	c->since = loop_now();
}

void connection_shut(struct connection *c)
{
	if (!c || c->is_shut)
		return;
	c->is_shut = true;
	shutdown(c->fd, SHUT_RDWR);
}

enum server_kind connection_kind(const struct connection *c)
{
	return c ? c->kind : SERVER_BASE_URL;
}

static void watch_listeners(struct server *s, bool watch)
{
	for (size_t i = 0; i < s->listeners.n; i++)
		loop_change(&s->g->loop, &s->listeners.v[i]->source, watch ? EPOLLIN : 0);
}

/* When there are many, the one goes that has waited longest for a request or the end of one. */
static void drop_idle(struct server *s)
{
	struct connection *oldest = NULL;

	for (struct connection *c = s->first; c; c = c->next)
		if (c->phase != SERVER_BUSY && !c->is_shut &&
		    (!oldest || c->since <= oldest->since))
			oldest = c;
	connection_shut(oldest);
}

static void connection_began(struct daemon *d, struct MHD_Connection *http, void **ret)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct server *s = d->server;
	struct connection *c = calloc(1, sizeof(*c));

	if (!c || !info) {
		/* Requests of a connection without a struct are refused: see call_begin(). */
		free(c);
		if (info)
			shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	c->server = s;
	c->kind = d->kind;
	c->fd = info->connect_fd;
	c->since = loop_now();
	c->link = &s->first;
	c->next = s->first;
	if (c->next)
		c->next->link = &c->next;
	s->first = c;
	*ret = c;
	s->connections++;
	if (s->connections > CONNECTIONS_MANY)
		drop_idle(s);
	if (s->connections >= SERVER_CONNECTIONS_MAX && !s->is_full) {
		s->is_full = true;
		watch_listeners(s, false);
	}
}

static void connection_ended(struct connection *c)
{
	struct server *s = c->server;

	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	free(c);
	s->connections--;
	if (s->is_full && !s->is_quiet) {
		s->is_full = false;
		watch_listeners(s, true);
	}
}

static void on_connection(void *cls, struct MHD_Connection *http, void **ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		connection_began(cls, http, ctx);
	else if (*ctx)
		connection_ended(*ctx);
}

/* --- requests --- */

static struct connection *connection_of(struct MHD_Connection *http)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The request line is here. What is returned is the request's context. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *http)
{
	struct daemon *d = cls;
	struct connection *c = connection_of(http);

	if (!c)
		return NULL;
	connection_phase(c, SERVER_HEAD);
	return call_new(d->server->g, c, http, target);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *http, const char *url,
				 const char *method, const char *version,
				 const char *data, size_t *len, void **ctx)
{
	struct call *c = *ctx;
	bool ok;

	if (!c)
		return MHD_NO;
	if (!call_has_head(c)) {
		ok = call_head(c, method, version);
	} else if (*len > 0) {
		ok = call_body(c, data, *len);
		*len = 0;
	} else {
		ok = call_ready(c);
	}
	return ok ? MHD_YES : MHD_NO;
}

static void on_completed(void *cls, struct MHD_Connection *http, void **ctx,
			 enum MHD_RequestTerminationCode how)
{
	struct call *c = *ctx;

	*ctx = NULL;
	connection_phase(connection_of(http), SERVER_IDLE);
	if (c)
		call_client_done(c);
}

/* --- libmicrohttpd --- */

static void on_log(void *cls, const char *fmt, va_list ap)
{
}

static void daemon_ready(struct loop_source *s, uint32_t events)
{
	loop_container_of(s, struct daemon, source)->is_ready = true;
}

static int daemon_make(struct server *s, enum server_kind kind, struct err *e)
{
	struct daemon *d = &s->daemons[kind];
	const union MHD_DaemonInfo *info;
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
			     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem options[] = {
		{ MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, NULL },
		{ MHD_OPTION_CONNECTION_LIMIT, SERVER_CONNECTIONS_MAX + ACCEPTS, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL, NULL },
		{ MHD_OPTION_CONNECTION_MEMORY_INCREMENT, POOL_STEP, NULL },
		{ MHD_OPTION_CONNECTION_TIMEOUT, QUIET_S, NULL },
		{ MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
		{ MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL },
		{ MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, d },
		{ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, d },
		{ MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, d },
		{ MHD_OPTION_END, 0, NULL },
	};
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)authority_retrieve },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)AUTHORITY_PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	const bool is_tls = kind == SERVER_TLS;

	d->server = s;
	d->kind = kind;
	d->mhd = MHD_start_daemon(flags | (is_tls ? MHD_USE_TLS : 0), 0, NULL, NULL,
				  on_access, d, MHD_OPTION_ARRAY, options, MHD_OPTION_ARRAY,
				  is_tls ? tls : tls + ARRAY_SIZE(tls) - 1, MHD_OPTION_END);
	info = d->mhd ? MHD_get_daemon_info(d->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return err_set(e, ERR_KERNEL, errno ? errno : EINVAL,
			       "cannot start the HTTP server");
	d->source = (struct loop_source){ .fd = info->epoll_fd, .ready = daemon_ready };
	return loop_add(&s->g->loop, &d->source, EPOLLIN) < 0 ?
		       err_sys(e, "cannot watch the HTTP server") :
		       0;
}

/* --- listening --- */

static void accept_some(struct loop_source *source, uint32_t events)
{
	struct listener *l = loop_container_of(source, struct listener, source);
	struct server *s = l->server;
	struct daemon *d = &s->daemons[l->kind];

	for (int i = 0; i < ACCEPTS && !s->is_full; i++) {
		struct sockaddr_storage a = {};
		socklen_t len = sizeof(a);
		int fd = accept4(l->fd, (struct sockaddr *)&a, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		/* It is closed on failure, too. */
		MHD_add_connection(d->mhd, fd, (struct sockaddr *)&a, len);
		d->is_ready = true;
	}
}

int server_listen(struct server *s, int fd, enum server_kind kind, struct err *e)
{
	struct listener *l, **slot;
	int r = s->daemons[kind].mhd ? 0 : daemon_make(s, kind, e);

	if (r < 0) {
		close(fd);
		return r;
	}
	l = calloc(1, sizeof(*l));
	slot = l ? list_add(&s->listeners) : NULL;
	if (!slot) {
		free(l);
		close(fd);
		return err_oom(e);
	}
	*l = (struct listener){ .source = { .fd = fd, .ready = accept_some },
				.server = s,
				.kind = kind,
				.fd = fd };
	*slot = l;
	return loop_add(&s->g->loop, &l->source, EPOLLIN) < 0 ?
		       err_sys(e, "cannot watch a listening socket") :
		       0;
}

void server_quiesce(struct server *s)
{
	s->is_quiet = s->is_full = true;
	for (size_t i = 0; i < s->listeners.n; i++) {
		loop_remove(&s->g->loop, &s->listeners.v[i]->source);
		fd_close(&s->listeners.v[i]->fd);
	}
}

/* --- the loop --- */

int server_make(struct gateway *g, struct server **ret, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return err_oom(e);
	s->g = g;
	for (int i = 0; i < SERVER_KINDS; i++)
		s->daemons[i].source.fd = -1;
	*ret = s;
	return 0;
}

void server_free(struct server *s)
{
	if (!s)
		return;
	server_quiesce(s);
	for (int i = 0; i < SERVER_KINDS; i++) {
		loop_remove(&s->g->loop, &s->daemons[i].source);
		if (s->daemons[i].mhd)
			MHD_stop_daemon(s->daemons[i].mhd);
	}
	for (size_t i = 0; i < s->listeners.n; i++)
		free(s->listeners.v[i]);
	free(s->listeners.v);
	free(s);
}

int server_wait_ms(struct server *s)
{
	int wait = s->connections > 0 ? 1000 : -1;

	for (int i = 0; i < SERVER_KINDS; i++) {
		MHD_UNSIGNED_LONG_LONG ms;

		if (!s->daemons[i].mhd)
			continue;
		if (s->daemons[i].is_ready)
			return 0;
		if (MHD_get_timeout(s->daemons[i].mhd, &ms) == MHD_YES &&
		    (wait < 0 || ms < (MHD_UNSIGNED_LONG_LONG)wait))
			wait = (int)ms;
	}
	return wait;
}

void server_wake(struct server *s)
{
	/* Which one it is does not matter: there is one in use, or three. */
	for (int i = 0; i < SERVER_KINDS; i++)
		s->daemons[i].is_ready = true;
}

/* Ends connections that feed a request too slowly. */
static void look_at_phases(struct server *s)
{
	int64_t now = loop_now();

	if (now - s->looked < 500)
		return;
	s->looked = now;
	for (struct connection *c = s->first; c; c = c->next)
		if (c->phase != SERVER_BUSY && now - c->since >= phase_ms[c->phase])
			connection_shut(c);
}

void server_turn(struct server *s)
{
	for (int i = 0; i < SERVER_KINDS; i++) {
		struct daemon *d = &s->daemons[i];
		MHD_UNSIGNED_LONG_LONG ms;

		if (!d->mhd ||
		    (!d->is_ready && (MHD_get_timeout(d->mhd, &ms) != MHD_YES || ms > 0)))
			continue;
		d->is_ready = false;
		MHD_run(d->mhd);
	}
	look_at_phases(s);
}
