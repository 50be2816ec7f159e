/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple network show: the rules of a container's network filter and what they have done, the
 * addresses that names led to, and what works for it. Runs as root; reads only. What is shown as
 * text is what --json gives: `struct shown`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "cmd/purple/network_view.h"
#include "cmd/purple/purple.h"
#include "container/monitor.h"
#include "network/wire.h"

struct shown_process {
	int32_t pid;
	struct opt_bool running;
	struct opt_u32 port;
};

struct shown_rule {
	char *policy, *list, *text,
		*place; /* NULL but for `text`: what stands in no policy */
	uint64_t allowed, denied, events, lost, limited;
};

struct shown_name {
	char *address, *verdict, *protocol, *rule;
	uint32_t first_port, last_port;
	struct opt_u64 seconds_left; /* not set: as long as the rules hold */
	struct opt_bool kept;	     /* for connections from before a reload alone */
};

struct shown_device {
	char *name, *at; /* "host" or "container" */
	struct opt_bool filtered;
};

struct shown {
	char *container, *otherwise;
	uint32_t generation;
	struct strv policies;
	struct shown_process *forwarder, *monitor;
	LIST_OF(struct shown_rule) rules, others;
	LIST_OF(struct shown_name) names;
	LIST_OF(struct shown_device) devices;
};

static const struct json_field process_fields[] = {
	JSON_F(shown_process, pid, "pid", JSON_I32),
	JSON_F(shown_process, running, "running", JSON_OPT_BOOL),
	JSON_F(shown_process, port, "port", JSON_OPT_U32),
	{},
};
static const struct json_type process_type = { sizeof(struct shown_process),
					       process_fields };

static const struct json_field rule_fields[] = {
	JSON_F(shown_rule, policy, "policy", JSON_STR),
	JSON_F(shown_rule, list, "list", JSON_STR),
	JSON_F(shown_rule, text, "rule", JSON_STR),
	JSON_F(shown_rule, place, "place", JSON_STR),
	JSON_F(shown_rule, allowed, "allowed", JSON_U64),
	JSON_F(shown_rule, denied, "denied", JSON_U64),
	JSON_F(shown_rule, events, "events", JSON_U64),
	JSON_F(shown_rule, lost, "lost", JSON_U64),
	JSON_F(shown_rule, limited, "limited", JSON_U64),
	{},
};
static const struct json_type rule_type = { sizeof(struct shown_rule), rule_fields };

static const struct json_field name_fields[] = {
	JSON_F(shown_name, address, "address", JSON_STR),
	JSON_F(shown_name, verdict, "verdict", JSON_STR),
	JSON_F(shown_name, protocol, "protocol", JSON_STR),
	JSON_F(shown_name, first_port, "firstPort", JSON_U32),
	JSON_F(shown_name, last_port, "lastPort", JSON_U32),
	JSON_F(shown_name, rule, "rule", JSON_STR),
	JSON_F(shown_name, seconds_left, "secondsLeft", JSON_OPT_U64),
	JSON_F(shown_name, kept, "kept", JSON_OPT_BOOL),
	{},
};
static const struct json_type name_type = { sizeof(struct shown_name), name_fields };

static const struct json_field device_fields[] = {
	JSON_F(shown_device, name, "name", JSON_STR),
	JSON_F(shown_device, at, "at", JSON_STR),
	JSON_F(shown_device, filtered, "filtered", JSON_OPT_BOOL),
	{},
};
static const struct json_type device_type = { sizeof(struct shown_device), device_fields };

static const struct json_field shown_fields[] = {
	JSON_F(shown, container, "container", JSON_STR),
	JSON_F(shown, generation, "generation", JSON_U32),
	JSON_F(shown, policies, "policies", JSON_STRV),
	JSON_F(shown, otherwise, "otherwise", JSON_STR),
	JSON_FT(shown, forwarder, "forwarder", JSON_STRUCT, &process_type),
	JSON_FT(shown, monitor, "monitor", JSON_STRUCT, &process_type),
	JSON_FT(shown, rules, "rules", JSON_STRUCTS, &rule_type),
	JSON_FT(shown, others, "others", JSON_STRUCTS, &rule_type),
	JSON_FT(shown, names, "names", JSON_STRUCTS, &name_type),
	JSON_FT(shown, devices, "devices", JSON_STRUCTS, &device_type),
	{},
};
static const struct json_type shown_type = { sizeof(struct shown), shown_fields };

