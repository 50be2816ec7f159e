// SPDX-License-Identifier: Apache-2.0
/* See learn.h. Pure. */
#include "policy/learn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

#include "base/fd.h"
#include "network/reserved.h"
#include "policy/learn_paths.h"
#include "policy/merge.h"
#include "policy/merge_parts.h"
#include "policy/seccomp_default.h"
#include "policy/seccomp_rules.h"
#include "policy/values.h"

#define MIB (UINT64_C(1) << 20)

/* Where a section is that the base has not. */
static const struct policy_pos here = { 1, 1 };

typedef __typeof__(((struct policy *)NULL)->filesystem.output_paths) policy_paths;

/* --- what was seen --- */

static void clear_host(struct policy_seen_host *h)
{
	free(h->name);
}

void policy_seen_clear(struct policy_seen *s)
{
	strv_free(&s->calls);
	strv_free(&s->read);
	strv_free(&s->written);
	for (size_t i = 0; i < s->hosts.n; i++)
		clear_host(&s->hosts.v[i]);
	free(s->hosts.v);
	for (size_t i = 0; i < s->bound.n; i++)
		clear_host(&s->bound.v[i]);
	free(s->bound.v);
	for (size_t i = 0; i < s->models.n; i++) {
		free(s->models.v[i].provider);
		free(s->models.v[i].model);
	}
	free(s->models.v);
	*s = (struct policy_seen){};
}

static bool is_same_host(const struct policy_seen_host *a, const struct policy_seen_host *b)
{
	if (a->port != b->port || a->protocol != b->protocol || !a->name != !b->name)
		return false;
	if (a->name)
		return streq(a->name, b->name);
	return a->family == b->family &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

int policy_seen_add_host(struct policy_seen *s, const struct policy_seen_host *host,
			 bool is_bound)
{
	__typeof__(s->hosts) *l = is_bound ? (__typeof__(s->hosts) *)&s->bound : &s->hosts;
	struct policy_seen_host *h;

	for (size_t i = 0; i < l->n; i++)
		if (is_same_host(&l->v[i], host))
			return 0;
	h = list_add(l);
	if (!h)
		return -ENOMEM;
	*h = *host;
	h->name = host->name ? strdup(host->name) : NULL;
	return !host->name || h->name ? 0 : -ENOMEM;
}

int policy_seen_add_model(struct policy_seen *s, const char *provider, const char *model)
{
	struct policy_seen_model *m;

	for (size_t i = 0; i < s->models.n; i++)
		if (streq(s->models.v[i].provider, provider) &&
		    streq(s->models.v[i].model, model))
			return 0;
	m = list_add(&s->models);
	if (!m)
		return -ENOMEM;
	m->provider = strdup(provider);
	m->model = strdup(model);
	return m->provider && m->model ? 0 : -ENOMEM;
}

void policy_learned_clear(struct policy_learned *l)
{
	free(l->notes.v);
	strv_free(&l->sensitive);
	strv_free(&l->texts);
	*l = (struct policy_learned){};
}

/* Behind the value, and, where `sensitive`, for the person. */
static int add_note(struct policy_learned *l, const char *key, const char *value,
		    const char *text, bool sensitive)
{
	struct policy_note *n = list_add(&l->notes);
	const char *const parts[] = { key, value ? value : "", text };
	size_t first = l->texts.n;

	if (!n)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strv_add(&l->texts, parts[i]) < 0)
			return -ENOMEM;
	*n = (struct policy_note){ l->texts.v[first], value ? l->texts.v[first + 1] : NULL,
				   l->texts.v[first + 2] };
	if (sensitive &&
	    strv_addf(&l->sensitive, "%s: %s: %s", key, value ? value : "", text) < 0)
		return -ENOMEM;
	return 0;
}

/* --- lists of a policy --- */

static int add_name(policy_names *l, const char *name)
{
	struct policy_name *n = list_add(l);

	if (!n)
		return -ENOMEM;
	n->pos = here;
	n->name = strdup(name);
	return n->name ? 0 : -ENOMEM;
}

static void clear_names(policy_names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (policy_names){};
}

static int add_rule(policy_net_rules *l, const char *text, enum value_net_form form)
{
	struct policy_net_rule *rule = list_add(l);
	struct fault f;

	if (!rule)
		return -ENOMEM;
	*rule = (struct policy_net_rule){};
	if (value_net_rule(text, form, rule, &f) < 0)
		return -EINVAL;
	rule->pos = here;
	if (!rule->text)
		rule->text = strdup(text);
	return rule->text ? 0 : -ENOMEM;
}

