// SPDX-License-Identifier: Apache-2.0
/*
 * Which policies hold for a container, and what comes out of them. Runs in the runtime, before
 * anything is made; reads files, changes nothing.
 *
 * An annotation may come from an untrusted image: it can only name an installed, selectable
 * policy, and that policy is merged after the administrator's, under its rank.
 */
#include "policy/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "policy/audit.h"
#include "policy/find.h"
#include "policy/gateway.h"
#include "policy/merge_parts.h"
#include "policy/network.h"
#include "policy/plain.h"

/* A policy that was chosen and read. */
struct chosen {
	struct policy *policy;
	struct policy_source source;
};

void policy_source_clear(struct policy_source *s)
{
	free(s->name);
	free(s->path);
	free(s->chosen_by);
	strmap_free(&s->sections);
	*s = (struct policy_source){ 0 };
}

static void chosen_clear(struct chosen *c)
{
	policy_free(c->policy);
	policy_source_clear(&c->source);
	*c = (struct chosen){ 0 };
}
#define _chosen_clear_ __attribute__((cleanup(chosen_clear)))

/* Reads c->source.path and checks that all of it can be enforced. */
static int chosen_load(struct chosen *c, const char *name, const char *chosen_by,
		       bool installed, unsigned int has, struct err *e)
{
	int r;

	c->source.name = strdup(name);
	c->source.chosen_by = strdup(chosen_by);
	if (!c->source.name || !c->source.chosen_by)
		return err_oom(e);
	r = installed ? policy_load_installed(c->source.path, &c->policy, e) :
			policy_load(c->source.path, &c->policy, e);
	if (r == 0 && strmap_copy(&c->policy->sections, &c->source.sections) < 0)
		r = err_oom(e);
	return r ? r : policy_check_enforceable(c->policy, has, e);
}

static int choose(const struct policy_dirs *dirs, const char *name, const char *chosen_by,
		  unsigned int has, struct chosen *c, struct err *e)
{
	int r = policy_find(dirs, name, &c->source.path, e);

	if (r == 0)
		r = chosen_load(c, name, chosen_by, true, has, e);
	return r ? err_wrap(e, "%s", chosen_by) : 0;
}

/* Takes over the source. */
static int plan_add_source(struct policy_plan *plan, struct policy_source *s, struct err *e)
{
	struct policy_source *slot = list_add(&plan->sources);

	if (!slot)
		return err_oom(e);
	*slot = *s;
	*s = (struct policy_source){ 0 };
	return 0;
}

/* What the policy limits in a configuration that asks for nothing: the rule for updates. */
static int plan_add_limits(struct policy_plan *plan, const struct policy *p,
			   const struct merge_host *host, struct err *e)
{
	struct oci_linux l = { .resources = plan->limits };
	struct oci_spec asks_nothing = { .linux_ = &l };
	struct merge m = { .spec = &asks_nothing, .p = p, .host = host, .e = e };
	int r = merge_resources(&m);

	plan->limits = l.resources;
	return r;
}

static int plan_merge(struct policy_plan *plan, struct chosen *c,
		      const struct policy *above, const char *bundle, struct err *e)
{
	struct merge_host host = { 0 };
	int r;

	r = merge_host_detect(plan->spec, c->policy, bundle, &host, e);
	if (r == 0)
		r = policy_merge(plan->spec, c->policy, above, &host, &plan->explanations,
				 e);
	if (r == 0)
		r = plan_add_limits(plan, c->policy, &host, e);
	merge_host_clear(&host);
	if (r == 0)
		r = policy_output_dirs(c->policy, above, &plan->output_dirs, e);
	return r ? r : plan_add_source(plan, &c->source, e);
}

/* Marks of a pod's sandbox (pause) container, as CRI engines set them. */
static bool is_kubernetes_sandbox(const struct strmap *annotations)
{
	static const char *const keys[] = { "io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *type = strmap_get(annotations, keys[i]);

		if (type && streq(type, "sandbox"))
			return true;
	}
	return false;
}

/* Where nobody outlives `create` who could end the container after a time. */
static int plan_add_timeout(struct policy_plan *plan, const struct policy *p,
			    bool is_kept, struct err *e)
{
	uint64_t t = p ? p->resources.timeout_seconds : 0;

	if (!t)
		return 0;
	if (!is_kept)
		return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
			       POLICY_AT
			       "resources.session_timeout_seconds holds in 'purple run', and under "
			       "engines that root of the host runs with Purple's own runtime",
			       policy_at(p, p->resources.timeout_pos));
	if (!plan->timeout_seconds || t < plan->timeout_seconds)
		plan->timeout_seconds = t;
	return 0;
}