/* --- what there is --- */

static int copy(const char *from, char **to, struct err *e)
{
	*to = strdup(from);
	return *to ? 0 : err_oom(e);
}

static const char *verdict_word(uint32_t verdict)
{
	return verdict == NETWORK_ALLOW ? "allowed" :
	       verdict == NETWORK_AUDIT ? "recorded and allowed" :
					  "denied";
}

static void fill_counts(const struct network_hits *hits, struct shown_rule *to)
{
	to->allowed = hits->allowed;
	to->denied = hits->denied;
	to->events = hits->events;
	to->lost = hits->lost;
	to->limited = hits->limited;
}

static int add_rule(const struct network_view *v, struct shown *s,
		    const struct network_policy *policy, uint32_t number,
		    const struct network_hits *hits, struct err *e)
{
	const struct network_rule *rule = v->tables.rules.v[number];
	struct shown_rule *to = list_add(&s->rules);

	if (!to)
		return err_oom(e);
	to->policy = strdup(policy->name);
	to->list = strdup(network_rule_list(rule));
	to->text = strdup(rule->text);
	to->place = strdup(rule->place);
	if (!to->policy || !to->list || !to->text || !to->place)
		return err_oom(e);
	fill_counts(&hits[NETWORK_HITS_INDEX(number, v->filter.config.rules)], to);
	return 0;
}

/* Rules are numbered over all policies. */
static int fill_rules(const struct network_view *v, struct shown *s, struct err *e)
{
	static const struct {
		uint32_t rule;
		const char *what;
	} others[] = {
		{ NETWORK_RULE_NONE, "no rule" },
		{ NETWORK_RULE_RESERVED, "reserved addresses" },
		{ NETWORK_RULE_PROTOCOL, "other protocols, raw sockets, DNS elsewhere" },
		{ NETWORK_RULE_NAME, "TLS without an allowed name" },
		{ NETWORK_RULE_INCOMING, "ports that are not open" },
	};
	_free_ struct network_hits *hits = NULL;
	uint32_t number = 0;
	int r = network_filter_hits_all(&v->filter, &hits, e);

	for (size_t i = 0; r == 0 && i < v->policies.n; i++) {
		const struct network_policy *p = &v->policies.v[i];

		if (strv_add(&s->policies, p->name) < 0)
			return err_oom(e);
		for (size_t k = 0; r == 0 && k < p->rules.n; k++)
			r = add_rule(v, s, p, number++, hits, e);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(others); i++) {
		struct shown_rule *to = list_add(&s->others);

		if (!to)
			return err_oom(e);
		r = copy(others[i].what, &to->text, e);
		fill_counts(&hits[NETWORK_HITS_INDEX(others[i].rule, v->filter.config.rules)],
			    to);
	}
	return r;
}

/* A range may hold ports of both: a line each. */
static int add_name(const struct network_view *v, struct shown *s,
		    const struct network_address *address,
		    const struct network_name_slot *slot, uint32_t lo, uint32_t hi,
		    uint64_t now, struct err *e)
{
	const struct network_rule *rule = slot->rule < v->tables.rules.n ?
						  v->tables.rules.v[slot->rule] :
						  NULL;
	struct shown_name *to;
	char text[INET6_ADDRSTRLEN];

	if (lo > hi)
		return 0;
	to = list_add(&s->names);
	if (!to)
		return err_oom(e);
	to->address = strdup(network_address_text(address, text));
	to->verdict = strdup(slot->flags & NETWORK_NAME_BLOCKED ? "denied" : "allowed");
	to->protocol = strdup(lo >= NETWORK_UDP ? "udp" : "tcp");
	to->rule = strdup(rule ? rule->text : "a name");
	to->first_port = lo & 0xffff;
	to->last_port = hi & 0xffff;
	to->kept = (struct opt_bool){ true, slot->expires <= now };
	if (slot->expires != UINT64_MAX)
		to->seconds_left =
			(struct opt_u64){ true, to->kept.value ? 0 : slot->expires - now };
	return to->address && to->verdict && to->protocol && to->rule ? 0 : err_oom(e);
}

