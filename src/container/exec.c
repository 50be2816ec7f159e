/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec: a further process in a container. Runs in the runtime, then in a child of it that is born
 * in the container's pid namespace and cgroup and joins the other namespaces of its init.
 *
 * The child is not dumpable from its birth, closes every descriptor of the host before its
 * program, and runs from a binary that cannot be written (linux/exe.c): a hostile container has
 * nothing to take hold of (CVE-2016-9962, CVE-2019-5736, CVE-2024-21626).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/num.h"
#include "container/attributes.h"
#include "container/console.h"
#include "container/container.h"
#include "container/descriptors.h"
#include "container/gateway.h"
#include "container/monitor.h"
#include "container/pidfd.h"
#include "container/process.h"
#include "container/supervise.h"
#include "container/sync.h"
#include "linux/ns.h"
#include "linux/sched.h"

#define PROCESS_FILE_MAX (1024 * 1024)

struct exec {
	const struct container_exec_request *rq;
	struct container c;
	struct oci_spec *spec;	     /* the container's */
	struct oci_process *process; /* what to run */
	struct seccomp_plan seccomp;
	struct process_plan plan;
	struct supervise supervise;
	char *listener_message;
	int pidfd;    /* of the container's init */
	int ns_flags; /* namespaces of init that are not ours already, without pid */
	int pid_ns;   /* init's pid namespace; -1: ours */
	int user_ns;  /* init's user namespace; -1: ours */
	int cgroup_fd;
	struct cgroup_doors doors;
	struct bitlist affinity; /* the runtime's, where it has changed it */
	int sync_fds[2];
	int console_fd; /* the child's end */
	int console_ours;
	pid_t pid;
};

static void exec_clear(struct exec *x)
{
	container_close(&x->c);
	oci_spec_free(x->spec);
	if (x->process) {
		json_clear(&oci_process_type, x->process);
		free(x->process);
	}
	seccomp_plan_clear(&x->seccomp);
	supervise_end(&x->supervise);
	free(x->listener_message);
	fd_close(&x->pidfd);
	fd_close(&x->pid_ns);
	fd_close(&x->user_ns);
	fd_close(&x->cgroup_fd);
	cgroup_doors_close(&x->doors);
	fd_close(&x->sync_fds[0]);
	fd_close(&x->sync_fds[1]);
	fd_close(&x->console_fd);
	fd_close(&x->console_ours);
	fd_close(&x->plan.listener_sock);
}

