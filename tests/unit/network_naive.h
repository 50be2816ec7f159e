/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of network rules, rule by rule as the manual says it, without tables: what the
 * compiled ones are compared with. Slow, and shares nothing with src/network but the model.
 */
#ifndef PURPLE_TESTS_NETWORK_NAIVE_H
#define PURPLE_TESTS_NETWORK_NAIVE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "network/rules.h"
#include "policy_build.h"

/* A place to connect to. `v4`: the first four bytes. */
struct naive_target {
	bool v4;
	uint8_t address[16];
	uint32_t port; /* as in network_range */
};

static inline bool naive_has_prefix(const uint8_t *a, const uint8_t *prefix, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++)
		if ((a[i / 8] ^ prefix[i / 8]) & 0x80 >> i % 8)
			return false;
	return true;
}

/* "ADDRESS/LENGTH" of either family. */
struct naive_prefix {
	const char *address;
	unsigned int len;
};

/* The manual's list. */
static const struct naive_prefix naive_always[] = {
	{ "169.254.169.254", 32 }, { "100.100.100.200", 32 }, { "192.0.0.192", 32 },
	{ "169.254.0.0", 16 },	   { "0.0.0.0", 8 },	      { "224.0.0.0", 4 },
	{ "255.255.255.255", 32 }, { "fd00:ec2::254", 128 },  { "fd20:ce::254", 128 },
	{ "fe80::", 10 },	   { "ff00::", 8 },	      { "::", 128 },
};
static const struct naive_prefix naive_listed[] = {
	{ "10.0.0.0", 8 },	{ "172.16.0.0", 12 }, { "192.168.0.0", 16 },
	{ "100.64.0.0", 10 },	{ "192.0.0.0", 24 },  { "168.63.129.16", 32 },
	{ "127.0.0.11", 32 },	{ "240.0.0.0", 4 },   { "fc00::", 7 },
	{ "fec0::", 10 },	{ "64:ff9b::", 96 },  { "64:ff9b:1::", 48 },
	{ "2002::", 16 },	{ "2001::", 32 },     { "::", 96 },
	{ "::ffff:0:0:0", 96 },
};
static const struct naive_prefix naive_loopback[] = { { "127.0.0.0", 8 }, { "::1", 128 } };

static inline void naive_read(const char *text, bool *ret_v4, uint8_t ret[16])
{
	*ret_v4 = inet_pton(AF_INET, text, ret) == 1;
	if (!*ret_v4 && inet_pton(AF_INET6, text, ret) != 1)
		abort();
}

/* The length of the longest of the prefixes that holds the target; -1: none does. */
static inline int naive_longest(const struct naive_prefix *l, size_t n,
				const struct naive_target *to)
{
	uint8_t address[16];
	int best = -1;
	size_t i;
	bool v4;

	for (i = 0; i < n; i++) {
		naive_read(l[i].address, &v4, address);
		if (v4 == to->v4 && naive_has_prefix(to->address, address, l[i].len) &&
		    (int)l[i].len > best)
			best = (int)l[i].len;
	}
	return best;
}

static inline int naive_host(const struct network_surroundings *around,
			     const struct naive_target *to)
{
	int best = -1;
	size_t i;

	for (i = 0; i < around->host_addresses.n; i++) {
		const struct network_host_address *h = &around->host_addresses.v[i];
		bool v4 = h->address[10] == 0xff && h->address[11] == 0xff &&
			  h->prefix_len >= 96;
		int len = v4 ? h->prefix_len - 96 : h->prefix_len;

		if (v4 == to->v4 &&
		    naive_has_prefix(to->address, h->address + (v4 ? 12 : 0),
				     (unsigned int)len) &&
		    len > best)
			best = len;
	}
	return best;
}

static inline int naive_max(int a, int b)
{
	return a > b ? a : b;
}

/* The length of the narrowest reserved range around the target; -1: it is in none. */
static inline int naive_reserved(const struct network_surroundings *around, bool listed,
				 const struct naive_target *to)
{
	int best = naive_longest(naive_always, ARRAY_SIZE(naive_always), to);

	if (!listed)
		return best;
	best = naive_max(best, naive_longest(naive_listed, ARRAY_SIZE(naive_listed), to));
	best = naive_max(best, naive_host(around, to));
	if (!around->own_namespace)
		best = naive_max(best, naive_longest(naive_loopback,
						     ARRAY_SIZE(naive_loopback), to));
	return best;
}

/* The IPv4 target that an IPv6 one is behind NAT64. */
static inline bool naive_translated(const struct naive_target *to, struct naive_target *ret)
{
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };

	if (to->v4 || memcmp(to->address, nat64, 12) != 0)
		return false;
	*ret = (struct naive_target){ .v4 = true, .port = to->port };
	memcpy(ret->address, to->address + 12, 4);
	return true;
}

static inline bool naive_ports(const struct network_rule *x, uint32_t port)
{
	uint16_t number = (uint16_t)port;
	uint8_t protocol = port >= NETWORK_UDP ? IPPROTO_UDP : IPPROTO_TCP;

	if (x->protocol && x->protocol != protocol)
		return false;
	return !x->port_lo || (number >= x->port_lo && number <= x->port_hi);
}

