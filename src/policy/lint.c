/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warnings for policies that are valid and probably do not say what was meant. Pure. Nothing
 * here stops a container: what must not pass is refused by parse.c and check.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/yaml.h"
#include "policy/policy.h"
#include "policy/seccomp_default.h"

struct lint {
	const struct policy *p;
	struct strv *out;
	bool failed; /* out of memory; latches */
};

static void warn(struct lint *l, struct policy_pos pos, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void warn(struct lint *l, struct policy_pos pos, const char *fmt, ...)
{
	char msg[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	if (strv_addf(l->out, "policy %s:%d:%d: %s", l->p->file, pos.line, pos.column,
		      msg) < 0)
		l->failed = true;
}

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++) {
		if (streq(s, *words))
			return true;
	}
	return false;
}

static const struct policy_name *find_name(const policy_names *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		if (streq(l->v[i].name, name))
			return &l->v[i];
	}
	return NULL;
}

static int compare_entries(const void *a, const void *b)
{
	const struct policy_name *const *x = a, *const *y = b;
	int r = strcmp((*x)->name, (*y)->name);

	/* Both point into one array. */
	return r ? r : (*x < *y ? -1 : *x > *y);
}

/* Sorted, since a list may be long. */
static void lint_repeated(struct lint *l, const policy_names *names, const char *key)
{
	_free_ const struct policy_name **sorted = calloc(names->n + 1, sizeof(*sorted));
	_free_ const struct policy_name **first = calloc(names->n + 1, sizeof(*first));
	size_t i;

	if (!sorted || !first) {
		l->failed = true;
		return;
	}
	for (i = 0; i < names->n; i++)
		sorted[i] = &names->v[i];
	qsort(sorted, names->n, sizeof(*sorted), compare_entries);
	for (i = 1; i < names->n; i++) {
		const struct policy_name *before = sorted[i - 1];

		if (!streq(before->name, sorted[i]->name))
			continue;
		first[sorted[i] - names->v] = first[before - names->v] ?
						      first[before - names->v] :
						      before;
	}
	for (i = 0; i < names->n; i++)
		if (first[i])
			warn(l, names->v[i].pos, "%s: '%s' is there already (line %d)",
			     key, yaml_show(names->v[i].name).s, first[i]->pos.line);
}

static void lint_name(struct lint *l)
{
	const char *slash = strrchr(l->p->file, '/');
	const char *file = slash ? slash + 1 : l->p->file;
	size_t len = strlen(l->p->name);

	if (str_has_suffix(file, ".yaml") &&
	    (strncmp(file, l->p->name, len) != 0 || !streq(file + len, ".yaml")))
		warn(l, (struct policy_pos){ 1, 1 },
		     "name: '%s' is not the name of the file without .yaml", l->p->name);
}

