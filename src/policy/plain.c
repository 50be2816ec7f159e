// SPDX-License-Identifier: Apache-2.0
/* See plain.h. Pure: used by the policy hook and by `purple policy compile`. */
#include "policy/plain.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/merge_parts.h"
#include "policy/plan.h"
#include "policy/seccomp_fold.h"

#define NETWORK_HOOK "purple-network-hook"
#define BUDGET_HOOK "purple-budget-hook"

static int refuse(const struct policy *p, struct policy_pos pos, const char *what,
		  struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       POLICY_AT "%s cannot be expressed in a plain OCI configuration: use "
				 "'purple run', or the policy itself with purple-runtime",
		       policy_at(p, pos), what);
}

static struct policy_pos exec_pos(const struct policy *p)
{
	size_t i;

	for (i = 0; i < p->syscalls.deny.n; i++)
		if (str_has_prefix(p->syscalls.deny.v[i].name, "execve"))
			return p->syscalls.deny.v[i].pos;
	return p->syscalls.pos;
}

/* Where a policy speaks of a call; where it speaks of calls at all if it does not name it. */
static struct policy_pos call_pos(const struct policy *p, const char *name, bool *ret_named)
{
	const policy_names *lists[] = { &p->syscalls.deny, &p->syscalls.allow };
	size_t i, k;

	*ret_named = true;
	for (i = 0; i < p->syscalls.advanced_rules.n; i++)
		if (streq(p->syscalls.advanced_rules.v[i].syscall, name))
			return p->syscalls.advanced_rules.v[i].pos;
	for (i = 0; i < ARRAY_SIZE(lists); i++)
		for (k = 0; k < lists[i]->n; k++)
			if (streq(lists[i]->v[k].name, name))
				return lists[i]->v[k].pos;
	*ret_named = false;
	return p->syscalls.pos;
}

static int refuse_call(const struct policy *const *policies, size_t n, const char *call,
		       struct err *e)
{
	const struct policy *p = policies[0];
	_free_ char *what = str_printf("syscalls: the rules for '%s', together with those of "
				       "the engine's profile,",
				       call);
	bool named = false;
	struct policy_pos pos;
	size_t i;

	if (!what)
		return err_oom(e);
	for (i = 0; i < n && !named; i++) {
		pos = call_pos(policies[i], call, &named);
		if (named)
			p = policies[i];
	}
	pos = call_pos(p, call, &named);
	return refuse(p, pos, what, e);
}

static int fold_seccomp(struct oci_linux *l, const struct policy *const *policies,
			size_t n, struct err *e)
{
	struct seccomp_fault fault = { .call = "" };
	struct oci_seccomp *folded;
	size_t i;
	int r;

	/* A filter's policy is the one of its place, or of a merge before ours (then also). */
	for (i = 0; i < l->policy_seccomp.n; i++)
		if (l->policy_seccomp.v[i].exec_once)
			return refuse(policies[i < n ? i : n - 1],
				      exec_pos(policies[i < n ? i : n - 1]),
				      "syscalls: starting the agent and refusing every later "
				      "execve",
				      e);
	folded = calloc(1, sizeof(*folded));
	if (!folded)
		return err_oom(e);
	r = seccomp_fold_all(l->policy_seccomp.v, l->policy_seccomp.n, l->seccomp, folded,
			     &fault);
	if (r < 0) {
		free(folded);
		return r == -E2BIG ? refuse_call(policies, n, fault.call, e) : err_oom(e);
	}
	if (l->seccomp)
		json_clear(&oci_seccomp_type, l->seccomp);
	free(l->seccomp);
	l->seccomp = folded;
	for (i = 0; i < l->policy_seccomp.n; i++)
		json_clear(&oci_seccomp_type, &l->policy_seccomp.v[i]);
	free(l->policy_seccomp.v);
	l->policy_seccomp.v = NULL;
	l->policy_seccomp.n = 0;
	return 0;
}

static size_t count_hooks(const oci_hooks_list *l, const char *program)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++) {
		const char *slash = l->v[i].path ? strrchr(l->v[i].path, '/') : NULL;

		n += slash && streq(slash + 1, program);
	}
	return n;
}

