/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_client.h. Runs in the runtime. The child goes to the container's network namespace, binds
 * the sockets there, comes back, and becomes purple-dns: no process with the host's privileges is
 * ever started inside. Until it is ready it reports over the control connection.
 */
#include "config.h"

#include "network/dns_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
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

/* Bound to the loopback address of the family; `*port` 0: the kernel chooses. -errno. */
static int bind_one(int family, int type, uint16_t *port)
{
	_close_ int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(*port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(*port),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr *a = family == AF_INET ? (struct sockaddr *)&v4 :
						 (struct sockaddr *)&v6;
	socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);

	if (fd < 0 || bind(fd, a, len) < 0 ||
	    (type == SOCK_STREAM && listen(fd, QUEUE) < 0) || getsockname(fd, a, &len) < 0)
		return -errno;
	*port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
	return take_fd(&fd);
}

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
		int fd = absent ? -1 : bind_one(kinds[i].family, kinds[i].type, &port);

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
	_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r = -EADDRINUSE;

	if (own < 0)
		return err_sys(e, "cannot open the own network namespace");
	if (setns(netns, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot enter the container's network namespace");
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
	if (setns(own, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot go back to the own network namespace");
	return 0;
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

static int become_program(const struct network_dns_start *start, bool stays, int *control,
			  struct err *e)
{
	struct sockets s = { { -1, -1, -1, -1 } };
	struct port_message m = { .letter = DNS_SAYS_PORT };
	int config = -1, r;

	r = bind_in(start->netns_fd, &s, &m.port, e);
	if (r == 0)
		r = make_config(start, stays, &s, &config, e);
	if (r < 0)
		return r;
	m.ipv4 = s.fd[0] >= 0;
	m.ipv6 = s.fd[2] >= 0;
	if (send(*control, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		return err_sys(e, "cannot report");
	/* Out of the way of what the program gets: failure is still to be told by it. */
	*control = fcntl(*control, F_DUPFD_CLOEXEC, DNS_FD_END);
	if (*control < 0)
		return err_sys(e, "cannot copy a descriptor");
	return spawn_exec(&(struct spawn){ .program = PROGRAM,
					   .fds = (const int[]){ -1, -1, -1, *control,
								 start->init_fd, s.fd[0],
								 s.fd[1], s.fd[2], s.fd[3],
								 start->names_fd, config,
								 start->events_fd },
					   .n = DNS_FD_END },
			  e);
}

static void __attribute__((noreturn))
child(const struct network_dns_start *start, bool stays, int control)
{
	struct err e = {};
	char text[sizeof(e.msg) + 1] = { DNS_SAYS_ERROR };

	become_program(start, stays, &control, &e);
	memcpy(text + 1, e.msg, strlen(e.msg));
	(void)!send(control, text, 1 + strlen(e.msg), MSG_NOSIGNAL);
	_exit(EXIT_FAILURE);
}

/* --- in the caller --- */

/* One message, with a 0 behind it; its length, 0 at the end. */
static ssize_t receive(int fd, int64_t until, char *buf, size_t size, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = until - clock_ms(CLOCK_MONOTONIC);
		int r = poll(&p, 1, left > 0 ? (int)left : 0);
		ssize_t n;

		if (r == 0)
			return err_set(e, ERR_KERNEL, ETIMEDOUT,
				       "'%s' is not ready after %d s", PROGRAM,
				       READY_MS / 1000);
		if (r > 0) {
			n = recv(fd, buf, size - 1, 0);
			if (n >= 0) {
				buf[n] = '\0';
				return n;
			}
		}
		if (errno != EINTR)
			return err_sys(e, "cannot hear from '%s'", PROGRAM);
	}
}

static int wait_ready(int fd, struct network_dns *d, struct err *e)
{
	char buf[sizeof(e->msg) + 1];
	int64_t until = clock_ms(CLOCK_MONOTONIC) + READY_MS;
	struct port_message m = {};
	ssize_t n;

	for (;;) {
		n = receive(fd, until, buf, sizeof(buf), e);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return err_set(e, ERR_KERNEL, EPIPE, "'%s' died", PROGRAM);
		if (buf[0] == DNS_SAYS_ERROR)
			return err_set(e, ERR_KERNEL, EIO, "%s", buf + 1);
		if (buf[0] == DNS_SAYS_PORT && n == sizeof(m))
			memcpy(&m, buf, sizeof(m));
		else if (buf[0] == DNS_SAYS_READY && m.port)
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
	fd_close(&d->control_fd);
	if (d->pid <= 0)
		return;
	kill(d->pid, SIGKILL);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	d->pid = -1;
}

int network_dns_begin(const struct network_dns_start *start, bool stays,
		      struct network_dns *ret, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2], r = check_program(e);
	pid_t pid;

	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a socket pair");
	ours = fds[0];
	theirs = fds[1];
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork");
	if (pid == 0) {
		fd_close(&ours);
		child(start, stays, theirs);
	}
	*ret = (struct network_dns){ .pid = pid,
				     .stays = stays,
				     .teach = start->teach,
				     .control_fd = take_fd(&ours) };
	return 0;
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
