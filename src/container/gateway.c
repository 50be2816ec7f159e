/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's LLM gateway, from create to delete: see gateway.h. Runs in the runtime, in the host's
 * namespaces, as root of the host.
 *
 * In a network namespace that is the container's own nobody can have a port before it has, so the port
 * is always the same there. In one that is shared (a pod's, the host's) the kernel chooses, and the
 * sockets listen before anything is made: the address is in the environment that init is born with.
 */
#include "container/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/fs.h"
#include "container/monitor.h"
#include "container/network.h"
#include "gateway/environment.h"
#include "gateway/limit.h"
#include "linux/ns.h"

#define KEY_MAX 4096
#define SETTLE_MS 6000
/* A shorter text may stand in a variable by chance. */
#define KEY_SHORT 8

void container_gateway_clear(struct container_gateway *g)
{
	gateway_client_clear(&g->client);
	fd_close(&g->keys_fd);
	fd_close(&g->listen4_fd);
	fd_close(&g->listen6_fd);
	fd_close(&g->tls_fd);
	fd_close(&g->http_fd);
	intercept_clear(&g->intercept);
}

static int named(const struct container_gateway *g, int r, struct err *e)
{
	return r < 0 ? err_wrap(e, "policy %s: ai_policy", g->policy) : r;
}

/* --- keys --- */

static void wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
}

static void keys_clear(struct strmap *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		wipe(keys->v[i]);
	strmap_free(keys);
}

/* What a header can hold: printable, without spaces. */
static bool is_key(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 0x7f)
			return false;
	return len > 0 && len <= KEY_MAX;
}

static int missing(const struct policy_llm_key *k, const char *why, struct err *e)
{
	return err_set(e, ERR_POLICY, ENOKEY, "policy %s: the API key of '%s': %s",
		       k->place, k->provider, why);
}

static int read_env(const struct policy_llm_key *k, struct strmap *keys, struct err *e)
{
	const char *value = getenv(k->env);
	_free_ char *why = NULL;

	if (value && is_key(value))
		return strmap_set(keys, k->provider, value) < 0 ? err_oom(e) : 0;
	why = str_printf(value && *value ?
				 "the variable %s does not hold one" :
				 "the runtime's environment has no %s (engines do not hand on "
				 "their own: there, use api_key_file)",
			 k->env);
	return why ? missing(k, why, e) : err_oom(e);
}

static int read_file(const struct policy_llm_key *k, struct strmap *keys, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = fs_read_document(AT_FDCWD, k->file, KEY_MAX + 2, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "policy %s: the API key of '%s'", k->place, k->provider);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		text[--len] = '\0';
	r = is_key(text) ? strmap_set(keys, k->provider, text) : -EINVAL;
	wipe(text);
	if (r == -EINVAL)
		return missing(k, "the file does not hold one", e);
	return r < 0 ? err_oom(e) : 0;
}

/* Of several policies the first that has a key for a provider gives it. */
static int read_keys(const struct gateway_config *c, const policy_llm_keys *from,
		     struct strmap *keys, struct err *e)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n; i++) {
		const struct policy_llm_key *k = &from->v[i];

		if (!gateway_provider_find(&c->providers, k->provider) ||
		    strmap_get(keys, k->provider))
			continue;
		r = k->env ? read_env(k, keys, e) : read_file(k, keys, e);
	}
	return r;
}

/* A key under another name is no less a key. */
static bool holds_key(const char *variable, const struct strmap *keys)
{
	const char *value = strchr(variable, '=');

	for (size_t i = 0; value && i < keys->n; i++)
		if (strlen(keys->v[i]) >= KEY_SHORT && strstr(value, keys->v[i]))
			return true;
	return false;
}

/* Init is a copy of us, and is there for some time. */
static void forget_env(const policy_llm_keys *from, const struct strmap *keys)
{
	for (size_t i = 0; i < from->n; i++)
		if (from->v[i].env)
			wipe(getenv(from->v[i].env));
	for (char **v = environ; v && *v; v++)
		if (holds_key(*v, keys))
			wipe(strchr(*v, '=') + 1);
}

