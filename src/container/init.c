/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container's init: a child of the runtime, born in its new namespaces with all privileges
 * over them. It builds the container around itself and becomes its program, or, for `purple run`,
 * PID 1 over it. Theory of operation:
 *
 *   - Everything that needs the host was opened by the runtime before the clone and is inherited:
 *     the root, the sources of bind mounts, namespaces to join, sockets. Init opens host paths
 *     only where an ordinary user's privileges begin with its user namespace.
 *   - It speaks with the runtime over a socket pair (sync.h), and dies when the runtime does,
 *     until the runtime has written down that the container exists. From then on it waits on
 *     start.sock: whoever connects there and says GO (`start`) lets the program run, and hears over
 *     the same connection what went wrong; a connection that closes means that the program runs.
 *   - It never logs or prints. What fails is sent as a struct err, and it exits.
 *   - It is not dumpable, so that no process of the container can look into it.
 */
#include "container/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "container/attributes.h"
#include "container/console.h"
#include "container/sync.h"
#include "linux/proc.h"
#include "linux/sysctl.h"
#include "network/filter.h"
#include "oci/hooks.h"

static int wait_go(struct init_plan *p, struct err *e)
{
	return sync_expect(p->sync_fd, SYNC_GO, NULL, e);
}

bool init_waits_for_maps(const struct init_plan *p)
{
	/* Hooks and the seccomp agent are told the pid, in documents that are made after the clone. */
	return ns_plan_has_new(p->ns, CLONE_NEWUSER) || p->spec->hooks ||
	       p->process.listener_sock >= 0 || p->ns->needs_stage ||
	       (p->in_cgroup && !*p->in_cgroup);
}

bool init_waits_for_hooks(const struct init_plan *p)
{
	const struct oci_hooks *h = p->spec->hooks;

	return (h && (h->prestart.n > 0 || h->create_runtime.n > 0)) ||
	       p->spec->linux_->net_devices.n > 0;
}

/* Ids in another user namespace are not those of the host any more: become its root. */
static int become_root(struct init_plan *p, struct err *e)
{
	if (!ns_plan_has_new(p->ns, CLONE_NEWUSER) && !ns_plan_joins(p->ns, CLONE_NEWUSER))
		return 0;
	/* EINVAL: the namespace maps no id 0. Init has all capabilities in it all the same. */
	if ((setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) && errno != EINVAL)
		return err_sys(e, "cannot become root of the user namespace");
	return 0;
}

static int set_names(struct init_plan *p, struct err *e)
{
	const char *host = p->spec->hostname, *domain = p->spec->domainname;

	if (host && sethostname(host, strlen(host)) < 0)
		return err_sys(e, "cannot set the host name");
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys(e, "cannot set the domain name");
	return 0;
}

static int set_loopback(struct init_plan *p, struct err *e)
{
	return ns_plan_has_new(p->ns, CLONE_NEWNET) ? ns_loopback_up(e) : 0;
}

/* Namespaces, names, session: what comes before the file system. */
static int enter_namespaces(struct init_plan *p, struct err *e)
{
	int r;

	r = ns_join_all(p->ns, e);
	if (r == 0)
		r = become_root(p, e);
	/* The change of credentials has cleared it. */
	if (r == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = err_sys(e, "cannot become undumpable");
	if (r == 0 && setsid() < 0 && errno != EPERM)
		r = err_sys(e, "cannot make a session");
	if (r == 0 && !p->no_new_keyring)
		r = process_new_keyring(p->id, p->spec->process, e);
	if (r == 0)
		r = ns_unshare_cgroup(p->ns, e);
	if (r == 0)
		r = set_names(p, e);
	if (r == 0)
		r = set_loopback(p, e);
	return r;
}

/* prestart and createRuntime hooks run in the runtime while init waits. */
static int let_hooks_run(struct init_plan *p, struct err *e)
{
	int r;

	if (!init_waits_for_hooks(p))
		return 0;
	r = sync_send(p->sync_fd, &(struct sync_msg){ .type = SYNC_HOOKS }, e);
	return r < 0 ? r : wait_go(p, e);
}

/* `to` is -1 where there is no namespace to change to. */
static int switch_network(int to, struct err *e)
{
	if (to >= 0 && setns(to, CLONE_NEWNET) < 0)
		return err_sys(e, "cannot change to a network namespace");
	return 0;
}

static int open_network(int *ret, struct err *e)
{
	*ret = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? err_sys(e, "cannot open the network namespace") : 0;
}

static int new_network(struct err *e)
{
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, "cannot make the isolated network namespace");
	return ns_loopback_up(e);
}

static bool is_in_userns(const struct init_plan *p)
{
	return ns_plan_has_new(p->ns, CLONE_NEWUSER) || ns_plan_joins(p->ns, CLONE_NEWUSER);
}

