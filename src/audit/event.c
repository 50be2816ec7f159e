/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See event.h. Runs in purple-monitor, as nobody; how a line begins also in purple-gateway
 * (gateway/events.c). What others chose (names, a program's name) goes through json_quote().
 */
#include "audit/event.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "base/json.h"
#include "network/dns_config.h"

static const char *const hooks[] = {
	[NETWORK_HOOK_CONNECT] = "connect", [NETWORK_HOOK_SEND] = "send",
	[NETWORK_HOOK_BIND] = "bind",	    [NETWORK_HOOK_SOCKET] = "socket",
	[NETWORK_HOOK_OPTION] = "option",   [NETWORK_HOOK_OUT] = "packet-out",
	[NETWORK_HOOK_IN] = "packet-in",    [NETWORK_HOOK_WIRE] = "wire",
};

const char *audit_hook_name(unsigned int hook)
{
	return hook < ARRAY_SIZE(hooks) ? hooks[hook] : NULL;
}

static void add_time(struct buf *out, const struct timespec *t)
{
	struct tm tm = {};
	char text[32];

	gmtime_r(&t->tv_sec, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	buf_addf(out, "\"%s.%06ldZ\"", text, t->tv_nsec / 1000);
}

void audit_event_begin(struct buf *out, const struct audit_head *h, const char *type,
		       const char *action)
{
	buf_adds(out, "{\"@timestamp\":");
	add_time(out, &h->time);
	buf_addf(out, ",\"type\":\"%s\",\"event\":{\"sequence\":%" PRIu64, type,
		 h->sequence);
	if (h->provider)
		buf_addf(out, ",\"provider\":\"%s\"", h->provider);
	if (action)
		buf_addf(out, ",\"action\":\"%s\"", action);
	if (h->outcome)
		buf_addf(out, ",\"outcome\":\"%s\"", h->outcome);
	if (h->duration)
		buf_addf(out, ",\"duration\":%" PRIu64, h->duration);
	buf_adds(out, "},\"container\":{\"id\":");
	json_quote(out, h->container);
	buf_adds(out, "}");
}

void audit_event_close(struct buf *out)
{
	buf_adds(out, "}\n");
}

static void add_policies(struct buf *out, const struct audit_rules *rules)
{
	_buf_free_ struct buf names = {};

	for (size_t i = 0; rules && i < rules->policies.n; i++)
		buf_addf(&names, "%s%s", i ? "," : "", rules->policies.v[i].name);
	if (!names.len)
		return;
	buf_adds(out, ",\"ruleset\":");
	json_quote(out, names.s);
}

static void add_rule(struct buf *out, const struct audit_rules *rules, uint32_t number)
{
	const struct audit_rule *x = audit_rules_find(rules, number);
	const char *special = audit_rule_special(number);

	buf_adds(out, ",\"rule\":{\"name\":");
	if (x) {
		json_quote(out, x->rule->text);
		buf_adds(out, ",\"reference\":");
		json_quote(out, x->rule->place);
		buf_adds(out, ",\"ruleset\":");
		json_quote(out, x->policy->name);
	} else {
		json_quote(out, special ? special : "unknown");
		add_policies(out, rules);
	}
	buf_adds(out, "}");
}

/* --- network --- */

void audit_add_protocol(struct buf *out, bool is_v6, unsigned int protocol)
{
	buf_addf(out, ",\"network\":{\"type\":\"%s\"", is_v6 ? "ipv6" : "ipv4");
	if (protocol == IPPROTO_TCP)
		buf_adds(out, ",\"transport\":\"tcp\"");
	else if (protocol == IPPROTO_UDP)
		buf_adds(out, ",\"transport\":\"udp\"");
	else if (protocol == IPPROTO_ICMP)
		buf_adds(out, ",\"transport\":\"icmp\"");
	else if (protocol == IPPROTO_ICMPV6)
		buf_adds(out, ",\"transport\":\"ipv6-icmp\"");
	else
		buf_addf(out, ",\"iana_number\":\"%u\"", protocol);
	buf_adds(out, "}");
}

void audit_add_end(struct buf *out, const char *which, const struct network_address *a,
		   unsigned int port, const char *name)
{
	char text[INET6_ADDRSTRLEN];
	const char *comma = "";

	if (!a && !port)
		return;
	buf_addf(out, ",\"%s\":{", which);
	if (a) {
		buf_addf(out, "\"ip\":\"%s\"", dns_address_text(a, text, sizeof(text)));
		comma = ",";
	}
	if (port)
		buf_addf(out, "%s\"port\":%u", comma, port);
	if (name) {
		buf_adds(out, ",\"domain\":");
		json_quote(out, name);
	}
	buf_adds(out, "}");
}

/* Which end an address and a port are of depends on where the event is from. */
static void add_ends(struct buf *out, const struct network_event *x, const char *name)
{
	struct network_address a;

	memcpy(a.bytes, x->address, sizeof(a.bytes));
	switch (x->hook) {
	case NETWORK_HOOK_SOCKET:
	case NETWORK_HOOK_OPTION:
		break;
	case NETWORK_HOOK_BIND:
		audit_add_end(out, "server", &a, x->port, NULL);
		break;
	case NETWORK_HOOK_IN:
		audit_add_end(out, "source", &a, 0, name);
		audit_add_end(out, "destination", NULL, x->port, NULL);
		break;
	default:
		audit_add_end(out, "destination", &a, x->port, name);
		audit_add_end(out, "source", NULL, x->local_port, NULL);
	}
}

static void add_process(struct buf *out, const struct network_event *x)
{
	char comm[sizeof(x->comm) + 1] = {};

	if (!x->pid)
		return;
	memcpy(comm, x->comm, sizeof(x->comm));
	buf_addf(out, ",\"process\":{\"pid\":%u,\"name\":", x->pid);
	json_quote(out, comm);
	buf_addf(out, "},\"user\":{\"id\":\"%u\"}", x->uid);
}

void audit_event_network(const struct audit_head *h, const struct network_event *x,
			 const struct audit_rules *rules, const char *name, struct buf *out)
{
	const char *hook = audit_hook_name(x->hook);

	audit_event_begin(out, h, "network", hook ? hook : "unknown");
	buf_addf(out, ",\"verdict\":\"%s\"", x->verdict == NETWORK_AUDIT ? "audit" : "deny");
	audit_add_protocol(out, x->family != AF_INET, x->protocol);
	add_ends(out, x, name);
	add_process(out, x);
	add_rule(out, rules, x->rule);
	buf_addf(out, ",\"count\":%u", x->count);
	audit_event_close(out);
}

/* --- names --- */

static void add_addresses(struct buf *out, const char *key,
			  const struct network_address *a, size_t n)
{
	char text[INET6_ADDRSTRLEN];

	if (n == 0)
		return;
	buf_addf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%s\"%s\"", i ? "," : "",
			 dns_address_text(&a[i], text, sizeof(text)));
	buf_adds(out, "]");
}

void audit_event_dns(const struct audit_head *h, const struct audit_dns *x,
		     const struct audit_rules *rules, struct buf *out)
{
	audit_event_begin(out, h, "dns", "lookup");
	buf_addf(out, ",\"verdict\":\"%s\",\"dns\":{\"question\":{\"name\":", x->verdict);
	json_quote(out, x->name);
	buf_adds(out, ",\"type\":");
	json_quote(out, x->query);
	buf_adds(out, "},\"response_code\":");
	json_quote(out, x->rcode);
	add_addresses(out, "resolved_ip", x->answers, x->answer_count);
	add_addresses(out, "removed_ip", x->removed, x->removed_count);
	buf_adds(out, "}");
	if (x->reason[0]) {
		buf_adds(out, ",\"reason\":");
		json_quote(out, x->reason);
	}
	if (x->rule != NETWORK_RULE_NONE || streq(x->verdict, "deny") ||
	    streq(x->verdict, "audit"))
		add_rule(out, rules, x->rule);
	audit_event_close(out);
}

/* --- the monitor's own --- */

static void add_traced(struct buf *out, const uint64_t traced[TRACE_TYPES + 1])
{
	static const char *const names[TRACE_TYPES + 1] = {
		[TRACE_EXEC] = "exec",		 [TRACE_EXIT] = "exit",
		[TRACE_FORK] = "fork",		 [TRACE_DENIED] = "denied",
		[TRACE_PRIVILEGE] = "privilege", [TRACE_MOUNT] = "mount",
		[TRACE_OPEN] = "open",		 [TRACE_REMOVE] = "remove",
		[TRACE_RENAME] = "rename",	 [TRACE_CHANGE] = "change",
		[TRACE_CONNECT] = "connect",	 [TRACE_BIND] = "bind",
		[TRACE_TYPES] = "counts",
	};
	bool any = false;

	for (size_t i = 0; i <= TRACE_TYPES; i++) {
		if (!traced[i])
			continue;
		buf_addf(out, "%s\"%s\":%" PRIu64, any ? "," : ",\"lost_events\":{",
			 names[i], traced[i]);
		any = true;
	}
	if (any)
		buf_adds(out, "}");
}

static void add_lost(struct buf *out, const struct audit_lost *x)
{
	buf_addf(out,
		 ",\"lost\":{\"full\":%" PRIu64 ",\"limited\":%" PRIu64
		 ",\"dns\":%" PRIu64 ",\"log\":%" PRIu64,
		 x->full, x->limited, x->dns, x->log);
	if (x->trace)
		buf_addf(out, ",\"trace\":%" PRIu64, x->trace);
	if (x->record)
		buf_addf(out, ",\"record\":%" PRIu64, x->record);
	buf_adds(out, "}");
	add_traced(out, x->traced);
}

void audit_event_lost(const struct audit_head *h, const struct audit_lost *x, struct buf *out)
{
	audit_event_begin(out, h, "lost", NULL);
	add_lost(out, x);
	audit_event_close(out);
}

static void add_rules(struct buf *out, const struct audit_rules *rules)
{
	buf_addf(out, ",\"rules\":{\"generation\":%u,\"policies\":[", rules->generation);
	for (size_t i = 0; i < rules->policies.n; i++) {
		const struct network_policy *p = &rules->policies.v[i];

		buf_adds(out, i ? ",{\"name\":" : "{\"name\":");
		json_quote(out, p->name);
		buf_addf(out, ",\"enforcement\":\"%s\"}", p->audit ? "audit" : "enforce");
	}
	buf_adds(out, "]}");
}

static void add_logs(struct buf *out, const struct audit_config *c)
{
	if (!c->logs.n)
		return;
	buf_adds(out, ",\"logs\":[");
	for (size_t i = 0; i < c->logs.n; i++) {
		buf_adds(out, i ? ",{\"path\":" : "{\"path\":");
		json_quote(out, c->logs.v[i].path);
		buf_adds(out, ",\"ruleset\":");
		json_quote(out, c->logs.v[i].policy);
		buf_adds(out, "}");
	}
	buf_adds(out, "]");
}

void audit_event_start(const struct audit_head *h, const struct audit_rules *rules,
		       const struct audit_config *c, struct buf *out)
{
	audit_event_begin(out, h, "start", NULL);
	if (rules)
		add_rules(out, rules);
	add_logs(out, c);
	audit_event_close(out);
}

void audit_event_rules(const struct audit_head *h, const struct audit_rules *rules,
		       struct buf *out)
{
	audit_event_begin(out, h, "rules", NULL);
	add_rules(out, rules);
	audit_event_close(out);
}

void audit_event_denials(const struct audit_head *h, const struct audit_rules *rules,
			 const struct audit_sum *sums, size_t n, struct buf *out)
{
	audit_event_begin(out, h, "denials", NULL);
	buf_adds(out, ",\"denials\":[");
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s{\"count\":%" PRIu64, i ? "," : "", sums[i].count);
		add_rule(out, rules, sums[i].rule);
		buf_adds(out, "}");
	}
	buf_adds(out, "]");
	audit_event_close(out);
}

