/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, before anything is made: the configuration is read, policies are applied to it, and
 * whatever can be refused is. Runs in the runtime, in the host's namespaces with the caller's
 * privileges, and changes nothing there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "container/create.h"
#include "container/descriptors.h"
#include "container/process.h"
#include "container/usernet.h"
#include "linux/sysctl.h"

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
				     .dirs = &policy_default_dirs,
				     .network_filter = true,
				     .gateway = true,
				     .audit = true,
				     .timeout = geteuid() == 0 && !userns_is_nested() };
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

bool create_joins_mounts(const struct oci_spec *s)
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

	if (!create_joins_mounts(s))
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

	r = k->plan.user_network ? usernet_check(e) : 0;
	if (r == 0)
		r = check_console(k, e);
	if (r == 0 && k->plan.sources.n && k->spec->process)
		r = descriptors_check(k->plan.sources.v[0].name,
				      k->spec->process->terminal, k->rq->preserve_fds, e);
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

int create_make_plan(struct create *k, struct err *e)
{
	int r = load_plan(k, e);

	if (r == 0)
		r = add_listen_fds(k, e);
	return r == 0 ? check_plan(k, e) : r;
}
