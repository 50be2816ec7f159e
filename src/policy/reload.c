// SPDX-License-Identifier: Apache-2.0
/*
 * The policies of a container that runs, read once more: of them only the network can change. Reads
 * files, changes nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "policy/find.h"
#include "policy/network.h"
#include "policy/plan.h"

/* Who runs `purple run --profile` names files of his own; the others are an administrator's. */
static int load(const struct policy_source *from, struct policy **ret, struct err *e)
{
	return streq(from->chosen_by, POLICY_BY_PROFILE) ||
			       streq(from->chosen_by, POLICY_BY_RELOAD) ?
		       policy_load(from->path, ret, e) :
		       policy_load_installed(from->path, ret, e);
}

static int refuse_isolated(const struct policy *p, struct err *e)
{
	if (!p->network.isolated)
		return 0;
	return err_set(e, ERR_POLICY, EINVAL,
		       "policy %s: its network is isolated: a container that has been started with "
		       "a network keeps it until it ends",
		       p->file);
}

int policy_reload(const struct policy_source *from, network_policies *rules,
		  struct policy_source *ret, struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	int r;

	if (!from->path)
		return err_set(e, ERR_STATE, ENOENT,
			       "policy %s: the state does not say from which file it was read",
			       from->name);
	r = load(from, &p, e);
	if (r == 0)
		r = policy_check_enforceable(p, POLICY_HAS_ALL, e);
	if (r == 0)
		r = refuse_isolated(p, e);
	if (r == 0)
		r = policy_network_add(p, rules, e);
	if (r < 0)
		return r;
	ret->name = strdup(p->name);
	ret->path = strdup(from->path);
	ret->chosen_by = strdup(from->chosen_by);
	ret->sections = p->sections;
	p->sections = (struct strmap){ 0 };
	return ret->name && ret->path && ret->chosen_by ? 0 : err_oom(e);
}

int policy_reload_find(const struct policy_dirs *dirs, const char *policy,
		       struct policy_source *ret, struct err *e)
{
	int r = 0;

	if (strchr(policy, '/') || str_has_suffix(policy, ".yaml")) {
		ret->path = realpath(policy, NULL);
		if (!ret->path)
			return err_set(e, ERR_POLICY, errno, "policy %s: cannot be read: %s",
				       policy, strerror(errno));
	} else {
		r = policy_find(dirs, policy, &ret->path, e);
	}
	if (r < 0)
		return r;
	ret->name = strdup(policy);
	ret->chosen_by = strdup(POLICY_BY_RELOAD);
	return ret->name && ret->chosen_by ? 0 : err_oom(e);
}