static bool is_at_or_below(const char *path, const char *top)
{
	size_t len = streq(top, "/") ? 0 : strlen(top);

	return strncmp(path, top, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static bool is_any_path(const struct policy *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->filesystem.immutable_paths.n; i++) {
		if (is_at_or_below(path, p->filesystem.immutable_paths.v[i].sandbox_path))
			return true;
	}
	for (i = 0; i < p->filesystem.scratch_paths.n; i++) {
		if (is_at_or_below(path, p->filesystem.scratch_paths.v[i].name))
			return true;
	}
	for (i = 0; i < p->filesystem.output_paths.n; i++) {
		if (is_at_or_below(path, p->filesystem.output_paths.v[i].sandbox_path))
			return true;
	}
	return streq(path, "/");
}

static void lint_filesystem(struct lint *l)
{
	static const char *const system[] = { "/etc",  "/usr",	 "/bin",   "/sbin",
					      "/lib",  "/lib32", "/lib64", "/boot",
					      "/dev",  "/proc",	 "/sys",   "/run",
					      "/root", "/var",	 "/home",  NULL };
	const struct policy *p = l->p;
	size_t i;

	for (i = 0; i < p->filesystem.output_paths.n; i++) {
		const struct policy_path *o = &p->filesystem.output_paths.v[i];

		if (is_one_of(o->host_path, system))
			warn(l, o->pos,
			     "filesystem.output_paths: the agent can change the host's '%s'",
			     o->host_path);
	}
	for (i = 0; i < p->filesystem.immutable_paths.n; i++) {
		const struct policy_path *o = &p->filesystem.immutable_paths.v[i];

		if (o->host_path && streq(o->host_path, "/"))
			warn(l, o->pos,
			     "filesystem.immutable_paths: the agent can read all of the "
			     "host's files");
	}
	if (p->filesystem.scratch_paths.n && !p->resources.memory_bytes)
		warn(l, p->filesystem.scratch_paths.v[0].pos,
		     "filesystem.scratch_paths: without resources.memory_limit_bytes they may fill the "
		     "host's memory");
	if (p->filesystem.working_dir && !is_any_path(p, p->filesystem.working_dir))
		warn(l, p->filesystem.working_dir_pos,
		     "filesystem.working_dir: '%s' is below none of "
		     "this policy's paths: purple run does not "
		     "have it",
		     yaml_show(p->filesystem.working_dir).s);
	lint_repeated(l, &p->filesystem.scratch_paths, "filesystem.scratch_paths");
}

/* Calls with which a sandbox could be left or widened; never needed by ordinary programs. */
static const char *const dangerous_calls[] = {
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"mount",
	"umount2",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsmount",
	"fsconfig",
	"mount_setattr",
	"pivot_root",
	"chroot",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"keyctl",
	"add_key",
	"request_key",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"reboot",
	"swapon",
	"swapoff",
	"open_by_handle_at",
	"setns",
	"unshare",
	"iopl",
	"ioperm",
	"quotactl",
	"acct",
	"settimeofday",
	"clock_settime",
	"pidfd_getfd",
	NULL,
};

static void lint_dangerous(struct lint *l, struct policy_pos pos, const char *key,
			   const char *name)
{
	if (is_one_of(name, dangerous_calls))
		warn(l, pos,
		     "%s: '%s' is dangerous: an agent could use it to get round this policy",
		     key, name);
}

static bool has_rule_allow(const struct policy *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		const struct policy_syscall_rule *rule = &p->syscalls.advanced_rules.v[i];

		if (streq(rule->syscall, name) &&
		    (rule->action == POLICY_ALLOW || rule->action == POLICY_LOG))
			return true;
	}
	return false;
}

/* With default_deny: what a list must have for a program to come up at all. */
static void lint_default_deny(struct lint *l)
{
	static const char *const needed[] = { "read", "write",	"mmap",	 "mprotect",
					      "brk",  "openat", "close", NULL };
	const struct policy *p = l->p;
	size_t i;

	for (i = 0; needed[i]; i++) {
		if (!find_name(&p->syscalls.allow, needed[i]) &&
		    !has_rule_allow(p, needed[i]))
			warn(l, p->syscalls.pos,
			     "syscalls.default_deny: '%s' is not in allow; hardly "
			     "any program starts without it",
			     needed[i]);
	}
	if (!find_name(&p->syscalls.allow, "execve") && !has_rule_allow(p, "execve") &&
	    !find_name(&p->syscalls.deny, "execve"))
		warn(l, p->syscalls.pos,
		     "syscalls.default_deny: 'execve' is not in allow: the agent "
		     "starts, and can start no other program");
}

static void lint_rule(struct lint *l, const struct policy_syscall_rule *rule)
{
	size_t i;

	if (rule->action == POLICY_ALLOW || rule->action == POLICY_LOG)
		lint_dangerous(l, rule->pos, "syscalls.advanced_rules", rule->syscall);
	for (i = 0; i < rule->conditions.n; i++) {
		const struct policy_condition *c = &rule->conditions.v[i];
		bool masked = c->op == POLICY_OP_MASKED_EQ || c->op == POLICY_OP_MASKED_NEQ;

		if (masked && (c->value & ~c->mask))
			warn(l, rule->pos,
			     "syscalls.advanced_rules: value 0x%jx has bits outside mask "
			     "0x%jx: the two are never equal",
			     (uintmax_t)c->value, (uintmax_t)c->mask);
	}
}

/* A conditional `allow` adds to what is granted. It restricts only where the call is named plainly
 * too. */
static void lint_idle_allow(struct lint *l, const struct policy_syscall_rule *rule)
{
	const struct policy *p = l->p;

	if (p->syscalls.default_deny || rule->action != POLICY_ALLOW ||
	    !rule->conditions.n || find_name(&p->syscalls.allow, rule->syscall) ||
	    find_name(&p->syscalls.deny, rule->syscall) ||
	    !is_one_of(rule->syscall, seccomp_default_plain))
		return;
	warn(l, rule->pos,
	     "syscalls.advanced_rules: the default profile allows every '%s', so this rule restricts "
	     "nothing: name the call in syscalls.allow too, or write what it must not do as a deny rule",
	     rule->syscall);
}