/* Their names are noted: an engine gives the same ones to each further process, and by then the keys
 * are not known any more. */
static int take_out_keys(const struct strmap *keys, struct strv *env, struct strv *dropped)
{
	for (size_t i = env->n; i > 0; i--) {
		_free_ char *name = NULL;

		if (!holds_key(env->v[i - 1], keys))
			continue;
		name = strndup(env->v[i - 1], strcspn(env->v[i - 1], "="));
		if (!name || (!strv_contains(dropped, name) && strv_add(dropped, name) < 0))
			return -ENOMEM;
		strv_remove(env, i - 1);
	}
	return 0;
}

static int take_keys(struct container_gateway *g, const struct policy_plan *plan,
		     struct err *e)
{
	__attribute__((cleanup(keys_clear))) struct strmap keys = {};
	struct oci_process *p = plan->spec->process;
	int r = read_keys(g->config, &plan->llm_keys, &keys, e);

	if (r < 0)
		return r;
	forget_env(&plan->llm_keys, &keys);
	if (p && take_out_keys(&keys, &p->env, &g->config->dropped_env) < 0)
		return err_oom(e);
	return gateway_keys_pipe(&keys, &g->keys_fd, e);
}

static int make_placeholder(struct gateway_config *c, struct err *e)
{
	unsigned char random[16];
	char text[GATEWAY_PLACEHOLDER_LEN + 1] = "purple-";

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return err_sys(e, "cannot get random bytes");
	for (size_t i = 0; i < sizeof(random); i++)
		sprintf(text + strlen("purple-") + 2 * i, "%02x", random[i]);
	c->placeholder = strdup(text);
	return c->placeholder ? 0 : err_oom(e);
}

/* --- where it listens --- */

static int listen_in(struct container_gateway *g, int netns, uint16_t port, struct err *e)
{
	int r = gateway_listen(netns, &port, &g->listen4_fd, &g->listen6_fd, e);

	if (r < 0)
		return r;
	g->config->port = port;
	return intercept_listen(&g->intercept, netns, &g->tls_fd, &g->http_fd, e);
}

