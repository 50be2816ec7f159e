/* SPDX-License-Identifier: Apache-2.0 */
/* See setup.h. */
#include "gateway/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/list.h"
#include "gateway/authority.h"
#include "gateway/call.h"
#include "gateway/endpoint.h"
#include "gateway/enforce.h"
#include "gateway/gateway_jail.h"
#include "gateway/provider.h"
#include "gateway/webhook.h"

#define KEYS_MAX (1U << 20)
#define KEY_MAX 8192
#define PATTERNS_FILE DATADIR "/purple/sensitive_patterns"
#define INJECTION_FILE DATADIR "/purple/injection_patterns"
#define PATTERNS_MAX (256U << 10)
/* A provider may think for minutes before its first byte: what SDKs wait, too. */
#define IDLE_MS (10 * 60 * 1000)
#define CONNECT_MS 15000
/* For a lock of another process: the loop stands still as long. */
#define LEDGER_WAIT_MS 1000

struct gateway_ports {
	uint16_t *v;
	size_t n;
};

/* --- keys --- */

static bool is_key(const char *s)
{
	size_t n = 0;

	for (; s[n]; n++)
		if ((unsigned char)s[n] <= ' ' || (unsigned char)s[n] >= 0x7f)
			return false;
	return n > 0 && n <= KEY_MAX;
}

static int add_keys(const struct json *j, const char *name, struct strmap *ret,
		    struct err *e)
{
	if (j->type != JSON_MAP)
		return err_set(e, ERR_CONFIG, EINVAL, "%s: not an object of keys", name);
	for (size_t i = 0; i < j->n; i++) {
		if (j->items[i]->type != JSON_TEXT || !is_key(j->items[i]->text))
			return err_set(e, ERR_CONFIG, EINVAL,
				       "%s: the key of '%s' is not one that a header can hold",
				       name, j->keys[i]);
		if (strmap_set(ret, j->keys[i], j->items[i]->text) < 0)
			return err_oom(e);
	}
	return 0;
}

int gateway_read_keys(int fd, const char *name, struct strmap *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(fd, KEYS_MAX, &text, &len, e);

	if (r < 0)
		return err_wrap(e, "%s", name);
	if (len == 0)
		return 0;
	r = json_parse(text, len, name, &j, e);
	if (r == 0)
		r = add_keys(j, name, ret, e);
	explicit_bzero(text, len);
	for (size_t i = 0; j && j->type == JSON_MAP && i < j->n; i++)
		if (j->items[i]->text)
			explicit_bzero(j->items[i]->text, strlen(j->items[i]->text));
	return r;
}

/* --- patterns --- */

static int load_patterns(struct gateway *g, struct err *e)
{
	const char *path = g->config->patterns ? g->config->patterns : PATTERNS_FILE;
	_free_ char *text = NULL;
	bool scans = false;
	size_t len;
	int r;

	for (size_t i = 0; i < g->config->policies.n; i++)
		scans |= g->config->policies.v[i].scan;
	if (!scans)
		return 0;
	r = fs_read_document(AT_FDCWD, path, PATTERNS_MAX, &text, &len, e);
	return r < 0 ? r : scan_rules_parse(text, len, path, &g->scan, e);
}

static int load_injection(struct gateway *g, struct err *e)
{
	_free_ char *text = NULL;
	bool detects = false;
	size_t len;
	int r;

	for (size_t i = 0; i < g->config->policies.n; i++)
		detects |= g->config->policies.v[i].detect_injection;
	if (!detects)
		return 0;
	r = fs_read_document(AT_FDCWD, INJECTION_FILE, PATTERNS_MAX, &text, &len, e);
	return r < 0 ? r :
		       injection_rules_parse(text, len, INJECTION_FILE, &g->injection, e);
}

/* --- what is due at a limit --- */

static void on_event(void *ctx, const struct gateway_event *x)
{
	gateway_tell(ctx, x);
}

static bool has_budget(size_t policy, void *arg)
{
	struct gateway *g = arg;

	return g->meter && !meter_is_spent(g->meter, policy, gateway_time());
}

static void on_thaw(void *arg)
{
	calls_thaw(arg);
}

static void post(const char *text, size_t len, void *arg)
{
	struct gateway *g = arg;

	webhook_post(&g->webhooks, g->config->alert_webhook, text, len, g);
}

static void posted(void *arg, const char *error)
{
	enforce_posted(((struct gateway *)arg)->enforce, error);
}

int gateway_start_helpers(struct gateway *g, const struct gateway_setup *s, struct err *e)
{
	const struct enforce_setup setup = { .config = s->config,
					     .events_fd = s->events_fd,
					     .copy_fd = s->copy_fd,
					     .limit_fd = s->limit_fd,
					     .init_fd = s->init_fd,
					     .kill_fd = s->kill_fd,
					     .freezer_fd = s->freezer_fd,
					     .has_budget = has_budget,
					     .on_thaw = on_thaw,
					     .post = post,
					     .arg = g };

	*g = (struct gateway){ .config = s->config, .loop.epoll = -1 };
	g->enforce_source.fd = -1;
	return enforce_start(&setup, &g->enforce, e);
}

/* --- what is read and opened --- */

/*
 * What a call takes is freed at its end, and asked for again by the next: it is not given back to the
 * kernel in between.
 */
static void keep_memory(void)
{
#ifdef __GLIBC__
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	mallopt(M_TOP_PAD, 256 << 10);
#endif
}

/* The first gateway of a host finds none. */
static int make_folder_of(const char *path, struct err *e)
{
	_free_ char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (!folder)
		return err_oom(e);
	if (!slash || slash == folder)
		return 0;
	*slash = '\0';
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the ledger's folder '%s'", folder);
	return 0;
}

