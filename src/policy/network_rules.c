// SPDX-License-Identifier: Apache-2.0
/* From a policy's network section to the model that src/network works with. Pure. */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"
#include "policy/network.h"
#include "policy/plan.h"

/* A rule of any of the lists, or a blocked domain. */
struct source {
	struct policy_pos pos;
	enum network_rule_kind kind;
	const struct policy_net_rule *rule; /* NULL: `domain` is blocked */
	const char *domain;
};
typedef LIST_OF(struct source) sources;

static int by_place(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->pos.line != y->pos.line)
		return x->pos.line - y->pos.line;
	return x->pos.column - y->pos.column;
}

static int add_rules(sources *l, const policy_net_rules *from, enum network_rule_kind kind)
{
	size_t i;

	for (i = 0; i < from->n; i++) {
		struct source *s = list_add(l);

		if (!s)
			return -ENOMEM;
		*s = (struct source){ from->v[i].pos, kind, &from->v[i], NULL };
	}
	return 0;
}

/* All rules, in the order of the file. */
static int collect(const struct policy *p, sources *l)
{
	const __typeof__(p->network) *net = &p->network;
	size_t i;
	int r = add_rules(l, &net->allow_outgoing, NETWORK_ALLOW_OUTGOING);

	if (r == 0)
		r = add_rules(l, &net->blocked_ips, NETWORK_BLOCK_OUTGOING);
	if (r == 0)
		r = add_rules(l, &net->allow_incoming, NETWORK_ALLOW_INCOMING);
	for (i = 0; r == 0 && i < net->blocked_domains.n; i++) {
		const struct policy_name *name = &net->blocked_domains.v[i];
		struct source *s = list_add(l);

		if (!s)
			return -ENOMEM;
		*s = (struct source){ name->pos, NETWORK_BLOCK_OUTGOING, NULL, name->name };
	}
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_place);
	return r;
}

static int fill_rule(const struct policy *p, const struct source *s, struct network_rule *to)
{
	const struct policy_net_rule *from = s->rule;
	const char *domain = from ? from->domain : s->domain;

	to->kind = s->kind;
	to->text = strdup(from ? from->text : s->domain);
	to->place = str_printf("%s:%d:%d", p->file, s->pos.line, s->pos.column);
	if (domain)
		to->domain = strdup(domain);
	if (!to->text || !to->place || (domain && !to->domain))
		return -ENOMEM;
	if (!from)
		return 0;
	to->has_address = from->has_address;
	to->family = from->family;
	memcpy(to->address, from->address, sizeof(to->address));
	to->prefix_len = from->prefix_len;
	to->wildcard = from->wildcard;
	to->port_lo = from->port_lo;
	to->port_hi = from->port_hi;
	to->protocol = from->protocol;
	return 0;
}

static int fill(const struct policy *p, const sources *l, struct network_policy *to)
{
	size_t i;

	to->audit = p->enforcement == POLICY_AUDIT;
	to->name = strdup(p->name);
	if (!to->name)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		struct network_rule *slot = list_add(&to->rules);

		if (!slot || fill_rule(p, &l->v[i], slot) < 0)
			return -ENOMEM;
	}
	for (i = 0; i < p->network.dns_servers.n; i++)
		if (strv_add(&to->dns_servers, p->network.dns_servers.v[i].name) < 0)
			return -ENOMEM;
	return 0;
}

int policy_network_add(const struct policy *p, network_policies *ret, struct err *e)
{
	struct network_policy *slot = list_add(ret);
	sources l = { 0 };
	int r;

	if (!slot)
		return err_oom(e);
	r = collect(p, &l);
	if (r == 0)
		r = fill(p, &l, slot);
	free(l.v);
	return r < 0 ? err_oom(e) : 0;
}

/* How many rules of a kind there are. */
static size_t count(const struct network_policy *p, enum network_rule_kind kind)
{
	size_t i, n = 0;

	for (i = 0; i < p->rules.n; i++)
		n += p->rules.v[i].kind == kind;
	return n;
}

static int explain_one(const struct network_policy *p, struct strv *to)
{
	size_t allowed = count(p, NETWORK_ALLOW_OUTGOING),
	       blocked = count(p, NETWORK_BLOCK_OUTGOING),
	       incoming = count(p, NETWORK_ALLOW_INCOMING);
	int r;

	if (allowed)
		r = strv_addf(to,
			      "network: %s allows what %zu rule%s name%s and nothing else "
			      "(%zu blocked; private and metadata addresses have to be named as such)",
			      p->name, allowed, allowed == 1 ? "" : "s",
			      allowed == 1 ? "s" : "", blocked);
	else
		r = strv_addf(to,
			      "network: %s blocks %zu addresses and names, and always cloud "
			      "metadata, link-local and multicast addresses",
			      p->name, blocked);
	if (r < 0)
		return r;
	if (incoming)
		return strv_addf(to, "network: %s opens the ports of %zu rule%s to others",
				 p->name, incoming, incoming == 1 ? "" : "s");
	return strv_addf(to, "network: %s opens no port to others", p->name);
}

int policy_network_explain(const network_policies *policies, struct strv *explanations,
			   struct err *e)
{
	size_t i;

	for (i = 0; i < policies->n; i++)
		if (explain_one(&policies->v[i], explanations) < 0)
			return err_oom(e);
	return 0;
}
