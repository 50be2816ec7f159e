/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple-monitor: writes what the network filter and the forwarder of one container tell, what is
 * traced of it and which limits it hits: to events.jsonl, and by a child (audit/recorder.h) to the
 * logs of audited policies. Started by the runtime (audit/client.c) with all that it needs as
 * descriptors (enum monitor_fd), and the container's id and the generation of its rules as
 * arguments; lives as long as the container's init. Of use to nobody else. Where there are limits to
 * be kept and nothing else, it is their warden (audit/warden.h) and no more.
 *
 * Runs in the host's namespaces. Opens rings and the control group's files as root, then gives
 * everything up (audit/monitor_jail.c), but for a child that keeps CAP_NET_ADMIN (audit/cutter.c)
 * and one that can write the logs, and only then reads what others have a hand in.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit/monitor.h"
#include "audit/protocol.h"
#include "base/fd.h"
#include "base/helper.h"
#include "base/num.h"

static int prepare(char **argv, int argc, struct monitor **ret, struct err *e)
{
	uint32_t generation;
	int r;

	if (argc != 3 || num_u32(argv[2], &generation) < 0)
		return err_set(e, ERR_USAGE, EINVAL, "is started by Purple's runtime alone");
	for (int fd = 0; fd < MONITOR_FD_END; fd++)
		if (fd_cloexec(fd, true) < 0)
			return err_sys(e, "descriptor %d", fd);
	r = fd_close_all_but(MONITOR_FD_END, NULL, 0, e);
	if (r < 0)
		return r;
	/* No terminal and no group whose signals could end it. It may be a leader already. */
	(void)!setsid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (monitor_is_warden())
		return monitor_be_warden(e);
	r = monitor_make(argv[1], generation, ret, e);
	return r < 0 ? r : monitor_enter_jail(*ret, e);
}

int main(int argc, char **argv)
{
	struct monitor *monitor = NULL;
	struct err e = {};

	if (prepare(argv, argc, &monitor, &e) < 0) {
		helper_report(MONITOR_FD_REPORT, &e);
		return EXIT_FAILURE;
	}
	if (helper_report(MONITOR_FD_REPORT, NULL) < 0)
		return EXIT_FAILURE;
	close(MONITOR_FD_REPORT);
	/* The end is the kernel's to tidy up after. */
	_exit(monitor_run(monitor, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
