/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network values of the policy language: see values.h. Strict on purpose: an address that two
 * programs could read in two ways (010.0.0.1, 10.1, 0x7f.1) is refused. Pure; foreign input.
 */
#include "policy/values.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/num.h"
#include "base/str.h"
#include "base/yaml.h"
#include "gateway/endpoint.h"

enum { DOMAIN_MAX = 253, LABEL_MAX = 63, RULE_MAX = 320, URL_MAX = 2048 };

static const char rule_forms[] = "443, 8000-8010, 10.0.0.0/8:443, [2001:db8::/32]:443, "
				 "api.example.com:443 or *.example.com";

static bool is_digits(const char *s)
{
	return *s && s[strspn(s, "0123456789")] == '\0';
}

static bool is_hexadecimal(const char *s)
{
	return str_has_prefix(s, "0x") && s[2 + strspn(s + 2, "0123456789abcdef")] == '\0';
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* `name` is lower case, with no trailing dot. `s` is the text as written, for the message. */
static int check_domain(const char *name, const char *s, struct fault *f)
{
	const char *label = name, *p;
	size_t len;

	if (!*name)
		return fault_set(f, "'%s' is not a domain name", yaml_show(s).s);
	for (p = name; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			return fault_set(f,
					 "'%s' is not in ASCII: write the name in its xn-- form",
					 yaml_show(s).s);
		if (*p == '*')
			return fault_set(f,
					 "'%s': a '*' may only stand for the first label, as in "
					 "*.example.com",
					 yaml_show(s).s);
		if (!is_label_char(*p) && *p != '.')
			return fault_set(f, "'%s' is not a domain name", yaml_show(s).s);
	}
	if (strlen(name) > DOMAIN_MAX)
		return fault_set(f, "'%s' is longer than 253 characters", yaml_show(s).s);
	for (;;) {
		len = strcspn(label, ".");
		if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
			return fault_set(f, "'%s' is not a domain name", yaml_show(s).s);
		if (!label[len])
			break;
		label += len + 1;
	}
	/* Resolvers take such names for addresses: "1.2.3.999", "10.1", "0x7f000001". */
	if (is_digits(label) || is_hexadecimal(label))
		return fault_set(f, "'%s' is neither an IPv4 address nor a domain name",
				 yaml_show(s).s);
	return 0;
}

/* A name, perhaps with "*." before it, in canonical form. */
static int read_domain(const char *name, const char *s, char **ret, bool *ret_wildcard,
		       struct fault *f)
{
	bool wildcard = str_has_prefix(name, "*.");
	_free_ char *domain = strdup(wildcard ? name + 2 : name);
	size_t len, i;
	int r;

	if (!domain)
		return -ENOMEM;
	if (streq(name, "*"))
		return fault_set(f,
				 "'%s' is not a name (every address is 0.0.0.0/0 and ::/0)",
				 yaml_show(s).s);
	len = strlen(domain);
	for (i = 0; i < len; i++) {
		if (domain[i] >= 'A' && domain[i] <= 'Z')
			domain[i] = (char)(domain[i] - 'A' + 'a');
	}
	if (len > 1 && domain[len - 1] == '.')
		domain[len - 1] = '\0';
	r = check_domain(domain, s, f);
	if (r < 0)
		return r;
	*ret = take_ptr(&domain);
	*ret_wildcard = wildcard;
	return 0;
}

/* Looks like an attempt at an IPv4 address: digits, dots and at most a prefix length. */
static bool is_ipv4_like(const char *s)
{
	return *s >= '0' && *s <= '9' && s[strspn(s, "0123456789./")] == '\0';
}

static bool is_v4_mapped(const uint8_t *a)
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	return memcmp(a, prefix, sizeof(prefix)) == 0;
}

static int check_host_bits(const struct policy_net_rule *rule, const char *s,
			   struct fault *f)
{
	unsigned int bytes = rule->family == AF_INET ? 4 : 16, i;
	char shown[INET6_ADDRSTRLEN];
	uint8_t masked[16] = { 0 };

	for (i = 0; i < bytes; i++) {
		unsigned int left = rule->prefix_len > 8 * i ? rule->prefix_len - 8 * i : 0;

		masked[i] = left >= 8 ? rule->address[i] :
					(uint8_t)(rule->address[i] & (0xff00 >> left));
	}
	if (memcmp(masked, rule->address, bytes) == 0)
		return 0;
	inet_ntop(rule->family, masked, shown, sizeof(shown));
	return fault_set(f, "'%s' has bits set beyond its prefix (did you mean '%s/%u'?)",
			 yaml_show(s).s, shown, rule->prefix_len);
}