static int open_running(struct exec *x, struct err *e)
{
	enum container_status status;
	int r;

	r = container_open(x->rq->root, x->rq->id, false, &x->c, e);
	if (r == 0)
		r = container_status(&x->c, &status, e);
	if (r < 0)
		return r;
	if (status == CONTAINER_STOPPED || status == CONTAINER_CREATING)
		return err_set(e, ERR_NOT_RUNNING, ESRCH,
			       "cannot exec in a stopped container");
	if (status == CONTAINER_PAUSED && !x->rq->ignore_paused)
		return err_set(e, ERR_STATE, EINVAL, "cannot exec in a paused container");
	x->pidfd = (int)syscall(SYS_pidfd_open, x->c.st.pid, 0);
	if (x->pidfd < 0 || !process_is_alive(x->c.st.pid, x->c.st.pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "no such process");
	if (monitor_end_unrecorded(&x->c))
		return err_set(e, ERR_NOT_RUNNING, ESRCH,
			       "the container is audited, and who records it has died: it was "
			       "ended");
	r = container_config_load(&x->c, &x->spec, e);
	/* Until start, init is in the network that the engine may still plug devices into. */
	if (r == 0 && x->spec->linux_->isolate_network && container_waits_for_start(&x->c))
		return err_set(e, ERR_STATE, EINVAL,
			       "cannot exec in a created container whose policy isolates its "
			       "network: start it first");
	return r;
}

/* "uid[:gid]", the whole string: nothing is guessed. */
static int parse_user(const char *text, struct oci_user *u, struct err *e)
{
	_free_ char *copy = strdup(text);
	char *colon;

	if (!copy)
		return err_oom(e);
	colon = strchr(copy, ':');
	if (colon)
		*colon = '\0';
	if (num_u32(copy, &u->uid) < 0 || (colon && num_u32(colon + 1, &u->gid) < 0))
		return err_set(e, ERR_USAGE, EINVAL,
			       "invalid --user '%s': expected UID or UID:GID as numbers",
			       text);
	return 0;
}

static int add_gids(const struct strv *gids, struct oci_user *u, struct err *e)
{
	for (size_t i = 0; i < gids->n; i++) {
		uint32_t *gid = list_add(&u->additional_gids);

		if (!gid)
			return err_oom(e);
		if (num_u32(gids->v[i], gid) < 0)
			return err_set(e, ERR_USAGE, EINVAL,
				       "invalid --additional-gids '%s'", gids->v[i]);
	}
	return 0;
}

static int add_caps(const struct strv *caps, struct oci_process *p, struct err *e)
{
	if (caps->n == 0)
		return 0;
	if (!p->capabilities)
		p->capabilities = calloc(1, sizeof(*p->capabilities));
	if (!p->capabilities)
		return err_oom(e);
	for (size_t i = 0; i < caps->n; i++) {
		struct strv *sets[] = { &p->capabilities->bounding,
					&p->capabilities->effective,
					&p->capabilities->permitted };

		for (size_t k = 0; k < ARRAY_SIZE(sets); k++)
			if (!strv_contains(sets[k], caps->v[i]) &&
			    strv_add(sets[k], caps->v[i]) < 0)
				return err_oom(e);
	}
	return 0;
}

/* The container's own process, with what the command line changes. */
static int make_process(struct exec *x, struct err *e)
{
	const struct container_exec_request *rq = x->rq;
	struct oci_process *p = x->process;
	int r = 0;

	if (!x->spec->process)
		return err_set(e, ERR_CONFIG, EINVAL,
			       "the container has no process in config.json: use --process");
	r = json_copy(&oci_process_type, x->spec->process, p, e);
	if (r < 0)
		return r;
	strv_free(&p->args);
	if (strv_copy(&rq->args, &p->args) < 0)
		return err_oom(e);
	for (size_t i = 0; i < rq->env.n; i++)
		if (strv_add(&p->env, rq->env.v[i]) < 0)
			return err_oom(e);
	if (rq->cwd) {
		free(p->cwd);
		p->cwd = strdup(rq->cwd);
		if (!p->cwd)
			return err_oom(e);
	}
	if (!p->user)
		p->user = calloc(1, sizeof(*p->user));
	if (!p->user)
		return err_oom(e);
	if (rq->user)
		r = parse_user(rq->user, p->user, e);
	if (r == 0)
		r = add_gids(&rq->additional_gids, p->user, e);
	if (r == 0)
		r = add_caps(&rq->caps, p, e);
	p->terminal = rq->tty;
	p->no_new_privileges |= rq->no_new_privileges;
	return r;
}

/* An engine's file need not say what the process may do: then it may what the container's may. */
static int take_capabilities(struct exec *x, struct err *e)
{
	const struct oci_process *own = x->spec->process;
	const struct oci_capabilities *from = own ? own->capabilities : NULL;
	struct oci_capabilities *to;

	if (x->process->capabilities || !from)
		return 0;
	to = x->process->capabilities = calloc(1, sizeof(*to));
	return to ? json_copy(&oci_capabilities_type, from, to, e) : err_oom(e);
}

static int load_process(struct exec *x, struct err *e)
{
	int r;

	x->process = calloc(1, sizeof(*x->process));
	if (!x->process)
		return err_oom(e);
	if (x->rq->process_file)
		r = json_read_file(AT_FDCWD, x->rq->process_file, PROCESS_FILE_MAX,
				   &oci_process_type, x->process, e);
	else
		r = make_process(x, e);
	if (r == 0)
		r = container_gateway_environment(&x->c, x->process, e);
	if (r == 0)
		r = take_capabilities(x, e);
	if (r == 0 && x->rq->tty)
		x->process->terminal = true;
	return r < 0 ? r : oci_process_check(x->process, e);
}

/* A process that names no label gets the container's: it is as confined as the others. */
static int inherit_label(char **label, const char *of_container, struct err *e)
{
	if ((*label && **label) || !of_container || !*of_container)
		return 0;
	free(*label);
	*label = strdup(of_container);
	return *label ? 0 : err_oom(e);
}

static int inherit_labels(struct exec *x, struct err *e)
{
	const struct oci_process *own = x->spec->process;
	int r;

	if (!own)
		return 0;
	r = inherit_label(&x->process->apparmor_profile, own->apparmor_profile, e);
	if (r == 0)
		r = inherit_label(&x->process->selinux_label, own->selinux_label, e);
	return r;
}

static int plan_process(struct exec *x, struct err *e)
{
	const struct oci_linux *l = x->spec->linux_;
	bool socket = x->rq->console_socket != NULL;
	int r = 0;

	if (x->process->terminal && x->rq->detach && !socket)
		return err_set(e, ERR_USAGE, EINVAL,
			       "a detached process with a terminal needs --console-socket");
	if (!x->process->terminal && socket)
		return err_set(e, ERR_USAGE, EINVAL,
			       "--console-socket is given, but the process has no terminal");
	/* A policy holds for every process of the container. */
	if (x->c.st.policies.n)
		r = descriptors_check(x->c.st.policies.v[0].name, x->process->terminal,
				      x->rq->preserve_fds, e);
	if (r == 0)
		r = policy_limit_process(x->spec, x->process, e);
	if (r == 0)
		r = inherit_labels(x, e);
	if (r == 0)
		r = attributes_check(x->process, l, x->c.st.id, e);
	if (r == 0)
		r = process_plan_caps(x->process, &x->plan.caps, e);
	if (r == 0)
		r = seccomp_plan_make(l->seccomp, l->policy_seccomp.v, l->policy_seccomp.n,
				      process_exec_fd(x->process), &x->seccomp, e);
	x->plan.process = x->process;
	x->plan.seccomp = &x->seccomp;
	x->plan.preserve_fds = x->rq->preserve_fds;
	x->plan.keep_groups = process_keeps_groups(&x->spec->annotations);
	return r;
}

/* The same namespace has the same inode. */
static bool is_same_ns(pid_t pid, const char *name)
{
	char theirs[64], ours[64];
	struct stat a, b;

	snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", (int)pid, name);
	snprintf(ours, sizeof(ours), "/proc/self/ns/%s", name);
	return stat(theirs, &a) == 0 && stat(ours, &b) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static int open_ns(pid_t pid, const char *name, int *ret, struct err *e)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open the container's %s namespace", name);
	*ret = fd;
	return 0;
}

/*
 * Until start, init is a process of the runtime's own program, which cannot be dumped, and whose
 * memory is of the user namespace where that program was executed. Without privileges there, as an
 * ordinary user's runtime is, nobody may look at its namespaces: neither by path nor by pidfd, nor
 * from inside its user namespace. An init that could be dumped would let us in, and the container's
 * processes at what it has of the host (CVE-2016-9962).
 */
static int check_reachable(struct exec *x, struct err *e)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)x->c.st.pid);
	if (stat(path, &st) == 0 || errno != EACCES || !container_waits_for_start(&x->c))
		return 0;
	return err_set(e, ERR_STATE, EPERM,
		       "an ordinary user cannot exec in a container that is only created: "
		       "start it first");
}

