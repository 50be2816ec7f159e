/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create, what is written of the container: its state folder, and the documents that hooks and the
 * listener of its system calls get. Runs in the runtime, in the host's namespaces with the caller's
 * privileges.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "container/create.h"
#include "container/end.h"
#include "container/notify.h"

#define EFFECTIVE_POLICY "io.purple.effective-policy"

/* A profile may be named from the current directory; a reload finds it from any. */
static char *absolute(const char *path)
{
	_free_ char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	return here ? fs_join(here, path) : strdup(path);
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
		to->path = from->path ? absolute(from->path) : NULL;
		to->chosen_by = strdup(from->chosen_by);
		if (!to->name || !to->chosen_by ||
		    strmap_copy(&from->sections, &to->sections) < 0)
			return err_oom(e);
	}
	st->policy_limits = take_ptr(&k->plan.limits);
	st->timeout_seconds = k->plan.timeout_seconds;
	st->timeout_place = take_ptr(&k->plan.timeout_place);
	st->memory_place = take_ptr(&k->plan.memory_place);
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
	st->rootfs = fs_from(k->bundle, path);
	st->created = container_end_time();
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

int create_make_state(struct create *k, struct undo *u, struct err *e)
{
	int r = container_state_create(k->rq->root, k->rq->id, &k->c, e);

	if (r < 0)
		return r;
	undo_push(u, create_undo_state, k);
	log_debug("the state is in %s", k->c.dir);
	undo_push(u, create_undo_hooks, k);
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

int create_fill_shared(struct create *k, struct err *e)
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