/* The length of the rule's prefix if it holds the target, else -1. */
static inline int naive_match(const struct network_rule *x, const struct naive_target *to)
{
	if (x->domain)
		return -1;
	if (!x->has_address)
		return 0;
	if ((x->family == AF_INET) != to->v4 ||
	    !naive_has_prefix(to->address, x->address, x->prefix_len))
		return -1;
	return x->prefix_len;
}

static inline bool naive_is_listed(const struct network_policy *p)
{
	size_t i;

	for (i = 0; i < p->rules.n; i++)
		if (p->rules.v[i].kind == NETWORK_ALLOW_OUTGOING)
			return true;
	return false;
}

/* What one policy says; *ret_rule is the index in the policy, or NETWORK_RULE_RESERVED. */
static inline enum network_verdict naive_policy(const struct network_policy *p,
						const struct network_surroundings *around,
						const struct naive_target *to,
						uint32_t *ret_rule)
{
	bool listed = naive_is_listed(p);
	struct naive_target behind = { 0 };
	int best = -1, reserved = naive_reserved(around, listed, to), len, i;
	bool translated = naive_translated(to, &behind);

	for (i = 0; i < (int)p->rules.n; i++) {
		const struct network_rule *x = &p->rules.v[i];

		if (x->kind != NETWORK_BLOCK_OUTGOING)
			continue;
		len = naive_match(x, to);
		if (translated && naive_match(x, &behind) >= 0)
			len = 96 + naive_match(x, &behind);
		if (len > best) {
			best = len;
			*ret_rule = (uint32_t)i;
		}
	}
	if (best >= 0)
		return NETWORK_DENY;
	if (translated && naive_reserved(around, listed, &behind) >= 0)
		reserved = naive_max(reserved, 96 + naive_reserved(around, listed, &behind));
	for (i = 0; i < (int)p->rules.n; i++) {
		const struct network_rule *x = &p->rules.v[i];

		len = x->kind == NETWORK_ALLOW_OUTGOING && naive_ports(x, to->port) ?
			      naive_match(x, to) :
			      -1;
		if (len > best && len >= reserved) {
			best = len;
			*ret_rule = (uint32_t)i;
		}
	}
	if (best >= 0)
		return NETWORK_ALLOW;
	*ret_rule = NETWORK_RULE_RESERVED;
	return reserved >= 0 ? NETWORK_DENY : NETWORK_NONE;
}

/* Metadata, link-local, multicast: denied also by a policy that only records. */
static inline bool naive_is_always(const struct network_surroundings *around,
				   const struct naive_target *to)
{
	struct naive_target behind = { 0 };

	return naive_reserved(around, false, to) >= 0 ||
	       (naive_translated(to, &behind) &&
		naive_reserved(around, false, &behind) >= 0);
}

/* All policies: whether an address that no name led to may be talked to. */
static inline enum network_verdict naive_all(const network_policies *l,
					     const struct network_surroundings *around,
					     const struct naive_target *to)
{
	bool records = false;
	size_t i;

	for (i = 0; i < l->n; i++) {
		uint32_t rule;
		enum network_verdict v = naive_policy(&l->v[i], around, to, &rule);
		bool denied = v == NETWORK_DENY ||
			      (v == NETWORK_NONE && naive_is_listed(&l->v[i]));

		if (denied &&
		    (!l->v[i].audit || (v == NETWORK_DENY && naive_is_always(around, to))))
			return NETWORK_DENY;
		records |= denied;
	}
	return records ? NETWORK_AUDIT : NETWORK_ALLOW;
}

/* What one policy says of a name, whose address nothing is known of. */
static inline bool naive_name_allowed(const struct network_policy *p, const char *name,
				      uint32_t port)
{
	size_t i, n = strlen(name), k;

	for (i = 0; i < p->rules.n; i++) {
		const struct network_rule *x = &p->rules.v[i];

		if (x->kind != NETWORK_ALLOW_OUTGOING || !naive_ports(x, port) ||
		    x->has_address)
			continue;
		if (!x->domain)
			return true;
		if (port == NETWORK_UDP + 443 && x->protocol != IPPROTO_UDP)
			continue;
		k = strlen(x->domain);
		if (x->wildcard ? n > k + 1 && name[n - k - 1] == '.' &&
					  streq(name + n - k, x->domain) :
				  streq(name, x->domain))
			return true;
	}
	return !naive_is_listed(p);
}

static inline bool naive_name_blocked(const struct network_policy *p, const char *name)
{
	size_t i, n = strlen(name), k;

	for (i = 0; i < p->rules.n; i++) {
		const struct network_rule *x = &p->rules.v[i];

		if (x->kind != NETWORK_BLOCK_OUTGOING || !x->domain)
			continue;
		k = strlen(x->domain);
		if (n >= k && streq(name + n - k, x->domain) &&
		    (n == k || name[n - k - 1] == '.'))
			return true;
	}
	return false;
}

#endif