static int add_slot(const struct network_view *v, struct shown *s,
		    const struct network_address *address,
		    const struct network_name_slot *slot, uint64_t now, struct err *e)
{
	uint32_t tcp_hi = slot->hi < NETWORK_UDP ? slot->hi : NETWORK_UDP - 1;
	uint32_t udp_lo = slot->lo < NETWORK_UDP ? NETWORK_UDP : slot->lo;
	int r;

	if (slot->lo > slot->hi ||
	    (slot->expires <= now && !(slot->flags & NETWORK_NAME_KEPT)))
		return 0;
	r = add_name(v, s, address, slot, slot->lo, tcp_hi, now, e);
	return r < 0 ? r : add_name(v, s, address, slot, udp_lo, slot->hi, now, e);
}

static int fill_names(const struct network_view *v, struct shown *s, struct err *e)
{
	int map = v->filter.maps[NETWORK_MAP_NAMES], r, added = 0;
	struct network_address address, next;
	const struct network_address *key = NULL;
	struct network_name name;
	uint64_t now;

	if (!(v->filter.config.flags & (NETWORK_USES_NAMES | NETWORK_BLOCKS_NAMES)))
		return 0;
	now = clock_s(CLOCK_BOOTTIME);
	while (added == 0 && (r = kbpf_map_next(map, key, &next)) == 0) {
		address = next;
		key = &address;
		/* It may have gone meanwhile. */
		if (kbpf_map_lookup(map, key, &name) < 0)
			continue;
		for (size_t i = 0; added == 0 && i < NETWORK_NAME_SLOTS; i++)
			added = add_slot(v, s, key, &name.slots[i], now, e);
	}
	if (added < 0)
		return added;
	return r == -ENOENT ? 0 : err_errno(e, r, "cannot read the learned addresses");
}

static int fill_processes(const struct network_view *v, struct shown *s, struct err *e)
{
	const struct container_state *st = &v->c.st;

	if (v->filter.config.flags & NETWORK_REDIRECT_DNS) {
		s->forwarder = calloc(1, sizeof(*s->forwarder));
		if (!s->forwarder)
			return err_oom(e);
		s->forwarder->pid = st->dns_pid;
		s->forwarder->running = (struct opt_bool){
			true, process_is_alive(st->dns_pid, st->dns_start)
		};
		s->forwarder->port = (struct opt_u32){ true, v->filter.config.dns_port };
	}
	s->monitor = calloc(1, sizeof(*s->monitor));
	if (!s->monitor)
		return err_oom(e);
	s->monitor->pid = st->monitor_pid;
	s->monitor->running = (struct opt_bool){ true, monitor_is_running(&v->c) };
	return 0;
}

static int add_device(const char *name, bool at_host, bool filtered, void *arg)
{
	struct shown *s = arg;
	struct shown_device *to = list_add(&s->devices);

	if (!to)
		return -ENOMEM;
	to->name = strdup(name);
	to->at = strdup(at_host ? "host" : "container");
	to->filtered = (struct opt_bool){ true, filtered };
	return to->name && to->at ? 0 : -ENOMEM;
}

/* None where it has ended, or shares the network namespace of the host. */
static int fill_devices(const struct network_view *v, struct shown *s, struct err *e)
{
	_close_ int netns = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)v->c.st.pid);
	if (!(v->filter.config.flags & NETWORK_OWN_LOOPBACK))
		return 0;
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (netns < 0 || !process_is_alive(v->c.st.pid, v->c.st.pid_start))
		return 0;
	return network_wire_list(&v->filter, netns, add_device, s, e);
}

