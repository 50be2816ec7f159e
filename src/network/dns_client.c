/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_client.h. Runs in the runtime. The child goes to the container's network namespace, binds
 * the sockets there, comes back, and becomes purple-dns: no process with the host's privileges is
 * ever started inside. Until it is ready it reports over the control connection.
 */
#include "config.h"

#include "network/dns_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/netns.h"
#include "base/spawn.h"

#ifdef PURPLE_DNS_PROGRAM /* of the build, in tests */
#define PROGRAM PURPLE_DNS_PROGRAM
#else
#define PROGRAM PKGLIBEXECDIR "/purple-dns"
#endif
#define READY_MS 5000
#define PORT_TRIES 32
#define LOW_PORT_FIRST 854 /* none that DNS has */
#define LOW_PORT_LAST 1023
#define QUEUE 16

/* What the child tells before it becomes the program. */
struct port_message {
	char letter; /* DNS_SAYS_PORT */
	bool ipv4, ipv6;
	uint16_t port;
};

/* --- in the child: sockets --- */

struct sockets {
	int fd[4]; /* in the order of enum dns_fd */
};

static void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->fd); i++)
		fd_close(&s->fd[i]);
}

/*
 * All four, or the two of one family where the namespace has only that; -EADDRINUSE: once more.
 * `port` 0: the kernel chooses.
 */
static int bind_all(struct sockets *s, uint16_t port, uint16_t *ret_port)
{
	static const struct {
		int family, type;
	} kinds[] = { { AF_INET, SOCK_DGRAM },
		      { AF_INET, SOCK_STREAM },
		      { AF_INET6, SOCK_DGRAM },
		      { AF_INET6, SOCK_STREAM } };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		/* No address, or no such family at all: without the TCP socket, too. */
		bool absent = i % 2 && s->fd[i - 1] < 0;
		int fd = absent ? -1 :
				  netns_bind_loopback(kinds[i].family, kinds[i].type,
						      QUEUE, &port);

		s->fd[i] = fd < 0 ? -1 : fd;
		if (fd < 0 && !absent &&
		    (i % 2 || (fd != -EADDRNOTAVAIL && fd != -EAFNOSUPPORT)))
			return fd;
	}
	if (port == 0)
		return -EADDRNOTAVAIL;
	*ret_port = port;
	return 0;
}

static int bind_in(int netns, struct sockets *s, uint16_t *ret_port, struct err *e)
{
	_close_ int own = -1;
	int r = netns_enter(netns, &own, e);

	if (r < 0)
		return r;
	r = -EADDRINUSE;
	for (int i = 0; r == -EADDRINUSE && i < PORT_TRIES; i++) {
		sockets_close(s);
		r = bind_all(s, 0, ret_port);
	}
	/* A container that has taken all of those does not keep its old rules by it: these it has no
	 * right to. */
	for (uint16_t port = LOW_PORT_LAST; r == -EADDRINUSE && port >= LOW_PORT_FIRST;
	     port--) {
		sockets_close(s);
		r = bind_all(s, port, ret_port);
	}
	if (r < 0)
		return err_errno(e, r, "cannot bind sockets to the container's loopback");
	return netns_leave(own, 0, e);
}

/* --- in the child: what the program gets --- */

static int add_own_names(const struct network_dns_start *start, struct dns_config *c,
			 struct err *e)
{
	c->own_address = strdup(start->own_address);
	if (!c->own_address || strv_copy(start->own_names, &c->own_names) < 0)
		return err_oom(e);
	return 0;
}

