// SPDX-License-Identifier: Apache-2.0
/*
 * The configuration of a sandbox with no engine and no image: an empty root, the policy's paths,
 * and the small set of mounts that programs expect. Pure.
 *
 * There is no /sys: programs do without, and it tells much about the machine. A program of uid 0
 * without a user namespace is the machine's root, with the capabilities that both Docker's
 * default and the policy have, and with no_new_privs, the policy's filter and a read-only root.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/merge_parts.h"

#define OCI_VERSION "1.3.0"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What Docker grants a program of uid 0 that asks for nothing. */
static const char *const default_caps[] = {
	"CAP_CHOWN",	   "CAP_DAC_OVERRIDE", "CAP_FOWNER",
	"CAP_FSETID",	   "CAP_KILL",	       "CAP_SETGID",
	"CAP_SETUID",	   "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE",
	"CAP_NET_RAW",	   "CAP_SYS_CHROOT",   "CAP_MKNOD",
	"CAP_AUDIT_WRITE", "CAP_SETFCAP",
};

static int set_text(char **member, const char *text)
{
	*member = strdup(text);
	return *member ? 0 : -ENOMEM;
}

/* NAME=value, in place of an earlier one of that name. */
static int env_set(struct strv *env, const char *entry)
{
	const char *equals = strchr(entry, '=');
	size_t i, n = equals ? (size_t)(equals - entry) + 1 : strlen(entry);

	for (i = env->n; i-- > 0;)
		if (strncmp(env->v[i], entry, n) == 0)
			strv_remove(env, i);
	return strv_add(env, entry);
}

const char *policy_start_dir(const struct policy *p)
{
	if (p->filesystem.working_dir)
		return p->filesystem.working_dir;
	return p->filesystem.scratch_paths.n ? p->filesystem.scratch_paths.v[0].name : "/";
}

static int sandbox_env(const struct policy *p, const struct sandbox_request *rq,
		       struct strv *env)
{
	size_t i;

