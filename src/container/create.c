/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create: from a bundle to a container whose init waits to be started. Runs in the runtime, in the
 * host's namespaces with the caller's privileges. What it does to the host is on an undo stack;
 * what a runtime killed half-way leaves behind is found by `delete --force` from the state folder,
 * which is made first.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "container/console.h"
#include "container/create.h"
#include "container/group.h"
#include "container/pidfd.h"
#include "container/process.h"
#include "container/sync.h"
#include "linux/exe.h"
#include "oci/hooks.h"

void create_clear(struct create *k)
{
	policy_plan_clear(&k->plan);
	free(k->bundle);
	container_close(&k->c);
	ns_plan_clear(&k->ns);
	rootfs_clear(&k->rootfs);
	seccomp_plan_clear(&k->seccomp);
	netdevices_clear(&k->netdevices);
	container_network_clear(&k->network);
	container_gateway_clear(&k->gateway);
	container_audit_clear(&k->audit);
	strmap_free(&k->init.cgroup_view.v1);
	fd_close(&k->sync_fd);
	fd_close(&k->cgroup_fd);
	fd_close(&k->init.sync_fd);
	fd_close(&k->init.start_fd);
	cgroup_doors_close(&k->init.doors);
	fd_close(&k->init.process.listener_sock);
	if (k->init.console_fd != k->rq->console_fd)
		fd_close(&k->init.console_fd);
	if (k->shared)
		munmap(k->shared, sizeof(*k->shared));
}

int create_make_cgroup(struct create *k, struct undo *u, struct err *e)
{
	bool made = false;
	int r;

	if (k->rq->cgroup_disabled)
		return cgroup_check_disabled(k->spec->linux_->resources, e);
	r = group_make(&k->c, k->spec, &made, &k->holder, e);
	if (made)
		undo_push(u, create_undo_cgroup, k);
	return r < 0 ? r : cgroup_open(k->c.st.cgroup, &k->cgroup_fd, e);
}

static int make_network(struct create *k, struct undo *u, struct err *e)
{
	undo_push(u, create_undo_network, k);
	if (k->gateway.intercept.is_on) {
		k->network.own_names = &k->gateway.intercept.hosts;
		k->network.own_address = k->gateway.config->intercept_address;
	}
	k->network.audit = &k->audit;
	return container_network_make(&k->network, &k->plan, &k->c, k->cgroup_fd, e);
}

/* After the network: the filter's verdict is in what is traced. */
static int make_audit(struct create *k, struct undo *u, struct err *e)
{
	int r;

	undo_push(u, create_undo_audit, k);
	r = container_audit_make(&k->audit, &k->c, &k->seccomp, k->cgroup_fd, e);
	k->gateway.copy_fd = k->audit.copy_fd;
	return r;
}

static int make_rdt(struct create *k, struct undo *u, struct err *e)
{
	undo_push(u, create_undo_rdt, k);
	return attributes_make_rdt(k->spec->linux_, k->rq->id, &k->rdt, e);
}

static int fill_cgroup_view(struct create *k, struct err *e)
{
	static const enum rootfs_cgroup_mode modes[] = {
		[CGROUP_NONE] = ROOTFS_CGROUP_NONE,
		[CGROUP_V1] = ROOTFS_CGROUP_V1,
		[CGROUP_HYBRID] = ROOTFS_CGROUP_HYBRID,
		[CGROUP_V2] = ROOTFS_CGROUP_V2,
	};
	struct rootfs_cgroup_view *v = &k->init.cgroup_view;
	const struct cgroup *cg = k->c.st.cgroup;

	v->new_cgroupns = k->ns.new_cgroup;
	if (!cg)
		return 0;
	v->mode = modes[cg->mode];
	v->denied = cg->mode == CGROUP_NONE;
	v->unified = cg->unified;
	return strmap_copy(&cg->v1, &v->v1) < 0 ? err_oom(e) : 0;
}