static int open_ledger(struct gateway *g, const char *prices, struct err *e)
{
	const char *path = g->config->ledger ? g->config->ledger : LEDGER_FILE;
	struct meter_setup setup = { .config = g->config,
				     .prices = prices,
				     .defers = true,
				     .event = on_event,
				     .ctx = g };
	int r = make_folder_of(path, e);

	if (r == 0)
		r = ledger_open(path, LEDGER_GATEWAY, LEDGER_WAIT_MS, gateway_time().real,
				&g->ledger, e);
	setup.ledger = g->ledger;
	return r < 0 ? r : meter_new(&setup, &g->meter, e);
}

int gateway_open(struct gateway *g, const struct gateway_setup *s, struct strmap *keys,
		 struct err *e)
{
	struct upstream_limits limits = { .connect_ms = CONNECT_MS,
					  .idle_ms = s->idle_ms ? s->idle_ms : IDLE_MS };
	int r;

	keep_memory();
	content_init(&g->content, s->config, s->content_fd);
	g->keys = *keys;
	*keys = (struct strmap){};
	r = load_patterns(g, e);
	if (r == 0)
		r = load_injection(g, e);
	if (r == 0)
		r = provider_make_known(g, e);
	if (r == 0)
		r = open_ledger(g, s->prices, e);
	if (r == 0)
		r = loop_make(&g->loop, e);
	if (r == 0)
		r = upstream_make(&g->loop, &limits, s->ca_file, &g->upstream, e);
	g->webhooks = (struct webhooks){ .upstream = g->upstream, .posted = posted };
	if (r == 0)
		r = server_make(g, &g->server, e);
	return r;
}

/* --- the jail --- */

/* Of an endpoint, or of a webhook, which may be any URL. */
static int add_port(struct gateway_ports *ports, const char *url, struct err *e)
{
	struct gateway_endpoint at;
	uint16_t *port;

	if (gateway_url_place(url, &at) < 0)
		return 0;
	port = list_add(ports);
	if (!port)
		return err_oom(e);
	*port = at.port;
	return 0;
}

static int add_ports(struct gateway_ports *ports, const gateway_providers *l, struct err *e)
{
	int r = 0;

	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; r == 0 && k < l->v[i].endpoints.n; k++)
			r = add_port(ports, l->v[i].endpoints.v[k], e);
	return r;
}

static void enforce_ready(struct loop_source *s, uint32_t events)
{
	struct gateway *g = loop_container_of(s, struct gateway, enforce_source);

	enforce_tick(g->enforce);
}

static int watch_helpers(struct gateway *g, struct err *e)
{
	g->enforce_source = (struct loop_source){ .fd = enforce_fd(g->enforce),
						  .ready = enforce_ready };
	return g->enforce_source.fd >= 0 &&
			       loop_add(&g->loop, &g->enforce_source, EPOLLIN) < 0 ?
		       err_sys(e, "cannot watch the helpers") :
		       0;
}

int gateway_enter(struct gateway *g, const struct gateway_setup *s, struct err *e)
{
	struct gateway_ports ports = {};
	struct gateway_jail jail = { .ca_file = s->ca_file };
	int r = add_ports(&ports, &g->config->providers, e);

	if (r == 0)
		r = add_ports(&ports, &g->known, e);
	if (r == 0 && g->config->alert_webhook)
		r = add_port(&ports, g->config->alert_webhook, e);
	jail.ports = ports.v;
	jail.ports_n = ports.n;
	if (r == 0)
		r = gateway_jail_enter(&jail, e);
	free(ports.v);
	if (r == 0)
		r = enforce_wait(g->enforce, e);
	return r < 0 ? r : watch_helpers(g, e);
}

/* --- interception --- */

int gateway_make_authority(struct gateway *g, int ca_fd, struct err *e)
{
	_strv_free_ struct strv hosts = {};
	const char *pem;
	int r;

	if (gateway_names_make(g->config, &g->names) < 0 ||
	    gateway_names_hosts(&g->names, true, &hosts) < 0)
		return err_oom(e);
	if (hosts.n == 0)
		return 0;
	r = authority_make(&hosts, &g->authority, e);
	if (r < 0)
		return r;
	authority_serve(g->authority);
	pem = authority_certificate(g->authority);
	return ca_fd >= 0 && fd_write_all(ca_fd, pem, strlen(pem)) < 0 ?
		       err_sys(e, "cannot write the container's CA certificate") :
		       0;
}

/* --- the end --- */

int gateway_close(struct gateway *g, struct err *e)
{
	struct gateway_spent spent = {};
	struct ledger *l = g->ledger;
	struct err late = {};

	/* What it cannot write now is charged in full by who opens the ledger next. */
	if (g->meter)
		meter_tick(g->meter, gateway_time(), &late);
	if (g->meter)
		meter_sum(g->meter, gateway_time(), &spent);
	meter_free(g->meter);
	g->meter = NULL;
	g->ledger = NULL;
	enforce_end(g->enforce, g->calls_told, g->denied, &spent);
	g->enforce = NULL;
	return l ? ledger_close(l, gateway_time().real, e) : 0;
}

void gateway_clear(struct gateway *g)
{
	server_free(g->server);
	upstream_free(g->upstream);
	meter_free(g->meter);
	if (g->ledger)
		ledger_drop(g->ledger);
	loop_end(&g->loop);
	scan_rules_free(g->scan);
	injection_rules_free(g->injection);
	authority_free(g->authority);
	gateway_names_clear(&g->names);
	provider_free_known(g);
	strmap_free(&g->keys);
}
