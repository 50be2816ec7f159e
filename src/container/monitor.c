/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See monitor.h. Runs in the runtime, in the host's namespaces, as root of the host. All that the
 * monitor needs is opened here, so that it can begin without a right to the state folder.
 */
#include "container/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"
#include "network/rules_json.h"

/* More than it lingers for the forwarder's lines. */
#define END_MS 1500

/* Bound through the folder's descriptor: the path may be long. */
static int make_socket(const struct container *c, int *ret, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(e, "cannot make a socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" MONITOR_SOCKET,
		 c->dirfd);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 8) < 0)
		return err_sys(e, "cannot make the monitor's socket in '%s'", c->dir);
	*ret = take_fd(&fd);
	return 0;
}

int monitor_begin(struct container *c, const struct network_filter *f, int init_fd,
		  int netns_fd, bool has_forwarder, struct audit_client *ret,
		  int *ret_events_fd, struct err *e)
{
	_close_ int log = -1, control = -1, ours = -1, theirs = -1, rules = -1;
	int fds[2], r;

	rules = network_policies_open(c->dirfd, e);
	if (rules < 0)
		return rules;
	r = container_open_events(c, &log, e);
	if (r == 0)
		r = make_socket(c, &control, e);
	if (r < 0)
		return r;
	if (has_forwarder) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
			return err_sys(e, "cannot make a socket pair");
		ours = fds[0];
		theirs = fds[1];
	}
	r = audit_client_begin(
		&(struct audit_client_start){ .id = c->st.id,
					      .generation = f->config.generation,
					      .init_fd = init_fd,
					      .netns_fd = netns_fd,
					      .ring_fd = f->maps[NETWORK_MAP_RINGS],
					      .hits_fd = f->maps[NETWORK_MAP_HITS],
					      .log_fd = log,
					      .control_fd = control,
					      .rules_fd = rules,
					      .dns_fd = theirs },
		ret, e);
	if (r < 0)
		return r;
	c->st.monitor_pid = ret->pid;
	c->st.monitor_start = process_start_time(ret->pid);
	*ret_events_fd = take_fd(&ours);
	return 0;
}

bool monitor_is_running(const struct container *c)
{
	return c->st.monitor_pid > 0 &&
	       process_is_alive(c->st.monitor_pid, c->st.monitor_start);
}

void monitor_stop(struct container *c)
{
	_close_ int fd = -1;

	if (!monitor_is_running(c))
		return;
	/* Its last line says what was denied in all; it ends by itself when the container has. */
	if (!process_is_alive(c->st.pid, c->st.pid_start))
		fd = (int)syscall(SYS_pidfd_open, c->st.monitor_pid, 0);
	if (fd >= 0)
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, END_MS);
	if (monitor_is_running(c))
		kill(c->st.monitor_pid, SIGKILL);
}

int monitor_set_rules(struct container *c, const network_policies *policies,
		      const struct network_filter *next, struct err *e)
{
	const struct monitor_request request = { .type = MONITOR_RULES,
						 .generation = next->config.generation };
	_close_ int text_fd = memfd_create("purple-rules", MFD_CLOEXEC);
	_buf_free_ struct buf text = {};
	int r = network_policies_write(policies, &text, e);

	if (r < 0)
		return r;
	if (text_fd < 0 || fd_write_all(text_fd, text.s, text.len) < 0 ||
	    lseek(text_fd, 0, SEEK_SET) < 0)
		return err_sys(e, "cannot write the rules for the monitor");
	return audit_client_ask(c->dirfd, MONITOR_SOCKET, &request,
				(const int[]){ text_fd, next->maps[NETWORK_MAP_HITS] }, 2,
				e);
}

int monitor_add_dns(struct container *c, int fd, struct err *e)
{
	const struct monitor_request request = { .type = MONITOR_DNS };

	return audit_client_ask(c->dirfd, MONITOR_SOCKET, &request, &fd, 1, e);
}
