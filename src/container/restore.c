/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restore: see checkpoint.h. Runs in the runtime, in the host's namespaces, as root.
 *
 * State folder and groups are made as create makes them, from the bundle's configuration. Then a child
 * enters the groups, gets a mount namespace in which the root file system is where CRIU wants it, and
 * becomes CRIU: whatever it restores is in the container's groups from its first moment. CRIU makes
 * the first process as a sibling of its own, and so as a child of the runtime.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/helper.h"
#include "base/log.h"
#include "container/checkpoint.h"
#include "container/checkpoint_image.h"
#include "container/checkpoint_mounts.h"
#include "container/console.h"
#include "container/create.h"
#include "container/criu.h"
#include "container/process.h"
#include "container/supervise.h"
#include "oci/hooks.h"

#define IMAGE_MAX (16 * 1024 * 1024)
#define MOUNTS_MS 60000
/* In the state folder: where the root file system is for CRIU, which wants a mount of its own. */
#define ROOT_DIR "criu-root"

struct restore {
	struct create k;
	struct criu_request criu;
	struct checkpoint_image image;
	char *root; /* ROOT_DIR's path */
};

static int check(const struct create *k, struct err *e)
{
	_free_ char *named = NULL, *root = NULL;
	int r;

	if (k->plan.sources.n)
		return checkpoint_refuse_policy(k->plan.sources.v[0].name, e);
	named = fs_from(k->bundle, k->spec->root->path);
	if (!named)
		return err_oom(e);
	r = fs_realpath(named, &root, e);
	if (r < 0)
		return err_wrap(e, "root file system '%s'", named);
	if (streq(root, "/"))
		return err_set(e, ERR_CONFIG, EINVAL, "root.path is the host's own root");
	return checkpoint_check(k->spec, e);
}

/* --- in the child that becomes CRIU --- */