/* A listening socket in the state folder, bound through its descriptor: the path may be long. */
static int make_start_socket(struct create *k, struct err *e)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(e, "cannot make the start socket");
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/start.sock",
		 k->c.dirfd);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return err_sys(e, "cannot make the start socket in '%s'", k->c.dir);
	k->init.start_fd = take_fd(&fd);
	return 0;
}

static int connect_listener(struct create *k, struct err *e)
{
	int r;

	if (!k->seccomp.listener_path)
		return 0;
	r = console_connect(k->seccomp.listener_path, &k->init.process.listener_sock, e);
	return r < 0 ? err_wrap(e, "linux.seccomp.listenerPath") : 0;
}

static int open_console(struct create *k, struct err *e)
{
	if (k->rq->console_fd >= 0) {
		k->init.console_fd = k->rq->console_fd;
		return 0;
	}
	if (!k->rq->console_socket)
		return 0;
	return console_connect(k->rq->console_socket, &k->init.console_fd, e);
}

/* A policy's output paths are made for the caller where they are missing. They stay: what a failed
 * create made is an empty directory that the next one uses. */
static int make_output_dirs(struct create *k, struct err *e)
{
	for (size_t i = 0; i < k->plan.output_dirs.n; i++) {
		int r = fs_mkdir_p_plain(k->plan.output_dirs.v[i], 0700, e);

		if (r < 0)
			return err_wrap(e, "filesystem.output_paths");
	}
	return 0;
}

