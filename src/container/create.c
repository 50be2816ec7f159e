/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create: from a bundle to a container whose init waits to be started. Runs in the runtime, in the
 * host's namespaces with the caller's privileges. What it does to the host is on an undo stack;
 * what a runtime killed half-way leaves behind is found by `delete --force` from the state folder,
 * which is made first.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/num.h"
#include "container/attributes.h"
#include "container/console.h"
#include "container/container.h"
#include "container/group.h"
#include "container/init.h"
#include "container/netdevices.h"
#include "container/notify.h"
#include "container/pidfd.h"
#include "container/process.h"
#include "container/sync.h"
#include "container/undo.h"
#include "linux/exe.h"
#include "linux/ns.h"
#include "linux/rootfs.h"
#include "linux/sysctl.h"
#include "oci/hooks.h"

#define EFFECTIVE_POLICY "io.purple.effective-policy"

/* Everything of one create, so that its steps are functions of one argument. */
struct create {
	const struct container_create_request *rq;
	struct policy_plan plan;
	struct oci_spec *spec; /* plan.spec */
	char *bundle;	       /* absolute */
	struct container c;
	struct ns_plan ns;
	struct rootfs rootfs;
	struct seccomp_plan seccomp;
	struct init_plan init;
	struct init_shared *shared;
	int sync_fd; /* the runtime's end */
	int cgroup_fd;
	pid_t pid;
	struct attributes_rdt rdt;
	struct netdevices netdevices;
	pid_t holder; /* see cgroup_create_unit(); 0: none */
	bool in_cgroup;
	bool hooks_began; /* poststop hooks are to undo what those of create did */
};

static void create_clear(struct create *k)
{
	policy_plan_clear(&k->plan);
	free(k->bundle);
	container_close(&k->c);
	ns_plan_clear(&k->ns);
	rootfs_clear(&k->rootfs);
	seccomp_plan_clear(&k->seccomp);
	netdevices_clear(&k->netdevices);
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

/*
 * Podman before 5.4 writes pids.limit 0 where it was asked for no limit (`--pids-limit -1` or 0):
 * no container of it could fork if that were taken at its word. From all others 0 is a limit.
 */
static void read_engine_habits(struct oci_spec *s)
{
	const char *manager = strmap_get(&s->annotations, "io.container.manager");
	struct oci_resources *res = s->linux_->resources;

	if (manager && streq(manager, "libpod") && res && res->pids &&
	    res->pids->limit.set && res->pids->limit.value == 0)
		res->pids->limit.value = -1;
}

/* A new user namespace that names no mappings gets what linux/subid.c says. */
static int choose_id_mappings(struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *user = oci_spec_namespace(s, "user");
	const struct oci_user *u = s->process ? s->process->user : NULL;
	struct oci_linux *l = s->linux_;

	if (!user || user->path || l->uid_mappings.n)
		return 0;
	return userns_choose_maps(u ? u->uid : 0, u ? u->gid : 0, &l->uid_mappings,
				  &l->gid_mappings, e);
}

static int load_plan(struct create *k, struct err *e)
{
	const struct container_create_request *rq = k->rq;
	_oci_spec_free_ struct oci_spec *spec = NULL;
	_free_ char *config = NULL;
	struct policy_request pr = { .admin_policy = rq->admin_policy,
				     .admin_chosen_by = rq->admin_chosen_by,
				     .dirs = &policy_default_dirs };
	int r;

	if (rq->plan) {
		k->plan = *rq->plan;
		*rq->plan = (struct policy_plan){};
		k->spec = k->plan.spec;
		k->bundle = fs_join(rq->root, rq->id);
		return k->bundle ? 0 : err_oom(e);
	}
	r = fs_realpath(rq->bundle ? rq->bundle : ".", &k->bundle, e);
	if (r < 0)
		return err_wrap(e, "bundle");
	config = rq->config ? strdup(rq->config) : fs_join(k->bundle, "config.json");
	if (!config)
		return err_oom(e);
	r = oci_spec_load(AT_FDCWD, config, &spec, e);
	if (r < 0)
		return r;
	read_engine_habits(spec);
	r = choose_id_mappings(spec, e);
	if (r < 0)
		return r;
	pr.bundle = k->bundle;
	r = policy_plan_make(spec, &pr, &k->plan, e);
	if (r < 0)
		return r;
	k->spec = k->plan.spec;
	for (size_t i = 0; i < k->plan.sources.n; i++)
		log_debug("policy %s (%s) holds, by %s", k->plan.sources.v[i].name,
			  k->plan.sources.v[i].path, k->plan.sources.v[i].chosen_by);
	return 0;
}

/* Socket activation: the program finds its descriptors by these, as PID 1 of its container. */
static int add_listen_fds(struct create *k, struct err *e)
{
	struct oci_process *p = k->spec->process;

	if (!p || k->rq->listen_fds == 0)
		return 0;
	if (strv_addf(&p->env, "LISTEN_FDS=%u", k->rq->listen_fds) < 0 ||
	    strv_add(&p->env, "LISTEN_PID=1") < 0)
		return err_oom(e);
	return 0;
}

static int check_console(struct create *k, struct err *e)
{
	bool terminal = k->spec->process && k->spec->process->terminal;
	bool socket = k->rq->console_socket || k->rq->console_fd >= 0;

	if (terminal && !socket)
		return err_set(e, ERR_USAGE, EINVAL,
			       "process.terminal is true: --console-socket is needed");
	if (!terminal && k->rq->console_socket)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--console-socket is given, but process.terminal is false");
	return 0;
}

static bool joins_mounts(const struct oci_spec *s)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "mount");

	return ns && ns->path;
}