/*
 * A policy's isolated network. Engines plug devices into the namespace that they know, and into
 * that of the created container's process: by hooks, or after create and before start (Docker
 * since 28). So they find init in the engine's namespace until start, and the container gets
 * another one. It is there before the mounts, since a sysfs shows the devices of the namespace in
 * which it was mounted. One that was joined from within a user namespace cannot be gone back to:
 * it is left for good, after the hooks if there are any. Nobody comes between the create and the
 * start of a process that dies with its parent.
 */
bool init_moves_network(const struct init_plan *p)
{
	bool is_new = ns_plan_has_new(p->ns, CLONE_NEWNET);

	if (!p->spec->linux_->isolate_network ||
	    (is_new && !init_waits_for_hooks(p) && p->process.die_with_parent))
		return false;
	return is_new || !is_in_userns(p);
}

static int isolate_before_mounts(struct init_plan *p, bool *ret_later, struct err *e)
{
	bool hooked = init_waits_for_hooks(p);
	int r;

	if (p->spec->linux_->isolate_network && is_in_userns(p) &&
	    !ns_plan_has_new(p->ns, CLONE_NEWNET)) {
		*ret_later = hooked;
		return hooked ? 0 : new_network(e);
	}
	if (!init_moves_network(p))
		return 0;
	r = open_network(&p->engines_network, e);
	if (r == 0)
		r = new_network(e);
	if (r == 0)
		r = open_network(&p->own_network, e);
	return r == 0 && p->tells_network ?
		       sync_send_fd(p->sync_fd, SYNC_NETWORK, p->own_network, e) :
		       r;
}

/* prestart and createRuntime hooks, with init in the network namespace that the engine knows. */
static int let_hooks_run_in_network(struct init_plan *p, bool isolate_later, struct err *e)
{
	int r = switch_network(p->engines_network, e);

	if (r == 0)
		r = let_hooks_run(p, e);
	if (r == 0)
		r = switch_network(p->own_network, e);
	return r == 0 && isolate_later ? new_network(e) : r;
}

static int run_create_container_hooks(struct init_plan *p, struct err *e)
{
	const struct oci_hooks *h = p->spec->hooks;

	if (!h || h->create_container.n == 0)
		return 0;
	return hooks_run(&h->create_container, "createContainer", p->shared->hook_state,
			 p->bundle, e);
}

static int set_sysctls(struct init_plan *p, struct err *e)
{
	const struct strmap *sysctl = &p->spec->linux_->sysctl;
	_close_ int own = -1;

	if (p->rootfs->prepared || sysctl->n == 0)
		return sysctl_apply(p->rootfs->proc_fd, sysctl, e);
	own = proc_open(e);
	return own < 0 ? own : sysctl_apply(own, sysctl, e);
}

/* A mount namespace that was joined by path has its root already. */
static int build_root(struct init_plan *p, struct err *e)
{
	bool joined = !p->rootfs->prepared, isolate_later = false;
	int r = isolate_before_mounts(p, &isolate_later, e);

	if (r == 0 && !joined)
		r = rootfs_mount(p->rootfs, p->spec, &p->cgroup_view, e);
	if (r == 0)
		r = let_hooks_run_in_network(p, isolate_later, e);
	if (r == 0)
		r = run_create_container_hooks(p, e);
	if (r == 0 && !joined && p->files)
		r = rootfs_files_mount(p->rootfs, p->files, e);
	if (r == 0)
		r = set_sysctls(p, e);
	if (r == 0 && !joined)
		r = rootfs_enter(p->rootfs, p->spec, p->no_pivot, e);
	return r;
}

static int set_up_console(struct init_plan *p, int *ret_slave, struct err *e)
{
	const struct oci_process *process = p->spec->process;
	_close_ int master = -1, slave = -1;
	int r;

	if (!process || !process->terminal) {
		/* Whoever waits at the other end sees that no terminal will come. */
		fd_close(&p->console_fd);
		return 0;
	}
	r = console_open(process->user ? process->user->uid : 0, process->console_size,
			 &master, &slave, e);
	if (r == 0 && p->rootfs->prepared)
		r = rootfs_bind_console(p->rootfs, slave, e);
	if (r == 0)
		r = console_send(p->console_fd, master, e);
	if (r < 0)
		return r;
	fd_close(&p->console_fd);
	/* PID 1 over a program leaves the terminal to the program's own session. */
	if (!p->reaper)
		r = console_attach(slave, e);
	if (p->reaper)
		*ret_slave = take_fd(&slave);
	return r;
}

/* From here on the image is looked at: nothing of the host must be in reach of its links. */
static int let_go_of_host(struct init_plan *p, int slave, struct err *e)
{
	/* The container's own network, which nothing can be looked up in. */
	const int keep[] = { p->sync_fd, p->start_fd, slave, p->own_network };
	int r = switch_network(p->engines_network, e);

	if (r < 0)
		return r;
	p->engines_network = -1;
	p->rootfs->root_fd = -1;
	p->rootfs->proc_fd = -1;
	return process_close_host(&p->process, keep, ARRAY_SIZE(keep), e);
}

