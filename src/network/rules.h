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
	char *place; /* "FILE:LINE:COLUMN" */
	bool has_address;    /* address/prefix_len hold */
	int family;	     /* AF_INET or AF_INET6 */
	uint8_t address[16]; /* network byte order, 4 bytes used for AF_INET */
	uint8_t prefix_len;
	char *domain;		   /* lower case, without "*."; NULL: no name */
	bool wildcard;		   /* "*.domain": subdomains only; a blocked domain has those always */
	uint16_t port_lo, port_hi; /* 0, 0: any port */
	uint8_t protocol;	   /* 0 any, IPPROTO_TCP, IPPROTO_UDP */
};

/* The network section of one policy. Rules stand in the order of the file. */
struct network_policy {
	char *name;
	bool audit; /* enforcement: audit */
	LIST_OF(struct network_rule) rules;
	struct strv dns_servers; /* addresses */
};
typedef LIST_OF(struct network_policy) network_policies;

void network_policies_clear(network_policies *p);

/* An address, IPv4 as ::ffff:a.b.c.d, with its prefix in bits from 0 to 128. */
struct network_host_address {
	uint8_t address[16];
	uint8_t prefix_len;
};

/* What of the host and the container changes the rules' meaning. */
struct network_surroundings {
	bool own_namespace; /* its loopback is the container's own */
	LIST_OF(struct network_host_address) host_addresses; /* of the host's devices */
};

struct network_table_entry {
	uint8_t address[16]; /* IPv4 in the first four bytes */
	uint8_t prefix_len;
	struct network_entry entry;
};

struct network_table_name {
	char *domain;	/* lower case, without "*." */
	bool wildcard;	/* the names below it, and not itself */
	bool blocked;	/* with the names below it and itself */
	uint32_t rule;
	/* Of the rule, and'ed over the policies that hold; ascending, disjoint. */
	LIST_OF(struct network_range) ranges;
};

/* What the kernel and the forwarder are given. Rules are numbered over all policies. */
struct network_tables {
	LIST_OF(struct network_table_entry) v4, v6; /* no two with one prefix */
	LIST_OF(struct network_range) ranges; /* `more` of the entries, and incoming */
	LIST_OF(struct network_table_name) names;
	LIST_OF(const struct network_rule *) rules; /* by number; owned by the policies */
	struct network_config config; /* flags, fallback, incoming; key, dns_port are the caller's */
	struct strv dns_servers;
};

/*
 * All policies hold: what one of them denies is denied. With several policies, a name is allowed
 * only as far as each allows it. The reserved addresses (network/reserved.c) are denied unless a
 * rule names a prefix inside of them. Fails with ERR_POLICY where the tables would pass the
 * kernel's limits (100,000 prefixes), naming the first rule that is too much.
 */
int network_compile(const network_policies *policies, const struct network_surroundings *around,
		    struct network_tables *ret, struct err *e);
void network_tables_clear(struct network_tables *t);

/* The verdict for one address or name and port, as the kernel would find it. */
struct network_answer {
	enum network_verdict verdict;
	uint32_t rule; /* index into rules, or NETWORK_RULE_... */
};
/* `port` as in network_range; `address` IPv4 as ::ffff:a.b.c.d. */
struct network_answer network_decide_address(const struct network_tables *t,
					     const uint8_t address[16], uint32_t port);
/* For the address that a name resolved to, not knowing the address. */
struct network_answer network_decide_name(const struct network_tables *t, const char *name,
					  uint32_t port);

#endif
