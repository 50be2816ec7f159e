// SPDX-License-Identifier: Apache-2.0
/*
 * The reserved addresses: see reserved.h. Pure. Three kinds:
 *
 *   always       cloud metadata services, link-local, multicast, "this host" and broadcast
 *   listed       besides, under a policy with an allow list: addresses that are not of the
 *                internet (private, carrier), translators and tunnels that lead
 *                to IPv4 addresses by another name, and the host itself
 *   loopback     as listed, where the loopback is the host's
 *
 * Not reserved: the ranges of documentation (192.0.2.0/24 and so on), which lead nowhere.
 */
#include "network/reserved.h"

#include <errno.h>
#include <sys/socket.h>

enum when { ALWAYS, LISTED, LOOPBACK };

struct row {
	enum when when;
	uint8_t prefix_len;
	uint8_t address[16];
	const char *what;
};

#define V4(a, b, c, d)     \
	{                  \
		a, b, c, d \
	}

static const struct row rows4[] = {
	{ ALWAYS, 32, V4(169, 254, 169, 254), "cloud metadata" },
	{ ALWAYS, 32, V4(100, 100, 100, 200), "cloud metadata (Alibaba)" },
	{ ALWAYS, 32, V4(192, 0, 0, 192), "cloud metadata (Oracle)" },
	{ ALWAYS, 16, V4(169, 254, 0, 0), "link-local" },
	{ ALWAYS, 8, V4(0, 0, 0, 0), "this host" },
	{ ALWAYS, 4, V4(224, 0, 0, 0), "multicast" },
	{ ALWAYS, 32, V4(255, 255, 255, 255), "broadcast" },
	{ LISTED, 8, V4(10, 0, 0, 0), "private network" },
	{ LISTED, 12, V4(172, 16, 0, 0), "private network" },
	{ LISTED, 16, V4(192, 168, 0, 0), "private network" },
	{ LISTED, 10, V4(100, 64, 0, 0), "carrier network" },
	{ LISTED, 24, V4(192, 0, 0, 0), "protocol assignments" },
	{ LISTED, 32, V4(168, 63, 129, 16), "cloud host agent (Azure)" },
	{ LISTED, 4, V4(240, 0, 0, 0), "reserved for the future" },
	{ LISTED, 32, V4(127, 0, 0, 11), "the engine's resolver (Docker)" },
	{ LOOPBACK, 8, V4(127, 0, 0, 0), "the host's loopback" },
};

static const struct row rows6[] = {
	{ ALWAYS, 128, { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, 0x54 }, "cloud metadata" },
	{ ALWAYS, 128, { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54 }, "cloud metadata (Google)" },
	{ ALWAYS, 10, { 0xfe, 0x80 }, "link-local" },
	{ ALWAYS, 8, { 0xff }, "multicast" },
	{ ALWAYS, 128, { 0 }, "this host" },
	{ LISTED, 7, { 0xfc }, "private network" },
	{ LISTED, 10, { 0xfe, 0xc0 }, "site-local" },
	{ LISTED, 96, { 0x00, 0x64, 0xff, 0x9b }, "IPv4 behind NAT64" },
	{ LISTED, 48, { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, "IPv4 behind a local NAT64" },
	{ LISTED, 16, { 0x20, 0x02 }, "IPv4 behind 6to4" },
	{ LISTED, 32, { 0x20, 0x01 }, "IPv4 behind Teredo" },
	{ LISTED, 96, { 0 }, "IPv4-compatible" },
	{ LISTED, 96, { [8] = 0xff, 0xff }, "IPv4-translated" },
	{ LOOPBACK, 128, { [15] = 1 }, "the host's loopback" },
};

static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

bool network_has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned int bits)
{
	unsigned int bytes = bits / 8, rest = bits % 8;

	if (memcmp(address, prefix, bytes) != 0)
		return false;
	return !rest || (uint8_t)((address[bytes] ^ prefix[bytes]) >> (8 - rest)) == 0;
}

bool network_is_mapped(const uint8_t address[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

void network_translate(const uint8_t address[4], uint8_t prefix_len, uint8_t ret[16],
		       uint8_t *ret_prefix_len)
{
	memcpy(ret, nat64, sizeof(nat64));
	memcpy(ret + sizeof(nat64), address, 4);
	*ret_prefix_len = (uint8_t)(96 + prefix_len);
}

bool network_is_translated(const uint8_t address[16], uint8_t prefix_len)
{
	return prefix_len >= 96 && memcmp(address, nat64, sizeof(nat64)) == 0;
}

static int add(network_reserved_list *ret, int family, const uint8_t *address,
	       uint8_t prefix_len, enum when when, const char *what)
{
	struct network_reserved *x = list_add(ret);
	unsigned int i, bytes = family == AF_INET ? 4 : 16;

	if (!x)
		return -ENOMEM;
	x->family = family;
	x->prefix_len = prefix_len;
	x->always = when == ALWAYS;
	x->what = what;
	/* Without bits beyond the prefix: of the host's addresses their networks may be given. */
	for (i = 0; i < bytes; i++) {
		unsigned int left = prefix_len > 8 * i ? prefix_len - 8 * i : 0;

		x->address[i] = left >= 8 ? address[i] :
					    (uint8_t)(address[i] & (0xff00 >> left));
	}
	return 0;
}

static int add4(network_reserved_list *ret, bool translated, const uint8_t *address,
		uint8_t prefix_len, enum when when, const char *what)
{
	uint8_t other[16], len;
	int r = add(ret, AF_INET, address, prefix_len, when, what);

	if (r < 0 || !translated)
		return r;
	network_translate(address, prefix_len, other, &len);
	return add(ret, AF_INET6, other, len, when, what);
}

static bool applies(enum when when, const struct network_surroundings *around, bool listed)
{
	return when == ALWAYS || (listed && (when == LISTED || !around->own_namespace));
}

static int add_host(const struct network_surroundings *around, bool translated,
		    network_reserved_list *ret)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < around->host_addresses.n; i++) {
		const struct network_host_address *h = &around->host_addresses.v[i];
		bool v4 = network_is_mapped(h->address) && h->prefix_len >= 96;

		if (v4)
			r = add4(ret, translated, h->address + 12,
				 (uint8_t)(h->prefix_len - 96), LISTED, "the host");
		else
			r = add(ret, AF_INET6, h->address, h->prefix_len, LISTED,
				"the host");
	}
	return r;
}

int network_reserved_add(const struct network_surroundings *around, bool listed,
			 bool translated, network_reserved_list *ret)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(rows4); i++)
		if (applies(rows4[i].when, around, listed))
			r = add4(ret, translated, rows4[i].address, rows4[i].prefix_len,
				 rows4[i].when, rows4[i].what);
	for (i = 0; r == 0 && i < ARRAY_SIZE(rows6); i++)
		if (applies(rows6[i].when, around, listed))
			r = add(ret, AF_INET6, rows6[i].address, rows6[i].prefix_len,
				rows6[i].when, rows6[i].what);
	return r == 0 && listed ? add_host(around, translated, ret) : r;
}