static int find_namespaces(struct exec *x, struct err *e)
{
	static const struct {
		const char *file, *type;
	} all[] = {
		{ "user", "user" }, { "mnt", "mount" }, { "net", "network" },
		{ "ipc", "ipc" },   { "uts", "uts" },	{ "cgroup", "cgroup" },
		{ "time", "time" },
	};
	pid_t init = x->c.st.pid;
	int r = check_reachable(x, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (!is_same_ns(init, all[i].file))
			x->ns_flags |= ns_flag(all[i].type);
	if (!is_same_ns(init, "pid")) {
		r = open_ns(init, "pid", &x->pid_ns, e);
		if (r == 0 && (x->ns_flags & CLONE_NEWUSER))
			r = open_ns(init, "user", &x->user_ns, e);
	}
	if (r < 0)
		return r;
	/* The pid was init's while it was looked at, if it still is: what a process of the host has
	 * in common with us must not be taken for the container's. */
	if (!process_is_alive(init, x->c.st.pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "no such process");
	return 0;
}

static int open_console(struct exec *x, struct err *e)
{
	int fds[2];

	if (x->rq->console_socket)
		return console_connect(x->rq->console_socket, &x->console_fd, e);
	if (!x->process->terminal)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return err_sys(e, "cannot make a console socket");
	x->console_ours = fds[0];
	x->console_fd = fds[1];
	return 0;
}

static int enter_container(struct exec *x, struct err *e)
{
	/* A user namespace was joined already, with the pid namespace. */
	int flags = x->user_ns >= 0 ? x->ns_flags & ~CLONE_NEWUSER : x->ns_flags;

	/* One call: the kernel enters a user namespace first and uses its rights for the rest. */
	if (flags && setns(x->pidfd, flags) < 0)
		return err_sys(e, "cannot join the container's namespaces");
	/* EINVAL: the namespace maps no id 0. */
	if ((x->ns_flags & CLONE_NEWUSER) &&
	    (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) && errno != EINVAL)
		return err_sys(e, "cannot become root of the container");
	/* With fs.suid_dumpable the changes of credentials have made us dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot become undumpable");
	if (setsid() < 0)
		return err_sys(e, "cannot make a session");
	return x->c.st.no_new_keyring ? 0 : process_new_keyring(x->c.st.id, x->process, e);
}

static int take_terminal(struct exec *x, struct err *e)
{
	const struct oci_process *p = x->process;
	_close_ int master = -1, slave = -1;
	int r;

	if (!p->terminal)
		return 0;
	r = console_open(p->user ? p->user->uid : 0, p->console_size, &master, &slave, e);
	if (r == 0)
		r = console_send(x->console_fd, master, e);
	if (r < 0)
		return r;
	fd_close(&x->console_fd);
	return console_attach(slave, e);
}

/* Never returns. For ns_spawn(). */
static void child_main(void *arg)
{
	struct exec *x = arg;
	struct sync_msg m = { .type = SYNC_FAILED };
	int sync_fd = x->sync_fds[1];
	struct err *e = &m.err, unused;
	int r;

	fd_close(&x->sync_fds[0]);
	fd_close(&x->console_ours);
	r = sync_expect(sync_fd, SYNC_GO, NULL, e);
	if (r == 0)
		r = cgroup_doors_enter(&x->doors, e);
	if (r == 0)
		r = enter_container(x, e);
	if (r == 0)
		r = take_terminal(x, e);
	if (r == 0)
		r = process_close_host(&x->plan, &sync_fd, 1, e);
	if (r == 0)
		r = process_check_program(x->process, false, e);
	if (r == 0)
		r = attributes_set_own(x->process, x->spec->linux_, e);
	if (r == 0)
		r = sync_send(sync_fd, &(struct sync_msg){ .type = SYNC_READY }, e);
	if (r == 0)
		r = sync_expect(sync_fd, SYNC_GO, NULL, e);
	if (r == 0)
		process_exec(&x->plan, e);
	sync_send(sync_fd, &m, &unused);
	_exit(1);
}

/*
 * A pid namespace is joined for children only. An ordinary user has the right to that from the user
 * namespace which owns it: then both are joined by a stage, which clones the child.
 */
static int clone_child(struct exec *x, bool *ret_in_cgroup, struct err *e)
{
	struct ns_join joins[] = { { CLONE_NEWPID, x->pid_ns },
				   { CLONE_NEWUSER, x->user_ns } };
	struct ns_plan plan = { .needs_stage = x->user_ns >= 0 };

	plan.joins.v = joins;
	plan.joins.n = plan.needs_stage ? ARRAY_SIZE(joins) : 0;
	if (!plan.needs_stage && x->pid_ns >= 0 && setns(x->pid_ns, CLONE_NEWPID) < 0)
		return err_sys(e, "cannot join the container's pid namespace");
	return ns_spawn(&plan, x->cgroup_fd, child_main, x, &x->pid, ret_in_cgroup, e);
}

/* The child inherits it and has it until it is in the container's cgroup. */
static int set_initial_affinity(struct exec *x, struct err *e)
{
	const struct oci_cpu_affinity *a = x->process->exec_cpu_affinity;
	int r;

	if (!a || !a->initial || !*a->initial)
		return 0;
	r = sched_get_affinity(0, &x->affinity, e);
	return r < 0 ? r : sched_set_affinity(0, a->initial, "initial", e);
}

/*
 * When the process is in all its groups: entering a cpuset changes the affinity. What was inherited
 * for the way gives way to what the container's cpuset has, which a cgroup without that controller
 * would leave.
 */
static int set_final_affinity(struct exec *x, struct err *e)
{
	const struct oci_cpu_affinity *a = x->process->exec_cpu_affinity;

	if (a && a->final_ && *a->final_)
		return sched_set_affinity(x->pid, a->final_, "final", e);
	if (a && a->initial && *a->initial)
		return sched_restore_affinity(x->pid, &x->affinity, e);
	return 0;
}

static int spawn(struct exec *x, struct err *e)
{
	bool in_cgroup;
	int r;

	/* Inherited by the child: no process of the container may look into it. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_sys(e, "cannot become undumpable");
	r = set_initial_affinity(x, e);
	if (r == 0 && x->c.st.cgroup)
		r = cgroup_doors_open(x->c.st.cgroup, &x->doors, e);
	if (r == 0)
		r = clone_child(x, &in_cgroup, e);
	if (r < 0)
		return r;
	fd_close(&x->sync_fds[1]);
	fd_close(&x->console_fd);
	cgroup_doors_close(&x->doors);
	if (x->c.st.cgroup && !in_cgroup) {
		r = cgroup_enter_unified(x->c.st.cgroup, x->pid, e);
		if (r < 0)
			return r;
	}
	r = attributes_enter_rdt(x->spec->linux_, x->c.st.id, x->pid, e);
	return r < 0 ? r : process_raise_limits(x->pid, x->process, e);
}

static int go(struct exec *x, struct err *e)
{
	return sync_send(x->sync_fds[0], &(struct sync_msg){ .type = SYNC_GO }, e);
}

/* Up to the point where the program runs; the pid file is there exactly if it does. */
static int guide_child(struct exec *x, struct err *e)
{
	bool closed;
	char text[16];
	int r, n;

	r = process_set_oom_score(x->pid, x->process, e);
	if (r == 0)
		r = go(x, e);
	if (r == 0)
		r = sync_expect(x->sync_fds[0], SYNC_READY, NULL, e);
	if (r == 0)
		r = attributes_set_of(x->pid, x->process, e);
	if (r == 0)
		r = set_final_affinity(x, e);
	if (r == 0 && x->rq->pidfd_socket)
		r = pidfd_send(x->pid, x->rq->pidfd_socket, "setns", e);
	n = snprintf(text, sizeof(text), "%d", (int)x->pid);
	if (r == 0 && x->rq->pid_file)
		r = fs_write_atomic(AT_FDCWD, x->rq->pid_file, text, (size_t)n, 0644, e);
	if (r < 0)
		return r;
	r = go(x, e);
	if (r == 0)
		r = sync_expect_or_close(x->sync_fds[0], SYNC_FAILED, &closed, e);
	if (r < 0 && x->rq->pid_file)
		unlink(x->rq->pid_file);
	return r;
}

static int prepare(struct exec *x, struct err *e)
{
	int r;

	r = find_namespaces(x, e);
	if (r == 0)
		r = open_console(x, e);
	if (r == 0 && x->c.st.cgroup)
		r = cgroup_open(x->c.st.cgroup, &x->cgroup_fd, e);
	if (r == 0 && x->seccomp.listener_path)
		r = console_connect(x->seccomp.listener_path, &x->plan.listener_sock, e);
	if (r == 0)
		r = sync_pair(x->sync_fds, e);
	if (r == 0 && !x->rq->detach)
		r = supervise_begin(&x->supervise, true, e);
	return r;
}

static int wait_child(struct exec *x, int *ret_status, struct err *e)
{
	int master, r;

	if (x->console_ours >= 0) {
		r = console_receive(x->console_ours, &master, e);
		if (r == 0)
			r = supervise_terminal(&x->supervise, master, e);
		if (r < 0)
			return r;
	}
	return supervise_wait(&x->supervise, x->pid, ret_status, e);
}

/* The pid of the process itself is not known yet: the document names init's. */
static int fill_listener_message(struct exec *x, struct err *e)
{
	_buf_free_ struct buf message = {};
	int r;

	if (!x->seccomp.listener_path)
		return 0;
	r = container_listener_message(&x->c, "running", x->c.st.pid,
				       x->seccomp.listener_metadata, &message, e);
	if (r < 0)
		return r;
	x->listener_message = take_ptr(&message.s);
	x->plan.listener_message = x->listener_message;
	return 0;
}

/* In memory alone: the state on disk is not written here. */
static int choose_sub_cgroups(struct exec *x, struct err *e)
{
	int r;

	if (!x->c.st.cgroup)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "--cgroup: the container has no cgroup");
	r = cgroup_narrow(x->c.st.cgroup, &x->rq->sub_cgroups, e);
	return r < 0 ? err_wrap(e, "--cgroup") : 0;
}

int container_exec(const struct container_exec_request *rq, int *ret_status, struct err *e)
{
	__attribute__((cleanup(exec_clear))) struct exec x = {
		.rq = rq,
		.c = CONTAINER_EMPTY,
		.plan = { .listener_sock = -1 },
		.supervise = SUPERVISE_EMPTY,
		.pidfd = -1,
		.pid_ns = -1,
		.user_ns = -1,
		.cgroup_fd = -1,
		.sync_fds = { -1, -1 },
		.console_fd = -1,
		.console_ours = -1,
	};
	int r;

	r = open_running(&x, e);
	if (r == 0 && rq->sub_cgroups.n)
		r = choose_sub_cgroups(&x, e);
	if (r == 0)
		r = load_process(&x, e);
	if (r == 0)
		r = plan_process(&x, e);
	if (r == 0)
		r = fill_listener_message(&x, e);
	if (r == 0)
		r = prepare(&x, e);
	if (r == 0)
		r = spawn(&x, e);
	if (r == 0)
		r = guide_child(&x, e);
	if (r < 0) {
		if (x.pid > 0) {
			kill(x.pid, SIGKILL);
			waitpid(x.pid, NULL, 0);
		}
		return r;
	}
	log_debug("process %d runs in container %s", (int)x.pid, rq->id);
	if (!rq->detach)
		return wait_child(&x, ret_status, e);
	*ret_status = 0;
	return 0;
}