/*
 * In a mount namespace that is joined by path the process lives in its root as it is: mounting, or
 * even pivoting, there would hit whoever else is in it. root.path, which the specification
 * requires, is not looked at; whatever asks for a change is refused.
 */
static int check_joined_mounts(const struct oci_spec *s, struct err *e)
{
	const struct oci_linux *l = s->linux_;
	const char *member = NULL;

	if (!joins_mounts(s))
		return 0;
	if (s->mounts.n)
		member = "mounts";
	else if (s->root->readonly)
		member = "root.readonly";
	else if (l->masked_paths.n)
		member = "linux.maskedPaths";
	else if (l->readonly_paths.n)
		member = "linux.readonlyPaths";
	else if (l->devices.n)
		member = "linux.devices";
	else if (l->rootfs_propagation && *l->rootfs_propagation)
		member = "linux.rootfsPropagation";
	if (!member)
		return 0;
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "%s: cannot be had in a mount namespace that is joined by path, which "
		       "stays as it is",
		       member);
}

/* What can be refused before anything is made. */
static int check_plan(struct create *k, struct err *e)
{
	const struct oci_linux *l = k->spec->linux_;
	int r;

	r = check_console(k, e);
	if (r == 0)
		r = check_joined_mounts(k->spec, e);
	if (r == 0 && l->seccomp)
		r = seccomp_check(l->seccomp, e);
	if (r == 0)
		r = rootfs_check(k->spec, e);
	if (r == 0)
		r = sysctl_check(k->spec, e);
	if (r == 0)
		r = netdevices_check(k->spec, e);
	if (r == 0)
		r = attributes_check(k->spec->process, l, k->rq->id, e);
	if (r == 0 && k->spec->process)
		r = process_plan_caps(k->spec->process, &k->init.process.caps, e);
	if (r == 0)
		r = seccomp_plan_make(l->seccomp, l->policy_seccomp.v, l->policy_seccomp.n,
				      k->spec->process ? process_exec_fd(k->spec->process) :
							 -1,
				      &k->seccomp, e);
	return r;
}

static char *timestamp(void)
{
	struct timespec ts;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return str_printf("%s.%09ldZ", text, ts.tv_nsec);
}

static int fill_policies(struct create *k, struct err *e)
{
	struct container_state *st = &k->c.st;

	for (size_t i = 0; i < k->plan.sources.n; i++) {
		const struct policy_source *from = &k->plan.sources.v[i];
		struct container_policy *to = list_add(&st->policies);

		if (!to)
			return err_oom(e);
		to->name = strdup(from->name);
		to->path = from->path ? strdup(from->path) : NULL;
		to->chosen_by = strdup(from->chosen_by);
		if (!to->name || !to->chosen_by)
			return err_oom(e);
	}
	st->policy_limits = k->plan.limits;
	k->plan.limits = NULL;
	return strv_copy(&k->plan.explanations, &st->explanations) < 0 ? err_oom(e) : 0;
}

