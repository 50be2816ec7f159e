// SPDX-License-Identifier: Apache-2.0
/*
 * From policies to what the kernel and the forwarder are given: see rules.h. Pure; runs in the
 * runtime, whose start-up time counts, so nothing here is quadratic in the rules.
 *
 * Theory of operation. The outcome has three layers, asked in this order:
 *
 *   1. v4, v6   the longest prefix that holds an address says all of it: allowed, denied, or
 *               nothing (compile_prefixes.c)
 *   2. names    where the prefix says nothing: the addresses that allowed names were the answer
 *               for, on those names' ports (compile_names.c). The addresses of blocked names are
 *               denied also where the prefix allows
 *   3. fallback for the rest: denied where an enforcing policy has an allow list
 *
 * One limit of that: with two policies, of which one allows an address and the other one a name,
 * the container may not connect to that address by that name, though both would let it. The table
 * has no word for "if the name is right", and says nothing; the names that both allow decide.
 */
#include <errno.h>
#include <netinet/in.h>

#include "base/fd.h"
#include "network/compile_parts.h"
#include "network/reserved.h"

#define PORT_DNS 53
#define PORT_HTTPS (NETWORK_TCP + 443u)

int compile_fail_ranges(struct compile *c, uint32_t rule)
{
	const struct network_rule *x = rule < c->t->rules.n ? c->t->rules.v[rule] : NULL;

	return err_set(c->e, ERR_POLICY, E2BIG,
		       "%s%s%s%s%sthe network's rules name too many ports for too many addresses: "
		       "the kernel's table holds %u ranges of ports",
		       x ? "policy " : "", x ? x->place : "", x ? ": " : "",
		       x ? x->text : "", x ? ": " : "", NETWORK_RANGES_MAX);
}

/* All rules by their number. */
static int number_rules(struct compile *c)
{
	size_t i, k;

	for (i = 0; i < c->n; i++) {
		const struct network_policy *p = &c->policies->v[i];

		c->v[i].policy = p;
		c->v[i].first_rule = (uint32_t)c->t->rules.n;
		for (k = 0; k < p->rules.n; k++) {
			const struct network_rule **slot;

			if (c->t->rules.n >= NETWORK_RULES_MAX)
				return err_set(c->e, ERR_POLICY, E2BIG,
					       "policy %s: %s: a container can have %u rules for its "
					       "network, and this is one more",
					       p->rules.v[k].place, p->rules.v[k].text,
					       NETWORK_RULES_MAX);
			slot = list_add(&c->t->rules);
			if (!slot)
				return -ENOMEM;
			*slot = &p->rules.v[k];
		}
	}
	return 0;
}

/* Whether IPv4 addresses can be reached by their NAT64 names: not where all of those are reserved. */
static bool opens_nat64(const struct network_policy *p)
{
	size_t i;

	for (i = 0; i < p->rules.n; i++) {
		const struct network_rule *rule = &p->rules.v[i];

		if (rule->kind == NETWORK_ALLOW_OUTGOING && rule->has_address &&
		    rule->family == AF_INET6 &&
		    network_is_translated(rule->address, rule->prefix_len))
			return true;
	}
	return false;
}

static int look_at_policy(struct compile_policy *p)
{
	network_ranges layers = { 0 };
	size_t i;
	int r = 0;

	/* A list of nothing. */
	p->listed = p->policy->isolated;
	for (i = 0; r == 0 && i < p->policy->rules.n; i++) {
		const struct network_rule *rule = &p->policy->rules.v[i];

		if (rule->kind != NETWORK_ALLOW_OUTGOING)
			continue;
		p->listed = true;
		if (!rule->domain && !rule->has_address)
			r = network_ranges_add_rule(rule, p->first_rule + (uint32_t)i,
						    false, &layers);
	}
	if (r == 0)
		r = network_ranges_flatten(&layers, &p->everywhere);
	free(layers.v);
	p->translated = !p->listed || opens_nat64(p->policy);
	return r;
}

static int look_at_policies(struct compile *c)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < c->n; i++) {
		r = look_at_policy(&c->v[i]);
		if (c->v[i].policy->audit)
			c->audit_listed |= c->v[i].listed;
		else
			c->enforcing_listed |= c->v[i].listed;
	}
	return r;
}

static void set_fallback(struct compile *c)
{
	struct network_config *k = &c->t->config;

	k->fallback = c->enforcing_listed ? NETWORK_DENY :
		      c->audit_listed	  ? NETWORK_AUDIT :
					    NETWORK_ALLOW;
	k->fallback_rule = NETWORK_RULE_NONE;
}

/* --- incoming --- */

static int incoming_of(const struct compile_policy *p, network_ranges *ret)
{
	network_ranges layers = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < p->policy->rules.n; i++)
		if (p->policy->rules.v[i].kind == NETWORK_ALLOW_INCOMING)
			r = network_ranges_add_rule(&p->policy->rules.v[i],
						    p->first_rule + (uint32_t)i, false,
						    &layers);
	if (r == 0)
		r = network_ranges_flatten(&layers, ret);
	free(layers.v);
	return r;
}

