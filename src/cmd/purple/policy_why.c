/* SPDX-License-Identifier: Apache-2.0 */
/* purple policy why: which rule of a policy decides about a connection. Runs with the caller's
 * privileges and asks nobody: names are not resolved. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/yaml.h"
#include "cmd/purple/purple.h"
#include "network/reserved.h"
#include "policy/network.h"
#include "policy/values.h"

#define STATUS_DENIED 3
#define PORT_QUIC (NETWORK_UDP + 443u)
#define PORT_HTTPS (NETWORK_TCP + 443u)

/* The question, and what is needed to answer it. */
struct why {
	const struct policy *p;
	struct policy_net_rule to; /* a whole address or a name, and one port */
	uint32_t port;		   /* as in network_range */
	char shown[300];	   /* the target, for messages */
	network_policies policies;
	struct network_tables tables;
	struct buf *out;
};

/* What the target is to be read as: one place and one port of it. */
static int read_target(const char *text, struct why *w, struct err *e)
{
	struct fault f;
	struct policy_net_rule *to = &w->to;
	char address[INET6_ADDRSTRLEN];
	int r = value_net_rule(text, VALUE_NET_ANY, to, &f);

	if (r == -EINVAL)
		return err_set(e, ERR_USAGE, EINVAL, "%s", f.text);
	if (r < 0)
		return err_oom(e);
	if (to->wildcard || (!to->domain && !to->has_address) ||
	    (to->has_address && to->prefix_len != (to->family == AF_INET ? 32 : 128)))
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%s' is not one address or name with a port",
			       yaml_show(text).s);
	if (!to->port_lo || to->port_lo != to->port_hi)
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%s' names no port: write HOST:PORT or HOST:PORT/udp",
			       yaml_show(text).s);
	w->port = (to->protocol == IPPROTO_UDP ? NETWORK_UDP : NETWORK_TCP) + to->port_lo;
	if (to->has_address)
		inet_ntop(to->family, to->address, address, sizeof(address));
	snprintf(w->shown, sizeof(w->shown),
		 to->has_address && to->family == AF_INET6 ? "[%s]:%u/%s" : "%s:%u/%s",
		 to->has_address ? address : to->domain, to->port_lo,
		 to->protocol == IPPROTO_UDP ? "udp" : "tcp");
	return 0;
}

/* IPv4 as ::ffff:a.b.c.d. */
static void target_address(const struct why *w, uint8_t ret[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	if (w->to.family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), w->to.address, 4);
	} else {
		memcpy(ret, w->to.address, 16);
	}
}

static bool is_loopback(const struct why *w)
{
	uint8_t address[16];

	if (!w->to.has_address)
		return streq(w->to.domain, "localhost");
	target_address(w, address);
	return network_is_loopback(address);
}

static const char *list_name(const struct network_rule *rule)
{
	if (rule->kind == NETWORK_ALLOW_OUTGOING)
		return "allow_outgoing";
	return rule->domain ? "blocked_domains" : "blocked_ips";
}

static void add_rule(struct why *w, const struct network_rule *rule)
{
	buf_addf(w->out, "  %s: network.%s: %s\n", rule->place, list_name(rule),
		 yaml_show(rule->text).s);
}

/* --- reserved --- */

static void add_reserved(struct why *w)
{
	const struct network_surroundings around = { .own_namespace = true };
	const struct network_reserved *best = NULL;
	network_reserved_list l = {};
	char address[INET6_ADDRSTRLEN];
	bool listed = w->p->network.allow_outgoing.n > 0;

	if (network_reserved_add(&around, listed, true, &l) < 0)
		w->out->failed = true;
	for (size_t i = 0; i < l.n; i++)
		if (l.v[i].family == w->to.family &&
		    network_has_prefix(w->to.address, l.v[i].address, l.v[i].prefix_len) &&
		    (!best || l.v[i].prefix_len > best->prefix_len))
			best = &l.v[i];
	if (best) {
		inet_ntop(best->family, best->address, address, sizeof(address));
		buf_addf(w->out,
			 "  %s/%u is reserved (%s): only a rule in network.allow_outgoing that "
			 "names it or a part of it opens it\n",
			 address, best->prefix_len, best->what);
	}
	free(l.v);
}

/* --- nothing allows it --- */

static bool rule_is_about(const struct why *w, const struct network_rule *rule)
{
	const char *name = w->to.domain;
	size_t n, k;

	if (rule->kind != NETWORK_ALLOW_OUTGOING)
		return false;
	if (!rule->domain)
		return w->to.has_address && rule->has_address &&
		       rule->family == w->to.family &&
		       network_has_prefix(w->to.address, rule->address, rule->prefix_len);
	if (!name)
		return false;
	n = strlen(name);
	k = strlen(rule->domain);
	return rule->wildcard ? n > k + 1 && name[n - k - 1] == '.' &&
					streq(name + n - k, rule->domain) :
				streq(name, rule->domain);
}