/* The configuration's, and the names of the policies that hold, the administrator's first: what
 * the configuration itself says of them is not handed on. */
static int fill_annotations(struct create *k, struct err *e)
{
	const struct strmap *from = &k->spec->annotations;
	_buf_free_ struct buf names = {};

	for (size_t i = 0; i < from->n; i++)
		if (!streq(from->k[i], EFFECTIVE_POLICY) &&
		    strmap_set(&k->c.st.annotations, from->k[i], from->v[i]) < 0)
			return err_oom(e);
	for (size_t i = 0; i < k->plan.sources.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", k->plan.sources.v[i].name);
	if (names.failed ||
	    (k->plan.sources.n &&
	     strmap_set(&k->c.st.annotations, EFFECTIVE_POLICY, names.s) < 0))
		return err_oom(e);
	return 0;
}

static int fill_state(struct create *k, struct err *e)
{
	struct container_state *st = &k->c.st;
	const char *path = k->spec->root->path;
	int r;

	st->id = strdup(k->rq->id);
	st->oci_version = strdup(k->spec->oci_version);
	st->bundle = strdup(k->bundle);
	st->rootfs = path[0] == '/' ? strdup(path) : fs_join(k->bundle, path);
	st->created = timestamp();
	st->owner = container_owner_name(getuid());
	st->no_new_keyring = k->rq->no_new_keyring;
	st->cgroup_systemd = k->rq->cgroup_systemd;
	st->cgroups_path = k->spec->linux_->cgroups_path ?
				   strdup(k->spec->linux_->cgroups_path) :
				   NULL;
	if (!st->id || !st->oci_version || !st->bundle || !st->rootfs || !st->created ||
	    !st->owner)
		return err_oom(e);
	r = fill_annotations(k, e);
	if (r < 0)
		return r;
	if (k->rq->die_with_parent) {
		st->supervisor = getpid();
		st->supervisor_start = process_start_time(getpid());
	}
	return fill_policies(k, e);
}

static void undo_state(void *arg)
{
	struct create *k = arg;
	struct err unused;

	container_state_remove(&k->c, &unused);
}

/* A create that fails is followed by the steps of a delete (runtime-spec, "Lifecycle"). */
static void undo_hooks(void *arg)
{
	struct create *k = arg;
	_buf_free_ struct buf state = {};
	struct err unused;

	if (k->hooks_began &&
	    container_hook_state(&k->c, "stopped", 0, &state, &unused) == 0)
		hooks_run_all(&k->spec->hooks->poststop, "poststop", state.s, k->bundle);
}

static void undo_cgroup(void *arg)
{
	struct create *k = arg;
	struct err unused;

	cgroup_holder_end(&k->holder);
	cgroup_destroy(k->c.st.cgroup, &unused);
}

static void undo_rdt(void *arg)
{
	struct create *k = arg;

	attributes_undo_rdt(k->spec->linux_, k->rq->id, &k->rdt);
}

static void undo_netdevices(void *arg)
{
	struct create *k = arg;

	netdevices_move_back(&k->netdevices);
}

/* Init sees that the socket is gone and ends; SIGKILL for one that is stuck in a system call. */
static void undo_init(void *arg)
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

static int make_state(struct create *k, struct undo *u, struct err *e)
{
	int r = container_state_create(k->rq->root, k->rq->id, &k->c, e);

	if (r < 0)
		return r;
	undo_push(u, undo_state, k);
	log_debug("the state is in %s", k->c.dir);
	undo_push(u, undo_hooks, k);
	if (k->rq->plan && mkdirat(k->c.dirfd, "rootfs", 0755) < 0)
		return err_sys(e, "cannot make '%s/rootfs'", k->c.dir);
	r = fill_state(k, e);
	if (r == 0 && k->rq->notify_socket)
		r = notify_add(k->rq->notify_socket, &k->c, k->spec, e);
	k->c.st.cgroup_pending = !k->rq->cgroup_disabled;
	if (r == 0)
		r = container_state_save(&k->c, e);
	if (r == 0)
		r = container_config_save(&k->c, k->spec, e);
	return r;
}

static int make_cgroup(struct create *k, struct undo *u, struct err *e)
{
	bool made = false;
	int r;

	if (k->rq->cgroup_disabled)
		return cgroup_check_disabled(k->spec->linux_->resources, e);
	r = group_make(&k->c, k->spec, &made, &k->holder, e);
	if (made)
		undo_push(u, undo_cgroup, k);
	return r < 0 ? r : cgroup_open(k->c.st.cgroup, &k->cgroup_fd, e);
}

static int make_rdt(struct create *k, struct undo *u, struct err *e)
{
	undo_push(u, undo_rdt, k);
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
		r = ns_plan_make(k->spec, &k->ns, e);
	if (r == 0)
		r = joins_mounts(k->spec) ?
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
	k->init.id = k->rq->id;
	k->init.bundle = k->bundle;
	k->init.ns = &k->ns;
	k->init.in_cgroup = k->cgroup_fd >= 0 ? &k->in_cgroup : NULL;
	k->init.rootfs = &k->rootfs;
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

/* The state document that hooks get on stdin, with the status of their stage. */
static int fill_hook_state(struct create *k, const char *status, char *to, struct err *e)
{
	_buf_free_ struct buf state = {};
	int r = container_hook_state(&k->c, status, k->pid, &state, e);

	if (r < 0)
		return r;
	if (state.len >= INIT_DOCUMENT_MAX)
		return err_set(e, ERR_CONFIG, E2BIG, "annotations are too large for hooks");
	memcpy(to, state.s, state.len + 1);
	return 0;
}

/* Documents that carry init's pid: written where init can read them. */
static int fill_shared(struct create *k, struct err *e)
{
	_buf_free_ struct buf message = {};
	int r = 0;

	if (k->spec->hooks)
		r = fill_hook_state(k, "creating", k->shared->hook_state, e);
	if (r == 0 && k->spec->hooks)
		r = fill_hook_state(k, "created", k->shared->start_state, e);
	if (r < 0)
		return r;
	if (!k->seccomp.listener_path)
		return 0;
	r = container_listener_message(&k->c, "creating", k->pid,
				       k->seccomp.listener_metadata, &message, e);
	if (r < 0)
		return r;
	if (message.len >= sizeof(k->shared->listener_message))
		return err_set(e, ERR_CONFIG, E2BIG,
			       "linux.seccomp.listenerMetadata is too large");
	memcpy(k->shared->listener_message, message.s, message.len + 1);
	return 0;
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
	undo_push(u, undo_init, k);
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
		r = fill_shared(k, e);
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
	if (r == 0 && init_waits_for_hooks(&k->init)) {
		r = sync_expect(k->sync_fd, SYNC_HOOKS, NULL, e);
		/* Init lives, and with it its network namespace, until what it was given is back. */
		undo_push(u, undo_netdevices, k);
		if (r == 0)
			r = netdevices_move(k->spec, k->pid, &k->netdevices, e);
		if (r == 0)
			r = run_runtime_hooks(k, e);
		if (r == 0)
			r = go(k, e);
	}
	if (r == 0)
		r = sync_expect(k->sync_fd, SYNC_READY, NULL, e);
	return r == 0 ? attributes_set_of(k->pid, k->spec->process, e) : r;
}

static int write_pid_file(const char *path, pid_t pid, struct err *e)
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
	if (r == 0 && k->rq->pidfd_socket)
		r = pidfd_send(k->pid, k->rq->pidfd_socket, "standard", e);
	if (r == 0)
		r = write_pid_file(k->rq->pid_file, k->pid, e);
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
	__attribute__((cleanup(create_clear))) struct create k = {
		.rq = rq,
		.c = CONTAINER_EMPTY,
		.sync_fd = -1,
		.cgroup_fd = -1,
		.netdevices = NETDEVICES_EMPTY,
		.init = { .sync_fd = -1,
			  .start_fd = -1,
			  .console_fd = -1,
			  .engines_network = -1,
			  .own_network = -1,
			  .process = { .listener_sock = -1 } },
	};
	_undo_ struct undo u = {};
	int r;

	r = container_check_id(rq->id, e);
	if (r == 0)
		r = load_plan(&k, e);
	if (r == 0)
		r = add_listen_fds(&k, e);
	if (r == 0)
		r = check_plan(&k, e);
	if (r == 0)
		r = make_state(&k, &u, e);
	if (r == 0)
		r = make_cgroup(&k, &u, e);
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
