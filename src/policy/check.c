/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one row of the language's table cannot say: rules that join several keys of a map, and
 * what this build can enforce. Pure. The checks are called by parse.c (language.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "policy/language.h"

static bool is_at_or_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static const char *own_path(const char *path)
{
	static const char *const own[] = { "/proc", "/sys", "/dev" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		if (is_at_or_below(path, own[i]))
			return own[i];
	}
	return NULL;
}

/* The node of the map's key, or the map itself: where a message points. */
static const struct yaml_node *node_of(const struct yaml_node *map, const char *key)
{
	const struct yaml_node *n = yaml_get(map, key);

	return n ? n : map;
}

static int check_path(const struct policy_reader *r, const struct yaml_node *map,
		      struct policy_path *p, struct err *e)
{
	const struct yaml_node *at = node_of(map, p->sandbox_path ? "sandbox_path" :
								    "host_path");
	const char *own;

	if (!p->sandbox_path && !p->host_path)
		return yaml_fail(e, r->label, map,
				 "%s: give host_path, sandbox_path or both", r->section);
	if (!p->sandbox_path && !(p->sandbox_path = strdup(p->host_path)))
		return err_oom(e);
	own = own_path(p->sandbox_path);
	if (own)
		return yaml_fail(e, r->label, at,
				 "%s: '%s': %s belongs to the sandbox itself", r->section,
				 yaml_show(p->sandbox_path).s, own);
	return 0;
}

int policy_check_path_map(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e)
{
	struct policy_path *p = base;
	int c = check_path(r, map, p, e);

	if (c == 0 && streq(p->sandbox_path, "/") && p->host_path &&
	    !streq(p->host_path, "/"))
		return yaml_fail(e, r->label, node_of(map, "host_path"),
				 "%s: '%s' cannot take the place of the root directory",
				 r->section, yaml_show(p->host_path).s);
	return c;
}

int policy_check_output_map(const struct policy_reader *r, const struct yaml_node *map,
			    void *base, struct err *e)
{
	struct policy_path *p = base;
	int c = check_path(r, map, p, e);

	if (c == 0 && streq(p->host_path, "/"))
		return yaml_fail(e, r->label, node_of(map, "host_path"),
				 "%s: the host's root directory cannot be an output path",
				 r->section);
	if (c == 0 && streq(p->sandbox_path, "/"))
		return yaml_fail(e, r->label, node_of(map, "sandbox_path"),
				 "%s: the root directory cannot be an output path",
				 r->section);
	return c;
}

/* A path of any of the three lists, for finding one that is given twice. */
struct path_use {
	const char *path;
	struct policy_pos pos;
	size_t order;
};

static int compare_uses(const void *a, const void *b)
{
	const struct path_use *x = a, *y = b;
	int c = strcmp(x->path, y->path);

	if (c == 0)
		c = x->pos.line - y->pos.line;
	if (c == 0)
		c = x->pos.column - y->pos.column;
	return c;
}

static int check_twice(const struct policy_reader *r, const struct policy *p, struct err *e)
{
	size_t n = 0, i, imm = p->filesystem.immutable_paths.n;
	size_t scratch = p->filesystem.scratch_paths.n, out = p->filesystem.output_paths.n;
	_free_ struct path_use *uses = calloc(imm + scratch + out + 1, sizeof(*uses));

	if (!uses)
		return err_oom(e);
	for (i = 0; i < imm; i++)
		uses[n++] = (struct path_use){ p->filesystem.immutable_paths.v[i].sandbox_path,
					       p->filesystem.immutable_paths.v[i].pos };
	for (i = 0; i < scratch; i++)
		uses[n++] = (struct path_use){ p->filesystem.scratch_paths.v[i].name,
					       p->filesystem.scratch_paths.v[i].pos };
	for (i = 0; i < out; i++)
		uses[n++] = (struct path_use){ p->filesystem.output_paths.v[i].sandbox_path,
					       p->filesystem.output_paths.v[i].pos };
	qsort(uses, n, sizeof(*uses), compare_uses);
	for (i = 1; i < n; i++) {
		struct yaml_node at = { .line = uses[i].pos.line,
					.column = uses[i].pos.column };

		if (streq(uses[i].path, uses[i - 1].path))
			return yaml_fail(e, r->label, &at,
					 "%s: the path '%s' is given twice (first "
					 "on line %d)",
					 r->section, yaml_show(uses[i].path).s,
					 uses[i - 1].pos.line);
	}
	return 0;
}

int policy_check_filesystem(const struct policy_reader *r, const struct yaml_node *map,
			    void *base, struct err *e)
{
	struct policy *p = base;
	size_t i;

	for (i = 0; i < p->filesystem.scratch_paths.n; i++) {
		const struct policy_name *s = &p->filesystem.scratch_paths.v[i];
		struct yaml_node at = { .line = s->pos.line, .column = s->pos.column };
		const char *own = own_path(s->name);

		if (own)
			return yaml_fail(e, r->label, &at,
					 "%s.scratch_paths: '%s': %s belongs to "
					 "the sandbox itself",
					 r->section, yaml_show(s->name).s, own);
		if (streq(s->name, "/"))
			return yaml_fail(e, r->label, &at,
					 "%s.scratch_paths: the root directory "
					 "cannot be a scratch path",
					 r->section);
	}
	return check_twice(r, p, e);
}

int policy_check_condition(const struct policy_reader *r, const struct yaml_node *map,
			   void *base, struct err *e)
{
	const struct policy_condition *c = base;
	bool masked = c->op == POLICY_OP_MASKED_EQ || c->op == POLICY_OP_MASKED_NEQ;
	const struct yaml_node *mask = yaml_get(map, "mask");

	if (masked && !mask)
		return yaml_fail(e, r->label, map, "%s: 'mask' is missing", r->section);
	if (!masked && mask)
		return yaml_fail(e, r->label, mask,
				 "%s: 'mask' is for masked_eq and masked_neq only",
				 r->section);
	if (masked && c->mask == 0)
		return yaml_fail(e, r->label, mask, "%s.mask: 0 compares nothing",
				 r->section);
	return 0;
}

int policy_check_network(const struct policy_reader *r, const struct yaml_node *map,
			 void *base, struct err *e)
{
	static const char *const lists[] = { "allow_outgoing", "allow_incoming",
					     "blocked_ips", "blocked_domains" };
	struct policy *p = base;
	bool given = yaml_get(map, "isolated") != NULL, rules = false;
	const struct yaml_node *list;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		list = yaml_get(map, lists[i]);
		if (!list || list->n == 0)
			continue;
		rules = true;
		/* Block lists hold trivially where nothing passes; allow lists would be a lie. */
		if (given && p->network.isolated && i < 2)
			return yaml_fail(e, r->label, list,
					 "%s: 'isolated: true' (line %d) and '%s' "
					 "contradict each other",
					 r->section, p->network.isolated_pos.line,
					 lists[i]);
	}
	if (!given)
		p->network.isolated = !rules;
	list = yaml_get(map, "allow_outgoing");
	if (list && list->n == 0 && !p->network.isolated)
		return yaml_fail(e, r->label, list,
				 "%s.allow_outgoing is empty and would restrict "
				 "nothing: write 'isolated: true', or remove it",
				 r->section);
	return 0;
}

