/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns_config.h. The writing half runs in the runtime, the reading half in purple-dns before it
 * gives its privileges up. Touches nothing but what it is given.
 */
#include "network/dns_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/num.h"
#include "network/dns_names.h"

/* 100,000 rules with long names. */
#define CONFIG_MAX ((size_t)64 << 20)

static const struct json_field range_fields[] = {
	JSON_F(dns_range, lo, "lo", JSON_U32),
	JSON_F(dns_range, hi, "hi", JSON_U32),
	JSON_F(dns_range, rule, "rule", JSON_U32),
	JSON_F(dns_range, verdict, "verdict", JSON_U32),
	{},
};
static const struct json_type range_type = { sizeof(struct dns_range), range_fields };

static const struct json_field name_fields[] = {
	JSON_FR(dns_name, domain, "domain", JSON_STR),
	JSON_F(dns_name, wildcard, "wildcard", JSON_BOOL),
	JSON_F(dns_name, blocked, "blocked", JSON_BOOL),
	JSON_F(dns_name, rule, "rule", JSON_U32),
	JSON_FT(dns_name, ranges, "ranges", JSON_STRUCTS, &range_type),
	{},
};
static const struct json_type name_type = { sizeof(struct dns_name), name_fields };

static const struct json_field config_fields[] = {
	JSON_FT(dns_config, names, "names", JSON_STRUCTS, &name_type),
	JSON_F(dns_config, allow_unlisted, "allowUnlisted", JSON_BOOL),
	JSON_F(dns_config, audit_unlisted, "auditUnlisted", JSON_BOOL),
	JSON_F(dns_config, unlisted_rule, "unlistedRule", JSON_U32),
	JSON_F(dns_config, learn_blocked, "learnBlocked", JSON_BOOL),
	JSON_F(dns_config, denied_prefixes, "deniedPrefixes", JSON_STRV),
	JSON_F(dns_config, open_prefixes, "openPrefixes", JSON_STRV),
	JSON_F(dns_config, upstreams, "upstreams", JSON_STRV),
	JSON_F(dns_config, own_names, "ownNames", JSON_STRV),
	JSON_F(dns_config, own_address, "ownAddress", JSON_STR),
	JSON_F(dns_config, ipv4, "ipv4", JSON_BOOL),
	JSON_F(dns_config, ipv6, "ipv6", JSON_BOOL),
	JSON_F(dns_config, events, "events", JSON_BOOL),
	JSON_F(dns_config, detached, "detached", JSON_BOOL),
	{},
};
const struct json_type dns_config_type = { sizeof(struct dns_config), config_fields };

void dns_config_clear(struct dns_config *c)
{
	json_clear(&dns_config_type, c);
}

/* --- addresses --- */

static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

bool dns_address_is_ipv4(const struct network_address *a)
{
	return memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
}

const char *dns_address_text(const struct network_address *a, char *buf, size_t size)
{
	return dns_address_is_ipv4(a) ?
		       inet_ntop(AF_INET, a->bytes + 12, buf, (socklen_t)size) :
		       inet_ntop(AF_INET6, a->bytes, buf, (socklen_t)size);
}

int dns_address_parse(const char *text, struct network_address *ret, unsigned int *ret_len)
{
	const char *slash = ret_len ? strchr(text, '/') : NULL;
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	struct network_address a = {};
	char address[INET6_ADDRSTRLEN];
	uint32_t len = 0, max;

	if (n >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, n);
	address[n] = '\0';
	if (inet_pton(AF_INET, address, a.bytes + 12) == 1) {
		memcpy(a.bytes, mapped, sizeof(mapped));
		max = 32;
	} else if (inet_pton(AF_INET6, address, a.bytes) == 1) {
		max = 128;
	} else {
		return -EINVAL;
	}
	if (slash && (num_u32(slash + 1, &len) < 0 || len > max))
		return -EINVAL;
	*ret = a;
	if (ret_len)
		*ret_len = 128 - max + (slash ? len : max);
	return 0;
}

/* --- from the tables --- */

/*
 * Where no name of the outside has business to point. Inside a container's own network namespace
 * its loopback is free, but a name that leads there would let whoever answers for the name reach
 * what listens there through the program that asks. (IPv4 in IPv6: see dns_message.c.)
 */
static const char *const never[] = {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",	   "240.0.0.0/4",
	"::/96",     "fe80::/10",   "ff00::/8",	      "fd00:ec2::254/128",
};

static bool range_denies(const struct network_range *r)
{
	return r->verdict == NETWORK_DENY;
}

/* Whether no port of the entry may be reached. */
static bool entry_denies_all(const struct network_tables *t,
			     const struct network_entry *entry)
{
	uint32_t next = 0;

	if (entry->first.lo <= entry->first.hi) {
		if (!range_denies(&entry->first) || entry->first.lo != 0)
			return false;
		next = entry->first.hi + 1;
	}
	for (uint32_t i = 0; i < entry->more_count; i++) {
		const struct network_range *r = &t->ranges.v[entry->more + i];

		if (!range_denies(r) || r->lo != next)
			return false;
		next = r->hi + 1;
	}
	return next == NETWORK_PORTS_END;
}