/* What the caller carries out. */
static unsigned int request_has(const struct policy_request *rq)
{
	return (rq->network_filter ? POLICY_HAS_FILTER : 0) |
	       (rq->gateway ? POLICY_HAS_GATEWAY : 0) | (rq->audit ? POLICY_HAS_AUDIT : 0);
}

static int choose_by_annotation(const struct policy_settings *s,
				const struct policy_request *rq, const char *name,
				struct chosen *c, struct err *e)
{
	bool may = s->selectable_all || strv_contains(&s->selectable, name);

	/* The name first: what is not one is not repeated as one. */
	if (policy_name_is_valid(name) && !may)
		return err_set(e, ERR_POLICY, EINVAL,
			       "annotation " POLICY_ANNOTATION
			       ": policy \"%s\" is not selectable: the "
			       "administrator lists those that are in %s",
			       name, rq->dirs->settings);
	return choose(rq->dirs, name, POLICY_BY_ANNOTATION, request_has(rq), c, e);
}

static int plan_make_plain(struct policy_plan *plan, const struct chosen *admin,
			   const struct chosen *user, unsigned int has, struct err *e)
{
	const struct policy *policies[2];
	size_t n = 0;

	if (admin->policy)
		policies[n++] = admin->policy;
	if (user->policy)
		policies[n++] = user->policy;
	return policy_make_plain(plan->spec, policies, n, has, e);
}

/* The rules of both, unless one of them isolates the container. */
static int plan_add_network(struct policy_plan *plan, const struct policy *admin,
			    const struct policy *user, bool filter, struct err *e)
{
	const struct policy *policies[] = { admin, user };
	size_t i;
	int r = 0;

	if (!filter || plan->spec->linux_->isolate_network)
		return 0;
	for (i = 0; r == 0 && i < ARRAY_SIZE(policies); i++)
		if (policies[i])
			r = policy_network_add(policies[i], &plan->network, e);
	return r || !plan->network.n ?
		       r :
		       policy_network_explain(&plan->network, &plan->explanations, e);
}

/* Where the tightest limits stand that may end the container. */
static int plan_note_places(struct policy_plan *plan, const struct policy *admin,
			    const struct policy *user, struct err *e)
{
	const struct policy *policies[] = { admin, user }, *timeout = NULL, *memory = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		const struct policy *p = policies[i];

		if (p && p->resources.timeout_seconds &&
		    (!timeout ||
		     p->resources.timeout_seconds < timeout->resources.timeout_seconds))
			timeout = p;
		if (p && p->resources.memory_bytes &&
		    (!memory || p->resources.memory_bytes < memory->resources.memory_bytes))
			memory = p;
	}
	if (timeout)
		plan->timeout_place = str_printf("%s:%d", timeout->file,
						 timeout->resources.timeout_pos.line);
	if (memory)
		plan->memory_place = str_printf("%s:%d", memory->file,
						memory->resources.memory_pos.line);
	return (timeout && !plan->timeout_place) || (memory && !plan->memory_place) ?
		       err_oom(e) :
		       0;
}

/* Limits for calls that nobody names would be limits of nothing. */
static bool names_nobody(const struct gateway_config *c)
{
	size_t i;

	for (i = 0; i < c->policies.n; i++)
		if (!c->policies.v[i].any_provider)
			return false;
	return true;
}

static int refuse_nobody(const struct policy *p, struct err *e)
{
	return err_set(e, ERR_POLICY, EINVAL,
		       POLICY_AT
		       "ai_policy: no llm_apis says which providers may be called, and what "
		       "it limits would be no calls of the gateway's",
		       policy_at(p, p->ai_policy.pos));
}

/* Without a gateway there are no LLM calls but those that the network lets pass. */
static int plan_add_gateway(struct policy_plan *plan, const struct policy *admin,
			    const struct policy *user, struct err *e)
{
	const struct policy *policies[] = { admin, user };
	const struct policy *silent = NULL;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(policies); i++) {
		if (!policies[i])
			continue;
		if (policies[i]->ai_policy.pos.line)
			r = policy_gateway_add(policies[i], &plan->gateway,
					       &plan->llm_keys, e);
		else
			silent = policies[i];
	}
	if (r < 0 || !plan->gateway.policies.n)
		return r;
	if (gateway_config_merge(&plan->gateway) < 0)
		return err_oom(e);
	if (!silent && (plan->gateway.providers.n || !plan->gateway.block_unknown))
		return policy_gateway_explain(&plan->gateway, &plan->explanations, e);
	if (!silent && names_nobody(&plan->gateway))
		return refuse_nobody(admin && admin->ai_policy.pos.line ? admin : user, e);
	gateway_config_clear(&plan->gateway);
	policy_llm_keys_clear(&plan->llm_keys);
	if (silent)
		r = strv_addf(&plan->explanations,
			      "llm: %s has no ai_policy: there is no gateway",
			      silent->name);
	else
		r = strv_add(&plan->explanations,
			     "llm: no provider is named by all policies: there is no gateway");
	return r < 0 ? err_oom(e) : 0;
}