/* A namespace that others are in already. */
static int listen_in_joined(struct container_gateway *g, const char *path, struct err *e)
{
	_close_ int netns = open(path ? path : "/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int r = 0;

	if (netns < 0)
		return err_sys(e, "cannot open the network namespace '%s'", path);
	/* One that an engine has just made may not have its loopback yet. */
	if (path)
		r = container_netns_loopback_up(netns, e);
	return r < 0 ? r : listen_in(g, netns, 0, e);
}

static int add_rule(struct network_policy *p, int family, const struct gateway_config *c)
{
	static const uint8_t v4[4] = { 127, 0, 0, 1 }, v6[16] = { [15] = 1 };
	struct network_rule *rule = list_add(&p->rules);

	if (!rule)
		return -ENOMEM;
	rule->kind = NETWORK_ALLOW_OUTGOING;
	rule->has_address = true;
	rule->family = family;
	rule->prefix_len = family == AF_INET ? 32 : 128;
	memcpy(rule->address, family == AF_INET ? v4 : v6,
	       family == AF_INET ? sizeof(v4) : sizeof(v6));
	rule->port_lo = rule->port_hi = (uint16_t)c->port;
	rule->protocol = IPPROTO_TCP;
	rule->text = str_printf(family == AF_INET ? "127.0.0.1:%u/tcp" : "[::1]:%u/tcp",
				c->port);
	/* Whoever asks which rule lets it pass reads what made it. */
	rule->place = str_printf("%s:%u:1", c->policies.v[0].file,
				 c->policies.v[0].apis_line);
	return rule->text && rule->place ? 0 : -ENOMEM;
}

/*
 * In the host's network namespace the loopback is not the container's: adds rules for the gateway's
 * address and port, to the policies that allow what they name alone.
 */
static int container_gateway_allow(const struct gateway_config *c,
				   network_policies *policies, struct err *e)
{
	for (size_t i = 0; i < policies->n; i++) {
		struct network_policy *p = &policies->v[i];
		bool has_list = false;

		for (size_t k = 0; k < p->rules.n; k++)
			has_list |= p->rules.v[k].kind == NETWORK_ALLOW_OUTGOING;
		if (has_list &&
		    (add_rule(p, AF_INET, c) < 0 || add_rule(p, AF_INET6, c) < 0))
			return err_oom(e);
	}
	return 0;
}

int container_gateway_allow_again(struct container *c, network_policies *policies,
				  struct err *e)
{
	_gateway_config_clear_ struct gateway_config config = {};
	int r;

	if (c->st.gateway_pid <= 0)
		return 0;
	r = gateway_config_load(c->dirfd, &config, e);
	return r < 0 ? r : container_gateway_allow(&config, policies, e);
}

static int find_place(struct container_gateway *g, const struct oci_spec *s, struct err *e)
{
	const struct oci_namespace *ns = oci_spec_namespace(s, "network");

	g->config->port = GATEWAY_PORT;
	if (s->linux_->isolate_network || (ns && !ns->path))
		return 0;
	return listen_in_joined(g, ns ? ns->path : NULL, e);
}

static int open_filter(const struct container_gateway *g, struct policy_plan *plan,
		       struct err *e)
{
	bool is_own = false;
	int r = container_network_is_own(plan->spec, &is_own, e);

	return r < 0 || is_own ? r : container_gateway_allow(g->config, &plan->network, e);
}

int container_gateway_prepare(struct container_gateway *g, struct policy_plan *plan,
			      struct err *e)
{
	int r = 0;

	if (!gateway_config_is_set(&plan->gateway))
		return 0;
	g->config = &plan->gateway;
	g->policy = plan->gateway.policies.v[0].name;
	if (geteuid() != 0 || userns_is_nested())
		r = err_set(e, ERR_UNSUPPORTED, EPERM,
			    "the LLM gateway needs a runtime that root of the host runs");
	if (r == 0)
		r = gateway_client_check(e);
	if (r == 0)
		r = take_keys(g, plan, e);
	if (r == 0)
		r = make_placeholder(g->config, e);
	if (r == 0)
		r = intercept_plan(&g->intercept, g->config, plan->spec,
				   plan->spec->process ? &plan->spec->process->env : NULL,
				   &plan->explanations, e);
	if (r == 0)
		r = find_place(g, plan->spec, e);
	if (r == 0 && plan->network.n)
		r = open_filter(g, plan, e);
	if (r == 0 && plan->spec->process)
		r = gateway_environment(g->config, &plan->spec->process->env, e);
	return named(g, r, e);
}

/* --- for other runtimes --- */

int container_gateway_describe(struct policy_plan *plan, struct err *e)
{
	struct gateway_config *c = &plan->gateway;
	int r;

	if (!gateway_config_is_set(c) || !plan->spec->process)
		return 0;
	c->port = GATEWAY_PORT;
	r = make_placeholder(c, e);
	if (r == 0)
		r = gateway_environment(c, &plan->spec->process->env, e);
	return r < 0 ? err_wrap(e, "policy %s: ai_policy", c->policies.v[0].name) : 0;
}

static bool is_placeholder(const char *text)
{
	return strlen(text) == GATEWAY_PLACEHOLDER_LEN && str_has_prefix(text, "purple-") &&
	       strspn(text + strlen("purple-"), "0123456789abcdef") == 32;
}

/* The placeholder that the environment has, whichever variable it is in. */
static const char *find_placeholder(const struct strv *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *value = strchr(env->v[i], '=');

		if (value && is_placeholder(value + 1))
			return value + 1;
	}
	return NULL;
}

/* As it is, it is what this gateway's would be. */
static int check_environment(const struct gateway_config *c, const struct strv *env,
			     struct err *e)
{
	_strv_free_ struct strv expected = {};
	bool same;
	int r = strv_copy(env, &expected) < 0 ? err_oom(e) :
						gateway_environment(c, &expected, e);

