/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See survivors.h. Runs in the process that reloads, as root. Says of a connection what
 * network_filter.bpf.c would say of its next packet, by the tables where those are enough.
 */
#include "network/survivors.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "network/fill.h"
#include "network/ranges.h"
#include "network/reserved.h"

int network_survivors_open(int ns, struct network_survivors *ret, struct err *e)
{
	_free_ char *path = str_printf("%s/sockets", network_pins_own());
	_close_ int memory = path ? kbpf_get(path) : -ENOMEM;

	if (memory < 0)
		return err_errno(e, memory, "network filter: cannot open '%s'",
				 path ? path : "sockets");
	ret->sock = network_sockets_open(ns, e);
	if (ret->sock < 0)
		return ret->sock;
	ret->memory = take_fd(&memory);
	return 0;
}

void network_survivors_clear(struct network_survivors *s)
{
	fd_close(&s->sock);
	fd_close(&s->memory);
	free(s->doomed.v);
	s->doomed = (network_sockets){};
}

static uint32_t port_of(const struct network_socket *c)
{
	return NETWORK_TCP + c->remote_port;
}

static struct network_address address_of(const struct network_socket *c)
{
	struct network_address a;

	memcpy(a.bytes, c->remote, sizeof(a.bytes));
	return a;
}

static bool covers(const struct network_name_slot *slot, uint32_t port)
{
	return slot->lo <= port && port <= slot->hi;
}

/* What the new `names` say of its address: a block, or that a name allows it. */
static enum network_verdict look_up_name(const struct network_survivors *s,
					 const struct network_socket *c)
{
	struct network_address address = address_of(c);
	enum network_verdict v = NETWORK_NONE;
	struct network_name name;

	if (kbpf_map_lookup(s->next->maps[NETWORK_MAP_NAMES], &address, &name) < 0)
		return NETWORK_NONE;
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		if (!covers(&name.slots[i], port_of(c)))
			continue;
		if (name.slots[i].flags & NETWORK_NAME_BLOCKED)
			return NETWORK_DENY;
		v = NETWORK_ALLOW;
	}
	return v;
}

/* The slots of before that allow a connection by name: for this one port. */
static struct network_name slots_of_before(const struct network_survivors *s,
					   const struct network_socket *c)
{
	struct network_address address = address_of(c);
	struct network_name before = {}, ret = {};
	size_t n = 0;

	/* Its own memory, or when it has been idle since an earlier reload, what was kept then. */
	if (c->state.key == s->old->config.key) {
		before.slots[0].rule = c->state.rule;
		before.slots[0].hi = NETWORK_PORTS_END - 1;
	} else if (kbpf_map_lookup(s->old->maps[NETWORK_MAP_NAMES], &address, &before) < 0) {
		before = (struct network_name){};
	}
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
		if (covers(&before.slots[i], port_of(c)) &&
		    !(before.slots[i].flags & NETWORK_NAME_BLOCKED))
			ret.slots[n++] = (struct network_name_slot){
				.lo = port_of(c),
				.hi = port_of(c),
				.rule = before.slots[i].rule,
				.flags = NETWORK_NAME_KEPT,
				.expires = 1,
			};
	for (; n < NETWORK_NAME_SLOTS; n++)
		ret.slots[n] = (struct network_name_slot){ .lo = 1 };
	return ret;
}

static bool is_open(const struct network_tables *t, uint32_t port)
{
	const struct network_config *config = &t->config;

	if (config->flags & NETWORK_ANY_INCOMING)
		return config->fallback != NETWORK_DENY;
	return config->incoming_count && network_ranges_find(t->ranges.v + config->incoming,
							     config->incoming_count, port);
}

/* As is_blocked() in bpf/network/rules.h. */
static bool is_blocked(const struct network_survivors *s, const struct network_socket *c)
{
	struct network_answer a = network_decide_address(s->tables, c->remote, port_of(c));

	return (a.verdict == NETWORK_DENY && a.rule < s->tables->rules.n) ||
	       look_up_name(s, c) == NETWORK_DENY;
}