int policy_check_audit(const struct policy_reader *r, const struct yaml_node *map,
		       void *base, struct err *e)
{
	const struct policy *p = base;
	const char *path = p->audit.log_path, *own = path ? own_path(path) : NULL;

	if (path && streq(path, "/"))
		return yaml_fail(e, r->label, node_of(map, "log_path"),
				 "%s.log_path: the root directory is not a file",
				 r->section);
	if (own)
		return yaml_fail(e, r->label, node_of(map, "log_path"),
				 "%s.log_path: '%s': no file can be kept in %s",
				 r->section, yaml_show(path).s, own);
	return 0;
}

int policy_check_alert(const struct policy_reader *r, const struct yaml_node *map,
		       void *base, struct err *e)
{
	const struct policy *p = base;
	const struct strv *command = &p->audit.alert.command;

	if (!command->n && !p->audit.alert.webhook)
		return yaml_fail(e, r->label, map, "%s: give command, webhook or both",
				 r->section);
	if (command->n && command->v[0][0] != '/')
		return yaml_fail(e, r->label, node_of(map, "command")->items[0],
				 "%s.command: '%s' is not an absolute path: no shell looks for it",
				 r->section, yaml_show(command->v[0]).s);
	return 0;
}

int policy_check_budget(const struct policy_reader *r, const struct yaml_node *map,
			void *base, struct err *e)
{
	const struct policy *p = base;

	if (!p->ai_policy.budget.has_max_tokens && !p->ai_policy.budget.has_max_cost)
		return yaml_fail(e, r->label, map,
				 "%s: give max_tokens, max_cost or both", r->section);
	return 0;
}

int policy_check_provider(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e)
{
	const struct policy_provider *p = base;

	if (p->api_key_env && p->api_key_file)
		return yaml_fail(e, r->label, node_of(map, "api_key_file"),
				 "%s: 'api_key_env' and 'api_key_file' contradict each other",
				 r->section);
	return 0;
}

int policy_check_llm_apis(const struct policy_reader *r, const struct yaml_node *map,
			  void *base, struct err *e)
{
	const struct policy *p = base;
	const struct policy_provider *v = p->ai_policy.llm_apis.providers.v;
	size_t i, k;

	for (i = 1; i < p->ai_policy.llm_apis.providers.n; i++) {
		for (k = 0; k < i; k++) {
			struct yaml_node at = { .line = v[i].pos.line,
						.column = v[i].pos.column };

			if (streq(v[i].name, v[k].name))
				return yaml_fail(e, r->label, &at,
						 "%s.providers: '%s' is given "
						 "twice (first on line %d)",
						 r->section, v[i].name, v[k].pos.line);
		}
	}
	return 0;
}

/* Something that a policy asks for, and what it would need. */
struct need {
	bool asked;
	struct policy_pos pos;
	const char *key, *what;
};