static void clear_rules(policy_net_rules *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].domain);
	}
	free(l->v);
	*l = (policy_net_rules){};
}

static void clear_paths(policy_paths *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].host_path);
		free(l->v[i].sandbox_path);
	}
	free(l->v);
	*l = (policy_paths){};
}

/* --- while it is learnt --- */

static const char *const private_ranges[] = { "10.0.0.0/8",	"172.16.0.0/12",
					      "192.168.0.0/16", "100.64.0.0/10",
					      "fc00::/7",	"64:ff9b::/96" };

/* How a prefix and the rules' addresses lie to each other. */
enum overlap {
	APART,
	AROUND,
	INSIDE
}; /* none; some rule is a part of it; it is a part of a rule */

static enum overlap overlap_of(const policy_net_rules *l, const struct policy_net_rule *x)
{
	enum overlap found = APART;

	for (size_t i = 0; i < l->n; i++) {
		const struct policy_net_rule *rule = &l->v[i];

		if (!rule->has_address || rule->family != x->family)
			continue;
		if (rule->prefix_len <= x->prefix_len &&
		    network_has_prefix(rule->address, x->address, rule->prefix_len))
			return INSIDE;
		if (network_has_prefix(rule->address, x->address, x->prefix_len))
			found = AROUND;
	}
	return found;
}

static int block_prefix(struct policy *p, const struct policy_net_rule *x)
{
	char address[INET6_ADDRSTRLEN];
	_free_ char *text = NULL;

	inet_ntop(x->family, x->address, address, sizeof(address));
	text = str_printf("%s/%u", address, x->prefix_len);
	return text ? add_rule(&p->network.blocked_ips, text, VALUE_NET_ADDRESSES) :
		      -ENOMEM;
}

/* All of the prefix but what the base's rules name: half by half, on the way to them. */
static int block_the_rest(struct policy *p, const struct policy_net_rule *range)
{
	struct policy_net_rule x = *range;
	int r = 0;

	switch (overlap_of(&p->network.allow_outgoing, &x)) {
	case APART:
		return block_prefix(p, &x);
	case INSIDE:
		return 0;
	case AROUND:
		break;
	}
	x.prefix_len++;
	r = block_the_rest(p, &x);
	x.address[(x.prefix_len - 1) / 8] ^= (uint8_t)(0x80 >> (x.prefix_len - 1) % 8);
	return r < 0 ? r : block_the_rest(p, &x);
}

static int block_range(struct policy *p, const char *range)
{
	struct policy_net_rule x = {};
	struct fault f;
	int r;

	/* They are well-formed: without memory alone this fails. */
	if (value_net_rule(range, VALUE_NET_ADDRESSES, &x, &f) < 0)
		return -ENOMEM;
	r = block_the_rest(p, &x);
	free(x.text);
	free(x.domain);
	return r;
}

static int open_network(struct policy *p)
{
	__typeof__(p->network) *net = &p->network;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(private_ranges); i++)
		r = block_range(p, private_ranges[i]);
	/* A name that is blocked makes the forwarder of names come, which tells what was asked for. */
	if (r == 0 && net->blocked_domains.n == 0)
		r = add_name(&net->blocked_domains, "learn.invalid");
	clear_rules(&net->allow_outgoing);
	net->isolated = false;
	net->pos = here;
	p->enforcement = POLICY_ENFORCE;
	return r;
}

/* The base's own grants stay beside the default profile's. */
static int open_calls(struct policy *p)
{
	p->syscalls.default_deny = false;
	p->syscalls.pos = here;
	return 0;
}

static int record_all(struct policy *p)
{
	p->audit.enabled = true;
	p->audit.pos = here;
	clear_names(&p->audit.detail_level);
	p->ebpf_monitoring.enabled = true;
	p->ebpf_monitoring.pos = here;
	p->ebpf_monitoring.trace_files = true;
	p->ebpf_monitoring.trace_network = true;
	p->ebpf_monitoring.trace_syscalls = true;
	return 0;
}

int policy_learn_begin(struct policy *base, bool network, struct err *e)
{
	int r = network ? open_network(base) : 0;

	if (r == 0)
		r = open_calls(base);
	if (r == 0)
		r = record_all(base);
	return r < 0 ? err_oom(e) : 0;
}

