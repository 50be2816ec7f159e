/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies say about the network, and what the kernel's filter is given for it. Pure: the
 * model, and its compilation into tables. Used by policy/, which fills it, and by container/.
 */
#ifndef PURPLE_NETWORK_RULES_H
#define PURPLE_NETWORK_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/str.h"
#include "bpf/network_filter.h"

enum network_rule_kind {
	NETWORK_ALLOW_OUTGOING,
	NETWORK_BLOCK_OUTGOING, /* blocked_ips, blocked_domains */
	NETWORK_ALLOW_INCOMING,
};

/* One rule of one policy, as written and taken apart. */
struct network_rule {
	enum network_rule_kind kind;
	char *text;
	char *place;	     /* "FILE:LINE:COLUMN" */
	bool has_address;    /* address/prefix_len hold */
	int family;	     /* AF_INET or AF_INET6 */
	uint8_t address[16]; /* network byte order, 4 bytes used for AF_INET */
	uint8_t prefix_len;
	char *domain;  /* lower case, without "*."; NULL: no name */
	bool wildcard; /* "*.domain": subdomains only; a blocked domain has those always */
	uint16_t port_lo, port_hi; /* 0, 0: any port */
	uint8_t protocol;	   /* 0 any, IPPROTO_TCP, IPPROTO_UDP */
};

/* The network section of one policy. Rules stand in the order of the file. */
struct network_policy {
	char *name;
	bool audit;    /* enforcement: audit */
	bool isolated; /* nothing is allowed; it has no rules then */
	LIST_OF(struct network_rule) rules;
	struct strv dns_servers; /* addresses */
};
typedef LIST_OF(struct network_policy) network_policies;

void network_policies_clear(network_policies *p);

/*
 * Of all policies of one container together. A prefix of the tables is that of a rule, of a
 * reserved range, or what a blocked IPv4 address is called behind a translator (NAT64).
 */
#define NETWORK_RULES_MAX 100000u
#define NETWORK_RANGES_MAX 1048576u /* `more` ranges of all entries */

/* An address, IPv4 as ::ffff:a.b.c.d, with its prefix in bits from 0 to 128 (the address alone).
 * All of the prefix is reserved. */
struct network_host_address {
	uint8_t address[16];
	uint8_t prefix_len;
};

/* What of the host and the container changes the rules' meaning. */
struct network_surroundings {
	bool own_namespace; /* its loopback is the container's own */
	LIST_OF(struct network_host_address) host_addresses; /* of the host's devices */
};

/* Disjoint and ascending, but where it is said otherwise. */
typedef LIST_OF(struct network_range) network_ranges;

struct network_table_entry {
	uint8_t address[16]; /* IPv4 in the first four bytes */
	uint8_t prefix_len;
	struct network_entry entry;
};

typedef LIST_OF(struct network_table_entry) network_entries;

struct network_table_name {
	char *domain;  /* lower case, without "*." */
	bool wildcard; /* the names below it, and not itself */
	bool blocked;  /* with the names below it and itself; beats every other entry */
	uint32_t rule;
	/*
	 * Allowed: what the rules for this name and for those above it allow, and'ed over the
	 * policies that hold, so that the entry nearest to a name decides. Blocked: all ports.
	 */
	network_ranges ranges;
};

/* The addresses of this network namespace's devices (surroundings.c): run where the host's are. */
int network_surroundings_read(bool own_namespace, struct network_surroundings *ret,
			      struct err *e);
void network_surroundings_clear(struct network_surroundings *s);

/* What the kernel and the forwarder are given. Rules are numbered over all policies. */
struct network_tables {
	network_entries v4, v6; /* no two with one prefix; by address, then by length */
	network_ranges ranges; /* `more` of the entries one after another, and incoming */
	LIST_OF(struct network_table_name) names;   /* by domain */
	LIST_OF(const struct network_rule *) rules; /* by number; owned by the policies */
	struct network_config config; /* flags, fallback, incoming; key, dns_port are the caller's */
	struct strv dns_servers;
};

/*
 * All policies hold: what one of them denies is denied. With several policies, a name is allowed
 * only as far as each allows it, by name or by a rule for every address. The reserved addresses
 * (network/reserved.h) are denied unless an allow rule names a prefix equal to or inside of them.
 * Fails with ERR_POLICY beyond NETWORK_RULES_MAX or NETWORK_RANGES_MAX, naming the first rule that
 * is too much. The tables point into the policies' rules.
 */
int network_compile(const network_policies *policies,
		    const struct network_surroundings *around, struct network_tables *ret,
		    struct err *e);
void network_tables_clear(struct network_tables *t);

/* The verdict for one address or name and port, as the kernel would find it. */
struct network_answer {
	enum network_verdict verdict;
	uint32_t rule; /* index into rules, or NETWORK_RULE_... */
};
/* `port` as in network_range; `address` IPv4 as ::ffff:a.b.c.d. */
struct network_answer network_decide_address(const struct network_tables *t,
					     const uint8_t address[16], uint32_t port);
/* For the address that a name resolved to, not knowing the address. Letters of either case, with
 * or without the dot at the end. */
struct network_answer network_decide_name(const struct network_tables *t,
					  const char *name, uint32_t port);
/*
 * Whether the forwarder may ask for a name: it is not blocked, and some port of it is allowed, or
 * of every address, or of what nothing speaks of. *ret_rule is the rule that decides, or
 * NETWORK_RULE_NONE.
 */
bool network_name_may_resolve(const struct network_tables *t, const char *name,
			      uint32_t *ret_rule);

#endif
