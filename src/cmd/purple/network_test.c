/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple network test: what a container's rules make of a connection, found out by trying it from
 * inside. Runs as root; its process in the container's group executes and opens nothing there
 * (network/probe.h). What it is denied is told as an event, of a process called purple-test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/yaml.h"
#include "cmd/purple/network_view.h"
#include "cmd/purple/purple.h"
#include "cmd/purple/target.h"
#include "network/probe.h"
#include "network/reserved.h"

#define STATUS_DENIED 1
#define STATUS_ERROR 2

struct test {
	struct network_view view;
	struct target target;
	struct network_probe_result result;
	struct buf out;
};

/* --- which rule --- */

/* What names say of an address now, where they do. */
static void ask_names(const struct test *t, const struct network_address *address,
		      struct network_answer *a)
{
	const struct network_filter *f = &t->view.filter;
	struct network_name name;
	uint64_t now;

	now = clock_s(CLOCK_BOOTTIME);
	if (kbpf_map_lookup(f->maps[NETWORK_MAP_NAMES], address, &name) < 0)
		return;
	for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++) {
		const struct network_name_slot *slot = &name.slots[i];

		if (t->target.port < slot->lo || t->target.port > slot->hi ||
		    slot->expires <= now)
			continue;
		a->verdict = slot->flags & NETWORK_NAME_BLOCKED ? NETWORK_DENY :
								  NETWORK_ALLOW;
		a->rule = slot->rule;
		if (a->verdict == NETWORK_DENY)
			return;
	}
}

/* Port 53 is the forwarder's, wherever; the other ports of DNS lead around it. */
static bool is_dns(const struct test *t, const struct network_address *address,
		   struct network_answer *ret)
{
	uint32_t flags = t->view.tables.config.flags, port = t->target.port & 0xffff;

	if (!(flags & NETWORK_REDIRECT_DNS) || (port != 53 && port != 853 && port != 5353))
		return false;
	*ret = (struct network_answer){ NETWORK_ALLOW, NETWORK_RULE_PROTOCOL };
	if (port == 53)
		return true;
	ret->verdict = NETWORK_DENY;
	return !(flags & NETWORK_OWN_LOOPBACK) || !network_is_loopback(address->bytes);
}

static struct network_answer decide(const struct test *t,
				    const struct network_address *address)
{
	const struct network_tables *tables = &t->view.tables;
	struct network_answer a;

	if (is_dns(t, address, &a))
		return a;
	a = network_decide_address(tables, address->bytes, t->target.port);
	if (a.verdict != NETWORK_DENY || a.rule == tables->config.fallback_rule)
		ask_names(t, address, &a);
	return a;
}

static void add_rule(struct test *t, const struct network_answer *a)
{
	const struct network_tables *tables = &t->view.tables;

	if (a->rule < tables->rules.n) {
		const struct network_rule *rule = tables->rules.v[a->rule];

		buf_addf(&t->out, "  %s: network.%s: %s\n", rule->place,
			 network_rule_list(rule), yaml_show(rule->text).s);
	} else if (a->rule == NETWORK_RULE_RESERVED) {
		buf_adds(&t->out,
			 "  a reserved address: only a rule in network.allow_outgoing "
			 "that names it opens it\n");
	} else if (a->rule == NETWORK_RULE_PROTOCOL && a->verdict == NETWORK_ALLOW) {
		buf_adds(&t->out,
			 "  port 53 is led to the forwarder of names, which alone answers\n");
	} else if (a->rule == NETWORK_RULE_PROTOCOL) {
		buf_adds(&t->out,
			 "  a port of DNS: names are asked for at the forwarder alone\n");
	} else if (a->verdict == NETWORK_DENY) {
		buf_adds(&t->out, "  no rule in network.allow_outgoing allows it\n");
	} else if (target_is_loopback(&t->target)) {
		buf_adds(&t->out, "  the loopback device is the container's own\n");
	} else {
		buf_adds(&t->out, "  no rule speaks of it\n");
	}
	if (a->verdict == NETWORK_AUDIT)
		buf_adds(&t->out, "  (denied, but enforcement: audit only records that)\n");
}

/* --- what came of it --- */

static const char *rcode_name(int rcode)
{
	static const char *const names[] = { "no error", "FORMERR", "SERVFAIL",
					     "NXDOMAIN", "NOTIMP",  "REFUSED" };

	return rcode >= 0 && (size_t)rcode < ARRAY_SIZE(names) ? names[rcode] : "an error";
}

static void add_lookup(struct test *t)
{
	const struct network_probe_result *r = &t->result;
	char text[INET6_ADDRSTRLEN];

	if (!t->target.to.domain)
		return;
	if (r->lookup == ETIMEDOUT || r->lookup == ECONNREFUSED)
		buf_adds(&t->out, "  name: the forwarder does not answer\n");
	else if (r->lookup)
		buf_addf(&t->out, "  name: %s\n", strerror(r->lookup));
	else if (r->n == 0)
		buf_addf(&t->out, "  name: the forwarder says %s, and gives no address\n",
			 rcode_name(r->rcode));
	for (unsigned int i = 0; i < r->n; i++)
		buf_addf(&t->out, "%s%s%s", i ? ", " : "  name: ",
			 network_address_text(&r->tried[i].address, text),
			 i + 1 == r->n ? "\n" : "");
}

