// SPDX-License-Identifier: Apache-2.0
/*
 * What of the host the rules depend on: the addresses that are the host's own, which a container
 * reaches without a route through anything that would stop it. Runs in the runtime, in the host's
 * network namespace; asks the kernel, changes nothing.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "network/rules.h"

static int add_address(const struct sockaddr *sa, struct network_surroundings *s)
{
	struct network_host_address *slot = list_add(&s->host_addresses);

	if (!slot)
		return -ENOMEM;
	slot->prefix_len = 128;
	if (sa->sa_family == AF_INET6) {
		memcpy(slot->address, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
		return 0;
	}
	slot->address[10] = slot->address[11] = 0xff;
	memcpy(slot->address + 12, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	return 0;
}

/* The loopback has a rule of its own (reserved.c); but it may have addresses that are others'. */
static bool counts(const struct ifaddrs *x)
{
	const struct sockaddr *sa = x->ifa_addr;

	if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
		return false;
	if (!(x->ifa_flags & IFF_LOOPBACK))
		return true;
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 != 127;
	return !IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

int network_surroundings_read(bool own_namespace, struct network_surroundings *ret,
			      struct err *e)
{
	struct network_surroundings s = { .own_namespace = own_namespace };
	struct ifaddrs *all, *x;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return err_sys(e, "cannot read the addresses of the host");
	for (x = all; r == 0 && x; x = x->ifa_next)
		if (counts(x))
			r = add_address(x->ifa_addr, &s);
	freeifaddrs(all);
	if (r < 0) {
		network_surroundings_clear(&s);
		return err_oom(e);
	}
	*ret = s;
	return 0;
}

void network_surroundings_clear(struct network_surroundings *s)
{
	free(s->host_addresses.v);
	*s = (struct network_surroundings){ 0 };
}