/* The ports that all policies open; those that only record count where there are no others. */
static int compile_incoming(struct compile *c, bool audit)
{
	network_ranges open = { 0 };
	bool first = true;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < c->n; i++) {
		network_ranges own = { 0 }, both = { 0 };

		if (c->v[i].policy->audit != audit)
			continue;
		r = incoming_of(&c->v[i], &own);
		if (r == 0 && !first)
			r = network_ranges_intersect(&open, &own, &both);
		free(open.v);
		open = first ? own : both;
		if (!first)
			free(own.v);
		first = false;
	}
	c->t->config.incoming = (uint32_t)c->t->ranges.n;
	c->t->config.incoming_count = (uint32_t)open.n;
	for (i = 0; r == 0 && i < open.n; i++) {
		struct network_range *slot = list_add(&c->t->ranges);

		if (!slot)
			r = -ENOMEM;
		else
			*slot = open.v[i];
	}
	free(open.v);
	return r;
}

/* --- names --- */

static bool covers(const network_ranges *l, uint32_t port)
{
	return network_ranges_find(l->v, l->n, port) != NULL;
}

static bool names_dns_server(const struct network_rule *rule)
{
	return rule->kind == NETWORK_ALLOW_OUTGOING && rule->has_address &&
	       rule->port_lo && rule->port_lo <= PORT_DNS && rule->port_hi >= PORT_DNS;
}

/*
 * The forwarder is needed where names decide, or where a policy says whom it is to ask; and where
 * everyone may be talked to on some ports, since programs find everyone by name, and the engine's
 * resolver is as a rule at a reserved address. In the last case not if a rule names port 53 of an
 * address: then the policy says whom the program is to ask.
 */
static bool needs_forwarder(const struct compile *c)
{
	bool everywhere = false, named_server = false;
	size_t i, k;

	if (c->t->names.n || c->t->dns_servers.n)
		return true;
	for (i = 0; i < c->n; i++) {
		const struct compile_policy *p = &c->v[i];

		everywhere |= p->everywhere.n != 0;
		for (k = 0; k < p->policy->rules.n; k++) {
			const struct network_rule *rule = &p->policy->rules.v[k];

			/* A name that no other policy allows is in no table. */
			if (rule->domain)
				return true;
			named_server |= names_dns_server(rule);
		}
	}
	return everywhere && !named_server;
}

static void set_flags(struct compile *c)
{
	const struct network_tables *t = c->t;
	uint32_t flags = 0;
	size_t i;

	if (c->around->own_namespace)
		flags |= NETWORK_OWN_LOOPBACK;
	for (i = 0; i < t->names.n; i++) {
		flags |= NETWORK_USES_NAMES;
		if (t->names.v[i].blocked)
			flags |= NETWORK_BLOCKS_NAMES;
		/* What only records must not cut a connection. */
		else if (c->enforcing_listed && covers(&t->names.v[i].ranges, PORT_HTTPS))
			flags |= NETWORK_CHECK_TLS;
	}
	if (needs_forwarder(c))
		flags |= NETWORK_REDIRECT_DNS;
	c->t->config.flags |= flags;
}

/* Those of the first policy that has any: the administrator's comes first. */
static int choose_dns_servers(struct compile *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (c->v[i].policy->dns_servers.n)
			return strv_copy(&c->v[i].policy->dns_servers, &c->t->dns_servers);
	return 0;
}

static int compile_all(struct compile *c)
{
	bool enforces = false;
	size_t i;
	int r = number_rules(c);

	if (r == 0)
		r = look_at_policies(c);
	if (r < 0)
		return r;
	for (i = 0; i < c->n; i++)
		enforces |= !c->v[i].policy->audit;
	set_fallback(c);
	r = compile_prefixes(c);
	if (r == 0)
		r = compile_incoming(c, !enforces);
	if (r == 0)
		r = compile_names(c);
	if (r == 0)
		r = choose_dns_servers(c);
	if (!enforces)
		c->t->config.flags |= NETWORK_ANY_INCOMING;
	if (r == 0)
		set_flags(c);
	return r;
}

int network_compile(const network_policies *policies,
		    const struct network_surroundings *around, struct network_tables *ret,
		    struct err *e)
{
	struct network_tables t = { 0 };
	struct compile c = { .policies = policies, .around = around, .t = &t, .e = e };
	size_t i;
	int r;

	/* An empty table would let all pass. */
	if (policies->n == 0)
		return err_set(e, ERR_INTERNAL, EINVAL, "no policy holds for the network");
	c.n = policies->n;
	c.v = calloc(c.n + 1, sizeof(*c.v));
	r = c.v ? compile_all(&c) : -ENOMEM;
	for (i = 0; c.v && i < c.n; i++)
		free(c.v[i].everywhere.v);
	free(c.v);
	if (r == 0) {
		*ret = t;
		return 0;
	}
	network_tables_clear(&t);
	return r == -ENOMEM ? err_oom(e) : r;
}