static int bind_root(const struct restore *x, struct err *e)
{
	_close_ int fd = -1;

	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return err_sys(e, "cannot change the propagation of '/'");
	if (mount(x->k.c.st.rootfs, x->root, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_sys(e, "cannot bind '%s' on '%s'", x->k.c.st.rootfs, x->root);
	fd = open(x->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", x->root);
	return restore_mount_points(fd, &x->k.c, x->k.spec, e);
}

static int prepare(void *arg, struct err *e)
{
	const struct restore *x = arg;
	const struct create *k = &x->k;
	int flags = CLONE_NEWNS | (k->ns.new_cgroup ? CLONE_NEWCGROUP : 0);
	int r = k->c.st.cgroup ? cgroup_enter(k->c.st.cgroup, 0, false, e) : 0;

	/* CRIU restores no keyrings: what it restores has its own. */
	if (r == 0 && !k->rq->no_new_keyring)
		r = process_new_keyring(k->rq->id, k->spec->process, e);
	if (r == 0 && unshare(flags) < 0)
		r = err_sys(e, "cannot make namespaces for CRIU");
	return r == 0 ? bind_root(x, e) : r;
}

/* --- in the runtime --- */

static int read_image(struct restore *x, struct err *e)
{
	const struct strv *stdio = &x->image.stdio;
	int r = json_read_file(x->criu.images_fd, CHECKPOINT_IMAGE, IMAGE_MAX,
			       &checkpoint_image_type, &x->image, e);

	if (r == 0 && stdio->n != 3)
		r = err_set(e, ERR_CONFIG, EINVAL,
			    "%s: \"stdio\" must have three members", CHECKPOINT_IMAGE);
	for (size_t i = 0; r == 0 && i < stdio->n; i++)
		if (*stdio->v[i])
			r = criu_request_inherit(&x->criu, stdio->v[i], (int)i, e);
	return r;
}

static int network_fd(const struct create *k)
{
	for (size_t i = 0; i < k->ns.joins.n; i++)
		if (k->ns.joins.v[i].flag == CLONE_NEWNET)
			return k->ns.joins.v[i].fd;
	return -1;
}

static int make_request(struct restore *x, struct err *e)
{
	struct create *k = &x->k;
	int r;

	x->root = fs_join(k->c.dir, ROOT_DIR);
	if (!x->root)
		return err_oom(e);
	if (mkdirat(k->c.dirfd, ROOT_DIR, 0700) < 0)
		return err_sys(e, "cannot make '%s'", x->root);
	x->criu.root = x->root;
	x->criu.terminal = k->spec->process && k->spec->process->terminal;
	r = ns_plan_make(k->spec, &k->ns, e);
	if (r == 0 && network_fd(k) >= 0)
		r = criu_request_inherit(&x->criu, CHECKPOINT_NETWORK, CRIU_FD_FIRST, e);
	if (r == 0)
		r = read_image(x, e);
	return r == 0 ? restore_mounts(&k->c, k->spec, &x->criu.external, e) : r;
}

/* What hooks do to the container's namespaces is not in the images. */
static int run_hooks(void *arg, pid_t pid, struct err *e)
{
	struct create *k = &((struct restore *)arg)->k;
	const struct oci_hooks *h = k->spec->hooks;
	_buf_free_ struct buf state = {};
	int r;

	if (!h || (h->prestart.n == 0 && h->create_runtime.n == 0))
		return 0;
	r = container_hook_state(&k->c, "creating", pid, &state, e);
	if (r < 0)
		return r;
	k->hooks_began = true;
	r = hooks_run(&h->prestart, "prestart", state.s, k->bundle, e);
	return r == 0 ? hooks_run(&h->create_runtime, "createRuntime", state.s, k->bundle,
				  e) :
			r;
}

struct attributes {
	const struct checkpoint_image *image;
	int mount_ns;
};

static int set_attributes(const void *arg, int *report, struct err *e)
{
	const struct attributes *a = arg;
	int r;

	if (setns(a->mount_ns, CLONE_NEWNS) < 0)
		return err_sys(e, "cannot enter the container's mount namespace");
	r = restore_attributes(a->image, e);
	if (r < 0)
		return r;
	(void)!helper_report(*report, NULL);
	_exit(EXIT_SUCCESS);
}

static int complete_mounts(const struct restore *x, pid_t pid, struct err *e)
{
	_close_ int mount_ns = -1, report = -1;
	pid_t child = 0;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	mount_ns = open(path, O_RDONLY | O_CLOEXEC);
	if (mount_ns < 0)
		return err_sys(e, "cannot open '%s'", path);
	r = helper_begin(set_attributes, &(struct attributes){ &x->image, mount_ns },
			 &child, &report, e);
	if (r == 0)
		r = helper_await(report, "restore", MOUNTS_MS, e);
	helper_end(&child, &report);
	return r;
}

static bool is_namespace(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* CRIU makes the namespaces that the images have. Those that the configuration asks for must be
 * there: the restored process would share the host's. */
static int check_namespace(const struct create *k, const struct oci_namespace *ns,
			   pid_t pid, struct err *e)
{
	const char *name = streq(ns->type, "network") ? "net" :
			   streq(ns->type, "mount")   ? "mnt" :
							ns->type;
	_close_ int fd = -1;
	char path[64], own[64];
	bool is_right;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
	snprintf(own, sizeof(own), "/proc/self/ns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "cannot open '%s'", path);
	if (ns->path) {
		snprintf(own, sizeof(own), "/proc/self/fd/%d", network_fd(k));
		is_right = is_namespace(fd, own);
	} else {
		/* What cannot be examined is not right either. */
		is_right = access(own, F_OK) == 0 && !is_namespace(fd, own);
	}
	if (is_right)
		return 0;
	return err_set(e, ERR_CONFIG, EINVAL,
		       "linux.namespaces: the images hold no %s namespace as the configuration "
		       "has it",
		       ns->type);
}

/* Before the restored processes run. */
static int complete(void *arg, pid_t pid, struct err *e)
{
	const struct restore *x = arg;
	const struct oci_linux *l = x->k.spec->linux_;
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->namespaces.n; i++)
		/* Of groups: CRIU is started in a new one, and what it restores is in it. */
		if (!streq(l->namespaces.v[i].type, "cgroup"))
			r = check_namespace(&x->k, &l->namespaces.v[i], pid, e);
	return r == 0 ? complete_mounts(x, pid, e) : r;
}

static int send_terminal(const struct create *k, int master, struct err *e)
{
	_close_ int sock = -1;
	int r;

	if (!k->spec->process || !k->spec->process->terminal)
		return 0;
	if (master < 0)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       "the images have no terminal, and process.terminal is true");
	if (k->rq->console_fd >= 0)
		return console_send(k->rq->console_fd, master, e);
	r = console_connect(k->rq->console_socket, &sock, e);
	return r < 0 ? r : console_send(sock, master, e);
}

static int run_criu(struct restore *x, struct err *e)
{
	struct create *k = &x->k;
	_criu_end_ struct criu criu = CRIU_EMPTY;
	_close_ int master = -1;
	const struct criu_start start = {
		.prepare = prepare,
		.arg = x,
		.inherits_stdio = true,
		.fd = network_fd(k),
	};
	const struct criu_restored to = {
		.in_namespaces = run_hooks,
		.before_resume = complete,
		.arg = x,
		.terminal_fd = &master,
	};
	int r = criu_begin(&start, &criu, e);

	if (r == 0)
		r = criu_restore(&criu, &x->criu, &to, &k->pid, e);
	return r == 0 ? send_terminal(k, master, e) : r;
}

static int commit(struct create *k, struct err *e)
{
	int r;

	k->c.st.pid = k->pid;
	k->c.st.pid_start = process_start_time(k->pid);
	r = container_state_save(&k->c, e);
	if (r == 0)
		r = container_run_poststart(&k->c, e);
	return r == 0 ? create_write_pid_file(k->rq->pid_file, k->pid, e) : r;
}

/* CRIU, and what it has restored before it failed. */
static void undo_processes(void *arg)
{
	struct create *k = arg;
	struct err unused;

	if (k->c.st.cgroup)
		cgroup_kill(k->c.st.cgroup, SIGKILL, &unused);
	if (k->pid <= 0)
		return;
	kill(k->pid, SIGKILL);
	while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void restore_clear(struct restore *x)
{
	json_clear(&checkpoint_image_type, &x->image);
	criu_request_clear(&x->criu);
	free(x->root);
	create_clear(&x->k);
}

static int restore(const struct container_create_request *rq,
		   const struct checkpoint_options *o, pid_t *ret_pid, struct err *e)
{
	__attribute__((cleanup(restore_clear))) struct restore x = {
		.k = CREATE_EMPTY(rq),
		.criu = CRIU_REQUEST_EMPTY,
	};
	_undo_ struct undo u = {};
	int r;

	x.criu.options = o;
	r = container_check_id(rq->id, e);
	if (r == 0)
		r = create_make_plan(&x.k, e);
	if (r == 0)
		r = check(&x.k, e);
	if (r == 0)
		r = criu_request_open(&x.criu, false, e);
	if (r == 0)
		r = create_make_state(&x.k, &u, e);
	if (r == 0)
		r = create_make_cgroup(&x.k, &u, e);
	if (r == 0)
		r = make_request(&x, e);
	undo_push(&u, undo_processes, &x.k);
	if (r == 0)
		r = run_criu(&x, e);
	cgroup_holder_end(&x.k.holder);
	if (r == 0)
		r = commit(&x.k, e);
	if (r < 0)
		return r;
	undo_forget(&u);
	unlinkat(x.k.c.dirfd, ROOT_DIR, AT_REMOVEDIR);
	log_debug("container %s is restored, its first process is %d", rq->id, (int)x.k.pid);
	*ret_pid = x.k.pid;
	return 0;
}

static int restore_and_wait(struct container_restore_request *rq, struct supervise *s,
			    int *ret_status, struct err *e)
{
	_close_ int ours = -1, theirs = -1;
	int fds[2], master = -1, r;
	struct err unused;
	pid_t pid = 0;

	if (!rq->create.console_socket) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
			return err_sys(e, "cannot make a console socket");
		ours = fds[0];
		theirs = rq->create.console_fd = fds[1];
	}
	r = restore(&rq->create, &rq->options, &pid, e);
	rq->create.console_fd = -1;
	fd_close(&theirs);
	if (r < 0)
		return r;
	if (ours >= 0 && console_receive(ours, &master, &unused) == 0)
		r = supervise_terminal(s, master, e);
	if (r == 0)
		r = supervise_wait(s, pid, ret_status, e);
	supervise_end(s);
	if (r < 0)
		container_delete(rq->create.root, rq->create.id, true, &unused);
	return r < 0 ? r : container_delete(rq->create.root, rq->create.id, true, e);
}

int container_restore(struct container_restore_request *rq, int *ret_status, struct err *e)
{
	_supervise_end_ struct supervise s = SUPERVISE_EMPTY;
	pid_t pid;
	int r;

	if (rq->detach) {
		*ret_status = 0;
		return restore(&rq->create, &rq->options, &pid, e);
	}
	r = supervise_begin(&s, !rq->no_subreaper, e);
	return r < 0 ? r : restore_and_wait(rq, &s, ret_status, e);
}
