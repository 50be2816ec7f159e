/* SPDX-License-Identifier: Apache-2.0 */
/* start: init waits on start.sock for GO, and then runs its program. Runs in the runtime. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "container/container.h"
#include "container/network.h"
#include "container/notify.h"
#include "container/sync.h"
#include "oci/hooks.h"

static int connect_init(const struct container *c, int *ret_fd, struct err *e)
{
	_close_ int fd = container_connect_init(c, 0);
	int r;

	if (fd < 0)
		return err_errno(e, fd, "cannot reach the container's init");
	r = sync_send(fd, &(struct sync_msg){ .type = SYNC_GO }, e);
	if (r < 0)
		return r;
	*ret_fd = take_fd(&fd);
	return 0;
}

/* How long a process that ends may take. */
#define END_MS 5000

/* Init ends for what went wrong: who looks after start has failed sees that it has. */
static void await_end(const struct container *c)
{
	_close_ int fd = (int)syscall(SYS_pidfd_open, c->st.pid, 0);

	/* One that has ended may have another's pid. */
	if (fd >= 0 && process_is_alive(c->st.pid, c->st.pid_start))
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, END_MS);
}

/* A poststart hook that fails ends the container (runtime-spec 1.3, "Lifecycle"). */
int container_run_poststart(struct container *c, struct err *e)
{
	_oci_spec_free_ struct oci_spec *spec = NULL;
	_buf_free_ struct buf state = {};
	int r;

	r = container_config_load(c, &spec, e);
	if (r < 0 || !spec->hooks || spec->hooks->poststart.n == 0)
		return r;
	r = container_hook_state(c, "running", c->st.pid, &state, e);
	if (r == 0)
		r = hooks_run(&spec->hooks->poststart, "poststart", state.s, c->st.bundle,
			      e);
	/* It may have ended meanwhile, and its pid be another's. */
	if (r < 0 && process_is_alive(c->st.pid, c->st.pid_start)) {
		kill(c->st.pid, SIGKILL);
		await_end(c);
	}
	return r;
}

/* The lock goes first: whoever waits for it must not wait for the program to be ready. */
static int wait_ready(struct container *c, struct notify *n, struct err *e)
{
	_close_ int pidfd = (int)syscall(SYS_pidfd_open, c->st.pid, 0);

	fd_close(&c->lockfd);
	if (pidfd < 0 && errno != ESRCH)
		return err_sys(e, "cannot watch the container's init");
	/* One that has ended may have another's pid. */
	if (pidfd < 0 || process_start_time(c->st.pid) != c->st.pid_start)
		return notify_forward(n, c->st.pid, e);
	return notify_wait(n, pidfd, c->st.pid, e);
}

int container_start(const char *root, const char *id, const char *notify_socket,
		    struct err *e)
{
	_notify_close_ struct notify notify = NOTIFY_EMPTY;
	_container_close_ struct container c = CONTAINER_EMPTY;
	enum container_status status;
	_close_ int fd = -1;
	bool closed;
	int r;

	r = container_open(root, id, true, &c, e);
	if (r == 0)
		r = container_status(&c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED)
		return err_set(e, ERR_STATE, EINVAL,
			       "cannot start a container that has stopped");
	if (status != CONTAINER_CREATED)
		return err_set(e, ERR_STATE, EINVAL, "cannot start an already %s container",
			       container_status_name(status));
	if (notify_socket)
		r = notify_open(notify_socket, &c, &notify, e);
	if (r == 0)
		r = container_network_start(&c, e);
	if (r == 0)
		r = connect_init(&c, &fd, e);
	if (r < 0)
		return r;
	/* The connection closes when the program runs. A message is a failure. */
	r = sync_expect_or_close(fd, SYNC_FAILED, &closed, e);
	if (r < 0) {
		await_end(&c);
		return r;
	}
	/* Init does not listen any more: container_status() sees that also where this is not done. */
	unlinkat(c.dirfd, "start.sock", 0);
	log_debug("the program of container %s runs", id);
	r = container_run_poststart(&c, e);
	return r < 0 || !notify_socket ? r : wait_ready(&c, &notify, e);
}