static int add_prefix(const struct network_tables *t, const struct network_table_entry *x,
		      int family, struct dns_config *c, struct err *e)
{
	struct strv *to = entry_denies_all(t, &x->entry) ? &c->denied_prefixes :
							   &c->open_prefixes;
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(family, x->address, text, sizeof(text)))
		return err_sys(e, "cannot write an address");
	return strv_addf(to, "%s/%u", text, x->prefix_len) < 0 ? err_oom(e) : 0;
}

static bool has_entry(const struct network_tables *t, const char *prefix)
{
	struct network_address a;
	unsigned int len = 0;
	bool ipv4;

	if (dns_address_parse(prefix, &a, &len) < 0)
		return false;
	ipv4 = !strchr(prefix, ':');
	for (size_t i = 0; i < (ipv4 ? t->v4.n : t->v6.n); i++) {
		const struct network_table_entry *x = ipv4 ? &t->v4.v[i] : &t->v6.v[i];

		if (x->prefix_len + (ipv4 ? 96U : 0U) == len &&
		    memcmp(x->address, a.bytes + (ipv4 ? 12 : 0), ipv4 ? 4 : 16) == 0)
			return true;
	}
	return false;
}

static int make_prefixes(const struct network_tables *t, struct dns_config *c, struct err *e)
{
	int r = 0;

	/* A rule for exactly such a range holds instead; one inside of it is longer anyway. */
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (!has_entry(t, never[i]) && strv_add(&c->denied_prefixes, never[i]) < 0)
			return err_oom(e);
	for (size_t i = 0; r == 0 && i < t->v4.n; i++)
		r = add_prefix(t, &t->v4.v[i], AF_INET, c, e);
	for (size_t i = 0; r == 0 && i < t->v6.n; i++)
		r = add_prefix(t, &t->v6.v[i], AF_INET6, c, e);
	return r;
}

/* What allows some port of every address: the verdict of 0.0.0.0/0 or ::/0; NULL: nothing does. */
static const struct network_range *find_any(const struct network_tables *t,
					    const struct network_table_entry *l, size_t n,
					    enum network_verdict verdict)
{
	for (size_t i = 0; i < n; i++) {
		const struct network_entry *x = &l[i].entry;

		if (l[i].prefix_len != 0)
			continue;
		if (x->first.lo <= x->first.hi && x->first.verdict == verdict)
			return &x->first;
		for (uint32_t k = 0; k < x->more_count; k++)
			if (t->ranges.v[x->more + k].verdict == verdict)
				return &t->ranges.v[x->more + k];
	}
	return NULL;
}

/* A verdict that lets names that are not listed be resolved: from a rule or the fallback. */
static bool may_resolve_any(const struct network_tables *t, enum network_verdict verdict,
			    uint32_t *ret_rule)
{
	const struct network_range *r = find_any(t, t->v4.v, t->v4.n, verdict);

	if (!r)
		r = find_any(t, t->v6.v, t->v6.n, verdict);
	*ret_rule = r ? r->rule : NETWORK_RULE_NONE;
	return r || t->config.fallback == verdict;
}

static void make_unlisted(const struct network_tables *t, struct dns_config *c)
{
	c->allow_unlisted = may_resolve_any(t, NETWORK_ALLOW, &c->unlisted_rule);
	if (c->allow_unlisted)
		return;
	c->audit_unlisted = may_resolve_any(t, NETWORK_AUDIT, &c->unlisted_rule);
	c->allow_unlisted = c->audit_unlisted;
}

static int make_name(const struct network_table_name *from, struct dns_config *c,
		     struct err *e)
{
	struct dns_name *to = list_add(&c->names);

	if (!to)
		return err_oom(e);
	to->wildcard = from->wildcard;
	to->blocked = from->blocked;
	to->rule = from->rule;
	to->domain = strdup(from->domain);
	if (!to->domain)
		return err_oom(e);
	for (size_t i = 0; i < from->ranges.n; i++) {
		const struct network_range *x = &from->ranges.v[i];
		struct dns_range *r = list_add(&to->ranges);

		if (!r)
			return err_oom(e);
		*r = (struct dns_range){ x->lo, x->hi, x->rule, x->verdict };
	}
	return 0;
}

int dns_config_make(const struct network_tables *t, const struct strv *fallback_upstreams,
		    struct dns_config *ret, struct err *e)
{
	_dns_config_clear_ struct dns_config c = {
		.learn_blocked = t->config.flags & NETWORK_BLOCKS_NAMES,
	};
	const struct strv *upstreams = t->dns_servers.n ? &t->dns_servers :
							  fallback_upstreams;
	int r = make_prefixes(t, &c, e);