static int prepare_init(struct create *k, struct err *e)
{
	int fds[2], r;

	k->shared = mmap(NULL, sizeof(*k->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (k->shared == MAP_FAILED) {
		k->shared = NULL;
		return err_sys(e, "cannot map shared memory");
	}
	r = make_output_dirs(k, e);
	if (r == 0)
		r = intercept_make(&k->gateway.intercept, k->spec, &k->c, e);
	if (r == 0)
		r = ns_plan_make(k->spec, &k->ns, e);
	if (r == 0)
		r = create_joins_mounts(k->spec) ?
			    0 :
			    rootfs_prepare(k->spec, k->bundle, &k->rootfs, e);
	if (r == 0)
		r = fill_cgroup_view(k, e);
	if (r == 0)
		r = make_start_socket(k, e);
	if (r == 0)
		r = connect_listener(k, e);
	if (r == 0)
		r = open_console(k, e);
	if (r == 0)
		r = sync_pair(fds, e);
	if (r < 0)
		return r;
	k->sync_fd = fds[0];
	k->init.sync_fd = fds[1];
	k->init.peer_fd = fds[0];
	k->init.spec = k->spec;
	k->init.tells_network = container_gateway_needs_netns(&k->gateway);
	k->init.id = k->rq->id;
	k->init.bundle = k->bundle;
	k->init.ns = &k->ns;
	k->init.test_network = k->network.filter.cgroup != 0;
	k->init.in_cgroup = k->cgroup_fd >= 0 ? &k->in_cgroup : NULL;
	k->init.rootfs = &k->rootfs;
	k->init.files = &k->gateway.intercept.files;
	k->init.shared = k->shared;
	k->init.no_pivot = k->rq->no_pivot;
	k->init.no_new_keyring = k->rq->no_new_keyring;
	k->init.reaper = k->rq->reaper;
	k->init.process.process = k->spec->process;
	k->init.process.seccomp = &k->seccomp;
	k->init.process.listener_message = k->shared->listener_message;
	k->init.process.preserve_fds = k->rq->preserve_fds;
	k->init.process.keep_groups = process_keeps_groups(&k->spec->annotations);
	k->init.process.die_with_parent = k->rq->die_with_parent;
	return 0;
}

/* `netns` is the container's network namespace, or -1: it listens already. */
static int begin_gateway_in(struct create *k, int netns, struct err *e)
{
	_close_ int init = (int)syscall(SYS_pidfd_open, k->pid, 0);

	if (init < 0)
		return err_sys(e, "cannot open the container's init");
	return container_gateway_begin(&k->gateway, &k->c, netns, init, e);
}

/* In the network namespace that init is in. */
static int begin_gateway_there(struct create *k, struct err *e)
{
	_close_ int netns = container_netns_of(k->pid, e);
	int r;

	if (netns < 0)
		return netns;
	r = container_netns_loopback_up(netns, e);
	return r < 0 ? r : begin_gateway_in(k, netns, e);
}

/* As soon as it can be: it takes as long as init does. With a stage in between, it is not init that
 * was started. */
static int begin_gateway(struct create *k, struct err *e)
{
	if (!k->gateway.config || k->ns.needs_stage)
		return 0;
	if (!container_gateway_needs_netns(&k->gateway))
		return begin_gateway_in(k, -1, e);
	if (init_moves_network(&k->init) || !ns_plan_has_new(&k->ns, CLONE_NEWNET))
		return 0;
	return begin_gateway_there(k, e);
}

/* In the namespace that init makes for the time from start on. */
static int begin_isolated_gateway(struct create *k, struct err *e)
{
	_close_ int netns = -1;
	int r;

	if (!k->init.tells_network || !init_moves_network(&k->init))
		return 0;
	r = sync_expect_fd(k->sync_fd, SYNC_NETWORK, &netns, e);
	return r < 0 ? r : begin_gateway_in(k, netns, e);
}

static int spawn_init(struct create *k, struct undo *u, struct err *e)
{
	int r;

	r = k->c.st.cgroup ? cgroup_doors_open(k->c.st.cgroup, &k->init.doors, e) : 0;
	if (r == 0)
		r = ns_spawn(&k->ns, k->cgroup_fd, init_main, &k->init, &k->pid,
			     &k->in_cgroup, e);
	if (r < 0)
		return r;
	undo_push(u, create_undo_init, k);
	log_debug("init is process %d", (int)k->pid);
	cgroup_doors_close(&k->init.doors);
	fd_close(&k->init.sync_fd);
	if (ns_plan_has_new(&k->ns, CLONE_NEWUSER))
		r = userns_write_maps(k->pid, &k->spec->linux_->uid_mappings,
				      &k->spec->linux_->gid_mappings, e);
	if (r == 0 && k->c.st.cgroup && !k->in_cgroup)
		r = cgroup_enter_unified(k->c.st.cgroup, k->pid, e);
	if (r == 0 && k->spec->process)
		r = process_set_oom_score(k->pid, k->spec->process, e);
	if (r == 0 && k->spec->process)
		r = process_raise_limits(k->pid, k->spec->process, e);
	if (r == 0)
		r = attributes_enter_rdt(k->spec->linux_, k->rq->id, k->pid, e);
	if (r == 0)
		r = create_fill_shared(k, e);
	if (r == 0)
		r = container_network_begin(&k->network, &k->c, &k->ns, k->pid,
					    init_waits_for_hooks(&k->init), e);
	/* With a stage in between, it is not init that was started. */
	if (r == 0 && !k->ns.needs_stage)
		r = container_audit_begin(&k->audit, &k->c, k->pid, e);
	undo_push(u, create_undo_gateway, k);
	if (r == 0)
		r = begin_gateway(k, e);
	/* An init that has given up is the reason, not the trouble we had with it. */
	if (r < 0)
		sync_take_failure(k->sync_fd, e);
	return r < 0 ? -e->code : 0;
}

static int run_runtime_hooks(struct create *k, struct err *e)
{
	const struct oci_hooks *h = k->spec->hooks;
	int r;

	if (!h)
		return 0;
	k->hooks_began = true;
	r = hooks_run(&h->prestart, "prestart", k->shared->hook_state, k->bundle, e);
	if (r == 0)
		r = hooks_run(&h->create_runtime, "createRuntime", k->shared->hook_state,
			      k->bundle, e);
	return r;
}

static int go(struct create *k, struct err *e)
{
	return sync_send(k->sync_fd, &(struct sync_msg){ .type = SYNC_GO, .pid = k->pid },
			 e);
}

/* The conversation of sync.h, up to READY. */
static int guide_init(struct create *k, struct undo *u, struct err *e)
{
	int r;

	r = init_waits_for_maps(&k->init) ? go(k, e) : 0;
	if (r == 0)
		r = begin_isolated_gateway(k, e);
	if (r == 0 && init_waits_for_hooks(&k->init)) {
		r = sync_expect(k->sync_fd, SYNC_HOOKS, NULL, e);
		/* Init lives, and with it its network namespace, until what it was given is back. */
		undo_push(u, create_undo_netdevices, k);
		if (r == 0)
			r = netdevices_move(k->spec, k->pid, &k->netdevices, e);
		if (r == 0)
			r = run_runtime_hooks(k, e);
		if (r == 0)
			r = go(k, e);
	}
	if (r == 0)
		r = sync_expect(k->sync_fd, SYNC_READY, NULL, e);
	if (r == 0)
		r = container_network_enter(&k->network, &k->plan, &k->c, k->pid, e);
	if (r == 0)
		r = container_audit_begin(&k->audit, &k->c, k->pid, e);
	if (r == 0 && k->gateway.config && !k->gateway.is_begun)
		r = container_gateway_needs_netns(&k->gateway) ?
			    begin_gateway_there(k, e) :
			    begin_gateway_in(k, -1, e);
	return r == 0 ? attributes_set_of(k->pid, k->spec->process, e) : r;
}

int create_write_pid_file(const char *path, pid_t pid, struct err *e)
{
	char text[16];
	int n;

	if (!path)
		return 0;
	/* Digits alone: containerd takes a newline for an error. */
	n = snprintf(text, sizeof(text), "%d", (int)pid);
	return fs_write_atomic(AT_FDCWD, path, text, (size_t)n, 0644, e);
}

static int commit(struct create *k, struct err *e)
{
	int r;

	k->c.st.pid = k->pid;
	k->c.st.pid_start = process_start_time(k->pid);
	r = container_state_save(&k->c, e);
	if (r == 0)
		r = container_network_wait(&k->network, e);
	if (r == 0)
		r = container_audit_wait(&k->audit, e);
	if (r == 0)
		r = container_gateway_wait(&k->gateway, e);
	if (r == 0 && k->rq->pidfd_socket)
		r = pidfd_send(k->pid, k->rq->pidfd_socket, "standard", e);
	if (r == 0)
		r = create_write_pid_file(k->rq->pid_file, k->pid, e);
	if (r == 0) {
		r = go(k, e);
		if (r < 0 && k->rq->pid_file)
			unlink(k->rq->pid_file);
	}
	return r;
}

int container_create(const struct container_create_request *rq, pid_t *ret_pid,
		     struct err *e)
{
	_create_clear_ struct create k = CREATE_EMPTY(rq);
	_undo_ struct undo u = {};
	int r;

	r = container_check_id(rq->id, e);
	if (r == 0)
		r = create_make_plan(&k, e);
	if (r == 0)
		r = container_gateway_prepare(&k.gateway, &k.plan, e);
	if (r == 0)
		r = container_audit_prepare(&k.audit, &k.plan, k.bundle, e);
	if (r == 0)
		r = create_make_state(&k, &u, e);
	if (r == 0)
		r = create_make_cgroup(&k, &u, e);
	if (r == 0)
		r = make_network(&k, &u, e);
	if (r == 0)
		r = make_audit(&k, &u, e);
	if (r == 0)
		r = make_rdt(&k, &u, e);
	if (r == 0)
		r = prepare_init(&k, e);
	if (r == 0)
		r = spawn_init(&k, &u, e);
	if (r == 0)
		r = guide_init(&k, &u, e);
	cgroup_holder_end(&k.holder);
	if (r == 0)
		r = commit(&k, e);
	if (r < 0)
		return r;
	undo_forget(&u);
	log_debug("container %s is created, init is process %d", rq->id, (int)k.pid);
	*ret_pid = k.pid;
	return 0;
}

int container_protect_program(char *const argv[], struct err *e)
{
	return exe_protect(argv, e);
}