	if (strv_add(env, "PATH=" DEFAULT_PATH) < 0 ||
	    strv_addf(env, "HOME=%s", policy_start_dir(p)) < 0 ||
	    (rq->terminal && strv_add(env, "TERM=xterm") < 0))
		return -ENOMEM;
	for (i = 0; i < rq->env.n; i++)
		if (env_set(env, rq->env.v[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int sandbox_caps(const struct sandbox_request *rq, struct oci_capabilities *c)
{
	struct strv *const sets[] = { &c->bounding, &c->effective, &c->permitted };
	size_t i, k;

	if (rq->uid != 0 || rq->rootless)
		return 0;
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		for (k = 0; k < ARRAY_SIZE(default_caps); k++)
			if (strv_add(sets[i], default_caps[k]) < 0)
				return -ENOMEM;
	return 0;
}

static int sandbox_process(const struct policy *p, const struct sandbox_request *rq,
			   struct oci_spec *s)
{
	struct oci_process *proc = calloc(1, sizeof(*proc));

	s->process = proc;
	if (!proc)
		return -ENOMEM;
	proc->terminal = rq->terminal;
	proc->no_new_privileges = true;
	proc->user = calloc(1, sizeof(*proc->user));
	proc->capabilities = calloc(1, sizeof(*proc->capabilities));
	if (!proc->user || !proc->capabilities || strv_copy(&rq->args, &proc->args) < 0 ||
	    sandbox_env(p, rq, &proc->env) < 0 ||
	    set_text(&proc->cwd, policy_start_dir(p)) < 0)
		return -ENOMEM;
	proc->user->uid = rq->uid;
	proc->user->gid = rq->gid;
	return sandbox_caps(rq, proc->capabilities);
}

static int sandbox_mounts(struct merge *m, const struct sandbox_request *rq)
{
	/* Group 5 is tty; in a user namespace that maps one group it does not exist. */
	const char *pts = rq->uid == 0 && !rq->rootless ?
				  "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5" :
				  "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620";
	const struct {
		const char *destination, *type, *source, *options;
	} mounts[] = {
		{ "/proc", "proc", "proc", "nosuid,noexec,nodev" },
		{ "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k" },
		{ "/dev/pts", "devpts", "devpts", pts },
		{ "/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k" },
		{ "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev" },
	};
	struct policy_mounts own = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		struct oci_mount *mnt = list_add(&m->spec->mounts);

		if (!mnt)
			return err_oom(m->e);
		if (mount_fill(mnt, mounts[i].destination, mounts[i].type,
			       mounts[i].source, mounts[i].options, m->e) < 0)
			return -ENOMEM;
	}
	r = policy_mounts_make(m, true, &own);
	for (i = 0; r == 0 && i < own.l.n; i++) {
		struct oci_mount *mnt = list_add(&m->spec->mounts);

		if (!mnt) {
			r = err_oom(m->e);
			break;
		}
		*mnt = own.l.v[i];
		own.l.v[i] = (struct oci_mount){ 0 };
	}
	policy_mounts_clear(&own);
	return r;
}

static int sandbox_userns(struct merge *m, const struct sandbox_request *rq)
{
	struct oci_linux *l = m->spec->linux_;
	struct oci_id_mapping *uid, *gid;

	if (!rq->rootless)
		return 0;
	uid = list_add(&l->uid_mappings);
	gid = list_add(&l->gid_mappings);
	if (!uid || !gid)
		return err_oom(m->e);
	*uid = (struct oci_id_mapping){ .container_id = rq->uid,
					.host_id = rq->uid,
					.size = 1 };
	*gid = (struct oci_id_mapping){ .container_id = rq->gid,
					.host_id = rq->gid,
					.size = 1 };
	return merge_add_namespace(m, "user");
}

static int sandbox_linux(struct merge *m, const struct sandbox_request *rq)
{
	static const char *const types[] = { "mount", "pid",	"ipc",
					     "uts",   "cgroup", "network" };
	struct oci_spec *s = m->spec;
	size_t i;

	s->root = calloc(1, sizeof(*s->root));
	s->linux_ = calloc(1, sizeof(*s->linux_));
	if (!s->root || !s->linux_ || set_text(&s->oci_version, OCI_VERSION) < 0 ||
	    set_text(&s->root->path, rq->rootfs) < 0 ||
	    set_text(&s->hostname, rq->hostname ? rq->hostname : m->p->name) < 0 ||
	    (rq->cgroups_path && set_text(&s->linux_->cgroups_path, rq->cgroups_path) < 0))
		return err_oom(m->e);
	s->root->readonly = true;
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (merge_add_namespace(m, types[i]) < 0)
			return -ENOMEM;
	return sandbox_userns(m, rq);
}

static int sandbox_check(const struct policy *p, const struct sandbox_request *rq,
			 struct err *e)
{
	struct policy_pos pos = p->network.isolated_pos;

	if (rq->args.n == 0)
		return err_set(e, ERR_USAGE, EINVAL, "there is no program to run");
	if (p->network.isolated || rq->network)
		return 0;
	if (!pos.line)
		pos = p->network.pos;
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       POLICY_AT
		       "network.isolated: false needs root in 'purple run', since the filter of "
		       "the network is in the kernel; an isolated one does not",
		       policy_at(p, pos));
}

int policy_sandbox_spec(const struct policy *p, const struct sandbox_request *rq,
			const struct merge_host *host, struct oci_spec **ret,
			struct strv *explanations, struct err *e)
{
	_oci_spec_free_ struct oci_spec *s = calloc(1, sizeof(*s));
	struct merge m = { .spec = s, .p = p, .host = host, .why = explanations, .e = e };
	int r;

	if (!s)
		return err_oom(e);
	r = sandbox_check(p, rq, e);
	if (r == 0)
		r = sandbox_linux(&m, rq);
	if (r == 0 && sandbox_process(p, rq, s) < 0)
		r = err_oom(e);
	if (r == 0)
		r = merge_common(&m);
	if (r == 0)
		r = sandbox_mounts(&m, rq);
	if (r == 0)
		*ret = take_ptr(&s);
	return r;
}