/* Each policy that is audited has its log. */
static int plan_add_audit(struct policy_plan *plan, const struct policy *admin,
			  const struct policy *user, struct err *e)
{
	int r = admin ? policy_audit_add(admin, &plan->audit, e) : 0;

	if (r == 0 && user)
		r = policy_audit_add(user, &plan->audit, e);
	return r < 0 ? r : policy_audit_explain(&plan->audit, &plan->explanations, e);
}

/* What the administrator wants to be done besides, whichever policy's budget it is. */
static int plan_add_alerts(struct policy_plan *plan, const struct policy_settings *s,
			   struct err *e)
{
	struct gateway_config *c = &plan->gateway;

	if (!gateway_config_is_set(c))
		return 0;
	if (s->alert_webhook && !(c->alert_webhook = strdup(s->alert_webhook)))
		return err_oom(e);
	return strv_copy(&s->alert_command, &c->alert_command) < 0 ? err_oom(e) : 0;
}

static int plan_fill(const struct policy_request *rq, struct policy_plan *plan,
		     struct err *e)
{
	__attribute__((
		cleanup(policy_settings_clear))) struct policy_settings settings = { 0 };
	_chosen_clear_ struct chosen admin = { 0 }, user = { 0 };
	const char *wanted = strmap_get(&plan->spec->annotations, POLICY_ANNOTATION);
	const char *first = rq->admin_policy;
	int r;

	r = policy_settings_load(rq->dirs->settings, &settings, e);
	if (r < 0 ||
	    (settings.kubernetes && is_kubernetes_sandbox(&plan->spec->annotations)))
		return r;
	if (first)
		r = choose(rq->dirs, first,
			   rq->admin_chosen_by ? rq->admin_chosen_by : "--policy",
			   request_has(rq), &admin, e);
	else if ((first = settings.default_policy))
		r = choose(rq->dirs, first, POLICY_BY_DEFAULT, request_has(rq), &admin, e);
	if (r == 0 && wanted && !(first && streq(first, wanted)))
		r = choose_by_annotation(&settings, rq, wanted, &user, e);
	if (r == 0)
		r = plan_add_timeout(plan, admin.policy, rq->timeout, e);
	if (r == 0)
		r = plan_add_timeout(plan, user.policy, rq->timeout, e);
	if (r == 0 && admin.policy)
		r = plan_merge(plan, &admin, NULL, rq->bundle, e);
	if (r == 0 && user.policy)
		r = plan_merge(plan, &user, admin.policy, rq->bundle, e);
	if (r == 0)
		r = plan_note_places(plan, admin.policy, user.policy, e);
	if (r == 0)
		r = plan_add_network(plan, admin.policy, user.policy, rq->network_filter, e);
	if (r == 0)
		r = plan_add_gateway(plan, admin.policy, user.policy, e);
	if (r == 0)
		r = plan_add_audit(plan, admin.policy, user.policy, e);
	if (r == 0)
		r = plan_add_alerts(plan, &settings, e);
	return r < 0 || !rq->plain ?
		       r :
		       plan_make_plain(plan, &admin, &user, request_has(rq), e);
}

int policy_plan_applies(const struct strmap *annotations, const struct policy_request *rq,
			bool *ret, struct err *e)
{
	__attribute__((
		cleanup(policy_settings_clear))) struct policy_settings settings = { 0 };
	int r = policy_settings_load(rq->dirs->settings, &settings, e);

	if (r < 0)
		return r;
	*ret = (rq->admin_policy || settings.default_policy ||
		strmap_get(annotations, POLICY_ANNOTATION)) &&
	       !(settings.kubernetes && is_kubernetes_sandbox(annotations));
	return 0;
}

int policy_plan_make(const struct oci_spec *spec, const struct policy_request *rq,
		     struct policy_plan *ret, struct err *e)
{
	struct policy_plan plan = { .spec = oci_spec_dup(spec, e) };
	int r;

	if (!plan.spec)
		return -e->code;
	r = plan_fill(rq, &plan, e);
	if (r < 0)
		policy_plan_clear(&plan);
	else
		*ret = plan;
	return r;
}