static void lint_syscalls(struct lint *l)
{
	const struct policy *p = l->p;
	size_t i;

	for (i = 0; i < p->syscalls.allow.n; i++) {
		const struct policy_name *a = &p->syscalls.allow.v[i];

		lint_dangerous(l, a->pos, "syscalls.allow", a->name);
		if (find_name(&p->syscalls.deny, a->name))
			warn(l, a->pos,
			     "syscalls.allow: '%s' is in deny too (line %d), and deny wins",
			     a->name, find_name(&p->syscalls.deny, a->name)->pos.line);
	}
	for (i = 0; i < p->syscalls.advanced_rules.n; i++) {
		lint_rule(l, &p->syscalls.advanced_rules.v[i]);
		lint_idle_allow(l, &p->syscalls.advanced_rules.v[i]);
	}
	if (p->syscalls.default_deny)
		lint_default_deny(l);
	lint_repeated(l, &p->syscalls.allow, "syscalls.allow");
	lint_repeated(l, &p->syscalls.deny, "syscalls.deny");
}

static void lint_capabilities(struct lint *l)
{
	static const char *const dangerous[] = { "CAP_SYS_ADMIN",
						 "CAP_SYS_MODULE",
						 "CAP_SYS_PTRACE",
						 "CAP_SYS_RAWIO",
						 "CAP_SYS_BOOT",
						 "CAP_NET_ADMIN",
						 "CAP_NET_RAW",
						 "CAP_DAC_READ_SEARCH",
						 "CAP_MAC_ADMIN",
						 "CAP_MAC_OVERRIDE",
						 "CAP_BPF",
						 "CAP_PERFMON",
						 "CAP_SYS_TIME",
						 "CAP_SYSLOG",
						 "CAP_MKNOD",
						 "CAP_CHECKPOINT_RESTORE",
						 "CAP_SYS_CHROOT",
						 "CAP_SYS_RESOURCE",
						 NULL };
	const struct policy *p = l->p;
	size_t i;

	for (i = 0; i < p->capabilities.add.n; i++) {
		const struct policy_name *a = &p->capabilities.add.v[i];

		if (is_one_of(a->name, dangerous))
			warn(l, a->pos,
			     "capabilities.add: '%s' is dangerous: an agent could use it to "
			     "get round this policy",
			     a->name);
		if (find_name(&p->capabilities.drop, a->name) ||
		    find_name(&p->capabilities.drop, "ALL"))
			warn(l, a->pos,
			     "capabilities.add: '%s' is dropped too, and drop wins",
			     a->name);
	}
	if (p->capabilities.add.n && !p->capabilities.default_drop)
		warn(l, p->capabilities.add.v[0].pos,
		     "capabilities.add: without default_drop: true "
		     "the agent keeps all that the engine granted, "
		     "and add changes nothing");
	lint_repeated(l, &p->capabilities.add, "capabilities.add");
	lint_repeated(l, &p->capabilities.drop, "capabilities.drop");
}

/* What the merge takes away for the network's sake: merge_network.c. */
static void lint_network_grants(struct lint *l)
{
	static const char *const caps[] = { "CAP_NET_RAW", "CAP_NET_ADMIN", "CAP_BPF",
					    "CAP_SYS_MODULE", NULL };
	static const char *const never[] = { "io_uring_setup", "io_uring_enter",
					     "io_uring_register", "socketcall", NULL };
	static const char *const never_filtered[] = {
		"bpf",	     "setns",	"mount",	  "move_mount", "mount_setattr",
		"open_tree", "fsmount", "open_tree_attr", NULL
	};
	const struct policy *p = l->p;
	bool isolated = p->network.isolated;
	size_t i;

	for (i = 0; i < p->capabilities.add.n && !isolated; i++)
		if (is_one_of(p->capabilities.add.v[i].name, caps))
			warn(l, p->capabilities.add.v[i].pos,
			     "capabilities.add: '%s' is dropped all the same, since the network "
			     "is not isolated",
			     p->capabilities.add.v[i].name);
	for (i = 0; i < p->syscalls.allow.n; i++) {
		const char *name = p->syscalls.allow.v[i].name;

		if (is_one_of(name, never) || (!isolated && is_one_of(name, never_filtered)))
			warn(l, p->syscalls.allow.v[i].pos,
			     "syscalls.allow: '%s' is denied all the same: it gets round what "
			     "holds for the network",
			     name);
	}
}

