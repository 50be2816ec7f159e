// SPDX-License-Identifier: Apache-2.0
/* The parts of a merge that concern the process: capabilities, no_new_privs, open files. Pure. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "policy/merge_parts.h"
#include "policy/plan.h"

#define CAP_OF_LIMITS "CAP_SYS_RESOURCE"

/* With exec_once: descriptor numbers stay below this, whatever the container does. */
#define EXEC_ONCE_NOFILE_MAX UINT64_C(65534)
#define NOFILE_SOFT_DEFAULT UINT64_C(1024)

static bool cap_is_named(const policy_names *l, const char *cap)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcasecmp(l->v[i].name, cap) == 0 || streq(l->v[i].name, "ALL"))
			return true;
	return false;
}

bool policy_cap_may_stay(const struct policy *p, const char *cap)
{
	if (cap_is_named(&p->capabilities.drop, cap))
		return false;
	return !p->capabilities.default_drop || cap_is_named(&p->capabilities.add, cap);
}

/* Takes a name out of a set; notes it in `dropped` once. */
static int cap_take_out(struct strv *set, size_t at, struct strv *dropped)
{
	int r = 0;

	if (!strv_contains(dropped, set->v[at]))
		r = strv_add(dropped, set->v[at]);
	strv_remove(set, at);
	return r;
}

int merge_caps_filter(struct merge *m,
		      bool (*may_stay)(const struct policy *p, const char *cap),
		      const char *reason)
{
	struct oci_capabilities *c = m->spec->process ? m->spec->process->capabilities :
							NULL;
	_strv_free_ struct strv dropped = { 0 };
	_buf_free_ struct buf text = { 0 };
	size_t i, k;

	if (!c)
		return 0;
	struct strv *const sets[] = { &c->bounding, &c->effective, &c->permitted,
				      &c->inheritable, &c->ambient };
	for (i = 0; i < ARRAY_SIZE(sets); i++)
		for (k = sets[i]->n; k-- > 0;)
			if (!may_stay(m->p, sets[i]->v[k]) &&
			    cap_take_out(sets[i], k, &dropped) < 0)
				return err_oom(m->e);
	if (dropped.n == 0)
		return 0;
	for (i = dropped.n; i-- > 0;)
		buf_addf(&text, "%s%s", dropped.v[i], i ? ", " : "");
	if (text.failed)
		return err_oom(m->e);
	return merge_explain(m, "capabilities: dropped %s (%s)", text.s, reason);
}

int merge_capabilities(struct merge *m)
{
	return merge_caps_filter(m, policy_cap_may_stay,
				 m->p->capabilities.default_drop ?
					 "policy: only what it adds" :
					 "policy: drop");
}

int merge_no_new_privileges(struct merge *m)
{
	struct oci_process *proc = m->spec->process;

	if (!proc || proc->no_new_privileges)
		return 0;
	proc->no_new_privileges = true;
	return merge_explain(m, "process: no_new_privs is set (always, under a policy)");
}

int merge_groups(struct merge *m)
{
	struct strmap *a = &m->spec->annotations;

	if (!strmap_get(a, OCI_KEEP_GROUPS) || streq(strmap_get(a, OCI_KEEP_GROUPS), "0"))
		return 0;
	if (strmap_set(a, OCI_KEEP_GROUPS, "0") < 0)
		return err_oom(m->e);
	return merge_explain(m, "process: the caller's supplementary groups are given up (always, "
				"under a policy)");
}

static bool cap_is_not_of_limits(const struct policy *p, const char *cap)
{
	return strcasecmp(cap, CAP_OF_LIMITS) != 0;
}

static struct oci_rlimit *rlimit_find(struct oci_process *proc, const char *type)
{
	size_t i;

	for (i = 0; i < proc->rlimits.n; i++)
		if (streq_null(proc->rlimits.v[i].type, type))
			return &proc->rlimits.v[i];
	return NULL;
}

/*
 * The program is started through a descriptor whose number the container can never use itself:
 * one above its limit of open files, which only CAP_SYS_RESOURCE could raise.
 */
