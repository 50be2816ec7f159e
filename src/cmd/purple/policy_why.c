/* SPDX-License-Identifier: Apache-2.0 */
/* purple policy why: which rule of a policy decides about a connection. Runs with the caller's
 * privileges and asks nobody: names are not resolved. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/fd.h"
#include "base/yaml.h"
#include "cmd/purple/network_view.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/target.h"
#include "network/reserved.h"
#include "policy/network.h"

#define STATUS_DENIED 3
#define PORT_QUIC (NETWORK_UDP + 443u)
#define PORT_HTTPS (NETWORK_TCP + 443u)

/* The question, and what is needed to answer it. */
struct why {
	const struct policy *p;
	struct target target;
	network_policies policies;
	struct network_tables tables;
	struct buf *out;
};

static void add_rule(struct why *w, const struct network_rule *rule)
{
	buf_addf(w->out, "  %s: network.%s: %s\n", rule->place, network_rule_list(rule),
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
		if (l.v[i].family == w->target.to.family &&
		    network_has_prefix(w->target.to.address, l.v[i].address,
				       l.v[i].prefix_len) &&
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
	const char *name = w->target.to.domain;
	size_t n, k;

	if (rule->kind != NETWORK_ALLOW_OUTGOING)
		return false;
	if (!rule->domain)
		return w->target.to.has_address && rule->has_address &&
		       rule->family == w->target.to.family &&
		       network_has_prefix(w->target.to.address, rule->address,
					  rule->prefix_len);
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
			 w->target.port == PORT_QUIC && rule->domain ?
				 ": UDP 443 by name needs /udp in the rule" :
				 "");
	}
	if (w->target.to.has_address && has_names)
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

	if (a->verdict == NETWORK_DENY || !w->target.to.domain)
		return;
	buf_adds(w->out,
		 "  (denied where the name's address is a reserved or blocked one)\n");
	if (rule && rule->domain && w->target.port == PORT_HTTPS)
		buf_adds(w->out,
			 "  (the TLS connection has to begin with a name that is allowed)\n");
}

static void write_answer(struct why *w, const struct network_answer *a)
{
	static const char *const words[] = { [NETWORK_ALLOW] = "allowed",
					     [NETWORK_DENY] = "denied",
					     [NETWORK_AUDIT] = "recorded and allowed "
							       "(enforcement: audit)" };

	buf_addf(w->out, "%s: %s\n", w->target.shown, words[a->verdict]);
	if (a->rule < w->tables.rules.n)
		add_rule(w, w->tables.rules.v[a->rule]);
	else if (a->rule == NETWORK_RULE_RESERVED)
		add_reserved(w);
	else if (target_is_loopback(&w->target) && a->verdict == NETWORK_ALLOW)
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
	if (w->target.to.has_address) {
		target_address(&w->target, address);
		*ret = network_decide_address(&w->tables, address, w->target.port);
	} else if (target_is_loopback(&w->target)) {
		*ret = (struct network_answer){ NETWORK_ALLOW, NETWORK_RULE_NONE };
	} else {
		*ret = network_decide_name(&w->tables, w->target.to.domain, w->target.port);
	}
	return 0;
}

/* A network with a loopback device alone, and no rules. */
static void write_isolated(struct why *w, struct network_answer *ret)
{
	const struct policy *p = w->p;
	struct policy_pos pos = p->network.isolated_pos.line ? p->network.isolated_pos :
							       p->network.pos;

	ret->verdict = target_is_loopback(&w->target) ? NETWORK_ALLOW : NETWORK_DENY;
	buf_addf(w->out, "%s: %s\n", w->target.shown,
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
	int r = target_read(target, &w->target, e);

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
	target_clear(&w.target);
	network_tables_clear(&w.tables);
	network_policies_clear(&w.policies);
	return r < 0 ? r : print_text(&out, e);
}