	if (r < 0)
		return r;
	same = expected.n == env->n;
	for (size_t i = 0; same && i < env->n; i++)
		same = strv_contains(&expected, env->v[i]);
	for (size_t i = 0; same && i < expected.n; i++)
		same = strv_contains(env, expected.v[i]);
	return same ? 0 :
		      err_set(e, ERR_CONFIG, EINVAL,
			      "the container's environment does not lead to its gateway: hooks "
			      "cannot change it at this stage, so purple-policy-hook has to come "
			      "first (precreate), or the configuration to have it");
}

int container_gateway_prepare_described(struct container_gateway *g,
					struct policy_plan *plan,
					const struct oci_spec *configured, struct err *e)
{
	static const struct strv nothing;
	const struct strv *env = configured->process ? &configured->process->env : &nothing;
	struct gateway_config *c = &plan->gateway;
	const char *placeholder = find_placeholder(env);
	size_t n = env->n;
	int r = 0;

	if (!gateway_config_is_set(c))
		return 0;
	g->config = c;
	g->policy = c->policies.v[0].name;
	c->port = GATEWAY_PORT;
	c->placeholder = strdup(placeholder ? placeholder : "");
	if (!c->placeholder)
		r = err_oom(e);
	if (r == 0)
		r = gateway_client_check(e);
	if (r == 0)
		r = check_environment(c, env, e);
	/* Of the merged configuration; the other runtime has the one that was given. */
	if (r == 0 && plan->spec->process)
		n = plan->spec->process->env.n;
	if (r == 0)
		r = take_keys(g, plan, e);
	if (r == 0 && plan->spec->process && plan->spec->process->env.n != n)
		r = err_set(e, ERR_CONFIG, EPERM,
			    "a variable of the container's environment holds an API key that "
			    "the container must not have");
	return named(g, r, e);
}

bool container_gateway_needs_netns(const struct container_gateway *g)
{
	return g->config && !g->is_begun && g->listen4_fd < 0 && g->listen6_fd < 0;
}

/* --- starting it --- */

/* What the gateway is handed; closed when it has it. */
struct handed {
	int config, events, limit, kill, freezer, content, ca;
};
#define HANDED_EMPTY                       \
	{                                  \
		-1, -1, -1, -1, -1, -1, -1 \
	}

static void handed_close(struct handed *h)
{
	fd_close(&h->config);
	fd_close(&h->events);
	fd_close(&h->limit);
	fd_close(&h->kill);
	fd_close(&h->freezer);
	fd_close(&h->content);
	fd_close(&h->ca);
}