/* The rules that come near: of the same place, for other ports. */
static void add_near_rules(struct why *w)
{
	const struct network_policy *p = &w->policies.v[0];
	bool has_names = false;

	for (size_t i = 0; i < p->rules.n; i++) {
		const struct network_rule *rule = &p->rules.v[i];

		has_names |= rule->domain && rule->kind == NETWORK_ALLOW_OUTGOING;
		if (!rule_is_about(w, rule))
			continue;
		buf_addf(w->out,
			 "  %s: network.allow_outgoing: %s does not cover this port%s\n",
			 rule->place, yaml_show(rule->text).s,
			 w->port == PORT_QUIC && rule->domain ?
				 ": UDP 443 by name needs /udp in the rule" :
				 "");
	}
	if (w->to.has_address && has_names)
		buf_adds(w->out,
			 "  (allowed while it is an address of a name that is allowed)\n");
}

static void add_default(struct why *w, bool denied)
{
	if (denied) {
		buf_adds(w->out, "  no rule in network.allow_outgoing allows it\n");
		add_near_rules(w);
		return;
	}
	buf_adds(w->out,
		 "  nothing blocks it, and there is no network.allow_outgoing that would "
		 "have to allow it\n");
}

/* --- the answer --- */

/* What a name may still meet when it is used. */
static void add_name_notes(struct why *w, const struct network_answer *a)
{
	const struct network_rule *rule = a->rule < w->tables.rules.n ?
						  w->tables.rules.v[a->rule] :
						  NULL;

	if (a->verdict == NETWORK_DENY || !w->to.domain)
		return;
	buf_adds(w->out,
		 "  (denied where the name's address is a reserved or blocked one)\n");
	if (rule && rule->domain && w->port == PORT_HTTPS)
		buf_adds(w->out,
			 "  (the TLS connection has to begin with a name that is allowed)\n");
}

static void write_answer(struct why *w, const struct network_answer *a)
{
	static const char *const words[] = { [NETWORK_ALLOW] = "allowed",
					     [NETWORK_DENY] = "denied",
					     [NETWORK_AUDIT] = "recorded and allowed "
							       "(enforcement: audit)" };

	buf_addf(w->out, "%s: %s\n", w->shown, words[a->verdict]);
	if (a->rule < w->tables.rules.n)
		add_rule(w, w->tables.rules.v[a->rule]);
	else if (a->rule == NETWORK_RULE_RESERVED)
		add_reserved(w);
	else if (is_loopback(w) && a->verdict == NETWORK_ALLOW)
		buf_adds(w->out, "  the loopback device is the agent's own\n");
	else
		add_default(w, a->verdict != NETWORK_ALLOW);
	add_name_notes(w, a);
}

static int decide(struct why *w, struct network_answer *ret, struct err *e)
{
	const struct network_surroundings around = { .own_namespace = true };
	uint8_t address[16];
	int r = policy_network_add(w->p, &w->policies, e);

	if (r == 0)
		r = network_compile(&w->policies, &around, &w->tables, e);
	if (r < 0)
		return r;
	if (w->to.has_address) {
		target_address(w, address);
		*ret = network_decide_address(&w->tables, address, w->port);
	} else if (is_loopback(w)) {
		*ret = (struct network_answer){ NETWORK_ALLOW, NETWORK_RULE_NONE };
	} else {
		*ret = network_decide_name(&w->tables, w->to.domain, w->port);
	}
	return 0;
}

/* A network with a loopback device alone, and no rules. */
static void write_isolated(struct why *w, struct network_answer *ret)
{
	const struct policy *p = w->p;
	struct policy_pos pos = p->network.isolated_pos.line ? p->network.isolated_pos :
							       p->network.pos;

	ret->verdict = is_loopback(w) ? NETWORK_ALLOW : NETWORK_DENY;
	buf_addf(w->out, "%s: %s\n", w->shown,
		 ret->verdict == NETWORK_ALLOW ? "allowed" : "denied");
	if (ret->verdict == NETWORK_ALLOW)
		buf_adds(w->out, "  the loopback device is the agent's own\n");
	else if (pos.line)
		buf_addf(w->out,
			 "  %s:%d:%d: network.isolated: the agent has a loopback device "
			 "alone\n",
			 p->file, pos.line, pos.column);
	else
		buf_addf(w->out,
			 "  %s: no network section: the agent has a loopback device alone\n",
			 p->file);
}

static int answer(struct why *w, const char *target, int *ret_status, struct err *e)
{
	struct network_answer a = { NETWORK_DENY, NETWORK_RULE_NONE };
	int r = read_target(target, w, e);

	if (r == 0 && w->p->network.isolated)
		write_isolated(w, &a);
	else if (r == 0 && (r = decide(w, &a, e)) == 0)
		write_answer(w, &a);
	if (r == 0 && a.verdict == NETWORK_DENY)
		*ret_status = STATUS_DENIED;
	return r;
}

int policy_why(const char *file, const char *target, int *ret_status, struct err *e)
{
	_policy_free_ struct policy *p = NULL;
	_buf_free_ struct buf out = {};
	struct why w = { .out = &out };
	int r = policy_load(file, &p, e);

	w.p = p;
	if (r == 0)
		r = answer(&w, target, ret_status, e);
	free(w.to.text);
	free(w.to.domain);
	network_tables_clear(&w.tables);
	network_policies_clear(&w.policies);
	return r < 0 ? r : print_text(&out, e);
}
