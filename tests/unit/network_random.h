/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: random policies of the network, and random places to connect to. */
#ifndef PURPLE_TESTS_NETWORK_RANDOM_H
#define PURPLE_TESTS_NETWORK_RANDOM_H

#include "network_naive.h"
#include "policy_build.h"

static const char *const interesting[] = { "10.0.0.0",
					   "127.0.0.11",
					   "10.1.0.0",
					   "10.1.2.3",
					   "5.0.0.0",
					   "5.5.0.0",
					   "5.5.5.5",
					   "5.5.5.4",
					   "169.254.169.254",
					   "169.254.0.0",
					   "127.0.0.1",
					   "224.0.0.1",
					   "0.0.0.0",
					   "192.168.0.0",
					   "100.100.100.200",
					   "255.255.255.255",
					   "2001:db8::",
					   "2001:db8:1::",
					   "2001:db8:1::5",
					   "fe80::1",
					   "fd00:ec2::254",
					   "fd00::",
					   "64:ff9b::",
					   "64:ff9b::505:505",
					   "64:ff9b::a01:203",
					   "2002:505:505::",
					   "::1",
					   "::",
					   "2606:4700::1",
					   "ff02::1",
					   "::5.5.5.5",
					   "64:ff9b::a9fe:a9fe" };
static const char *const domains[] = { "a.example", "b.a.example", "example", "c.test",
				       "b.example" };

static inline void mask(uint8_t *address, unsigned int len, unsigned int bytes)
{
	unsigned int i;

	for (i = len; i < 8 * bytes; i++)
		address[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
}

static inline void random_ports(struct network_rule *x)
{
	static const uint16_t ports[] = { 22, 53, 80, 442, 443, 444, 65535 };

	if (random_one_in(3))
		return;
	x->port_lo = x->port_hi = random_of(ports);
	if (random_one_in(2))
		x->port_hi = (uint16_t)(x->port_lo + random_below(65536u - x->port_lo));
	x->protocol = random_one_in(2) ? 0 : random_one_in(2) ? IPPROTO_TCP : IPPROTO_UDP;
}

static inline void random_rule(struct network_rule *x, bool names_alone)
{
	bool v4;

	x->kind = random_one_in(3) ? NETWORK_BLOCK_OUTGOING : NETWORK_ALLOW_OUTGOING;
	x->text = build_text("random");
	x->place = build_text("f.yaml:1:1");
	if (names_alone || random_one_in(6)) {
		x->domain = build_text(random_of(domains));
		x->wildcard = x->kind == NETWORK_ALLOW_OUTGOING && random_one_in(2);
		if (names_alone && x->kind == NETWORK_ALLOW_OUTGOING && random_one_in(4)) {
			free(x->domain);
			x->domain = NULL;
			x->wildcard = false;
		}
	} else if (x->kind == NETWORK_BLOCK_OUTGOING || !random_one_in(5)) {
		unsigned int max;

		x->has_address = true;
		naive_read(random_of(interesting), &v4, x->address);
		x->family = v4 ? AF_INET : AF_INET6;
		max = v4 ? 32 : 128;
		x->prefix_len = (uint8_t)(random_one_in(2) ? max : random_below(max + 1));
		if (!random_one_in(8) && x->prefix_len < 4)
			x->prefix_len = 8;
		mask(x->address, x->prefix_len, v4 ? 4 : 16);
	}
	if (x->kind == NETWORK_ALLOW_OUTGOING)
		random_ports(x);
}

static inline void random_policies(network_policies *l, bool names_alone)
{
	size_t i, k, n = 1 + random_below(3);

	for (i = 0; i < n; i++) {
		struct network_policy *p = build_check(list_add(l));
		size_t rules = random_below(9);

		p->name = build_text("random");
		p->audit = !names_alone && random_one_in(4);
		for (k = 0; k < rules; k++)
			random_rule(build_check(list_add(&p->rules)), names_alone);
	}
}

static inline void random_target(struct naive_target *to)
{
	static const uint16_t ports[] = { 0,   21,  22,	 53,   80,   442,
					  443, 444, 445, 9999, 65535 };

	memset(to, 0, sizeof(*to));
	naive_read(random_of(interesting), &to->v4, to->address);
	if (random_one_in(3))
		to->address[random_below(to->v4 ? 4 : 16)] ^=
			(uint8_t)(1 << random_below(8));
	to->port = random_of(ports) + (random_one_in(2) ? NETWORK_UDP : NETWORK_TCP);
}

#endif