int merge_exec_once(struct merge *m)
{
	struct oci_process *proc = m->spec->process;
	uint64_t max = EXEC_ONCE_NOFILE_MAX;
	struct oci_rlimit *l;
	int r;

	if (!proc)
		return 0;
	if (m->host->nofile_hard < 4)
		return err_set(m->e, ERR_POLICY, ENOTSUP,
			       POLICY_AT
			       "denying execve needs a limit of open files (RLIMIT_NOFILE) of "
			       "4 or more for the runtime; it is %llu",
			       policy_at(m->p, m->p->syscalls.pos),
			       (unsigned long long)m->host->nofile_hard);
	if (max > m->host->nofile_hard - 1)
		max = m->host->nofile_hard - 1;
	r = merge_caps_filter(m, cap_is_not_of_limits,
			      "policy: it could raise limits, and execve is denied");
	if (r < 0)
		return r;
	l = rlimit_find(proc, "RLIMIT_NOFILE");
	if (l && l->hard <= max)
		return 0;
	if (!l) {
		l = list_add(&proc->rlimits);
		if (!l)
			return err_oom(m->e);
		l->type = strdup("RLIMIT_NOFILE");
		if (!l->type)
			return err_oom(m->e);
		l->soft = NOFILE_SOFT_DEFAULT;
	}
	l->hard = max;
	if (l->soft > max)
		l->soft = max;
	return merge_explain(m, "rlimits: RLIMIT_NOFILE is at most %llu (execve is denied)",
			     (unsigned long long)max);
}

/* Takes out of a set what is not in `allowed`. */
static void set_intersect(struct strv *set, const struct strv *allowed)
{
	size_t i, k;

	for (i = set->n; i-- > 0;) {
		for (k = 0; k < allowed->n; k++)
			if (strcasecmp(set->v[i], allowed->v[k]) == 0)
				break;
		if (k == allowed->n)
			strv_remove(set, i);
	}
}

/*
 * The kernel's quota of a cgroup is for ordinary processes: one that is scheduled in real time
 * runs beyond it.
 */
static int check_realtime(const struct oci_spec *s, const struct oci_process *process,
			  struct err *e)
{
	static const char *const realtime[] = { "SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE" };
	const struct oci_resources *res = s->linux_->resources;
	const struct oci_cpu *cpu = res ? res->cpu : NULL;
	size_t i;

	if (!process || !process->scheduler || !cpu || !cpu->quota.set ||
	    cpu->quota.value <= 0)
		return 0;
	for (i = 0; i < ARRAY_SIZE(realtime); i++)
		if (streq_null(process->scheduler->policy, realtime[i]))
			return err_set(e, ERR_POLICY, EINVAL,
				       "process.scheduler: under a policy, %s is refused where the "
				       "CPU is limited: the limit does not hold for it",
				       realtime[i]);
	return 0;
}

int merge_scheduler(struct merge *m)
{
	return check_realtime(m->spec, m->spec->process, m->e);
}

static bool has_exec_once(const struct oci_spec *s)
{
	size_t i;

	for (i = 0; i < s->linux_->policy_seccomp.n; i++)
		if (s->linux_->policy_seccomp.v[i].exec_once)
			return true;
	return false;
}

static int limit_nofile(const struct oci_spec *effective, struct oci_process *process,
			struct err *e)
{
	const struct oci_rlimit *of_container;
	struct oci_rlimit *l = rlimit_find(process, "RLIMIT_NOFILE");

	of_container = effective->process ?
			       rlimit_find(effective->process, "RLIMIT_NOFILE") :
			       NULL;
	if (!of_container)
		return err_set(e, ERR_POLICY, EINVAL,
			       "execve is denied, and the container has no RLIMIT_NOFILE to hold "
			       "another process to");
	if (!l) {
		l = list_add(&process->rlimits);
		if (!l)
			return err_oom(e);
		l->type = strdup("RLIMIT_NOFILE");
		if (!l->type)
			return err_oom(e);
		l->soft = of_container->soft;
		l->hard = of_container->hard;
	}
	if (l->hard > of_container->hard)
		l->hard = of_container->hard;
	if (l->soft > l->hard)
		l->soft = l->hard;
	return 0;
}

int policy_limit_process(const struct oci_spec *effective, struct oci_process *process,
			 struct err *e)
{
	static const struct strv none = { 0 };
	const struct oci_capabilities *own;
	struct oci_capabilities *c = process->capabilities;
	const struct strv *allowed;
	int r;

	if (effective->linux_->policy_seccomp.n == 0)
		return 0;
	r = check_realtime(effective, process, e);
	if (r < 0)
		return r;
	process->no_new_privileges = true;
	own = effective->process ? effective->process->capabilities : NULL;
	allowed = own ? &own->bounding : &none;
	if (c) {
		set_intersect(&c->bounding, allowed);
		set_intersect(&c->effective, allowed);
		set_intersect(&c->permitted, allowed);
		set_intersect(&c->inheritable, allowed);
		set_intersect(&c->ambient, allowed);
	}
	return has_exec_once(effective) ? limit_nofile(effective, process, e) : 0;
}