/* "ADDRESS" or "ADDRESS/LENGTH" of the family. `text` is cut into pieces. */
static int read_prefix(char *text, int family, const char *s, struct policy_net_rule *ret,
		       struct fault *f)
{
	const char *kind = family == AF_INET ? "IPv4" : "IPv6";
	unsigned int max = family == AF_INET ? 32 : 128;
	char *slash = strchr(text, '/');
	uint64_t len = max;

	if (slash) {
		*slash = '\0';
		if ((slash[1] == '0' && slash[2]) || num_u64(slash + 1, &len) < 0 ||
		    len > max)
			return fault_set(f,
					 "'%s': the prefix length is not a number from 0 to %u",
					 yaml_show(s).s, max);
	}
	if (inet_pton(family, text, ret->address) != 1)
		return fault_set(f, "'%s' is not an %s address", yaml_show(s).s, kind);
	if (family == AF_INET6 && is_v4_mapped(ret->address))
		return fault_set(f,
				 "'%s' is an IPv4 address in IPv6 form: write the IPv4 address",
				 yaml_show(s).s);
	ret->has_address = true;
	ret->family = family;
	ret->prefix_len = (uint8_t)len;
	return check_host_bits(ret, s, f);
}

static int read_port(const char *p, const char *s, uint16_t *ret, struct fault *f)
{
	uint64_t v;

	if (!is_digits(p) || (*p == '0' && p[1]))
		return fault_set(f, "'%s': '%s' is not a port", yaml_show(s).s,
				 yaml_show(p).s);
	if (num_u64(p, &v) < 0 || v < 1 || v > 65535)
		return fault_set(f, "'%s': port %s is out of range (1 to 65535)",
				 yaml_show(s).s, yaml_show(p).s);
	*ret = (uint16_t)v;
	return 0;
}

/* "PORT" or "LOW-HIGH". `text` is cut into pieces. */
static int read_ports(char *text, const char *s, struct policy_net_rule *ret,
		      struct fault *f)
{
	char *dash = strchr(text, '-');
	int r;

	if (dash)
		*dash = '\0';
	r = read_port(text, s, &ret->port_lo, f);
	if (r < 0)
		return r;
	ret->port_hi = ret->port_lo;
	if (!dash)
		return 0;
	r = read_port(dash + 1, s, &ret->port_hi, f);
	if (r == 0 && ret->port_lo > ret->port_hi)
		r = fault_set(f, "'%s': the first port is above the last", yaml_show(s).s);
	return r;
}

/* "[PREFIX]" or "[PREFIX]:PORTS". */
static int read_bracketed(char *text, const char *s, struct policy_net_rule *ret,
			  struct fault *f)
{
	char *end = strchr(text, ']');
	int r;

	if (!end || (end[1] && end[1] != ':'))
		return fault_set(f, "'%s' is not an address in brackets with a port",
				 yaml_show(s).s);
	*end = '\0';
	r = read_prefix(text + 1, AF_INET6, s, ret, f);
	if (r == 0 && end[1])
		r = read_ports(end + 2, s, ret, f);
	return r;
}

static int read_host(char *host, const char *s, struct policy_net_rule *ret, struct fault *f)
{
	if (is_ipv4_like(host))
		return read_prefix(host, AF_INET, s, ret, f);
	if (strchr(host, '/'))
		return fault_set(f, "'%s' is not a network rule (such as %s)",
				 yaml_show(s).s, rule_forms);
	return read_domain(host, s, &ret->domain, &ret->wildcard, f);
}

static void cut_protocol(char *text, struct policy_net_rule *ret)
{
	size_t len = strlen(text);

	if (str_has_suffix(text, "/tcp"))
		ret->protocol = IPPROTO_TCP;
	else if (str_has_suffix(text, "/udp"))
		ret->protocol = IPPROTO_UDP;
	if (ret->protocol)
		text[len - 4] = '\0';
}

static int read_rule(char *text, const char *s, struct policy_net_rule *ret, struct fault *f)
{
	char *colon = strchr(text, ':');
	int r;

	if (*text >= '0' && *text <= '9' && text[strspn(text, "0123456789-")] == '\0')
		return read_ports(text, s, ret, f);
	if (*text == '[')
		return read_bracketed(text, s, ret, f);
	if (colon && strchr(colon + 1, ':'))
		return read_prefix(text, AF_INET6, s, ret, f);
	if (!colon)
		return read_host(text, s, ret, f);
	*colon = '\0';
	r = read_host(text, s, ret, f);
	if (r == 0)
		r = read_ports(colon + 1, s, ret, f);
	return r;
}

