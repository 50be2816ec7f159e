/* SPDX-License-Identifier: Apache-2.0 */
/*
 * purple network: what the network filter of a container holds and has done. Runs as root, since
 * the filter's maps are root's; reads only.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <time.h>

#include "base/fd.h"
#include "cmd/purple/purple.h"
#include "container/container.h"
#include "container/monitor.h"
#include "network/filter.h"
#include "network/rules_json.h"

/* All of one container. */
struct shown {
	struct container c;
	network_policies policies;
	struct network_tables tables;
	struct network_filter filter;
	struct buf *out;
};

static void shown_clear(struct shown *s)
{
	container_close(&s->c);
	network_tables_clear(&s->tables);
	network_policies_clear(&s->policies);
	network_filter_clear(&s->filter);
}

/* The tables once more, for the rules' numbers. */
static int load(const char *root, const char *id, struct shown *s, struct err *e)
{
	struct network_surroundings around = {};
	int r = container_open(root, id, false, &s->c, e);

	if (r < 0)
		return r;
	if (!s->c.st.network_filter)
		return err_set(e, ERR_STATE, ENOENT,
			       "container %s has no network filter: no policy of it has a network "
			       "that is not isolated",
			       id);
	r = network_policies_load(s->c.dirfd, &s->policies, e);
	if (r == 0)
		r = network_filter_open(s->c.st.network_filter, &s->filter, e);
	around.own_namespace = s->filter.config.flags & NETWORK_OWN_LOOPBACK;
	if (r == 0)
		r = network_compile(&s->policies, &around, &s->tables, e);
	if (r == 0 && s->tables.rules.n != s->filter.config.rules)
		r = err_set(e, ERR_STATE, EPROTO,
			    "the rules in the state folder are not those of the filter");
	return r;
}

static const char *rule_list(const struct network_rule *rule)
{
	if (rule->kind == NETWORK_ALLOW_OUTGOING)
		return "allow_outgoing";
	if (rule->kind == NETWORK_ALLOW_INCOMING)
		return "allow_incoming";
	return rule->domain ? "blocked_domains" : "blocked_ips";
}

static int add_hits(struct shown *s, uint32_t rule, const char *list, const char *text,
		    const char *place, struct err *e)
{
	struct network_hits hits;
	int r = network_filter_hits(&s->filter, rule, &hits);

	if (r < 0)
		return err_errno(e, r, "cannot read the counts of a rule");
	buf_addf(s->out, "%10llu %10llu  %s", (unsigned long long)hits.allowed,
		 (unsigned long long)hits.denied, list);
	if (*text) {
		buf_adds(s->out, ": ");
		print_plain(s->out, text, 0);
	}
	buf_addf(s->out, "%s%s%s\n", *place ? "  (" : "", place, *place ? ")" : "");
	return 0;
}

static int write_rules(struct shown *s, struct err *e)
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
	int r = 0;

	buf_adds(s->out, "   allowed     denied  rule\n");
	for (size_t i = 0; r == 0 && i < s->tables.rules.n; i++) {
		const struct network_rule *rule = s->tables.rules.v[i];

		r = add_hits(s, (uint32_t)i, rule_list(rule), rule->text, rule->place, e);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(others); i++)
		r = add_hits(s, others[i].rule, others[i].what, "", "", e);
	return r;
}

static void write_slot(struct shown *s, const struct network_address *address,
		       const struct network_name_slot *slot, uint64_t now)
{
	const struct network_rule *rule = slot->rule < s->tables.rules.n ?
						  s->tables.rules.v[slot->rule] :
						  NULL;
	char text[INET6_ADDRSTRLEN];
	bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address);

	if (slot->lo > slot->hi || slot->expires <= now)
		return;
	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address->bytes + 12 : address->bytes,
		  text, sizeof(text));
	buf_addf(s->out, "  %s %s for ", text,
		 slot->flags & NETWORK_NAME_BLOCKED ? "denied" : "allowed");
	print_plain(s->out, rule ? rule->text : "a name", 0);
	if (slot->expires != UINT64_MAX)
		buf_addf(s->out, ", %llu s more", (unsigned long long)(slot->expires - now));
	buf_adds(s->out, "\n");
}

static int write_learned(struct shown *s, struct err *e)
{
	struct network_address address, next;
	const struct network_address *key = NULL;
	struct network_name name;
	struct timespec ts;
	int r;

	if (!(s->filter.config.flags & (NETWORK_USES_NAMES | NETWORK_BLOCKS_NAMES)))
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	buf_adds(s->out, "addresses that names led to:\n");
	while ((r = kbpf_map_next(s->filter.maps[NETWORK_MAP_NAMES], key, &next)) == 0) {
		address = next;
		key = &address;
		/* It may have gone meanwhile. */
		if (kbpf_map_lookup(s->filter.maps[NETWORK_MAP_NAMES], key, &name) < 0)
			continue;
		for (size_t i = 0; i < NETWORK_NAME_SLOTS; i++)
			write_slot(s, key, &name.slots[i], (uint64_t)ts.tv_sec);
	}
	return r == -ENOENT ? 0 : err_errno(e, r, "cannot read the learned addresses");
}

static int show(const char *root, const char *id, struct err *e)
{
	__attribute__((cleanup(shown_clear))) struct shown s = {
		.c = CONTAINER_EMPTY, .filter = NETWORK_FILTER_EMPTY
	};
	_buf_free_ struct buf out = {};
	const struct network_config *config = &s.filter.config;
	int r;

	s.out = &out;
	r = load(root, id, &s, e);
	if (r < 0)
		return r;
	buf_addf(&out, "container: %s\nrules: generation %u; what none speaks of is %s\n",
		 s.c.st.id, config->generation,
		 config->fallback == NETWORK_DENY ? "denied" : "allowed");
	if (config->flags & NETWORK_REDIRECT_DNS)
		buf_addf(&out, "names: process %d%s\n", s.c.st.dns_pid,
			 process_is_alive(s.c.st.dns_pid, s.c.st.dns_start) ?
				 "" :
				 ", which is dead: nothing resolves");
	buf_addf(&out, "monitor: process %d%s\n", s.c.st.monitor_pid,
		 monitor_is_running(&s.c) ? "" :
					    ", which is not running: nothing is recorded");
	r = write_rules(&s, e);
	if (r == 0)
		r = write_learned(&s, e);
	return r < 0 ? r : print_text(&out, e);
}

static int run(const void *global, void *opts, char **args, int n, int *ret_status,
	       struct err *e)
{
	if (streq(args[0], "show"))
		return show(((const struct purple_globals *)global)->root, args[1], e);
	return err_set(e, ERR_USAGE, EINVAL, "network: expected show ID");
}

const struct command purple_network_command = {
	.name = "network",
	.arguments = "show ID",
	.help = "Show a container's network rules, how often each allowed and denied, and the "
		"addresses that names led to.",
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