static const char *outcome(const struct test *t, int error)
{
	bool udp = t->target.port >= NETWORK_UDP;

	switch (error) {
	case 0:
		return "answered";
	case EPERM:
		return "denied";
	case ECONNREFUSED:
		return "allowed; the far end refuses";
	case ETIMEDOUT:
		return udp ? "sent; nothing was answered" : "allowed; nothing answers";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "allowed; there is no way to it";
	default:
		return strerror(error);
	}
}

static bool is_denied(const struct test *t)
{
	const struct network_probe_result *r = &t->result;

	for (unsigned int i = 0; i < r->n; i++)
		if (r->tried[i].error != EPERM)
			return false;
	return true;
}

/* The tables' word on each address, and the kernel's. They are the same, or something is broken. */
static int add_addresses(struct test *t, struct err *e)
{
	for (unsigned int i = 0; i < t->result.n; i++) {
		const struct network_address *address = &t->result.tried[i].address;
		int error = t->result.tried[i].error;
		struct network_answer a = decide(t, address);
		char text[INET6_ADDRSTRLEN];

		buf_addf(&t->out, "  %s: %s\n", network_address_text(address, text),
			 outcome(t, error));
		add_rule(t, &a);
		if ((error == EPERM) != (a.verdict == NETWORK_DENY))
			return err_set(e, ERR_KERNEL, EPROTO,
				       "the rules say of %s that it is %s, and the kernel does not "
				       "do so: %s",
				       text,
				       a.verdict == NETWORK_DENY ? "denied" : "allowed",
				       outcome(t, error));
	}
	return 0;
}

static void add_reason(struct test *t)
{
	struct network_answer a = network_decide_name(&t->view.tables,
						      t->target.to.domain, t->target.port);

	add_rule(t, &a);
}

static int write_answer(struct test *t, struct err *e)
{
	buf_addf(&t->out, "%s: %s\n", t->target.shown, is_denied(t) ? "denied" : "allowed");
	add_lookup(t);
	if (t->result.n == 0)
		add_reason(t);
	return add_addresses(t, e);
}

/* --- trying --- */

static int check(const struct test *t, struct err *e)
{
	enum container_status status;
	int r = container_status(&t->view.c, &status, e);

	if (r < 0)
		return r;
	if (status != CONTAINER_RUNNING && status != CONTAINER_CREATED)
		return err_set(e, ERR_NOT_RUNNING, EINVAL, "cannot test: it is %s",
			       container_status_name(status));
	if (t->target.to.domain && !(t->view.filter.config.flags & NETWORK_REDIRECT_DNS))
		return err_set(e, ERR_UNSUPPORTED, EOPNOTSUPP,
			       "no rule of the container speaks of names: it asks whom it likes, as "
			       "far as it may reach him (test an address)");
	return 0;
}

static int try(struct test *t, struct err *e)
{
	const struct container_state *st = &t->view.c.st;
	_close_ int cgroup = -1, netns = -1;
	struct network_probe p = { .name = t->target.to.domain, .port = t->target.port };
	char path[64];

	if (!st->cgroup || !st->cgroup->unified)
		return err_set(e, ERR_STATE, EINVAL,
			       "the state does not say which group of cgroup2 is the container's");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)st->pid);
	cgroup = open(st->cgroup->unified, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	if (cgroup < 0 || netns < 0)
		return err_sys(e, "cannot open the container's group and network");
	if (!process_is_alive(st->pid, st->pid_start))
		return err_set(e, ERR_NOT_RUNNING, ESRCH, "the container has ended");
	p.cgroup = cgroup;
	p.netns = netns;
	if (t->target.to.has_address)
		target_address(&t->target, p.address.bytes);
	return network_probe_run(&p, &t->result, e);
}

static int test(struct test *t, const char *root, const char *id, const char *target,
		struct err *e)
{
	int r = target_read(target, &t->target, e);

	if (r == 0)
		r = network_view_open(root, id, &t->view, e);
	if (r == 0)
		r = check(t, e);
	if (r == 0)
		r = try(t, e);
	return r == 0 ? write_answer(t, e) : r;
}

int network_test(const char *root, const char *id, const char *target, int *ret_status,
		 struct err *e)
{
	struct test t = { .view = NETWORK_VIEW_EMPTY };
	int r = test(&t, root, id, target, e);

	if (r == 0)
		r = print_text(&t.out, e);
	*ret_status = r < 0 ? STATUS_ERROR : is_denied(&t) ? STATUS_DENIED : 0;
	buf_free(&t.out);
	target_clear(&t.target);
	network_view_clear(&t.view);
	return r;
}
