/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-dns: the resolver of one container under a network policy. Started by the runtime
 * (network/dns_client.c) with all that it needs as descriptors (enum dns_fd) and no arguments;
 * lives as long as the container's init. Of use to nobody else.
 *
 * Runs in the host's namespaces; its listening sockets are in the container's network namespace.
 * Reads its configuration as root, then gives everything up (network/dns_jail.c), and only then
 * reads from a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/helper.h"
#include "network/dns_jail.h"
#include "network/dns_server.h"

/*
 * Nothing is left of the caller but what the configuration names. In the places of the others is
 * /dev/null: the sockets that are opened later have other numbers than any of these.
 */
static int keep_descriptors(const struct dns_config *c, struct err *e)
{
	const bool keep[DNS_FD_END] = {
		[DNS_FD_CONTROL] = true, [DNS_FD_INIT] = true,
		[DNS_FD_UDP4] = c->ipv4, [DNS_FD_TCP4] = c->ipv4,
		[DNS_FD_UDP6] = c->ipv6, [DNS_FD_TCP6] = c->ipv6,
		[DNS_FD_NAMES] = true,	 [DNS_FD_EVENTS] = c->events,
	};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_sys(e, "cannot open /dev/null");
	for (int fd = 0; fd < DNS_FD_END; fd++) {
		if (!keep[fd] && fd != null && dup2(null, fd) < 0)
			return err_sys(e, "cannot use /dev/null");
		if (fd_cloexec(fd, true) < 0)
			return err_sys(e, "descriptor %d", fd);
	}
	if (c->events && fcntl(DNS_FD_EVENTS, F_SETFL, O_NONBLOCK | O_APPEND) < 0)
		return err_sys(e, "descriptor %d", DNS_FD_EVENTS);
	return fd_close_all_but(DNS_FD_END, NULL, 0, e);
}

static int enter_jail(const struct dns_config *c, const struct dns_server *s, struct err *e)
{
	const void *servers[DNS_UPSTREAMS_MAX];
	int answering[2];
	struct dns_jail j = {
		.map_fd = DNS_FD_NAMES,
		.servers = servers,
		.server_count = dns_server_upstreams(s, servers, DNS_UPSTREAMS_MAX),
		.answering = answering,
		.first_own_fd = DNS_FD_END,
		.control_fd = DNS_FD_CONTROL,
	};

	if (c->ipv4)
		answering[j.answering_count++] = DNS_FD_UDP4;
	if (c->ipv6)
		answering[j.answering_count++] = DNS_FD_UDP6;
	return dns_jail_enter(&j, e);
}

static int prepare(struct dns_config *c, struct dns_server **ret, struct err *e)
{
	int r = dns_jail_prepare(e);

	if (r == 0)
		r = dns_config_read(DNS_FD_CONFIG, c, e);
	if (r == 0)
		r = keep_descriptors(c, e);
	if (r < 0)
		return r;
	/* No terminal and no group whose signals could end it. It may be a leader already. */
	(void)!setsid();
	signal(SIGPIPE, SIG_IGN);
	r = dns_server_make(c, ret, e);
	return r < 0 ? r : enter_jail(c, *ret, e);
}

int main(void)
{
	struct dns_config config = {};
	struct dns_server *server = NULL;
	struct err e = {};

	if (prepare(&config, &server, &e) < 0) {
		helper_report(DNS_FD_CONTROL, &e);
		return EXIT_FAILURE;
	}
	if (helper_report(DNS_FD_CONTROL, NULL) < 0)
		return EXIT_FAILURE;
	/* The end is the kernel's to tidy up after. */
	_exit(dns_server_run(server, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
