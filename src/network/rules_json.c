// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of a container's network in its state folder, from create to reload. Pure but for the
 * file. What is read back was written by Purple as root; it is checked all the same.
 */
#include "network/rules_json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/num.h"
#include "network/reserved.h"

#define FILE_NAME "network.json"
#define FILE_MAX (64u * 1024 * 1024) /* 100,000 rules with the longest of names */

/* As in the file: with words and texts for what is binary in struct network_rule. */
struct saved_rule {
	char *kind, *text, *place;
	char *prefix; /* "10.0.0.0/8"; NULL: no address */
	char *domain, *protocol;
	bool wildcard;
	struct opt_u32 port_lo, port_hi;
};

struct saved_policy {
	char *name;
	bool audit, isolated;
	LIST_OF(struct saved_rule) rules;
	struct strv dns_servers;
};

struct saved_file {
	LIST_OF(struct saved_policy) policies;
};

static const struct json_field rule_fields[] = {
	JSON_FR(saved_rule, kind, "kind", JSON_STR),
	JSON_FR(saved_rule, text, "text", JSON_STR),
	JSON_FR(saved_rule, place, "place", JSON_STR),
	JSON_F(saved_rule, prefix, "prefix", JSON_STR),
	JSON_F(saved_rule, domain, "domain", JSON_STR),
	JSON_F(saved_rule, wildcard, "wildcard", JSON_BOOL),
	JSON_F(saved_rule, protocol, "protocol", JSON_STR),
	JSON_F(saved_rule, port_lo, "firstPort", JSON_OPT_U32),
	JSON_F(saved_rule, port_hi, "lastPort", JSON_OPT_U32),
	{},
};
static const struct json_type rule_type = { sizeof(struct saved_rule), rule_fields };

static const struct json_field policy_fields[] = {
	JSON_FR(saved_policy, name, "name", JSON_STR),
	JSON_F(saved_policy, audit, "audit", JSON_BOOL),
	JSON_F(saved_policy, isolated, "isolated", JSON_BOOL),
	JSON_FT(saved_policy, rules, "rules", JSON_STRUCTS, &rule_type),
	JSON_F(saved_policy, dns_servers, "dnsServers", JSON_STRV),
	{},
};
static const struct json_type policy_type = { sizeof(struct saved_policy), policy_fields };

static const struct json_field file_fields[] = {
	JSON_FTR(saved_file, policies, "policies", JSON_STRUCTS, &policy_type),
	{},
};
static const struct json_type file_type = { sizeof(struct saved_file), file_fields };

static const char *const kinds[] = {
	[NETWORK_ALLOW_OUTGOING] = "allow",
	[NETWORK_BLOCK_OUTGOING] = "block",
	[NETWORK_ALLOW_INCOMING] = "incoming",
};

/* --- writing --- */

/* NULL stays NULL. */
static int copy_text(const char *from, char **to)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? -ENOMEM : 0;
}

static int save_rule(const struct network_rule *from, struct saved_rule *to)
{
	char address[INET6_ADDRSTRLEN];

	if (copy_text(kinds[from->kind], &to->kind) < 0 ||
	    copy_text(from->text, &to->text) < 0 || copy_text(from->place, &to->place) < 0 ||
	    copy_text(from->domain, &to->domain) < 0)
		return -ENOMEM;
	to->wildcard = from->wildcard;
	if (from->has_address) {
		inet_ntop(from->family, from->address, address, sizeof(address));
		to->prefix = str_printf("%s/%u", address, from->prefix_len);
		if (!to->prefix)
			return -ENOMEM;
	}
	if (from->port_lo) {
		to->port_lo = (struct opt_u32){ true, from->port_lo };
		to->port_hi = (struct opt_u32){ true, from->port_hi };
	}
	if (!from->protocol)
		return 0;
	return copy_text(from->protocol == IPPROTO_UDP ? "udp" : "tcp", &to->protocol);
}

static int save_policy(const struct network_policy *from, struct saved_policy *to)
{
	size_t i;

	to->audit = from->audit;
	to->isolated = from->isolated;
	if (copy_text(from->name, &to->name) < 0 ||
	    strv_copy(&from->dns_servers, &to->dns_servers) < 0)
		return -ENOMEM;
	for (i = 0; i < from->rules.n; i++) {
		struct saved_rule *slot = list_add(&to->rules);

		if (!slot || save_rule(&from->rules.v[i], slot) < 0)
			return -ENOMEM;
	}
	return 0;
}

int network_policies_write(const network_policies *policies, struct buf *out, struct err *e)
{
	struct saved_file f = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < policies->n; i++) {
		struct saved_policy *slot = list_add(&f.policies);

		r = slot ? save_policy(&policies->v[i], slot) : -ENOMEM;
	}
	r = r < 0 ? err_oom(e) : json_write(&file_type, &f, false, out, e);
	json_clear(&file_type, &f);
	return r;
}

