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
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "network/dns_jail.h"
#include "network/dns_server.h"

/* Nothing is left of the caller but what the configuration names. */
static int keep_descriptors(const struct dns_config *c, struct err *e)
{
	const int keep[] = {
		DNS_FD_CONTROL,
		DNS_FD_INIT,
		c->ipv4 ? DNS_FD_UDP4 : -1,
		c->ipv4 ? DNS_FD_TCP4 : -1,
		c->ipv6 ? DNS_FD_UDP6 : -1,
		c->ipv6 ? DNS_FD_TCP6 : -1,
		DNS_FD_NAMES,
		c->events ? DNS_FD_EVENTS : -1,
	};
	int null;

	for (size_t i = 0; i < ARRAY_SIZE(keep); i++)
		if (keep[i] >= 0 && fd_cloexec(keep[i], true) < 0)
			return err_sys(e, "descriptor %d", keep[i]);
	if (c->events && fcntl(DNS_FD_EVENTS, F_SETFL, O_NONBLOCK | O_APPEND) < 0)
		return err_sys(e, "descriptor %d", DNS_FD_EVENTS);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, "cannot open /dev/null");
	for (int fd = 0; fd < DNS_FD_CONTROL; fd++)
		if (fd != null && dup2(null, fd) < 0)
			return err_sys(e, "cannot use /dev/null");
	return fd_close_all_but(DNS_FD_CONTROL, keep, ARRAY_SIZE(keep), e);
}

static int prepare(struct dns_config *c, struct dns_server **ret, struct err *e)
{
	int r = dns_config_read(DNS_FD_CONFIG, c, e);

	if (r == 0)
		r = keep_descriptors(c, e);
	if (r < 0)
		return r;
	/* No terminal and no group whose signals could end it. It may be a leader already. */
	(void)!setsid();
	signal(SIGPIPE, SIG_IGN);
	r = dns_server_make(c, ret, e);
	return r < 0 ? r : dns_jail_enter(DNS_FD_NAMES, e);
}

static void say_error(const struct err *e)
{
	char text[sizeof(e->msg) + 1];
	size_t n = strlen(e->msg);

	text[0] = DNS_SAYS_ERROR;
	memcpy(text + 1, e->msg, n);
	(void)!write(DNS_FD_CONTROL, text, n + 1);
}

int main(void)
{
	struct dns_config config = {};
	struct dns_server *server = NULL;
	struct err e = {};
	char ready = DNS_SAYS_READY;

	if (prepare(&config, &server, &e) < 0) {
		say_error(&e);
		return EXIT_FAILURE;
	}
	if (write(DNS_FD_CONTROL, &ready, 1) != 1)
		return EXIT_FAILURE;
	/* The end is the kernel's to tidy up after. */
	_exit(dns_server_run(server, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