static int report_ready(struct init_plan *p, struct err *e)
{
	int r = 0;

	/* What is certain to fail at start fails here already: engines expect it. */
	if (p->process.process)
		r = process_check_program(p->process.process, true, e);
	if (r == 0)
		r = attributes_set_own(p->process.process, p->spec->linux_, e);
	/* From READY on the socket alone tells whether the runtime is there: it may end when it has
	 * said GO, and init must not end with it then. */
	if (r == 0 && !p->process.die_with_parent)
		prctl(PR_SET_PDEATHSIG, 0);
	if (r == 0)
		r = sync_send(p->sync_fd, &(struct sync_msg){ .type = SYNC_READY }, e);
	if (r == 0)
		r = wait_go(p, e);
	return r;
}

static int accept_start(struct init_plan *p, struct err *e)
{
	struct err unused;
	int fd, r;

	for (;;) {
		fd = accept4(p->start_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return err_sys(e, "cannot wait for start");
		if (fd < 0)
			continue;
		if (sync_expect(fd, SYNC_GO, NULL, &unused) == 0)
			break;
		/* A start that was killed, or someone who only looked whether we wait. */
		close(fd);
	}
	/* From here on errors go to who started us. */
	fd_close(&p->sync_fd);
	p->sync_fd = fd;
	r = switch_network(p->own_network, e);
	fd_close(&p->own_network);
	/* Who finds us listening no more, and so running, finds us in the container's network. */
	fd_close(&p->start_fd);
	return r;
}

/* They run when the process has given up its privileges: see process.c. */
static void plan_start_container_hooks(struct init_plan *p)
{
	if (!p->spec->hooks)
		return;
	p->process.hooks = &p->spec->hooks->start_container;
	p->process.hook_state = p->shared->start_state;
}

static void __attribute__((noreturn)) fail(int fd, struct err *e)
{
	struct sync_msg m = { .type = SYNC_FAILED, .err = *e };
	struct err unused;

	sync_send(fd, &m, &unused);
	_exit(1);
}

/* PID 1 of `purple run`: hands signals on, reaps, and ends as the program does. */
static void __attribute__((noreturn))
reap_until_done(pid_t program, const sigset_t *signals)
{
	for (;;) {
		siginfo_t info;
		int status;
		pid_t pid;
		int s = sigwaitinfo(signals, &info);

		if (s > 0 && s != SIGCHLD)
			kill(program, s);
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			if (pid == program)
				_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) :
							    WEXITSTATUS(status));
	}
}

/* PID 1 is a copy of the caller's program: its command line, which names files of the host, is not
 * for the agent to read. The kernel lays the arguments out one after another, and then the
 * environment. */
static void hide_command_line(void)
{
	static const char name[] = "purple-init";
	char *from = program_invocation_name, *to = environ ? environ[0] : NULL;

	if (from && to && to - from > (ptrdiff_t)sizeof(name)) {
		memset(from, 0, (size_t)(to - from));
		memcpy(from, name, sizeof(name));
	}
	prctl(PR_SET_NAME, name);
}

static int fork_program(struct init_plan *p, int slave, struct err *e)
{
	sigset_t all;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	pid = fork();
	if (pid < 0)
		return err_sys(e, "cannot fork the program");
	if (pid == 0) {
		if (setsid() < 0)
			return err_sys(e, "cannot make a session");
		return slave >= 0 ? console_attach(slave, e) : 0;
	}
	hide_command_line();
	/* The program's process reports what goes wrong. A PID 1 that cannot drop its privileges
	 * ends, and with it all others. */
	if (process_drop_all(p->spec->process, e) < 0)
		_exit(1);
	/* The change of ids has cleared it. */
	if (p->process.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	reap_until_done(pid, &all);
}

void init_main(void *arg)
{
	struct init_plan *p = arg;
	struct err e = {};
	int slave = -1, r;

	/* A hook that hangs, or a mount, does not look at the socket. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(p->peer_fd);
	r = init_waits_for_maps(p) ? wait_go(p, &e) : 0;
	if (r == 0)
		r = cgroup_doors_enter(&p->doors, &e);
	if (r == 0)
		r = enter_namespaces(p, &e);
	if (r == 0 && p->test_network)
		r = network_filter_test_here(&e);
	if (r == 0)
		r = build_root(p, &e);
	if (r == 0)
		r = set_up_console(p, &slave, &e);
	if (r == 0)
		r = let_go_of_host(p, slave, &e);
	if (r == 0)
		r = report_ready(p, &e);
	if (r == 0)
		r = accept_start(p, &e);
	if (r == 0 && !p->process.process)
		r = err_set(&e, ERR_CONFIG, EINVAL,
			    "cannot start a container without process in config.json");
	plan_start_container_hooks(p);
	if (r == 0 && p->reaper)
		r = fork_program(p, slave, &e);
	if (r == 0)
		process_exec(&p->process, &e);
	fail(p->sync_fd, &e);
}