static int fill(const struct network_view *v, struct shown *s, struct err *e)
{
	const struct network_config *config = &v->filter.config;
	int r = copy(v->c.st.id, &s->container, e);

	s->generation = config->generation;
	if (r == 0)
		r = copy(verdict_word(config->fallback), &s->otherwise, e);
	if (r == 0)
		r = fill_processes(v, s, e);
	if (r == 0)
		r = fill_rules(v, s, e);
	if (r == 0)
		r = fill_names(v, s, e);
	return r < 0 ? r : fill_devices(v, s, e);
}

/* --- as text --- */

static void write_rule(const struct shown_rule *r, struct buf *out)
{
	buf_addf(out, "%10llu %10llu %8llu %8llu  %s%s", (unsigned long long)r->allowed,
		 (unsigned long long)r->denied, (unsigned long long)r->events,
		 (unsigned long long)(r->lost + r->limited), r->list ? r->list : "",
		 r->list ? ": " : "");
	print_plain(out, r->text, 0);
	if (r->place)
		buf_addf(out, "  (%s)", r->place);
	buf_adds(out, "\n");
}

static void write_name(const struct shown_name *n, struct buf *out)
{
	buf_addf(out, "  %s ", n->address);
	if (n->first_port == 0 && n->last_port == 0xffff)
		buf_addf(out, "%s", n->protocol);
	else if (n->first_port == n->last_port)
		buf_addf(out, "%s %u", n->protocol, n->first_port);
	else
		buf_addf(out, "%s %u-%u", n->protocol, n->first_port, n->last_port);
	buf_addf(out, " %s for ", n->verdict);
	print_plain(out, n->rule, 0);
	if (n->kept.value)
		buf_adds(out, ", to connections from before a reload alone");
	else if (n->seconds_left.set)
		buf_addf(out, ", %llu s more", (unsigned long long)n->seconds_left.value);
	buf_adds(out, "\n");
}

static void write_process(const char *what, const struct shown_process *p,
			  const char *otherwise, struct buf *out)
{
	if (!p)
		return;
	buf_addf(out, "%s: process %d", what, p->pid);
	if (p->port.set)
		buf_addf(out, ", port %u", p->port.value);
	buf_addf(out, "%s\n", p->running.value ? "" : otherwise);
}

static void write_text(const struct shown *s, struct buf *out)
{
	buf_addf(out, "container: %s\nrules: generation %u of", s->container, s->generation);
	for (size_t i = 0; i < s->policies.n; i++)
		buf_addf(out, "%s %s", i ? "," : "", s->policies.v[i]);
	buf_addf(out, "; what none speaks of is %s\n", s->otherwise);
	write_process("names", s->forwarder, ", which is dead: nothing resolves", out);
	write_process("monitor", s->monitor,
		      ", which is not running: nothing is recorded", out);
	for (size_t i = 0; i < s->devices.n; i++)
		buf_addf(out, "device: %s, at the %s's end: %s\n", s->devices.v[i].name,
			 s->devices.v[i].at,
			 s->devices.v[i].filtered.value ? "filtered" : "not filtered");
	buf_adds(out, "   allowed     denied   events not told  rule\n");
	for (size_t i = 0; i < s->rules.n; i++)
		write_rule(&s->rules.v[i], out);
	for (size_t i = 0; i < s->others.n; i++)
		write_rule(&s->others.v[i], out);
	if (s->names.n)
		buf_adds(out, "addresses that names led to:\n");
	for (size_t i = 0; i < s->names.n; i++)
		write_name(&s->names.v[i], out);
}

int network_show_text(const char *root, const char *id, bool json, struct buf *out,
		      struct err *e)
{
	_network_view_clear_ struct network_view v = NETWORK_VIEW_EMPTY;
	struct shown s = {};
	int r = network_view_open(root, id, &v, e);

	if (r == 0)
		r = fill(&v, &s, e);
	if (r == 0 && json) {
		r = json_write(&shown_type, &s, true, out, e);
		buf_adds(out, "\n");
	} else if (r == 0) {
		write_text(&s, out);
	}
	json_clear(&shown_type, &s);
	return r;
}

int network_show(const char *root, const char *id, bool json, struct err *e)
{
	_buf_free_ struct buf out = {};
	int r = network_show_text(root, id, json, &out, e);

	return r < 0 ? r : print_text(&out, e);
}
