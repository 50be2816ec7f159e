// SPDX-License-Identifier: Apache-2.0
/*
 * What the tables say, found as the kernel and the forwarder find it, for people: `purple policy
 * why`, `purple network test`. Pure.
 */
#include <arpa/inet.h>
#include <string.h>

#include "network/ranges.h"
#include "network/reserved.h"

#define NAME_MAX_LENGTH 253

static const struct network_table_entry *
find_entry(const network_entries *l, const uint8_t address[16], unsigned int prefix_len)
{
	uint8_t key[16] = { 0 };
	size_t lo = 0, hi = l->n;
	unsigned int bytes = prefix_len / 8;

	memcpy(key, address, bytes);
	if (prefix_len % 8)
		key[bytes] = (uint8_t)(address[bytes] & (0xff00 >> prefix_len % 8));
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int r = memcmp(l->v[mid].address, key, sizeof(key));

		if (r == 0)
			r = l->v[mid].prefix_len - (int)prefix_len;
		if (r == 0)
			return &l->v[mid];
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* What the longest prefix says; NETWORK_NONE where it says nothing. */
static struct network_answer look_up(const struct network_tables *t,
				     const network_entries *l, const uint8_t address[16],
				     unsigned int bits, uint32_t port)
{
	const struct network_table_entry *x = NULL;
	const struct network_range *range = NULL;
	unsigned int len;

	for (len = bits + 1; !x && len-- > 0;)
		x = find_entry(l, address, len);
	if (x)
		range = network_ranges_find(&x->entry.first, 1, port);
	if (x && !range && x->entry.more_count)
		range = network_ranges_find(t->ranges.v + x->entry.more,
					    x->entry.more_count, port);
	if (!range)
		return (struct network_answer){ NETWORK_NONE, NETWORK_RULE_NONE };
	return (struct network_answer){ (enum network_verdict)range->verdict, range->rule };
}

static struct network_answer fallback(const struct network_tables *t)
{
	return (struct network_answer){ (enum network_verdict)t->config.fallback,
					t->config.fallback_rule };
}

/* Also the unspecified addresses, which the kernel takes for it. */
bool network_is_loopback(const uint8_t address[16])
{
	static const uint8_t zero[15] = { 0 };

	if (network_is_mapped(address))
		return address[12] == 127 || memcmp(address + 12, zero, 4) == 0;
	return memcmp(address, zero, 15) == 0 && address[15] <= 1;
}

static bool is_own_loopback(const uint8_t address[16])
{
	const uint32_t resolver = htonl(NETWORK_ENGINE_RESOLVER);

	return network_is_loopback(address) &&
	       !(network_is_mapped(address) &&
		 memcmp(address + 12, &resolver, sizeof(resolver)) == 0);
}

struct network_answer network_decide_address(const struct network_tables *t,
					     const uint8_t address[16], uint32_t port)
{
	bool v4 = network_is_mapped(address);
	uint8_t key[16] = { 0 };
	struct network_answer a;

	if ((t->config.flags & NETWORK_OWN_LOOPBACK) && is_own_loopback(address))
		return (struct network_answer){ NETWORK_ALLOW, NETWORK_RULE_NONE };
	memcpy(key, v4 ? address + 12 : address, v4 ? 4 : 16);
	a = look_up(t, v4 ? &t->v4 : &t->v6, key, v4 ? 32 : 128, port);
	return a.verdict == NETWORK_NONE ? fallback(t) : a;
}

/* --- names --- */

/* In lower case, without the last dot; false for what is not a name. */
static bool read_name(const char *name, char ret[NAME_MAX_LENGTH + 1])
{
	size_t len = strlen(name), i;

	if (len && name[len - 1] == '.')
		len--;
	if (len == 0 || len > NAME_MAX_LENGTH)
		return false;
	for (i = 0; i < len; i++) {
		ret[i] = name[i];
		if (name[i] >= 'A' && name[i] <= 'Z')
			ret[i] = (char)(name[i] - 'A' + 'a');
	}
	ret[len] = '\0';
	return true;
}

static const struct network_table_name *
find_name(const struct network_tables *t, const char *domain, bool blocked, bool wildcard)
{
	size_t lo = 0, hi = t->names.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct network_table_name *x = &t->names.v[mid];
		int r = strcmp(x->domain, domain);

		if (r == 0)
			r = blocked - x->blocked;
		if (r == 0)
			r = x->wildcard - wildcard;
		if (r == 0)
			return x;
		if (r < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static const char *parent_of(const char *domain)
{
	const char *dot = strchr(domain, '.');

	return dot ? dot + 1 : NULL;
}

static const struct network_table_name *find_block(const struct network_tables *t,
						   const char *name)
{
	const struct network_table_name *x = NULL;

	for (; name && !x; name = parent_of(name))
		x = find_name(t, name, true, false);
	return x;
}

static const struct network_table_name *find_allow(const struct network_tables *t,
						   const char *name)
{
	const struct network_table_name *x = find_name(t, name, false, false);

	for (name = parent_of(name); name && !x; name = parent_of(name))
		x = find_name(t, name, false, true);
	return x;
}

/* What rules for every address say. */
static struct network_answer look_up_any(const struct network_tables *t, uint32_t port)
{
	static const uint8_t any[16] = { 0 };
	struct network_answer a = look_up(t, &t->v4, any, 0, port);

	return a.verdict == NETWORK_NONE ? look_up(t, &t->v6, any, 0, port) : a;
}

struct network_answer network_decide_name(const struct network_tables *t,
					  const char *name, uint32_t port)
{
	const struct network_table_name *x;
	const struct network_range *range;
	char key[NAME_MAX_LENGTH + 1];
	struct network_answer a;

	if (!read_name(name, key))
		return (struct network_answer){ NETWORK_DENY, NETWORK_RULE_NAME };
	x = find_block(t, key);
	if (x)
		return (struct network_answer){ NETWORK_DENY, x->rule };
	a = look_up_any(t, port);
	if (a.verdict != NETWORK_NONE)
		return a;
	x = find_allow(t, key);
	range = x ? network_ranges_find(x->ranges.v, x->ranges.n, port) : NULL;
	if (range)
		return (struct network_answer){ NETWORK_ALLOW, range->rule };
	return fallback(t);
}

static const struct network_range *first_allowed(const struct network_tables *t,
						 const network_entries *l)
{
	static const uint8_t any[16] = { 0 };
	const struct network_table_entry *x = find_entry(l, any, 0);
	size_t i;

	if (!x)
		return NULL;
	if (x->entry.first.lo <= x->entry.first.hi && x->entry.first.verdict != NETWORK_DENY)
		return &x->entry.first;
	for (i = 0; i < x->entry.more_count; i++)
		if (t->ranges.v[x->entry.more + i].verdict != NETWORK_DENY)
			return &t->ranges.v[x->entry.more + i];
	return NULL;
}

bool network_name_may_resolve(const struct network_tables *t, const char *name,
			      uint32_t *ret_rule)
{
	const struct network_table_name *x;
	const struct network_range *range;
	char key[NAME_MAX_LENGTH + 1];

	*ret_rule = NETWORK_RULE_NONE;
	if (!read_name(name, key))
		return false;
	x = find_block(t, key);
	if (x) {
		*ret_rule = x->rule;
		return false;
	}
	x = find_allow(t, key);
	if (x) {
		*ret_rule = x->rule;
		return true;
	}
	range = first_allowed(t, &t->v4);
	if (!range)
		range = first_allowed(t, &t->v6);
	if (range)
		*ret_rule = range->rule;
	return range || t->config.fallback != NETWORK_DENY;
}