static int make_config(const struct network_dns_start *start, bool stays,
		       const struct sockets *s, int *ret_fd, struct err *e)
{
	_dns_config_clear_ struct dns_config c = {};
	_strv_free_ struct strv host = {};
	_buf_free_ struct buf text = {};
	_close_ int fd = -1;
	int r = 0;

	if (start->tables->dns_servers.n == 0 && !start->fallback_upstreams)
		r = dns_config_host_upstreams("/etc/resolv.conf", &host, e);
	if (r == 0)
		r = dns_config_make(start->tables,
				    start->fallback_upstreams ? start->fallback_upstreams :
								&host,
				    &c, e);
	if (r == 0 && start->own_names)
		r = add_own_names(start, &c, e);
	if (r < 0)
		return r;
	c.detached = stays;
	c.ipv4 = s->fd[0] >= 0;
	c.ipv6 = s->fd[2] >= 0;
	c.events = start->events_fd >= 0;
	r = json_write(&dns_config_type, &c, false, &text, e);
	if (r < 0)
		return r;
	fd = memfd_create("purple-dns", MFD_CLOEXEC);
	if (fd < 0 || fd_write_all(fd, text.s, text.len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot write the forwarder's configuration");
	*ret_fd = take_fd(&fd);
	return 0;
}

struct start {
	const struct network_dns_start *s;
	bool stays;
};

static int become_program(const void *arg, int *control, struct err *e)
{
	const struct start *of = arg;
	const struct network_dns_start *start = of->s;
	struct sockets s = { { -1, -1, -1, -1 } };
	struct port_message m = { .letter = DNS_SAYS_PORT };
	int config = -1, r;

	r = bind_in(start->netns_fd, &s, &m.port, e);
	if (r == 0)
		r = make_config(start, of->stays, &s, &config, e);
	if (r == 0)
		r = helper_move_report(control, DNS_FD_END, e);
	if (r < 0)
		return r;
	m.ipv4 = s.fd[0] >= 0;
	m.ipv6 = s.fd[2] >= 0;
	if (send(*control, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		return err_sys(e, "cannot report");
	return spawn_exec(&(struct spawn){ .program = PROGRAM,
					   .fds = (const int[]){ -1, -1, -1, *control,
								 start->init_fd, s.fd[0],
								 s.fd[1], s.fd[2], s.fd[3],
								 start->names_fd, config,
								 start->events_fd },
					   .n = DNS_FD_END },
			  e);
}

/* --- in the caller --- */

static int wait_ready(int fd, struct network_dns *d, struct err *e)
{
	int64_t since = clock_ms(CLOCK_MONOTONIC);
	char buf[HELPER_MESSAGE_MAX];
	struct port_message m = {};

	for (;;) {
		ssize_t n = helper_receive(fd, PROGRAM, since, READY_MS, buf, e);

		if (n < 0)
			return (int)n;
		if (buf[0] == DNS_SAYS_PORT && n == sizeof(m))
			memcpy(&m, buf, sizeof(m));
		else if (buf[0] == HELPER_READY && m.port)
			break;
		else
			return err_set(e, ERR_INTERNAL, EPROTO, "'%s' says odd things",
				       PROGRAM);
	}
	d->port = m.port;
	d->ipv4 = m.ipv4;
	d->ipv6 = m.ipv6;
	return 0;
}

static int check_program(struct err *e)
{
#ifndef HAVE_DNS
	return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
		       "names in a network policy: this build has no forwarder of names "
		       "(./configure --with-dns)");
#endif
	if (access(PROGRAM, X_OK) < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOENT,
			       "names in a network policy need the program '%s', which is not there",
			       PROGRAM);
	return 0;
}

void network_dns_end(struct network_dns *d)
{
	helper_end(&d->pid, &d->control_fd);
}

int network_dns_begin(const struct network_dns_start *start, bool stays,
		      struct network_dns *ret, struct err *e)
{
	struct network_dns d = { .stays = stays, .teach = start->teach };
	int r = check_program(e);

	if (r == 0)
		r = helper_begin(become_program, &(struct start){ start, stays }, &d.pid,
				 &d.control_fd, e);
	if (r == 0)
		*ret = d;
	return r;
}

int network_dns_wait(struct network_dns *d, struct err *e)
{
	int r = wait_ready(d->control_fd, d, e);

	if (r < 0) {
		network_dns_end(d);
		return err_wrap(e, "cannot start the forwarder of names");
	}
	if (d->stays && !d->teach)
		fd_close(&d->control_fd);
	return 0;
}

int network_dns_teach(const struct network_dns *d, const struct network_address *address,
		      const struct network_name *name, struct err *e)
{
	const struct dns_learned l = { *address, *name };
	const struct timeval patience = { .tv_sec = READY_MS / 1000 };

	if (setsockopt(d->control_fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    send(d->control_fd, &l, sizeof(l), MSG_NOSIGNAL) < 0)
		return err_sys(e, "the new forwarder of names does not listen");
	return 0;
}

int network_dns_start(const struct network_dns_start *start, bool stays,
		      struct network_dns *ret, struct err *e)
{
	struct network_dns d;
	int r = network_dns_begin(start, stays, &d, e);

	if (r == 0)
		r = network_dns_wait(&d, e);
	if (r == 0)
		*ret = d;
	return r;
}