static size_t count_own_hooks(const oci_hooks_list *l)
{
	return count_hooks(l, NETWORK_HOOK) + count_hooks(l, BUDGET_HOOK);
}

bool policy_has_network_hook(const struct oci_spec *s)
{
	const struct oci_hooks *h = s->hooks;

	return h && count_hooks(&h->create_runtime, NETWORK_HOOK);
}

bool policy_has_other_hooks(const struct oci_spec *s)
{
	const struct oci_hooks *h = s->hooks;

	return h && (h->prestart.n ||
		     h->create_runtime.n > count_own_hooks(&h->create_runtime));
}

bool policy_has_budget_hook(const struct oci_spec *s)
{
	const struct oci_hooks *h = s->hooks;

	return h && count_hooks(&h->create_runtime, BUDGET_HOOK);
}

/* The engine plugs its network into the namespace that it names; the container gets another one.
 * Hooks that are told of the container would find that one. */
static int isolate_network(struct oci_spec *s, const struct policy *const *policies,
			   size_t n, struct err *e)
{
	struct oci_linux *l = s->linux_;
	const struct policy *p = policies[0];
	size_t i;

	for (i = 0; i < n; i++)
		if (policies[i]->network.isolated)
			p = policies[i];
	if (policy_has_other_hooks(s))
		return refuse(p,
			      p->network.isolated_pos.line ? p->network.isolated_pos :
							     p->network.pos,
			      "network.isolated beside prestart and createRuntime hooks, "
			      "which may plug a network into the container,",
			      e);
	for (i = 0; i < l->namespaces.n; i++) {
		if (!streq(l->namespaces.v[i].type, "network"))
			continue;
		free(l->namespaces.v[i].path);
		l->namespaces.v[i].path = NULL;
	}
	l->isolate_network = false;
	return 0;
}

/*
 * Other runtimes leave the rule of a standard device out when the configuration has a node of its own
 * for it, and the merge took the engine's rules for more than those devices. Its nodes are all of
 * the standard kind.
 */
static int allow_devices(struct oci_linux *l, struct err *e)
{
	size_t i;

	if (!l->resources)
		return 0;
	for (i = 0; i < l->devices.n; i++) {
		const struct oci_device *d = &l->devices.v[i];
		struct oci_device_cgroup *rule;

		if (streq(d->type, "p"))
			continue;
		rule = list_add(&l->resources->devices);
		if (!rule)
			return err_oom(e);
		rule->allow = true;
		rule->major = d->major;
		rule->minor = d->minor;
		rule->type = strdup("c");
		rule->access = strdup("rwm");
		if (!rule->type || !rule->access)
			return err_oom(e);
	}
	return 0;
}

/* One option a string: what the merge found among several in one, others take for the file system's
 * data, and a bind has none. */
static int split_options(struct oci_spec *s, struct err *e)
{
	size_t i;

	for (i = 0; i < s->mounts.n; i++) {
		struct oci_mount *m = &s->mounts.v[i];
		struct strv words = { 0 };

		if (oci_mount_words(m, &words) < 0) {
			strv_free(&words);
			return err_oom(e);
		}
		strv_free(&m->options);
		m->options = words;
	}
	return 0;
}

int policy_make_plain(struct oci_spec *s, const struct policy *const *policies, size_t n,
		      unsigned int has, struct err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; i < n; i++)
		if (policies[i]->resources.timeout_seconds)
			return refuse(policies[i], policies[i]->resources.timeout_pos,
				      "resources.session_timeout_seconds", e);
	for (i = 0; r == 0 && i < n; i++)
		r = policy_check_enforceable(policies[i], has, e);
	if (r == 0 && n && s->linux_->isolate_network)
		r = isolate_network(s, policies, n, e);
	if (r == 0)
		r = allow_devices(s->linux_, e);
	if (r == 0)
		r = split_options(s, e);
	if (r == 0 && s->linux_->policy_seccomp.n)
		r = fold_seccomp(s->linux_, policies, n, e);
	return r;
}