static void lint_network(struct lint *l)
{
	const struct policy *p = l->p;
	const __typeof__(p->network) *net = &p->network;
	size_t i;

	for (i = 0; i < net->allow_outgoing.n; i++) {
		const struct policy_net_rule *rule = &net->allow_outgoing.v[i];

		if (rule->domain && !strchr(rule->domain, '.'))
			warn(l, rule->pos,
			     "network.allow_outgoing: '%s' has a single label: %s",
			     yaml_show(rule->text).s,
			     rule->wildcard ? "this allows a whole top-level domain" :
					      "what it resolves to depends on the host");
		if (rule->has_address && rule->prefix_len == 0)
			warn(l, rule->pos, "network.allow_outgoing: '%s' is every address",
			     yaml_show(rule->text).s);
	}
	for (i = 0; i < net->blocked_domains.n; i++) {
		if (!strchr(net->blocked_domains.v[i].name, '.'))
			warn(l, net->blocked_domains.v[i].pos,
			     "network.blocked_domains: '%s' has a "
			     "single label: all names that end in it "
			     "are blocked",
			     yaml_show(net->blocked_domains.v[i].name).s);
	}
	if (net->isolated &&
	    (net->blocked_ips.n || net->blocked_domains.n || net->dns_servers.n))
		warn(l, net->pos,
		     "network: isolated lets nothing out: the lists change nothing");
	if (!net->isolated && !net->allow_outgoing.n)
		warn(l, net->pos,
		     "network: without allow_outgoing the agent may talk to everyone who "
		     "is not blocked");
	lint_network_grants(l);
	lint_repeated(l, &net->blocked_domains, "network.blocked_domains");
	lint_repeated(l, &net->dns_servers, "network.dns_servers");
}

/* http:// to another machine than this. */
static bool is_plain(const char *endpoint)
{
	return str_has_prefix(endpoint, "http://") &&
	       !str_has_prefix(endpoint, "http://127.") &&
	       !str_has_prefix(endpoint, "http://[::1]") &&
	       !str_has_prefix(endpoint, "http://localhost");
}

static void lint_providers(struct lint *l)
{
	const __typeof__(l->p->ai_policy.llm_apis.providers) *all =
		&l->p->ai_policy.llm_apis.providers;
	size_t i;

	for (i = 0; i < all->n; i++) {
		const struct policy_provider *v = &all->v[i];
		bool has_key = v->api_key_env || v->api_key_file;

		if (!has_key && v->endpoints.n == 0)
			warn(l, v->pos,
			     "ai_policy.llm_apis.providers: without api_key_env or "
			     "api_key_file calls go out without a key");
		if (has_key && v->endpoints.n && is_plain(v->endpoints.v[0]))
			warn(l, v->pos,
			     "ai_policy.llm_apis.providers: the API key goes over the "
			     "network in the clear: the endpoint is no https");
	}
}

static void lint_ai(struct lint *l)
{
	const __typeof__(l->p->ai_policy) *ai = &l->p->ai_policy;

	if (ai->budget.period && streq(ai->budget.scope, "session"))
		warn(l, ai->budget.pos,
		     "ai_policy.budget: 'period' with scope session: each sandbox "
		     "has a budget of its own anyway");
	if (ai->llm_apis.pos.line && !ai->llm_apis.block_unknown)
		warn(l, ai->llm_apis.pos,
		     "ai_policy.llm_apis: with block_unknown: false the agent may "
		     "call providers that are not listed");
	if (ai->pos.line && !ai->llm_apis.pos.line)
		warn(l, ai->pos,
		     "ai_policy: without llm_apis it holds beside a policy that names "
		     "providers, and alone no sandbox starts with it");
	lint_providers(l);
	if (ai->monitoring.log_prompts || ai->monitoring.log_responses)
		warn(l, ai->monitoring.pos,
		     "ai_policy.monitoring: what the agent and the model say is "
		     "stored, secrets included");
}

int policy_lint(const struct policy *p, struct strv *ret_warnings, struct err *e)
{
	_strv_free_ struct strv out = { 0 };
	struct lint l = { .p = p, .out = &out };

	lint_name(&l);
	if (p->enforcement == POLICY_AUDIT)
		warn(&l, p->enforcement_pos,
		     "enforcement: audit: what the rules of network deny is recorded and let pass; "
		     "all else of the policy is enforced");
	lint_filesystem(&l);
	lint_syscalls(&l);
	lint_capabilities(&l);
	lint_network(&l);
	lint_ai(&l);
	if (l.failed)
		return err_oom(e);
	*ret_warnings = out;
	out = (struct strv){ 0 };
	return 0;
}