/* --- system calls --- */

static enum policy_op op_of(enum cond_op op)
{
	static const enum policy_op ops[] = { [COND_EQ] = POLICY_OP_EQ,
					      [COND_NE] = POLICY_OP_NEQ,
					      [COND_LE] = POLICY_OP_LTE,
					      [COND_GE] = POLICY_OP_GTE,
					      [COND_MASKED_EQ] = POLICY_OP_MASKED_EQ };

	return ops[op];
}

/* One rule for each form of the call that was allowed. */
static int add_forms(struct policy *p, const char *call, const struct dnf *forms)
{
	for (size_t i = 0; i < forms->n; i++) {
		struct policy_syscall_rule *rule = list_add(&p->syscalls.advanced_rules);

		if (!rule)
			return -ENOMEM;
		*rule = (struct policy_syscall_rule){ .pos = here, .action = POLICY_ALLOW };
		rule->syscall = strdup(call);
		if (!rule->syscall)
			return -ENOMEM;
		for (size_t k = 0; k < forms->v[i].n; k++) {
			const struct cond *from = &forms->v[i].v[k];
			struct policy_condition *to = list_add(&rule->conditions);

			if (!to)
				return -ENOMEM;
			*to = (struct policy_condition){ .arg = from->arg,
							 .op = op_of(from->op),
							 .value = from->value,
							 .mask = from->mask };
		}
	}
	return 0;
}

static void clear_syscall_rules(struct policy *p)
{
	for (size_t i = 0; i < p->syscalls.advanced_rules.n; i++) {
		free(p->syscalls.advanced_rules.v[i].syscall);
		free(p->syscalls.advanced_rules.v[i].conditions.v);
	}
	free(p->syscalls.advanced_rules.v);
	p->syscalls.advanced_rules = (__typeof__(p->syscalls.advanced_rules)){};
}

static int add_call(struct policy *p, const struct oci_seccomp *granted, const char *call)
{
	_dnf_clear_ struct dnf forms = {};
	int r = seccomp_granted(granted, call, &forms);

	if (r < 0 || dnf_is_false(&forms))
		return r;
	return dnf_is_true(&forms) ? add_name(&p->syscalls.allow, call) :
				     add_forms(p, call, &forms);
}

static int learn_calls(struct policy *p, const struct policy *while_learning,
		       const struct policy_seen *seen, struct err *e)
{
	struct oci_seccomp granted = {};
	int r;

	if (seen->calls.n == 0)
		return 0;
	r = policy_compile_seccomp(while_learning, &granted, e);
	if (r < 0)
		return r;
	clear_names(&p->syscalls.allow);
	clear_names(&p->syscalls.deny);
	clear_syscall_rules(p);
	p->syscalls.default_deny = true;
	p->syscalls.pos = here;
	/* The agent's own start is the only one. */
	if (granted.exec_once)
		r = add_name(&p->syscalls.deny, "execve");
	for (size_t i = 0; r == 0 && i < seen->calls.n; i++)
		r = add_call(p, &granted, seen->calls.v[i]);
	json_clear(&oci_seccomp_type, &granted);
	if (r == -E2BIG)
		return err_set(e, ERR_POLICY, E2BIG,
			       "syscalls: the conditions are too complex to be learnt");
	return r < 0 ? err_oom(e) : 0;
}

/* --- files --- */

/* Where programs and their libraries are: the next run may need another one of them, and the
 * kernel opens some of them itself. */
static const char *const program_paths[] = { "/usr",   "/bin",	  "/sbin",   "/lib",
					     "/lib32", "/lib64",  "/libx32", "/opt",
					     "/nix",   "/etc/ssl" };

static bool is_of_programs(const char *path)
{
	for (size_t i = 0; i < ARRAY_SIZE(program_paths); i++)
		if (path_is_within(path, program_paths[i]))
			return true;
	return false;
}

/* A path in the sandbox that is at or below the one of `from`, with its place on the host. */
static int add_path(policy_paths *l, const struct policy_path *from, const char *path,
		    struct policy_learned *ret)
{
	const char *why = policy_path_is_sensitive(path), *host = from->host_path;
	struct policy_path *to = list_add(l);
	int r = 0;

