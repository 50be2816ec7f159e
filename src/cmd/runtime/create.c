/* SPDX-License-Identifier: Apache-2.0 */
/* purple-runtime create */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/num.h"
#include "cmd/runtime/runtime.h"
#include "container/container.h"

static const struct option_row options[] = { CREATE_OPTION_ROWS(create_options), {} };

/* How many descriptors from 3 on were passed by LISTEN_FDS, if they are meant for this process. */
static unsigned int listen_fds_count(void)
{
	const char *fds = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	uint32_t n, p;

	if (!fds || !pid || num_u32(fds, &n) < 0 || num_u32(pid, &p) < 0)
		return 0;
	return p == (uint32_t)getpid() ? n : 0;
}

const char *notify_socket(void)
{
	const char *address = getenv("NOTIFY_SOCKET");

	return address && *address ? address : NULL;
}

/* --systemd-cgroup is --cgroup-manager systemd; the other two contradict it. */
static int choose_cgroup_manager(const struct runtime_globals *g,
				 struct container_create_request *rq, struct err *e)
{
	const char *m = g->cgroup_manager;

	if (m && !streq(m, "cgroupfs") && !streq(m, "systemd") && !streq(m, "disabled"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "unknown --cgroup-manager '%s': expected cgroupfs, systemd or "
			       "disabled",
			       m);
	/* Podman gives --systemd-cgroup with `--cgroups=disabled` too. */
	rq->cgroup_disabled = m && streq(m, "disabled");
	rq->cgroup_systemd = !rq->cgroup_disabled &&
			     (g->systemd_cgroup || (m && streq(m, "systemd")));
	if (g->systemd_cgroup && m && streq(m, "cgroupfs"))
		return err_set(e, ERR_USAGE, EINVAL,
			       "--systemd-cgroup contradicts --cgroup-manager cgroupfs");
	return 0;
}

int create_request_fill(const struct runtime_globals *g, const struct create_options *o,
			const char *id, struct container_create_request *ret, struct err *e)
{
	struct container_create_request rq = CONTAINER_CREATE_EMPTY;
	int r = choose_cgroup_manager(g, &rq, e);

	if (r < 0)
		return r;
	rq.root = g->root;
	rq.id = id;
	rq.bundle = o->bundle;
	rq.config = o->config;
	rq.pid_file = o->pid_file;
	rq.console_socket = o->console_socket;
	rq.pidfd_socket = o->pidfd_socket;
	rq.notify_socket = notify_socket();
	rq.listen_fds = listen_fds_count();
	rq.preserve_fds = o->preserve_fds + rq.listen_fds;
	rq.no_pivot = o->no_pivot;
	rq.no_new_keyring = o->no_new_keyring;
	rq.admin_policy = g->policy;
	rq.admin_chosen_by = g->policy_chosen_by;
	r = fd_keep_inherited(rq.preserve_fds, e);
	if (r < 0)
		return err_wrap(e, "--preserve-fds or LISTEN_FDS");
	*ret = rq;
	return 0;
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	struct container_create_request rq;
	pid_t pid;
	int r;

	r = create_request_fill(global, opts, args[0], &rq, e);
	return r < 0 ? r : container_create(&rq, &pid, e);
}

const struct command create_command = {
	.name = "create",
	.arguments = "ID",
	.help = "Make a container whose program waits for start.",
	.options = options,
	.options_size = sizeof(struct create_options),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