/* A policy named on the command line: installed, or the caller's own file. */
static int choose_profile(const struct policy_dirs *dirs, const char *profile,
			  unsigned int has, struct chosen *c, struct err *e)
{
	int r;

	if (!strchr(profile, '/') && !str_has_suffix(profile, ".yaml"))
		return choose(dirs, profile, POLICY_BY_PROFILE, has, c, e);
	c->source.path = strdup(profile);
	if (!c->source.path)
		return err_oom(e);
	r = chosen_load(c, profile, POLICY_BY_PROFILE, false, has, e);
	if (r < 0)
		return r;
	free(c->source.name);
	c->source.name = strdup(c->policy->name);
	return c->source.name ? 0 : err_oom(e);
}

static int sandbox_fill(const struct sandbox_request *sandbox, const char *profile,
			const struct policy_dirs *dirs, struct policy_plan *plan,
			struct err *e)
{
	__attribute__((
		cleanup(policy_settings_clear))) struct policy_settings settings = { 0 };
	_chosen_clear_ struct chosen own = { 0 }, admin = { 0 };
	struct merge_host host = { 0 };
	unsigned int has = (sandbox->network ? POLICY_HAS_FILTER : 0) |
			   (sandbox->gateway ? POLICY_HAS_GATEWAY : 0) |
			   (sandbox->audit ? POLICY_HAS_AUDIT : 0);
	const char *first;
	int r;

	r = policy_settings_load(dirs->settings, &settings, e);
	if (r == 0)
		r = choose_profile(dirs, profile, has, &own, e);
	first = settings.default_policy;
	if (r == 0 && first)
		r = choose(dirs, first, POLICY_BY_DEFAULT, has, &admin, e);
	if (r == 0 && first && streq(admin.source.path, own.source.path))
		chosen_clear(&admin); /* named twice: it holds once */
	if (r == 0)
		r = merge_host_detect(NULL, own.policy, NULL, &host, e);
	if (r == 0)
		r = policy_sandbox_spec(own.policy, sandbox, &host, &plan->spec,
					&plan->explanations, e);
	if (r == 0)
		r = plan_add_limits(plan, own.policy, &host, e);
	merge_host_clear(&host);
	if (r < 0)
		return r;
	plan->timeout_seconds = own.policy->resources.timeout_seconds;
	/* With an administrator's policy, its word on the sandbox: what it does not name is
	 * read-only, and its own paths are there too. */
	if (admin.policy) {
		uint64_t t = admin.policy->resources.timeout_seconds;

		if (t && (!plan->timeout_seconds || t < plan->timeout_seconds))
			plan->timeout_seconds = t;
		r = plan_merge(plan, &admin, NULL, NULL, e);
	}
	if (r == 0)
		r = plan_note_places(plan, admin.policy, own.policy, e);
	if (r == 0)
		r = plan_add_network(plan, admin.policy, own.policy, sandbox->network, e);
	if (r == 0)
		r = plan_add_gateway(plan, admin.policy, own.policy, e);
	if (r == 0)
		r = plan_add_audit(plan, admin.policy, own.policy, e);
	if (r == 0)
		r = plan_add_alerts(plan, &settings, e);
	plan->user_network = plan->network.n > 0;
	if (r == 0)
		r = policy_output_dirs(own.policy, admin.policy, &plan->output_dirs, e);
	return r ? r : plan_add_source(plan, &own.source, e);
}

int policy_plan_sandbox(const struct sandbox_request *sandbox, const char *profile,
			const struct policy_dirs *dirs, struct policy_plan *ret,
			struct err *e)
{
	struct policy_plan plan = { 0 };
	int r = sandbox_fill(sandbox, profile, dirs, &plan, e);

	if (r < 0)
		policy_plan_clear(&plan);
	else
		*ret = plan;
	return r;
}

void policy_plan_clear(struct policy_plan *p)
{
	size_t i;

	oci_spec_free(p->spec);
	for (i = 0; i < p->sources.n; i++)
		policy_source_clear(&p->sources.v[i]);
	free(p->sources.v);
	strv_free(&p->explanations);
	strv_free(&p->output_dirs);
	network_policies_clear(&p->network);
	gateway_config_clear(&p->gateway);
	policy_llm_keys_clear(&p->llm_keys);
	audit_config_clear(&p->audit);
	if (p->limits)
		json_clear(&oci_resources_type, p->limits);
	free(p->limits);
	free(p->timeout_place);
	free(p->memory_place);
	*p = (struct policy_plan){ 0 };
}