static bool is_dns(const struct network_socket *c)
{
	return c->remote_port == 53 || c->remote_port == 853 || c->remote_port == 5353;
}

/* As decide() there. *ret_kept: what the new names need for it. */
static bool is_allowed(const struct network_survivors *s, const struct network_socket *c,
		       struct network_name *ret_kept, bool *ret_keep)
{
	const struct network_tables *t = s->tables;
	struct network_answer a = network_decide_address(t, c->remote, port_of(c));
	struct network_name before;

	*ret_keep = false;
	/* The forwarder's; it ends by itself. */
	if (c->state.redirected && network_is_loopback(c->remote))
		return true;
	if (c->state.incoming)
		return is_open(t, NETWORK_TCP + c->local_port) && !is_blocked(s, c);
	/* On the container's own loopback such a port is like any other. */
	if ((t->config.flags & NETWORK_REDIRECT_DNS) && is_dns(c) &&
	    !((t->config.flags & NETWORK_OWN_LOOPBACK) && network_is_loopback(c->remote)))
		return false;
	if (a.verdict != NETWORK_DENY)
		return look_up_name(s, c) != NETWORK_DENY;
	/* An address that is blocked or reserved; else names may allow what nothing speaks of. */
	if (a.rule != t->config.fallback_rule || !c->state.named || !s->now ||
	    look_up_name(s, c) == NETWORK_DENY)
		return false;
	before = slots_of_before(s, c);
	*ret_keep = network_fill_translate(s->now, t, &before, ret_kept) > 0;
	return *ret_keep;
}

static bool is_ours(const struct network_survivors *s, const struct network_socket *c)
{
	return c->has_state && c->state.cgroup == s->next->config.cgroup;
}

static bool is_noted(const struct network_survivors *s, const struct network_socket *c)
{
	for (size_t i = 0; i < s->doomed.n; i++)
		if (memcmp(s->doomed.v[i].diag.id.idiag_cookie, c->diag.id.idiag_cookie,
			   sizeof(c->diag.id.idiag_cookie)) == 0)
			return true;
	return false;
}

static int look_at(struct network_survivors *s, const struct network_socket *c,
		   int (*keep)(const struct network_address *,
			       const struct network_name *, void *, struct err *),
		   void *arg, struct err *e)
{
	struct network_address address = address_of(c);
	struct network_socket *slot;
	struct network_name kept;
	bool wanted;

	/* What has sent since the switch the new rules have allowed themselves. */
	if (!is_ours(s, c) || c->state.key == s->next->config.key || is_noted(s, c))
		return 0;
	if (is_allowed(s, c, &kept, &wanted))
		return wanted ? keep(&address, &kept, arg, e) : 0;
	slot = list_add(&s->doomed);
	if (!slot)
		return err_oom(e);
	*slot = *c;
	return 0;
}

int network_survivors_look(struct network_survivors *s,
			   int (*keep)(const struct network_address *,
				       const struct network_name *, void *, struct err *),
			   void *arg, struct err *e)
{
	network_sockets l = {};
	int r = network_sockets_list(s->sock, AF_INET6, s->memory, &l);

	if (r == 0)
		r = network_sockets_list(s->sock, AF_INET, s->memory, &l);
	if (r < 0)
		err_errno(e, r, "cannot list the connections of the container");
	for (size_t i = 0; r == 0 && i < l.n; i++)
		r = look_at(s, &l.v[i], keep, arg, e);
	free(l.v);
	return r;
}

int network_survivors_end(struct network_survivors *s, struct err *e)
{
	int failed = 0;

	/* Who reads the filter's events may have been quicker. */
	for (size_t i = 0; i < s->doomed.n; i++) {
		int r = network_sockets_end(s->sock, &s->doomed.v[i]);

		/* One that resists holds the others up no longer. */
		if (r < 0)
			failed = r;
	}
	if (failed)
		return err_errno(e, failed, "cannot end a connection that is denied");
	return (int)s->doomed.n;
}