void audit_event_end(const struct audit_head *h, uint64_t denied,
		     const struct audit_exit *exit, const struct audit_lost *lost,
		     struct buf *out)
{
	audit_event_begin(out, h, "end", NULL);
	buf_addf(out, ",\"denied\":%" PRIu64, denied);
	if (exit->is_known && exit->signal)
		buf_addf(out, ",\"signal\":%u", exit->signal);
	else if (exit->is_known)
		buf_addf(out, ",\"exit_code\":%u", exit->code);
	add_lost(out, lost);
	audit_event_close(out);
}

void audit_event_failure(const struct audit_head *h, const char *type, const char *path,
			 const char *message, struct buf *out)
{
	audit_event_begin(out, h, type, NULL);
	if (path) {
		buf_adds(out, ",\"log\":{\"file\":{\"path\":");
		json_quote(out, path);
		buf_adds(out, "}}");
	}
	buf_adds(out, ",\"error\":{\"message\":");
	json_quote(out, message);
	buf_adds(out, "}");
	audit_event_close(out);
}

void audit_event_alert_failed(const struct audit_head *h, const char *policy,
			      const char *action, const char *message, struct buf *out)
{
	audit_event_begin(out, h, "action_failed", NULL);
	buf_addf(out, ",\"action\":\"%s\"", action);
	if (policy) {
		buf_adds(out, ",\"rule\":{\"name\":\"audit.alert\",\"ruleset\":");
		json_quote(out, policy);
		buf_adds(out, "}");
	}
	buf_adds(out, ",\"error\":{\"message\":");
	json_quote(out, message);
	buf_adds(out, "}");
	audit_event_close(out);
}