	make_unlisted(t, &c);
	for (size_t i = 0; r == 0 && i < t->names.n; i++)
		r = make_name(&t->names.v[i], &c, e);
	if (r == 0 && strv_copy(upstreams, &c.upstreams) < 0)
		r = err_oom(e);
	if (r < 0)
		return r;
	*ret = c;
	c = (struct dns_config){};
	return 0;
}

int dns_config_host_upstreams(const char *path, struct strv *ret, struct err *e)
{
	_strv_free_ struct strv l = {};
	_free_ char *text = NULL;
	char *line, *rest;
	int r = fs_read_document(AT_FDCWD, path, 1 << 20, &text, NULL, e);

	if (r < 0)
		return err_wrap(e, "the host's name servers");
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		struct network_address a;
		char *word, *more;

		word = strtok_r(line, " \t\r", &more);
		if (!word || !streq(word, "nameserver"))
			continue;
		word = strtok_r(NULL, " \t\r", &more);
		/* Not those with a scope ("fe80::1%eth0"): which device that is depends on who asks. */
		if (word && dns_address_parse(word, &a, NULL) == 0 &&
		    l.n < DNS_UPSTREAMS_MAX && strv_add(&l, word) < 0)
			return err_oom(e);
	}
	if (l.n == 0)
		return err_set(e, ERR_CONFIG, ENOENT,
			       "'%s' names no name server (say dns_servers in the policy)",
			       path);
	*ret = l;
	l = (struct strv){};
	return 0;
}

/* --- reading --- */

static int check_name(const struct dns_name *n, struct err *e)
{
	if (!dns_name_is_plain(n->domain))
		return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name", n->domain);
	for (size_t i = 0; i < n->ranges.n; i++) {
		const struct dns_range *r = &n->ranges.v[i];

		if (r->lo > r->hi || r->hi >= NETWORK_PORTS_END ||
		    r->verdict > NETWORK_AUDIT || (i && r->lo <= n->ranges.v[i - 1].hi))
			return err_set(e, ERR_CONFIG, EINVAL, "'%s': ports %u to %u",
				       n->domain, r->lo, r->hi);
	}
	return 0;
}

static int check_addresses(const struct strv *l, bool prefixes, struct err *e)
{
	struct network_address a;
	unsigned int len = 0;

	for (size_t i = 0; i < l->n; i++)
		if (dns_address_parse(l->v[i], &a, prefixes ? &len : NULL) < 0)
			return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no address", l->v[i]);
	return 0;
}

static int check_own(const struct dns_config *c, struct err *e)
{
	struct network_address a;

	for (size_t i = 0; i < c->own_names.n; i++)
		if (!dns_name_is_plain(c->own_names.v[i]))
			return err_set(e, ERR_CONFIG, EINVAL, "'%s' is no name",
				       c->own_names.v[i]);
	if (c->own_names.n == 0 && !c->own_address)
		return 0;
	if (!c->own_address || dns_address_parse(c->own_address, &a, NULL) < 0 ||
	    !dns_address_is_ipv4(&a))
		return err_set(e, ERR_CONFIG, EINVAL, "own names need an IPv4 address");
	return 0;
}

static int check(const struct dns_config *c, struct err *e)
{
	int r = check_own(c, e);

	for (size_t i = 0; r == 0 && i < c->names.n; i++)
		r = check_name(&c->names.v[i], e);
	if (r == 0)
		r = check_addresses(&c->denied_prefixes, true, e);
	if (r == 0)
		r = check_addresses(&c->open_prefixes, true, e);
	if (r == 0)
		r = check_addresses(&c->upstreams, false, e);
	if (r < 0)
		return r;
	if (c->upstreams.n == 0 || c->upstreams.n > DNS_UPSTREAMS_MAX)
		return err_set(e, ERR_CONFIG, EINVAL, "1 to %d upstream servers, not %zu",
			       DNS_UPSTREAMS_MAX, c->upstreams.n);
	if (!c->ipv4 && !c->ipv6)
		return err_set(e, ERR_CONFIG, EINVAL, "no sockets");
	return 0;
}

int dns_config_read(int fd, struct dns_config *ret, struct err *e)
{
	_dns_config_clear_ struct dns_config c = {};
	_json_free_ struct json *j = NULL;
	_free_ char *text = NULL;
	size_t len;
	int r = fd_read_all(fd, CONFIG_MAX, &text, &len, e);

	if (r == 0)
		r = json_parse(text, len, "the forwarder's configuration", &j, e);
	if (r == 0)
		r = json_read(j, &dns_config_type, "the forwarder's configuration", &c, e);
	if (r == 0)
		r = check(&c, e);
	if (r < 0)
		return err_wrap(e, "cannot read what purple-dns shall do");
	*ret = c;
	c = (struct dns_config){};
	return 0;
}