	if (!to)
		return -ENOMEM;
	*to = (struct policy_path){ .pos = here, .sandbox_path = strdup(path) };
	if (host)
		to->host_path = str_printf("%s%s", streq(host, "/") ? "" : host,
					   path + (streq(from->sandbox_path, "/") ?
							   0 :
							   strlen(from->sandbox_path)));
	if (!to->sandbox_path || (host && !to->host_path))
		return -ENOMEM;
	if (why)
		r = add_note(ret, "filesystem.immutable_paths",
			     to->host_path ? to->host_path : path, why, true);
	return r;
}

static bool is_used(const struct strv *l, const char *dir)
{
	for (size_t i = 0; i < l->n; i++)
		if (path_is_within(l->v[i], dir))
			return true;
	return false;
}

/* What of the base's path the agent read. */
static int narrow(policy_paths *l, const struct policy_path *from,
		  const struct policy_seen *seen, const char *cwd,
		  struct policy_learned *ret)
{
	_strv_free_ struct strv paths = {};
	int r = 0;

	if (is_of_programs(from->sandbox_path))
		return add_path(l, from, from->sandbox_path, ret);
	r = paths_generalize(from->sandbox_path, &seen->read, &paths);
	/* The agent starts there. */
	if (r == 0 && path_is_within(cwd, from->sandbox_path) && !is_used(&paths, cwd))
		r = strv_add(&paths, cwd);
	for (size_t i = 0; r == 0 && i < paths.n; i++)
		r = add_path(l, from, paths.v[i], ret);
	return r;
}

static int learn_read(struct policy *p, const struct policy_seen *seen, const char *cwd,
		      struct policy_learned *ret)
{
	policy_paths *const fixed = (policy_paths *)&p->filesystem.immutable_paths;
	policy_paths l = {};
	int r = 0;

	for (size_t i = 0; r == 0 && i < fixed->n; i++)
		r = narrow(&l, &fixed->v[i], seen, cwd, ret);
	clear_paths(fixed);
	*fixed = l;
	return r;
}

/* One that was only read is read-only from now on. */
static int learn_written(struct policy *p, const struct policy_seen *seen,
			 const char *cwd, struct policy_learned *ret)
{
	policy_paths *const fixed = (policy_paths *)&p->filesystem.immutable_paths,
			    *const output = &p->filesystem.output_paths;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < output->n; i++) {
		struct policy_path x = output->v[i];

		if (r == 0 && is_used(&seen->written, x.sandbox_path)) {
			output->v[n++] = x;
			continue;
		}
		if (r == 0 && (is_used(&seen->read, x.sandbox_path) ||
			       path_is_within(cwd, x.sandbox_path)))
			r = add_path(fixed, &x, x.sandbox_path, ret);
		free(x.host_path);
		free(x.sandbox_path);
	}
	output->n = n;
	return r;
}

static void learn_scratch(struct policy *p, const struct policy_seen *seen, const char *cwd)
{
	policy_names *l = &p->filesystem.scratch_paths;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const char *dir = l->v[i].name;

		if (is_used(&seen->read, dir) || is_used(&seen->written, dir) ||
		    path_is_within(cwd, dir))
			l->v[n++] = l->v[i];
		else
			free(l->v[i].name);
	}
	l->n = n;
}

static int learn_files(struct policy *p, const struct policy_seen *seen,
		       struct policy_learned *ret)
{
	_free_ char *cwd = NULL;
	int r;

	if (seen->read.n + seen->written.n == 0)
		return 0;
	cwd = strdup(policy_start_dir(p));
	if (!cwd)
		return -ENOMEM;
	r = learn_read(p, seen, cwd, ret);
	if (r == 0)
		r = learn_written(p, seen, cwd, ret);
	learn_scratch(p, seen, cwd);
	if (r < 0 || streq(cwd, "/"))
		return r;
	free(p->filesystem.working_dir);
	p->filesystem.working_dir = take_ptr(&cwd);
	p->filesystem.pos = here;
	return 0;
}

/* --- limits --- */

static uint64_t at_most(uint64_t value, uint64_t base)
{
	return base && base < value ? base : value;
}

static int note_peak(struct policy_learned *ret, const char *key, uint64_t peak)
{
	_free_ char *text = str_printf("seen: %llu", (unsigned long long)peak);

	return text ? add_note(ret, key, NULL, text, false) : -ENOMEM;
}

static int learn_limits(struct policy *p, const struct policy_seen *seen,
			struct policy_learned *ret)
{
	__typeof__(p->resources) *x = &p->resources;
	int r = 0;

