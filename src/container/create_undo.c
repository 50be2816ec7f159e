/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, taken back: one function for each thing that create does to the host. The steps are on an
 * undo stack (container/undo.h), which runs them in reverse when a create fails. Runs in the runtime,
 * in the host's namespaces with the caller's privileges. An error on the way back is not reported:
 * the one that made the create fail is.
 */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fd.h"
#include "base/str.h"
#include "container/create.h"
#include "oci/hooks.h"

void create_undo_state(void *arg)
{
	struct create *k = arg;
	struct err unused;

	container_state_remove(&k->c, &unused);
}

/* A create that fails is followed by the steps of a delete (runtime-spec, "Lifecycle"). */
void create_undo_hooks(void *arg)
{
	struct create *k = arg;
	_buf_free_ struct buf state = {};
	struct err unused;

	if (k->hooks_began &&
	    container_hook_state(&k->c, "stopped", 0, &state, &unused) == 0)
		hooks_run_all(&k->spec->hooks->poststop, "poststop", state.s, k->bundle);
}

void create_undo_cgroup(void *arg)
{
	struct create *k = arg;
	struct err unused;

	cgroup_holder_end(&k->holder);
	cgroup_destroy(k->c.st.cgroup, &unused);
}

void create_undo_network(void *arg)
{
	struct create *k = arg;
	struct err unused;

	container_network_remove(&k->c, &unused);
}

void create_undo_audit(void *arg)
{
	struct create *k = arg;
	struct err unused;

	container_audit_remove(&k->c, &unused);
}

void create_undo_gateway(void *arg)
{
	struct create *k = arg;

	gateway_client_end(&k->gateway.client);
}

void create_undo_rdt(void *arg)
{
	struct create *k = arg;

	attributes_undo_rdt(k->spec->linux_, k->rq->id, &k->rdt);
}

void create_undo_netdevices(void *arg)
{
	struct create *k = arg;

	netdevices_move_back(&k->netdevices);
}

/* Init sees that the socket is gone and ends; SIGKILL for one that is stuck in a system call. */
void create_undo_init(void *arg)
{
	struct create *k = arg;
	struct err unused;

	fd_close(&k->sync_fd);
	kill(k->pid, SIGKILL);
	while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (k->c.st.cgroup)
		cgroup_kill(k->c.st.cgroup, SIGKILL, &unused);
}
