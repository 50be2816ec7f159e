/* SPDX-License-Identifier: Apache-2.0 */
/* See target.h. Pure. */
#include "cmd/purple/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/yaml.h"
#include "network/reserved.h"
#include "policy/values.h"

int target_read(const char *text, struct target *ret, struct err *e)
{
	struct fault f;
	struct policy_net_rule *to = &ret->to;
	char address[INET6_ADDRSTRLEN];
	int r = value_net_rule(text, VALUE_NET_ANY, to, &f);

	if (r == -EINVAL)
		return err_set(e, ERR_USAGE, EINVAL, "%s", f.text);
	if (r < 0)
		return err_oom(e);
	if (to->wildcard || (!to->domain && !to->has_address) ||
	    (to->has_address && to->prefix_len != (to->family == AF_INET ? 32 : 128)))
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%s' is not one address or name with a port",
			       yaml_show(text).s);
	if (!to->port_lo || to->port_lo != to->port_hi)
		return err_set(e, ERR_USAGE, EINVAL,
			       "'%s' names no port: write HOST:PORT or HOST:PORT/udp",
			       yaml_show(text).s);
	ret->port = (to->protocol == IPPROTO_UDP ? NETWORK_UDP : NETWORK_TCP) + to->port_lo;
	if (to->has_address)
		inet_ntop(to->family, to->address, address, sizeof(address));
	snprintf(ret->shown, sizeof(ret->shown),
		 to->has_address && to->family == AF_INET6 ? "[%s]:%u/%s" : "%s:%u/%s",
		 to->has_address ? address : to->domain, to->port_lo,
		 to->protocol == IPPROTO_UDP ? "udp" : "tcp");
	return 0;
}

void target_clear(struct target *t)
{
	free(t->to.text);
	free(t->to.domain);
	t->to.text = t->to.domain = NULL;
}

void target_address(const struct target *t, uint8_t ret[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };

	if (t->to.family == AF_INET) {
		memcpy(ret, mapped, sizeof(mapped));
		memcpy(ret + sizeof(mapped), t->to.address, 4);
	} else {
		memcpy(ret, t->to.address, 16);
	}
}

bool target_is_loopback(const struct target *t)
{
	uint8_t address[16];

	if (!t->to.has_address)
		return streq(t->to.domain, "localhost");
	target_address(t, address);
	return network_is_loopback(address);
}