static bool is_before(struct policy_pos a, struct policy_pos b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

#define FIRST_POS(list, other) ((list).n ? (list).v[0].pos : (other))

/* What is denied by the network's rules and for LLM calls can be recorded instead, and nothing else
 * yet. */
static int check_audit(const struct policy *p, unsigned int has, struct err *e)
{
	if (p->enforcement != POLICY_AUDIT || !p->network.isolated ||
	    ((has & POLICY_HAS_GATEWAY) && p->ai_policy.llm_apis.pos.line))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "policy %s:%d:%d: enforcement: audit records what rules of network would "
		       "deny, and this network is isolated: this version of Purple enforces all "
		       "else, and would record nothing",
		       p->file, p->enforcement_pos.line, p->enforcement_pos.column);
}

static int check_traces(const struct policy *p, struct err *e)
{
	const __typeof__(p->ebpf_monitoring) *t = &p->ebpf_monitoring;

	if (!t->enabled || p->audit.enabled ||
	    !(t->trace_syscalls || t->trace_files || t->trace_network))
		return 0;
	return err_set(e, ERR_POLICY, EINVAL,
		       "policy %s:%d:%d: ebpf_monitoring: what is traced goes to the log of "
		       "audit, which is not enabled: add 'audit: { enabled: true }'",
		       p->file, t->pos.line, t->pos.column);
}

static int check_recording(const struct policy *p, unsigned int has, struct err *e)
{
	int r = check_audit(p, has, e);

	return r < 0 ? r : check_traces(p, e);
}

int policy_check_enforceable(const struct policy *p, unsigned int has, struct err *e)
{
	static const char filter[] = "the network filter", gateway[] = "the LLM gateway",
			  audit[] = "purple-monitor";
	const __typeof__(p->network) *net = &p->network;
	const __typeof__(p->ai_policy) *ai = &p->ai_policy;
	bool rules = !(has & POLICY_HAS_FILTER), open = rules && !net->isolated;
	bool llm = !(has & POLICY_HAS_GATEWAY), records = !(has & POLICY_HAS_AUDIT);
	const struct need needs[] = {
		{ rules && p->enforcement == POLICY_AUDIT, p->enforcement_pos,
		  "enforcement: audit", filter },
		{ rules && net->allow_outgoing.n, FIRST_POS(net->allow_outgoing, net->pos),
		  "network.allow_outgoing", filter },
		{ rules && net->allow_incoming.n, FIRST_POS(net->allow_incoming, net->pos),
		  "network.allow_incoming", filter },
		{ open && net->blocked_ips.n, FIRST_POS(net->blocked_ips, net->pos),
		  "network.blocked_ips", filter },
		{ open && net->blocked_domains.n, FIRST_POS(net->blocked_domains, net->pos),
		  "network.blocked_domains", filter },
		{ open && net->dns_servers.n, FIRST_POS(net->dns_servers, net->pos),
		  "network.dns_servers", filter },
		{ records && p->audit.enabled,
		  p->audit.enabled_pos.line ? p->audit.enabled_pos : p->audit.pos,
		  "audit", audit },
		{ llm && ai->budget.pos.line, ai->budget.pos, "ai_policy.budget", gateway },
		{ llm && (ai->rate_limits.requests_per_minute ||
			  ai->rate_limits.tokens_per_minute),
		  ai->rate_limits.pos, "ai_policy.rate_limits", gateway },
		{ llm && ai->llm_apis.pos.line, ai->llm_apis.pos, "ai_policy.llm_apis",
		  gateway },
		{ llm && ai->monitoring.log_prompts, ai->monitoring.pos,
		  "ai_policy.monitoring.log_prompts", gateway },
		{ llm && ai->monitoring.log_responses, ai->monitoring.pos,
		  "ai_policy.monitoring.log_responses", gateway },
		{ llm && ai->monitoring.log_tokens, ai->monitoring.pos,
		  "ai_policy.monitoring.log_tokens", gateway },
		{ llm && ai->monitoring.log_costs, ai->monitoring.pos,
		  "ai_policy.monitoring.log_costs", gateway },
		{ llm && ai->security.sensitive_data_scanning, ai->security.pos,
		  "ai_policy.security.sensitive_data_scanning", gateway },
		{ llm && ai->security.prompt_injection_detection, ai->security.pos,
		  "ai_policy.security.prompt_injection_detection", gateway },
		{ records && p->ebpf_monitoring.enabled,
		  p->ebpf_monitoring.enabled_pos.line ? p->ebpf_monitoring.enabled_pos :
							p->ebpf_monitoring.pos,
		  "ebpf_monitoring", audit },
	};
	const struct need *first = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs); i++) {
		if (needs[i].asked && (!first || is_before(needs[i].pos, first->pos)))
			first = &needs[i];
	}
	if (!first)
		return check_recording(p, has, e);
	return err_set(e, ERR_UNSUPPORTED, ENOTSUP,
		       "policy %s:%d:%d: %s needs %s, which %s", p->file, first->pos.line,
		       first->pos.column, first->key, first->what,
		       first->what == filter ?
			       "Purple's own runtime has as root, and others by "
			       "purple-network-hook" :
			       "only Purple's own runtime starts, as root");
}