	x->pos = here;
	if (seen->memory_peak) {
		uint64_t bytes = seen->memory_peak + seen->memory_peak / 2;

		bytes = (bytes / MIB + 1) * MIB;
		x->memory_bytes = at_most(bytes < 16 * MIB ? 16 * MIB : bytes,
					  x->memory_bytes);
		r = note_peak(ret, "resources.memory_limit_bytes", seen->memory_peak);
	}
	if (r == 0 && seen->pids_peak) {
		uint64_t pids = seen->pids_peak * 2;

		x->pids_limit = at_most(pids < 16 ? 16 : pids, x->pids_limit);
		r = note_peak(ret, "resources.pids_limit", seen->pids_peak);
	}
	if (r == 0 && seen->seconds) {
		uint64_t seconds = seen->seconds * 3;

		x->timeout_seconds = at_most(seconds < 60 ? 60 : seconds,
					     x->timeout_seconds);
		r = note_peak(ret, "resources.session_timeout_seconds", seen->seconds);
	}
	return r;
}

/* --- network --- */

static bool is_private(const struct policy_seen_host *h)
{
	bool found = false;

	for (size_t i = 0; !found && i < ARRAY_SIZE(private_ranges); i++) {
		struct policy_net_rule x = {};
		struct fault f;

		if (value_net_rule(private_ranges[i], VALUE_NET_ADDRESSES, &x, &f) < 0)
			return true;
		found = x.family == h->family &&
			network_has_prefix(x.address, h->address, x.prefix_len);
		free(x.text);
		free(x.domain);
	}
	return found;
}

static bool is_loopback(const struct policy_seen_host *h)
{
	static const uint8_t one[16] = { [15] = 1 };

	return h->family == AF_INET ? h->address[0] == 127 :
				      memcmp(h->address, one, sizeof(one)) == 0;
}

static int add_host(struct policy *p, const struct policy_seen_host *h,
		    struct policy_learned *ret)
{
	const char *protocol = h->protocol == IPPROTO_UDP ? "udp" : "tcp", *why = NULL;
	char address[INET6_ADDRSTRLEN];
	_free_ char *text = NULL;
	int r;

	if (h->name) {
		text = str_printf("%s:%u/%s", h->name, h->port, protocol);
	} else {
		inet_ntop(h->family, h->address, address, sizeof(address));
		text = str_printf(h->family == AF_INET ? "%s:%u/%s" : "[%s]:%u/%s",
				  address, h->port, protocol);
		why = is_private(h) ? "a private address" : "an address without a name";
	}
	if (!text)
		return -ENOMEM;
	r = add_rule(&p->network.allow_outgoing, text, VALUE_NET_ANY);
	if (r == 0 && why)
		r = add_note(ret, "network.allow_outgoing", text, why, true);
	return r;
}

static bool is_opened(const struct policy_net_rule *rule, const struct policy_seen_host *h)
{
	return (!rule->protocol || rule->protocol == h->protocol) &&
	       (rule->port_hi == 0 ||
		(h->port >= rule->port_lo && h->port <= rule->port_hi));
}

/* The base's ports that were used; in a network namespace of its own an agent may bind others, too,
 * which nobody can reach. */
static int learn_incoming(__typeof__(((struct policy *)NULL)->network) *net,
			  const struct policy_seen *seen, struct policy_learned *ret)
{
	policy_net_rules *l = &net->allow_incoming;
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		bool used = false;

		for (size_t k = 0; k < seen->bound.n; k++)
			used |= is_opened(&l->v[i], &seen->bound.v[k]);
		if (used) {
			l->v[n++] = l->v[i];
			continue;
		}
		free(l->v[i].text);
		free(l->v[i].domain);
	}
	l->n = n;
	for (size_t k = 0; k < seen->bound.n; k++) {
		const struct policy_seen_host *h = &seen->bound.v[k];
		bool opened = is_loopback(h);

		for (size_t i = 0; i < l->n; i++)
			opened |= is_opened(&l->v[i], h);
		if (!opened &&
		    strv_addf(&ret->sensitive,
			      "network.allow_incoming: %u/%s was bound: the base does "
			      "not let others reach it, nor does this policy",
			      h->port, h->protocol == IPPROTO_UDP ? "udp" : "tcp") < 0)
			return -ENOMEM;
	}
	return 0;
}