static int save_config(const struct container *c, struct gateway_config *config,
		       int *ret_fd, struct err *e)
{
	int r;

	config->container = strdup(c->st.id);
	config->session = str_printf("%s@%s", c->st.id, c->st.created);
	if (!config->container || !config->session)
		return err_oom(e);
	r = gateway_config_save(c->dirfd, config, e);
	if (r < 0)
		return r;
	*ret_fd = openat(c->dirfd, GATEWAY_CONFIG_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ?
		       err_sys(e, "cannot open '%s/" GATEWAY_CONFIG_FILE "'", c->dir) :
		       0;
}

static int open_limit(const struct container *c, int *ret, struct err *e)
{
	*ret = openat(c->dirfd, GATEWAY_LIMIT_FILE,
		      O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret < 0 ? err_sys(e, "cannot open '%s/" GATEWAY_LIMIT_FILE "'", c->dir) : 0;
}

/* What agents and models say, where a policy asks for it: in a file of its own. */
static int open_content(const struct container *c, const struct gateway_config *config,
			int *ret, struct err *e)
{
	bool is_asked = false;

	for (size_t i = 0; i < config->policies.n; i++)
		is_asked |= config->policies.v[i].log_prompts ||
			    config->policies.v[i].log_responses;
	if (!is_asked)
		return 0;
	*ret = openat(c->dirfd, GATEWAY_CONTENT,
		      O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return *ret < 0 ? err_sys(e, "cannot open '%s/" GATEWAY_CONTENT "'", c->dir) : 0;
}

static int open_all(const struct container *c, struct gateway_config *config,
		    struct handed *h, struct err *e)
{
	int r = save_config(c, config, &h->config, e);

	if (r == 0)
		r = container_open_events(c, &h->events, e);
	if (r == 0)
		r = open_limit(c, &h->limit, e);
	if (r == 0)
		r = open_content(c, config, &h->content, e);
	if (r == 0 && c->st.cgroup)
		r = cgroup_open_kill(c->st.cgroup, &h->kill, e);
	if (r == 0 && c->st.cgroup)
		r = cgroup_open_freezer(c->st.cgroup, &h->freezer, e);
	return r;
}

int container_gateway_begin(struct container_gateway *g, struct container *c,
			    int netns_fd, int init_fd, struct err *e)
{
	__attribute__((cleanup(handed_close))) struct handed h = HANDED_EMPTY;
	int r = 0;

	if (!g->config || g->is_begun)
		return 0;
	if (container_gateway_needs_netns(g))
		r = listen_in(g, netns_fd, GATEWAY_PORT, e);
	if (r == 0)
		r = open_all(c, g->config, &h, e);
	if (r == 0)
		r = intercept_open_ca(&g->intercept, &h.ca, e);
	if (r == 0)
		r = gateway_client_begin(&(struct gateway_start){ .config_fd = h.config,
								  .keys_fd = g->keys_fd,
								  .init_fd = init_fd,
								  .listen4_fd = g->listen4_fd,
								  .listen6_fd = g->listen6_fd,
								  .events_fd = h.events,
								  .limit_fd = h.limit,
								  .kill_fd = h.kill,
								  .freezer_fd = h.freezer,
								  .content_fd = h.content,
								  .tls_fd = g->tls_fd,
								  .http_fd = g->http_fd,
								  .ca_fd = h.ca,
								  .copy_fd = g->copy_fd },
					 &g->client, e);
	if (r < 0)
		return named(g, r, e);
	g->is_begun = true;
	c->st.gateway_pid = g->client.pid;
	c->st.gateway_start = process_start_time(g->client.pid);
	fd_close(&g->keys_fd);
	fd_close(&g->listen4_fd);
	fd_close(&g->listen6_fd);
	fd_close(&g->tls_fd);
	fd_close(&g->http_fd);
	return 0;
}

int container_gateway_wait(struct container_gateway *g, struct err *e)
{
	int r;

	if (!g->config)
		return 0;
	if (!g->is_begun)
		return err_set(e, ERR_INTERNAL, EINVAL, "the LLM gateway was not started");
	r = gateway_client_wait(&g->client, e);
	if (r == 0)
		r = intercept_finish(&g->intercept, (uint16_t)g->config->port, e);
	return named(g, r, e);
}

/* --- later --- */

int container_gateway_environment(struct container *c, struct oci_process *p, struct err *e)
{
	_gateway_config_clear_ struct gateway_config config = {};
	int r;

	if (c->st.gateway_pid <= 0)
		return 0;
	r = gateway_config_load(c->dirfd, &config, e);
	if (r == 0)
		r = gateway_environment(&config, &p->env, e);
	return r < 0 ? r : intercept_environment(&config, &p->env, e);
}

bool container_gateway_is_running(const struct container *c)
{
	return c->st.gateway_pid > 0 &&
	       process_is_alive(c->st.gateway_pid, c->st.gateway_start);
}

void container_gateway_remove(struct container *c)
{
	_close_ int fd = -1;

	if (!container_gateway_is_running(c))
		return;
	fd = (int)syscall(SYS_pidfd_open, c->st.gateway_pid, 0);
	/* The number may be somebody else's by now. */
	if (fd < 0 || !container_gateway_is_running(c))
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0);
	if (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, SETTLE_MS) != 1)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}