static int check_form(const struct policy_net_rule *rule, enum value_net_form form,
		      const char *s, struct fault *f)
{
	bool has_ports = rule->port_lo || rule->protocol;

	if (form == VALUE_NET_ADDRESSES && rule->domain)
		return fault_set(f,
				 "'%s' is not an address: names belong in blocked_domains",
				 yaml_show(s).s);
	if (form == VALUE_NET_ADDRESSES && (has_ports || !rule->has_address))
		return fault_set(f,
				 "'%s' is not an address or prefix alone: a block is for all "
				 "ports",
				 yaml_show(s).s);
	if (form == VALUE_NET_PORTS && (rule->has_address || rule->domain))
		return fault_set(f, "'%s' is not a port or a range of ports",
				 yaml_show(s).s);
	return 0;
}

int value_net_rule(const char *s, enum value_net_form form, struct policy_net_rule *ret,
		   struct fault *f)
{
	struct policy_net_rule rule = { 0 };
	_free_ char *text = NULL;
	int r;

	if (!*s)
		return fault_set(f, "a rule is empty");
	if (strlen(s) > RULE_MAX)
		return fault_set(f, "'%s' is longer than 320 characters", yaml_show(s).s);
	if (strstr(s, "://"))
		return fault_set(f, "'%s' is a URL: write the host name alone",
				 yaml_show(s).s);
	text = strdup(s);
	if (!text)
		return -ENOMEM;
	cut_protocol(text, &rule);
	r = read_rule(text, s, &rule, f);
	if (r == 0)
		r = check_form(&rule, form, s, f);
	if (r == 0) {
		rule.text = strdup(s);
		if (!rule.text)
			r = -ENOMEM;
	}
	if (r < 0) {
		free(rule.domain);
		return r;
	}
	*ret = rule;
	return 0;
}

int value_blocked_domain(const char *s, char **ret, struct fault *f)
{
	bool wildcard;

	if (strstr(s, "://"))
		return fault_set(f, "'%s' is a URL: write the host name alone",
				 yaml_show(s).s);
	if (is_ipv4_like(s) || (strchr(s, ':') && strchr(s, ':') != strrchr(s, ':')))
		return fault_set(f,
				 "'%s' is not a domain name: addresses belong in blocked_ips",
				 yaml_show(s).s);
	if (strchr(s, ':'))
		return fault_set(f,
				 "'%s' is not a domain name alone: a block is for all ports",
				 yaml_show(s).s);
	return read_domain(s, s, ret, &wildcard, f);
}

int value_ip_address(const char *s, char **ret, struct fault *f)
{
	uint8_t address[16];

	if (inet_pton(AF_INET, s, address) != 1 && inet_pton(AF_INET6, s, address) != 1)
		return fault_set(f, "'%s' is not an IP address", yaml_show(s).s);
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

int value_url(const char *s, char **ret, struct fault *f)
{
	struct gateway_endpoint place;

	if (strlen(s) > URL_MAX || gateway_url_place(s, &place) < 0)
		return fault_set(f, "expected a URL (http:// or https://, without a user)");
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

/* "HOST", "HOST:PORT" or a URL of one: what a provider's endpoint may be. */
int value_endpoint(const char *s, char **ret, struct fault *f)
{
	struct policy_net_rule rule = { 0 };
	const char *host = s, *p;
	_free_ char *text = NULL;
	bool url = true;
	int r;

	for (p = s; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return fault_set(f, "'%s' is not a host name or URL",
					 yaml_show(s).s);
	}
	if (str_has_prefix(s, "https://"))
		host += strlen("https://");
	else if (str_has_prefix(s, "http://"))
		host += strlen("http://");
	else
		url = false;
	text = url ? strndup(host, strcspn(host, "/")) : strdup(host);
	if (!text)
		return -ENOMEM;
	if (!*text || is_digits(text) || strpbrk(text, "@?#") || strchr(text, '/') ||
	    strlen(s) > RULE_MAX)
		return fault_set(f, "'%s' is not a host name or URL", yaml_show(s).s);
	r = read_rule(text, s, &rule, f);
	if (r == 0 && !rule.domain && !rule.has_address)
		r = fault_set(f, "'%s' is not a host name or URL", yaml_show(s).s);
	if (r == 0 && url && rule.wildcard)
		r = fault_set(f, "'%s': a URL cannot have a '*'", yaml_show(s).s);
	free(rule.domain);
	if (r < 0)
		return r;
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}