static int learn_network(struct policy *p, const struct policy_seen *seen,
			 struct policy_learned *ret)
{
	__typeof__(p->network) *net = &p->network;
	int r = 0;

	clear_rules(&net->allow_outgoing);
	net->pos = here;
	for (size_t i = 0; r == 0 && i < seen->hosts.n; i++)
		if (seen->hosts.v[i].name || !is_loopback(&seen->hosts.v[i]))
			r = add_host(p, &seen->hosts.v[i], ret);
	net->isolated = net->allow_outgoing.n == 0;
	/* With loopback alone nothing else has a meaning. */
	if (net->isolated) {
		clear_rules(&net->allow_incoming);
		clear_rules(&net->blocked_ips);
		clear_names(&net->blocked_domains);
		clear_names(&net->dns_servers);
		return r;
	}
	return r == 0 ? learn_incoming(net, seen, ret) : r;
}

/* --- LLM calls --- */

static bool was_called(const struct policy_seen *seen, const char *provider)
{
	for (size_t i = 0; i < seen->models.n; i++)
		if (strcasecmp(seen->models.v[i].provider, provider) == 0)
			return true;
	return false;
}

static void clear_provider(struct policy_provider *v)
{
	free(v->name);
	free(v->format);
	free(v->api_key_env);
	free(v->api_key_file);
	free(v->prices);
	strv_free(&v->endpoints);
	strv_free(&v->models);
}

static int learn_models(struct policy_provider *v, const struct policy_seen *seen)
{
	strv_free(&v->models);
	v->models = (struct strv){};
	for (size_t i = 0; i < seen->models.n; i++)
		if (strcasecmp(seen->models.v[i].provider, v->name) == 0 &&
		    strv_add(&v->models, seen->models.v[i].model) < 0)
			return -ENOMEM;
	return 0;
}

static int learn_llm(struct policy *p, const struct policy_seen *seen)
{
	__typeof__(p->ai_policy.llm_apis.providers) *l = &p->ai_policy.llm_apis.providers;
	__typeof__(p->ai_policy.budget) *b = &p->ai_policy.budget;
	size_t n = 0;
	int r = 0;

	if (l->n == 0)
		return 0;
	for (size_t i = 0; i < l->n; i++) {
		if (!was_called(seen, l->v[i].name)) {
			clear_provider(&l->v[i]);
			continue;
		}
		if (r == 0)
			r = learn_models(&l->v[i], seen);
		l->v[n++] = l->v[i];
	}
	l->n = n;
	p->ai_policy.llm_apis.block_unknown = true;
	if (n && seen->tokens) {
		b->max_tokens = at_most(seen->tokens * 2,
					b->has_max_tokens ? b->max_tokens : 0);
		b->has_max_tokens = true;
		b->pos = here;
	}
	if (n && seen->cost > 0) {
		b->max_cost_picodollars = (int64_t)
			at_most((uint64_t)seen->cost * 2,
				b->has_max_cost ? (uint64_t)b->max_cost_picodollars : 0);
		b->has_max_cost = true;
		b->pos = here;
	}
	/* None was called: the section goes. */
	if (n == 0)
		p->ai_policy.pos = (struct policy_pos){};
	return r;
}

/* --- */

static int rename_policy(struct policy *p, const char *name)
{
	_free_ char *text = str_printf("Learnt from a run under %s", p->name);

	if (!text)
		return -ENOMEM;
	free(p->description);
	p->description = take_ptr(&text);
	free(p->name);
	p->name = strdup(name);
	return p->name ? 0 : -ENOMEM;
}

int policy_learn_result(struct policy *base, const struct policy *while_learning,
			const struct policy_seen *seen, const char *name, bool network,
			struct policy_learned *ret, struct err *e)
{
	int r = rename_policy(base, name);

	/* What held while it was learnt did so. */
	base->enforcement = POLICY_ENFORCE;

	if (r < 0)
		return err_oom(e);
	r = learn_calls(base, while_learning, seen, e);
	if (r < 0)
		return r;
	r = learn_files(base, seen, ret);
	if (r == 0)
		r = learn_limits(base, seen, ret);
	if (r == 0 && network)
		r = learn_network(base, seen, ret);
	if (r == 0)
		r = learn_llm(base, seen);
	if (r == -EINVAL)
		return err_set(e, ERR_POLICY, EINVAL, "a host's name is no name");
	return r < 0 ? err_oom(e) : 0;
}
