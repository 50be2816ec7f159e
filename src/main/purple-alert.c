/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-alert: tells people of the violations of one container: runs the commands and calls the
 * webhooks of its policies (`audit.alert`). Started by purple-monitor with a socket and the
 * container's audit.json as descriptors (enum alert_fd); ends when nobody has the socket's other end
 * any more. Of use to nobody else.
 *
 * Runs in the host's namespaces. As root it starts who runs the commands (audit/alerter.h); then it
 * gives everything up (gateway/gateway_jail.h), and only then reads what is sent.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/alert.h"
#include "base/fd.h"
#include "base/helper.h"
#include "gateway/courier.h"
#include "gateway/gateway_jail.h"

static int read_config(struct audit_config *ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(ALERT_FD_CONFIG, AUDIT_CONFIG_MAX, &text, &len, e);

	close(ALERT_FD_CONFIG);
	return r < 0 ? r : audit_config_parse(text, len, ret, e);
}

static int prepare(int argc, struct audit_config *config, struct courier **ret,
		   struct err *e)
{
	int r;

	if (argc != 1)
		return err_set(e, ERR_USAGE, EINVAL, "is started by purple-monitor alone");
	for (int fd = 0; fd < ALERT_FD_END; fd++)
		if (fd_cloexec(fd, true) < 0)
			return err_sys(e, "descriptor %d", fd);
	r = fd_close_all_but(ALERT_FD_END, NULL, 0, e);
	/* No terminal and no group whose signals could end it. It may be a leader already. */
	(void)!setsid();
	signal(SIGPIPE, SIG_IGN);
	if (r == 0)
		r = gateway_jail_prepare(e);
	if (r == 0)
		r = read_config(config, e);
	if (r == 0)
		r = courier_make(config, ALERT_FD_SOCK, ret, e);
	return r < 0 ? r : courier_enter_jail(*ret, e);
}

int main(int argc, char **argv)
{
	struct audit_config config = {};
	struct courier *courier = NULL;
	struct err e = {};

	if (prepare(argc, &config, &courier, &e) < 0) {
		helper_report(ALERT_FD_SOCK, &e);
		return EXIT_FAILURE;
	}
	if (helper_report(ALERT_FD_SOCK, NULL) < 0)
		return EXIT_FAILURE;
	/* The end is the kernel's to tidy up after. */
	_exit(courier_run(courier, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
