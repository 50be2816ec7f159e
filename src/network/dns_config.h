/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What purple-dns is told: the names of the policies, where answers may not point, whom it asks.
 * Written by the runtime from the compiled tables, read by purple-dns. Pure.
 */
#ifndef PURPLE_NETWORK_DNS_CONFIG_H
#define PURPLE_NETWORK_DNS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "network/rules.h"

/* glibc takes three; policies may have some more. */
#define DNS_UPSTREAMS_MAX 16

/* Descriptors that purple-dns is started with. The sockets are bound in the container's network
 * namespace; those that the configuration does not announce are closed. */
enum dns_fd {
	DNS_FD_CONTROL = 3, /* SOCK_SEQPACKET: see dns_client.c */
	DNS_FD_INIT,	    /* pidfd of the container's init */
	DNS_FD_UDP4,
	DNS_FD_TCP4, /* listens */
	DNS_FD_UDP6,
	DNS_FD_TCP6,
	DNS_FD_NAMES,  /* the container's map `names` */
	DNS_FD_CONFIG, /* this document */
	DNS_FD_EVENTS, /* a line of JSON for each query */
	DNS_FD_END,
};

/*
 * What it writes to the control connection is what base/helper.h says; before it is purple-dns:
 * struct port_message of dns_client.c.
 */
#define DNS_SAYS_PORT 'p'

/* What it is told there while a reload goes on: an entry of `names`, of which it is the writer. */
struct dns_learned {
	struct network_address address;
	struct network_name name;
};

struct dns_range {
	uint32_t lo, hi;
	uint32_t rule;
	uint32_t verdict; /* enum network_verdict */
};

struct dns_name {
	char *domain;		/* lower case, without "*." */
	bool wildcard, blocked; /* as in struct network_table_name */
	uint32_t rule;
	LIST_OF(struct dns_range) ranges;
};

struct dns_config {
	LIST_OF(struct dns_name) names;
	/* Names that are not listed are resolved, and nothing is learned from them: rules allow
	 * any address, by this rule, or what no rule speaks of (NETWORK_RULE_NONE). */
	bool allow_unlisted;
	bool audit_unlisted; /* with it: a policy that enforces would not allow them */
	uint32_t unlisted_rule;
	bool learn_blocked; /* addresses of blocked names go to the map, to be denied */
	struct strv denied_prefixes; /* "192.0.2.0/24", where answers may not point, */
	struct strv open_prefixes; /* and where they may, inside of those; the longest one holds */
	struct strv upstreams; /* addresses, asked on port 53 */
	/* Names that lead to one address in the container, whatever else is said of them; not those
	 * below them. IPv4; NULL: there are none. */
	struct strv own_names;
	char *own_address;
	bool ipv4, ipv6, events; /* which of the descriptors are there */
	/* The end of the control connection is not the end of the forwarder. */
	bool detached;
};

extern const struct json_type dns_config_type;

/*
 * From the compiled tables; what is about descriptors stays with the caller. With no dns_servers
 * in the tables, `fallback_upstreams` are asked (dns_config_host_upstreams()).
 */
int dns_config_make(const struct network_tables *t, const struct strv *fallback_upstreams,
		    struct dns_config *ret, struct err *e);

/* The nameserver lines of a resolv.conf(5). An error where there is none. */
int dns_config_host_upstreams(const char *path, struct strv *ret, struct err *e);

/* Reads and checks the document in `fd`. */
int dns_config_read(int fd, struct dns_config *ret, struct err *e);
void dns_config_clear(struct dns_config *c);
#define _dns_config_clear_ __attribute__((cleanup(dns_config_clear)))

/*
 * An address ("192.0.2.1", "2001:db8::1") as a key of the map `names`, IPv4 as ::ffff:a.b.c.d;
 * with `ret_len` it may have a prefix ("/24"), whose length is told as of 128 bits. 0 or -EINVAL.
 */
int dns_address_parse(const char *text, struct network_address *ret, unsigned int *ret_len);
/* As text; IPv4 as such. At least INET6_ADDRSTRLEN bytes. */
const char *dns_address_text(const struct network_address *a, char *buf, size_t size);
bool dns_address_is_ipv4(const struct network_address *a);

#endif