/* --- reading --- */

static int fail_rule(const struct saved_rule *from, const char *name, const char *what,
		     struct err *e)
{
	return err_set(e, ERR_CONFIG, EINVAL, "%s: the rule '%s' (%s) has a wrong %s",
		       name, from->text, from->place, what);
}

static bool read_kind(const char *word, enum network_rule_kind *ret)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (streq(word, kinds[i])) {
			*ret = (enum network_rule_kind)i;
			return true;
		}
	}
	return false;
}

static bool read_prefix(const char *text, struct network_rule *to)
{
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	uint64_t len;
	size_t i;

	if (!slash || (size_t)(slash - text) >= sizeof(address) ||
	    num_u64(slash + 1, &len) < 0)
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	to->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (len > (to->family == AF_INET ? 32 : 128) ||
	    inet_pton(to->family, address, to->address) != 1)
		return false;
	for (i = len; i < (to->family == AF_INET ? 32 : 128); i++)
		if (to->address[i / 8] & 0x80 >> i % 8)
			return false;
	to->has_address = true;
	to->prefix_len = (uint8_t)len;
	return true;
}

static bool read_ports(const struct saved_rule *from, struct network_rule *to)
{
	if (from->port_lo.set != from->port_hi.set)
		return false;
	if (!from->port_lo.set)
		return true;
	to->port_lo = (uint16_t)from->port_lo.value;
	to->port_hi = (uint16_t)from->port_hi.value;
	return from->port_lo.value >= 1 && from->port_hi.value <= UINT16_MAX &&
	       from->port_lo.value <= from->port_hi.value;
}

static int read_rule(const struct saved_rule *from, const char *name,
		     struct network_rule *to, struct err *e)
{
	if (copy_text(from->text, &to->text) < 0 || copy_text(from->place, &to->place) < 0 ||
	    copy_text(from->domain, &to->domain) < 0)
		return err_oom(e);
	if (!read_kind(from->kind, &to->kind))
		return fail_rule(from, name, "kind", e);
	if (from->prefix && (from->domain || !read_prefix(from->prefix, to)))
		return fail_rule(from, name, "prefix", e);
	if (!read_ports(from, to))
		return fail_rule(from, name, "port", e);
	if (from->protocol && !streq(from->protocol, "udp") && !streq(from->protocol, "tcp"))
		return fail_rule(from, name, "protocol", e);
	to->wildcard = from->wildcard;
	if (from->protocol)
		to->protocol = streq(from->protocol, "udp") ? IPPROTO_UDP : IPPROTO_TCP;
	return 0;
}

static int read_policy(const struct saved_policy *from, const char *name,
		       struct network_policy *to, struct err *e)
{
	size_t i;
	int r = 0;

	to->audit = from->audit;
	to->isolated = from->isolated;
	if (copy_text(from->name, &to->name) < 0 ||
	    strv_copy(&from->dns_servers, &to->dns_servers) < 0)
		return err_oom(e);
	for (i = 0; r == 0 && i < from->rules.n; i++) {
		struct network_rule *slot = list_add(&to->rules);

		r = slot ? read_rule(&from->rules.v[i], name, slot, e) : err_oom(e);
	}
	return r;
}

int network_policies_read(const char *text, size_t len, const char *name,
			  network_policies *ret, struct err *e)
{
	_json_free_ struct json *j = NULL;
	struct saved_file f = { 0 };
	network_policies l = { 0 };
	size_t i;
	int r = json_parse(text, len, name, &j, e);

	if (r == 0)
		r = json_read(j, &file_type, name, &f, e);
	for (i = 0; r == 0 && i < f.policies.n; i++) {
		struct network_policy *slot = list_add(&l);

		r = slot ? read_policy(&f.policies.v[i], name, slot, e) : err_oom(e);
	}
	json_clear(&file_type, &f);
	if (r < 0)
		network_policies_clear(&l);
	else
		*ret = l;
	return r;
}

/* --- the file --- */

int network_policies_save(int dirfd, const network_policies *policies, struct err *e)
{
	_buf_free_ struct buf out = { 0 };
	int r = network_policies_write(policies, &out, e);

	return r < 0 ? r : fs_write_atomic(dirfd, FILE_NAME, out.s, out.len, 0600, e);
}

int network_policies_open(int dirfd, struct err *e)
{
	int fd = openat(dirfd, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_sys(e, "cannot open '%s'", FILE_NAME) : fd;
}

int network_policies_load(int dirfd, network_policies *ret, struct err *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r;

	r = fs_read(dirfd, FILE_NAME, FILE_MAX, &text, &len, e);
	return r < 0 ? r : network_policies_read(text, len, FILE_NAME, ret, e);
}
