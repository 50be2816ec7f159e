// SPDX-License-Identifier: Apache-2.0
/*
 * Merging a policy into the configuration that an engine asked for. Pure: no privileges, no look
 * at the host (what must be known of it comes in struct merge_host).
 *
 * Theory of operation. The engine's configuration says what the container gets; the policy says
 * what it may have. The outcome grants what both grant:
 *
 *   capabilities   each of the five sets, intersected. no_new_privs always
 *   system calls   the engine's filter stays as it is, the policy's is added beside it, and the
 *                  kernel takes the stricter answer. Without a syscalls section the policy's
 *                  filter is Purple's default profile
 *   resources      the smaller limit. A policy without a limit adds none: it says what it says
 *   files          the root is read-only, and so is every mount that could write to something
 *                  that outlives the container, unless the policy names the place. Private
 *                  memory (tmpfs) of the engine's stays. The policy's own mounts come on top.
 *                  Everything gets nosuid and nodev
 *   devices        the ones that every container has
 *   namespaces     new ones where the engine would share the host's; joined ones stay
 *   network        isolated: see `isolate_network` in oci/spec.h. A device of the host that the
 *                  engine moves in (linux.netDevices) is refused then. Else the rules are
 *                  carried out by who runs the plan (plan.h); here goes what gets round them
 *   scheduling     in real time is refused where the CPU is limited: the limit would not hold
 *
 * The policy's own paths are the one thing a policy can grant: the administrator wrote them. When
 * an annotation adds a second policy to the administrator's, the second one's paths are taken
 * only as far as the first grants them (`above`).
 *
 * What the merge leaves alone: user namespaces and maps, hooks, sysctl (the runtime checks them),
 * the user, rlimits other than the one that exec_once needs, time-outs (not part of a
 * configuration). Merging a policy twice changes nothing but the list of filters.
 */
#include "policy/merge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/merge_parts.h"

int merge_explain(struct merge *m, const char *fmt, ...)
{
	_free_ char *text = NULL;
	va_list ap;
	int r;

	if (!m->why)
		return 0;
	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0) {
		text = NULL;
		return err_oom(m->e);
	}
	return strv_add(m->why, text) < 0 ? err_oom(m->e) : 0;
}

bool path_is_within(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	if (streq(dir, "/"))
		return true;
	return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int merge_seccomp(struct merge *m)
{
	struct oci_seccomp *s = list_add(&m->spec->linux_->policy_seccomp);
	int r;

	if (!s)
		return err_oom(m->e);
	r = policy_compile_seccomp(m->p, s, m->e);
	if (r < 0) {
		m->spec->linux_->policy_seccomp.n--;
		return r;
	}
	r = merge_explain(m, "syscalls: %s, denied calls %s%s",
			  m->p->syscalls.default_deny ?
				  "only what the policy allows" :
				  "Purple's default profile as the policy changes it",
			  m->p->syscalls.kill_on_violation ? "kill the process" :
							     "give EPERM",
			  s->exec_once ? ", no exec after the program itself" : "");
	return r < 0 || !s->exec_once ? r : merge_exec_once(m);
}

int merge_common(struct merge *m)
{
	static int (*const parts[])(struct merge *) = {
		merge_capabilities, merge_network_caps, merge_no_new_privileges,
		merge_groups,	    merge_seccomp,	merge_network_calls,
		merge_resources,    merge_paths,	merge_devices,
		merge_namespaces,   merge_scheduler,
	};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(parts); i++)
		r = parts[i](m);
	return r;
}

static int merge_working_dir(struct merge *m)
{
	const char *dir = m->p->filesystem.working_dir;
	struct oci_process *proc = m->spec->process;
	char *copy;

	if (!dir || !proc || streq_null(proc->cwd, dir))
		return 0;
	copy = strdup(dir);
	if (!copy)
		return err_oom(m->e);
	free(proc->cwd);
	proc->cwd = copy;
	return merge_explain(m, "filesystem: the working directory is '%s'", dir);
}

int policy_merge(struct oci_spec *spec, const struct policy *p, const struct policy *above,
		 const struct merge_host *host, struct strv *explanations, struct err *e)
{
	struct merge m = {
		.spec = spec, .p = p, .above = above, .host = host, .why = explanations, .e = e
	};
	int r;

	r = merge_common(&m);
	if (r == 0)
		r = merge_mounts(&m);
	return r ? r : merge_working_dir(&m);
}
